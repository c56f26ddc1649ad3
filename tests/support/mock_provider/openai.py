"""OpenAI, Azure OpenAI (key and Entra ID), OpenAI-compatible servers, Databricks serving endpoints."""

import base64
import json
import struct
import urllib.parse

from . import checks
from .answers import Answer, json_answer
from .checks import KEY, Refusal
from .world import COMPLETION_TOKENS, PROMPT_TOKENS, turn, vector

ENTRA_TOKEN = "eyJ.mock"
CHAT = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "stop", "stream",
        "stream_options", "frequency_penalty", "presence_penalty", "seed", "logit_bias", "logprobs", "top_logprobs",
        "tools", "tool_choice", "parallel_tool_calls", "response_format", "user", "reasoning_effort", "metadata",
        "store", "service_tier", "prediction", "modalities", "verbosity", "functions", "function_call"}
COMPLETIONS = {"model", "prompt", "max_tokens", "temperature", "top_p", "n", "stop", "stream", "stream_options",
               "frequency_penalty", "presence_penalty", "seed", "logit_bias", "logprobs", "suffix", "echo", "best_of",
               "user"}
EMBEDDINGS = {"model", "input", "dimensions", "encoding_format", "user"}
USAGE = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS,
         "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS}
FINISH = {"stop": "stop", "length": "length", "tools": "tool_calls", "filter": "content_filter"}


def _sse(values):
    frames = [f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n".encode()
              for value in values]
    overload = {"error": {"message": "Overloaded", "type": "server_error", "code": "server_error", "param": None}}
    return Answer(frames=frames, content_type="text/event-stream", garbage=b"data: {\"choices\n\n",
                   overload=f"data: {json.dumps(overload)}\n\n".encode())


def _call(call, index=None):
    value = {"id": call.id, "type": "function",
             "function": {"name": call.name, "arguments": json.dumps(call.arguments) if call.arguments else ""}}
    return value if index is None else {"index": index, **value}


def chat_body(request, model):
    body = request.json
    made = turn(request.scenario)
    head = {"id": "chatcmpl-x1", "created": 1750000000, "model": model, "system_fingerprint": "fp_1"}
    if not body.get("stream"):
        message = {"role": "assistant", "content": made.text or (None if made.calls else ""), "refusal": None}
        if made.thinking:
            message["reasoning_content"] = made.thinking
        if made.calls:
            message["tool_calls"] = [_call(call) for call in made.calls]
        choices = [{"index": i, "message": message, "logprobs": None, "finish_reason": FINISH[made.finish]}
                   for i in range(body.get("n", 1))]
        return json_answer({**head, "object": "chat.completion", "choices": choices, "usage": USAGE})

    def chunk(delta, finish=None):
        return {**head, "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    chunks = [chunk({"role": "assistant", "content": "" if made.text or not made.calls else None, "refusal": None})]
    if made.thinking:
        chunks.append(chunk({"reasoning_content": made.thinking}))
    chunks += [chunk({"content": piece}) for piece in made.pieces()]
    for i, call in enumerate(made.calls):
        text = json.dumps(call.arguments) if call.arguments else ""
        start = _call(call, i)
        start["function"]["arguments"] = ""
        chunks.append(chunk({"tool_calls": [start]}))
        for part in (text[:5], text[5:]):
            if part:
                chunks.append(chunk({"tool_calls": [{"index": i, "function": {"arguments": part}}]}))
    chunks.append(chunk({}, FINISH[made.finish]))
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    return _sse(chunks + ["[DONE]"])


def completions_body(request, model):
    body = request.json
    prompts = body["prompt"] if isinstance(body["prompt"], list) and not isinstance(body["prompt"][0], int) else [body["prompt"]]
    made = turn(request.scenario)
    head = {"id": "cmpl-x3", "object": "text_completion", "created": 1750000000, "model": model}
    count = len(prompts) * body.get("n", 1)
    if not body.get("stream"):
        choices = [{"text": " " + made.text, "index": i, "logprobs": None, "finish_reason": FINISH[made.finish]}
                   for i in range(count)]
        return json_answer({**head, "choices": choices, "usage": USAGE})
    chunks = [{**head, "choices": [{"text": piece, "index": 0, "logprobs": None, "finish_reason": None}]}
              for piece in [" "] + made.pieces()]
    chunks.append({**head, "choices": [{"text": "", "index": 0, "logprobs": None, "finish_reason": FINISH[made.finish]}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": USAGE})
    return _sse(chunks + ["[DONE]"])


def embeddings_body(request, model):
    body = request.json
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    if inputs and isinstance(inputs[0], int):
        inputs = [inputs]

    def encoded(values):
        if body.get("encoding_format") == "base64":
            return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
        return values

    data = [{"object": "embedding", "index": i, "embedding": encoded(vector(text))} for i, text in enumerate(inputs)]
    return json_answer({"object": "list", "model": model, "data": data,
                  "usage": {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}})


TASKS = {"chat/completions": (CHAT, chat_body, "messages"), "completions": (COMPLETIONS, completions_body, "prompt"),
         "embeddings": (EMBEDDINGS, embeddings_body, "input")}


def _checked(request, task, lenient=False):
    allowed, make, needed = TASKS[task]
    body = request.json
    if not lenient:
        checks.members(body, allowed)
    checks.required(body, needed)
    checks.between(body, "temperature", 0, 2)
    if "stream_options" in body and not body.get("stream"):
        raise Refusal(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    return make


def openai(request, task):
    checks.bearer(request)
    make = _checked(request, task)
    checks.required(request.json, "model")
    return make(request, request.json["model"])


def azure(request, deployment, task):
    if "api-version=" not in request.path:
        raise Refusal(404, "Resource not found", "404")
    if request.headers.get("api-key") != KEY:
        checks.bearer(request, ENTRA_TOKEN)
    answer = _checked(request, task)(request, "gpt-4o-2024-11-20")
    if answer.frames and task == "chat/completions":
        filters = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [
            {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]}
        answer.frames.insert(0, f"data: {json.dumps(filters)}\n\n".encode())
    return answer


def entra(request, tenant):
    form = dict(urllib.parse.parse_qsl(request.body.decode()))
    if form.get("client_secret") != KEY or form.get("grant_type") != "client_credentials":
        return json_answer({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.",
                      "error_codes": [7000215]}, 401)
    return json_answer({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": ENTRA_TOKEN})


def custom(request, task):
    if request.headers.get("x-custom-key") != KEY:
        checks.bearer(request)
    return _checked(request, task, lenient=True)(request, request.json.get("model", ""))


def databricks(request, name):
    checks.bearer(request)
    body = request.json
    task = "chat/completions" if "messages" in body else "completions" if "prompt" in body else "embeddings"
    answer = _checked(request, task)(request, "databricks-mock")
    return answer


def responses(request):
    checks.bearer(request)
    body = request.json
    made = turn(request.scenario)
    value = {"id": "resp_1", "object": "response", "created_at": 1750000000, "status": "completed", "model": body["model"],
             "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                         "content": [{"type": "output_text", "text": made.text, "annotations": []}]}],
             "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS,
                       "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS}}
    if not body.get("stream"):
        return json_answer(value)
    events = [{"type": "response.created", "sequence_number": 0, "response": {**value, "status": "in_progress", "output": []}}]
    events += [{"type": "response.output_text.delta", "sequence_number": i + 1, "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "delta": piece} for i, piece in enumerate(made.pieces())]
    events.append({"type": "response.completed", "sequence_number": len(events), "response": value})
    frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return Answer(frames=frames, content_type="text/event-stream", garbage=b"data: {\n\n", overload=b"data: {\"type\":\"error\"}\n\n")


ERRORS = {"400": (400, "invalid_request_error", "invalid_value", "bad value"),
          "401": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-mock********cret."),
          "403": (403, "invalid_request_error", "forbidden", "not allowed"),
          "404": (404, "invalid_request_error", "model_not_found", "The model does not exist"),
          "context": (400, "invalid_request_error", "context_length_exceeded", "This model's maximum context length is 8 tokens."),
          "429": (429, "requests", "rate_limit_exceeded", "Rate limit reached"),
          "quota": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
          "500": (500, "server_error", "server_error", "The server had an error"),
          "503": (503, "server_error", "overloaded", "Overloaded")}


def error(name, request):
    status, kind, code, message = ERRORS[name]
    headers = {"x-request-id": "req_mock"}
    if name == "429":
        headers["retry-after-ms"] = "20"
    return json_answer({"error": {"message": message, "type": kind, "param": None, "code": code}}, status, headers=headers)


def refuse(refusal):
    return json_answer({"error": {"message": refusal.message, "type": "invalid_request_error", "param": None,
                            "code": refusal.code or None}}, refusal.status)


_TASK = "(chat/completions|completions|embeddings)"
ROUTES = [(rf"/v1/{_TASK}", openai), (rf"/openai/deployments/([^/]+)/{_TASK}", azure),
          (r"/([^/]+)/oauth2/v2.0/token", entra), (rf"/custom/v1/{_TASK}", custom),
          (r"/serving-endpoints/([^/]+)/invocations", databricks), (r"/v1/responses", responses)]

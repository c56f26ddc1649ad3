"""Anthropic Messages and Text Completions."""

import json

from . import checks
from .answers import Answer, json_answer
from .checks import Refusal
from .world import COMPLETION_TOKENS, PROMPT_TOKENS, turn

MESSAGES = {"model", "messages", "max_tokens", "system", "temperature", "top_p", "top_k", "stop_sequences", "stream",
            "tools", "tool_choice", "metadata", "thinking", "output_config", "service_tier", "anthropic_version",
            "anthropic_beta"}
COMPLETE = {"model", "prompt", "max_tokens_to_sample", "temperature", "top_p", "top_k", "stop_sequences", "stream",
            "metadata", "anthropic_version"}
STOP = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "filter": "refusal"}
USAGE = {"input_tokens": PROMPT_TOKENS - 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4,
         "output_tokens": COMPLETION_TOKENS}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def check_messages(body):
    checks.members(body, MESSAGES)
    checks.required(body, "messages", "max_tokens")
    checks.between(body, "temperature", 0, 1)
    last, pending = None, set()
    for message in body["messages"]:
        if message["role"] not in ("user", "assistant"):
            raise Refusal(400, f"messages: Unexpected role \"{message['role']}\"")
        content = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
        for block in content:
            if block["type"] == "text" and not block["text"].strip():
                raise Refusal(400, "messages: text content blocks must contain non-whitespace text")
        results = {block["tool_use_id"] for block in content if block["type"] == "tool_result"}
        if pending and pending != results:
            raise Refusal(400, "messages: `tool_use` ids were found without `tool_result` blocks immediately after")
        pending = {block["id"] for block in content if block["type"] == "tool_use"}
        last = message["role"]
    if last is None:
        raise Refusal(400, "messages: at least one message is required")


def json_tool(body):
    """The tool that stands for structured output, when the request forces it."""
    names = [tool["name"] for tool in body.get("tools", [])]
    choice = body.get("tool_choice", {})
    return "json_response__" if "json_response__" in names and choice.get("type") in ("tool", "any") else None


def message(request, model):
    body = request.json
    made = turn("json" if request.scenario == "json" and not json_tool(body) else request.scenario, json_tool(body))
    blocks = []
    if made.thinking:
        blocks.append({"type": "thinking", "thinking": made.thinking, "signature": "c2ln"})
    if made.text:
        blocks.append({"type": "text", "text": made.text})
    blocks += [{"type": "tool_use", "id": f"toolu_{i}", "name": call.name, "input": call.arguments}
               for i, call in enumerate(made.calls)]
    return {"id": "msg_01Xa", "type": "message", "role": "assistant", "model": model, "content": blocks,
            "stop_reason": STOP[made.finish], "stop_sequence": None, "usage": USAGE}


def events(request, model):
    whole = message(request, model)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    out = [{"type": "message_start", "message": start}]
    for i, block in enumerate(whole["content"]):
        if block["type"] == "text":
            out.append({"type": "content_block_start", "index": i, "content_block": {"type": "text", "text": ""}})
            out.append({"type": "ping"})
            pieces = turn(request.scenario).pieces() or [block["text"]]
            out += [{"type": "content_block_delta", "index": i, "delta": {"type": "text_delta", "text": piece}} for piece in pieces]
        elif block["type"] == "thinking":
            out.append({"type": "content_block_start", "index": i, "content_block": {"type": "thinking", "thinking": "", "signature": ""}})
            out.append({"type": "content_block_delta", "index": i, "delta": {"type": "thinking_delta", "thinking": block["thinking"]}})
            out.append({"type": "content_block_delta", "index": i, "delta": {"type": "signature_delta", "signature": block["signature"]}})
        else:
            out.append({"type": "content_block_start", "index": i, "content_block": {**block, "input": {}}})
            out.append({"type": "content_block_delta", "index": i, "delta": {"type": "input_json_delta", "partial_json": ""}})
            text = json.dumps(block["input"]) if block["input"] else ""
            out += [{"type": "content_block_delta", "index": i, "delta": {"type": "input_json_delta", "partial_json": part}}
                    for part in (text[:5], text[5:]) if part]
        out.append({"type": "content_block_stop", "index": i})
    out.append({"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
                "usage": {"output_tokens": COMPLETION_TOKENS}})
    out.append({"type": "message_stop"})
    return out


def _sse(values):
    frames = [f"event: {value['type']}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode() for value in values]
    return Answer(frames=frames, content_type="text/event-stream", garbage=b"event: content_block_delta\ndata: {\"ty\n\n",
                   overload=f"event: error\ndata: {json.dumps(OVERLOADED)}\n\n".encode())


def _authenticate(request):
    if request.headers.get("authorization"):
        checks.bearer(request)  # as newer official clients do
    else:
        checks.header_key(request, "x-api-key")
    if not request.headers.get("anthropic-version"):
        raise Refusal(400, "anthropic-version: header is required")


def messages(request):
    _authenticate(request)
    body = request.json
    checks.required(body, "model")
    check_messages(body)
    return _sse(events(request, body["model"])) if body.get("stream") else json_answer(message(request, body["model"]), headers={"request-id": "req_mock"})


def count_tokens(request):
    _authenticate(request)
    return json_answer({"input_tokens": PROMPT_TOKENS})


def completion_parts(request):
    body = request.json
    checks.members(body, COMPLETE)
    checks.required(body, "prompt", "max_tokens_to_sample")
    if not body["prompt"].startswith("\n\nHuman:") or not body["prompt"].endswith("\n\nAssistant:"):
        raise Refusal(400, "prompt must start with \"\n\nHuman:\" turn")
    made = turn(request.scenario)
    reason = "max_tokens" if made.finish == "length" else "stop_sequence"
    head = {"type": "completion", "id": "compl_01", "model": body.get("model", ""), "stop": None}
    parts = [{**head, "completion": piece, "stop_reason": None} for piece in [" "] + made.pieces()]
    return {**head, "completion": " " + made.text, "stop_reason": reason}, parts + [{**head, "completion": "", "stop_reason": reason}]


def complete(request):
    _authenticate(request)
    whole, parts = completion_parts(request)
    return _sse(parts) if request.json.get("stream") else json_answer(whole)


ERRORS = {"400": (400, "invalid_request_error", "bad value"), "401": (401, "authentication_error", "invalid x-api-key"),
          "403": (403, "permission_error", "not allowed"), "404": (404, "not_found_error", "model: nope"),
          "context": (400, "invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum"),
          "quota": (402, "billing_error", "Your credit balance is too low"),
          "429": (429, "rate_limit_error", "rate limited"), "500": (500, "api_error", "Internal server error"),
          "503": (529, "overloaded_error", "Overloaded")}


def error(name, request):
    status, kind, text = ERRORS[name]
    return json_answer({"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_01"}, status,
                 headers={"request-id": "req_01", **({"retry-after": "0"} if name == "429" else {})})


def refuse(refusal):
    kind = "authentication_error" if refusal.status == 401 else "invalid_request_error"
    return json_answer({"type": "error", "error": {"type": kind, "message": refusal.message}}, refusal.status)


ROUTES = [(r"/v1/messages", messages), (r"/v1/messages/count_tokens", count_tokens), (r"/v1/complete", complete)]

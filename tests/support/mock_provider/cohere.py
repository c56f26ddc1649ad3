"""Cohere: chat v2 and v1, generate, embed v2 and v1."""

import json

from . import checks
from .answers import Answer, json_answer
from .checks import Refusal
from .world import COMPLETION_TOKENS, PROMPT_TOKENS, turn, vector

V2 = {"model", "messages", "stream", "max_tokens", "temperature", "p", "k", "stop_sequences", "seed", "frequency_penalty",
      "presence_penalty", "tools", "tool_choice", "strict_tools", "response_format", "documents", "citation_options",
      "safety_mode", "thinking", "priority", "logprobs"}
V1 = {"model", "message", "chat_history", "preamble", "stream", "max_tokens", "temperature", "p", "k", "stop_sequences",
      "seed", "frequency_penalty", "presence_penalty", "tools", "tool_results", "response_format", "documents"}
GENERATE = {"model", "prompt", "max_tokens", "temperature", "p", "k", "num_generations", "end_sequences", "stop_sequences",
            "stream", "frequency_penalty", "presence_penalty", "seed", "return_likelihoods", "truncate", "logit_bias"}
EMBED = {"model", "texts", "input_type", "embedding_types", "truncate", "output_dimension"}
FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tools": "TOOL_CALL", "filter": "COMPLETE"}
META = {"billed_units": {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS},
        "tokens": {"input_tokens": float(PROMPT_TOKENS), "output_tokens": float(COMPLETION_TOKENS)}}


def _events(values):
    frames = [f"event: {value['type']}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode() for value in values]
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "overloaded"}}
    return Answer(frames=frames, content_type="text/event-stream", garbage=b"event: content-delta\ndata: {\"a\n\n",
                   overload=f"event: message-end\ndata: {json.dumps(end)}\n\n".encode())


def _lines(values):
    end = {"is_finished": True, "event_type": "stream-end", "finish_reason": "ERROR", "response": {}}
    return Answer(frames=[json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values],
                   content_type="application/stream+json", garbage=b"{\"is_fin\n", overload=json.dumps(end).encode() + b"\n")


def chat_v2(request):
    checks.bearer(request)
    body = request.json
    checks.members(body, V2)
    checks.required(body, "model", "messages")
    checks.between(body, "temperature", 0, 1)
    checks.between(body, "p", 0.01, 0.99)
    made = turn(request.scenario)
    calls = [{"id": f"{call.name}_k{i}", "type": "function",
              "function": {"name": call.name, "arguments": json.dumps(call.arguments) if call.arguments else "{}"}}
             for i, call in enumerate(made.calls)]
    if not body.get("stream"):
        message = {"role": "assistant"}
        content = [{"type": "thinking", "thinking": made.thinking}] if made.thinking else []
        if made.text and not calls:
            content.append({"type": "text", "text": made.text})
        if content:
            message["content"] = content
        if calls:
            message.update({"tool_plan": made.text or "I will check.", "tool_calls": calls})
        return json_answer({"id": "c14c80c3", "message": message, "finish_reason": FINISH[made.finish], "usage": META})
    out = [{"id": "29f14a5b", "type": "message-start", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}]
    if calls:
        out.append({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": made.text or "I will check."}}})
        for i, call in enumerate(calls):
            out.append({"type": "tool-call-start", "index": i, "delta": {"message": {"tool_calls": {**call, "function": {**call["function"], "arguments": ""}}}}})
            text = call["function"]["arguments"] if made.calls[i].arguments else ""
            out += [{"type": "tool-call-delta", "index": i, "delta": {"message": {"tool_calls": {"function": {"arguments": part}}}}} for part in (text[:5], text[5:]) if part]
            out.append({"type": "tool-call-end", "index": i})
    else:
        if made.thinking:
            out.append({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "thinking", "thinking": ""}}}})
            out.append({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"thinking": made.thinking}}}})
            out.append({"type": "content-end", "index": 0})
        out.append({"type": "content-start", "index": 1, "delta": {"message": {"content": {"type": "text", "text": ""}}}})
        out += [{"type": "content-delta", "index": 1, "delta": {"message": {"content": {"text": piece}}}} for piece in made.pieces()]
        out.append({"type": "content-end", "index": 1})
    out.append({"type": "message-end", "delta": {"finish_reason": FINISH[made.finish], "usage": META}})
    answer = _events(out)
    answer.frames.append(b"data: [DONE]\n\n")
    return answer


def v1_parts(request):
    """The plain answer of v1 chat, and its stream's events."""
    made = turn(request.scenario)
    calls = [{"name": call.name, "parameters": call.arguments} for call in made.calls]
    finish = {"length": "MAX_TOKENS"}.get(made.finish, "COMPLETE")
    whole = {"response_id": "r-1", "generation_id": "g-1", "text": made.text, "finish_reason": finish, "meta": META}
    if calls:
        whole["tool_calls"] = calls
    out = [{"is_finished": False, "event_type": "stream-start", "generation_id": "g-1"}]
    if calls:
        for i, call in enumerate(calls):
            out.append({"is_finished": False, "event_type": "tool-calls-chunk", "tool_call_delta": {"index": i, "name": call["name"]}})
            out.append({"is_finished": False, "event_type": "tool-calls-chunk", "tool_call_delta": {"index": i, "parameters": json.dumps(call["parameters"])}})
        out.append({"is_finished": False, "event_type": "tool-calls-generation", "text": made.text, "tool_calls": calls})
    else:
        out += [{"is_finished": False, "event_type": "text-generation", "text": piece} for piece in made.pieces()]
    out.append({"is_finished": True, "event_type": "stream-end", "finish_reason": finish, "response": whole})
    return whole, out


def check_v1(body, allowed=V1):
    checks.members(body, allowed)
    checks.required(body, "message")
    checks.between(body, "temperature", 0, 1)
    for entry in body.get("chat_history", []):
        if entry["role"] not in ("USER", "CHATBOT", "SYSTEM", "TOOL"):
            raise Refusal(400, f"invalid role {entry['role']}")


def chat_v1(request):
    checks.bearer(request)
    check_v1(request.json)
    whole, events = v1_parts(request)
    return _lines(events) if request.json.get("stream") else json_answer(whole)


def generate_parts(request):
    made = turn(request.scenario)
    finish = {"length": "MAX_TOKENS"}.get(made.finish, "COMPLETE")
    count = request.json.get("num_generations", 1)
    whole = {"id": "gen-1", "prompt": request.json["prompt"], "meta": META,
             "generations": [{"id": f"gen-1{i}", "text": " " + made.text, "finish_reason": finish} for i in range(count)]}
    out = [{"text": piece, "is_finished": False, "event_type": "text-generation"} for piece in [" "] + made.pieces()]
    return whole, out + [{"is_finished": True, "event_type": "stream-end", "finish_reason": finish, "response": whole}]


def generate(request):
    checks.bearer(request)
    body = request.json
    checks.members(body, GENERATE)
    checks.required(body, "prompt")
    checks.between(body, "temperature", 0, 5)
    checks.between(body, "num_generations", 1, 5)
    whole, events = generate_parts(request)
    return _lines(events) if body.get("stream") else json_answer(whole)


def embed(request, version):
    checks.bearer(request)
    body = request.json
    checks.members(body, EMBED)
    checks.required(body, "model", "texts")
    if len(body["texts"]) > 96:
        raise Refusal(400, "total number of texts must be at most 96")
    if version == "2":
        checks.required(body, "input_type", "embedding_types")
    vectors = [vector(text) for text in body["texts"]]
    by_type = "embedding_types" in body
    return json_answer({"id": "e-1", "texts": body["texts"], "embeddings": {"float": vectors} if by_type else vectors,
                  "meta": {"api_version": {"version": version}, "billed_units": {"input_tokens": PROMPT_TOKENS}},
                  "response_type": "embeddings_by_type" if by_type else "embeddings_floats"})


ERRORS = {"400": (400, "invalid request: bad value"), "401": (401, "invalid api token"), "403": (403, "forbidden"),
          "404": (404, "model 'x' not found"), "context": (400, "too many tokens: total number of tokens in the prompt exceeds the limit"),
          "quota": (402, "billing required"), "429": (429, "you are being rate limited"), "500": (500, "internal server error"),
          "503": (503, "service unavailable")}


def error(name, request):
    status, message = ERRORS[name]
    return json_answer({"id": "x", "message": message}, status, headers={"retry-after": "0"} if name == "429" else {})


def refuse(refusal):
    return json_answer({"id": "x", "message": refusal.message}, refusal.status)


ROUTES = [(r"/v2/chat", chat_v2), (r"/v1/chat", chat_v1), (r"/v1/generate", generate), (r"/v([12])/embed", embed)]

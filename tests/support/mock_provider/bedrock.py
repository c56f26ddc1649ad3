"""Amazon Bedrock: InvokeModel of four vendors, Converse, and the token service for roles."""

import base64
import json
import random
import struct
import urllib.parse
import zlib

from . import ai21, anthropic, checks, cohere
from .answers import Answer, json_answer
from .checks import SESSION, Refusal
from .world import COMPLETION_TOKENS, PROMPT_TOKENS, turn, vector

COUNTS = {"x-amzn-requestid": "rq-1", "x-amzn-bedrock-input-token-count": str(PROMPT_TOKENS),
          "x-amzn-bedrock-output-token-count": str(COMPLETION_TOKENS)}
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": PROMPT_TOKENS, "outputTokenCount": COMPLETION_TOKENS,
                                                "invocationLatency": 900, "firstByteLatency": 210}}
COHERE = (cohere.V1 - {"model", "stream"}) | {"return_prompt"}
GENERATE = (cohere.GENERATE - {"model", "end_sequences"})
TITAN = {"inputText", "textGenerationConfig"}
CONVERSE = {"messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "outputConfig", "requestMetadata",
            "serviceTier"}


def frame(kind, name, payload):
    """One event-stream frame; `kind` is event or exception."""
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    head = b"".join(bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) + v.encode() for k, v in headers.items())
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _stream(frames):
    broken = bytearray(frames[-1])
    broken[-1] ^= 1  # a wrong checksum
    return Answer(frames=frames, content_type="application/vnd.amazon.eventstream", headers={"x-amzn-bedrock-content-type": "application/json"},
                   garbage=bytes(broken), overload=frame("exception", "throttlingException", b'{"message":"slow down"}'))


def _chunks(values):
    def payload(value):
        text = json.dumps(value, ensure_ascii=False).encode()
        return json.dumps({"bytes": base64.b64encode(text).decode(), "p": "abcdefghij"[:random.randint(1, 10)]}).encode()
    values = values[:-1] + [{**values[-1], **METRICS}]
    return _stream([frame("event", "chunk", payload(value)) for value in values])


def _model(quoted):
    return urllib.parse.unquote(quoted)


def _titan(request):
    made = turn(request.scenario)
    reason = {"length": "LENGTH", "filter": "CONTENT_FILTERED"}.get(made.finish, "FINISH")
    whole = {"inputTextTokenCount": PROMPT_TOKENS, "results": [{"tokenCount": COMPLETION_TOKENS, "outputText": " " + made.text, "completionReason": reason}]}
    part = {"index": 0, "totalOutputTextTokenCount": None, "completionReason": None, "inputTextTokenCount": PROMPT_TOKENS}
    parts = [{**part, "outputText": piece} for piece in [" "] + made.pieces()]
    return whole, parts + [{**part, "outputText": "", "completionReason": reason, "totalOutputTextTokenCount": COMPLETION_TOKENS}]


def invoke(request, quoted, stream):
    checks.sigv4(request, "bedrock")
    model, body = _model(quoted), request.json
    checks.no_nulls(body)
    if "anthropic" in model:
        if body.get("anthropic_version") not in ("bedrock-2023-05-31", "2026-10-21"):
            raise Refusal(400, "anthropic_version: Field required", "ValidationException")
        if "model" in body or "stream" in body:
            raise Refusal(400, "#: extraneous key [stream] is not permitted", "ValidationException")
        if "prompt" in body:
            whole, parts = anthropic.completion_parts(request)
        else:
            anthropic.check_messages(body)
            whole, parts = anthropic.message(request, model), anthropic.events(request, model)
    elif "cohere.embed" in model:
        checks.members(body, cohere.EMBED - {"model"})
        if len(body["texts"]) > 96 or isinstance(body.get("embedding_types", []), str):
            raise Refusal(400, "Malformed input request", "ValidationException")
        return json_answer({"id": "e-1", "texts": body["texts"], "embeddings": [vector(t) for t in body["texts"]],
                      "response_type": "embeddings_floats"}, headers=COUNTS)
    elif "cohere.command-r" in model:
        cohere.check_v1(body, COHERE)
        whole, parts = cohere.v1_parts(request)
    elif "cohere" in model:
        checks.members(body, GENERATE)
        if stream and not body.get("stream"):
            raise Refusal(400, "stream must be true", "ValidationException")
        whole, parts = cohere.generate_parts(request)
    elif "ai21" in model:
        answer = ai21.j2(request)
        answer.headers.update(COUNTS)
        return answer
    elif "embed" in model:
        checks.members(body, {"inputText", "dimensions", "normalize", "embeddingTypes"})
        return json_answer({"embedding": vector(body["inputText"]), "inputTextTokenCount": 7}, headers={**COUNTS, "x-amzn-bedrock-input-token-count": "7"})
    else:
        checks.members(body, TITAN)
        whole, parts = _titan(request)
    return _chunks(parts) if stream else json_answer(whole, headers=COUNTS)


def _converse(request, quoted):
    checks.sigv4(request, "bedrock")
    body = request.json
    checks.no_nulls(body)
    checks.members(body, CONVERSE)
    checks.between(body.get("inferenceConfig", {}), "temperature", 0, 1)
    names = [tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", [])]
    return turn(request.scenario, "json_response__" if "json_response__" in names else None)


STOP = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "filter": "content_filtered"}
USAGE = {"inputTokens": PROMPT_TOKENS, "outputTokens": COMPLETION_TOKENS, "totalTokens": PROMPT_TOKENS + COMPLETION_TOKENS}


def converse(request, quoted):
    made = _converse(request, quoted)
    content = [{"reasoningContent": {"reasoningText": {"text": made.thinking, "signature": "c2ln"}}}] if made.thinking else []
    content += [{"text": made.text}] if made.text else []
    content += [{"toolUse": {"toolUseId": f"tooluse_{i}", "name": call.name, "input": call.arguments}} for i, call in enumerate(made.calls)]
    return json_answer({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": STOP[made.finish], "usage": USAGE,
                  "metrics": {"latencyMs": 812}}, headers={"x-amzn-requestid": "rq-1"})


def converse_stream(request, quoted):
    made = _converse(request, quoted)
    events = [("messageStart", {"role": "assistant"})]
    index = 0
    if made.thinking:
        events += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": made.thinking}}}),
                   ("contentBlockStop", {"contentBlockIndex": 0})]
        index += 1
    if made.text:
        events += [("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece}}) for piece in made.pieces()]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
        index += 1
    for i, call in enumerate(made.calls):
        events.append(("contentBlockStart", {"contentBlockIndex": index + i, "start": {"toolUse": {"toolUseId": f"tooluse_{i}", "name": call.name}}}))
        text = json.dumps(call.arguments) if call.arguments else ""
        events += [("contentBlockDelta", {"contentBlockIndex": index + i, "delta": {"toolUse": {"input": part}}}) for part in (text[:5], text[5:]) if part]
        events.append(("contentBlockStop", {"contentBlockIndex": index + i}))
    events += [("messageStop", {"stopReason": STOP[made.finish]}), ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})]
    return _stream([frame("event", name, json.dumps({**value, "p": "abcd"}, ensure_ascii=False).encode()) for name, value in events])


def sts(request):
    checks.sigv4(request, "sts")
    form = dict(urllib.parse.parse_qsl(request.body.decode()))
    if form.get("Action") != "AssumeRole" or "denied" in form.get("RoleArn", ""):
        return Answer(status=403, content_type="text/xml", body=b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error><RequestId>q1</RequestId></ErrorResponse>')
    key, secret, token = SESSION
    return Answer(content_type="text/xml", body=f'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>AROAEX:tessera</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/Infer/tessera</Arn></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:15:00Z</Expiration></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata></AssumeRoleResponse>'.encode())


ERRORS = {"400": (400, "ValidationException", "bad value"), "401": (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
          "403": (403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
          "404": (404, "ResourceNotFoundException", "Could not resolve the foundation model"),
          "context": (400, "ValidationException", "Input is too long for requested model."),
          "quota": (400, "ServiceQuotaExceededException", "quota exceeded"),
          "429": (429, "ThrottlingException", "Too many requests"), "500": (500, "InternalServerException", "internal"),
          "503": (503, "ServiceUnavailableException", "unavailable")}


def error(name, request):
    status, kind, message = ERRORS[name]
    return json_answer({"message": message}, status, headers={"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"})


def refuse(refusal):
    kind = refusal.code if refusal.code.endswith("Exception") else "ValidationException"
    return json_answer({"message": refusal.message}, refusal.status, headers={"x-amzn-errortype": kind})


ROUTES = [(r"/model/([^/]+)/invoke", lambda request, model: invoke(request, model, False)),
          (r"/model/([^/]+)/invoke-with-response-stream", lambda request, model: invoke(request, model, True)),
          (r"/model/([^/]+)/converse", converse), (r"/model/([^/]+)/converse-stream", converse_stream), (r"/", sts)]

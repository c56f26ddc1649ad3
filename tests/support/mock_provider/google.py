"""Google: Vertex AI (Gemini, PaLM models, embeddings), its token endpoint, and the PaLM API."""

import base64
import json
import urllib.parse

from . import checks
from .answers import Answer, json_answer
from .checks import KEY, Refusal
from .world import COMPLETION_TOKENS, PROMPT_TOKENS, turn, vector

TOKEN = "ya29.mock"
GEMINI = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings", "labels", "cachedContent"}
GENERATION = {"temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed", "frequencyPenalty",
              "presencePenalty", "responseLogprobs", "logprobs", "responseMimeType", "responseSchema", "responseJsonSchema",
              "thinkingConfig"}
FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "filter": "SAFETY"}
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
public_key = None  # PEM; when set, assertions are verified with it


def token(request):
    form = dict(urllib.parse.parse_qsl(request.body.decode()))
    if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return json_answer({"error": "unsupported_grant_type"}, 400)
    head, claims, signature = form["assertion"].split(".")

    def decoded(part):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    if public_key is not None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
        try:
            serialization.load_pem_public_key(public_key).verify(
                decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return json_answer({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
    fields = json.loads(decoded(claims))
    if json.loads(decoded(head))["alg"] != "RS256" or fields["exp"] - fields["iat"] > 3600:
        return json_answer({"error": "invalid_grant", "error_description": "Invalid JWT"}, 400)
    return json_answer({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})


def _check_gemini(body):
    checks.members(body, GEMINI)
    checks.required(body, "contents")
    checks.members(body.get("generationConfig", {}), GENERATION, "generationConfig")
    checks.between(body.get("generationConfig", {}), "temperature", 0, 2)
    calls = 0
    for content in body["contents"]:
        if content["role"] not in ("user", "model"):
            raise Refusal(400, f"Please use a valid role: user, model. Got {content['role']}", "INVALID_ARGUMENT")
        if not content["parts"]:
            raise Refusal(400, "Unable to submit request because it must have a text parameter.", "INVALID_ARGUMENT")
        answers = sum("functionResponse" in part for part in content["parts"])
        if calls and answers != calls:
            raise Refusal(400, "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.", "INVALID_ARGUMENT")
        calls = sum("functionCall" in part for part in content["parts"])


def _parts(made):
    parts = [{"text": made.thinking, "thought": True}] if made.thinking else []
    parts += [{"text": made.text}] if made.text else []
    return parts + [{"functionCall": {"name": call.name, "args": call.arguments}} for call in made.calls]


def gemini(request, model, method):
    checks.bearer(request, TOKEN)
    body = request.json
    _check_gemini(body)
    names = [f["name"] for t in body.get("tools", []) for f in t.get("functionDeclarations", [])]
    made = turn(request.scenario, "json_response__" if "json_response__" in names else None)
    usage = {"promptTokenCount": PROMPT_TOKENS, "candidatesTokenCount": COMPLETION_TOKENS,
             "totalTokenCount": PROMPT_TOKENS + COMPLETION_TOKENS, "trafficType": "ON_DEMAND"}
    head = {"modelVersion": model + "-001", "responseId": "rid1"}
    if method == "generateContent":
        count = body.get("generationConfig", {}).get("candidateCount", 1)
        return json_answer({"candidates": [{"content": {"role": "model", "parts": _parts(made)}, "finishReason": FINISH[made.finish], "index": i}
                                     for i in range(count)], "usageMetadata": usage, **head})
    chunks = []
    if made.thinking:
        chunks.append([{"text": made.thinking, "thought": True}])
    chunks += [[{"text": piece}] for piece in made.pieces()]
    chunks += [[{"functionCall": {"name": call.name, "args": call.arguments}}] for call in made.calls]
    values = [{"candidates": [{"content": {"role": "model", "parts": parts}}], "usageMetadata": {"trafficType": "ON_DEMAND"}, **head} for parts in chunks]
    values.append({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": FINISH[made.finish]}], "usageMetadata": usage, **head})
    if "alt=sse" not in request.path:
        return json_answer(values)
    return Answer(frames=[f"data: {json.dumps(value, ensure_ascii=False)}\r\n\r\n".encode() for value in values],
                   content_type="text/event-stream", garbage=b"data: {\"cand\r\n\r\n",
                   overload=f"data: {json.dumps(OVERLOADED)}\r\n\r\n".encode())


def _metadata():
    return {"tokenMetadata": {"inputTokenCount": {"totalTokens": PROMPT_TOKENS}, "outputTokenCount": {"totalTokens": COMPLETION_TOKENS}}}


def predict(request, model):
    checks.bearer(request, TOKEN)
    body = request.json
    checks.members(body, {"instances", "parameters"})
    first = body["instances"][0]
    made = turn(request.scenario)
    if "content" in first:
        if len(body["instances"]) > 250:
            raise Refusal(400, "250 instance(s) is allowed per prediction.", "INVALID_ARGUMENT")
        return json_answer({"predictions": [{"embeddings": {"values": vector(i["content"]), "statistics": {"truncated": False, "token_count": 7}}}
                                      for i in body["instances"]], "metadata": {"billableCharacterCount": 7}})
    if "messages" in first:
        return json_answer({"predictions": [{"candidates": [{"author": "1", "content": made.text}], "citationMetadata": [{"citations": []}],
                                       "safetyAttributes": [{"blocked": made.finish == "filter", "categories": [], "scores": []}]}], "metadata": _metadata()})
    count = body.get("parameters", {}).get("candidateCount", 1)
    return json_answer({"predictions": [{"content": " " + made.text, "safetyAttributes": {"categories": [], "blocked": made.finish == "filter", "scores": []}}
                                  for _ in range(count)], "metadata": _metadata()})


def server_streaming_predict(request, model):
    checks.bearer(request, TOKEN)
    values = [{"outputs": [{"structVal": {"content": {"stringVal": [piece]}, "safetyAttributes": {"structVal": {"blocked": {"boolVal": [False]}}}}}]}
              for piece in [" "] + turn(request.scenario).pieces()]
    return Answer(frames=[f"data: {json.dumps(value)}\r\n\r\n".encode() for value in values], content_type="text/event-stream",
                   garbage=b"data: {\"out\r\n\r\n", overload=f"data: {json.dumps(OVERLOADED)}\r\n\r\n".encode())


def embed_content(request, model):
    checks.bearer(request, TOKEN)
    return json_answer({"embedding": {"values": vector(request.json["content"]["parts"][0]["text"])},
                  "usageMetadata": {"promptTokenCount": PROMPT_TOKENS}, "truncated": False})


def palm(request, model, method):
    if request.headers.get("x-goog-api-key") != KEY:
        raise Refusal(403, "API key not valid.", "PERMISSION_DENIED")
    body = request.json
    made = turn(request.scenario)
    if method == "batchEmbedText":
        return json_answer({"embeddings": [{"value": vector(text)} for text in body["texts"]]})
    if made.finish == "filter":
        return json_answer({"filters": [{"reason": "SAFETY"}]})
    count = body.get("candidateCount", 1)
    if method == "generateText":
        return json_answer({"candidates": [{"output": " " + made.text, "safetyRatings": []} for _ in range(count)]})
    return json_answer({"candidates": [{"author": "1", "content": made.text} for _ in range(count)], "messages": body["prompt"]["messages"]})


ERRORS = {"400": (400, "INVALID_ARGUMENT", "bad value"), "401": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
          "403": (403, "PERMISSION_DENIED", "Permission denied"), "404": (404, "NOT_FOUND", "Publisher Model was not found"),
          "context": (400, "INVALID_ARGUMENT", "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."),
          "quota": (429, "RESOURCE_EXHAUSTED", "Quota exceeded"), "429": (429, "RESOURCE_EXHAUSTED", "Resource exhausted."),
          "500": (500, "INTERNAL", "Internal error"), "503": (503, "UNAVAILABLE", "The model is overloaded.")}


def error(name, request):
    status, code, message = ERRORS[name]
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.02s"}] if name == "429" else []
    return json_answer({"error": {"code": status, "message": message, "status": code, "details": details}}, status)


def refuse(refusal):
    status = refusal.code if refusal.code.isupper() else {401: "UNAUTHENTICATED"}.get(refusal.status, "INVALID_ARGUMENT")
    return json_answer({"error": {"code": refusal.status, "message": refusal.message, "status": status}}, refusal.status)


_PROJECT = r"/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/(?:publishers/google/models|endpoints)/([^/:]+)"
ROUTES = [(r"/token", token), (_PROJECT + r":(generateContent|streamGenerateContent)", gemini), (_PROJECT + ":predict", predict),
          (_PROJECT + ":serverStreamingPredict", server_streaming_predict), (_PROJECT + ":embedContent", embed_content),
          (r"/v1beta3/models/([^/:]+):(generateText|generateMessage|batchEmbedText)", palm)]

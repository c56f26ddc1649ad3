"""AI21 Labs: J2 completions and Jamba chat."""

from . import checks, openai
from .answers import json_answer
from .world import COMPLETION_TOKENS, PROMPT_TOKENS, turn

J2 = {"model", "prompt", "maxTokens", "minTokens", "numResults", "temperature", "topP", "topKReturn", "stopSequences",
      "frequencyPenalty", "presencePenalty", "countPenalty", "logitBias"}


def j2(request):
    body = request.json
    checks.members(body, J2)
    checks.required(body, "prompt")
    checks.between(body, "temperature", 0, 1)
    made = turn(request.scenario)
    reason = {"reason": "length", "length": 16} if made.finish == "length" else {"reason": "endoftext"}
    return json_answer({"id": 1234, "prompt": {"text": body["prompt"], "tokens": [{}] * PROMPT_TOKENS},
                  "completions": [{"data": {"text": " " + made.text, "tokens": [{}] * COMPLETION_TOKENS}, "finishReason": reason}
                                  for _ in range(body.get("numResults", 1))]})


def complete(request, *model):
    checks.bearer(request)
    return j2(request)


def chat(request):
    checks.bearer(request)
    return openai.chat_body(request, request.json["model"])


ERRORS = {"400": (400, "bad value"), "401": (401, "Forbidden: Bad or missing API token"), "403": (403, "forbidden"),
          "404": (404, "no such model"), "context": (422, "Prompt has 9000 tokens, but the limit is 8191 tokens"),
          "quota": (402, "payment required"), "429": (429, "Too many requests"), "500": (500, "internal"), "503": (503, "unavailable")}


def error(name, request):
    status, message = ERRORS[name]
    return json_answer({"detail": message}, status)


def refuse(refusal):
    return json_answer({"detail": [{"loc": ["body"], "msg": refusal.message, "type": "value_error"}]}, refusal.status)


ROUTES = [(r"/studio/v1/chat/completions", chat), (r"/studio/v1/([^/]+)/complete", complete),
          (r"/studio/v1/([^/]+)/([^/]+)/complete", complete)]

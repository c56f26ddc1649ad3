"""The official OpenAI Python client, unchanged."""

import base64
import struct

import numpy as np
import openai
import pytest
from support import CHAT, EMBED

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]


def test_chat(client):
    answer = client.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=16, temperature=0)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert "Paris" in choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.system_fingerprint.startswith("fp_")


def test_stream_equals_plain(client):
    kwargs = dict(model=CHAT, messages=QUESTION, max_tokens=48, seed=7, temperature=0.8, logprobs=True,
                  top_logprobs=3)
    plain = client.chat.completions.create(**kwargs)
    chunks = list(client.chat.completions.create(**kwargs, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == [] and chunks[-1].usage == plain.usage
    assert len({c.id for c in chunks}) == 1
    streamed = [e for c in chunks if c.choices and c.choices[0].logprobs for e in c.choices[0].logprobs.content]
    assert [(e.token, e.logprob) for e in streamed] == [
        (e.token, e.logprob) for e in plain.choices[0].logprobs.content]
    assert all(len(e.top_logprobs) == 3 for e in streamed)


def test_no_usage_key_in_stream_unless_asked(server):
    answer = server.post("/serving-endpoints/chat/completions",
                         {"model": CHAT, "messages": QUESTION, "max_tokens": 4, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n") and '"usage"' not in answer.text


def test_temperature_zero_repeats_and_top_k_one_equals_it(client):
    kwargs = dict(model=CHAT, messages=QUESTION, max_tokens=24)
    greedy = client.chat.completions.create(**kwargs, temperature=0).choices[0].message.content
    assert greedy == client.chat.completions.create(**kwargs, temperature=0).choices[0].message.content
    top_k = client.chat.completions.create(**kwargs, temperature=1.5, extra_body={"top_k": 1})
    assert greedy == top_k.choices[0].message.content


def test_n_with_seed_equals_single_calls(client):
    kwargs = dict(model=CHAT, messages=QUESTION, max_tokens=16, temperature=1.0)
    many = client.chat.completions.create(**kwargs, n=3, seed=5)
    assert sorted(c.index for c in many.choices) == [0, 1, 2]
    for choice in many.choices:
        single = client.chat.completions.create(**kwargs, seed=5 + choice.index)
        assert single.choices[0].message.content == choice.message.content


def test_stop_string_is_cut(client):
    whole = client.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=24, temperature=0)
    text = whole.choices[0].message.content
    stop = text[4:7]
    cut = client.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=24, temperature=0, stop=stop)
    assert cut.choices[0].message.content == text[: text.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


def test_logit_bias_bans_a_token(client):
    kwargs = dict(model=CHAT, messages=QUESTION, max_tokens=1, temperature=0, logprobs=True, top_logprobs=1)
    first = client.chat.completions.create(**kwargs, extra_body={"return_token_ids": True})
    token = first.model_extra.get("choices", None) or first.choices[0].model_extra["token_ids"][0]
    banned = client.chat.completions.create(**kwargs, logit_bias={str(token): -100})
    assert banned.choices[0].message.content != first.choices[0].message.content


def test_completions_text_tokens_batches_echo(client):
    answer = client.completions.create(model=CHAT, prompt="2+2=", max_tokens=1, temperature=0, echo=True, logprobs=1)
    choice = answer.choices[0]
    assert answer.object == "text_completion" and choice.text.startswith("2+2=")
    lp = choice.logprobs
    assert lp.token_logprobs[0] is None and lp.top_logprobs[0] is None
    assert len(lp.tokens) == len(lp.token_logprobs) == len(lp.top_logprobs) == len(lp.text_offset)
    assert "".join(lp.tokens) == choice.text and lp.text_offset[0] == 0

    batch = client.completions.create(model=CHAT, prompt=["One two three", "A B C"], n=2, max_tokens=4, seed=1)
    assert [c.index for c in batch.choices] == [0, 1, 2, 3]

    text = client.completions.create(model=CHAT, prompt="Once upon a time", max_tokens=8, temperature=0,
                                     extra_body={"return_token_ids": True})
    ids = text.choices[0].model_extra.get("prompt_token_ids") or text.model_extra["prompt_token_ids"]
    same = client.completions.create(model=CHAT, prompt=ids, max_tokens=8, temperature=0)
    assert same.choices[0].text == text.choices[0].text


def test_embeddings_float_equals_base64(client):
    texts = ["hello world", "a much longer sentence about serving models on two cores", "hello world"]
    decoded = client.embeddings.create(model=EMBED, input=texts)  # the client asks for base64
    floats = client.embeddings.create(model=EMBED, input=texts, encoding_format="float")
    for a, b in zip(decoded.data, floats.data):
        assert np.array_equal(np.float32(a.embedding), np.float32(b.embedding))
        assert len(b.embedding) == 384 and abs(np.linalg.norm(b.embedding) - 1) < 1e-5
    assert floats.data[0].embedding == floats.data[2].embedding
    assert [d.index for d in floats.data] == [0, 1, 2]
    assert floats.usage.prompt_tokens == floats.usage.total_tokens > 0


def test_embeddings_order_kept_over_many_lengths(client):
    texts = [f"word {'again ' * (i % 37)}{i}" for i in range(256)]
    together = client.embeddings.create(model=EMBED, input=texts).data
    for i in (0, 1, 36, 100, 255):
        alone = client.embeddings.create(model=EMBED, input=texts[i]).data[0].embedding
        assert np.dot(alone, together[i].embedding) > 0.99999


def test_v1_alias(server):
    other = openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.token)
    assert CHAT in [m.id for m in other.models.list()]
    assert other.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=2).choices


@pytest.mark.parametrize("kwargs,status,fragment", [
    (dict(model="nope", messages=QUESTION), 404, "'nope' does not exist"),
    (dict(model=CHAT, messages=[]), 400, "messages"),
    (dict(model=CHAT, messages=QUESTION, temperature=3), 400, "temperature"),
    (dict(model=CHAT, messages=QUESTION, top_p=0), 400, "top_p"),
    (dict(model=CHAT, messages=QUESTION, max_tokens=0), 400, "max_tokens"),
    (dict(model=CHAT, messages=QUESTION, max_tokens=10**6), 400, "max_tokens"),
    (dict(model=CHAT, messages=QUESTION, n=99), 400, "n"),
    (dict(model=CHAT, messages=[{"role": "king", "content": "x"}]), 400, "messages[0]"),
    (dict(model=CHAT, messages=QUESTION, tools=[{"type": "function", "function": {"name": "f"}}]), 400, "tools"),
    (dict(model=CHAT, messages=QUESTION, response_format={"type": "json_object"}), 400, "response_format"),
    (dict(model=CHAT, messages=QUESTION, extra_body={"frobnicate": 1}), 400, "frobnicate"),
    (dict(model=EMBED, messages=QUESTION), 400, "llm/v1/embeddings"),
    (dict(model=CHAT, messages=[{"role": "user", "content": "word " * 9000}]), 400, "maximum context length"),
])
def test_bad_requests_are_clear(client, kwargs, status, fragment):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**kwargs)
    assert caught.value.status_code == status
    assert fragment in caught.value.message
    body = caught.value.response.json()
    assert body["error"]["message"] == body["message"] and body["error_code"]


def test_base64_payload_is_little_endian_float32(server):
    body = server.post("/serving-endpoints/embeddings", {"model": EMBED, "input": "x", "encoding_format": "base64"})
    raw = base64.b64decode(body.json()["data"][0]["embedding"])
    assert len(raw) == 384 * 4
    norm = sum(v * v for v in struct.unpack("<384f", raw))
    assert abs(norm - 1) < 1e-4

"""Each promised architecture, from a folder on disk to answers over HTTP.

That the numbers are right is shown by the goldens (tests/golden/models); here: that every family
loads, chats, completes, streams, and answers the same whatever the engine does with the prompt.
"""

import json
import os
import subprocess

import numpy as np
import pytest
import requests
import tiny_models
from support import BINARY, answers, free_port, wait_until

PROMPT = "The window of this model is shorter than the prompt, whose tokens are single bytes."


class Worker:
    def __init__(self, folder, *flags):
        self.folder, self.flags, self.port = folder, flags, free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self):
        self.log = self.folder.parent / f"worker-{self.port}.log"
        self.process = subprocess.Popen(
            [os.environ.get("TESSERA_BINARY", BINARY), "worker", "--model", self.folder, "--port", str(self.port),
             "--threads", "1", "--kv-memory", "16MiB", *self.flags],
            stdout=self.log.open("wb"), stderr=subprocess.STDOUT)

        def ready():
            assert self.process.poll() is None, self.log.read_text()
            return answers(f"http://127.0.0.1:{self.port}/health")

        try:
            wait_until(ready, 30, "the worker's health")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def post(self, path, **body):
        answer = requests.post(f"{self.url}/{path}", json={"model": self.folder.name, **body}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer

    def complete(self, prompt=PROMPT, **more):
        return self.post("completions", prompt=prompt, max_tokens=12, temperature=0, **more).json()

    def chat(self, **more):
        return self.post("chat/completions", messages=[{"role": "user", "content": PROMPT}], max_tokens=12,
                         temperature=0, **more)


def chat_deltas(answer):
    """The text and the finish reason of a stream."""
    text, reason = "", None
    for line in answer.content.decode().split("\n"):
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        for choice in json.loads(line[6:])["choices"]:
            text += choice["delta"].get("content") or ""
            reason = choice.get("finish_reason") or reason
    return text, reason


@pytest.mark.parametrize("family", tiny_models.DECODERS)
def test_decoder(family, tmp_path):
    folder = tmp_path / family
    tiny_models.build(family, folder)
    with Worker(folder) as worker:
        completion = worker.complete(logprobs=2)
        choice = completion["choices"][0]
        tokens = len(PROMPT.encode())
        # Some tokenizers put a BOS in front by themselves; this one does not.
        assert completion["usage"]["prompt_tokens"] == tokens
        assert choice["finish_reason"] in ("length", "stop")
        assert choice["finish_reason"] == "stop" or completion["usage"]["completion_tokens"] == 12
        assert all(np.isfinite(p) and p <= 0 for p in choice["logprobs"]["token_logprobs"])

        chat = worker.chat().json()
        message = chat["choices"][0]["message"]
        assert message["role"] == "assistant"
        assert chat["usage"]["prompt_tokens"] == tokens + 3  # begin, user, assistant
        assert chat_deltas(worker.chat(stream=True)) == (message["content"], chat["choices"][0]["finish_reason"])
        # The second time the prompt is in the prefix cache.
        again = worker.complete(logprobs=2)
        assert again["choices"][0]["text"] == choice["text"]
        assert again["choices"][0]["logprobs"] == choice["logprobs"]
        assert worker.complete("Something else")["choices"][0]["text"] is not None
    # In chunks of 16 tokens, without a prefix cache: the same bits.
    with Worker(folder, "--max-step-tokens", "16", "--no-prefix-cache") as worker:
        chunked = worker.complete(logprobs=2)
        assert chunked["choices"][0]["logprobs"] == choice["logprobs"]
        assert worker.chat().json()["choices"][0]["message"]["content"] == message["content"]
    # As int4 it still answers.
    with Worker(folder, "--weights", "int4") as worker:
        assert worker.complete()["usage"]["completion_tokens"] >= 1


@pytest.mark.parametrize("family", tiny_models.ENCODERS)
def test_encoder(family, tmp_path):
    folder = tmp_path / family
    config = tiny_models.build(family, folder)
    texts = ["a short text", "another one, which is a little longer than the first one was", "?"]
    with Worker(folder) as worker:
        answer = worker.post("embeddings", input=texts).json()
        vectors = [np.array(row["embedding"]) for row in answer["data"]]
        assert [len(v) for v in vectors] == [config["hidden_size"]] * 3
        lengths = [np.linalg.norm(v) for v in vectors]
        if family == "bge":
            assert lengths == pytest.approx([1.0] * 3, abs=1e-5)
        else:  # as its modules.json says
            assert all(abs(length - 1) > 0.1 for length in lengths)
        for text, vector in zip(texts, vectors):
            alone = worker.post("embeddings", input=text).json()["data"][0]["embedding"]
            assert alone == pytest.approx(vector, abs=1e-6)


def test_gte_takes_8192_tokens(tmp_path):
    config = tiny_models.build("gte", tmp_path / "gte")
    folder = tmp_path / "gte"
    config["max_position_embeddings"] = 8192
    tiny_models.write_json(folder / "config.json", config)
    words = [chr(ord("a") + n * n % 26) for n in range(8190)]  # a token each, and [CLS] and [SEP]
    with Worker(folder) as worker:
        def embed(text):
            answer = worker.post("embeddings", input=text).json()
            return np.array(answer["data"][0]["embedding"]), answer["usage"]["prompt_tokens"]

        vector, tokens = embed(" ".join(words))
        assert tokens == 8192 and np.all(np.isfinite(vector))
        words[8000], words[8001] = words[8001], words[8000]  # far away, and seen by [CLS]
        assert np.abs(embed(" ".join(words))[0] - vector).max() > 1e-7
        refused = requests.post(f"{worker.url}/embeddings", timeout=60,
                                json={"model": "gte", "input": " ".join([*words, "a"])})
        assert refused.status_code == 400 and "8192" in refused.text, refused.text


def test_a_window_forgets(tmp_path):
    """Two prompts that differ before the windows of both layers begin: the same answer."""
    tiny_models.build("mistral", tmp_path / "mistral")
    tail = PROMPT[-60:]  # two layers see at most 2 * 23 tokens back
    with Worker(tmp_path / "mistral") as worker:
        one, two = worker.complete("AAAAAAAAAAAA" + tail, logprobs=1), worker.complete("BBBBBBBBBBBB" + tail, logprobs=1)
        assert one["choices"][0]["logprobs"]["token_logprobs"] == pytest.approx(
            two["choices"][0]["logprobs"]["token_logprobs"], abs=1e-5)
    tiny_models.build("mixtral", tmp_path / "full")
    with Worker(tmp_path / "full") as worker:
        one, two = worker.complete("AAAAAAAAAAAA" + tail, logprobs=1), worker.complete("BBBBBBBBBBBB" + tail, logprobs=1)
        assert one["choices"][0]["logprobs"] != two["choices"][0]["logprobs"]

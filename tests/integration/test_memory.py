"""A worker's memory: weights in their run-time format, keys and values, and 10 %.

Everything counts that /proc/PID/status says is resident, code included, at its peak. What the 10 % are of:
- weights: `tessera_weight_bytes` of the worker's own /metrics, the packed matrices and, for a model whose
  embeddings are not tied, the rows it reads from the mapped file. SmolLM2's are tied, so every byte is packed.
- keys and values, in two measures. Strictly: tokens computed (prompt + generated, also from /metrics) x
  23,040 bytes, the f16 keys and values of one token of this model (2 x 30 layers x 3 heads x 64 x 2 bytes).
  By blocks: `tessera_kv_resident_bytes`, since the cache's memory comes in blocks of 16 tokens and the
  last block of a sequence is rarely full. It reserves far more address space; only what is used is memory.
"""

import re
import subprocess

import pytest
import requests
import support

KV_BYTES_PER_TOKEN = 2 * 30 * 3 * 64 * 2
# Bytes of the weights in each format, as a part of the file's: 4-bit matrices, 8-bit embeddings.
FORMATS = {"stored": (0.95, 1), "f32": (5, 6), "int8": (0.95, 1), "int4": (0.75, 0.9)}


class Worker:
    def __init__(self, model, *flags):
        self.url = f"http://127.0.0.1:{support.free_port()}"
        port = self.url.rsplit(":", 1)[1]
        self.process = subprocess.Popen([support.BINARY, "worker", "--model", model, "--port", port, *flags])

    def __enter__(self):
        support.wait_until(lambda: support.answers(f"{self.url}/ready"), 60, "the worker being ready")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def complete(self, **body):
        answer = requests.post(f"{self.url}/v1/completions", json=body, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def metric(self, name):
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])

    def memory(self, field):
        """Bytes of a line of /proc/PID/status."""
        status = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)[1]) * 1024

    def allowed(self):
        """By the tokens of all requests, none of which found its beginning in the cache."""
        tokens = sum(self.metric(f"tessera_{kind}_tokens_total") for kind in ("prompt", "generation"))
        return 1.10 * (self.metric("tessera_weight_bytes") + tokens * KV_BYTES_PER_TOKEN)

    def allowed_by_blocks(self):
        return 1.10 * (self.metric("tessera_weight_bytes") + self.metric("tessera_kv_resident_bytes"))


@pytest.fixture(scope="module")
def model():
    return next((support.MODELS / "smollm2_135m_instruct").glob("*.gguf"))


def test_memory_is_weights_and_kv_and_ten_percent(model):
    with Worker(model) as worker:
        # The 4-bit matrices and the 8-bit embeddings of the file, each in memory once.
        weights = worker.metric("tessera_weight_bytes")
        assert 0.95 * model.stat().st_size < weights < model.stat().st_size
        # Loading never held the file and the packed copy at once.
        assert worker.memory("VmHWM") <= worker.allowed()

        for prompt in ("The capital of France is", "Once upon a time", "def main():"):
            worker.complete(prompt=prompt, max_tokens=32, temperature=0, ignore_eos=True)
        assert worker.memory("VmHWM") <= worker.allowed()

        # A prompt that takes several steps: scratch memory grows with the tokens of one step.
        worker.complete(prompt="A long story about a short model. " * 40, max_tokens=16, temperature=0)
        assert worker.memory("VmHWM") <= worker.allowed_by_blocks()

        # Rows of the embeddings do not make the mapped file resident again.
        for first in range(0, 48000, 3000):
            worker.complete(prompt=[first + 24 * i for i in range(1, 101)], max_tokens=1, temperature=0)
        assert worker.memory("VmHWM") <= worker.allowed()


@pytest.mark.parametrize("weights", FORMATS)
def test_the_bound_is_that_of_the_run_time_format(model, weights):
    with Worker(model, "--weights", weights) as worker:
        least, most = FORMATS[weights]
        assert least < worker.metric("tessera_weight_bytes") / model.stat().st_size < most
        assert worker.memory("VmHWM") <= worker.allowed()
        worker.complete(prompt="The capital of France is", max_tokens=8, temperature=0, ignore_eos=True)
        assert worker.memory("VmHWM") <= worker.allowed_by_blocks()
        worker.complete(prompt=[100 + 24 * i for i in range(1500)], max_tokens=1)
        assert worker.memory("VmHWM") <= worker.allowed_by_blocks()
        kv_bytes = worker.metric("tessera_kv_resident_bytes")
        assert 1500 * KV_BYTES_PER_TOKEN < kv_bytes < 2000 * KV_BYTES_PER_TOKEN


def test_a_served_entity_chooses_its_weights(server):
    """environment_vars of a served entity reach its worker: TESSERA_WEIGHTS is --weights."""
    def body(name, **variables):
        return {"name": name, "config": {"served_entities": [{
            "name": "small", "entity_name": "system.ai.smollm2_135m_instruct", "entity_version": "1",
            "environment_vars": variables}]}}

    refused = server.post("/api/2.0/serving-endpoints", body("in-int3", TESSERA_WEIGHTS="int3"))
    assert refused.status_code == 400
    assert "TESSERA_WEIGHTS: got 'int3', want stored, f32" in refused.json()["message"]
    wanted = body("in-int4", TESSERA_WEIGHTS="int4", TESSERA_KV_MEMORY="64MiB",
                  TESSERA_WORKER_THREADS="1")
    assert server.post("/api/2.0/serving-endpoints", wanted).status_code == 200
    try:
        support.wait_until(lambda: server.endpoint("in-int4")["state"]["ready"] == "READY", 60, "READY")
        pids = server.worker_pids("smollm2_135m_instruct")
        environments = {pid: open(f"/proc/{pid}/environ").read() for pid in pids}
        (ours,) = [pid for pid, held in environments.items() if "TESSERA_WEIGHTS=int4" in held]
        assert len(pids) == 2  # the default endpoint's worker, and this one
        # An option of its command line would go before its environment.
        assert "--threads" not in open(f"/proc/{ours}/cmdline").read().split("\0")
        told = requests.get(f"{server.url}/api/2.0/serving-endpoints/in-int4/served-models/small/logs",
                            headers=server.headers, timeout=10).json()["logs"]
        assert f"kv_blocks={(64 << 20) // (16 * KV_BYTES_PER_TOKEN)}" in told, told
        answer = server.post("/serving-endpoints/in-int4/invocations",
                             {"prompt": "The capital of France is", "max_tokens": 4})
        assert answer.status_code == 200, answer.text
    finally:
        requests.delete(f"{server.url}/api/2.0/serving-endpoints/in-int4", headers=server.headers,
                        timeout=60)

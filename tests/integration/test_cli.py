"""The one binary's other commands."""

import json
import os
import signal
import subprocess
import time

import openai
import pytest
import requests
from support import BINARY, CHAT, MODELS, answers, free_port, wait_until


def tessera(*words, server=None, check=True, stdin=None, timeout=120):
    env = dict(os.environ)
    if server:
        env |= {"TESSERA_HOST": server.url, "TESSERA_DATA_DIR": str(server.data_dir)}
    done = subprocess.run([BINARY, *map(str, words)], env=env, capture_output=True, text=True, timeout=timeout,
                          input=stdin)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("command", ["serve", "worker", "chat", "bench", "models", "token"])
def test_help_of_every_command(command):
    text = tessera(command, "--help").stdout
    assert "--help" in text and "Usage" in text or "OPTIONS" in text.upper()
    assert command in tessera("--help").stdout


def test_unknown_flags_and_values_are_refused():
    assert tessera("serve", "--frobnicate", check=False).returncode != 0
    done = tessera("worker", "--model", "/nowhere", check=False)
    assert done.returncode != 0 and "/nowhere" in done.stderr + done.stdout


def test_not_loopback_needs_tls_or_a_flag(tmp_path):
    done = tessera("serve", "--address", "0.0.0.0", "--data-dir", tmp_path / "d", check=False, timeout=20)
    assert done.returncode != 0 and "TLS" in done.stderr


def test_flag_environment_and_file_agree(tmp_path):
    port = free_port()
    file = tmp_path / "tessera.toml"
    file.write_text("[serve]\naddress = \"0.0.0.0\"\n")
    done = tessera("--config", file, "serve", "--port", port, "--data-dir", tmp_path / "d", check=False, timeout=20)
    assert done.returncode != 0 and "0.0.0.0" in done.stderr
    env = {**os.environ, "TESSERA_ADDRESS": "0.0.0.0"}
    done = subprocess.run([BINARY, "serve", "--data-dir", tmp_path / "d"], env=env, capture_output=True, text=True,
                          timeout=20)
    assert done.returncode != 0 and "0.0.0.0" in done.stderr


def test_chat_one_message_and_a_conversation(server):
    done = tessera("chat", CHAT, "-m", "What is the capital of France? Answer in one word.", "--temperature", 0, "--max-tokens", 16,
                   server=server)
    assert "Paris" in done.stdout
    done = tessera("chat", CHAT, "--max-tokens", 8, server=server, stdin="Hello\nHow are you?\n")
    assert len(done.stdout.strip().splitlines()) >= 2
    assert tessera("chat", "nope", "-m", "x", server=server, check=False).returncode == 1


def test_tokens(server):
    token = tessera("token", "create", "--comment", "ci", server=server).stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{server.url}/api/2.0/serving-endpoints", headers=headers, timeout=10).status_code == 200
    listed = tessera("token", "list", server=server).stdout
    assert "ci" in listed and token not in listed
    token_id = next(line.split()[0] for line in listed.splitlines() if line.endswith("ci"))
    tessera("token", "revoke", token_id, server=server)
    assert requests.get(f"{server.url}/api/2.0/serving-endpoints", headers=headers, timeout=10).status_code == 401


def test_models_list_register_inspect(server, chat_model_path):
    assert "system.ai.smollm2_135m_instruct" in tessera("models", "list", server=server).stdout
    text = tessera("models", "inspect", chat_model_path).stdout
    assert "llama" in text and "8192" in text and "49152" in text
    done = tessera("models", "register", "main.cli.mine", chat_model_path, server=server)
    assert done.stdout.strip() == "main.cli.mine version 1"
    assert "main.cli.mine" in tessera("models", "list", server=server).stdout


def test_standalone_worker_on_gguf_and_folder(chat_model_path):
    for path, route, body in [
        (chat_model_path, "chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}),
        (MODELS / "all_minilm_l6_v2", "embeddings", {"input": "hello"}),
    ]:
        port = free_port()
        worker = subprocess.Popen([BINARY, "worker", "--model", path, "--port", str(port)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/ready"), 30, "the worker's /ready")
            client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
            model = client.models.list().data[0].id
            answer = requests.post(f"http://127.0.0.1:{port}/v1/{route}", json={"model": model, **body}, timeout=60)
            assert answer.status_code == 200, answer.text
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0


def test_bench_reports_numbers(chat_model_path):
    done = tessera("bench", "--model", chat_model_path, "--repetitions", 1, "--prompt", 64, "--generate", 16,
                   "--clients", "2", "--load-prompt", 16, "--load-generate", 8, "--json")
    report = json.loads(done.stdout)
    assert report["prompt_tokens_per_second"] > 0 and report["generated_tokens_per_second"] > 0
    assert report["load"][0]["failures"] == 0 and report["load"][0]["tokens_per_second"] > 0


def test_idle_server_sleeps(own_server):
    """No busy waiting: the whole family of processes uses next to no CPU when nobody asks."""

    def cpu_seconds():
        pids = [own_server.process.pid, *own_server.worker_pids("worker")]
        ticks = 0
        for pid in pids:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    time.sleep(1)
    before = cpu_seconds()
    time.sleep(2)
    assert cpu_seconds() - before < 0.2

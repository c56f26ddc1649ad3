"""Workers that die, clients that leave, servers that are told to stop."""

import json
import os
import signal
import threading
import time

import requests
from support import CHAT, answers, wait_until

LONG = {"messages": [{"role": "user", "content": "Tell me a very long story about a river."}],
        "max_tokens": 2000, "temperature": 1.0, "ignore_eos": True, "stream": True}


def open_stream(server, body=LONG, name=CHAT):
    return requests.post(f"{server.url}/serving-endpoints/{name}/invocations", json=body,
                         headers=server.headers, stream=True, timeout=120)


def events(response):
    for line in response.iter_lines():
        if line.startswith(b"data: "):
            yield line[6:].decode()


def test_killed_worker_is_told_shown_and_back(own_server):
    server = own_server
    (worker,) = server.worker_pids("smollm2")
    seen = []
    with open_stream(server) as response:
        assert response.status_code == 200
        for n, event in enumerate(events(response)):
            seen.append(event)
            if n == 5:
                os.kill(worker, signal.SIGKILL)
    last = json.loads(seen[-1])  # truthful: an error event, and no [DONE]
    assert last["error"]["message"] and last["error_code"]
    assert "[DONE]" not in seen
    assert all(c.get("finish_reason") is None for e in seen[:-1] for c in json.loads(e)["choices"])

    # The endpoint showed it or is back already; it must come back by itself with another process.
    # Its process first: an endpoint whose death was not noticed yet still says READY.
    wait_until(lambda: server.worker_pids("smollm2") not in ([], [worker])
               and server.endpoint(CHAT)["state"]["ready"] == "READY", 30, "the worker's return")
    answer = server.post(f"/serving-endpoints/{CHAT}/invocations",
                         {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4})
    assert answer.status_code == 200
    assert server.process.poll() is None
    assert not answers(f"{server.url}/nope", 200)


def test_hung_worker_is_noticed_told_and_back(tmp_path):
    from support import Server

    with Server(tmp_path / "t", "--worker-hang-timeout", "2s") as server:
        wait_until(server.all_local_ready, 60, "READY")
        (worker,) = server.worker_pids("smollm2")
        seen = []
        with open_stream(server) as response:
            for n, event in enumerate(events(response)):
                seen.append(event)
                if n == 5:
                    os.kill(worker, signal.SIGSTOP)
        assert json.loads(seen[-1])["error"]["message"]
        assert "[DONE]" not in seen
        wait_until(lambda: server.worker_pids("smollm2") not in ([], [worker])
                   and server.endpoint(CHAT)["state"]["ready"] == "READY", 30, "the worker's return")
        answer = server.post(f"/serving-endpoints/{CHAT}/invocations",
                             {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4})
        assert answer.status_code == 200


def test_kills_in_a_row_never_take_the_gateway_down(own_server):
    server = own_server
    states = set()
    for _ in range(3):
        for pid in server.worker_pids("worker"):
            os.kill(pid, signal.SIGKILL)
        for _ in range(20):
            states.add(server.endpoint(CHAT)["state"]["ready"])
            code = server.post(f"/serving-endpoints/{CHAT}/invocations",
                               {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}).status_code
            assert code in (200, 500, 502, 503)
        wait_until(server.all_local_ready, 30, "READY again")
    assert "NOT_READY" in states  # it was shown


def test_client_that_leaves_frees_its_sequence(own_server):
    server = own_server
    response = open_stream(server)
    stream = events(response)
    next(stream)
    wait_until(lambda: server.worker_gauge("smollm2", "tessera_requests_running") == 1, 5, "the sequence's begin")
    response.close()
    wait_until(lambda: server.worker_gauge("smollm2", "tessera_requests_running") == 0, 2,
               "the sequence's end after its client left")


def test_sigterm_lets_streams_finish_and_refuses_new_requests(own_server):
    server = own_server
    body = {**LONG, "max_tokens": 200}
    seen = []

    def read():
        with open_stream(server, body) as response:
            seen.extend(events(response))

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: len(seen) > 3, 20, "the stream's begin")
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    refused = requests.post(f"{server.url}/serving-endpoints/{CHAT}/invocations", json=body,
                            headers=server.headers, timeout=10)
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    reader.join(60)
    assert seen[-1] == "[DONE]"
    assert server.process.wait(30) == 0


def test_drain_deadline_cuts_what_does_not_end(tmp_path):
    from support import Server

    with Server(tmp_path / "t", "--drain-timeout", "1s") as server:
        with open_stream(server, {**LONG, "max_tokens": 6000}) as response:
            stream = events(response)
            next(stream)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            try:
                rest = list(stream)
            except requests.RequestException:
                rest = []
            assert "[DONE]" not in rest
            server.process.wait(20)
            assert time.monotonic() - began < 15


def test_hard_kill_loses_no_endpoint_and_leaves_no_worker(tmp_path):
    from support import Server

    server = Server(tmp_path / "t").start()
    workers = server.worker_pids("worker")
    made = server.post("/api/2.0/serving-endpoints", {"name": "empty"})
    assert made.status_code == 200
    server.stop(signal.SIGKILL)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 10, "the workers' end")
    with Server(tmp_path / "t") as again:
        assert again.endpoint("empty")["name"] == "empty"

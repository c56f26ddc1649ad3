#!/usr/bin/env python3
"""What the gateway adds in front of external providers, dialect by dialect.

    benchmarks/gateway/providers.py [--rounds 3] [--seconds 0.5] [--connections 1,16,64] [--only openai,vertex]

The mock provider of the tests answers once for each dialect, plain and streamed (200 words), through a
gateway with an endpoint for each; what it was sent and what it answered is kept. Then a fast server without
any knowledge of dialects takes its port and repeats the answers, so what is measured is the gateway: the
same wire request sent to that server directly, and the client's request sent to the gateway in front of it.
Both alternate inside each round, over keep-alive connections. Plain requests are a closed loop. Streams
pause for 200 ms after their first eight events, so that the first ones travel alone, and then come as fast as
they can; three per second and connection are begun (with one connection as many as it can). Needs the build
of the preset `release` (or TESSERA_BUILD=build/other) and the Python packages of the integration tests.
"""

import argparse
import base64
import contextlib
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from provider_grid import GRID, MockProvider, configs, external  # noqa: E402
from support import BUILD, Server, answers, free_port, wait_until  # noqa: E402

TOOLS = BUILD / "benchmarks/gateway"
KINDS = ("plain", "stream")
PAUSE_MS, STREAMS_PER_CONNECTION = 200, 3  # of streams; per second


class Recorder(MockProvider):
    """Keeps the latest request and answer, and its connections short so that the port can change hands."""

    def answer(self, request):
        answer = super().answer(request)
        self.seen.append((request, answer))
        answer.headers = {**answer.headers, "connection": "close"}
        return answer

    def __enter__(self):
        self.seen = []
        return super().__enter__()


def canned(request, answer):
    headers = {name: value for name, value in answer.headers.items() if name != "connection"}
    entry = {"path": request.path.split("?")[0], "stream": b'"stream":true' in request.body,
             "content_type": answer.content_type, "headers": headers}
    if answer.frames is None:
        return {**entry, "body": base64.b64encode(answer.body).decode()}
    return {**entry, "pieces": [base64.b64encode(frame).decode() for frame in answer.frames]}


def client_body(task, kind):
    prompt = "1+1?" if kind == "plain" else "Go [[long]]"
    body = {"messages": [{"role": "user", "content": prompt}]} if task == "chat" else {"prompt": prompt}
    return {**body, "stream": True} if kind == "stream" else body


def said(response):
    """The text of an answer, whole or in events."""
    assert response.status_code == 200, response.text
    values = [response.json()] if "json" in response.headers["content-type"] else [
        json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: {")]
    text = ""
    for choice in (choice for value in values for choice in value["choices"]):
        message = choice.get("message") or choice.get("delta") or choice
        text += message.get("content") or message.get("text") or ""
    assert text, response.text
    return text


def measure(case, side, kind, connections, args):
    target, path, token, body = case[side]
    paced = kind == "stream" and connections > 1
    command = [TOOLS / "rate_load", "--target", target, "--path", path, "--connections", str(connections),
               "--rate", str(connections * STREAMS_PER_CONNECTION if paced else 0), "--body", body,
               "--seconds", str(args.stream_seconds if kind == "stream" else args.seconds)]
    command += ["--token", token] if token else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def prepare(server, mock, names, folder):
    """An endpoint for each dialect, and (dialect, kind) -> how to ask the upstream and the gateway."""
    cases, entries, texts = {}, [], {}
    every = configs(mock.url)
    for name in names:
        provider, config, models = every[name]
        task = "chat" if "chat" in models else "completions"
        made = server.post("/api/2.0/serving-endpoints", {"name": f"bench-{name}", "config": {
            "served_entities": [external(provider, config, models[task], task)]}})
        assert made.status_code == 200, made.text
        path = f"/serving-endpoints/bench-{name}/invocations"
        for kind in KINDS:
            body = client_body(task, kind)
            mock.seen.clear()
            text = said(server.post(path, body))
            *tokens, (request, answer) = mock.seen
            entries += [canned(*seen) for seen in tokens]
            if kind == "stream" and answer.frames is None:
                continue  # the provider has no streams; the gateway cuts the whole answer
            entries.append(canned(request, answer))
            files = {}
            for side, content in (("direct", request.body), ("gateway", json.dumps(body).encode())):
                files[side] = folder / f"{name}-{kind}-{side}.json"
                files[side].write_bytes(content)
            cases[name, kind] = {"direct": (mock.url, request.path, "", files["direct"]),
                                 "gateway": (server.url, path, server.token, files["gateway"])}
            texts[name, kind] = (path, body, text)
    return cases, entries, texts


@contextlib.contextmanager
def repeating(port, entries, folder):
    (folder / "canned.json").write_text(json.dumps(entries))
    process = subprocess.Popen([TOOLS / "mock_upstream", "--port", str(port), "--canned", folder / "canned.json",
                                "--pause-ms", str(PAUSE_MS)])
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/ready"), 10, "the repeating upstream")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def spread(values):
    if len(values) < 2:
        return f"{values[0]:.0f}"
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.0f} [{low:.0f}, {high:.0f}]"


def table(kind, connections, rows):
    """`rows`: dialect -> [{side: figures} per round]; prints Markdown, times in microseconds."""
    head = ["direct p50", "added p50", "ratio", "direct p99", "added p99", "ratio", "requests/s"]
    if kind == "stream":
        head = ["events", "first: direct p50", "added p50", "ratio", "direct p99", "added p99", "per event: direct",
                "added", "ratio"]
    print(f"\n{'Plain' if kind == 'plain' else 'Streams'}, connections: {connections}\n")
    print("| dialect | " + " | ".join(head) + " |\n|" + "---|" * (len(head) + 1))
    for name, rounds in rows.items():
        def direct(figure):
            return statistics.median(figure(r["direct"]) for r in rounds)

        def added(figure):
            return [figure(r["gateway"]) - figure(r["direct"]) for r in rounds]

        def ratio(figure):
            return f"{statistics.median(figure(r['gateway']) / max(figure(r['direct']), 0.01) for r in rounds):.2f}"

        p50, p99, first50, first99 = (lambda r, k=key: r[k] for key in ("p50", "p99", "first_p50", "first_p99"))
        if kind == "plain":
            cells = [f"{direct(p50):.0f}", spread(added(p50)), ratio(p50), f"{direct(p99):.0f}", spread(added(p99)),
                     ratio(p99), f"{statistics.median(r['gateway']['per_second'] for r in rounds):.0f}"]
        else:
            events = rounds[0]["direct"]["pieces"]  # the provider's; the gateway sends several at once where it can

            def per_event(run):
                return (run["p50"] - run["first_p50"] - PAUSE_MS * 1000) / (events - 1)

            cells = [f"{events}", f"{direct(first50):.0f}", spread(added(first50)), ratio(first50), f"{direct(first99):.0f}",
                     spread(added(first99)), f"{direct(per_event):.1f}", f"{statistics.median(added(per_event)):.1f}",
                     ratio(per_event)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--stream-seconds", type=float, default=2)
    parser.add_argument("--connections", default="1,16,64")
    parser.add_argument("--only", default=",".join(GRID))
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        folder, port = pathlib.Path(folder), free_port()
        # Its own models are mocks, too, so that nothing else runs.
        with Server(folder / "data", "--allow-private-upstreams", "127.0.0.1",
                    "--worker-executable", TOOLS / "mock_upstream") as server:
            with Recorder(port) as mock:
                cases, entries, texts = prepare(server, mock, args.only.split(","), folder)
            with repeating(port, entries, folder):
                for path, body, text in texts.values():
                    assert said(server.post(path, body)) == text, f"{path}: not the recorded answer"
                for connections in map(int, args.connections.split(",")):
                    rows = {kind: {} for kind in KINDS}
                    for _ in range(args.rounds):
                        for (name, kind), case in cases.items():
                            rows[kind].setdefault(name, []).append(
                                {side: measure(case, side, kind, connections, args) for side in ("direct", "gateway")})
                    for kind in KINDS:
                        table(kind, connections, rows[kind])


if __name__ == "__main__":
    main()

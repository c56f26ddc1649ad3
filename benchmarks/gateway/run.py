#!/usr/bin/env python3
"""What the gateway adds: a mock upstream direct, behind nginx, and behind Tessera.

    benchmarks/gateway/run.py [--rounds 7] [--seconds 2] [--stream]

Variants alternate inside each round; the differences to `direct` of the same round are summarised by
median and interquartile range. Needs nginx, and the build of the preset `release`.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from support import CHAT, Server, free_port, wait_until  # noqa: E402

BUILD = ROOT / "build/release/benchmarks/gateway"
LOADS = [("1000/s", 1000, 16), ("3000/s", 3000, 16), ("closed, 16 connections", 0, 16)]

NGINX = """
{user} worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream mock {{ server unix:{socket}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def measure(target, path, token, rate, connections, seconds, stream):
    command = [BUILD / "rate_load", "--target", target, "--path", path, "--rate", str(rate),
               "--connections", str(connections), "--seconds", str(seconds)]
    command += ["--token", token] if token else []
    command += ["--stream"] if stream else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--stream", action="store_true")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        socket, port = folder / "mock.sock", free_port()
        mock = subprocess.Popen([BUILD / "mock_upstream", "--unix-socket", socket])
        (folder / "nginx.conf").write_text(NGINX.format(
            folder=folder, socket=socket, port=port, user="user root;" if os.getuid() == 0 else ""))
        wait_until(socket.exists, 5, "the mock's socket")
        nginx = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-p", folder])
        time.sleep(0.5)
        try:
            with Server(folder / "data", "--worker-executable", BUILD / "mock_upstream") as server:
                path = f"/serving-endpoints/{CHAT}/invocations"
                variants = {
                    "direct": (f"unix:{socket}", "/v1/chat/completions", ""),
                    "nginx": (f"http://127.0.0.1:{port}", "/v1/chat/completions", ""),
                    "tessera": (server.url, path, server.token),
                }
                for label, rate, connections in LOADS:
                    rows = []
                    for _ in range(args.rounds):
                        rows.append({name: measure(*where, rate, connections, args.seconds, args.stream)
                                     for name, where in variants.items()})
                    report(label, rows, args.stream)
        finally:
            for process in (nginx, mock):
                process.send_signal(signal.SIGTERM)
                process.wait()


def report(label, rows, stream):
    print(f"\n{label}")
    for key in ("p50", "p99") + (("first_p50", "first_p99") if stream else ()):
        direct = statistics.median(r["direct"][key] for r in rows)
        print(f"  {key:9} direct {direct:8.0f} us", end="")
        medians = {}
        for name in ("nginx", "tessera"):
            added = [r[name][key] - r["direct"][key] for r in rows]
            low, middle, high = statistics.quantiles(added, n=4) if len(added) > 1 else added * 3
            medians[name] = middle
            print(f"   {name} +{middle:7.0f} us [{low:.0f}, {high:.0f}]", end="")
        print(f"   tessera/nginx {medians['tessera'] / medians['nginx']:.2f}x" if medians["nginx"] > 0 else "")
    for name in ("direct", "nginx", "tessera"):
        print(f"  {name:9} {statistics.median(r[name]['per_second'] for r in rows):10.0f} requests/s")


if __name__ == "__main__":
    main()

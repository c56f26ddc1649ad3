#!/usr/bin/env python3
"""Time from starting `tessera worker` to its first token, and its resident memory.

    benchmarks/cold_start.py --model FILE [--rounds 5]
"""

import argparse
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import requests

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from support import BINARY, free_port  # noqa: E402


def memory_mb(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1000
    return 0.0


def one_round(args):
    port = free_port()
    begin = time.monotonic()
    worker = subprocess.Popen([BINARY, "worker", "--model", args.model, "--port", str(port)],
                              stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                answer = requests.post(f"http://127.0.0.1:{port}/v1/completions", timeout=60, json={
                    "model": "x", "prompt": "Hello", "max_tokens": 1, "temperature": 0})
                answer.raise_for_status()
                break
            except requests.ConnectionError:
                time.sleep(0.005)
        first = time.monotonic() - begin
        return first, memory_mb(worker.pid, "VmRSS"), memory_mb(worker.pid, "VmHWM")
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rows = [one_round(args) for _ in range(args.rounds)]
    first, resident, peak = (statistics.median(column) for column in zip(*rows))
    print(f"first token after {first:.3f} s, resident {resident:.0f} MB, peak {peak:.0f} MB, "
          f"file {pathlib.Path(args.model).stat().st_size / 1e6:.0f} MB (medians of {args.rounds})")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Tessera and llama.cpp side by side: same file, same threads, variants alternating in each round.

    benchmarks/compare_llama_cpp.py --llama-bin DIR --model FILE [--rounds 5] [--threads 2]
                                    [--clients 16] [--skip-engine] [--skip-load] …

DIR holds llama-bench and llama-server built from llama.cpp's own sources. Prints medians and the
median of the per-round ratios (Tessera / llama.cpp; above 1 is faster).
"""

import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from support import BINARY, answers, free_port, wait_until  # noqa: E402


def run_json(command):
    return json.loads(subprocess.run([str(c) for c in command], check=True, capture_output=True,
                                     text=True).stdout)


def tessera_engine(args):
    r = run_json([BINARY, "bench", "--model", args.model, "--engine-only", "--json", "--repetitions", 1,
                  "--threads", args.threads, "--prompt", args.prompt, "--generate", args.generate])
    if "prompt_tokens_per_second" in r:
        return {"prompt": r["prompt_tokens_per_second"], "generate": r["generated_tokens_per_second"]}
    return {key.removeprefix("embeddings_per_second_at_") + " tokens": value for key, value in r.items()
            if key.startswith("embeddings_per_second_at_")}


def llama_engine(args, embeddings):
    command = [args.llama_bin / "llama-bench", "-m", args.model, "-t", args.threads, "-r", 1, "-o", "json"]
    if embeddings:
        rows = run_json(command + ["-p", "128,512", "-n", 0, "-embd", 1])
        return {f"{row['n_prompt']} tokens": row["avg_ts"] / row["n_prompt"] for row in rows}
    rows = run_json(command + ["-p", args.prompt, "-n", args.generate])
    return {"prompt": next(r["avg_ts"] for r in rows if r["n_prompt"]),
            "generate": next(r["avg_ts"] for r in rows if r["n_gen"])}


class Process:
    def __init__(self, command, ready):
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_until(lambda: answers(ready), 120, ready)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def load(url, args, vocab):
    command = [BINARY, "bench", "--url", url, "--vocab-size", vocab, "--model-name", "bench", "--json",
               "--clients", args.clients, "--load-prompt", args.load_prompt, "--load-generate", args.load_generate,
               "--requests", args.requests]
    row = run_json(command + (["--embeddings"] if args.embeddings else []))["load"][0]
    if row["failures"]:
        sys.exit(f"{url}: {row['first_failure']}")
    row.pop("clients")
    row.pop("failures")
    return row


def summary(title, rounds):
    print(f"\n{title}")
    for key in rounds[0]["tessera"]:
        ours = [r["tessera"][key] for r in rounds]
        theirs = [r["llama.cpp"][key] for r in rounds]
        ratios = [a / b for a, b in zip(ours, theirs) if b]
        print(f"  {key:20} tessera {statistics.median(ours):10.2f}   llama.cpp {statistics.median(theirs):10.2f}"
              f"   ratio {statistics.median(ratios):5.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama-bin", type=pathlib.Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--requests", type=int, default=2, help="of each client")
    parser.add_argument("--load-prompt", type=int, default=128)
    parser.add_argument("--load-generate", type=int, default=64)
    parser.add_argument("--skip-engine", action="store_true")
    parser.add_argument("--skip-load", action="store_true")
    args = parser.parse_args()
    inspected = subprocess.run([BINARY, "models", "inspect", args.model], check=True, capture_output=True,
                               text=True).stdout
    vocab = next(line.split()[-1] for line in inspected.splitlines() if line.startswith("vocabulary"))
    args.embeddings = "llm/v1/embeddings" in inspected
    print(f"{pathlib.Path(args.model).name}, {args.threads} threads, {args.rounds} rounds")

    if not args.skip_engine:
        rounds = []
        for _ in range(args.rounds):
            ours = tessera_engine(args)
            rounds.append({"tessera": ours, "llama.cpp": llama_engine(args, args.embeddings)})
        summary("engine, per second", rounds)
    if not args.skip_load:
        rounds = []
        a, b = free_port(), free_port()
        ours = ["worker", "--model", args.model, "--port", a, "--name", "bench", "--threads",
                args.threads, "--no-prefix-cache"]
        theirs = [args.llama_bin / "llama-server", "-m", args.model, "-t", args.threads, "--port", b,
                  "-np", args.clients, "-c", args.clients * 512]
        theirs += ["--embedding", "-ub", 512] if args.embeddings else ["--no-cache-prompt"]
        # Only one server computes at a time; an idle one sleeps.
        servers = [Process([BINARY, *ours], f"http://127.0.0.1:{a}/ready"),
                   Process(theirs, f"http://127.0.0.1:{b}/health")]
        try:
            for _ in range(args.rounds):
                mine = load(f"http://127.0.0.1:{a}/v1", args, vocab)
                rounds.append({"tessera": mine, "llama.cpp": load(f"http://127.0.0.1:{b}/v1", args, vocab)})
        finally:
            for server in servers:
                server.stop()
        shape = f"{args.load_prompt} prompt" + ("" if args.embeddings else f" + {args.load_generate} generated")
        summary(f"served, {args.clients} clients, {shape} tokens", rounds)


if __name__ == "__main__":
    main()

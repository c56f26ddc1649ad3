#!/usr/bin/env python3
"""Shows that the tests notice the bugs they are there for.

    python3 tests/mutation/mutate.py [NAME …]

Takes a copy of the committed tree (build/mutation/tree), puts each bug of mutations.toml into it by
itself, builds the tests again and runs them: a bug that no test notices makes the script fail.
The outcome is written to build/mutation/table.md. Nothing outside of build/mutation is touched.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "build/mutation"
TREE, BUILD = WORK / "tree", WORK / "build"
TIMEOUT_S = 300


def copy_tree(commit):
    subprocess.run(["rm", "-rf", TREE], check=True)
    TREE.mkdir(parents=True)
    archive = subprocess.Popen(["git", "-C", ROOT, "archive", commit], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", TREE], stdin=archive.stdout, check=True)
    if archive.wait() != 0:
        sys.exit(f"git archive {commit} failed")


def build(binary, jobs):
    """None, or what the compiler said."""
    done = subprocess.run(["nice", "ninja", "-C", BUILD, f"-j{jobs}", f"{binary}_test"],
                          capture_output=True, text=True)
    return None if done.returncode == 0 else done.stdout[-2000:]


def failed_tests(binary, tests):
    """Names of the tests that fail, and how many ran. A crash counts as a failure of all."""
    try:
        done = subprocess.run([BUILD / f"src/{binary}/{binary}_test", f"--gtest_filter={tests}"], cwd=TREE,
                              capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return ["(timeout)"], 0
    ran = re.search(r"^\[=+\] (\d+) tests? from .* ran\.", done.stdout, re.M)
    if ran is None:
        return [f"(left with {done.returncode})"], 0
    return sorted(set(re.findall(r"^\[  FAILED  \] ([^\s,]+\.[^\s,]+)", done.stdout, re.M))), int(ran.group(1))


def put(mutation):
    path = TREE / mutation["file"]
    text = path.read_text()
    for old, new in mutation["edits"]:
        if text.count(old) != 1:
            sys.exit(f"{mutation['name']}: {mutation['file']} holds the text {text.count(old)} times, wanted 1:\n{old}")
        text = text.replace(old, new)
    path.write_text(text)


def short(names):
    shown = ", ".join(f"`{n.split('.', 1)[-1]}`" for n in names[:2])
    return shown + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="mutations to try; default: all")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--check-only", action="store_true", help="only see whether every bug still fits the tree")
    options = parser.parse_args()
    mutations = tomllib.loads((HERE / "mutations.toml").read_text())["mutation"]
    unknown = set(options.names) - {m["name"] for m in mutations}
    if unknown:
        sys.exit(f"no such mutation: {', '.join(sorted(unknown))}")
    chosen = [m for m in mutations if not options.names or m["name"] in options.names]

    copy_tree(options.commit)
    originals = {m["file"]: (TREE / m["file"]).read_bytes() for m in chosen}
    if options.check_only:
        for m in chosen:
            put(m)
            (TREE / m["file"]).write_bytes(originals[m["file"]])
        print(f"{len(chosen)} mutations fit")
        return
    subprocess.run(["cmake", "--preset", "release", "-S", TREE, "-B", BUILD], cwd=TREE, check=True,
                   stdout=subprocess.DEVNULL)
    for binary in sorted({m.get("binary", "models") for m in chosen}):
        error = build(binary, options.jobs)
        if error:
            sys.exit(f"the unchanged tree does not build:\n{error}")
    for binary, tests in sorted({(m.get("binary", "models"), m["tests"]) for m in chosen}):
        failed, ran = failed_tests(binary, tests)
        if failed or ran == 0:
            sys.exit(f"the unchanged tree fails {binary}_test {tests}: {failed or 'nothing ran'}")

    rows, survivors = [], []
    for m in chosen:
        binary, began = m.get("binary", "models"), time.monotonic()
        put(m)
        error = build(binary, options.jobs)
        failed, ran = ([], 0) if error else failed_tests(binary, m["tests"])
        (TREE / m["file"]).write_bytes(originals[m["file"]])
        verdict = f"{len(failed)} of {ran}: {short(failed)}" if failed else "**NOT NOTICED**"
        if error:  # proves nothing, so it counts as not noticed
            verdict = "**DOES NOT BUILD**"
            print(error)
        if not failed:
            survivors.append(m["name"])
        rows.append(f"| {m['name']} | {m['bug']} | `{pathlib.Path(m['file']).name}` | {verdict} |")
        print(f"{m['name']}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    table = "| mutation | bug | in | tests that fail |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    (WORK / "table.md").write_text(table)
    if survivors:
        sys.exit(f"not noticed: {', '.join(survivors)}")
    print(f"all {len(rows)} noticed")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the checklist of docs/providers.md from the golden folders: what is proven, and how often.

Every folder of tests/golden/<dialect> is a case (see src/providers/golden_test.cpp); a row counts
the cases of its provider and task. Exits with 1 when a cell that must be proven is empty, or
a known trap (provider_traps/traps.json) has lost its test. --check
writes nothing: counts that have grown since are no failure.
"""
import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden"
DOCUMENT = ROOT / "docs/providers.md"
BEGIN = "<!-- checklist: written by scripts/provider_checklist.py -->"
END = "<!-- end of checklist -->"
COLUMNS = ["plain", "stream", "tools", "structured", "images", "usage", "errors"]
STREAMS = ["upstream.sse", "upstream.ndjson", "upstream.frames", "upstream.array"]
TASKS = ("chat_", "completions_", "embeddings_")


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


class Case:
    """One golden folder, and which columns it proves."""

    def __init__(self, folder, defaults):
        own = read_json(folder / "config.json") or {}
        merged = {**defaults, **own}
        self.task = folder.name.split("_")[0]
        self.provider = merged.get("provider", folder.parent.name)
        self.model = merged.get("name", "upstream-model")
        self.options = {**defaults.get("config", {}), **own.get("config", {})}
        self.proves = set(self.columns(folder))

    def columns(self, folder):
        client = read_json(folder / "client.json") or {}
        reply = read_json(folder / "reply.json") or {}
        wire = (folder / "wire.json").exists()
        if (folder / "error.json").exists():
            yield "errors"
        if "error" in reply:
            yield "errors"
            return
        text = ""
        if reply:
            yield "plain"
            text = json.dumps(reply)
        elif wire and client.get("stream") and not any((folder / s).exists() for s in STREAMS):
            yield "emulated stream"
        if any((folder / s).exists() for s in STREAMS):
            text = (folder / "reply.sse").read_text()
            if not text.rstrip().endswith("[DONE]"):
                yield "errors"
                return
            yield "stream"
        if '"usage": {' in text or '"usage":{' in text:
            yield "usage"
        if '"tool_calls"' in text or (wire and (client.get("tools") or client.get("functions"))):
            yield "tools"
        if wire and (client.get("response_format") or {}).get("type", "text") != "text":
            yield "structured"
        if wire and '"image_url"' in json.dumps(client.get("messages", [])):
            yield "images"


def read_cases():
    for dialect in sorted(GOLDEN.iterdir()):
        defaults = read_json(dialect / "config.json") or {}
        for folder in sorted(dialect.iterdir() if dialect.is_dir() else []):
            if folder.is_dir() and folder.name.startswith(TASKS):
                yield Case(folder, defaults)


def azure(case):
    return case.options.get("openai_api_type", "openai").lower() != "openai"


def bedrock(vendor, converse=False):
    def match(case):
        options = case.options
        uses_converse = options.get("bedrock_chat_api", "invoke") == "converse"
        if converse:
            return uses_converse
        return options.get("bedrock_provider", "").lower() == vendor and not uses_converse
    return match


def model(pattern):
    return lambda case: re.search(pattern, case.model) is not None


V1_CHAT = r"^(command|command-light|.*nightly)$"
BY_CHAT = r"^(command-r|command-a|c4ai|north)"
NO = {"tools", "structured", "images"}  # what completions do not have
EMBED = NO | {"stream"}
# (row, provider, task, which of its cases, columns that it does not have, remarks per column)
ROWS = [
    ("OpenAI completions (legacy models)", "openai", "completions", lambda c: not azure(c), NO, {}),
    ("OpenAI chat", "openai", "chat", lambda c: not azure(c), set(), {}),
    ("OpenAI embeddings", "openai", "embeddings", lambda c: not azure(c), EMBED, {}),
    ("Azure completions, key and Entra ID", "openai", "completions", azure, NO, {}),
    ("Azure chat, key and Entra ID", "openai", "chat", azure, set(), {}),
    ("Azure embeddings", "openai", "embeddings", azure, EMBED, {}),
    ("Custom URL, completions", "custom", "completions", None, NO, {}),
    ("Custom URL, chat", "custom", "chat", None, set(), {}),
    ("Custom URL, embeddings", "custom", "embeddings", None, EMBED, {}),
    ("Databricks completions", "databricks-model-serving", "completions", None, NO, {}),
    ("Databricks chat", "databricks-model-serving", "chat", None, set(), {}),
    ("Databricks embeddings", "databricks-model-serving", "embeddings", None, EMBED, {}),
    ("Anthropic completions (legacy)", "anthropic", "completions", None, NO, {"usage": "estimated"}),
    ("Anthropic chat", "anthropic", "chat", None, set(), {}),
    ("Cohere completions (legacy generate)", "cohere", "completions",
     lambda c: not model(BY_CHAT)(c), NO, {}),
    ("Cohere completions by chat (command-r)", "cohere", "completions", model(BY_CHAT), NO, {}),
    ("Cohere chat v2", "cohere", "chat", lambda c: not model(V1_CHAT)(c), set(), {}),
    ("Cohere chat v1 (legacy)", "cohere", "chat", model(V1_CHAT), {"images"}, {}),
    ("Cohere embeddings v1 and v2", "cohere", "embeddings", None, EMBED, {}),
    ("AI21 J2 completions (legacy)", "ai21labs", "completions", None, NO, {"stream": "emulated"}),
    ("AI21 Jamba chat", "ai21labs", "chat", model("^jamba"), {"images"}, {}),
    ("Bedrock Anthropic completions (legacy)", "amazon-bedrock", "completions",
     bedrock("anthropic"), NO, {}),
    ("Bedrock Anthropic chat", "amazon-bedrock", "chat", bedrock("anthropic"), set(), {}),
    ("Bedrock Cohere completions (legacy)", "amazon-bedrock", "completions", bedrock("cohere"), NO,
     {}),
    ("Bedrock Cohere chat", "amazon-bedrock", "chat", bedrock("cohere"), {"structured", "images"},
     {}),
    ("Bedrock Cohere embeddings", "amazon-bedrock", "embeddings", bedrock("cohere"), EMBED, {}),
    ("Bedrock AI21 completions (legacy)", "amazon-bedrock", "completions", bedrock("ai21labs"), NO,
     {"stream": "emulated"}),
    ("Bedrock Titan completions (legacy)", "amazon-bedrock", "completions", bedrock("amazon"), NO,
     {}),
    ("Bedrock Titan embeddings", "amazon-bedrock", "embeddings", bedrock("amazon"), EMBED, {}),
    ("Bedrock Converse chat", "amazon-bedrock", "chat", bedrock("", True), set(), {}),
    ("Vertex AI text-bison (legacy)", "google-cloud-vertex-ai", "completions",
     model("^text-bison"), NO, {}),
    ("Vertex AI Gemini completions by chat", "google-cloud-vertex-ai", "completions",
     model("^gemini"), NO, {}),
    ("Vertex AI chat-bison (legacy)", "google-cloud-vertex-ai", "chat", model("^chat-bison"), NO,
     {"stream": "emulated"}),
    ("Vertex AI Gemini chat", "google-cloud-vertex-ai", "chat", model("^gemini"), set(), {}),
    ("Vertex AI Claude chat", "google-cloud-vertex-ai", "chat", model("^claude"), set(),
     {"structured": "as Anthropic", "images": "as Anthropic"}),
    ("Vertex AI embeddings", "google-cloud-vertex-ai", "embeddings", None, EMBED, {}),
    ("PaLM API completions (legacy)", "palm", "completions", None, NO,
     {"stream": "emulated", "usage": "estimated"}),
    ("PaLM API chat (legacy)", "palm", "chat", None, NO,
     {"stream": "emulated", "usage": "estimated"}),
    ("PaLM API embeddings (legacy)", "palm", "embeddings", None, EMBED, {"usage": "estimated"}),
]


def table(cases):
    """The Markdown table and the names of empty cells."""
    heads = ["provider and task"] + COLUMNS
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    empty = []
    for label, provider, task, match, lacks, remarks in ROWS:
        # A provider has one reading of errors for all of its tasks.
        all_of_it = [c for c in cases if c.provider == provider]
        if provider == "openai":
            all_of_it = [c for c in all_of_it if azure(c) == label.startswith("Azure")]
        mine = [c for c in all_of_it if c.task == task and (match is None or match(c))]
        cells = []
        for column in COLUMNS:
            count = sum(column in c.proves for c in (all_of_it if column == "errors" else mine))
            if column in lacks:
                cells.append("–")
            elif column in remarks:
                cells.append(remarks[column])
            else:
                cells.append(str(count))
                if count == 0:
                    empty.append(f"{label}: {column}")
        lines.append("| " + " | ".join([label] + cells) + " |")
    return "\n".join(lines), empty


def unproven_traps():
    """Proofs of tests/golden/provider_traps.json that exist neither as a folder nor as a test."""
    tests = set()
    for path in [*ROOT.glob("src/*/*_test.cpp"), *ROOT.glob("tests/integration/test_*.py")]:
        tests |= set(re.findall(r"^(?:TEST(?:_[FP])?\(\w+, |def )(\w+)", path.read_text(), re.M))
    proofs = [p for trap in read_json(GOLDEN / "provider_traps/traps.json") for p in trap["proof"]]
    return [p for p in proofs if not ((GOLDEN / p).is_dir() if "/" in p else p in tests)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    made, empty = table(list(read_cases()))
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = f"{before}{BEGIN}\n{made}\n{END}{after}"
    for cell in empty:
        print(f"no golden case for {cell}", file=sys.stderr)
    unproven = unproven_traps()
    for proof in unproven:
        print(f"provider_traps: no golden case or test {proof}", file=sys.stderr)
    if not check:
        DOCUMENT.write_text(wanted)
    sys.exit(1 if empty or unproven else 0)


if __name__ == "__main__":
    main()

"""Endpoints on external models, queried by the official OpenAI client for Node.js, unchanged."""

import json
import pathlib
import subprocess

import pytest
from provider_grid import fresh, gateway, having, mock  # noqa: F401 (fixtures)

NODE = pathlib.Path(__file__).parent / "node"
CELLS = [(name, test) for test, names in {
    "chat": having("chat"), "chat_stream": having("chat"),
    "two_tools_stream": having("chat", "palm", "vertex-bison"),  # which have no tools
    "embeddings": having("embeddings"), "completions": having("completions")}.items() for name in names]


@pytest.fixture(scope="module")
def told(gateway):
    """What went wrong, by cell; one process asks all of them."""
    done = subprocess.run(["node", "providers.mjs", gateway.url, gateway.token, json.dumps(CELLS)], cwd=NODE,
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return {line["cell"]: line["error"] for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name, test", CELLS)
def test_cell(told, name, test):
    assert told[f"{name} {test}"] is None, told[f"{name} {test}"]

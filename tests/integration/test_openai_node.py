"""The official OpenAI client for Node.js, unchanged."""

import pathlib
import subprocess

NODE = pathlib.Path(__file__).parent / "node"


def test_node_client(server):
    done = subprocess.run(["node", "client.mjs", server.url, server.token], cwd=NODE, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == "ok", done.stdout + done.stderr

"""What a newcomer meets: files, the printed curl line, the list of endpoints."""

import hashlib
import re
import stat
import subprocess

import requests
from support import CHAT, EMBED

PRECONFIGURED = {
    "databricks-meta-llama-3-3-70b-instruct": "Meta-Llama-3.3-70B-Instruct",
    "databricks-meta-llama-3-1-405b-instruct": "Meta-Llama-3.1-405B-Instruct",
    "databricks-dbrx-instruct": "DBRX Instruct",
    "databricks-mixtral-8x7b-instruct": "Mixtral-8x7B Instruct",
    "databricks-gte-large-en": "GTE Large (English)",
    "databricks-bge-large-en": "BGE Large (English)",
}


def test_token_is_private_and_stored_hashed(server):
    path = server.data_dir / "admin-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    token = server.token.encode()
    digest = hashlib.sha256(token).hexdigest().encode()
    database = b"".join(p.read_bytes() for p in server.data_dir.glob("*.db*"))
    assert database and token not in database and digest in database
    assert server.token not in server.output()


def test_printed_curl_line_works_as_printed(server):
    line = re.search(r"^\s*(curl .*?[^\\])$", server.output(), re.M | re.S).group(1)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"content"' in done.stdout and '"usage"' in done.stdout


def test_health_and_ready_need_no_token(server):
    assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
    assert requests.get(f"{server.url}/ready", timeout=5).status_code == 200


def test_local_and_preconfigured_endpoints_are_listed(server):
    endpoints = {e["name"]: e for e in server.get("/api/2.0/serving-endpoints").json()["endpoints"]}
    assert endpoints[CHAT]["state"]["ready"] == "READY"
    assert endpoints[EMBED]["state"]["ready"] == "READY"
    for name, display in PRECONFIGURED.items():
        endpoint = endpoints[name]
        assert endpoint["state"] == {"ready": "NOT_READY", "config_update": "NOT_UPDATING"} | {
            k: v for k, v in endpoint["state"].items() if k not in ("ready", "config_update")}
        foundation = endpoint["config"]["served_entities"][0]["foundation_model"]
        assert display in foundation["display_name"]
        assert "weights" in endpoint["description"].lower()


def test_preconfigured_endpoint_never_fakes_an_answer(server):
    answer = server.post("/serving-endpoints/databricks-dbrx-instruct/invocations",
                         {"messages": [{"role": "user", "content": "hi"}]})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_STATE"
    assert "weights" in answer.json()["message"].lower()


def test_retired_names_point_to_their_replacement(server):
    for name in ("databricks-llama-2-70b-chat", "databricks-mpt-7b-instruct", "databricks-mpt-30b-instruct",
                 "databricks-meta-llama-3-70b-instruct", "databricks-meta-llama-3-1-70b-instruct"):
        answer = server.post(f"/serving-endpoints/{name}/invocations",
                             {"messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code == 404
        assert "databricks-meta-llama-3-3-70b-instruct" in answer.json()["message"]


def test_models_list(server):
    models = server.get("/serving-endpoints/models").json()
    assert models["object"] == "list"
    by_id = {m["id"]: m for m in models["data"]}
    assert by_id[CHAT]["task"] == "llm/v1/chat" and by_id[CHAT]["ready"] == "READY"
    assert by_id[CHAT]["max_model_len"] == 8192
    assert server.get(f"/serving-endpoints/models/{EMBED}").json()["task"] == "llm/v1/embeddings"
    assert server.get("/serving-endpoints/models/nope").status_code == 404


def test_second_start_keeps_token_and_data(tmp_path):
    from support import Server

    with Server(tmp_path / "data") as first:
        token = first.token
    with Server(tmp_path / "data") as second:
        assert second.token == token
        assert second.get("/api/2.0/serving-endpoints").status_code == 200

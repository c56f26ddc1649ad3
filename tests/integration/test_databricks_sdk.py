"""The official Databricks SDK (Python) and the MLflow deployments client, unchanged."""

import datetime
import os
import shutil

import pytest
from databricks.sdk import WorkspaceClient, errors
from databricks.sdk.service.serving import (ChatMessage, ChatMessageRole, EndpointCoreConfigInput, EndpointTag,
                                            ServedEntityInput)
from support import CHAT, EMBED, MODELS

WAIT = datetime.timedelta(minutes=2)


@pytest.fixture(scope="module")
def registered(server, tmp_path_factory):
    """main.llm.tiny with two versions, on a folder of its own."""
    folder = tmp_path_factory.mktemp("registered") / "all_minilm_l6_v2"
    shutil.copytree(MODELS / "all_minilm_l6_v2", folder)
    base = "/api/2.1/unity-catalog"
    assert server.post(f"{base}/catalogs", {"name": "main"}).status_code in (200, 409)  # other tests use it too
    assert server.post(f"{base}/schemas", {"name": "llm", "catalog_name": "main"}).status_code == 200
    names = {"catalog_name": "main", "schema_name": "llm"}
    for model, source in [("tiny", next((MODELS / "smollm2_135m_instruct").glob("*.gguf"))), ("embed", folder)]:
        assert server.post(f"{base}/models", {"name": model, **names}).status_code == 200
        for version in (1, 2):
            made = server.register_version("main", "llm", model, source)
            assert made.status_code == 200, made.text
            assert int(made.json()["version"]) == version and made.json()["status"] == "READY"


def test_me_and_lists(workspace):
    assert workspace.current_user.me().user_name
    names = {e.name for e in workspace.serving_endpoints.list()}
    assert {CHAT, EMBED, "databricks-dbrx-instruct"} <= names


def test_query_chat_and_embeddings(workspace):
    answer = workspace.serving_endpoints.query(
        CHAT, messages=[ChatMessage(role=ChatMessageRole.USER, content="Say hi.")], max_tokens=8, temperature=0)
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0
    assert answer.served_model_name
    vectors = workspace.serving_endpoints.query(EMBED, input=["a", "b"])
    assert [len(d.embedding) for d in vectors.data] == [384, 384]


def test_unknown_endpoint_is_readable(workspace):
    with pytest.raises(errors.NotFound, match="Endpoint with name 'nope' does not exist"):
        workspace.serving_endpoints.query("nope", messages=[])
    with pytest.raises(errors.NotFound):
        workspace.serving_endpoints.get("nope")


def test_life_of_a_provisioned_throughput_endpoint(workspace, registered, server):
    name = "pt-tiny"
    info = server.get("/api/2.0/serving-endpoints/get-model-optimization-info/main.llm.tiny/1").json()
    assert info["optimizable"] is True and info["model_type"] == "llama"
    chunk = info["throughput_chunk_size"]

    def entity(version):
        return ServedEntityInput(entity_name="main.llm.tiny", entity_version=version,
                                 min_provisioned_throughput=0, max_provisioned_throughput=chunk)

    made = workspace.serving_endpoints.create_and_wait(
        name=name, config=EndpointCoreConfigInput(name="", served_entities=[entity("1")]),
        tags=[EndpointTag(key="team", value="ml")], timeout=WAIT)
    assert made.state.ready.value == "READY" and made.state.config_update.value == "NOT_UPDATING"
    assert made.config.config_version == 1 and made.config.served_entities[0].entity_version == "1"
    assert made.config.served_entities[0].state.deployment.value == "DEPLOYMENT_READY"
    assert made.task == "llm/v1/chat" and len(made.id) == 32

    answer = workspace.serving_endpoints.query(
        name, messages=[ChatMessage(role=ChatMessageRole.USER, content="Hi")], max_tokens=4)
    assert answer.choices

    updated = workspace.serving_endpoints.update_config_and_wait(
        name=name, served_entities=[entity("2")], timeout=WAIT)
    assert updated.config.config_version == 2 and updated.config.served_entities[0].entity_version == "2"
    assert updated.state.ready.value == "READY" and updated.pending_config is None

    assert [t.key for t in workspace.serving_endpoints.patch(name, add_tags=[EndpointTag("a", "b")]).tags] == [
        "a", "team"]
    assert workspace.serving_endpoints.logs(name, updated.config.served_entities[0].name).logs is not None

    workspace.serving_endpoints.delete(name)
    with pytest.raises(errors.NotFound):
        workspace.serving_endpoints.get(name)


def test_second_update_during_a_roll_out_conflicts(server, registered):
    name = "pt-conflict"
    config = {"served_entities": [{"entity_name": "main.llm.tiny", "entity_version": "1",
                                   "min_provisioned_throughput": 0, "max_provisioned_throughput": 1000}]}
    info = server.get("/api/2.0/serving-endpoints/get-model-optimization-info/main.llm.tiny/1").json()
    config["served_entities"][0]["max_provisioned_throughput"] = info["throughput_chunk_size"]
    made = server.post("/api/2.0/serving-endpoints", {"name": name, "config": config})
    assert made.status_code == 200 and made.json()["state"]["config_update"] == "IN_PROGRESS", made.text
    import requests
    second = requests.put(f"{server.url}/api/2.0/serving-endpoints/{name}/config", json=config,
                          headers=server.headers, timeout=30)
    assert second.status_code == 409 and second.json()["error_code"] == "RESOURCE_CONFLICT"
    assert "currently being updated" in second.json()["message"]
    assert requests.delete(f"{server.url}/api/2.0/serving-endpoints/{name}", headers=server.headers,
                           timeout=30).json() == {}


def test_create_refuses_what_cannot_work(workspace, registered):
    serving = workspace.serving_endpoints
    unknown = EndpointCoreConfigInput(name="", served_entities=[ServedEntityInput(
        entity_name="main.llm.missing", entity_version="1", max_provisioned_throughput=1000)])
    with pytest.raises(errors.NotFound):
        serving.create(name="bad-model", config=unknown)
    with pytest.raises(errors.BadRequest, match="databricks-"):
        serving.create(name="databricks-mine")
    with pytest.raises(errors.BadRequest, match="name"):
        serving.create(name="no spaces")
    with pytest.raises((errors.AlreadyExists, errors.ResourceAlreadyExists)):
        serving.create(name=CHAT)


def test_broken_model_fails_the_update_with_a_reason(workspace, server, tmp_path, registered):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + os.urandom(64))
    base = "/api/2.1/unity-catalog"
    server.post(f"{base}/models", {"name": "broken", "catalog_name": "main", "schema_name": "llm"})
    version = server.register_version("main", "llm", "broken", bad)
    if version.status_code >= 400:  # refused at registration already
        assert "bad.gguf" in version.json()["message"]
        return
    entity = ServedEntityInput(entity_name="main.llm.broken", entity_version="1", workload_size="Small")
    waiter = None
    try:
        waiter = workspace.serving_endpoints.create(
            name="broken", config=EndpointCoreConfigInput(name="", served_entities=[entity]))
    except errors.DatabricksError as refused:
        assert "bad.gguf" in str(refused)
        return
    with pytest.raises(errors.OperationFailed):
        waiter.result(timeout=WAIT)
    state = workspace.serving_endpoints.get("broken").pending_config.served_entities[0].state
    assert "bad.gguf" in state.deployment_state_message
    workspace.serving_endpoints.delete("broken")


def test_permissions_of_another_user(server, workspace):
    endpoint_id = workspace.serving_endpoints.get(CHAT).id
    levels = workspace.serving_endpoints.get_permission_levels(endpoint_id).permission_levels
    assert {level.permission_level.value for level in levels} == {"CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"}
    assert workspace.serving_endpoints.get_permissions(endpoint_id).object_type == "serving-endpoint"


def test_wrong_and_missing_token(server):
    import requests
    for headers, code in (({}, "UNAUTHENTICATED"), ({"Authorization": "Bearer no"}, "UNAUTHENTICATED")):
        for path in ("/api/2.0/serving-endpoints", "/serving-endpoints/models"):
            answer = requests.get(server.url + path, headers=headers, timeout=10)
            assert answer.status_code == 401 and answer.json()["error_code"] == code


def test_mlflow_deployments(server, registered, monkeypatch):
    monkeypatch.setenv("DATABRICKS_HOST", server.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", server.token)
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client("databricks")
    assert CHAT in [e["name"] for e in client.list_endpoints()]
    assert client.get_endpoint(CHAT)["state"]["ready"] == "READY"
    answer = client.predict(endpoint=CHAT, inputs={"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4})
    assert answer["choices"][0]["message"]["role"] == "assistant"
    chunks = list(client.predict_stream(
        endpoint=CHAT, inputs={"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}))
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    vectors = client.predict(endpoint=EMBED, inputs={"input": ["a"]})
    assert len(vectors["data"][0]["embedding"]) == 384

    client.create_endpoint(config={"name": "from-mlflow", "config": {"served_entities": [
        {"entity_name": "main.llm.embed", "entity_version": "1", "workload_size": "Small",
         "scale_to_zero_enabled": False}]}})
    workspace = WorkspaceClient(host=server.url, token=server.token)
    ready = workspace.serving_endpoints.wait_get_serving_endpoint_not_updating("from-mlflow", timeout=WAIT)
    assert ready.task == "llm/v1/embeddings"
    assert client.delete_endpoint("from-mlflow") == {}

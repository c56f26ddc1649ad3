"""docs/openapi.yaml says what the server really does."""

import json
import re

import pytest
import requests
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from support import CHAT, EMBED, ROOT

METHODS = ("get", "put", "post", "delete", "patch")
# Nothing of this name exists, so what changes things changes nothing.
ABSENT = {"name": "openapi-absent", "entity": "absent", "id": "openapi-absent", "alias": "absent",
          "full_name": "openapi_absent.a.b", "type": "serving-endpoints", "version": "1",
          "model": "openapi_absent.a.b", "workspace": "0"}
DOCUMENT = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
REGISTRY = Registry().with_resource(
    "urn:tessera", Resource(contents=DOCUMENT, specification=DRAFT202012))


def resolve(node):
    """What a JSON reference stands for."""
    while "$ref" in node:
        node = lookup(node["$ref"])
    return node


def lookup(reference):
    node = DOCUMENT
    assert reference.startswith("#/"), reference
    for part in reference[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def operations():
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                parameters = item.get("parameters", []) + item[method].get("parameters", [])
                yield path, method, item[method], [resolve(p) for p in parameters]


ALL = [pytest.param(*operation, id=f"{operation[1].upper()} {operation[0]}") for operation in operations()]


def errors_of(schema, value):
    """Why `value` does not match; references inside `schema` are the document's."""
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:tessera#/'))
    return [f"{error.json_path}: {error.message[:300]}"
            for error in Draft202012Validator(absolute, registry=REGISTRY).iter_errors(value)]


def schema_for(operation, answer):
    responses = operation["responses"]
    response = resolve(responses.get(str(answer.status_code), responses["default"]))
    media_type = answer.headers["content-type"].split(";")[0]
    assert media_type in response["content"], f"undocumented content type {media_type}"
    return response["content"][media_type]["schema"]


def check_answer(operation, answer):
    schema = schema_for(operation, answer)
    value = answer.json() if "json" in answer.headers["content-type"] else answer.text
    assert errors_of(schema, value) == [], answer.text[:2000]


def test_references_resolve():
    for reference in set(references(DOCUMENT)):
        assert lookup(reference) is not None, reference


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for _, _, operation, _ in operations()]
    assert len(ids) == len(set(ids))


def test_path_parameters_are_declared():
    for path, method, _, parameters in operations():
        declared = {p["name"] for p in parameters if p["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path)), f"{method} {path}"


def json_examples(node):
    """Every example of a JSON body with its schema."""
    if isinstance(node, dict):
        media = node.get("application/json")
        if isinstance(media, dict):
            examples = [e["value"] for e in media.get("examples", {}).values()]
            for example in examples + ([media["example"]] if "example" in media else []):
                yield media["schema"], example
        for value in node.values():
            yield from json_examples(value)
    elif isinstance(node, list):
        for value in node:
            yield from json_examples(value)


def test_examples_match_their_schemas():
    examples = list(json_examples(DOCUMENT))
    assert len(examples) > 20
    for schema, example in examples:
        assert errors_of(schema, example) == [], example


def concrete(path, parameters, values):
    query = {p["name"]: p.get("example", "1") for p in parameters
             if p["in"] == "query" and p.get("required")}
    return re.sub(r"\{(\w+)\}", lambda m: str(values[m.group(1)]), path), query


@pytest.mark.parametrize("path, method, operation, parameters", ALL)
def test_every_documented_route_is_served(server, path, method, operation, parameters):
    url, query = concrete(path, parameters, ABSENT)
    answer = requests.request(method, server.url + url, params=query, headers=server.headers,
                              data=None if method == "get" else "{}", timeout=30)
    assert answer.status_code != 405, answer.text
    if answer.status_code == 404:
        assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST", answer.text
    assert answer.status_code < 500 or str(answer.status_code) in operation["responses"], answer.text
    check_answer(operation, answer)
    if path == "/api/2.0/token/create":
        server.post("/api/2.0/token/delete", {"token_id": answer.json()["token_info"]["token_id"]})


def example_values(server):
    entity = server.endpoint(CHAT)["config"]["served_entities"][0]
    return {**ABSENT, "name": CHAT, "entity": entity["name"], "full_name": entity["entity_name"],
            "model": entity["entity_name"], "version": entity["entity_version"], "id": CHAT}


@pytest.fixture(scope="module")
def secret(server):
    """The one that the document's examples speak of."""
    base = "/api/2.0/secrets"
    assert server.post(f"{base}/scopes/create", {"scope": "llm"}).status_code == 200
    assert server.post(f"{base}/put", {"scope": "llm", "key": "anthropic", "string_value": "sk"}).status_code == 200
    yield
    assert server.post(f"{base}/scopes/delete", {"scope": "llm"}).status_code == 200


@pytest.mark.parametrize("path, method, operation, parameters", [p for p in ALL if p.values[1] == "get"])
def test_answers_match_their_schemas(server, secret, path, method, operation, parameters):
    values = example_values(server)
    if "/catalogs/" in path:
        values["name"] = values["full_name"].split(".")[0]
    if "/schemas/" in path:
        values["full_name"] = values["full_name"].rsplit(".", 1)[0]
    url, query = concrete(path, parameters, values)
    answer = server.get(url, params=query)
    assert answer.status_code == 200 or "{alias}" in path, answer.text
    check_answer(operation, answer)


def test_external_models_are_answered_as_documented(server, secret):
    operations = DOCUMENT["paths"]["/api/2.0/serving-endpoints"]
    body = operations["post"]["requestBody"]["content"]["application/json"]["examples"]["externalModel"]["value"]
    made = server.post("/api/2.0/serving-endpoints", body)
    try:
        assert made.status_code == 200, made.text
        check_answer(operations["post"], made)
        entities = made.json()["config"]["served_entities"]
        assert [list(entity["external_model"]) for entity in entities] == [
            ["provider", "name", "task", "anthropic_config"], ["provider", "name", "task", "openai_config"]]
        listed = server.get("/api/2.0/serving-endpoints")
        check_answer(operations["get"], listed)
        check_answer(DOCUMENT["paths"]["/api/2.0/serving-endpoints/{name}"]["get"],
                     server.get(f"/api/2.0/serving-endpoints/{body['name']}"))
    finally:
        requests.delete(f"{server.url}/api/2.0/serving-endpoints/{body['name']}", headers=server.headers, timeout=30)


def test_every_setting_of_external_models_is_documented(server):
    """The document's settings are those of the server, field by field."""
    told = server.get("/api/2.0/tessera/external-models").json()
    schemas = DOCUMENT["components"]["schemas"]
    objects = {name: resolve(node) for part in schemas["ExternalModelInput"]["allOf"]
               for name, node in part["properties"].items()}
    assert set(objects) == {provider["config_object"] for provider in told["providers"]}
    assert set(schemas["ExternalProvider"]["enum"]) == {provider["name"] for provider in told["providers"]}

    def flat(properties):
        for name, node in properties.items():
            inner = node.get("properties")
            yield from ((f"{name}.{member}", schema) for member, schema in inner.items()) if inner else [(name, node)]

    def check(fields, properties):
        documented = dict(flat(properties))
        wanted = set()
        for field in fields:
            wanted |= {field["name"], field["name"] + "_plaintext"} if field.get("secret") else {field["name"]}
            if "choices" in field:
                assert documented[field["name"]]["enum"] == field["choices"]
        assert set(documented) == wanted

    for provider in told["providers"]:
        check(provider["fields"], objects[provider["config_object"]]["allOf"][1]["properties"])
    check(told["common_fields"], schemas["CommonExternalFields"]["properties"])


def query_examples():
    for path in ("/serving-endpoints/chat/completions", "/serving-endpoints/embeddings",
                 "/serving-endpoints/{name}/invocations"):
        operation = DOCUMENT["paths"][path]["post"]
        media = resolve(operation["requestBody"])["content"]["application/json"]
        for name, example in media["examples"].items():
            yield pytest.param(path, operation, media["schema"], example["value"], id=f"{path} {name}")


@pytest.mark.parametrize("path, operation, schema, body", list(query_examples()))
def test_examples_are_answered_as_documented(server, path, operation, schema, body):
    assert errors_of(schema, body) == []
    answer = server.post(path.replace("{name}", CHAT), body)
    assert answer.status_code == 200, answer.text
    check_answer(operation, answer)
    if not body.get("stream"):
        return
    events = [line[6:] for line in answer.content.split(b"\n") if line.startswith(b"data: ")]
    assert events[-1] == b"[DONE]" and len(events) > 2
    for event in events[:-1]:
        assert errors_of({"$ref": "#/components/schemas/ChatChunk"}, json.loads(event)) == [], event


@pytest.mark.parametrize("field, value", [
    ("tools", [{"type": "function", "function": {"name": "f"}}]),
    ("response_format", {"type": "json_object"}),
])
def test_what_is_documented_as_refused_is_refused(server, field, value):
    body = {"model": CHAT, "messages": [{"role": "user", "content": "Hi"}], field: value}
    assert errors_of({"$ref": "#/components/schemas/ChatRequest"}, body) != []
    answer = server.post("/serving-endpoints/chat/completions", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


@pytest.mark.parametrize("method, path", [
    ("GET", "/serving-endpoints"), ("GET", "/openapi.yaml"), ("GET", "/api/2.0/clusters/list"),
    ("POST", "/v1/audio/speech"), ("POST", f"/serving-endpoints/{EMBED}/tokenize"),
    ("GET", "/api/2.0/secrets/scopes"),
])
def test_undocumented_paths_are_not_found(server, method, path):
    answer = requests.request(method, server.url + path, headers=server.headers, timeout=30)
    assert answer.status_code == 404
    assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"

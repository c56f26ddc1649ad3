"""Endpoints on external models, end to end: made by the Databricks SDK, queried by the OpenAI SDK, answered by
the mock provider. One story for all providers, so every difference between them must have gone."""

import base64
import json
import sqlite3
import struct
import threading

import openai
import pytest
import requests
from provider_grid import KEY, PLAIN, configs, external, fresh, gateway, having, mock  # noqa: F401 (fixtures)
from support import Server, wait_until

TOOLS = [{"type": "function", "function": {"name": "get_stock", "description": "Units on hand", "parameters": {
    "type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}}},
    {"type": "function", "function": {"name": "list_all", "description": "All of them"}}]
PIXEL = ("data:image/jpg;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
         "kJggg==")


@pytest.fixture(scope="module")
def sdk(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/serving-endpoints", api_key=gateway.token, max_retries=0)


def ask(sdk, name, text, **more):
    return sdk.chat.completions.create(model=f"{name}-chat", messages=[{"role": "user", "content": text}], **more)


def stream(sdk, name, text, **more):
    """The stream folded: text, calls by index, finish reason, usage, all chunks."""
    chunks = list(ask(sdk, name, text, stream=True, stream_options={"include_usage": True}, **more))
    content, calls, finish, usage = "", {}, [], None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            content += choice.delta.content or ""
            if choice.finish_reason:
                finish.append(choice.finish_reason)
            for call in choice.delta.tool_calls or []:
                known = calls.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
                known["arguments"] += call.function.arguments or ""
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].id
    assert chunks[-1].choices == [] and all(chunk.choices for chunk in chunks[:-1])
    return content, calls, finish, usage, chunks


# --- Plain and streamed, every cell ---


@pytest.mark.parametrize("name", having("chat"))
def test_chat(sdk, mock, name):
    limit = {} if name == "palm" else {"max_tokens": 64}  # which PaLM's chat does not have
    answer = ask(sdk, name, "1+1?", **limit)
    assert answer.choices[0].message.content == PLAIN
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    content, calls, finish, usage, _ = stream(sdk, name, "1+1?")
    assert (content, calls, finish) == (PLAIN, {}, ["stop"])
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0


@pytest.mark.parametrize("name", having("chat", "palm", "vertex-bison"))
def test_usage_is_the_providers(sdk, name):
    for usage in (ask(sdk, name, "1+1?").usage, stream(sdk, name, "1+1?")[3]):
        if usage.prompt_tokens == 4:  # Azure's version may be too old for it
            continue
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (14, 3, 17)


@pytest.mark.parametrize("name", having("completions"))
def test_completions(sdk, name):
    answer = sdk.completions.create(model=f"{name}-completions", prompt="The sky is", max_tokens=16)
    assert answer.choices[0].text == " " + PLAIN
    assert answer.choices[0].finish_reason == "stop"
    text = "".join(choice.text for chunk in sdk.completions.create(
        model=f"{name}-completions", prompt="The sky is", max_tokens=16, stream=True) for choice in chunk.choices)
    assert text == " " + PLAIN


@pytest.mark.parametrize("name", having("embeddings"))
def test_embeddings(gateway, sdk, name):
    answer = sdk.embeddings.create(model=f"{name}-embeddings", input=["red", "blue"])  # base64, by the SDK's default
    assert [item.embedding for item in answer.data] == [[3, 1, -0.25], [4, 1, -0.25]]
    assert answer.usage.prompt_tokens > 0
    raw = gateway.post(f"/serving-endpoints/{name}-embeddings/invocations", {"input": "red", "encoding_format": "base64"})
    values = struct.unpack("<3f", base64.b64decode(raw.json()["data"][0]["embedding"]))
    assert values == (3, 1, -0.25)


@pytest.mark.parametrize("name", having("embeddings"))
def test_many_embeddings_keep_their_order(sdk, mock, name):
    texts = ["x" * (i % 50 + 1) for i in range(97)]
    answer = sdk.embeddings.create(model=f"{name}-embeddings", input=texts, encoding_format="float")
    assert [item.embedding[0] for item in answer.data] == [len(text) for text in texts]
    assert [item.index for item in answer.data] == list(range(97))


# --- Tools ---

CALLERS = having("chat", "palm", "vertex-bison")


@pytest.mark.parametrize("name", CALLERS)
def test_tool_calls(sdk, name):
    message = ask(sdk, name, "Stock? [[two-tools]]", tools=TOOLS).choices[0]
    assert [json.loads(call.function.arguments) for call in message.message.tool_calls] == [{"sku": "B-7"}, {"sku": "C-9"}]
    assert message.finish_reason == "tool_calls"
    _, calls, finish, _, _ = stream(sdk, name, "Stock? [[two-tools]]", tools=TOOLS)
    assert sorted(calls) == [0, 1] and finish == ["tool_calls"]
    assert [json.loads(call["arguments"]) for call in calls.values()] == [{"sku": "B-7"}, {"sku": "C-9"}]
    assert len({call["id"] for call in calls.values()}) == 2


@pytest.mark.parametrize("name", CALLERS)
def test_identical_and_empty_calls(sdk, name):
    calls = ask(sdk, name, "Stock? [[same-tools]]", tools=TOOLS).choices[0].message.tool_calls
    assert calls[0].id != calls[1].id
    if name not in ("openai", "azure", "azuread", "custom", "workspace"):  # whose text goes on as it came
        assert ask(sdk, name, "All? [[no-arguments]]", tools=TOOLS).choices[0].message.tool_calls[0].function.arguments == "{}"
        assert stream(sdk, name, "All? [[no-arguments]]", tools=TOOLS)[1][0]["arguments"] == "{}"


@pytest.mark.parametrize("name", CALLERS)
def test_tool_results_go_back(sdk, mock, name):
    first = ask(sdk, name, "Stock? [[two-tools]]", tools=TOOLS).choices[0].message
    history = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Stock?"},
               first.model_dump(exclude_none=True)]
    history += [{"role": "tool", "tool_call_id": call.id, "content": text}
                for call, text in zip(first.tool_calls, ["3", '{"units": 5, "$ref": "#"}'])]
    history.append({"role": "user", "content": "And now?"})
    answer = sdk.chat.completions.create(model=f"{name}-chat", messages=history, tools=TOOLS)
    assert answer.choices[0].message.content == PLAIN, mock.last.body


@pytest.mark.parametrize("name", having("chat", "palm", "vertex-bison", "cohere-v1", "bedrock-cohere"))
def test_structured_output(sdk, name):
    schema = {"type": "json_schema", "json_schema": {"name": "sum", "schema": {
        "type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}}}
    answer = ask(sdk, name, "1+1? [[json]]", response_format=schema).choices[0]
    assert json.loads(answer.message.content) == {"answer": 2} and answer.finish_reason == "stop"
    assert not answer.message.tool_calls
    content, calls, finish, _, _ = stream(sdk, name, "1+1? [[json]]", response_format=schema)
    assert json.loads(content) == {"answer": 2} and calls == {} and finish == ["stop"]


@pytest.mark.parametrize("name", having("chat", "palm", "vertex-bison", "cohere-v1", "bedrock-cohere", "workspace"))
def test_images(sdk, mock, name):
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    answer = sdk.chat.completions.create(model=f"{name}-chat", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == PLAIN
    assert b"iVBORw0KGgo" in mock.last.body
    if name not in ("openai", "azure", "azuread", "custom"):
        assert b"image/png" in mock.last.body or b'"png"' in mock.last.body, "the type is sniffed"


@pytest.mark.parametrize("name", having("chat", "palm", "vertex-bison", "cohere-v1", "bedrock-cohere"))
def test_reasoning(sdk, name):
    answer = ask(sdk, name, "1+1? [[thinking]]").choices[0].message
    assert answer.content == "Two." and answer.reasoning_content == "One plus one"
    chunks = stream(sdk, name, "1+1? [[thinking]]")[4]
    text = "".join(getattr(choice.delta, "reasoning_content", None) or "" for chunk in chunks for choice in chunk.choices)
    assert text == "One plus one"


@pytest.mark.parametrize("name", having("chat", "palm", "vertex-bison"))
def test_finish_by_length(sdk, name):
    assert ask(sdk, name, "1+1? [[length]]").choices[0].finish_reason == "length"
    assert stream(sdk, name, "1+1? [[length]]")[2] == ["length"]


@pytest.mark.parametrize("name", having("chat"))
def test_bytes_may_be_cut_anywhere(sdk, mock, name):
    mock.script("hard-text", "bytes")
    assert stream(sdk, name, "Go")[0] == "a\u2028b é 漢 😀"
    assert stream(sdk, name, "Go")[0] == PLAIN


# --- Parameters ---


@pytest.mark.parametrize("name, field, value", [
    ("anthropic", "logit_bias", {"5": 1}), ("anthropic", "n", 2), ("anthropic", "seed", 7), ("anthropic", "temperature", 1.5),
    ("cohere", "top_logprobs", 3), ("cohere", "n", 2), ("vertex", "logit_bias", {"5": 1}), ("bedrock-anthropic", "seed", 7),
    ("bedrock-converse", "frequency_penalty", 0.5), ("openai", "extra:stop_sequences", ["x"]),
    ("anthropic", "extra:max_tokens_to_sample", 5), ("vertex", "extra:maxOutputTokens", 5)])
def test_what_cannot_be_said_is_refused(sdk, mock, name, field, value):
    more = {"extra_body": {field[6:]: value}} if field.startswith("extra:") else {field: value}
    if field == "top_logprobs":
        more["logprobs"] = True
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sdk, name, "1+1?", **more)
    assert caught.value.param == field.removeprefix("extra:"), caught.value
    assert mock.requests == [], "nothing may be sent"


@pytest.mark.parametrize("name", having("chat", "palm", "vertex-bison"))
def test_defaults_and_nulls_are_never_refused(sdk, mock, name):
    ask(sdk, name, "1+1?", n=1, presence_penalty=0, frequency_penalty=0, logprobs=False, seed=None, logit_bias={},
        extra_body={"parallel_tool_calls": True, "top_logprobs": 0, "stop": None, "user": None})
    assert b"null" not in mock.last.body


def test_drop_instead_of_refusing(gateway, mock):
    provider, config, models = configs(mock.url)["anthropic"]
    entity = external(provider, config, models["chat"], "chat", unsupported_params="drop", temperature_policy="scale")
    assert gateway.post("/api/2.0/serving-endpoints",
                        {"name": "dropping", "config": {"served_entities": [entity]}}).status_code == 200
    answer = gateway.post("/serving-endpoints/dropping/invocations", {
        "messages": [{"role": "user", "content": "1+1?"}], "seed": 7, "logit_bias": {"5": 1}, "temperature": 1.5})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tessera-dropped-params"] == "logit_bias,seed"
    assert mock.last.json["temperature"] == 0.75


# --- Errors ---

ERRORS = {"400": 400, "401": 502, "403": 502, "404": 404, "context": 400, "500": 502, "html": 502}


@pytest.mark.parametrize("error, status", ERRORS.items())
@pytest.mark.parametrize("name", having("chat"))
def test_errors(gateway, mock, name, error, status):
    mock.script(*[f"error-{error}"] * 5)
    answer = gateway.post("/serving-endpoints/chat/completions",
                          {"model": f"{name}-chat", "messages": [{"role": "user", "content": "1+1?"}]})
    assert answer.status_code == status, answer.text
    told = answer.json()["error"]
    assert told["message"] and told["provider"], told
    assert KEY not in answer.text and "sk-mock" not in answer.text
    if error == "context":
        assert told["code"] == "context_length_exceeded"
    if error in ("401", "403"):
        assert told["code"] == "provider_authentication_failed"
    # Failures of the server are tried again, twice by default; those of the request are not.
    tries = len([r for r in mock.requests if not r.path.endswith("/token")])
    if error in ("500", "html"):
        assert tries == 3
    elif error in ("400", "404", "context"):
        assert tries == 1
    else:  # a token that was fetched is fetched anew, once
        assert tries <= 2


@pytest.mark.parametrize("name", having("chat"))
def test_throttling_is_tried_again(sdk, mock, name):
    mock.script("error-429", "")
    assert ask(sdk, name, "1+1?").choices[0].message.content == PLAIN


@pytest.mark.parametrize("name", having("chat", "bedrock-anthropic", "bedrock-cohere", "bedrock-converse", "vertex", "vertex-bison", "palm"))
def test_an_empty_purse_is_final(gateway, mock, name):
    mock.script("error-quota", "")
    answer = gateway.post(f"/serving-endpoints/{name}-chat/invocations", {"messages": [{"role": "user", "content": "1+1?"}]})
    assert answer.status_code == 429, answer.text
    assert answer.headers["x-should-retry"] == "false"


# Their streams are emulated, or have no end that could be missing.
STREAMERS = having("chat", "palm", "vertex-bison")


@pytest.mark.parametrize("fault", ["cut", "malformed", "overload-mid"])
@pytest.mark.parametrize("name", STREAMERS)
def test_broken_streams_say_so(gateway, mock, name, fault):
    mock.script(fault)
    answer = gateway.post(f"/serving-endpoints/{name}-chat/invocations",
                          {"messages": [{"role": "user", "content": "1+1?"}], "stream": True})
    assert answer.status_code == 200
    events = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    assert "[DONE]" not in events
    assert "error" in json.loads(events[-1]), events[-1]
    assert not any('"finish_reason":"' in event for event in events)


@pytest.mark.parametrize("name", ["anthropic", "vertex", "bedrock-anthropic", "bedrock-converse"])
def test_overload_at_once_is_a_status(gateway, mock, name):
    mock.script(*["overload-first"] * 3)
    answer = gateway.post(f"/serving-endpoints/{name}-chat/invocations",
                          {"messages": [{"role": "user", "content": "1+1?"}], "stream": True})
    assert answer.status_code in (429, 503), answer.text


# --- Management ---


def test_made_and_changed_by_the_databricks_sdk(gateway, mock, sdk):
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service import serving

    workspace = WorkspaceClient(host=gateway.url, token=gateway.token)
    workspace.secrets.create_scope("llm")
    workspace.secrets.put_secret("llm", "openai", string_value=KEY)
    entity = serving.ServedEntityInput(name="a", external_model=serving.ExternalModel(
        name="gpt-4o", provider=serving.ExternalModelProvider.OPENAI, task="llm/v1/chat",
        openai_config=serving.OpenAiConfig(openai_api_key="{{secrets/llm/openai}}", openai_api_base=f"{mock.url}/v1")))
    made = workspace.serving_endpoints.create_and_wait(
        name="sdk-made", config=serving.EndpointCoreConfigInput(name="sdk-made", served_entities=[entity]))
    assert made.state.ready.value == "READY"
    assert made.config.served_entities[0].external_model.openai_config.openai_api_key == "{{secrets/llm/openai}}"
    assert sdk.chat.completions.create(model="sdk-made", messages=[{"role": "user", "content": "1+1?"}]).choices
    answer = workspace.serving_endpoints.query("sdk-made", messages=[
        serving.ChatMessage(role=serving.ChatMessageRole.USER, content="1+1?")])
    assert answer.choices[0].message.content == PLAIN
    workspace.secrets.put_secret("llm", "openai", string_value="rotated-away")
    with pytest.raises(openai.InternalServerError):
        sdk.chat.completions.create(model="sdk-made", messages=[{"role": "user", "content": "1+1?"}])
    workspace.serving_endpoints.delete("sdk-made")


def test_traffic_split_and_fallback(gateway, mock):
    every = configs(mock.url)
    first = {"name": "first", **external(*every["openai"][:2], "gpt-4o", "chat", max_retries=0)}
    second = {"name": "second", **external(*every["anthropic"][:2], "claude-3-5-sonnet-latest", "chat")}
    body = {"name": "both", "ai_gateway": {"fallback_config": {"enabled": True}}, "config": {
        "served_entities": [first, second], "traffic_config": {"routes": [
            {"served_entity_name": "first", "traffic_percentage": 100},
            {"served_entity_name": "second", "traffic_percentage": 0}]}}}
    assert gateway.post("/api/2.0/serving-endpoints", body).status_code == 200
    ask_it = {"messages": [{"role": "user", "content": "1+1?"}]}
    for error in ("error-429", "error-500", "error-401"):
        mock.reset()
        mock.script(error, "")
        answer = gateway.post("/serving-endpoints/both/invocations", ask_it)
        assert answer.status_code == 200, answer.text
        assert [request.path for request in mock.requests] == ["/v1/chat/completions", "/v1/messages"]
    mock.reset()
    mock.script("error-400")
    assert gateway.post("/serving-endpoints/both/invocations", ask_it).status_code == 400
    assert len(mock.requests) == 1


def test_private_addresses_are_refused_unless_allowed(own_server, mock):
    provider, config, models = configs(mock.url)["openai"]
    made = own_server.post("/api/2.0/serving-endpoints", {"name": "inside", "config": {
        "served_entities": [external(provider, config, models["chat"], "chat")]}})
    if made.status_code == 200:
        answer = own_server.post("/serving-endpoints/inside/invocations", {"messages": [{"role": "user", "content": "1+1?"}]})
        assert answer.status_code == 502, answer.text
    else:
        assert made.status_code == 400, made.text
    assert mock.requests == []


def test_a_client_that_leaves_cancels_the_upstream(gateway, mock):
    with requests.post(f"{gateway.url}/serving-endpoints/anthropic-chat/invocations", headers=gateway.headers, stream=True,
                       json={"messages": [{"role": "user", "content": "Go [[slow]]"}], "stream": True}, timeout=10) as answer:
        next(answer.iter_content(1))
    wait_until(lambda: mock.left == 1, 3, "the upstream's end")


def test_one_token_for_many_requests(gateway, mock):
    with Server(gateway.data_dir.parent / "tokens", "--allow-private-upstreams", "127.0.0.1") as server:
        provider, config, models = configs(mock.url)["vertex"]
        server.post("/api/2.0/serving-endpoints", {"name": "v", "config": {
            "served_entities": [external(provider, config, models["chat"], "chat")]}})
        mock.reset()
        answers = []

        def go():
            answers.append(server.post("/serving-endpoints/v/invocations", {"messages": [{"role": "user", "content": "1+1?"}]}).status_code)

        threads = [threading.Thread(target=go) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 50
        assert sum(request.path == "/token" for request in mock.requests) == 1


def test_connection_test(gateway, mock):
    answer = gateway.post("/api/2.0/serving-endpoints/anthropic-chat/test", {})
    assert answer.status_code == 200, answer.text
    mock.script(*["error-401"] * 3)
    bad = gateway.post("/api/2.0/serving-endpoints/anthropic-chat/test", {})
    assert "provider_authentication_failed" in bad.text, bad.text


# --- Native routes ---


@pytest.mark.parametrize("name", ["anthropic", "openai", "vertex", "bedrock-anthropic", "cohere"])
def test_anthropic_sdk_on_any_endpoint(gateway, mock, name):
    import anthropic

    client = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0)
    request = dict(model=f"{name}-chat", max_tokens=64, messages=[{"role": "user", "content": "1+1?"}])
    answer = client.messages.create(**request)
    assert answer.content[0].text == PLAIN and answer.usage.output_tokens == 3
    with client.messages.stream(**request) as streamed:
        assert streamed.get_final_message().content[0].text == PLAIN
    request["messages"][0]["content"] = "Stock? [[two-tools]]"
    request["tools"] = [{"name": "get_stock", "input_schema": TOOLS[0]["function"]["parameters"]}]
    with client.messages.stream(**request) as streamed:
        blocks = streamed.get_final_message().content
    assert [block.input for block in blocks if block.type == "tool_use"] == [{"sku": "B-7"}, {"sku": "C-9"}]
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**{**request, "model": "nobody"})


@pytest.mark.parametrize("name", ["openai", "anthropic", "vertex"])
def test_responses_on_any_endpoint(gateway, sdk, name):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.token, max_retries=0)
    answer = client.responses.create(model=f"{name}-chat", input="1+1?")
    assert answer.output_text == PLAIN and answer.status == "completed"
    events = list(client.responses.create(model=f"{name}-chat", input="1+1?", stream=True))
    assert events[-1].type == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == PLAIN


def test_usage_rows_mark_estimates(gateway, mock):
    """PaLM's API tells no usage; what is estimated is said to be."""
    def row(name):
        answer = gateway.post(f"/serving-endpoints/{name}-chat/invocations", {"messages": [{"role": "user", "content": "1+1?"}]})

        def found():
            with sqlite3.connect(gateway.data_dir / "tessera.db") as database:
                return database.execute("SELECT estimated, input_token_count, output_token_count, served_entity_name FROM usage "
                                        "WHERE request_id = ?", [answer.headers["x-request-id"]]).fetchone()
        return wait_until(found, 10, "the usage row")

    assert row("anthropic") == (0, 14, 3, "claude-3-5-sonnet-latest")
    assert row("palm") == (1, 1, 5, "chat-bison-001")

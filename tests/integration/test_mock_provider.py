"""The mock of the providers is honest: their official SDKs talk to it and understand its answers."""

import sys

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tests/support"))
from mock_provider import MockProvider  # noqa: E402
from mock_provider.checks import AWS_KEY_ID, AWS_SECRET, KEY  # noqa: E402
from mock_provider.google import TOKEN  # noqa: E402

PLAIN = "One and one is two."
TOOL = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}


@pytest.fixture(scope="module")
def mock():
    with MockProvider() as running:
        yield running


# --- OpenAI and Azure OpenAI ---


@pytest.fixture(params=["openai", "azure"])
def openai_client(request, mock):
    import openai

    if request.param == "openai":
        return openai.OpenAI(base_url=f"{mock.url}/v1", api_key=KEY, max_retries=0)
    return openai.AzureOpenAI(azure_endpoint=mock.url, api_key=KEY, api_version="2024-10-21",
                              azure_deployment="d1", max_retries=0)


def openai_tools():
    return [{"type": "function", "function": {"name": "get_stock", "parameters": TOOL}}]


def test_openai_chat(openai_client):
    answer = openai_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "1+1?"}])
    assert answer.choices[0].message.content == PLAIN
    assert answer.usage.total_tokens == 17


def test_openai_tools_streamed(openai_client):
    arguments, names = {}, {}
    for chunk in openai_client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Stock? [[two-tools]]"}], tools=openai_tools(),
            stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                names.setdefault(call.index, call.function.name)
                arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert names == {0: "get_stock", 1: "get_stock"}
    assert arguments == {0: '{"sku": "B-7"}', 1: '{"sku": "C-9"}'}
    assert chunk.usage.total_tokens == 17


def test_openai_embeddings_and_completions(openai_client):
    answer = openai_client.embeddings.create(model="text-embedding-3-small", input=["red", "blue"])
    assert [item.embedding for item in answer.data] == [[3, 1, -0.25], [4, 1, -0.25]]
    answer = openai_client.completions.create(model="gpt-3.5-turbo-instruct", prompt="The sky is")
    assert answer.choices[0].text == " " + PLAIN


def test_openai_errors(openai_client):
    import openai

    with pytest.raises(openai.RateLimitError):
        openai_client.chat.completions.create(model="x", messages=[{"role": "user", "content": "[[error-429]]"}])
    with pytest.raises(openai.AuthenticationError):
        openai_client.with_options(api_key="wrong").chat.completions.create(
            model="x", messages=[{"role": "user", "content": "1+1?"}])


# --- Anthropic ---


@pytest.fixture
def anthropic_client(mock):
    import anthropic

    return anthropic.Anthropic(base_url=mock.url, api_key=KEY, max_retries=0)


def test_anthropic_messages(anthropic_client):
    answer = anthropic_client.messages.create(model="claude-x", max_tokens=64,
                                              messages=[{"role": "user", "content": "1+1?"}])
    assert answer.content[0].text == PLAIN
    assert answer.usage.cache_read_input_tokens == 4


@pytest.mark.parametrize("scenario", ["two-tools", "thinking", "no-arguments", "hard-text"])
def test_anthropic_streams(anthropic_client, scenario):
    with anthropic_client.messages.stream(model="claude-x", max_tokens=64,
                                          tools=[{"name": "get_stock", "input_schema": TOOL}],
                                          messages=[{"role": "user", "content": f"Go [[{scenario}]]"}]) as stream:
        message = stream.get_final_message()
    kinds = [block.type for block in message.content]
    assert kinds == {"two-tools": ["text", "tool_use", "tool_use"], "thinking": ["thinking", "text"],
                     "no-arguments": ["tool_use"], "hard-text": ["text"]}[scenario]
    if scenario == "two-tools":
        assert [block.input for block in message.content[1:]] == [{"sku": "B-7"}, {"sku": "C-9"}]
    if scenario == "hard-text":
        assert message.content[0].text == "a\u2028b é 漢 😀"


def test_anthropic_errors(anthropic_client):
    import anthropic

    with pytest.raises(anthropic.RateLimitError):
        anthropic_client.messages.create(model="c", max_tokens=9, messages=[{"role": "user", "content": "[[error-429]]"}])
    with pytest.raises(anthropic.APIStatusError):
        with anthropic_client.messages.stream(
                model="c", max_tokens=9, messages=[{"role": "user", "content": "[[overload-first]]"}]) as stream:
            stream.get_final_message()


# --- Cohere ---


@pytest.fixture
def cohere_clients(mock):
    import cohere

    return cohere.ClientV2(api_key=KEY, base_url=mock.url), cohere.Client(api_key=KEY, base_url=mock.url)


def test_cohere_chat(cohere_clients):
    v2, v1 = cohere_clients
    assert v2.chat(model="command-r", messages=[{"role": "user", "content": "1+1?"}]).message.content[0].text == PLAIN
    assert v1.chat(model="command", message="1+1?").text == PLAIN


def test_cohere_streams(cohere_clients):
    v2, v1 = cohere_clients
    text = "".join(event.delta.message.content.text for event in v2.chat_stream(
        model="command-r", messages=[{"role": "user", "content": "1+1?"}]) if event.type == "content-delta")
    assert text == PLAIN
    text = "".join(event.text for event in v1.chat_stream(model="command", message="1+1?")
                   if event.event_type == "text-generation")
    assert text == PLAIN
    calls = [event.delta.message.tool_calls for event in v2.chat_stream(
        model="command-r", messages=[{"role": "user", "content": "[[two-tools]]"}]) if event.type == "tool-call-start"]
    assert [call.function.name for call in calls] == ["get_stock", "get_stock"]


def test_cohere_embeddings(cohere_clients):
    v2, v1 = cohere_clients
    answer = v2.embed(model="embed-english-v3.0", texts=["red"], input_type="search_document", embedding_types=["float"])
    assert answer.embeddings.float_ == [[3, 1, -0.25]]
    assert v1.embed(model="embed-english-v2.0", texts=["red"]).embeddings == [[3, 1, -0.25]]


# --- Google Vertex AI ---


@pytest.fixture
def google_client(mock):
    from google import genai
    from google.auth.credentials import Credentials

    class Fixed(Credentials):
        def refresh(self, request):
            self.token = TOKEN

    credentials = Fixed()
    credentials.token = TOKEN
    return genai.Client(vertexai=True, project="p1", location="us-central1", credentials=credentials,
                        http_options={"base_url": mock.url})


def test_gemini(google_client):
    answer = google_client.models.generate_content(model="gemini-2.0-flash", contents="1+1?")
    assert answer.text == PLAIN
    assert answer.usage_metadata.total_token_count == 17
    answer = google_client.models.generate_content(model="gemini-2.0-flash", contents="Stock? [[two-tools]]")
    assert [call.args for call in answer.function_calls] == [{"sku": "B-7"}, {"sku": "C-9"}]


def test_gemini_stream(google_client):
    chunks = list(google_client.models.generate_content_stream(model="gemini-2.0-flash", contents="1+1?"))
    assert "".join(chunk.text or "" for chunk in chunks) == PLAIN
    from google.genai import errors

    with pytest.raises(errors.APIError):
        list(google_client.models.generate_content_stream(model="gemini-2.0-flash", contents="1+1? [[overload-first]]"))


def test_gemini_embeddings(google_client):
    answer = google_client.models.embed_content(model="text-embedding-005", contents=["red", "blue"])
    assert [item.values for item in answer.embeddings] == [[3, 1, -0.25], [4, 1, -0.25]]


# --- Amazon Bedrock ---


@pytest.fixture
def bedrock_client(mock):
    import boto3
    from botocore.config import Config

    return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=mock.url, aws_access_key_id=AWS_KEY_ID,
                        aws_secret_access_key=AWS_SECRET, config=Config(retries={"max_attempts": 1}))


def ask(text):
    return [{"role": "user", "content": [{"text": text}]}]


def test_bedrock_converse(bedrock_client):
    answer = bedrock_client.converse(modelId="amazon.nova-lite-v1:0", messages=ask("1+1?"))
    assert answer["output"]["message"]["content"] == [{"text": PLAIN}]
    assert answer["usage"]["totalTokens"] == 17


def test_bedrock_converse_stream(bedrock_client):
    stream = bedrock_client.converse_stream(modelId="amazon.nova-lite-v1:0", messages=ask("Stock? [[two-tools]]"))["stream"]
    inputs = {}
    for event in stream:
        delta = event.get("contentBlockDelta", {})
        if "toolUse" in delta.get("delta", {}):
            index = delta["contentBlockIndex"]
            inputs[index] = inputs.get(index, "") + delta["delta"]["toolUse"]["input"]
    assert list(inputs.values()) == ['{"sku": "B-7"}', '{"sku": "C-9"}']
    stream = bedrock_client.converse_stream(modelId="amazon.nova-lite-v1:0", messages=ask("Go [[overload-mid]]"))["stream"]
    with pytest.raises(Exception, match="slow down"):
        list(stream)


def test_bedrock_invoke(bedrock_client):
    import json

    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "1+1?"}]}
    answer = bedrock_client.invoke_model(modelId="anthropic.claude-3-haiku-20240307-v1:0", body=json.dumps(body))
    assert json.loads(answer["body"].read())["content"][0]["text"] == PLAIN
    stream = bedrock_client.invoke_model_with_response_stream(
        modelId="arn:aws:bedrock:us-east-1:123456789012:inference-profile/anthropic.claude", body=json.dumps(body))["body"]
    events = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert events[0]["type"] == "message_start" and events[-1]["type"] == "message_stop"
    answer = bedrock_client.invoke_model(modelId="amazon.titan-embed-text-v1", body=json.dumps({"inputText": "red"}))
    assert json.loads(answer["body"].read())["embedding"] == [3, 1, -0.25]


def test_bedrock_refuses_a_wrong_signature(mock):
    import boto3

    bad = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=mock.url, aws_access_key_id=AWS_KEY_ID,
                       aws_secret_access_key="wrong")
    with pytest.raises(Exception, match="InvalidSignatureException"):
        bad.converse(modelId="amazon.nova-lite-v1:0", messages=ask("1+1?"))


def test_sts(mock):
    import boto3

    sts = boto3.client("sts", region_name="us-east-1", endpoint_url=mock.url, aws_access_key_id=AWS_KEY_ID,
                       aws_secret_access_key=AWS_SECRET)
    answer = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/Infer", RoleSessionName="tessera")
    assert answer["Credentials"]["SessionToken"] == "TOK2"
    with pytest.raises(Exception, match="AccessDenied"):
        sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/denied", RoleSessionName="tessera")

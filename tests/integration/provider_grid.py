"""The grid of external models: every provider, its config and a model per task, as endpoints on the mock provider.
Test files import the fixtures `mock`, `gateway` and `fresh` from here."""

import functools
import json
import sys

import pytest
from support import ROOT, Server

sys.path.insert(0, str(ROOT / "tests/support"))
from mock_provider import MockProvider, google  # noqa: E402
from mock_provider.checks import AWS_KEY_ID, AWS_SECRET, KEY  # noqa: E402

PLAIN = "One and one is two."  # what the mock answers unless told otherwise


@functools.cache  # the mock knows one public key
def service_account():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    google.public_key = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return json.dumps({"type": "service_account", "client_email": "svc@proj-1.iam.gserviceaccount.com",
                       "private_key_id": "k1", "private_key": pem.decode(), "token_uri": "https://oauth2.googleapis.com/token"})


def configs(url):
    """By short name: provider, its config, and the model per task."""
    azure = {"openai_api_base": url, "openai_api_version": "2024-10-21", "openai_deployment_name": "d1"}
    bedrock = {"aws_region": "us-east-1", "aws_access_key_id_plaintext": AWS_KEY_ID,
               "aws_secret_access_key_plaintext": AWS_SECRET, "base_url_override": url}
    vertex = {"project_id": "p1", "region": "us-central1", "private_key_plaintext": service_account(),
              "base_url_override": url, "token_url_override": f"{url}/token"}
    return {
        "openai": ("openai", {"openai_api_key_plaintext": KEY, "openai_api_base": f"{url}/v1"},
                   {"chat": "gpt-4o", "completions": "gpt-3.5-turbo-instruct", "embeddings": "text-embedding-3-small"}),
        "azure": ("openai", {**azure, "openai_api_type": "azure", "openai_api_key_plaintext": KEY},
                  {"chat": "gpt-4o", "completions": "gpt-35-turbo-instruct", "embeddings": "text-embedding-3-small"}),
        "azuread": ("openai", {**azure, "openai_api_type": "azuread", "microsoft_entra_tenant_id": "t1",
                               "microsoft_entra_client_id": "c1", "microsoft_entra_client_secret_plaintext": KEY,
                               "token_url_override": f"{url}/t1/oauth2/v2.0/token"},
                    {"chat": "gpt-4o", "completions": "gpt-35-turbo-instruct", "embeddings": "text-embedding-3-small"}),
        "custom": ("custom", {"custom_provider_url": f"{url}/custom/v1",
                              "api_key_auth": {"key": "x-custom-key", "value_plaintext": KEY}},
                   {"chat": "m", "completions": "m", "embeddings": "m"}),
        "workspace": ("databricks-model-serving", {"databricks_workspace_url": url,
                                                    "databricks_api_token_plaintext": KEY},
                       {"chat": "remote", "completions": "remote", "embeddings": "remote"}),
        "anthropic": ("anthropic", {"anthropic_api_key_plaintext": KEY, "base_url_override": url},
                      {"chat": "claude-3-5-sonnet-latest", "completions": "claude-2.1"}),
        "cohere": ("cohere", {"cohere_api_key_plaintext": KEY, "cohere_api_base": url},
                   {"chat": "command-r-plus", "completions": "command", "embeddings": "embed-english-v3.0"}),
        "cohere-v1": ("cohere", {"cohere_api_key_plaintext": KEY, "cohere_api_base": url},
                      {"chat": "command", "embeddings": "embed-english-v2.0"}),
        "ai21": ("ai21labs", {"ai21labs_api_key_plaintext": KEY, "base_url_override": url}, {"completions": "j2-mid"}),
        "bedrock-anthropic": ("amazon-bedrock", {**bedrock, "bedrock_provider": "anthropic"},
                              {"chat": "claude-3-5-sonnet-20241022-v2:0", "completions": "claude-v2"}),
        "bedrock-cohere": ("amazon-bedrock", {**bedrock, "bedrock_provider": "cohere"},
                           {"chat": "command-r-v1:0", "completions": "command-text-v14", "embeddings": "embed-english-v3"}),
        "bedrock-ai21": ("amazon-bedrock", {**bedrock, "bedrock_provider": "ai21labs"}, {"completions": "j2-mid-v1"}),
        "bedrock-amazon": ("amazon-bedrock", {**bedrock, "bedrock_provider": "amazon"},
                           {"completions": "titan-text-express-v1", "embeddings": "titan-embed-text-v1"}),
        "bedrock-converse": ("amazon-bedrock", {**bedrock, "bedrock_provider": "anthropic", "bedrock_chat_api": "converse"},
                             {"chat": "claude-3-5-sonnet-20241022-v2:0"}),
        "vertex": ("google-cloud-vertex-ai", vertex,
                   {"chat": "gemini-2.0-flash", "completions": "text-bison", "embeddings": "text-embedding-005"}),
        "vertex-bison": ("google-cloud-vertex-ai", vertex, {"chat": "chat-bison"}),
        "palm": ("palm", {"palm_api_key_plaintext": KEY, "base_url_override": url},
                 {"chat": "chat-bison-001", "completions": "text-bison-001", "embeddings": "embedding-gecko-001"}),
    }


GRID = {"openai": "chat completions embeddings", "azure": "chat completions embeddings",
        "azuread": "chat completions embeddings", "custom": "chat completions embeddings",
        "workspace": "chat completions embeddings", "anthropic": "chat completions",
        "cohere": "chat completions embeddings", "cohere-v1": "chat embeddings", "ai21": "completions",
        "bedrock-anthropic": "chat completions", "bedrock-cohere": "chat completions embeddings",
        "bedrock-ai21": "completions", "bedrock-amazon": "completions embeddings", "bedrock-converse": "chat",
        "vertex": "chat completions embeddings", "vertex-bison": "chat", "palm": "chat completions embeddings"}


def having(task, *without):
    return [name for name, tasks in GRID.items() if task in tasks.split() and name not in without]


OBJECTS = {"openai": "openai_config", "custom": "custom_provider_config", "anthropic": "anthropic_config",
           "databricks-model-serving": "databricks_model_serving_config", "cohere": "cohere_config",
           "ai21labs": "ai21labs_config", "amazon-bedrock": "amazon_bedrock_config", "palm": "palm_config",
           "google-cloud-vertex-ai": "google_cloud_vertex_ai_config"}


def external(provider, config, model, task, **more):
    return {"external_model": {"provider": provider, "name": model, "task": f"llm/v1/{task}",
                               OBJECTS[provider]: {**config, **more}}}


@pytest.fixture(scope="module")
def mock():
    with MockProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, mock):
    """A server with one endpoint per cell of the grid."""
    with Server(tmp_path_factory.mktemp("providers"), "--allow-private-upstreams", "127.0.0.1") as server:
        for name, (provider, config, models) in configs(mock.url).items():
            for task, model in models.items():
                body = {"name": f"{name}-{task}", "config": {"served_entities": [external(provider, config, model, task)]}}
                made = server.post("/api/2.0/serving-endpoints", body)
                assert made.status_code == 200, made.text
                assert KEY not in made.text and "PRIVATE" not in made.text
        yield server


@pytest.fixture(autouse=True)
def fresh(mock):
    mock.reset()

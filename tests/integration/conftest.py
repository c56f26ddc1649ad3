"""Fixtures: the real binary with the default models, and the official clients on it."""

import pathlib

import openai
import pytest
from support import MODELS, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that do it no harm."""
    with Server(tmp_path_factory.mktemp("tessera")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path):
    """A server that the test may ill-treat."""
    with Server(tmp_path / "tessera") as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/serving-endpoints", api_key=server.token, max_retries=0)


@pytest.fixture(scope="session")
def workspace(server):
    from databricks.sdk import WorkspaceClient

    return WorkspaceClient(host=server.url, token=server.token)


@pytest.fixture(scope="session")
def chat_model_path():
    return next((MODELS / "smollm2_135m_instruct").glob("*.gguf"))


@pytest.fixture(scope="session")
def golden_dir():
    return pathlib.Path(__file__).parent.parent / "golden"

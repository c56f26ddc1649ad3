"""Weights arrive for preconfigured endpoints, and they serve: the embedding models."""

import shutil

import numpy as np
import pytest
import tiny_models
from support import wait_until

ENDPOINTS = {"databricks-gte-large-en": ("gte", "gte_large_en_v1_5"),
             "databricks-bge-large-en": ("bge", "bge_large_en_v1_5")}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_weights_make_it_serve(endpoint, own_server, tmp_path):
    family, model = ENDPOINTS[endpoint]
    tiny_models.build(family, tmp_path / family)
    source = own_server.data_dir.parent / f"{family}-weights"
    shutil.move(tmp_path / family, source)
    version = own_server.register_version("system", "ai", model, source)
    assert version.status_code == 200, version.text
    wait_until(lambda: own_server.endpoint(endpoint)["state"]["ready"] == "READY", 60, f"{endpoint} READY")

    answer = own_server.post(f"/serving-endpoints/{endpoint}/invocations", {"input": ["one text", "and another"]})
    assert answer.status_code == 200, answer.text
    lengths = [np.linalg.norm(row["embedding"]) for row in answer.json()["data"]]
    # GTE is promised unnormalised, BGE normalised.
    if family == "bge":
        assert lengths == pytest.approx([1.0, 1.0], abs=1e-5)
    else:
        assert all(abs(length - 1) > 0.1 for length in lengths)

"""The default models against independent implementations (tests/golden/real)."""

import json
import sys

import numpy as np
import pytest
from support import CHAT, EMBED
from test_architectures import Worker

# Engines that quantise activations to int8 differ from exact f32 arithmetic on this 4-bit model by about
# 0.13 (root mean square, natural-log probability) each, llama.cpp and Tessera alike; two such errors on
# each of two candidates make near ties of up to about 0.5. Tessera with f32 weights agrees with
# llama.cpp's choice at 97.1 % of the golden positions, with the stored 4-bit weights at 97.2 %.
NEAR_TIE = 0.5
AGREEMENT = 0.95


def test_embeddings_equal_transformers(client, golden_dir):
    meta = json.loads((golden_dir / "real/minilm.json").read_text())
    expected = np.fromfile(golden_dir / "real/minilm.f32", np.float32).reshape(-1, meta["dim"])
    answer = client.embeddings.create(model=EMBED, input=meta["sentences"])
    got = np.float32([d.embedding for d in answer.data])
    assert answer.usage.prompt_tokens == sum(meta["tokens"])
    error = np.abs(got - expected)
    assert np.all(error <= 2e-5 + 2e-5 * np.abs(expected)), error.max()


def test_a_thousand_embeddings_equal_transformers(client, golden_dir):
    """Projections of every normalised vector, and its length before."""
    sys.path.insert(0, str(golden_dir / "real"))
    from sentences import projections, sentences

    expected = np.fromfile(golden_dir / "real/minilm_1000.f32", np.float32).reshape(1000, -1)
    texts, unit, lengths, tokens = sentences(), [], [], 0
    for begin in range(0, len(texts), 100):
        part = texts[begin:begin + 100]
        answer = client.embeddings.create(model=EMBED, input=part)
        unit += [d.embedding for d in answer.data]
        tokens += answer.usage.prompt_tokens
        raw = client.embeddings.create(model=EMBED, input=part, extra_body={"normalize": False})
        lengths += [np.linalg.norm(d.embedding) for d in raw.data]
    assert tokens == json.loads((golden_dir / "real/minilm_1000.json").read_text())["tokens"]
    got = np.column_stack([np.float64(unit) @ projections(), lengths])
    error = np.abs(got - expected)
    assert np.all(error <= 2e-5 + 2e-5 * np.abs(expected)), (error.max(), np.argmax(error) // 17)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)


# The reference's own f32 run is up to 4.3e-5 away from its f64 run, which is the golden; ours 5.6e-5.
# With activations in int8 the error is 0.0067 to 0.0081 of the logits' rms, whatever the instruction set and
# the type of keys and values: another rounding anywhere is another draw of the same noise.
@pytest.mark.parametrize(("weights", "kv", "share"),
                         [("f32", "f32", None), ("stored", "f32", 0.01), ("stored", "f16", 0.01)])
def test_logprobs_equal_transformers_on_the_same_weights(weights, kv, share, chat_model_path, golden_dir, tmp_path):
    golden = json.loads((golden_dir / "real/smollm2_logprobs.json").read_text())
    expected = np.float64(golden["logprobs"])
    model = tmp_path / chat_model_path.name
    model.symlink_to(chat_model_path.resolve())
    with Worker(model, "--weights", weights, "--kv-type", kv) as worker:
        answer = worker.post("completions", prompt=golden["tokens"], max_tokens=0, echo=True, logprobs=1)
        got = np.float64(answer.json()["choices"][0]["logprobs"]["token_logprobs"][1:])
    assert got.shape == expected.shape
    error = np.abs(got - expected)
    if share is None:
        assert np.all(error <= 2e-5 + 2e-5 * np.abs(expected)), error.max()
    else:
        assert np.sqrt((error**2).mean()) <= share * golden["logit_rms"]


def test_greedy_text_equals_llama_cpp(client, golden_dir):
    """Identical, or the first difference is a near tie; along llama.cpp's whole path we choose alike."""
    cases = json.loads((golden_dir / "real/smollm2_greedy.json").read_text())
    positions = agreed = identical = 0
    for case in cases:
        ours = client.completions.create(
            model=CHAT, prompt=case["prompt"], max_tokens=64, temperature=0,
            extra_body={"ignore_eos": True, "return_token_ids": True}).choices[0].model_extra
        prompt, theirs = ours["prompt_token_ids"], case["tokens"]
        assert len(ours["token_ids"]) == len(theirs) == 64

        # Our distribution at every position of their text.
        scores = client.completions.create(
            model=CHAT, prompt=[*prompt, *theirs], max_tokens=0, echo=True, logprobs=5,
            extra_body={"return_tokens_as_token_ids": True}).choices[0].logprobs
        gaps = [max(top.values()) - own for top, own in zip(scores.top_logprobs[len(prompt):],
                                                            scores.token_logprobs[len(prompt):])]
        differing = [i for i in range(64) if ours["token_ids"][i] != theirs[i]]
        if differing:
            assert gaps[differing[0]] <= NEAR_TIE, (case["prompt"], differing[0], gaps[differing[0]])
        identical += not differing
        positions += len(gaps)
        agreed += sum(gap == 0 for gap in gaps)
    assert identical > 0
    assert agreed / positions >= AGREEMENT

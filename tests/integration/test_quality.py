"""The default models against independent implementations (tests/golden/real)."""

import json

import numpy as np
from support import CHAT, EMBED

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

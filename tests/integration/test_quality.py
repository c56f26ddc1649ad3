"""The default models against independent implementations (tests/golden/real)."""

import json

import numpy as np
from support import CHAT, EMBED

# Two engines that round activations differently can swap near ties; a gap of more than this in
# natural-log probability cannot come from rounding int8 activations of a 4-bit model.
NEAR_TIE = 0.15


def test_embeddings_equal_transformers(client, golden_dir):
    meta = json.loads((golden_dir / "real/minilm.json").read_text())
    expected = np.fromfile(golden_dir / "real/minilm.f32", np.float32).reshape(-1, meta["dim"])
    answer = client.embeddings.create(model=EMBED, input=meta["sentences"])
    got = np.float32([d.embedding for d in answer.data])
    assert answer.usage.prompt_tokens == sum(meta["tokens"])
    error = np.abs(got - expected)
    assert np.all(error <= 2e-5 + 2e-5 * np.abs(expected)), error.max()


def test_greedy_text_equals_llama_cpp(client, golden_dir):
    """Identical, or the first difference is a near tie of the two candidates."""
    cases = json.loads((golden_dir / "real/smollm2_greedy.json").read_text())
    identical = 0
    for case in cases:
        answer = client.completions.create(
            model=CHAT, prompt=case["prompt"], max_tokens=64, temperature=0, logprobs=5,
            extra_body={"ignore_eos": True, "return_token_ids": True})
        choice = answer.choices[0]
        ours = choice.model_extra["token_ids"]
        assert len(ours) == len(case["tokens"]) == 64
        differing = [i for i in range(64) if ours[i] != case["tokens"][i]]
        if not differing:
            identical += 1
            assert choice.text == case["text"]
            continue
        # Force their prefix and look at our distribution at the first difference.
        at = differing[0]
        prefix = client.completions.create(model=CHAT, prompt=case["prompt"], max_tokens=1,
                                           extra_body={"return_token_ids": True})
        prompt_ids = prefix.choices[0].model_extra.get("prompt_token_ids") or prefix.model_extra["prompt_token_ids"]
        look = client.completions.create(
            model=CHAT, prompt=[*prompt_ids, *case["tokens"][:at]], max_tokens=1, temperature=0, logprobs=5,
            extra_body={"return_tokens_as_token_ids": True})
        top = look.choices[0].logprobs.top_logprobs[0]
        best = max(top.values())
        theirs = top.get(f"token_id:{case['tokens'][at]}")
        assert theirs is not None and best - theirs <= NEAR_TIE, (case["prompt"], at, top)
    assert identical >= len(cases) // 2

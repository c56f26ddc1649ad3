"""Golden MPT models: a plain NumPy f64 forward pass, checked against transformers where both apply.

The MPT of transformers ignores alibi_bias_max, expansion_ratio, qk_ln, logit_scale, biases, learned
positions and grouped heads. So the reference is written here after llm-foundry, and the cases that
transformers can run are compared with it (eager, f32); the script fails when they differ.
"""

import numpy as np
import torch
from transformers import MptConfig, MptForCausalLM

from . import common, int8
from .formulas import attend, gelu, layer_norm

VOCAB = 131
TOKENS = common.tokens(99, 48, VOCAB)
SOME = [0, 1, 2, 3, 7, 12, 20, 31, 40, 46, 47]  # rows of the logits that are stored
EPSILON = 1e-5


def attention_config(config):
    return config.get("attn_config") or {}


def kv_heads(config):
    attn = attention_config(config)
    kind = attn.get("attn_type") or "multihead_attention"
    return {"multihead_attention": config["n_heads"], "multiquery_attention": 1}.get(
        kind) or attn["kv_n_heads"]


def alibi_slopes(heads, bias_max):
    """As llm-foundry builds them (gen_slopes)."""
    n = 2 ** int(np.ceil(np.log2(heads)))
    slopes = 1 / 2 ** (np.arange(1, n + 1) * (bias_max / n))
    if n != heads:
        slopes = np.concatenate([slopes[1::2], slopes[::2]])[:heads]
    return slopes


def forward(config, weights, tokens, for_input_of=lambda name: lambda x: x):
    """Logits [tokens, vocab], and what the final norm makes of the state after each layer. for_input_of(name)
    makes of x what the matrix of that name takes for its input."""
    w = {name: x.astype(np.float64) for name, x in weights.items()}
    attn, heads, d = attention_config(config), config["n_heads"], config["d_model"]
    kv, head = kv_heads(config), d // heads

    def linear(x, name):
        y = for_input_of(name)(x) @ w[name + ".weight"].T
        return y + w[name + ".bias"] if name + ".bias" in w else y

    def norm(x, name):
        return layer_norm(x, w[name + ".weight"], w.get(name + ".bias"), EPSILON)

    positions = np.arange(len(tokens))
    distance = positions[None, :] - positions[:, None]  # j - i
    alibi = attn["alibi"] if attn.get("alibi") is not None else "transformer.wpe.weight" not in w
    x = w["transformer.wte.weight"][tokens]
    bias = np.where(distance > 0, -np.inf, 0.0)[None]
    if alibi:
        slopes = alibi_slopes(heads, attn.get("alibi_bias_max") or 8)
        bias = bias + slopes[:, None, None] * distance
    else:
        x = x + w["transformer.wpe.weight"][positions]
    states = []
    for n in range(config["n_layers"]):
        p = f"transformer.blocks.{n}."
        h = norm(x, p + "norm_1")
        if p + "attn.Wqkv.weight" in w:
            qkv = linear(h, p + "attn.Wqkv")
        else:
            qkv = np.concatenate([linear(h, p + "attn.W" + c) for c in "qkv"], -1)
        if attn.get("clip_qkv"):
            qkv = qkv.clip(-attn["clip_qkv"], attn["clip_qkv"])
        q, k, v = np.split(qkv, [d, d + kv * head], -1)
        if attn.get("qk_ln"):
            q, k = norm(q, p + "attn.q_ln"), norm(k, p + "attn.k_ln")
        mixed = attend(q, k, v, heads, kv, attn.get("softmax_scale") or head**-0.5, bias)
        x = x + linear(mixed, p + "attn.out_proj")
        h = norm(x, p + "norm_2")
        x = x + linear(gelu(linear(h, p + "ffn.up_proj")), p + "ffn.down_proj")
        states.append(norm(x, "transformer.norm_f"))

    scale = config.get("logit_scale")
    if scale is None:
        scale = 1.0
    elif scale == "inv_sqrt_d_model":
        scale = d**-0.5
    tied = config.get("tie_word_embeddings") is not False
    head_matrix = w["transformer.wte.weight" if tied else "lm_head.weight"]
    return for_input_of("lm_head")(states[-1]) @ head_matrix.T * scale, np.stack(states[:-1]) * scale


def shapes(config, bias=False, learned=False, fused=True):
    d, heads, v = config["d_model"], config["n_heads"], config["vocab_size"]
    head, kv = d // heads, kv_heads(config)
    inner = int(d * config.get("expansion_ratio", 4))
    out = {"transformer.wte.weight": (v, d), "transformer.norm_f.weight": (d,)}
    if learned:
        out["transformer.wpe.weight"] = (config["max_seq_len"], d)
    if config.get("tie_word_embeddings") is False:
        out["lm_head.weight"] = (v, d)
    for n in range(config["n_layers"]):
        p = f"transformer.blocks.{n}."
        qkv = {"Wqkv": d + 2 * kv * head} if fused else {"Wq": d, "Wk": kv * head, "Wv": kv * head}
        for name, rows in qkv.items():
            out[p + f"attn.{name}.weight"] = (rows, d)
        out[p + "attn.out_proj.weight"] = (d, d)
        out[p + "ffn.up_proj.weight"] = (inner, d)
        out[p + "ffn.down_proj.weight"] = (d, inner)
        out[p + "norm_1.weight"] = out[p + "norm_2.weight"] = (d,)
        if attention_config(config).get("qk_ln"):
            out[p + "attn.q_ln.weight"] = (d,)
            out[p + "attn.k_ln.weight"] = (kv * head,)
    if bias:
        for name, shape in list(out.items()):
            if "wte" not in name and "wpe" not in name and "lm_head" not in name:
                out[name.removesuffix("weight") + "bias"] = (shape[0],)
    return out


def runs_in_transformers(config, weights, tokens):
    attn = attention_config(config)
    return not (any(name.endswith("bias") for name in weights) or "transformer.wpe.weight" in weights
                or config.get("logit_scale") or config.get("expansion_ratio", 4) != 4
                or config.get("tie_word_embeddings") is False or attn.get("qk_ln")
                or attn.get("alibi_bias_max", 8) != 8 or kv_heads(config) != config["n_heads"]
                or len(tokens) > config["max_seq_len"])


def transformers_logits(config, weights, tokens):
    c = MptConfig(**{k: v for k, v in config.items() if k not in ("architectures", "model_type")})
    c._attn_implementation = "eager"
    model = common.load(MptForCausalLM(c), weights, optional=("lm_head",))
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0].numpy()


def make(name, config, seed, tokens=TOKENS, small=None, rows=None, bf16=False, **kinds):
    # Two thirds of Wqkv are queries and keys; values as wide do no harm.
    specs = common.tensor_specs(shapes(config, **kinds), small=small, sharp_names=("attn.W",))
    case = {"seed": seed, "tokens": tokens, "tensors": specs, "bf16": bf16}
    if rows:
        case["rows"] = rows
    weights = common.random_weights(case)
    logits, states = forward(config, weights, tokens)
    if runs_in_transformers(config, weights, tokens):
        error = abs(transformers_logits(config, weights, tokens) - logits).max()
        # transformers adds slope * (j - (T - 1)): far from 0 for a long prompt, and rounded there.
        assert error < (1e-5 if len(tokens) <= 64 else 1e-4), (name, error)
        print(f"{name}: transformers differs by {error:.1e}")
    else:
        print(f"{name}: transformers cannot run it")
    untied = config.get("tie_word_embeddings") is False
    held = int8.weights(weights, "transformer.wte.weight" if untied else None)
    in_int8, _ = forward(config, held, tokens, int8.for_input_of)
    common.write_case(name, config, case, logits, in_int8, states)


def base(d_model, n_heads, **changes):
    config = dict(model_type="mpt", architectures=["MPTForCausalLM"], d_model=d_model, n_heads=n_heads,
                  n_layers=2, vocab_size=VOCAB, max_seq_len=64, expansion_ratio=4, no_bias=True,
                  learned_pos_emb=True, norm_type="low_precision_layernorm", logit_scale=None,
                  torch_dtype="bfloat16", tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
                  attn_config=dict(attn_type="multihead_attention", alibi=True, alibi_bias_max=8,
                                   clip_qkv=None, softmax_scale=None, qk_ln=False, prefix_lm=False,
                                   attn_uses_sequence_id=False))
    attn = {**config["attn_config"], **changes.pop("attn_config", {})}
    return {**config, **changes, "attn_config": attn}


def make_all():
    # Eight heads: a power of two.
    make("mpt-8", base(48, 8), 1234)
    # Six heads, and what can be turned on.
    make("mpt-6", base(36, 6, n_layers=3), 77, bf16=True)
    make("mpt-6-clip", base(36, 6, attn_config=dict(clip_qkv=0.3)), 78, rows=SOME)
    make("mpt-6-scale", base(36, 6, attn_config=dict(softmax_scale=0.2)), 79, rows=SOME)
    make("mpt-6-bias16", base(36, 6, attn_config=dict(alibi_bias_max=16)), 80, rows=SOME)
    make("mpt-6-logits", base(36, 6, logit_scale="inv_sqrt_d_model"), 81, rows=SOME)
    # Past two partitions of the attention kernels.
    make("mpt-6-long", base(36, 6, max_seq_len=640), 82, common.tokens(5, 600, VOCAB),
         rows=[255, 256, 257, 511, 599])
    # Biases, learned positions because the file has them, normalised Q and K, grouped heads.
    config = base(24, 6, n_layers=3, expansion_ratio=2, no_bias=False, logit_scale=0.5, attn_config=dict(
        attn_type="grouped_query_attention", kv_n_heads=2, qk_ln=True))
    del config["attn_config"]["alibi"]
    make("mpt-bias", config, 4321, bias=True, learned=True)
    # One KV head, a head dimension that is odd, a file with learned positions that ALiBi switches
    # off, projections and a head of their own; small embeddings make the epsilon visible.
    config = base(33, 3, tie_word_embeddings=False, attn_config=dict(
        attn_type="multiquery_attention", fused_qkv=False))
    make("mpt-mqa", config, 99, small=0.003, fused=False, learned=True)
    # The head dimension of mpt-30b.
    make("mpt-112", base(112 * 2, 2, expansion_ratio=1), 30, TOKENS[:20])

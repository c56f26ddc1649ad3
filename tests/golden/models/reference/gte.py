"""Golden GTE v1.5 models: a plain NumPy f64 forward pass.

transformers has no such model; its code travels with the checkpoints. Where NEW_IMPL in the environment
names a folder that holds that code (configuration.py and modeling.py of Alibaba-NLP/new-impl), all cases
are compared with it, too.
"""

import os

import numpy as np

from . import common, encoders
from .formulas import attend, gelu, layer_norm, rms_norm

VOCAB = 131
TOKENS = common.tokens(7, 48, VOCAB)
SEQUENCES = [TOKENS, TOKENS[:1], TOKENS[5:22], TOKENS[30:33]]


def frequencies(config):
    d = config["hidden_size"] // config["num_attention_heads"]
    n, theta, scaling = np.arange(d // 2), config["rope_theta"], config.get("rope_scaling")
    if not scaling or scaling["factor"] <= 1:
        return theta ** (-2 * n / d)
    s, b = scaling["factor"], scaling.get("mixed_b")
    if b is None:
        return (theta * s) ** (-2 * n / d) * s ** (-2 / d)
    return theta ** (-2 * n / d) * np.exp(-np.log(s) / (d / 2) ** b * (n + 1) ** b)


def rotate(x, heads, f):
    """Half-split pairs of [tokens, heads * d]."""
    angles = np.arange(len(x))[:, None, None] * f
    cos, sin = np.cos(angles), np.sin(angles)
    a, b = np.split(x.reshape(len(x), heads, -1), 2, -1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1).reshape(len(x), -1)


def forward(config, weights, tokens):
    """Hidden states [layers, tokens, hidden]."""
    w = {name.removeprefix("new."): x.astype(np.float64) for name, x in weights.items()}
    heads, eps = config["num_attention_heads"], config["layer_norm_eps"]
    f = frequencies(config)

    def linear(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def norm(x, name):
        if config["layer_norm_type"] == "rms_norm":
            return rms_norm(x, w[name + ".weight"], eps)
        return layer_norm(x, w[name + ".weight"], w[name + ".bias"], eps)

    x = w["embeddings.word_embeddings.weight"][tokens]
    if config["type_vocab_size"] > 0:
        x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(x, w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"], eps)
    states = []
    for n in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{n}."
        if config["pack_qkv"]:
            q, k, v = np.split(linear(x, p + "attention.qkv_proj"), 3, -1)
        else:
            q, k, v = (linear(x, p + f"attention.{c}_proj") for c in "qkv")
        scale = (x.shape[1] / heads) ** -0.5
        mixed = attend(rotate(q, heads, f), rotate(k, heads, f), v, heads, heads, scale)
        x = norm(x + linear(mixed, p + "attention.o_proj"), p + "attn_ln")
        up, gate = np.split(x @ w[p + "mlp.up_gate_proj.weight"].T, 2, -1)
        x = norm(x + linear(gelu(gate) * up, p + "mlp.down_proj"), p + "mlp_ln")
        states.append(x)
    return np.stack(states)


def shapes(config, prefix):
    d, i, rms = config["hidden_size"], config["intermediate_size"], config["layer_norm_type"] == "rms_norm"
    out = {"embeddings.word_embeddings.weight": (VOCAB, d), "embeddings.LayerNorm.weight": (d,),
           "embeddings.LayerNorm.bias": (d,)}
    if config["type_vocab_size"] > 0:
        out["embeddings.token_type_embeddings.weight"] = (config["type_vocab_size"], d)
    for n in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{n}."
        dense = {"attention.o_proj": (d, d), "mlp.down_proj": (d, i)}
        dense |= {"attention.qkv_proj": (3 * d, d)} if config["pack_qkv"] else {
            f"attention.{c}_proj": (d, d) for c in "qkv"}
        for name, shape in dense.items():
            out[p + name + ".weight"], out[p + name + ".bias"] = shape, shape[:1]
        out[p + "mlp.up_gate_proj.weight"] = (2 * i, d)
        for name in ("attn_ln", "mlp_ln"):
            out[p + name + ".weight"] = (d,)
            if not rms:
                out[p + name + ".bias"] = (d,)
    return {prefix + name: shape for name, shape in out.items()}


def check_original(folder, config, weights, sequences, states):
    import importlib.util
    import sys

    import torch
    spec = importlib.util.spec_from_loader("new_impl", loader=None)
    package = importlib.util.module_from_spec(spec)
    package.__path__ = [folder]
    sys.modules["new_impl"] = package
    from new_impl.configuration import NewConfig
    from new_impl.modeling import NewModel
    c = NewConfig(**{k: v for k, v in config.items() if k not in ("architectures", "model_type")})
    plain = {name.removeprefix("new."): x for name, x in weights.items()}
    model = common.load(NewModel(c, add_pooling_layer=False), plain, ("position_ids", "_cached"))
    worst = 0
    for tokens, want in zip(sequences, states):
        with torch.no_grad():
            got = model(torch.tensor([tokens])).last_hidden_state[0].numpy()
        worst = max(worst, abs(got - want[-1]).max())
    assert worst < 1e-5, worst
    print(f"  the original code differs by {worst:.1e}")


def make(name, config, seed, original, sequences=SEQUENCES, prefix="", small=None, bf16=False,
         pooling="cls", files=None):
    config = {**dict(
        model_type="new", architectures=["NewModel"], vocab_size=VOCAB, num_hidden_layers=2,
        hidden_act="gelu", layer_norm_type="layer_norm", layer_norm_eps=1e-12, type_vocab_size=0,
        max_position_embeddings=1024, position_embedding_type="rope", rope_theta=500.0, rope_scaling=None,
        pack_qkv=True, unpad_inputs=False, use_memory_efficient_attention=False,
        logn_attention_scale=False, logn_attention_clip1=False, pad_token_id=0), **config}
    tensors = common.tensor_specs(shapes(config, prefix), scale=0.1, sharp=0.16, small=small,
                                  sharp_names=("qkv_proj", "q_proj", "k_proj"))
    case = {"seed": seed, "bf16": bf16, "sequences": sequences, "tensors": tensors}
    weights = common.random_weights(case)
    states = [forward(config, weights, tokens) for tokens in sequences]
    if original:
        check_original(original, config, weights, sequences, states)
    encoders.write_case(name, config, case, states, pooling, files)


def make_all():
    original = os.environ.get("NEW_IMPL")
    # As gte-base: fixed NTK, no token types, saved from a task head.
    make("gte-a", dict(hidden_size=48, num_attention_heads=6, intermediate_size=80, num_hidden_layers=3,
                       rope_scaling={"type": "ntk", "factor": 2.0}), 11, original, prefix="new.")
    # Mixed NTK, RMSNorm, projections apart, token types; small embeddings make the epsilon visible.
    make("gte-b", dict(hidden_size=36, num_attention_heads=3, intermediate_size=56, pack_qkv=False,
                       layer_norm_type="rms_norm", type_vocab_size=2,
                       rope_scaling={"rope_type": "ntk", "type": "ntk", "factor": 4.0, "mixed_b": 0.9}),
         12, original, small=0.003)
    # No scaling, a long input, another pooling.
    make("gte-c", dict(hidden_size=32, num_attention_heads=2, intermediate_size=48, type_vocab_size=1,
                       rope_theta=160000.0), 13, original, [*SEQUENCES, common.tokens(8, 700, VOCAB)],
         bf16=True, pooling="mean", files=encoders.modules("mean", True))

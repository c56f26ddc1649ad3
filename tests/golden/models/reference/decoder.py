"""Llama of all generations and Mistral, by transformers 4.45 in eager f32."""

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from . import int8
from .common import load, random_weights, tensor_specs, tokens, write_case

VOCAB = 83
LLAMA = dict(
    model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=VOCAB, hidden_size=64,
    intermediate_size=96, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2,
    max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
    tie_word_embeddings=False, attention_bias=False, mlp_bias=False, torch_dtype="float32")
MISTRAL = {**{k: v for k, v in LLAMA.items() if not k.endswith("_bias")},
           "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 5}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
LLAMA32 = {**LLAMA3, "factor": 32.0}
# 700 tokens cross two partitions of 256 keys and many blocks.
LONG = 700
LONG_ROWS = sorted({0, 1, 99, 100, 101, 254, 255, 256, 257, 258, 355, 511, 512, 513, 600,
                    *range(LONG - 8, LONG)})


def attention_shapes(c, prefix, bias=False):
    d = c["hidden_size"]
    head = c.get("head_dim") or d // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    shapes = {}
    for name, out, inp in (("q_proj", q, d), ("k_proj", kv, d), ("v_proj", kv, d),
                           ("o_proj", d, q)):
        shapes[f"{prefix}self_attn.{name}.weight"] = (out, inp)
        if bias:
            shapes[f"{prefix}self_attn.{name}.bias"] = (out,)
    return shapes


def frame_shapes(c):
    """Everything but attention and MLP."""
    d, v = c["hidden_size"], c["vocab_size"]
    shapes = {"model.embed_tokens.weight": (v, d), "model.norm.weight": (d,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (v, d)
    for n in range(c["num_hidden_layers"]):
        shapes[f"model.layers.{n}.input_layernorm.weight"] = (d,)
        shapes[f"model.layers.{n}.post_attention_layernorm.weight"] = (d,)
    return shapes


def llama_shapes(c):
    d, i = c["hidden_size"], c["intermediate_size"]
    shapes = frame_shapes(c)
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        shapes.update(attention_shapes(c, p, c.get("attention_bias")))
        for name, out, inp in (("gate_proj", i, d), ("up_proj", i, d), ("down_proj", d, i)):
            shapes[f"{p}mlp.{name}.weight"] = (out, inp)
            if c.get("mlp_bias"):
                shapes[f"{p}mlp.{name}.bias"] = (out,)
    return shapes


def run(model, final_norm, token_ids):
    """Logits of all tokens, and the normed states between the layers."""
    with torch.no_grad():
        out = model(torch.tensor([token_ids]), use_cache=False, output_hidden_states=True)
        states = out.hidden_states[1:-1]
        layers = [final_norm(state)[0].numpy() for state in states]
    return out.logits[0].numpy(), np.stack(layers) if layers else None


def run_both(model, weights, final_norm, token_ids, config, optional=("lm_head",)):
    """Logits, those of int8, and the states between the layers."""
    logits, layers = run(load(model, weights, optional), final_norm, token_ids)
    embeddings = None if config["tie_word_embeddings"] else "model.embed_tokens.weight"
    load(model, int8.weights(weights, embeddings), optional)
    with int8.inputs(model):
        return logits, run(model, final_norm, token_ids)[0], layers


def llama_reference(config, weights, token_ids):
    c = LlamaConfig(**{k: v for k, v in config.items() if k not in ("architectures", "model_type")})
    c._attn_implementation = "eager"
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "yarn":
        # 4.45 takes max_position_embeddings where yarn's original_max_position_embeddings belongs.
        c.max_position_embeddings = scaling["original_max_position_embeddings"]
    model = LlamaForCausalLM(c)
    return run_both(model, weights, model.model.norm, token_ids, config)


def mistral_reference(config, weights, token_ids):
    if config.get("rope_scaling"):
        # 4.45 has no scaling in its Mistral, which is a Llama when there is no window.
        assert config["sliding_window"] is None
        return llama_reference(config, weights, token_ids)
    c = MistralConfig(**{k: v for k, v in config.items()
                         if k not in ("architectures", "model_type")})
    c._attn_implementation = "eager"
    model = MistralForCausalLM(c)
    return run_both(model, weights, model.model.norm, token_ids, config)


def make(name, base, reference, seed, count=40, rows=None, bf16=False, small=None, **changes):
    config = {**base, **changes}
    if bf16:
        config["torch_dtype"] = "bfloat16"
    case = {"seed": seed, "tokens": tokens(seed, count, config["vocab_size"]),
            "tensors": tensor_specs(llama_shapes(config), small=small)}
    if rows:
        case["rows"] = rows
    if bf16:
        case["bf16"] = True
    write_case(name, config, case, *reference(config, random_weights(case), case["tokens"]))


def llama(name, seed, **changes):
    make(name, LLAMA, llama_reference, seed, **changes)


def mistral(name, seed, **changes):
    make(name, MISTRAL, mistral_reference, seed, **changes)


def make_all():
    # As many heads for keys as for queries (7B, 13B), groups (70B), one for all.
    llama("llama-2-mha", 11, num_key_value_heads=8, max_position_embeddings=4096)
    llama("llama-2-gqa", 12, hidden_size=72, num_attention_heads=6, num_key_value_heads=2,
          intermediate_size=100, num_hidden_layers=2, vocab_size=101)
    llama("llama-2-mqa", 13, hidden_size=60, num_attention_heads=5, num_key_value_heads=1,
          intermediate_size=57, num_hidden_layers=4, rms_norm_eps=1e-6, small=0.003)
    # A large theta.
    llama("llama-3-gqa", 21, rope_theta=5e5, num_attention_heads=4, num_key_value_heads=1,
          small=0.003)
    llama("llama-3-odd", 22, rope_theta=5e5, hidden_size=42, num_attention_heads=3,
          num_key_value_heads=3, intermediate_size=70, num_hidden_layers=2)
    llama("llama-3-bf16", 23, rope_theta=5e5, hidden_size=96, num_attention_heads=12,
          num_key_value_heads=4, intermediate_size=64, bf16=True)
    # Wavelengths that are kept, blended and divided.
    llama("llama-31-gqa", 31, rope_theta=500.0, rope_scaling=LLAMA3)
    llama("llama-31-wide", 32, rope_theta=5e5, rope_scaling=LLAMA3, hidden_size=48, head_dim=24,
          num_attention_heads=4, num_key_value_heads=2, intermediate_size=80, num_hidden_layers=2)
    llama("llama-31-mqa", 33, rope_theta=5e5, num_attention_heads=3, num_key_value_heads=1,
          hidden_size=84, rope_scaling={**LLAMA3, "original_max_position_embeddings": 64})
    llama("llama-31-long", 34, count=LONG, rows=LONG_ROWS, rope_theta=5e5, head_dim=24,
          num_attention_heads=4, num_hidden_layers=2, max_position_embeddings=1024,
          rope_scaling={**LLAMA3, "original_max_position_embeddings": 128})
    # Tied, factor 32: 1B (more heads) and 3B (heads not a power of two).
    llama("llama-32-1b", 41, rope_theta=5e5, head_dim=24, tie_word_embeddings=True,
          rope_scaling=LLAMA32)
    llama("llama-32-3b", 42, rope_theta=5e5, hidden_size=72, num_attention_heads=6, head_dim=32,
          num_key_value_heads=2, tie_word_embeddings=True, rope_scaling=LLAMA32)
    llama("llama-32-bf16", 43, rope_theta=5e5, head_dim=20, num_attention_heads=6,
          num_key_value_heads=3, tie_word_embeddings=True, rope_scaling=LLAMA32, bf16=True)
    # As 3.1 70B: eight queries per key.
    llama("llama-33-gqa", 51, rope_theta=5e5, hidden_size=128, num_attention_heads=16,
          num_key_value_heads=2, head_dim=24, intermediate_size=112, num_hidden_layers=2,
          rope_scaling=LLAMA3)
    llama("llama-33-deep", 52, rope_theta=5e5, hidden_size=40, num_attention_heads=5,
          num_key_value_heads=1, head_dim=24, num_hidden_layers=5, intermediate_size=52,
          rope_scaling=LLAMA3)
    llama("llama-33-mha", 53, rope_theta=500.0, num_attention_heads=7, num_key_value_heads=7,
          hidden_size=56, intermediate_size=75, rope_scaling=LLAMA3)

    # Yarn whose bands begin and end between two frequencies.
    llama("llama-yarn-wide", 54, hidden_size=48, head_dim=24, num_attention_heads=4,
          num_key_value_heads=2, num_hidden_layers=2, max_position_embeddings=2048, rope_scaling={
              "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512})

    mistral("mistral-w", 61)
    mistral("mistral-full", 62, sliding_window=None, num_key_value_heads=8, intermediate_size=75)
    # The window of one token, and windows around the size of a KV block.
    mistral("mistral-w1", 63, sliding_window=1, hidden_size=60, num_attention_heads=5,
            num_key_value_heads=1, num_hidden_layers=2)
    mistral("mistral-w16", 64, sliding_window=16, head_dim=12, num_attention_heads=6,
            num_key_value_heads=3)
    mistral("mistral-w17-bf16", 65, sliding_window=17, num_attention_heads=4, num_key_value_heads=2,
            head_dim=20, bf16=True)
    mistral("mistral-yarn", 66, sliding_window=None, max_position_embeddings=128,
            rope_scaling={"rope_type": "yarn", "factor": 4.0,
                          "original_max_position_embeddings": 32})
    mistral("mistral-w-long", 67, count=LONG, rows=LONG_ROWS, sliding_window=100,
            num_hidden_layers=2, max_position_embeddings=1024)

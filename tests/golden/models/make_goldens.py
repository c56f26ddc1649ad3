#!/usr/bin/env python3
"""Writes the golden models: tiny seeded random checkpoints, and what transformers makes of them.

The reference is transformers (4.45) in eager f32 on the CPU. Run from anywhere:

    python3 make_goldens.py

Each case is a folder:
  config.json, model.safetensors   the checkpoint (absent when "weights" names another case)
  model.gguf                       instead of both
  case.json                        tokens, and which files hold what
  *.f32                            expected values, raw little-endian f32

Weights are N(0, sigma) from seed 1234, tensors in sorted order of their names; norm weights are
1 + N(0, 0.1), biases N(0, 0.1).

The cases of reference/ (a module per family) hold no weights, see reference/common.py. One family:

    python3 make_goldens.py decoder
"""

import importlib
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
SEED = 1234
VOCAB = 257
TOKENS = np.random.default_rng(99).integers(0, VOCAB, 48).tolist()
SIGMA, SIGMA_QK = 0.08, 0.18
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}

LLAMA = dict(
    model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=VOCAB, hidden_size=64,
    intermediate_size=96, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2,
    max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
    tie_word_embeddings=False, attention_bias=False, mlp_bias=False, bos_token_id=1,
    eos_token_id=2, torch_dtype="float32")


def llama_shapes(c):
    d, i, v = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    head = c.get("head_dim") or d // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": (v, d), "model.norm.weight": (d,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (v, d)
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        shapes[p + "input_layernorm.weight"] = (d,)
        shapes[p + "post_attention_layernorm.weight"] = (d,)
        for name, out, inp, bias in (
            ("self_attn.q_proj", q, d, c["attention_bias"]),
            ("self_attn.k_proj", kv, d, c["attention_bias"]),
            ("self_attn.v_proj", kv, d, c["attention_bias"]),
            ("self_attn.o_proj", d, q, c["attention_bias"]),
            ("mlp.gate_proj", i, d, c["mlp_bias"]),
            ("mlp.up_proj", i, d, c["mlp_bias"]),
            ("mlp.down_proj", d, i, c["mlp_bias"])):
            shapes[p + name + ".weight"] = (out, inp)
            if bias:
                shapes[p + name + ".bias"] = (out,)
    return shapes


def random_weights(shapes, sigma, embedding_sigma=None):
    rng = np.random.default_rng(SEED)
    weights = {}
    for name in sorted(shapes):
        x = rng.standard_normal(shapes[name])
        if len(shapes[name]) == 1 and name.endswith("weight"):
            x = 1 + 0.1 * x
        elif name.endswith("bias"):
            x = 0.1 * x
        elif "embed" in name and embedding_sigma is not None:
            x = embedding_sigma * x
        elif any(part in name for part in ("q_proj", "k_proj", "query", "key")):
            x = max(SIGMA_QK, sigma) * x
        else:
            x = sigma * x
        weights[name] = x.astype(np.float32)
    return weights


def to_bf16(weights):
    """Rounded to nearest even: (bf16 bits, the same values as f32)."""
    bits, values = {}, {}
    for name, x in weights.items():
        t = torch.from_numpy(x).to(torch.bfloat16)
        values[name] = t.float().numpy()
        bits[name] = (values[name].view(np.uint32) >> 16).astype(np.uint16)
    return bits, values


def save_bf16(bits, path):
    """safetensors by hand: NumPy has no bf16."""
    header, blob = {}, b""
    for name in sorted(bits):
        data = bits[name].tobytes()
        header[name] = {"dtype": "BF16", "shape": list(bits[name].shape),
                        "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob)


def load(model, weights):
    state = {name: torch.from_numpy(x.copy()) for name, x in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [m for m in missing if "inv_freq" not in m and "position_ids" not in m
               and "pooler" not in m and m != "lm_head.weight"]
    assert not missing and not unexpected, (missing, unexpected)
    return model.eval().float()


def llama_logits(config, weights):
    c = LlamaConfig(**{k: v for k, v in config.items() if k not in ("architectures", "model_type")})
    c._attn_implementation = "eager"
    yarn = (config.get("rope_scaling") or {}).get("rope_type") == "yarn"
    if yarn:
        # transformers 4.45 ignores original_max_position_embeddings of yarn and takes
        # max_position_embeddings instead.
        c.max_position_embeddings = config["rope_scaling"]["original_max_position_embeddings"]
    model = load(LlamaForCausalLM(c), weights)
    with torch.no_grad():
        return model(torch.tensor([TOKENS]), use_cache=False).logits[0].numpy()


def write(folder, config, case, arrays):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "case.json").write_text(json.dumps(case) + "\n")
    for name, array in arrays.items():
        (folder / name).write_bytes(np.ascontiguousarray(array, dtype="<f4").tobytes())


def make_llama(name, embedding_sigma=None, weights_of=None, bf16=False, **changes):
    config = {**LLAMA, **changes}
    weights = random_weights(llama_shapes(config), SIGMA, embedding_sigma)
    arrays = {"logits.f32": llama_logits(config, weights)}
    case = {"tokens": TOKENS}
    folder = HERE / name
    if weights_of:
        case["weights"] = weights_of
    write(folder, config, case, arrays)
    if not weights_of:
        save_file(weights, folder / "model.safetensors")
    if bf16:
        bits, values = to_bf16(weights)
        config = {**config, "torch_dtype": "bfloat16"}
        write(HERE / (name + "-bf16"), config, case, {"logits.f32": llama_logits(config, values)})
        save_bf16(bits, HERE / (name + "-bf16") / "model.safetensors")
    print(name, "max |logit|", float(abs(arrays["logits.f32"]).max()))


def gguf_string(text):
    data = text.encode()
    return len(data).to_bytes(8, "little") + data


def gguf_value(value):
    if isinstance(value, str):
        return (8).to_bytes(4, "little") + gguf_string(value)
    if isinstance(value, int):
        return (4).to_bytes(4, "little") + value.to_bytes(4, "little")
    return (6).to_bytes(4, "little") + np.float32(value).tobytes()


def permute(weight, heads):
    """Rows s * D/2 + j of each head go to 2 j + s, as the GGUF converter does."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def make_gguf():
    """llama-31 on bf16 weights as a GGUF file: permuted q and k, scaling as rope_freqs.weight."""
    config = {**LLAMA, "rope_theta": 500.0, "rope_scaling": LLAMA3}
    bits, values = to_bf16(random_weights(llama_shapes(config), SIGMA))
    head = config["hidden_size"] // config["num_attention_heads"]
    base = LlamaConfig(**{**config, "rope_scaling": None})
    scaled = LlamaConfig(**config)
    plain = ROPE_INIT_FUNCTIONS["default"](base, "cpu")[0]
    divisors = (plain / ROPE_INIT_FUNCTIONS["llama3"](scaled, "cpu")[0]).numpy()
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
             "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
             "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    tensors = {"rope_freqs.weight": divisors.astype("<f4")}
    for name in sorted(bits):
        stem = name.removesuffix(".weight")
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            gguf = f"blk.{layer}.{names[part]}.weight"
        else:
            gguf = names[stem] + ".weight"
        data = bits[name] if bits[name].ndim == 2 else values[name]
        if "q_proj" in name:
            data = permute(data, config["num_attention_heads"])
        if "k_proj" in name:
            data = permute(data, config["num_key_value_heads"])
        tensors[gguf] = np.ascontiguousarray(data)
    metadata = {
        "general.architecture": "llama", "llama.block_count": config["num_hidden_layers"],
        "llama.context_length": config["max_position_embeddings"],
        "llama.embedding_length": config["hidden_size"],
        "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": config["num_attention_heads"],
        "llama.attention.head_count_kv": config["num_key_value_heads"],
        "llama.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "llama.rope.freq_base": config["rope_theta"], "llama.rope.dimension_count": head,
        "llama.vocab_size": VOCAB}
    out = b"GGUF" + (3).to_bytes(4, "little") + len(tensors).to_bytes(8, "little")
    out += len(metadata).to_bytes(8, "little")
    for key, value in metadata.items():
        out += gguf_string(key) + gguf_value(value)
    blob = b""
    for name, data in tensors.items():
        kind = 30 if data.dtype == np.uint16 else 0  # BF16 or F32
        out += gguf_string(name) + data.ndim.to_bytes(4, "little")
        for extent in reversed(data.shape):
            out += extent.to_bytes(8, "little")
        out += kind.to_bytes(4, "little") + len(blob).to_bytes(8, "little")
        blob += data.tobytes()
        blob += b"\0" * (-len(blob) % 32)
    out += b"\0" * (-len(out) % 32)
    folder = HERE / "llama-gguf"
    folder.mkdir(exist_ok=True)
    (folder / "model.gguf").write_bytes(out + blob)
    (folder / "logits.f32").write_bytes(llama_logits(config, values).astype("<f4").tobytes())


FAMILIES = ("decoder", "moe", "mpt", "bert", "gte")
if not sys.argv[1:]:
    make_llama("llama-a", bf16=True)
    make_llama("llama-b", embedding_sigma=0.003, tie_word_embeddings=True)
    make_llama("llama-c", head_dim=16, attention_bias=True, mlp_bias=True)
    make_llama("llama-31", weights_of="llama-a", rope_theta=500.0, rope_scaling=LLAMA3)
    make_llama("llama-lin", weights_of="llama-a", rope_scaling={"rope_type": "linear", "factor": 4.0})
    make_llama("llama-yarn", weights_of="llama-a", max_position_embeddings=128, rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32})
    make_llama("llama-dyn", weights_of="llama-a", max_position_embeddings=8,
               rope_scaling={"rope_type": "dynamic", "factor": 8.0})
    make_gguf()
for family in sys.argv[1:] or FAMILIES:
    importlib.import_module("reference." + family).make_all()

#!/usr/bin/env python3
"""Tiny Llama folders, one per way of quantising, and what transformers computes with the weights that
they stand for.

Each folder holds config.json, model.safetensors, tokens.json, logits.f32 [tokens, vocab] and
k_proj.f32, the dequantised k_proj of layer 0. Those that integer kernels compute also hold
logits_int8.f32: inputs rounded to int8 as in models/reference/int8.py, and the weights too where no
panel holds them as they are (inputs in another order than their groups). Integers, scales and zero points are drawn at random;
the weights are scale * (integer - zero point) in NumPy f32, and the packed tensors are unpacked again
by the formulas of the formats and compared.

  python3 tests/golden/quantized/make_goldens.py      needs numpy, torch, transformers 4.45
"""

import json
import pathlib
import struct
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))
from reference import int8  # noqa: E402
from reference.common import load  # noqa: E402
from reference.decoder import LLAMA, run  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

CONFIG = {**LLAMA, "vocab_size": 48, "num_hidden_layers": 1, "tie_word_embeddings": True}
D, I, V, KV = 64, 96, 48, 16
LAYER = "model.layers.0."
MODULES = {"self_attn.q_proj": (D, D), "self_attn.k_proj": (KV, D), "self_attn.v_proj": (KV, D),
           "self_attn.o_proj": (D, D), "mlp.gate_proj": (I, D), "mlp.up_proj": (I, D),
           "mlp.down_proj": (D, I)}
TYPES = {np.dtype("float32"): "F32", np.dtype("float16"): "F16", np.dtype("int32"): "I32",
         np.dtype("int64"): "I64", np.dtype("int8"): "I8"}


class Typed:
    """Raw bits of a type that NumPy does not know."""

    def __init__(self, name, bits):
        self.name, self.bits = name, bits


def bf16(values):
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return Typed("BF16", rounded), (rounded.astype(np.uint32) << 16).view(np.float32)


def e4m3(bits):
    """Sign 1, exponent 4 (bias 7), mantissa 3."""
    sign = np.where(bits >> 7, -1.0, 1.0)
    exponent, mantissa = (bits >> 3 & 15).astype(np.int32), bits & 7
    size = np.where(exponent > 0, (1 + mantissa / 8) * 2.0 ** (exponent - 7), mantissa * 2.0**-9)
    return (sign * size).astype(np.float32)


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        value = tensors[name]
        kind, array = (value.name, value.bits) if isinstance(value, Typed) else (
            TYPES[value.dtype], value)
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def pack_words(values, bits, axis):
    """Unsigned integers, low bits first, 32 // bits to a word, along an axis padded with zeros."""
    per_word = 32 // bits
    values = np.moveaxis(np.asarray(values, np.uint32), axis, 0)
    padding = -len(values) % per_word
    values = np.concatenate([values, np.zeros((padding, *values.shape[1:]), np.uint32)])
    words = np.zeros((len(values) // per_word, *values.shape[1:]), np.uint32)
    for k in range(per_word):
        words |= values[k::per_word] << np.uint32(bits * k)
    return np.moveaxis(words, 0, axis).view(np.int32)


def unpack_words(words, bits, axis, count):
    words = np.moveaxis(words.view(np.uint32), axis, 0)
    per_word = 32 // bits
    values = np.stack([words[n // per_word] >> np.uint32(bits * (n % per_word)) & (2**bits - 1)
                       for n in range(count)])
    return np.moveaxis(values, 0, axis).astype(np.int32)


def scales(rng, shape, bits):
    step = {2: 0.08, 4: 0.02, 8: 0.0012}[bits]
    return (step * rng.uniform(0.6, 1.4, shape)).astype(np.float16)


def gptq(rng, name, out, inp, bits=4, group=32, sym=True, v2=False, act=False):
    groups = 1 if group == -1 else -(-inp // group)
    g_idx = np.arange(inp, dtype=np.int32) // (inp if group == -1 else group)
    if act:
        rng.shuffle(g_idx)
    q = rng.integers(0, 2**bits, (inp, out))
    s = scales(rng, (groups, out), bits)
    # Stored zero points are one too small in v1, so that 2^bits is one; 0 is one in v2.
    low, high = (0, 2**bits - 1) if v2 else (1, 2**bits)
    z = rng.integers(low, high + 1, (groups, out))
    if sym:
        z[:] = 2 ** (bits - 1)
    else:
        z[0, 0], z[-1, -1] = low, high
    stored = z - (0 if v2 else 1)
    pieces = {"qweight": pack_words(q, bits, 0), "qzeros": pack_words(stored, bits, 1), "scales": s,
              "g_idx": g_idx}
    again = unpack_words(pieces["qweight"], bits, 0, inp)
    zeros = unpack_words(pieces["qzeros"], bits, 1, out) + (0 if v2 else 1)
    weight = s[g_idx].astype(np.float32) * (again - zeros[g_idx]).astype(np.float32)
    assert np.array_equal(weight, s[g_idx].astype(np.float32) * (q - z[g_idx]).astype(np.float32))
    if group == -1 or not act and name.endswith("v_proj"):
        del pieces["g_idx"]  # may be missing
    return pieces, weight.T


AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def awq_words(values):
    words = np.zeros((values.shape[0], values.shape[1] // 8), np.uint32)
    for n, column in enumerate(AWQ_ORDER):
        words |= values[:, column::8].astype(np.uint32) << np.uint32(4 * n)
    return words.view(np.int32)


def awq(rng, name, out, inp, group=32):
    q = rng.integers(0, 16, (inp, out))
    z = rng.integers(0, 16, (-(-inp // group), out))
    s = scales(rng, z.shape, 4)
    index = np.arange(inp) // group
    weight = (q - z[index]).astype(np.float32) * s[index].astype(np.float32)
    return {"qweight": awq_words(q), "qzeros": awq_words(z), "scales": s}, weight.T


def packed(rng, name, out, inp, bits=4, group=32, asymmetric=False, g_idx=False):
    groups = inp // group
    q = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (out, inp))
    stored_scale, s = bf16(scales(rng, (out, groups), bits).astype(np.float32))
    z = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (out, groups)) if asymmetric else None
    index = np.arange(inp, dtype=np.int32) // group
    offset = 2 ** (bits - 1)
    pieces = {"weight_packed": pack_words(q + offset, bits, 1), "weight_scale": stored_scale,
              "weight_shape": np.array([out, inp], np.int64)}
    if g_idx:
        rng.shuffle(index)
        pieces["weight_g_idx"] = index
    if asymmetric:
        pieces["weight_zero_point"] = pack_words(z + offset, bits, 0)
    zero = z[:, index] if asymmetric else 0
    assert np.array_equal(unpack_words(pieces["weight_packed"], bits, 1, inp) - offset, q)
    return pieces, s[:, index] * (q - zero).astype(np.float32)


def scaled(rng, name, out, inp, kind="F8_E4M3", grid="channel", scale_name="weight_scale",
           scale_type="f32", asymmetric=False, extra=None, block=32):
    shape = {"tensor": (1,), "channel": (out, 1),
             "block": (-(-out // block), -(-inp // block))}[grid]
    s = rng.uniform(0.6, 1.4, shape) * (0.02 if kind == "F8_E4M3" else 0.0012)
    stored, s = (bf16(s) if scale_type == "bf16" else [np.float32(s)] * 2)
    if kind == "F8_E4M3":
        bits = (rng.integers(0, 0x50, (out, inp)) | rng.integers(0, 2, (out, inp)) << 7).astype(np.uint8)
        weight, values = Typed(kind, bits), e4m3(bits)
    else:
        weight = values = rng.integers(-127, 128, (out, inp)).astype(np.int8)
    pieces = {"weight": weight, scale_name: stored, **(extra or {})}
    zero = np.zeros(shape, np.int8)
    if asymmetric:
        zero = rng.integers(-20, 21, shape).astype(np.int8)
        pieces["weight_zero_point"] = zero
    if grid == "block":
        rows, cols = np.arange(out) // block, np.arange(inp) // block
        s, zero = s[rows][:, cols], zero[rows][:, cols]
    return pieces, s * (values.astype(np.float32) - zero.astype(np.float32))


def compressed(fmt, **weights):
    return {"quant_method": "compressed-tensors", "format": fmt, "quantization_status": "compressed",
            "ignore": ["lm_head"], "kv_cache_scheme": None,
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights,
                                          "input_activations": None}}}


def gptq_config(bits=4, group=32, **more):
    return {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": False, "sym": True,
            **more}


INPUT_SCALE = {"input_scale": np.float32([0.5])}
CASES = {
    "gptq-4": (gptq, {}, gptq_config()),
    "gptq-4-asym": (gptq, dict(sym=False), gptq_config(sym=False)),
    "gptq-4-v2": (gptq, dict(sym=False, v2=True), gptq_config(sym=False, checkpoint_format="gptq_v2")),
    "gptq-4-act": (gptq, dict(sym=False, act=True), gptq_config(sym=False, desc_act=True)),
    "gptq-8": (gptq, dict(bits=8, group=-1), gptq_config(8, -1)),
    "gptq-8-asym": (gptq, dict(bits=8, sym=False), gptq_config(8, sym=False)),
    "gptq-2": (gptq, dict(bits=2, sym=False), gptq_config(2, sym=False)),
    "awq": (awq, {}, {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True,
                      "version": "gemm", "modules_to_not_convert": None}),
    "ct-fp8-tensor": (scaled, dict(grid="tensor", scale_type="bf16", extra=INPUT_SCALE),
                      compressed("float-quantized", num_bits=8, type="float", strategy="tensor",
                                 symmetric=True)),
    "ct-fp8-channel": (scaled, {}, compressed("float-quantized", num_bits=8, type="float",
                                              strategy="channel", dynamic=False)),
    "ct-fp8-block": (scaled, dict(grid="block"),
                     compressed("float-quantized", num_bits=8, type="float", strategy="block",
                                block_structure=[32, 32])),
    "ct-int8": (scaled, dict(kind="I8", scale_type="bf16"),
                compressed("int-quantized", num_bits=8, type="int", strategy="channel")),
    "ct-int8-asym": (scaled, dict(kind="I8", asymmetric=True),
                     compressed("int-quantized", num_bits=8, type="int", strategy="channel",
                                symmetric=False)),
    "ct-packed-4": (packed, {}, compressed("pack-quantized", num_bits=4, type="int",
                                           strategy="group", group_size=32)),
    "ct-packed-4-asym": (packed, dict(asymmetric=True),
                         compressed("pack-quantized", num_bits=4, type="int", strategy="group",
                                    group_size=32, symmetric=False)),
    "ct-packed-4-act": (packed, dict(asymmetric=True, g_idx=True),
                        compressed("pack-quantized", num_bits=4, type="int", strategy="group",
                                   group_size=32, symmetric=False, actorder="group")),
    "ct-packed-8": (packed, dict(bits=8), compressed("pack-quantized", num_bits=8, type="int",
                                                     strategy="group", group_size=32)),
    "fbgemm-fp8": (scaled, dict(extra={"input_scale_ub": np.float32([1200.0])}),
                   {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0,
                    "modules_to_not_convert": ["lm_head"]}),
    "fp8-block": (scaled, dict(grid="block", scale_name="weight_scale_inv"),
                  {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [32, 32]}),
    "auto-fp8": (scaled, dict(grid="tensor", extra=INPUT_SCALE),
                 {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"]}),
}


def logits_of(weights, token_ids, rounded_inputs):
    """Inputs stay exact where the weights are floats: at the head, and at what was not converted."""
    c = LlamaConfig(**{k: v for k, v in CONFIG.items() if k not in ("architectures", "model_type")})
    c._attn_implementation = "eager"
    model = load(LlamaForCausalLM(c), weights, optional=("lm_head",))
    with int8.inputs(model, only=rounded_inputs):
        return run(model, model.model.norm, token_ids)[0]


def held_as_floats(case):
    return "fp8" in case or case in ("gptq-8-asym", "ct-int8-asym")  # no panel of 8 bits has zero points


def make(case, seed):
    writer, options, method = CASES[case]
    rng = np.random.default_rng(seed)
    tensors = {"model.embed_tokens.weight": rng.normal(0, 0.08, (V, D)).astype(np.float16)}
    for norm in ("model.norm", f"{LAYER}input_layernorm", f"{LAYER}post_attention_layernorm"):
        tensors[f"{norm}.weight"] = (1 + rng.normal(0, 0.1, D)).astype(np.float16)
    weights = {name: value.astype(np.float32) for name, value in tensors.items()}
    converted = []
    for module, (out, inp) in MODULES.items():
        if module == "self_attn.o_proj" and case in ("ct-fp8-channel", "awq"):
            # One that was not converted, as an ignore list may say.
            value = rng.normal(0, 0.08, (out, inp)).astype(np.float16)
            tensors[f"{LAYER}{module}.weight"] = value
            weights[f"{LAYER}{module}.weight"] = value.astype(np.float32)
            continue
        converted.append(module)
        pieces, weight = writer(rng, module, out, inp, **options)
        assert weight.shape == (out, inp) and weight.dtype == np.float32
        tensors.update({f"{LAYER}{module}.{piece}": value for piece, value in pieces.items()})
        weights[f"{LAYER}{module}.weight"] = np.ascontiguousarray(weight)
    folder = HERE / case
    folder.mkdir(exist_ok=True)
    config = {**CONFIG, "quantization_config": method}
    token_ids = rng.integers(0, V, 12).tolist()
    logits = logits_of(weights, token_ids, ())
    noise = 0
    if not held_as_floats(case):
        held = {name: int8.weight(x, scale_last=True) if "act" in case and name.endswith("proj.weight") else x
                for name, x in weights.items()}
        rounded = logits_of(held, token_ids, tuple(converted))
        rounded.astype("<f4").tofile(folder / "logits_int8.f32")
        noise = np.sqrt(((rounded - logits) ** 2).mean() / (logits**2).mean())
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "tokens.json").write_text(json.dumps(token_ids) + "\n")
    logits.astype("<f4").tofile(folder / "logits.f32")
    weights[f"{LAYER}self_attn.k_proj.weight"].astype("<f4").tofile(folder / "k_proj.f32")
    print(f"{case}: max |logit| {np.abs(logits).max():.2f}, int8 differs by {noise:.2%} of their rms")


for number, case_name in enumerate(CASES):
    make(case_name, 100 + number)

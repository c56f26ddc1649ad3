#!/usr/bin/env python3
"""Writes a GGUF file with random weights in the exact shapes of a known model.

Speed does not depend on the values, so such files let engines be compared on models whose weights
cannot be had. Only NumPy is needed:

    make_random_model.py llama-3.2-1b q4_0 /somewhere/llama-1b-q4_0.gguf
    make_random_model.py bert-large bf16 /somewhere/bert-large-bf16.gguf

GGUF layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import argparse
import struct

import numpy as np

LLAMAS = {
    "llama-3.2-1b": dict(vocab=128256, d=2048, layers=16, heads=32, kv=8, inner=8192, context=131072,
                         theta=500000.0),
    "smollm2-135m": dict(vocab=49152, d=576, layers=30, heads=9, kv=3, inner=1536, context=8192,
                         theta=100000.0),
    # Mixtral's proportions in a size for any machine: 1.1 billion parameters, of which a token
    # takes 0.33 billion.
    "mixtral-1b": dict(vocab=32000, d=1024, layers=12, heads=16, kv=4, inner=3584, context=32768,
                       theta=1000000.0, experts=8, used=2),
}
BERTS = {
    "bert-large": dict(vocab=30522, d=1024, layers=24, heads=16, inner=4096, context=512),
}

# name: (ggml type id, elements per block, bytes per block)
TYPES = {
    "f32": (0, 1, 4),
    "f16": (1, 1, 2),
    "q4_0": (2, 32, 18),
    "q4_1": (3, 32, 20),
    "q8_0": (8, 32, 34),
    "bf16": (30, 1, 2),
}


def random_tensor(rng, kind, elements):
    """Bytes of `elements` values of magnitude about 0.02."""
    _, block, size = TYPES[kind]
    count = elements // block
    if kind == "f32":
        return (rng.standard_normal(count, dtype=np.float32) * 0.02).tobytes()
    if kind == "f16":
        return (rng.standard_normal(count, dtype=np.float32) * 0.02).astype(np.float16).tobytes()
    if kind == "bf16":
        bits = (rng.standard_normal(count, dtype=np.float32) * 0.02).view(np.uint32)
        return (bits >> 16).astype(np.uint16).tobytes()
    blocks = rng.integers(0, 256, size=(count, size), dtype=np.uint8)
    scale = np.float16(0.02 / (127 if kind == "q8_0" else 8))
    blocks[:, 0:2] = np.frombuffer(scale.tobytes(), np.uint8)
    if kind == "q4_1":  # minimum: centres the values on zero
        blocks[:, 2:4] = np.frombuffer(np.float16(-8 * scale).tobytes(), np.uint8)
    return blocks.tobytes()


class Gguf:
    """Collects metadata and tensor descriptions, then streams the file out."""

    def __init__(self):
        self.kv, self.tensors = [], []

    def string(self, text):
        raw = text.encode()
        return struct.pack("<Q", len(raw)) + raw

    def add(self, key, kind, value):
        formats = {"u32": (4, "<I"), "i32": (5, "<i"), "f32": (6, "<f"), "bool": (7, "<?")}
        out = self.string(key)
        if kind == "str":
            out += struct.pack("<I", 8) + self.string(value)
        elif kind == "strs":
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(self.string, value))
        elif kind == "i32s":
            out += struct.pack("<IIQ", 9, 5, len(value)) + np.asarray(value, "<i4").tobytes()
        else:
            code, layout = formats[kind]
            out += struct.pack("<I", code) + struct.pack(layout, value)
        self.kv.append(out)

    def tensor(self, name, kind, *shape):  # outermost first
        self.tensors.append((name, kind, shape))

    def write(self, path, seed):
        rng = np.random.default_rng(seed)
        infos, offset = [], 0
        for name, kind, shape in self.tensors:
            code, block, size = TYPES[kind]
            infos.append(self.string(name) + struct.pack("<I", len(shape)) +
                         struct.pack(f"<{len(shape)}Q", *reversed(shape)) +
                         struct.pack("<IQ", code, offset))
            elements = int(np.prod(shape))
            offset += (elements // block * size + 31) // 32 * 32
        with open(path, "wb") as out:
            out.write(b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.kv)))
            out.write(b"".join(self.kv) + b"".join(infos))
            out.write(b"\0" * (-out.tell() % 32))
            for name, kind, shape in self.tensors:
                if len(shape) == 1 and name.endswith("weight"):
                    data = np.ones(shape, np.float32).tobytes()
                else:
                    data = random_tensor(rng, kind, int(np.prod(shape)))
                out.write(data + b"\0" * (-len(data) % 32))


def byte_level_tokens(count):
    """The 256 byte stand-ins, then fillers; enough for a tokenizer to load."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    table = {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}
    tokens = [table[b] for b in range(256)]
    tokens.append("he")  # the result of the one merge
    return tokens + [f"<filler{n}>" for n in range(count - len(tokens))]


def llama(shape, kind):
    g = Gguf()
    d, head = shape["d"], shape["d"] // shape["heads"]
    g.add("general.architecture", "str", "llama")
    g.add("general.name", "str", "random weights")
    for key, value in [("context_length", shape["context"]), ("embedding_length", d),
                       ("block_count", shape["layers"]), ("feed_forward_length", shape["inner"]),
                       ("attention.head_count", shape["heads"]),
                       ("attention.head_count_kv", shape["kv"]),
                       ("rope.dimension_count", head), ("vocab_size", shape["vocab"])]:
        g.add(f"llama.{key}", "u32", value)
    g.add("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5)
    g.add("llama.rope.freq_base", "f32", shape["theta"])
    experts = shape.get("experts", 0)
    if experts:
        g.add("llama.expert_count", "u32", experts)
        g.add("llama.expert_used_count", "u32", shape["used"])
    tokens = byte_level_tokens(shape["vocab"])
    g.add("tokenizer.ggml.model", "str", "gpt2")
    g.add("tokenizer.ggml.pre", "str", "gpt-2")
    g.add("tokenizer.ggml.tokens", "strs", tokens)
    g.add("tokenizer.ggml.token_type", "i32s", [1] * 257 + [3] * (len(tokens) - 257))
    g.add("tokenizer.ggml.merges", "strs", ["h e"])
    g.add("tokenizer.ggml.bos_token_id", "u32", 257)
    g.add("tokenizer.ggml.eos_token_id", "u32", 258)
    g.tensor("token_embd.weight", kind, shape["vocab"], d)  # tied with the output
    g.tensor("output_norm.weight", "f32", d)
    for i in range(shape["layers"]):
        block = f"blk.{i}."
        g.tensor(block + "attn_norm.weight", "f32", d)
        g.tensor(block + "attn_q.weight", kind, shape["heads"] * head, d)
        g.tensor(block + "attn_k.weight", kind, shape["kv"] * head, d)
        g.tensor(block + "attn_v.weight", kind, shape["kv"] * head, d)
        g.tensor(block + "attn_output.weight", kind, d, shape["heads"] * head)
        g.tensor(block + "ffn_norm.weight", "f32", d)
        stack, suffix = ((experts,), "_exps") if experts else ((), "")
        if experts:
            g.tensor(block + "ffn_gate_inp.weight", "f32", experts, d)
        g.tensor(block + f"ffn_gate{suffix}.weight", kind, *stack, shape["inner"], d)
        g.tensor(block + f"ffn_up{suffix}.weight", kind, *stack, shape["inner"], d)
        g.tensor(block + f"ffn_down{suffix}.weight", kind, *stack, d, shape["inner"])
    return g


def bert(shape, kind):
    g = Gguf()
    d = shape["d"]
    g.add("general.architecture", "str", "bert")
    g.add("general.name", "str", "random weights")
    for key, value in [("context_length", shape["context"]), ("embedding_length", d),
                       ("block_count", shape["layers"]), ("feed_forward_length", shape["inner"]),
                       ("attention.head_count", shape["heads"]), ("pooling_type", 2)]:
        g.add(f"bert.{key}", "u32", value)
    g.add("bert.attention.layer_norm_epsilon", "f32", 1e-12)
    g.add("bert.attention.causal", "bool", False)
    specials = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    letters = [chr(c) for c in range(33, 127)]
    tokens = [specials.get(n) or ("\u2581" + letters[n - 1000] if 1000 <= n < 1000 + len(letters)
                                  else f"filler{n}") for n in range(shape["vocab"])]
    g.add("tokenizer.ggml.model", "str", "bert")
    g.add("tokenizer.ggml.pre", "str", "jina-v2-en")
    g.add("tokenizer.ggml.tokens", "strs", tokens)
    g.add("tokenizer.ggml.token_type", "i32s", [3 if n in specials else 1 for n in range(len(tokens))])
    g.add("tokenizer.ggml.token_type_count", "u32", 2)
    for key, value in [("bos", 101), ("eos", 102), ("unknown", 100), ("seperator", 102),
                       ("padding", 0), ("cls", 101), ("mask", 103)]:
        g.add(f"tokenizer.ggml.{key}_token_id", "u32", value)
    g.tensor("token_embd.weight", kind, shape["vocab"], d)
    g.tensor("position_embd.weight", "f32", shape["context"], d)
    g.tensor("token_types.weight", "f32", 2, d)
    g.tensor("token_embd_norm.weight", "f32", d)
    g.tensor("token_embd_norm.bias", "f32", d)
    for i in range(shape["layers"]):
        block = f"blk.{i}."
        for name, rows, cols in [("attn_q", d, d), ("attn_k", d, d), ("attn_v", d, d),
                                 ("attn_output", d, d), ("ffn_up", shape["inner"], d),
                                 ("ffn_down", d, shape["inner"])]:
            g.tensor(f"{block}{name}.weight", kind, rows, cols)
            g.tensor(f"{block}{name}.bias", "f32", rows)
        for name in ["attn_output_norm", "layer_output_norm"]:
            g.tensor(f"{block}{name}.weight", "f32", d)
            g.tensor(f"{block}{name}.bias", "f32", d)
    return g


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=[*LLAMAS, *BERTS])
    parser.add_argument("type", choices=TYPES)
    parser.add_argument("path")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    build = llama if args.shape in LLAMAS else bert
    build((LLAMAS | BERTS)[args.shape], args.type).write(args.path, args.seed)


if __name__ == "__main__":
    main()

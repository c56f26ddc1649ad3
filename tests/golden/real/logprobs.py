#!/usr/bin/env python3
"""Log-probabilities of a fixed text by the default chat model, from transformers in f64.

    logprobs.py MODEL.gguf LLAMA_TOKENIZE     writes smollm2_logprobs.json

LLAMA_TOKENIZE is the tool of llama.cpp that finds the ids.

The weights are those of the GGUF file, dequantised by the formulas of the block formats (Q4_1, Q6_K,
Q8_0, F16, F32), with the rows of q and k put back into the order of Hugging Face checkpoints. So the
reference shares neither code nor rounding with Tessera. tests/integration/test_quality.py compares.
"""

import json
import pathlib
import struct
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
TEXT = """The history of the bridge begins in 1869, when an engineer named Johanna Köhler crossed the river in a \
rowing boat and swore never to do it again. She drew three plans. The first was too expensive, the second too \
ugly, and the third, which the city built, too small: within ten years, carts queued on both banks.

"We need a second bridge," said the mayor. "We need fewer carts," said Köhler.

def queue_length(carts, minutes):
    arrivals = sum(1 for c in carts if c.time < minutes)
    return max(0, arrivals - minutes // 2)

In the end they built neither. A tunnel, finished in 1911, carries 14,500 people a day; the old bridge is closed \
to traffic, and on summer evenings (June to August) there is music on it. Its official name is still "Provisional \
Crossing No. 3". Das steht sogar auf dem Schild. 桥 🌉 e = mc², 3.14159 and so on: the usual graffiti.

Question: why did the third plan fail?
Answer: The third plan failed because"""


# --- the GGUF file ---------------------------------------------------------------------------------

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, code):
        value = struct.unpack_from("<" + code, self.data, self.at)[0]
        self.at += struct.calcsize("<" + code)
        return value

    def text(self):
        size = self.scalar("Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, count = self.scalar("I"), self.scalar("Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def half(blocks, begin):
    return blocks[:, begin:begin + 2].copy().view(np.float16).astype(np.float32)


def q4_1(b):
    nibbles = np.concatenate([b[:, 4:] & 15, b[:, 4:] >> 4], 1)
    return half(b, 0) * nibbles + half(b, 2)


def q8_0(b):
    return half(b, 0) * b[:, 2:].view(np.int8)


def q6_k(b):
    ql, qh, scales = b[:, :128].reshape(-1, 2, 64), b[:, 128:192].reshape(-1, 2, 32), b[:, 192:208].view(np.int8)
    out = np.empty((len(b), 2, 4, 32), np.float32)
    for g in range(4):
        low = ql[:, :, 32 * (g & 1):32 * (g & 1) + 32] >> 4 * (g >> 1) & 15
        out[:, :, g] = (low | (qh >> 2 * g & 3) << 4).astype(np.int32) - 32
    steps = (half(b, 208) * scales).reshape(len(b), 2, 4, 2, 1)
    return (out.reshape(len(b), 2, 4, 2, 16) * steps).reshape(len(b), 256)


# type: elements and bytes of a block, and their values
BLOCKS = {0: (1, 4, lambda b: b.copy().view(np.float32)), 1: (1, 2, lambda b: half(b, 0)),
          3: (32, 20, q4_1), 8: (32, 34, q8_0), 14: (256, 210, q6_k)}


def read_gguf(path):
    r = Reader(pathlib.Path(path).read_bytes())
    assert r.data[:4] == b"GGUF"
    r.at = 8
    tensors, pairs = r.scalar("Q"), r.scalar("Q")
    metadata = {}
    for _ in range(pairs):
        key = r.text()
        metadata[key] = r.value(r.scalar("I"))
    infos = {}
    for _ in range(tensors):
        name = r.text()
        shape = [r.scalar("Q") for _ in range(r.scalar("I"))][::-1]
        infos[name] = (shape, r.scalar("I"), r.scalar("Q"))
    align = metadata.get("general.alignment", 32)
    start = (r.at + align - 1) // align * align
    weights = {}
    for name, (shape, kind, offset) in infos.items():
        elements, size, values = BLOCKS[kind]
        count = int(np.prod(shape)) // elements
        raw = np.frombuffer(r.data, np.uint8, count * size, start + offset).reshape(count, size)
        weights[name] = values(raw).reshape(shape)
    return metadata, weights


# --- the model -------------------------------------------------------------------------------------

NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
TOPS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def unpermute(rows, heads):
    """Row 2 j + s of a head goes back to s * D/2 + j."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def load(path):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    metadata, stored = read_gguf(path)
    m = {key.removeprefix("llama."): value for key, value in metadata.items()}
    config = LlamaConfig(
        vocab_size=stored["token_embd.weight"].shape[0], hidden_size=m["embedding_length"],
        intermediate_size=m["feed_forward_length"], num_hidden_layers=m["block_count"],
        num_attention_heads=m["attention.head_count"], num_key_value_heads=m["attention.head_count_kv"],
        rms_norm_eps=m["attention.layer_norm_rms_epsilon"], rope_theta=m["rope.freq_base"],
        max_position_embeddings=m["context_length"], tie_word_embeddings="output.weight" not in stored)
    config._attn_implementation = "eager"
    weights = {}
    for name, values in stored.items():
        stem = name.removesuffix(".weight")
        if stem.startswith("blk."):
            _, layer, part = stem.split(".")
            if part in ("attn_q", "attn_k"):
                values = unpermute(values, m["attention.head_count" + ("_kv" if part == "attn_k" else "")])
            weights[f"model.layers.{layer}.{NAMES[part]}.weight"] = torch.from_numpy(values.copy())
        else:
            weights[TOPS[stem] + ".weight"] = torch.from_numpy(values.copy())
    model = LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    return model.eval(), metadata


def main(path, tokens):
    import torch
    torch.set_num_threads(1)
    model, _ = load(path)
    found = {}
    for kind in (torch.float32, torch.float64):
        with torch.no_grad():
            logits = model.to(kind)(torch.tensor([tokens])).logits[0].double()
        scores = torch.log_softmax(logits, -1)[torch.arange(len(tokens) - 1), tokens[1:]].numpy()
        found[kind] = scores
    best = logits.argmax(-1)[:-1].tolist()
    print("f32 differs from f64 by", abs(found[torch.float32] - found[torch.float64]).max())
    (HERE / "smollm2_logprobs.json").write_text(json.dumps({
        "text": TEXT, "tokens": tokens, "logprobs": [round(x, 9) for x in found[torch.float64].tolist()],
        "argmax": best, "logit_rms": float((logits**2).mean().sqrt())}, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    listed = subprocess.run([sys.argv[2], "-m", sys.argv[1], "-p", TEXT, "--ids", "--no-bos", "--log-disable"],
                            check=True, capture_output=True, text=True).stdout
    main(sys.argv[1], json.loads(listed))

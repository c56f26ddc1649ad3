"""What all families share: weights from a formula, and the files of a case.

A case is a folder of

  config.json   the model's own
  case.json     kind, seed, tensors {name: {shape, scale, offset}}, tokens, rows (of the logits)
  logits.f32    [rows, vocab] of the whole prompt, raw little-endian
  logits_int8.f32  [rows, vocab], weights and activations rounded to int8 as in int8.py
  layers.f32    [layers - 1, len(layer_rows), hidden] after the final norm, see below

and holds no weights: element n of a tensor is

  f32(offset + scale * sqrt(3) * u),  u = (splitmix64(key + (n + 1) * gamma) >> 40) / 2^23 - 1

with key = splitmix64(seed + FNV-1a(name)), so u is uniform in [-1, 1) and scale the standard
deviation. src/models/golden_files.h computes the same bits. "bf16": true rounds them to bf16.

layers.f32 localises an error: what the final norm makes of the state after 1, 2, … layers. A test
reads it from the model cut off after that layer, with the identity as head.
"""

import json
import pathlib

import numpy as np
import torch

HERE = pathlib.Path(__file__).resolve().parent.parent
GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def splitmix64(x):
    """Of an array of uint64."""
    x = x.copy()
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def random_bits(seed, name, count):
    key = splitmix64(np.array([(seed + fnv1a(name)) & MASK], np.uint64))[0]
    with np.errstate(over="ignore"):
        return splitmix64(key + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GAMMA))


def random_tensor(seed, name, spec):
    count = int(np.prod(spec["shape"]))
    uniform = (random_bits(seed, name, count) >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    values = spec["offset"] + spec["scale"] * np.sqrt(3.0) * uniform
    return values.astype(np.float32).reshape(spec["shape"])


def random_weights(case):
    weights = {name: random_tensor(case["seed"], name, spec)
               for name, spec in case["tensors"].items()}
    if case.get("bf16"):
        weights = {name: torch.from_numpy(x).to(torch.bfloat16).float().numpy()
                   for name, x in weights.items()}
    return weights


def tokens(seed, count, vocab):
    return (random_bits(seed, "tokens", count) % np.uint64(vocab)).astype(np.int64).tolist()


def tensor_specs(shapes, scale=0.08, sharp=0.2, norm=0.1, bias=0.1, small=None,
                 sharp_names=("q_proj", "k_proj", "Wqkv", "query", "key", "gate.weight", "router"),
                 scales=None):
    """Norm weights 1 + N(0, norm), biases N(0, bias), the `sharp_names` wider, so that attention
    is not uniform and routing decisive. small: of the embeddings. scales: {part of name: scale}."""
    specs = {}
    for name in sorted(shapes):
        spec = {"shape": list(shapes[name]), "scale": scale, "offset": 0.0}
        if len(shapes[name]) == 1 and not name.endswith("bias"):
            spec.update(scale=norm, offset=1.0)
        elif name.endswith("bias"):
            spec["scale"] = bias
        elif small is not None and ("embed" in name or "wte" in name):
            spec["scale"] = small
        elif any(part in name for part in sharp_names):
            spec["scale"] = sharp
        for part, value in (scales or {}).items():
            if part in name:
                spec["scale"] = value
        specs[name] = spec
    return specs


def load(model, weights, optional=()):
    """Puts the weights into a transformers model; only the `optional` may be left out."""
    state = {name: torch.from_numpy(np.array(x)) for name, x in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [m for m in missing if not any(part in m for part in ("inv_freq", *optional))]
    assert not missing and not unexpected, (missing, unexpected)
    return model.eval().float()


def rms(x):
    return float(np.sqrt((np.asarray(x, np.float64) ** 2).mean()))


def write_case(name, config, case, logits, int8_logits, layers=None):
    """layers: [layers - 1, tokens, hidden] or None; some rows of them are kept."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    rows = case.get("rows") or list(range(len(case["tokens"])))
    noise = rms(int8_logits[rows] - logits[rows]) / rms(logits[rows])
    case = {"kind": "decoder", **case, "rows": rows}
    (folder / "logits.f32").write_bytes(np.ascontiguousarray(logits[rows], "<f4").tobytes())
    (folder / "logits_int8.f32").write_bytes(
        np.ascontiguousarray(int8_logits[rows], "<f4").tobytes())
    if layers is not None:
        # The first tokens, and some up to the last.
        count = len(case["tokens"])
        case["layer_rows"] = sorted({0, 1, 2, count // 4, count // 2, count - 2, count - 1})
        (folder / "layers.f32").write_bytes(
            np.ascontiguousarray(layers[:, case["layer_rows"]], "<f4").tobytes())
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    text = json.dumps({k: v for k, v in case.items() if k != "tensors"})[:-1]
    rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in case["tensors"].items())
    (folder / "case.json").write_text(f'{text}, "tensors": {{\n{rows}\n}}}}\n')
    print(f"{name}: max |logit| {abs(logits).max():.2f}, int8 differs by {noise:.2%} of their rms")

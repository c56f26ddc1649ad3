"""Files of an encoder's case: config.json and case.json as of common.py, "sequences" instead of
"tokens", and

  embeddings.f32   [sequences, hidden], pooled and not normalised
  layers.f32       [layers - 1, sequences, hidden], the same of the model cut off after each layer

"modules": the folder has a sentence-transformers pipeline; "pooling" and "normalize" say which.
"""

import json

import numpy as np

from . import common


def modules(pooling, normalize):
    """modules.json and the pooling module's config.json; one entry per file."""
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if normalize:
        parts.append(("2_Normalize", "Normalize"))
    pipeline = [{"idx": n, "name": str(n), "path": path, "type": "sentence_transformers.models." + kind}
                for n, (path, kind) in enumerate(parts)]
    modes = {f"pooling_mode_{mode}": mode.startswith(pooling) for mode in
             ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}
    modes["pooling_mode_mean_sqrt_len_tokens"] = False
    return {"modules.json": pipeline, "1_Pooling/config.json": modes}


def write_case(name, config, case, states, pooling="cls", files=None):
    """states: per sequence, [layers, tokens, hidden]."""
    folder = common.HERE / name
    folder.mkdir(exist_ok=True)
    pooled = np.stack([s[:, 0] if pooling == "cls" else s.mean(1) for s in states], 1)
    for file, array in (("embeddings.f32", pooled[-1]), ("layers.f32", pooled[:-1])):
        (folder / file).write_bytes(np.ascontiguousarray(array, "<f4").tobytes())
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    for file, value in (files or {}).items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(json.dumps(value, indent=1) + "\n")
    case = {"kind": "encoder", **case, "files": sorted(files or {})}
    text = json.dumps({k: v for k, v in case.items() if k != "tensors"})[:-1]
    rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in case["tensors"].items())
    (folder / "case.json").write_text(f'{text}, "tensors": {{\n{rows}\n}}}}\n')
    print(f"{name}: max |x| {abs(pooled[-1]).max():.2f}")

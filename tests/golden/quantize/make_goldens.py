#!/usr/bin/env python3
"""Writes blocks.json: blocks of the GGUF formats and the values that the `gguf` package reads from
them, and rows of values with the blocks it writes. Needs: pip install gguf numpy.

  python3 tests/golden/quantize/make_goldens.py
"""
import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGML_QUANT_SIZES, quants

rng = np.random.default_rng(20261)
READ = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "BF16", "F16",
        "Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS"]
WRITE = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16"]
# Offsets of the half-precision fields: random bytes there would be NaN or infinity now and then.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
          "Q2_K": [80, 82], "Q3_K": [108], "IQ4_NL": [0], "IQ4_XS": [0]}


def main():
    out = {"dequantize": [], "quantize": []}
    for name in READ:
        type_ = Type[name]
        _, block_bytes = GGML_QUANT_SIZES[type_]
        for _ in range(3 if name in HALVES else 16):
            if name in HALVES:
                block = rng.integers(0, 256, block_bytes, dtype=np.uint8)
                for offset in HALVES[name]:
                    half = np.float16(rng.normal() * 0.1)
                    block[offset:offset + 2] = np.frombuffer(half.tobytes(), np.uint8)
            else:
                value = np.float32(rng.normal() * 10.0 ** rng.integers(-8, 4))
                bits = np.float16(value).tobytes() if name == "F16" else value.tobytes()[2:]
                block = np.frombuffer(bits, np.uint8)
            values = quants.dequantize(block.copy(), type_).astype(np.float32)
            out["dequantize"].append({"type": name, "block": block.tobytes().hex(),
                                      "values": values.tobytes().hex()})
    for name in WRITE:
        for case in range(4):
            values = (rng.normal(size=32) * 10.0 ** rng.integers(-4, 3)).astype(np.float32)
            if case == 3:
                values[:] = 0
            block = quants.quantize(values, Type[name])
            out["quantize"].append({"type": name, "values": values.tobytes().hex(),
                                    "block": np.asarray(block).tobytes().hex()})
    path = pathlib.Path(__file__).with_name("blocks.json")
    path.write_text(json.dumps(out, indent=0) + "\n")


main()

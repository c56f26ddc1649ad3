"""Pieces of the f64 references: plain NumPy, straight from the formulas."""

import numpy as np
import torch


def erf(x):
    return torch.special.erf(torch.from_numpy(np.asarray(x, np.float64))).numpy()  # NumPy has none


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def layer_norm(x, weight, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weight
    return y if bias is None else y + bias


def rms_norm(x, weight, epsilon):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * weight


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attend(q, k, v, heads, kv_heads, scale, bias=0.0):
    """q: [tokens, heads * d], k and v: [tokens, kv_heads * d]; bias is added to the scaled scores."""
    def split(x, count):
        return x.reshape(len(x), count, -1).transpose(1, 0, 2)

    q = split(q, heads)
    k, v = (np.repeat(split(x, kv_heads), heads // kv_heads, 0) for x in (k, v))
    mixed = softmax(q @ k.transpose(0, 2, 1) * scale + bias) @ v
    return mixed.transpose(1, 0, 2).reshape(mixed.shape[1], -1)

"""What 8-bit weights and activations make of a golden model: the rounding of docs/formats/packed-weights.md.

Each matrix product but the router's gets its input, and with `weights` its matrix too, rounded in groups
of 32 along the input; the rest is the reference's arithmetic. What a kernel differs from this by is its own
error; what this differs from the plain reference by is the price of the format.
"""

import contextlib

import numpy as np
import torch


def groups_of_32(x):
    """The last axis, padded with zeros, as [..., groups, 32]."""
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % 32)])
    return x.reshape(*x.shape[:-1], -1, 32)


def join(groups, like):
    return groups.reshape(*like.shape[:-1], -1)[..., :like.shape[-1]]


def inverse(x):
    return np.divide(np.float32(1), x, out=np.zeros_like(x), where=x > 0)


def weight(w, scale_last=False):
    """[out, in] in int8 with a scale per 32 that is an f16. `scale_last`: rounded after the quants were
    found, as GGUF's Q8_0 does it (ggml's quantize_row_q8_0_ref), else before."""
    w = np.asarray(w, np.float32)
    groups = groups_of_32(w)
    step = abs(groups).max(-1, keepdims=True) / np.float32(127)
    kept = step.astype(np.float16).astype(np.float32)
    if scale_last:
        scaled = groups * inverse(step)
        quants = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    else:
        quants = np.rint(groups * inverse(kept)).clip(-127, 127)
    return join(quants * kept, w)


def activation(x):
    """[..., in] in int8 with an f32 scale per 32."""
    x = np.asarray(x, np.float32)
    groups = groups_of_32(x)
    peak = abs(groups).max(-1, keepdims=True)
    quants = np.rint(groups * np.divide(np.float32(127), peak, out=np.zeros_like(peak), where=peak > 0))
    return join(quants * (peak * np.float32(1 / 127)), x)


def activation_with_outlier(x):
    """The same, then what is left over in the coarsest group of a row once more, if that group makes up
    more than a quarter of the row's squared steps: the input of q, k and v and of the output matrix."""
    x = np.asarray(x, np.float32)
    first = activation(x)
    squares = abs(groups_of_32(x)).max(-1) ** 2
    coarsest = np.arange(squares.shape[-1]) == squares.argmax(-1)[..., None]
    outlier = coarsest & (squares > 0.25 * squares.sum(-1, keepdims=True))
    rest = groups_of_32(x - first) * outlier[..., None]
    return first + join(groups_of_32(activation(join(rest, x))), x)


def for_input_of(name):
    """How the matrix of this name takes its input."""
    part = name.rsplit(".")[-1]
    with_outlier = part in ("q_proj", "k_proj", "v_proj", "Wqkv", "Wq", "Wk", "Wv", "lm_head")
    return activation_with_outlier if with_outlier else activation


def rounded(tensor, how):
    return torch.from_numpy(np.ascontiguousarray(how(tensor.numpy())))


ROUTERS = (".gate", ".router.layer")


@contextlib.contextmanager
def inputs(model, only=None):
    """Within, the Linears of a transformers model take rounded inputs: all but routers, or those whose
    names end with one of `only`."""
    hooks = []
    for name, module in model.named_modules():
        taken = not name.endswith(ROUTERS) if only is None else name.endswith(only)
        if isinstance(module, torch.nn.Linear) and taken:
            how = for_input_of(name)
            hooks.append(module.register_forward_pre_hook(
                lambda _, args, how=how: (rounded(args[0], how),)))
        if type(module).__name__ == "DbrxExpertGLU":
            module.forward = lambda x, w1, v1, w2, of=module: glu(of, x, w1, v1, w2)
            hooks.append(module)
    yield
    for hook in hooks:
        if isinstance(hook, torch.nn.Module):
            del hook.forward
        else:
            hook.remove()


def glu(module, x, w1, v1, w2):
    """DbrxExpertGLU, whose products are no Linears."""
    x = rounded(x, activation)
    inner = module.activation_fn(x @ w1.t()) * (x @ v1.t())
    return rounded(inner, activation) @ w2


def is_matrix(name, tensor):
    return (tensor.ndim >= 2 and not name.endswith(tuple(r + ".weight" for r in ROUTERS))
            and "wpe" not in name)


def weights(tensors, embeddings, experts=0):
    """A checkpoint's tensors as int8 holds them. Untied `embeddings` are no product's matrix and stay;
    `experts`: DBRX's number of them."""
    def held(name, tensor):
        if not is_matrix(name, tensor) or name == embeddings:
            return tensor
        if name.endswith("experts.mlp.w2"):  # its input runs down the rows of each expert
            each = tensor.reshape(experts, -1, tensor.shape[-1]).swapaxes(1, 2)
            return weight(each).swapaxes(1, 2).reshape(tensor.shape)
        return weight(tensor)

    return {name: held(name, np.asarray(tensor)) for name, tensor in tensors.items()}

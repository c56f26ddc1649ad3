"""Mixtral and DBRX, by transformers 4.45 in eager f32."""

import numpy as np
import torch
from transformers import DbrxConfig, DbrxForCausalLM, MixtralConfig, MixtralForCausalLM

from . import int8
from .common import load, random_weights, tensor_specs, tokens, write_case
from .decoder import MISTRAL, VOCAB, attention_shapes, frame_shapes, run, run_both

MIXTRAL = {**MISTRAL, "model_type": "mixtral", "architectures": ["MixtralForCausalLM"],
           "intermediate_size": 48, "num_hidden_layers": 2, "rope_theta": 1e6,
           "sliding_window": None, "num_local_experts": 8, "num_experts_per_tok": 2}
DBRX = dict(
    model_type="dbrx", architectures=["DbrxForCausalLM"], vocab_size=VOCAB, d_model=64, n_heads=8,
    n_layers=2, max_seq_len=64, tie_word_embeddings=False, torch_dtype="float32",
    attn_config=dict(clip_qkv=1.0, kv_n_heads=2, rope_theta=5e5),
    ffn_config=dict(ffn_act_fn={"name": "silu"}, ffn_hidden_size=48, moe_num_experts=8,
                    moe_top_k=4))


def routes(model, token_ids):
    """Of all tokens, layer by layer: the router's probabilities, [layers][tokens, experts]."""
    with torch.no_grad():
        routers = model(torch.tensor([token_ids]), output_router_logits=True, use_cache=False).router_logits
    if model.config.model_type == "dbrx":
        # 4.45 returns the probabilities here, whose softmax has the order but not the gaps.
        return [r.reshape(-1, r.shape[-1]) for r in routers]
    return [torch.softmax(r.float().reshape(-1, r.shape[-1]), -1) for r in routers]


def gaps(routes_, taken):
    """Between the last probability that is taken and the first that is not: [layers, tokens]."""
    sorted_ = torch.stack(routes_).sort(-1, True).values
    if taken == sorted_.shape[-1]:
        return torch.ones(sorted_.shape[:2])
    return sorted_[..., taken - 1] - sorted_[..., taken]


def check_routes(plain, rounded, taken):
    """Weights and activations in int8 may change what a router decides only where it was within 0.03 of
    deciding so, unless other experts came before: in a layer below, for this token or an earlier one."""
    def experts(routes_):
        return torch.stack(routes_).topk(taken, -1).indices.sort(-1).values

    changed = (experts(plain) != experts(rounded)).any(-1)  # [layers, tokens]
    reached = changed.cumsum(0).cumsum(1) > 0
    first = changed.clone()
    first[1:] &= ~reached[:-1]
    widest = max(gaps(plain, taken)[first].tolist(), default=0)
    print(f"  int8 changes {int(changed.sum())} of {changed.numel()} routes, "
          f"{int(first.sum())} by itself, of gaps up to {widest:.4f}")
    assert widest <= 0.03


def mixtral_shapes(c, fused):
    d, i, e = c["hidden_size"], c["intermediate_size"], c["num_local_experts"]
    shapes = frame_shapes(c)
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        shapes.update(attention_shapes(c, p))
        if fused:
            shapes[p + "mlp.gate.weight"] = (e, d)
            shapes[p + "mlp.experts.gate_up_proj"] = (e, 2 * i, d)
            shapes[p + "mlp.experts.down_proj"] = (e, d, i)
            continue
        shapes[p + "block_sparse_moe.gate.weight"] = (e, d)
        for expert in range(e):
            for name, out, inp in (("w1", i, d), ("w2", d, i), ("w3", i, d)):
                shapes[f"{p}block_sparse_moe.experts.{expert}.{name}.weight"] = (out, inp)
    return shapes


def unfuse(config, weights):
    """The layout of transformers 5 as that of 4.45."""
    out = {}
    i = config["intermediate_size"]
    for name, x in weights.items():
        if name.endswith("mlp.gate.weight"):
            out[name.replace("mlp.", "block_sparse_moe.")] = x
        elif name.endswith("gate_up_proj"):
            for e, both in enumerate(x):
                stem = name.replace("mlp.experts.gate_up_proj", f"block_sparse_moe.experts.{e}.")
                out[stem + "w1.weight"], out[stem + "w3.weight"] = both[:i], both[i:]
        elif name.endswith("mlp.experts.down_proj"):
            for e, down in enumerate(x):
                stem = name.replace("mlp.experts.down_proj", f"block_sparse_moe.experts.{e}.")
                out[stem + "w2.weight"] = down
        else:
            out[name] = x
    return out


def add_window(model, window):
    """4.45 reads Mixtral's sliding_window and then ignores it in eager mode; as Mistral has it."""
    plain = model.model._update_causal_mask

    def windowed(*args, **kwargs):
        mask = plain(*args, **kwargs)
        query = torch.arange(mask.shape[-2])[:, None]
        far = query - torch.arange(mask.shape[-1])[None, :] >= window
        return mask.masked_fill(far, torch.finfo(mask.dtype).min)

    model.model._update_causal_mask = windowed


def mixtral(name, seed, fused=False, bf16=False, small=None, **changes):
    config = {**MIXTRAL, **changes}
    if bf16:
        config["torch_dtype"] = "bfloat16"
    c = MixtralConfig(**{k: v for k, v in config.items()
                         if k not in ("architectures", "model_type")})
    c._attn_implementation = "eager"
    model = MixtralForCausalLM(c)
    if config["sliding_window"]:
        add_window(model, config["sliding_window"])
    while True:  # near ties would make the golden depend on rounding
        case = {"seed": seed, "tokens": tokens(seed, 40, config["vocab_size"]),
                "tensors": tensor_specs(mixtral_shapes(config, fused), small=small)}
        if bf16:
            case["bf16"] = True
        weights = random_weights(case)
        weights = unfuse(config, weights) if fused else weights
        plain = routes(load(model, weights, optional=("lm_head",)), case["tokens"])
        if gaps(plain, config["num_experts_per_tok"]).min() >= 1e-3:
            break
        seed += 1000
    results = run_both(model, weights, model.model.norm, case["tokens"], config)
    with int8.inputs(model):
        check_routes(plain, routes(model, case["tokens"]), config["num_experts_per_tok"])
    write_case(name, config, case, *results)


def dbrx_shapes(c):
    d, v, f = c["d_model"], c["vocab_size"], c["ffn_config"]
    kv = c["attn_config"].get("kv_n_heads", 1) * (d // c["n_heads"])
    experts, i = f["moe_num_experts"], f["ffn_hidden_size"]
    shapes = {"transformer.wte.weight": (v, d), "transformer.norm_f.weight": (d,),
              "lm_head.weight": (v, d)}
    for n in range(c["n_layers"]):
        p = f"transformer.blocks.{n}."
        shapes[p + "norm_attn_norm.norm_1.weight"] = (d,)
        shapes[p + "norm_attn_norm.norm_2.weight"] = (d,)
        shapes[p + "norm_attn_norm.attn.Wqkv.weight"] = (d + 2 * kv, d)
        shapes[p + "norm_attn_norm.attn.out_proj.weight"] = (d, d)
        shapes[p + "ffn.router.layer.weight"] = (experts, d)
        for w in ("w1", "v1", "w2"):
            shapes[p + "ffn.experts.mlp." + w] = (experts * i, d)
    return shapes


class LayerNorm(torch.nn.LayerNorm):
    """bias=False, which PyTorch before 2.1 does not take."""

    def __init__(self, shape, eps=1e-5, elementwise_affine=True, bias=True, **more):
        super().__init__(shape, eps, elementwise_affine, **more)
        if not bias:
            del self.bias
            self.register_parameter("bias", None)


def dbrx(name, seed, bf16=False, small=None, attn={}, ffn={}, **changes):
    config = {**DBRX, **changes, "attn_config": {**DBRX["attn_config"], **attn},
              "ffn_config": {**DBRX["ffn_config"], **ffn}}
    if bf16:
        config["torch_dtype"] = "bfloat16"
    given = {k: v for k, v in config.items() if k not in ("architectures", "model_type")}
    # Its eager attention fails on None with this PyTorch; so does nothing that far away.
    given["attn_config"] = {**given["attn_config"],
                            "clip_qkv": given["attn_config"]["clip_qkv"] or 1e9}
    c = DbrxConfig(**given)
    c._attn_implementation = "eager"
    plain = torch.nn.LayerNorm
    torch.nn.LayerNorm = LayerNorm
    try:
        model = DbrxForCausalLM(c)
    finally:
        torch.nn.LayerNorm = plain
    while True:
        case = {"seed": seed, "tokens": tokens(seed, 40, config["vocab_size"]),
                "tensors": tensor_specs(dbrx_shapes(config), small=small)}
        if bf16:
            case["bf16"] = True
        weights = random_weights(case)
        plain = routes(load(model, weights), case["tokens"])
        if gaps(plain, config["ffn_config"]["moe_top_k"]).min() >= 1e-3:
            break
        seed += 1000
    logits, layers = run(model, model.transformer.norm_f, case["tokens"])
    load(model, int8.weights(weights, embeddings="transformer.wte.weight",
                             experts=config["ffn_config"]["moe_num_experts"]))
    with int8.inputs(model):
        rounded, _ = run(model, model.transformer.norm_f, case["tokens"])
        check_routes(plain, routes(model, case["tokens"]), config["ffn_config"]["moe_top_k"])
    write_case(name, config, case, logits, rounded, layers)


def make_all():
    mixtral("mixtral", 71, num_hidden_layers=3)
    mixtral("mixtral-fused", 72, fused=True)
    # Odd heads, one key head, a window, experts that are not a power of two.
    mixtral("mixtral-mqa-w6", 73, hidden_size=60, num_attention_heads=5, num_key_value_heads=1,
            num_local_experts=5, num_experts_per_tok=3, sliding_window=6, intermediate_size=57)
    mixtral("mixtral-one", 74, num_local_experts=4, num_experts_per_tok=1, num_key_value_heads=8,
            hidden_size=96, small=0.003)
    mixtral("mixtral-all", 75, num_local_experts=3, num_experts_per_tok=3, tie_word_embeddings=True)
    mixtral("mixtral-fused-bf16", 76, fused=True, bf16=True, num_local_experts=6, hidden_size=96,
            num_attention_heads=6, num_key_value_heads=3)

    dbrx("dbrx", 81)
    dbrx("dbrx-p2", 82, ffn={"moe_normalize_expert_weights": 2.0, "moe_top_k": 3})
    dbrx("dbrx-null", 83, ffn={"moe_normalize_expert_weights": None, "ffn_hidden_size": 80})
    # One key head of an odd dimension's half, three query heads, no clipping.
    dbrx("dbrx-mqa", 84, d_model=60, n_heads=5, n_layers=3, small=0.003,
         attn={"kv_n_heads": 1, "clip_qkv": None},
         ffn={"moe_num_experts": 5, "moe_top_k": 1, "ffn_hidden_size": 33})
    dbrx("dbrx-mha-bf16", 85, d_model=72, n_heads=6, bf16=True, attn={"kv_n_heads": 6},
         ffn={"moe_num_experts": 16, "moe_top_k": 4, "ffn_hidden_size": 32,
              "moe_normalize_expert_weights": 1})

"""Golden BERT and BGE models: transformers, eager, in f64."""

import torch
from transformers import BertConfig, BertModel

from . import common, encoders

VOCAB = 131
TOKENS = common.tokens(3, 48, VOCAB)
SEQUENCES = [TOKENS, TOKENS[:1], TOKENS[5:22]]
LEGACY = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def shapes(c, prefix="", legacy=False, heads=False):
    """heads: what a pre-training checkpoint has besides: a pooler and the head of its language model."""
    d, i = c["hidden_size"], c["intermediate_size"]
    out = {"embeddings.word_embeddings.weight": (VOCAB, d),
           "embeddings.position_embeddings.weight": (c["max_position_embeddings"], d),
           "embeddings.token_type_embeddings.weight": (c["type_vocab_size"], d)}
    dense, norms = {}, ["embeddings.LayerNorm"]
    for n in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{n}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value",
                     "attention.output.dense"):
            dense[p + name] = (d, d)
        dense[p + "intermediate.dense"], dense[p + "output.dense"] = (i, d), (d, i)
        norms += [p + "attention.output.LayerNorm", p + "output.LayerNorm"]
    if heads:
        dense["pooler.dense"] = (d, d)
    for name, shape in dense.items():
        out[name + ".weight"], out[name + ".bias"] = shape, shape[:1]
    for name in norms:
        out[name + ".weight"] = out[name + ".bias"] = (d,)
    out = {prefix + name: shape for name, shape in out.items()}
    if legacy:
        for new, old in LEGACY.items():
            out = {name.replace(new, old): shape for name, shape in out.items()}
    if heads:
        out |= {"cls.predictions.bias": (VOCAB,), "cls.predictions.transform.dense.weight": (d, d),
                "cls.seq_relationship.weight": (2, d)}
    return out


def states_of(config, weights, sequences):
    plain = {}
    for name, x in weights.items():
        if name.startswith("cls.") or "pooler" in name:
            continue
        name = name.removeprefix("bert.")
        for new, old in LEGACY.items():
            name = name.replace(old, new)
        plain[name] = x
    c = BertConfig(**{k: v for k, v in config.items() if k not in ("architectures", "model_type")})
    c._attn_implementation = "eager"
    model = common.load(BertModel(c, add_pooling_layer=False), plain, ("position_ids",)).double()
    with torch.no_grad():
        return [torch.cat(model(torch.tensor([s]), output_hidden_states=True).hidden_states[1:]).numpy()
                for s in sequences]


def make(name, config, seed, small=None, bf16=False, pooling="cls", files=None, **kinds):
    config = {**dict(
        model_type="bert", architectures=["BertModel"], vocab_size=VOCAB, hidden_act="gelu",
        max_position_embeddings=64, type_vocab_size=2, layer_norm_eps=1e-12), **config}
    tensors = common.tensor_specs(shapes(config, **kinds), scale=0.1, sharp=0.16, small=small)
    for name_, spec in tensors.items():
        if name_.endswith("beta"):
            spec["offset"] = 0.0
    case = {"seed": seed, "bf16": bf16, "sequences": SEQUENCES, "tensors": tensors}
    states = states_of(config, common.random_weights(case), SEQUENCES)
    encoders.write_case(name, config, case, states, pooling, files)


def make_all():
    wide = dict(hidden_size=48, num_attention_heads=6, intermediate_size=80, num_hidden_layers=3)
    # Small embeddings make the epsilon visible.
    make("bert-a", wide, 21, small=0.003)
    make("bert-mean", wide, 22, bf16=True, pooling="mean", files=encoders.modules("mean", False))
    # As BGE is published, but saved from pre-training in 2018.
    make("bge-a", dict(hidden_size=24, num_attention_heads=3, intermediate_size=40, num_hidden_layers=2,
                       architectures=["BertForPreTraining"]), 23, prefix="bert.", legacy=True, heads=True,
         files=encoders.modules("cls", True))
    # Odd sizes everywhere, one token type.
    make("bge-b", dict(hidden_size=35, num_attention_heads=5, intermediate_size=33, num_hidden_layers=3,
                       type_vocab_size=1, layer_norm_eps=1e-5), 24)

"""Tiny random checkpoints of every promised architecture: folders as people have them.

NumPy and safetensors only. Vocabulary: the 256 bytes and a few special tokens, so any text can be
asked and whatever a random model answers is text.
"""

import json
import zlib

import numpy as np
from safetensors.numpy import save_file

SPECIAL = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
BOS, EOS = 256, 257
VOCAB = 256 + len(SPECIAL)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ 'assistant' if m.role == 'assistant' else 'user' }}|>"
    "{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}")

LLAMA = dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=64, intermediate_size=96,
             num_hidden_layers=2, num_attention_heads=8, num_key_value_heads=8, max_position_embeddings=512,
             rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu", tie_word_embeddings=False)
LLAMA3 = {**LLAMA, "num_key_value_heads": 2, "rope_theta": 500000.0}


def scaled(factor):
    return {"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}


MISTRAL = {**LLAMA, "model_type": "mistral", "architectures": ["MistralForCausalLM"],
           "num_key_value_heads": 2, "sliding_window": 24}
DECODERS = {
    "llama-2": LLAMA,
    "llama-3": LLAMA3,
    "llama-3.1": {**LLAMA3, "rope_scaling": scaled(8.0)},
    "llama-3.2-1b": {**LLAMA3, "tie_word_embeddings": True, "rope_scaling": scaled(32.0)},
    "llama-3.2-3b": {**LLAMA3, "hidden_size": 72, "num_attention_heads": 6, "tie_word_embeddings": True,
                     "head_dim": 24, "rope_scaling": scaled(32.0)},
    "llama-3.3": {**LLAMA3, "num_attention_heads": 16, "hidden_size": 128, "rope_scaling": scaled(8.0)},
    "mistral": MISTRAL,
    "mixtral": {**MISTRAL, "model_type": "mixtral", "architectures": ["MixtralForCausalLM"],
                "sliding_window": None, "num_local_experts": 8, "num_experts_per_tok": 2,
                "intermediate_size": 48},
    "dbrx": dict(model_type="dbrx", architectures=["DbrxForCausalLM"], d_model=64, n_heads=8, n_layers=2,
                 max_seq_len=512, attn_config=dict(clip_qkv=8, kv_n_heads=2, rope_theta=500000),
                 ffn_config=dict(ffn_act_fn={"name": "silu"}, ffn_hidden_size=48, moe_num_experts=16, moe_top_k=4)),
    "mpt": dict(model_type="mpt", architectures=["MPTForCausalLM"], d_model=48, n_heads=6, n_layers=2,
                expansion_ratio=4, max_seq_len=512, no_bias=True, norm_type="low_precision_layernorm",
                attn_config=dict(attn_type="multihead_attention", alibi=True, alibi_bias_max=8, clip_qkv=None)),
}
ENCODERS = {
    "bge": dict(model_type="bert", architectures=["BertModel"], hidden_size=48, num_hidden_layers=2,
                num_attention_heads=6, intermediate_size=80, hidden_act="gelu", max_position_embeddings=128,
                type_vocab_size=2, layer_norm_eps=1e-12),
    "gte": dict(model_type="new", architectures=["NewModel"], hidden_size=48, num_hidden_layers=2,
                num_attention_heads=6, intermediate_size=80, hidden_act="gelu", max_position_embeddings=256,
                type_vocab_size=0, layer_norm_eps=1e-12, layer_norm_type="layer_norm", pack_qkv=True,
                position_embedding_type="rope", rope_theta=500000, rope_scaling={"type": "ntk", "factor": 2.0}),
}


def llama_shapes(c):
    d, i = c["hidden_size"], c["intermediate_size"]
    head = c.get("head_dim") or d // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": (VOCAB, d), "model.norm.weight": (d,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (VOCAB, d)
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        shapes |= {p + "input_layernorm.weight": (d,), p + "post_attention_layernorm.weight": (d,),
                   p + "self_attn.q_proj.weight": (q, d), p + "self_attn.k_proj.weight": (kv, d),
                   p + "self_attn.v_proj.weight": (kv, d), p + "self_attn.o_proj.weight": (d, q)}
        if "num_local_experts" in c:
            moe = p + "block_sparse_moe."
            shapes[moe + "gate.weight"] = (c["num_local_experts"], d)
            for e in range(c["num_local_experts"]):
                shapes |= {f"{moe}experts.{e}.w1.weight": (i, d), f"{moe}experts.{e}.w3.weight": (i, d),
                           f"{moe}experts.{e}.w2.weight": (d, i)}
        else:
            shapes |= {p + "mlp.gate_proj.weight": (i, d), p + "mlp.up_proj.weight": (i, d),
                       p + "mlp.down_proj.weight": (d, i)}
    return shapes


def dbrx_shapes(c):
    d, ffn = c["d_model"], c["ffn_config"]
    kv = c["attn_config"]["kv_n_heads"] * d // c["n_heads"]
    rows = ffn["moe_num_experts"] * ffn["ffn_hidden_size"]
    shapes = {"transformer.wte.weight": (VOCAB, d), "transformer.norm_f.weight": (d,), "lm_head.weight": (VOCAB, d)}
    for n in range(c["n_layers"]):
        p = f"transformer.blocks.{n}."
        shapes |= {p + "norm_attn_norm.norm_1.weight": (d,), p + "norm_attn_norm.norm_2.weight": (d,),
                   p + "norm_attn_norm.attn.Wqkv.weight": (d + 2 * kv, d),
                   p + "norm_attn_norm.attn.out_proj.weight": (d, d),
                   p + "ffn.router.layer.weight": (ffn["moe_num_experts"], d),
                   **{p + f"ffn.experts.mlp.{w}": (rows, d) for w in ("w1", "v1", "w2")}}
    return shapes


def mpt_shapes(c):
    d, wide = c["d_model"], c["d_model"] * c["expansion_ratio"]
    shapes = {"transformer.wte.weight": (VOCAB, d), "transformer.norm_f.weight": (d,)}
    for n in range(c["n_layers"]):
        p = f"transformer.blocks.{n}."
        shapes |= {p + "norm_1.weight": (d,), p + "norm_2.weight": (d,), p + "attn.Wqkv.weight": (3 * d, d),
                   p + "attn.out_proj.weight": (d, d), p + "ffn.up_proj.weight": (wide, d),
                   p + "ffn.down_proj.weight": (d, wide)}
    return shapes


def dense(shapes, name, out, inp):
    shapes |= {name + ".weight": (out, inp), name + ".bias": (out,)}


def norm(shapes, name, d):
    shapes |= {name + ".weight": (d,), name + ".bias": (d,)}


def bert_shapes(c):
    d, i = c["hidden_size"], c["intermediate_size"]
    shapes = {"embeddings.word_embeddings.weight": (VOCAB, d),
              "embeddings.position_embeddings.weight": (c["max_position_embeddings"], d),
              "embeddings.token_type_embeddings.weight": (2, d)}
    norm(shapes, "embeddings.LayerNorm", d)
    for n in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{n}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            dense(shapes, p + part, d, d)
        dense(shapes, p + "intermediate.dense", i, d)
        dense(shapes, p + "output.dense", d, i)
        norm(shapes, p + "attention.output.LayerNorm", d)
        norm(shapes, p + "output.LayerNorm", d)
    return shapes


def gte_shapes(c):
    d, i = c["hidden_size"], c["intermediate_size"]
    shapes = {"embeddings.word_embeddings.weight": (VOCAB, d)}
    norm(shapes, "embeddings.LayerNorm", d)
    for n in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{n}."
        dense(shapes, p + "attention.qkv_proj", 3 * d, d)
        dense(shapes, p + "attention.o_proj", d, d)
        dense(shapes, p + "mlp.down_proj", d, i)
        shapes[p + "mlp.up_gate_proj.weight"] = (2 * i, d)
        norm(shapes, p + "attn_ln", d)
        norm(shapes, p + "mlp_ln", d)
    return shapes


SHAPES = {"llama": llama_shapes, "mistral": llama_shapes, "mixtral": llama_shapes, "dbrx": dbrx_shapes,
          "mpt": mpt_shapes, "bert": bert_shapes, "new": gte_shapes}


def random_weights(config):
    weights = {}
    for name, shape in SHAPES[config["model_type"]](config).items():
        x = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        is_norm = len(shape) == 1 and not name.endswith("bias")
        weights[name] = (1 + 0.1 * x if is_norm else 0.15 * x).astype(np.float32)
    return weights


def byte_letters():
    """The printable stand-ins that byte-level tokenizers have for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(other)) for b in range(256)]


def decoder_tokenizer():
    vocab = {letter: b for b, letter in enumerate(byte_letters())}
    added = [{"id": 256 + n, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for n, text in enumerate(SPECIAL)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "added_tokens": added, "normalizer": None, "pre_tokenizer": byte_level,
            "post_processor": None, "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "vocab": vocab, "merges": []}}


def encoder_tokenizer():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!"
    vocab = {t: n for n, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters,
                                         *("##" + c for c in letters)])}
    added = [{"id": vocab[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    return {"version": "1.0", "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                           "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                           {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                         {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                         {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": vocab}}


def write_json(path, value):
    path.write_text(json.dumps(value))


def build(name, folder):
    """The folder of a family's tiny checkpoint; returns its config."""
    folder.mkdir()
    config = {**{**DECODERS, **ENCODERS}[name], "vocab_size": VOCAB, "torch_dtype": "float32"}
    save_file(random_weights(config), folder / "model.safetensors")
    if name in ENCODERS:
        write_json(folder / "tokenizer.json", encoder_tokenizer())
        write_json(folder / "tokenizer_config.json", {"cls_token": "[CLS]", "sep_token": "[SEP]",
                                                      "model_max_length": config["max_position_embeddings"]})
        modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                   {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
        if name == "bge":
            modules.append({"idx": 2, "name": "2", "path": "2_Normalize",
                            "type": "sentence_transformers.models.Normalize"})
        write_json(folder / "modules.json", modules)
        (folder / "1_Pooling").mkdir()
        write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": config["hidden_size"],
                                                      "pooling_mode_cls_token": True})
    else:
        config |= {"bos_token_id": BOS, "eos_token_id": EOS}
        write_json(folder / "tokenizer.json", decoder_tokenizer())
        write_json(folder / "tokenizer_config.json", {"bos_token": SPECIAL[0], "eos_token": SPECIAL[1],
                                                      "chat_template": CHAT_TEMPLATE})
    write_json(folder / "config.json", config)
    return config

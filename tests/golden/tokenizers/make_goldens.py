#!/usr/bin/env python3
"""Small tokenizers of every family, with texts and what the reference library makes of them.

Needs the packages tokenizers (written with 0.20.3), sentencepiece (0.2.3), protobuf and tiktoken
(0.14). Run from anywhere; rewrites the folders beside it. Each holds tokenizer.json or
tokenizer.model and expected.json: for every entry of texts.json
  ids      with special tokens added and parsed
  as_text  the same without either, when it differs from ids
  decode   of ids, special tokens kept
  skip     of ids, special tokens dropped, when it differs from decode
decodes.json: random ids, some beyond the vocabulary, with decode and skip; and parity.json: eight
hexadecimal digits for each chunk of parity_text.py, of the ids without special tokens ("encode") and
of the decoded text ("decode"), and for sequences of random ids of their text ("random").
"""
import base64
import io
import json
import pathlib
import random
import re
import shutil
import sys
import tempfile

import sentencepiece
import tiktoken
from sentencepiece import sentencepiece_model_pb2

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
import parity_text  # noqa: E402

SPACE = "\u2581"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
          r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

WORDS = """the of and to in is that for it was on are as with his they at be this from have or by one
had not but what all were when we there can an your which their said if do will each about how up out
them then she many some so these would other into has more her two like him see time could no make than
first been its who now people my made over did down only way find use may water long little very after
words called just where most know straße Führer naïve café Việt señor сервер слово мир модель данные
γλώσσα λόγος מודל שלום نموذج مرحبا 世界 你好 模型 数据 日本語 ひらがな 한국어 สวัสดี नमस्ते""".split()
POOLS = ["abc defg ", "ABC'sStTmMdDrReEvVlL\u2019' ", "0123456789 \u0663\u096a\u2167\u00bd",
         " \t\n\r\u00a0\u3000\u2003", ".,!?;:-_()[]{}<>|\"'`~@#$%^&*+=/\\", "äöüßéèñçøåŁžŠđ",
         "Ελληνικά кириллица עברית العربية", "中文字漢日本語ひらがなカタカナ한국어",
         "👍😀🏽🇩🇪\u200d👩💻\ufe0f", "e\u0301\u0308a\u030a\u0327", "\u200b\u00ad\ufeff\ufffd\x00\u0378\ue000",
         SPACE * 2 + " a", "สวัสดี नमस्ते কেমন"]
SPECIALS = ["<s>", "</s>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "<|begin_of_text|>", "<|eot_id|>",
            "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<left>", "<right>", "whole", "<Norm É>", "    "]


def sentence(r):
    out = []
    for _ in range(r.randint(1, 18)):
        word = r.choice(WORDS)
        if r.random() < 0.25:
            word = word.capitalize() + r.choice([".", ",", "!", "'s", " 12", " 2024\n", "'LL", " (x)"])
        out.append(word)
    return " ".join(out)


def texts():
    r = random.Random(3)
    out = ["", " ", "  ", "Hello world", " Hello", "   Hello", "3333333", "\n\n\n", "!!!!!!", "Führer",
           "Cửa Việt", "I'm you'RE we'Ll 'S '\u017f don\u2019t o'clock", "\r\n\r\n a\t\tb \n c ", "a\n \n",
           "\n ", " \n x", "  \n", "x  1  2", "\x00a\x00", "\ufffd\ufeff\u00a0x\u3000y\u200bz\u00ad",
           "👩‍👩‍👧‍👦 🇩🇪 🏳️‍🌈 👍🏽", "e\u0301\u0327 ṩ q\u0307\u0323", "İSTANBUL ß ﬁ ﬂ \u212b \u2126 \u212a \u017f",
           "١٢٣ १२३ ⅷ ½ ² 𝟙", "你好，世界 日本語 한국어", "\U0002b820\U0002b91f\U0002b920", "a" * 99, "a" * 100,
           "a" * 101, "the" * 60, SPACE * 2 + " " + SPACE + "a", "<s> hi </s><s>", "[CLS] a [SEP][MASK] b",
           "<|im_start|>user\nhi<|im_end|>\n", "a <|eot_id|> b<|begin_of_text|>",
           "def f(x):\n    return x  # c\n\n\n\tif y:\n", "http://a.b/c?d=e&f=%20", "\u0378\ue000 x",
           "\u2028a\u2029b\x85c\x1cd\x1fe\u180ef\x0bg\x0ch", "x <left> y <right> z", "x  <left><right>  z",
           "wholesale whole whole_ (whole)", "<norm é> <Norm É> <norm e\u0301>", "1 22 333 4444 55555 666666"]
    out += [" " * k + "x" for k in range(1, 31)] + ["x" + "\n" * k + " y" for k in range(1, 6)]
    for i in range(240):
        if i % 4 == 0:
            out.append(sentence(r))
        elif i % 4 == 1:
            out.append("".join(r.choice(r.choice(POOLS)) for _ in range(r.randint(1, 30))))
        elif i % 4 == 2:
            pool = r.choice(POOLS)
            out.append("".join(r.choice(pool) for _ in range(r.randint(1, 20))))
        else:
            out.append("".join(r.choice([r.choice(SPECIALS), r.choice(WORDS), " ", r.choice(r.choice(POOLS))])
                               for _ in range(r.randint(1, 14))))
    return out


def corpus():
    r = random.Random(11)
    return [sentence(r) for _ in range(3000)]


def special(text, **kw):
    return AddedToken(text, special=True, normalized=False, **kw)


def train_bpe(pre, vocab=900, normalizer=None, alphabet=True):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=vocab, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else []))
    return t


def edit(t, change):
    data = json.loads(t.to_str())
    change(data)
    return Tokenizer.from_str(json.dumps(data)), data


def byte_level(pre, tokens, normalizer=None, post=None, **model):
    t = train_bpe(pre, normalizer=normalizer)
    t.decoder = decoders.ByteLevel()
    t.add_tokens([x for x in tokens if not x.special])
    t.add_special_tokens([x for x in tokens if x.special])
    if post:
        t.post_processor = post(t)
    return edit(t, lambda d: d["model"].update(model))


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def llama3():
    return byte_level(split(LLAMA3), [special("<|begin_of_text|>"), special("<|eot_id|>")],
                      post=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=False),
                          processors.TemplateProcessing(
                              single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                              special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])]),
                      ignore_merges=True)


def cl100k():
    return byte_level(split(CL100K), [special("<|im_start|>"), special("<|im_end|>"), special("<|endoftext|>")])


def tekken():
    return byte_level(split(TEKKEN), [special("<s>"), special("</s>")], ignore_merges=True)


def neox():
    runs = [AddedToken(" " * k, normalized=True) for k in range(24, 1, -1)]
    t, d = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), [special("<|endoftext|>")] + runs,
                      normalizer=normalizers.NFC())
    # The merges of files older than 2024: strings.
    d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
    return Tokenizer.from_str(json.dumps(d)), d


def roberta():
    def post(t):
        return processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True),
                      [special("<s>"), special("</s>"), AddedToken("[MASK]", lstrip=True, special=True,
                                                                   normalized=False)], post=post)


def smollm():
    return byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False)]),
                      [special("<|im_start|>"), special("<|im_end|>"), special("<|endoftext|>")])


def sentence_piece(normalizer, pre, decoder, byte_fallback=True):
    t = Tokenizer(models.BPE())
    # Trained on words as Llama's vocabulary was; applied to whole texts.
    t.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    t.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    bytes_ = ["<0x%02X>" % b for b in range(256)]
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=1000, show_progress=False, limit_alphabet=110,
        special_tokens=["<unk>", "<s>", "</s>"] + (bytes_ if byte_fallback else [])))
    t.decoder = decoder
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B:1",
                                                     special_tokens=[("<s>", 1)])

    def change(d):
        d["model"].update(byte_fallback=byte_fallback, fuse_unk=True, unk_token="<unk>")
        d["added_tokens"] = d["added_tokens"][:3]
        d["normalizer"] = json.loads(normalizer.__getstate__()) if normalizer else None
        d["pre_tokenizer"] = json.loads(pre.__getstate__()) if pre else None
    return edit(t, change)


def llama2():
    return sentence_piece(
        normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]), None,
        decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
                           decoders.Strip(" ", 1, 0)]))


def mistral():
    return sentence_piece(
        None, pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=False),
        decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
                           decoders.Strip(" ", 1, 0)]))


def metaspace():
    return sentence_piece(None, pre_tokenizers.Metaspace(SPACE, prepend_scheme="always", split=True),
                          decoders.Metaspace(SPACE, prepend_scheme="always"), byte_fallback=False)


def bert(lowercase):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=700, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.decoder = decoders.WordPiece(cleanup=lowercase)
    t.post_processor = (processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        if lowercase else processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)))
    return edit(t, lambda d: None)


def added():
    """Every flag of added tokens, and the normalizers no family uses together."""
    t = train_bpe(pre_tokenizers.Sequence([pre_tokenizers.Whitespace(),
                                           pre_tokenizers.Punctuation("contiguous"),
                                           pre_tokenizers.Digits(individual_digits=False)]),
                  normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(),
                                                   normalizers.Lowercase(), normalizers.Strip()]),
                  alphabet=False)
    t.add_special_tokens([special("<s>"), AddedToken("<left>", lstrip=True, special=True, normalized=False),
                          AddedToken("<right>", rstrip=True, special=True, normalized=False)])
    t.add_tokens([AddedToken("whole", single_word=True, normalized=False),
                  AddedToken("<Norm É>", normalized=True), AddedToken("    ", normalized=False)])
    t.decoder = decoders.Fuse()
    return edit(t, lambda d: d["model"].update(unk_token=None))


def splits():
    """Split in its five behaviours, inverted and not, by string and by expression."""
    S = pre_tokenizers.Split
    t = train_bpe(pre_tokenizers.Sequence([
        S(Regex(r"[\r\n]+"), "removed"), S(Regex(r"(?<=[a-z])(?=[A-Z])"), "isolated"),
        S("-", "merged_with_previous"), S(" ", "merged_with_next"), S(Regex(r"\d"), "contiguous"),
        S(Regex(r"(?:[aeiou]{2,3}|th\b|\Bs$)"), "isolated"), S(Regex(r"[^\x{200b}\u00ad]+?"), "contiguous", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    t.decoder = decoders.ByteLevel()
    return edit(t, lambda d: None)


def precompiled_rules():
    """A small charsmap: full-width letters, ligatures, odd spaces, a decomposed letter, a deletion."""
    rules = [(chr(0xFF21 + i), chr(65 + i)) for i in range(26)]
    rules += [("\ufb01", "fi"), ("\ufb02", "fl"), ("\u00a0", " "), ("\u3000", " "), ("\t", " "),
              ("\n", " "), ("\r", " "), ("\u2026", "..."), ("\u0130", "i\u0307"), ("e\u0301", "é"),
              ("\u00ad", ""), ("\u200b", ""), ("\u00bd", "1/2"), ("\u2003", "  ")]
    return "".join("\t".join(" ".join("%X" % ord(c) for c in side) for side in rule) + "\n"
                   for rule in rules)


class SentencePiece:
    """sentencepiece's encoding between special tokens, as transformers' LlamaTokenizer (legacy) uses
    it, and the decoder chain that its converted tokenizer.json has."""

    def __init__(self, change=lambda proto: None, **options):
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
            rules.write(precompiled_rules())
            rules.flush()
            if options.pop("rules", False):
                options["normalization_rule_tsv"] = rules.name
            out = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(corpus()), model_writer=out, minloglevel=2, num_threads=1,
                character_coverage=0.995, **options)
        proto = sentencepiece_model_pb2.ModelProto.FromString(out.getvalue())
        change(proto)
        proto.normalizer_spec.ClearField("normalization_rule_tsv")
        self.bytes = proto.SerializeToString()
        self.model = sentencepiece.SentencePieceProcessor(model_proto=self.bytes)
        self.specials = [p.piece for p in proto.pieces if p.type in (2, 3)]
        self.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(),
                                          decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        self.size = self.model.vocab_size()

    def write(self, folder):
        (folder / "tokenizer.model").write_bytes(self.bytes)

    def as_text(self, text):
        return self.model.encode(text)

    def ids(self, text):
        out = [self.model.bos_id()]
        for part in re.split("(" + "|".join(map(re.escape, self.specials)) + ")", text):
            out += [self.model.piece_to_id(part)] if part in self.specials else self.model.encode(part)
        return out

    def decode(self, ids, skip):
        pieces = [self.model.id_to_piece(i) for i in ids if i < self.size]
        return self.decoder.decode([p for p in pieces if not (skip and p in self.specials)])


def sp_bpe():
    """Llama 2's settings, with user-defined and unused pieces."""
    def change(proto):
        normal = [p for p in proto.pieces if p.type == 1 and len(p.piece) in (2, 3, 4)]
        for p in normal[:120:7]:
            p.type = 5
    return SentencePiece(change, model_type="bpe", vocab_size=900, byte_fallback=True,
                         normalization_rule_name="identity", remove_extra_whitespaces=False,
                         user_defined_symbols=["<user>", "[MASK]", SPACE * 2, "in", "2024"])


def sp_rules():
    """Rewriting rules, white space removed, no bytes."""
    return SentencePiece(model_type="bpe", vocab_size=500, rules=True,
                         user_defined_symbols=["<user>", "\u00bd"])


def sp_unigram():
    return SentencePiece(model_type="unigram", vocab_size=600, rules=True, byte_fallback=True,
                         user_defined_symbols=["<user>", "ation", "the"])


class Ranks:
    """A rank file as Llama 3 has it: the tokens of the llama3 tokenizer above."""
    SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]

    def __init__(self):
        vocab = json.loads((HERE / "llama3/tokenizer.json").read_text())["model"]["vocab"]
        letters, n = {}, 0
        for b in range(256):
            if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174:
                letters[chr(b)] = b
            else:
                letters[chr(256 + n)], n = b, n + 1
        tokens = sorted((i, t) for t, i in vocab.items() if t not in self.SPECIALS)
        self.ranks = {bytes(letters[c] for c in t): k for k, (_, t) in enumerate(tokens)}
        specials = {t: len(self.ranks) + i for i, t in enumerate(self.SPECIALS)}
        self.encoding = tiktoken.Encoding("golden", pat_str=LLAMA3, mergeable_ranks=self.ranks,
                                          special_tokens=specials)
        self.config = {"added_tokens_decoder": {str(i): {"content": t, "special": True,
                                                         "normalized": False}
                                                for t, i in specials.items()}}
        self.texts = list(self.ranks) + [
            t.encode() for t in self.SPECIALS]
        self.size = len(self.texts)

    def write(self, folder):
        (folder / "tokenizer.model").write_bytes(
            b"".join(base64.b64encode(t) + b" %d\n" % i for t, i in self.ranks.items()))
        (folder / "tokenizer_config.json").write_text(compact(self.config) + "\n")

    def as_text(self, text):
        return self.encoding.encode_ordinary(text)

    def ids(self, text):
        return [len(self.ranks)] + self.encoding.encode(text, allowed_special="all")

    def decode(self, ids, skip):
        return b"".join(self.texts[i] for i in ids if i < self.size and
                        not (skip and i >= len(self.ranks))).decode("utf-8", "replace")


class Native:
    """A pipeline of the tokenizers library."""

    def __init__(self, tokenizer, data):
        self.tokenizer, self.data, self.size = tokenizer, data, tokenizer.get_vocab_size()

    def write(self, folder):
        (folder / "tokenizer.json").write_text(compact(self.data) + "\n")

    def as_text(self, text):
        self.tokenizer.encode_special_tokens = True
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def ids(self, text):
        self.tokenizer.encode_special_tokens = False
        return self.tokenizer.encode(text).ids

    def decode(self, ids, skip):
        return self.tokenizer.decode(ids, skip_special_tokens=skip)


def unigram():
    """The unigram model above as the library's own converter would write it."""
    proto = sentencepiece_model_pb2.ModelProto.FromString((HERE / "sp_unigram/tokenizer.model").read_bytes())
    data = {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": p.piece, "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False, "special": True}
                             for i, p in enumerate(proto.pieces) if p.type in (2, 3)],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(
                    proto.normalizer_spec.precompiled_charsmap).decode()},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
            "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always",
                              "split": True},
            "post_processor": {"type": "TemplateProcessing",
                               "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                          {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                               "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                        {"Sequence": {"id": "B", "type_id": 0}}],
                               "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}},
            "decoder": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always",
                        "split": True},
            "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                      "vocab": [[p.piece, p.score] for p in proto.pieces if p.type != 6]}}
    return Tokenizer.from_str(json.dumps(data)), data


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write_expected(name, model, folder, cases):
    rows = []
    for text in cases:
        ids, as_text = model.ids(text), model.as_text(text)
        row = {"ids": ids, "decode": model.decode(ids, False)}
        if as_text != ids:
            row["as_text"] = as_text
        skip = model.decode(ids, True)
        if skip != row["decode"]:
            row["skip"] = skip
        rows.append(json.dumps(row, separators=(",", ":")))
    (folder / "expected.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    r = random.Random(name)
    rows = []
    for _ in range(60):
        ids = [r.randrange(model.size + 5) for _ in range(r.randint(1, 25))]
        rows.append(json.dumps({"ids": ids, "decode": model.decode(ids, False),
                                "skip": model.decode(ids, True)}, separators=(",", ":")))
    (folder / "decodes.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def write_parity(model, folder):
    pools = parity_text.load_pools()
    encode = decode = noise = ""
    for k in range(parity_text.CHUNKS):
        ids = model.as_text(parity_text.text_of(parity_text.chunk(pools, k)))
        encode += parity_text.hash_ids(ids)
        decode += parity_text.hash_bytes(model.decode(ids, False).encode())
    for k in range(64):
        ids = parity_text.random_ids(k, model.size)
        noise += parity_text.hash_bytes(model.decode(ids, False).encode())
    (folder / "parity.json").write_text(json.dumps(
        {"vocab_size": model.size, "encode": encode, "decode": decode, "random": noise}, indent=0) + "\n")


def main():
    cases = texts()
    (HERE / "texts.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
    native = {"llama3": llama3, "cl100k": cl100k, "tekken": tekken, "neox": neox, "roberta": roberta,
              "smollm": smollm, "llama2": llama2, "mistral": mistral, "metaspace": metaspace,
              "bert_uncased": lambda: bert(True), "bert_cased": lambda: bert(False), "added": added,
              "splits": splits, "unigram": unigram}
    makers = {"sp_bpe": sp_bpe, "sp_rules": sp_rules, "sp_unigram": sp_unigram}
    makers.update({name: (lambda make=make: Native(*make())) for name, make in native.items()})
    makers["ranks"] = Ranks
    for name, make in makers.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        model = make()
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        model.write(folder)
        write_expected(name, model, folder, cases)
        write_parity(model, folder)
        print(name, model.size)


if __name__ == "__main__":
    main()

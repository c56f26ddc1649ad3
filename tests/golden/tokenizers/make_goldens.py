#!/usr/bin/env python3
"""Small tokenizers of every family, with texts and what the reference library makes of them.

Needs the `tokenizers` package (written with 0.20.3). Run from anywhere; rewrites the folders beside
it. Each holds tokenizer.json and expected.json: for every entry of texts.json
  ids      with special tokens added and parsed
  as_text  the same without either, when it differs from ids
  decode   of ids, special tokens kept
  skip     of ids, special tokens dropped, when it differs from decode
and decodes.json: random ids, some beyond the vocabulary, with decode and skip.
"""
import json
import pathlib
import random
import shutil

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
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


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main():
    cases = texts()
    (HERE / "texts.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
    makers = {"llama3": llama3, "cl100k": cl100k, "tekken": tekken, "neox": neox, "roberta": roberta,
              "smollm": smollm, "llama2": llama2, "mistral": mistral, "metaspace": metaspace,
              "bert_uncased": lambda: bert(True), "bert_cased": lambda: bert(False), "added": added,
              "splits": splits}
    for name, make in makers.items():
        tokenizer, data = make()
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "tokenizer.json").write_text(compact(data) + "\n")
        rows = []
        for text in cases:
            tokenizer.encode_special_tokens = False
            ids = tokenizer.encode(text).ids
            tokenizer.encode_special_tokens = True
            as_text = tokenizer.encode(text, add_special_tokens=False).ids
            row = {"ids": ids, "decode": tokenizer.decode(ids, skip_special_tokens=False)}
            if as_text != ids:
                row["as_text"] = as_text
            skip = tokenizer.decode(ids, skip_special_tokens=True)
            if skip != row["decode"]:
                row["skip"] = skip
            rows.append(json.dumps(row, separators=(",", ":")))
        (folder / "expected.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
        r = random.Random(name)
        rows = []
        for _ in range(60):
            ids = [r.randrange(tokenizer.get_vocab_size() + 5) for _ in range(r.randint(1, 25))]
            rows.append(json.dumps({"ids": ids, "decode": tokenizer.decode(ids, skip_special_tokens=False),
                                    "skip": tokenizer.decode(ids, skip_special_tokens=True)},
                                   separators=(",", ":")))
        (folder / "decodes.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
        print(name, len(data["model"]["vocab"]))


if __name__ == "__main__":
    main()

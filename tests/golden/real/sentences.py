#!/usr/bin/env python3
"""A thousand varied sentences, and what transformers makes of them with all-MiniLM-L6-v2.

    sentences.py MODEL_FOLDER     writes minilm_1000.f32, minilm_1000.json

minilm_1000.f32 holds for every sentence 16 projections of its normalised embedding (columns of
projections(), fixed) and the length of the raw one: [1000, 17]. The sentences are made by the formula
below, so they are not stored. tests/integration/test_quality.py compares.
"""

import json
import pathlib
import random
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
COUNT, DIM, PROJECTIONS = 1000, 384, 16

SUBJECTS = ["The cat", "A young engineer", "My grandmother's clock", "Nobody in the village", "Dr. O'Neill",
            "The 3rd battalion", "An old, rusty bicycle", "She", "The committee (all nine of them)",
            "Our server", "Ludwig van Beethoven", "Every second customer", "The river Elbe", "Photosynthesis"]
VERBS = ["sits on", "designed", "has never seen", "would rather not discuss", "bought", "is afraid of",
         "published a paper about", "forgot", "painted", "was replaced by", "depends on", "outperforms"]
OBJECTS = ["the mat", "a bridge of steel and glass", "seventeen invoices", "the state-of-the-art model",
           "an e-mail from bob@example.com", "https://example.org/a?b=c&d=%20", "the year 1984", "€3,499.99",
           "quantum chromodynamics", "a recipe for crème brûlée", "the naïve assumption", "version 2.0.1-rc3",
           "nothing at all", "the sunflower field behind the house"]
ENDS = [".", "!", "?", "...", " — again.", "; then it rained.", ", or so they say.", " :-)", "?!", ""]
OTHER = ["Der Zug fährt um halb acht ab.", "El gato está en la casa.", "Où est la bibliothèque ?",
         "Привет, как дела?", "今日はとても暑いです。", "我喜欢喝茶。", "안녕하세요 세계", "مرحبا بالعالم", "नमस्ते दुनिया",
         "Γειά σου Κόσμε", "Tiếng Việt rất hay", "Zażółć gęślą jaźń", "🙂 happy 🚀 launch 👩‍👩‍👧 family", "שלום עולם"]
CODE = ["for (int i = 0; i < n; ++i) sum += a[i];", "def f(x): return x ** 2", "SELECT id, name FROM t WHERE id <> 3",
        "{\"key\": [1, 2.5e-3, null, true]}", "git commit -m 'fix: off-by-one'", "x -> y => z := w", "#include <vector>",
        "<div class=\"a b\">&nbsp;</div>", "0xDEADBEEF 0b1010 1_000_000", "C:\\Windows\\System32", "a\tb\tc\n\nd"]


def plain(draw):
    return f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)}{draw.choice(ENDS)}"


def sentences():
    draw = random.Random(20260401)
    made = []
    for n in range(COUNT):
        kind = n % 10
        if kind < 5:
            text = plain(draw)
        elif kind == 5:
            text = " ".join(plain(draw) for _ in range(draw.randint(2, 8)))
        elif kind == 6:
            text = f"{draw.choice(OTHER)} {draw.choice(OTHER)}"
        elif kind == 7:
            text = f"{draw.choice(CODE)} // {plain(draw)}"
        elif kind == 8:
            text = " ".join(str(draw.randint(-10**draw.randint(1, 9), 10**9)) for _ in range(draw.randint(1, 12)))
        else:
            letters = "abcdefghijklmnopqrstuvwxyzäöüßéñ0123456789 .,-_/'\"ABC"
            text = "".join(draw.choice(letters) for _ in range(draw.randint(1, 60)))
        if n % 17 == 0:
            text = text.upper()
        if n % 23 == 0:
            text = "  " + text.replace(" ", "   ") + " "
        made.append(text)
    return made


def projections():
    """[384, 16], columns of length 1."""
    p = np.random.default_rng(16).standard_normal((DIM, PROJECTIONS))
    return p / np.linalg.norm(p, axis=0)


def main(folder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    rows, counts = [], []
    with torch.no_grad():
        for sentence in sentences():  # one by one: no padding
            batch = tokenizer(sentence, return_tensors="pt", truncation=True, max_length=256)
            raw = model(**batch).last_hidden_state[0].mean(0).double().numpy()
            norm = np.linalg.norm(raw)
            rows.append([*(raw / norm @ projections()), norm])
            counts.append(batch["input_ids"].shape[1])
    assert max(counts) < 256, max(counts)
    np.asarray(rows, "<f4").tofile(HERE / "minilm_1000.f32")
    (HERE / "minilm_1000.json").write_text(json.dumps({"tokens": sum(counts), "longest": max(counts)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

#!/usr/bin/env python3
"""Makes the goldens of the default models from independent implementations.

    make_goldens.py embeddings MODEL_FOLDER     transformers, f32 (sentence-transformers recipe)
    make_goldens.py greedy SERVER_URL           a llama.cpp server on the same GGUF file, -c 4096

Written next to this script; tests/integration/test_quality.py compares Tessera with them.
"""

import json
import pathlib
import sys
import urllib.request

HERE = pathlib.Path(__file__).parent

PROMPTS = [
    "The capital of France is", "Once upon a time, in a small village by the sea,", "Water boils at",
    "def fibonacci(n):", "The three primary colours are", "Dear Sir or Madam,\n\nI am writing to",
    "In 1969, humans first", "The quick brown fox", "To make a cup of tea, first",
    "Photosynthesis is the process by which", "import numpy as np\n\n", "Q: What is 12 times 12?\nA:",
    "The largest planet in our solar system is", "My favourite book is about", "List of fruits: apple,",
    "Roses are red, violets are", "The French word for cat is", "A healthy breakfast could include",
    "SELECT name FROM users WHERE", "Albert Einstein was born in",
]

WORDS = ["river", "engine", "naïve", "serving", "models", "cores", "日本語", "Zürich", "quick", "cat",
         "throughput", "token", "🙂", "e=mc²", "don't", "state-of-the-art", "GPU", "CPU", "https://x.y/z", "—"]
SENTENCES = [
    "hello world", "Hello, World!", "a", "The cat sits outside.", "A man is playing guitar",
    "The new movie is awesome", "El gato está en la casa.", "Die Straße ist naß.", "Привет, мир!",
    "你好，世界", "こんにちは世界", "🙂🙃", "tabs\tand\nnewlines", "    spaces    ", "UPPER lower MiXeD",
    "1234567890 3.14159 1e-9", "C++ && Python || Rust?", "don't can't won't", "naïve café résumé",
    "unaffable antidisestablishmentarianism",
] + [" ".join(WORDS[(i * 7 + j * (i + 3)) % len(WORDS)] for j in range(1 + i * 2)) for i in range(44)]


def embeddings(folder):
    import numpy as np
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    rows, counts = [], []
    with torch.no_grad():
        for sentence in SENTENCES:  # one by one: no padding, no truncation beyond the model's window
            batch = tokenizer(sentence, return_tensors="pt", truncation=True, max_length=256)
            hidden = model(**batch).last_hidden_state[0]
            vector = hidden.mean(0)
            rows.append((vector / vector.norm()).numpy())
            counts.append(batch["input_ids"].shape[1])
    np.asarray(rows, np.float32).tofile(HERE / "minilm.f32")
    (HERE / "minilm.json").write_text(json.dumps(
        {"sentences": SENTENCES, "tokens": counts, "dim": len(rows[0])}, ensure_ascii=False, indent=1) + "\n")


def greedy(url):
    cases = []
    for prompt in PROMPTS:
        body = {"prompt": prompt, "n_predict": 64, "temperature": 0, "top_k": 1, "cache_prompt": False,
                "return_tokens": True, "ignore_eos": True, "n_probs": 1}
        request = urllib.request.Request(url + "/completion", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        answer = json.load(urllib.request.urlopen(request, timeout=300))
        cases.append({"prompt": prompt, "tokens": answer["tokens"], "text": answer["content"]})
        assert len(answer["tokens"]) == 64, len(answer["tokens"])
    (HERE / "smollm2_greedy.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    {"embeddings": embeddings, "greedy": greedy}[sys.argv[1]](sys.argv[2])

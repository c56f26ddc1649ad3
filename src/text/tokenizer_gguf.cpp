// GGUF vocabularies (tokenizer.ggml.*) to TokenizerParts. Keys and defaults:
// github.com/ggml-org/ggml/blob/master/docs/gguf.md and llama.cpp's src/llama-vocab.cpp.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "text/bpe.h"
#include "text/gguf_vocabulary.h"
#include "text/sentencepiece_bpe.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

namespace tessera {

namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

enum TokenType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

[[noreturn]] void bad(std::string_view key, const std::string& what) {
  throw Error(ErrorKind::kBadModelFile,
              "GGUF: tokenizer.ggml." + std::string(key) + " " + what + ".",
              "tokenizer.ggml." + std::string(key));
}

int type_of(const GgufVocabulary& v, std::size_t id) {
  return v.token_types.empty() ? kNormal : v.token_types[id];
}

// Converters fill a vocabulary up to the embedding's size with "[PAD123]" at id 123.
bool is_placeholder(std::string_view text, std::size_t id) {
  return text.starts_with("[PAD") && text == "[PAD" + std::to_string(id) + "]";
}

void check(const GgufVocabulary& v) {
  const std::size_t n = v.tokens.size();
  if (n == 0) bad("tokens", "is missing or empty");
  if (n >= static_cast<std::size_t>(kMaxVocabulary)) {
    bad("tokens", "has " + std::to_string(n) + " entries; at most " +
                      std::to_string(kMaxVocabulary - 1) + " are possible");
  }
  if (!v.scores.empty() && v.scores.size() != n) {
    bad("scores",
        "has " + std::to_string(v.scores.size()) + " entries for " + std::to_string(n) + " tokens");
  }
  for (std::size_t id = 0; id < v.scores.size(); ++id) {
    if (!std::isfinite(v.scores[id])) {
      bad("scores", "has an entry " + std::to_string(id) + " that is no number");
    }
  }
  if (!v.token_types.empty() && v.token_types.size() != n) {
    bad("token_type", "has " + std::to_string(v.token_types.size()) + " entries for " +
                          std::to_string(n) + " tokens");
  }
  for (const auto& [name, id] :
       std::initializer_list<std::pair<const char*, std::optional<std::int32_t>>>{
           {"bos_token_id", v.bos},
           {"eos_token_id", v.eos},
           {"eot_token_id", v.eot},
           {"eom_token_id", v.eom},
           {"unknown_token_id", v.unk},
           {"seperator_token_id", v.sep},
           {"padding_token_id", v.pad},
           {"cls_token_id", v.cls},
           {"mask_token_id", v.mask}}) {
    if (id && (*id < 0 || static_cast<std::size_t>(*id) >= n)) {
      bad(name,
          "is " + std::to_string(*id) + "; the vocabulary has " + std::to_string(n) + " tokens");
    }
  }
}

// ids that a model may produce from text.
std::vector<std::int32_t> ids_where(std::size_t n, auto&& wanted) {
  std::vector<std::int32_t> ids;
  ids.reserve(n);
  for (std::size_t id = 0; id < n; ++id) {
    if (wanted(id)) ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

// How a byte-level vocabulary is cut and whether it starts with BOS.
struct Pre {
  std::string_view name;
  enum Split { kGpt2, kDigitsGpt2, kLlama3, kQwen2, kTekken } split;
  bool ignore_merges = false, add_bos = false, nfc = false;
};

constexpr Pre kPre[] = {
    {"llama-bpe", Pre::kLlama3, true, true},
    {"llama3", Pre::kLlama3, true, true},
    {"llama-v3", Pre::kLlama3, true, true},
    {"dbrx", Pre::kLlama3},
    {"smaug-bpe", Pre::kLlama3},
    {"gpt-2", Pre::kGpt2},
    {"gpt2", Pre::kGpt2},
    {"phi-2", Pre::kGpt2},
    {"olmo", Pre::kGpt2},
    {"mpt", Pre::kGpt2, false, false, true},
    {"smollm", Pre::kDigitsGpt2},
    {"starcoder", Pre::kDigitsGpt2},
    {"refact", Pre::kDigitsGpt2},
    {"command-r", Pre::kDigitsGpt2},
    {"codeshell", Pre::kDigitsGpt2},
    {"qwen2", Pre::kQwen2, false, false, true},
    {"stablelm2", Pre::kQwen2},
    {"tekken", Pre::kTekken, true, true},
};

const Pre& pre_of(const GgufVocabulary& v) {
  // Files older than the key: the size tells Llama 3; GPT-NeoX's 50,2xx tokens are MPT's.
  std::string_view wanted = v.pre;
  if (wanted.empty()) {
    if (v.tokens.size() == 128256) wanted = "llama3";
    if (v.tokens.size() >= 50254 && v.tokens.size() <= 50432) wanted = "mpt";
  }
  if (v.pre.empty() && !wanted.empty()) {
    log_warn("text", "tokenizer.ggml.pre is missing; the vocabulary's size decides",
             {{"pre", wanted}, {"tokens", v.tokens.size()}});
  }
  std::string names;
  for (const Pre& pre : kPre) {
    if (pre.name == wanted) return pre;
    names += (names.empty() ? "" : ", ") + std::string(pre.name);
  }
  if (wanted.empty()) bad("pre", "is missing, and the vocabulary does not tell which it is");
  throw Error(ErrorKind::kUnsupportedModel,
              "GGUF: tokenizer.ggml.pre is '" + v.pre + "'; Tessera supports " + names + ".",
              "tokenizer.ggml.pre");
}

void add_specials(const GgufVocabulary& v, TokenizerParts& parts) {
  for (std::size_t id = 0; id < v.tokens.size(); ++id) {
    const int type = type_of(v, id);
    const bool special = type == kControl || type == kUnknown;
    if ((!special && type != kUserDefined) || is_placeholder(v.tokens[id], id)) continue;
    AddedToken token;
    token.id = static_cast<std::int32_t>(id);
    token.content = v.tokens[id];
    token.special = special;
    parts.added.push_back(std::move(token));
  }
}

void name_specials(const GgufVocabulary& v, TokenizerParts& parts) {
  parts.bos = v.bos;
  parts.eos = v.eos;
  parts.eot = v.eot;
  parts.eom = v.eom;
  const auto name = [&](const char* field, std::optional<std::int32_t> id) {
    if (id) parts.special_tokens.emplace_back(field, parts.vocabulary->texts[*id]);
  };
  name("bos_token", v.bos);
  name("eos_token", v.eos);
  name("unk_token", v.unk);
  name("sep_token", v.sep);
  name("pad_token", v.pad);
  name("cls_token", v.cls);
  name("mask_token", v.mask);
}

void add_ends(bool bos, bool eos, const GgufVocabulary& v, TokenizerParts& parts) {
  if (bos) {
    if (!v.bos) bad("bos_token_id", "is missing, but add_bos_token is on");
    parts.prefix.push_back(*v.bos);
  }
  if (eos) {
    if (!v.eos) bad("eos_token_id", "is missing, but add_eos_token is on");
    parts.suffix.push_back(*v.eos);
  }
}

TokenizerParts byte_level(const GgufVocabulary& v) {
  const Pre& pre = pre_of(v);
  TokenizerParts parts;
  parts.vocabulary = std::make_shared<const Vocabulary>(
      PackedStrings(v.tokens), ids_where(v.tokens.size(), [&](std::size_t id) {
        const int type = type_of(v, id);
        return !v.tokens[id].empty() &&
               (type == kNormal || type == kUserDefined || type == kUnused);
      }));
  add_specials(v, parts);

  if (pre.nfc) parts.normalizer.add(normalizers::Form{NormalForm::kNfc});
  using namespace pretokenizers;
  switch (pre.split) {
    case Pre::kGpt2:
      parts.pretokenizer.add(ByteLevel{false, true});
      break;
    case Pre::kDigitsGpt2:
      parts.pretokenizer.add(Digits{true});
      parts.pretokenizer.add(ByteLevel{false, true});
      break;
    case Pre::kLlama3:
      parts.pretokenizer.add(Known{SplitPattern::kLlama3});
      parts.pretokenizer.add(ByteLevel{false, false});
      break;
    case Pre::kQwen2:
      parts.pretokenizer.add(Known{SplitPattern::kQwen2});
      parts.pretokenizer.add(ByteLevel{false, false});
      break;
    case Pre::kTekken:
      parts.pretokenizer.add(Split{TextPattern{Regex(kTekkenPattern)}, Behavior::kIsolated, false});
      parts.pretokenizer.add(ByteLevel{false, false});
      break;
  }
  std::vector<Bpe::Merge> merges;
  merges.reserve(v.merges.size());
  for (std::size_t i = 0; i < v.merges.size(); ++i) {
    const std::string_view text = v.merges[i];
    const std::size_t space = text.find(' ', 1);
    if (text.empty() || space == std::string_view::npos) {
      bad("merges", "entry " + std::to_string(i) + " is '" + std::string(text) +
                        "'; wanted are two tokens with a space between");
    }
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  BpeSettings settings;
  settings.ignore_merges = pre.ignore_merges;
  settings.byte_level = Bpe::has_all_bytes(*parts.vocabulary);
  parts.byte_model = settings.byte_level;
  parts.model = std::make_unique<const Bpe>(parts.vocabulary, merges, settings);
  parts.decoder.add(decoders::ByteLevel{});
  name_specials(v, parts);
  add_ends(v.add_bos.value_or(pre.add_bos), v.add_eos.value_or(false), v, parts);
  return parts;
}

TokenizerParts sentence_piece(GgufVocabulary v) {
  if (v.scores.empty()) bad("scores", "is missing; model 'llama' needs it");
  if (v.token_types.empty()) bad("token_type", "is missing; model 'llama' needs it");
  const auto in_range = [&](std::int32_t id) -> std::optional<std::int32_t> {
    if (static_cast<std::size_t>(id) < v.tokens.size()) return id;
    return std::nullopt;
  };
  if (!v.bos) v.bos = in_range(1);
  if (!v.eos) v.eos = in_range(2);
  if (!v.unk) v.unk = in_range(0);

  TokenizerParts parts;
  std::vector<bool> unused(v.tokens.size());
  for (std::size_t id = 0; id < unused.size(); ++id) unused[id] = type_of(v, id) == kUnused;
  parts.vocabulary = std::make_shared<const Vocabulary>(
      PackedStrings(v.tokens), ids_where(v.tokens.size(), [&](std::size_t id) {
        const int type = type_of(v, id);
        return !v.tokens[id].empty() &&
               (type == kNormal || type == kUserDefined || type == kUnused);
      }));
  add_specials(v, parts);
  if (v.add_space_prefix.value_or(true)) {
    parts.normalizer.add(normalizers::Prepend{std::string(kSpaceMark)});
  }
  parts.normalizer.add(
      normalizers::Replace{TextPattern{std::string(" ")}, std::string(kSpaceMark)});
  parts.model = std::make_unique<const SentencePieceBpe>(parts.vocabulary, v.scores,
                                                         std::move(unused), v.unk);
  parts.decoder.add(decoders::Replace{TextPattern{std::string(kSpaceMark)}, " "});
  parts.decoder.add(decoders::ByteFallback{});
  parts.decoder.add(decoders::Fuse{});
  if (v.add_space_prefix.value_or(true)) parts.decoder.add(decoders::Strip{U' ', 1, 0});
  name_specials(v, parts);
  add_ends(v.add_bos.value_or(true), v.add_eos.value_or(false), v, parts);
  return parts;
}

// GGUF stores BERT's words as "▁word" and continuations bare; the HF spelling is rebuilt.
TokenizerParts word_piece(GgufVocabulary v) {
  const auto otherwise = [&](std::optional<std::int32_t>& id, std::int32_t usual,
                             std::string_view text) {
    if (id) return;
    const auto index = static_cast<std::size_t>(usual);
    if (index < v.tokens.size() && v.tokens[index] == text) {
      id = usual;
      return;
    }
    const auto found = std::find(v.tokens.begin(), v.tokens.end(), text);
    if (found == v.tokens.end()) bad("tokens", "has no " + std::string(text));
    id = static_cast<std::int32_t>(found - v.tokens.begin());
  };
  // Older converters stored [CLS] as BOS.
  if (!v.cls) v.cls = v.bos;
  otherwise(v.cls, 101, "[CLS]");
  otherwise(v.sep, 102, "[SEP]");
  otherwise(v.unk, 100, "[UNK]");

  std::vector<bool> special(v.tokens.size());
  for (std::size_t id = 0; id < v.tokens.size(); ++id) {
    std::string& text = v.tokens[id];
    const int type = type_of(v, id);
    const bool bracketed = text.starts_with('[') && text.ends_with(']') && text.size() > 2;
    special[id] = type == kControl || type == kUnknown || type == kUserDefined;
    if (special[id] || bracketed) continue;
    if (text.starts_with(kSpaceMark)) {
      text.erase(0, kSpaceMark.size());
    } else if (!text.empty()) {
      text.insert(0, "##");
    }
  }
  TokenizerParts parts;
  for (const auto& id : {v.cls, v.sep, v.unk, v.pad, v.mask}) {
    if (id) special[*id] = true;
  }
  parts.vocabulary = std::make_shared<const Vocabulary>(
      PackedStrings(v.tokens),
      ids_where(v.tokens.size(), [&](std::size_t id) { return !v.tokens[id].empty(); }));
  for (std::size_t id = 0; id < v.tokens.size(); ++id) {
    if (!special[id] || is_placeholder(v.tokens[id], id)) continue;
    AddedToken token;
    token.id = static_cast<std::int32_t>(id);
    token.content = v.tokens[id];
    token.special = true;
    parts.added.push_back(std::move(token));
  }
  const bool lowercase = v.normalizer_lowercase.value_or(true);
  parts.normalizer.add(
      normalizers::Bert{true, true, v.normalizer_strip_accents.value_or(lowercase), lowercase});
  parts.pretokenizer.add(pretokenizers::Bert{});
  parts.model = std::make_unique<const WordPiece>(parts.vocabulary, "##", *v.unk, 100);
  parts.decoder.add(decoders::WordPiece{"##", true});
  name_specials(v, parts);
  if (v.add_bos.value_or(true)) parts.prefix.push_back(*v.cls);
  if (v.add_sep.value_or(v.add_eos.value_or(true))) parts.suffix.push_back(*v.sep);
  return parts;
}

}  // namespace

std::unique_ptr<const Tokenizer> make_tokenizer(const GgufVocabulary& vocabulary) {
  if (!vocabulary.huggingface_json.empty()) return make_tokenizer(vocabulary.huggingface_json);
  check(vocabulary);
  GgufVocabulary v = vocabulary;
  // Texts are UTF-8 everywhere else; a converter's slip must not travel further.
  for (std::string& text : v.tokens) {
    if (!utf8_valid(text)) text = utf8_sanitize(text);
  }
  if (v.model == "gpt2") return assemble_tokenizer(byte_level(v));
  if (v.model == "llama") return assemble_tokenizer(sentence_piece(std::move(v)));
  if (v.model == "bert") return assemble_tokenizer(word_piece(std::move(v)));
  throw Error(ErrorKind::kUnsupportedModel,
              "GGUF: tokenizer.ggml.model is '" + v.model +
                  "'; Tessera supports gpt2 (byte-level BPE), llama (SentencePiece BPE) and bert "
                  "(WordPiece).",
              "tokenizer.ggml.model");
}

}  // namespace tessera

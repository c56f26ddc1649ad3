// Hugging Face tokenizer.json and its companions to TokenizerParts. Component names and defaults as
// in the tokenizers library 0.20 (github.com/huggingface/tokenizers).
#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "text/bpe.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

namespace tessera {

namespace {

constexpr int kMaxNesting = 16;  // Sequence in Sequence

[[noreturn]] void unsupported(std::string_view path, std::string_view type,
                              std::string_view wanted) {
  throw Error(ErrorKind::kUnsupportedModel,
              "tokenizer.json: " + std::string(path) + " is '" + std::string(type) +
                  "'; Tessera supports " + std::string(wanted) + ".",
              std::string(path));
}

[[noreturn]] void bad(std::string_view path, std::string_view what) {
  throw Error(ErrorKind::kBadModelFile,
              "tokenizer.json: " + std::string(path) + " " + std::string(what) + ".",
              std::string(path));
}

std::int32_t token_id_at(const json::value& value, std::string_view path) {
  const std::int64_t id = as_int(value, path);
  if (id < 0 || id >= kMaxVocabulary) {
    bad(path, "is " + std::to_string(id) + "; a token id is at least 0 and below " +
                  std::to_string(kMaxVocabulary));
  }
  return static_cast<std::int32_t>(id);
}

bool flag(const json::object& object, std::string_view field, bool otherwise,
          std::string_view path) {
  return get_bool(object, field, path).value_or(otherwise);
}

// The steps of a component: itself, or those of a Sequence, in order.
template <class Handle>
void each_step(const json::value& value, std::string_view path, std::string_view list, int depth,
               Handle&& handle) {
  if (value.is_null()) return;
  if (depth > kMaxNesting) bad(path, "nests more than 16 sequences");
  const json::object& object = as_object(value, path);
  const std::string type = require_string(object, "type", path);
  if (type != "Sequence") {
    handle(object, type, path);
    return;
  }
  const json::array& steps = require_array(object, list, path);
  const std::string list_path = join_path(path, list);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    each_step(steps[i], index_path(list_path, i), list, depth + 1, handle);
  }
}

TextPattern read_pattern(const json::object& object, std::string_view path) {
  const std::string pattern_path = join_path(path, "pattern");
  const json::object& pattern = require_object(object, "pattern", path);
  if (const auto text = get_string(pattern, "String", pattern_path)) return {*text};
  if (const auto regex = get_string(pattern, "Regex", pattern_path)) return {Regex(*regex)};
  bad(pattern_path, "has neither String nor Regex");
}

Normalizer read_normalizer(const json::value& value) {
  Normalizer result;
  each_step(
      value, "normalizer", "normalizers", 0,
      [&](const json::object& o, const std::string& type, std::string_view path) {
        using namespace normalizers;
        if (type == "Prepend") {
          result.add(Prepend{require_string(o, "prepend", path)});
        } else if (type == "Replace") {
          result.add(Replace{read_pattern(o, path), require_string(o, "content", path)});
        } else if (type == "NFC") {
          result.add(Form{NormalForm::kNfc});
        } else if (type == "NFD") {
          result.add(Form{NormalForm::kNfd});
        } else if (type == "NFKC") {
          result.add(Form{NormalForm::kNfkc});
        } else if (type == "NFKD") {
          result.add(Form{NormalForm::kNfkd});
        } else if (type == "Lowercase") {
          result.add(Lowercase{});
        } else if (type == "StripAccents") {
          result.add(StripAccents{});
        } else if (type == "Strip") {
          result.add(Strip{flag(o, "strip_left", true, path), flag(o, "strip_right", true, path)});
        } else if (type == "BertNormalizer") {
          const bool lowercase = flag(o, "lowercase", true, path);
          result.add(Bert{flag(o, "clean_text", true, path),
                          flag(o, "handle_chinese_chars", true, path),
                          flag(o, "strip_accents", lowercase, path), lowercase});
        } else {
          unsupported(path, type,
                      "Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, "
                      "StripAccents, Strip and BertNormalizer");
        }
      });
  return result;
}

pretokenizers::Behavior read_behavior(const json::object& object, std::string_view path) {
  using pretokenizers::Behavior;
  const std::string name = get_string(object, "behavior", path).value_or("Isolated");
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  bad(join_path(path, "behavior"),
      "is '" + name +
          "'; known are Removed, Isolated, MergedWithPrevious, MergedWithNext and Contiguous");
}

// Files before 2024 carry add_prefix_space instead of prepend_scheme; false forces "never".
pretokenizers::Metaspace read_metaspace(const json::object& object, std::string_view path) {
  using Prepend = pretokenizers::Metaspace::Prepend;
  pretokenizers::Metaspace result;
  result.replacement = get_string(object, "replacement", path).value_or("\xE2\x96\x81");
  if (result.replacement.empty() ||
      lead_length(result.replacement[0]) != result.replacement.size()) {
    bad(join_path(path, "replacement"), "is not one character");
  }
  const auto scheme = get_string(object, "prepend_scheme", path);
  const auto prefix = get_bool(object, "add_prefix_space", path);
  result.prepend_scheme = Prepend::kAlways;
  if (scheme == "first") {
    result.prepend_scheme = Prepend::kFirst;
  } else if (scheme == "never") {
    result.prepend_scheme = Prepend::kNever;
  } else if (scheme && scheme != "always") {
    bad(join_path(path, "prepend_scheme"),
        "is '" + *scheme + "'; known are always, first and never");
  }
  if (prefix == false) {
    if (scheme && scheme != "never") {
      bad(join_path(path, "add_prefix_space"),
          "is false and contradicts prepend_scheme '" + *scheme + "'");
    }
    result.prepend_scheme = Prepend::kNever;
  }
  result.split = flag(object, "split", true, path);
  return result;
}

PreTokenizer read_pretokenizer(const json::value& value) {
  PreTokenizer result;
  each_step(value, "pre_tokenizer", "pretokenizers", 0,
            [&](const json::object& o, const std::string& type, std::string_view path) {
              using namespace pretokenizers;
              if (type == "ByteLevel") {
                result.add(ByteLevel{flag(o, "add_prefix_space", true, path),
                                     flag(o, "use_regex", true, path)});
              } else if (type == "Split") {
                const Behavior behavior = read_behavior(o, path);
                const bool invert = flag(o, "invert", false, path);
                const json::object& pattern = require_object(o, "pattern", path);
                const auto regex = get_string(pattern, "Regex", join_path(path, "pattern"));
                const auto known = regex ? known_split_pattern(*regex) : std::nullopt;
                // The scanners match everything, so "isolated" and "removed, inverted" are one.
                if (known && (behavior == Behavior::kIsolated ||
                              (behavior == Behavior::kRemoved && invert))) {
                  result.add(Known{*known});
                } else {
                  result.add(Split{read_pattern(o, path), behavior, invert});
                }
              } else if (type == "Metaspace") {
                result.add(read_metaspace(o, path));
              } else if (type == "Digits") {
                result.add(Digits{flag(o, "individual_digits", false, path)});
              } else if (type == "BertPreTokenizer") {
                result.add(pretokenizers::Bert{});
              } else if (type == "Whitespace") {
                result.add(Whitespace{});
              } else if (type == "WhitespaceSplit") {
                result.add(WhitespaceSplit{});
              } else if (type == "Punctuation") {
                result.add(Punctuation{read_behavior(o, path)});
              } else {
                unsupported(path, type,
                            "Sequence, ByteLevel, Split, Metaspace, Digits, BertPreTokenizer, "
                            "Whitespace, WhitespaceSplit and Punctuation");
              }
            });
  return result;
}

Decoder read_decoder(const json::value& value) {
  Decoder result;
  each_step(
      value, "decoder", "decoders", 0,
      [&](const json::object& o, const std::string& type, std::string_view path) {
        using namespace decoders;
        if (type == "ByteLevel") {
          result.add(ByteLevel{});
        } else if (type == "Replace") {
          result.add(decoders::Replace{read_pattern(o, path), require_string(o, "content", path)});
        } else if (type == "ByteFallback") {
          result.add(ByteFallback{});
        } else if (type == "Fuse") {
          result.add(Fuse{});
        } else if (type == "Strip") {
          const std::string content = get_string(o, "content", path).value_or(" ");
          if (content.empty() || lead_length(content[0]) != content.size()) {
            bad(join_path(path, "content"), "is not one character");
          }
          const auto count = [&](std::string_view field) {
            const std::int64_t n = get_int(o, field, path).value_or(0);
            if (n < 0) bad(join_path(path, field), "is negative");
            return static_cast<std::size_t>(n);
          };
          std::size_t i = 0;
          result.add(decoders::Strip{next_code_point(content, i), count("start"), count("stop")});
        } else if (type == "Metaspace") {
          const pretokenizers::Metaspace meta = read_metaspace(o, path);
          result.add(decoders::Metaspace{
              meta.replacement, meta.prepend_scheme != pretokenizers::Metaspace::Prepend::kNever});
        } else if (type == "WordPiece") {
          result.add(decoders::WordPiece{get_string(o, "prefix", path).value_or("##"),
                                         flag(o, "cleanup", true, path)});
        } else {
          unsupported(path, type,
                      "Sequence, ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace "
                      "and WordPiece");
        }
      });
  return result;
}

// ---- Post-processor: special tokens around the sequence. Types of segment B are never used here.

void read_template(const json::object& object, std::string_view path, TokenizerParts& parts) {
  const json::object& specials = require_object(object, "special_tokens", path);
  const std::string specials_path = join_path(path, "special_tokens");
  const json::array& pieces = require_array(object, "single", path);
  std::vector<std::int32_t> before, after;
  bool seen = false;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::string piece_path = index_path(join_path(path, "single"), i);
    const json::object& piece = as_object(pieces[i], piece_path);
    if (const json::object* sequence = get_object(piece, "Sequence", piece_path)) {
      if (seen || require_string(*sequence, "id", piece_path) != "A") {
        bad(piece_path, "is not the one sequence A of a single template");
      }
      seen = true;
      continue;
    }
    const json::object& token = require_object(piece, "SpecialToken", piece_path);
    const std::string name = require_string(token, "id", piece_path);
    const json::object& entry = require_object(specials, name, specials_path);
    const std::string ids_path = join_path(join_path(specials_path, name), "ids");
    const json::array& ids = require_array(entry, "ids", join_path(specials_path, name));
    for (std::size_t k = 0; k < ids.size(); ++k) {
      (seen ? after : before).push_back(token_id_at(ids[k], index_path(ids_path, k)));
    }
  }
  if (!seen) bad(join_path(path, "single"), "has no sequence A");
  parts.prefix.insert(parts.prefix.begin(), before.begin(), before.end());
  parts.suffix.insert(parts.suffix.end(), after.begin(), after.end());
}

void read_postprocessor(const json::value& value, TokenizerParts& parts) {
  each_step(value, "post_processor", "processors", 0,
            [&](const json::object& o, const std::string& type, std::string_view path) {
              if (type == "ByteLevel") return;  // offsets only
              if (type == "TemplateProcessing") {
                read_template(o, path, parts);
              } else if (type == "BertProcessing" || type == "RobertaProcessing") {
                const auto id_of = [&](std::string_view field) {
                  const json::array& pair = require_array(o, field, path);
                  if (pair.size() != 2) bad(join_path(path, field), "is not [token, id]");
                  return token_id_at(pair[1], index_path(join_path(path, field), 1));
                };
                parts.prefix.insert(parts.prefix.begin(), id_of("cls"));
                parts.suffix.push_back(id_of("sep"));
              } else {
                unsupported(path, type,
                            "Sequence, ByteLevel, TemplateProcessing, BertProcessing and "
                            "RobertaProcessing");
              }
            });
}

// ---- Vocabulary, added tokens, model

std::vector<AddedToken> read_added_tokens(const json::object& root) {
  std::vector<AddedToken> result;
  const json::array* list = get_array(root, "added_tokens");
  if (!list) return result;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = index_path("added_tokens", i);
    const json::object& o = as_object((*list)[i], path);
    AddedToken token;
    const json::value* id = find_field(o, "id");
    if (!id) throw_missing(join_path(path, "id"));
    token.id = token_id_at(*id, join_path(path, "id"));
    token.content = require_string(o, "content", path);
    token.special = flag(o, "special", false, path);
    token.single_word = flag(o, "single_word", false, path);
    token.lstrip = flag(o, "lstrip", false, path);
    token.rstrip = flag(o, "rstrip", false, path);
    token.normalized = flag(o, "normalized", !token.special, path);
    result.push_back(std::move(token));
  }
  return result;
}

std::shared_ptr<const Vocabulary> read_vocabulary(const json::object& vocab,
                                                  const std::vector<AddedToken>& added) {
  std::vector<std::string_view> texts;
  std::vector<std::int32_t> ids;
  // Holes are rare and few; more of them would only be memory.
  const std::size_t most = 2 * (vocab.size() + added.size()) + 65536;
  const auto put = [&](std::int32_t id, std::string_view text) {
    if (static_cast<std::size_t>(id) >= most) {
      bad("model.vocab", "has " + std::to_string(vocab.size()) + " entries, but '" +
                             std::string(text) + "' has the id " + std::to_string(id));
    }
    if (static_cast<std::size_t>(id) >= texts.size()) texts.resize(id + 1);
    texts[id] = text;
  };
  texts.reserve(vocab.size() + added.size());
  ids.reserve(vocab.size());
  for (const auto& entry : vocab) {
    const std::int32_t id =
        token_id_at(entry.value(), join_path("model.vocab", std::string_view(entry.key())));
    put(id, std::string_view(entry.key()));
    ids.push_back(id);
  }
  for (const AddedToken& token : added) put(token.id, token.content);
  if (texts.empty()) bad("model.vocab", "is empty");
  return std::make_shared<const Vocabulary>(PackedStrings(texts), ids);
}

std::unique_ptr<const TokenModel> read_bpe(const json::object& model, TokenizerParts& parts) {
  BpeSettings settings;
  settings.ignore_merges = flag(model, "ignore_merges", false, "model");
  settings.byte_fallback = flag(model, "byte_fallback", false, "model");
  settings.fuse_unk = flag(model, "fuse_unk", false, "model");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto text = get_string(model, affix, "model");
    if (text && !text->empty()) unsupported(join_path("model", affix), *text, "only null or ''");
  }
  if (const auto dropout = get_number(model, "dropout", "model"); dropout && *dropout != 0) {
    unsupported("model.dropout", std::to_string(*dropout), "only null or 0");
  }
  if (const auto unk = get_string(model, "unk_token", "model")) {
    settings.unk = parts.vocabulary->model.find(*unk);
    if (!settings.unk) bad("model.unk_token", "'" + *unk + "' is not in the vocabulary");
  }
  const json::array& list = require_array(model, "merges", "model");
  std::vector<Bpe::Merge> merges;
  merges.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_string()) {
      const std::string_view text = list[i].get_string();
      const std::size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        bad(index_path("model.merges", i),
            "is '" + std::string(text) + "'; wanted are two tokens with one space between");
      }
      merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    } else {
      const std::string path = index_path("model.merges", i);
      const json::array& pair = as_array(list[i], path);
      if (pair.size() != 2) bad(path, "is not a pair of tokens");
      merges.emplace_back(as_string(pair[0], path), as_string(pair[1], path));
    }
  }
  settings.byte_level =
      parts.pretokenizer.ends_in_byte_level() && Bpe::has_all_bytes(*parts.vocabulary);
  parts.byte_model = settings.byte_level;
  return std::make_unique<const Bpe>(parts.vocabulary, merges, settings);
}

std::unique_ptr<const TokenModel> read_model(const json::object& model, TokenizerParts& parts) {
  // Files of the first years carry no type; what they hold tells.
  const std::string type = get_string(model, "type", "model")
                               .value_or(find_field(model, "merges") ? "BPE" : "without a type");
  if (type != "BPE" && type != "WordPiece") {
    unsupported("model.type", type, "BPE and WordPiece");
  }
  parts.vocabulary = read_vocabulary(require_object(model, "vocab", "model"), parts.added);
  if (type == "BPE") return read_bpe(model, parts);
  const std::string unk = get_string(model, "unk_token", "model").value_or("[UNK]");
  const auto unk_id = parts.vocabulary->model.find(unk);
  if (!unk_id) bad("model.unk_token", "'" + unk + "' is not in the vocabulary");
  const std::int64_t most = get_int(model, "max_input_chars_per_word", "model").value_or(100);
  if (most < 0 || most > 100000) {
    bad("model.max_input_chars_per_word", "is " + std::to_string(most) + "; wanted is 0 to 100000");
  }
  return std::make_unique<const WordPiece>(
      parts.vocabulary, get_string(model, "continuing_subword_prefix", "model").value_or("##"),
      *unk_id, static_cast<std::size_t>(most));
}

// ---- tokenizer_config.json and special_tokens_map.json

constexpr std::string_view kNamedTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token"};

// A token is its text, or an object with its text as "content".
std::optional<std::string> named_token(const json::object& object, std::string_view field) {
  const json::value* value = find_field(object, field);
  if (!value) return std::nullopt;
  if (value->is_string()) return std::string(value->get_string());
  if (value->is_object()) return get_string(value->get_object(), "content", field);
  return std::nullopt;
}

std::optional<std::int32_t> id_of(const TokenizerParts& parts, std::string_view text) {
  for (const AddedToken& token : parts.added) {
    if (token.content == text) return token.id;
  }
  return parts.vocabulary->model.find(text);
}

void apply_config(const json::object& config, const json::object& map, TokenizerParts& parts) {
  for (const std::string_view field : kNamedTokens) {
    auto text = named_token(config, field);
    if (!text) text = named_token(map, field);
    if (!text) continue;
    if (field == "bos_token") parts.bos = id_of(parts, *text);
    if (field == "eos_token") parts.eos = id_of(parts, *text);
    parts.special_tokens.emplace_back(field, std::move(*text));
  }
  // The reference regenerates the post-processor of Llama-type tokenizers from these two.
  const std::string tokenizer_class = get_string(config, "tokenizer_class").value_or("");
  if (!tokenizer_class.starts_with("Llama") && !tokenizer_class.starts_with("CodeLlama") &&
      !tokenizer_class.starts_with("Gemma")) {
    return;
  }
  const auto set = [](std::optional<bool> wanted, std::optional<std::int32_t> id,
                      std::string_view name, std::vector<std::int32_t>& ids) {
    if (!wanted) return;
    ids.clear();
    if (!*wanted) return;
    if (!id) {
      throw Error(ErrorKind::kBadModelFile,
                  "tokenizer_config.json: add_" + std::string(name) + " is true, but " +
                      std::string(name) + " is absent or not in the vocabulary.",
                  "add_" + std::string(name));
    }
    ids.push_back(*id);
  };
  set(get_bool(config, "add_bos_token"), parts.bos, "bos_token", parts.prefix);
  set(get_bool(config, "add_eos_token"), parts.eos, "eos_token", parts.suffix);
}

void check_ids(const TokenizerParts& parts) {
  for (const auto* ids : {&parts.prefix, &parts.suffix}) {
    for (const std::int32_t id : *ids) {
      if (static_cast<std::size_t>(id) >= parts.vocabulary->texts.size()) {
        bad("post_processor",
            "uses the token id " + std::to_string(id) + ", which is not in the vocabulary");
      }
    }
  }
}

// Readers of base/json speak of requests; a file that is wrong is a bad model file.
template <class F>
auto as_model_file(std::string_view file, F&& f) {
  try {
    return f();
  } catch (Error& error) {
    if (error.kind == ErrorKind::kBadModelFile || error.kind == ErrorKind::kUnsupportedModel ||
        error.kind == ErrorKind::kIo) {
      throw;
    }
    throw Error(ErrorKind::kBadModelFile, std::string(file) + ": " + error.message, error.param);
  }
}

json::object optional_object(std::string_view text, std::string_view file) {
  if (text.empty()) return {};
  return as_model_file(file, [&] { return parse_json_object(text); });
}

std::unique_ptr<const Tokenizer> build(std::string_view tokenizer_json,
                                       std::string_view tokenizer_config_json,
                                       std::string_view special_tokens_map_json) {
  TokenizerParts parts;
  as_model_file("tokenizer.json", [&] {
    const json::object root = parse_json_object(tokenizer_json);
    const auto component = [&](std::string_view name) {
      const json::value* value = find_field(root, name);
      static const json::value kNull;
      return value ? std::cref(*value) : std::cref(kNull);
    };
    parts.added = read_added_tokens(root);
    parts.normalizer = read_normalizer(component("normalizer"));
    parts.pretokenizer = read_pretokenizer(component("pre_tokenizer"));
    parts.decoder = read_decoder(component("decoder"));
    parts.model = read_model(require_object(root, "model"), parts);
    read_postprocessor(component("post_processor"), parts);
    check_ids(parts);
    return 0;
  });
  const json::object config = optional_object(tokenizer_config_json, "tokenizer_config.json");
  const json::object map = optional_object(special_tokens_map_json, "special_tokens_map.json");
  as_model_file("tokenizer_config.json", [&] {
    apply_config(config, map, parts);
    return 0;
  });
  return assemble_tokenizer(std::move(parts));
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::kIo, "Cannot read " + path.string() + ".");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) throw Error(ErrorKind::kIo, "Cannot read " + path.string() + ".");
  return text;
}

}  // namespace

std::unique_ptr<const Tokenizer> make_tokenizer(std::string_view tokenizer_json,
                                                std::string_view tokenizer_config_json) {
  return build(tokenizer_json, tokenizer_config_json, {});
}

std::unique_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::is_regular_file(folder / "tokenizer.json", ignored)) {
    std::string others;
    for (const char* name : {"tokenizer.model", "vocab.txt", "vocab.json", "tiktoken.py"}) {
      if (fs::exists(folder / name, ignored))
        others += std::string(others.empty() ? "" : ", ") + name;
    }
    throw Error(ErrorKind::kUnsupportedModel,
                "The model folder " + folder.string() + " has no tokenizer.json" +
                    (others.empty() ? std::string()
                                    : " (it has " + others + ", which alone is not enough)") +
                    "; Tessera reads Hugging Face tokenizer.json files and GGUF vocabularies.",
                "tokenizer.json");
  }
  const auto optional_file = [&](const char* name) {
    return fs::is_regular_file(folder / name, ignored) ? read_file(folder / name) : std::string();
  };
  try {
    return build(read_file(folder / "tokenizer.json"), optional_file("tokenizer_config.json"),
                 optional_file("special_tokens_map.json"));
  } catch (Error& error) {
    error.message = folder.string() + ": " + error.message;
    throw;
  }
}

}  // namespace tessera

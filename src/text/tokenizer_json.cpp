// Hugging Face's tokenizer.json to a Tokenizer: added tokens, vocabulary and model here, the other
// components in tokenizer_json_parts.cpp.
#include <boost/json.hpp>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "text/bpe.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_json_parts.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

namespace tessera {

namespace {

bool flag(const json::object& object, std::string_view field, bool otherwise,
          std::string_view path) {
  return get_bool(object, field, path).value_or(otherwise);
}

std::vector<AddedToken> read_added_tokens(const json::object& root) {
  std::vector<AddedToken> result;
  const json::array* list = get_array(root, "added_tokens");
  if (!list) return result;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = index_path("added_tokens", i);
    const json::object& o = as_object((*list)[i], path);
    AddedToken token = read_added_token(o, path);
    const json::value* id = find_field(o, "id");
    if (!id) throw_missing(join_path(path, "id"));
    token.id = token_id_at(*id, join_path(path, "id"));
    result.push_back(std::move(token));
  }
  return result;
}

// The model's texts with their ids, then those of added tokens.
std::shared_ptr<const Vocabulary> make_vocabulary(
    const std::vector<std::pair<std::int32_t, std::string_view>>& entries,
    const std::vector<AddedToken>& added) {
  std::vector<std::string_view> texts;
  std::vector<std::int32_t> ids;
  // Holes are rare and few; more of them would only be memory.
  const std::size_t most = 2 * (entries.size() + added.size()) + 65536;
  const auto put = [&](std::int32_t id, std::string_view text) {
    if (static_cast<std::size_t>(id) >= most) {
      bad_component("model.vocab", "has " + std::to_string(entries.size()) + " entries, but '" +
                                       std::string(text) + "' has the id " + std::to_string(id));
    }
    if (static_cast<std::size_t>(id) >= texts.size()) texts.resize(id + 1);
    texts[id] = text;
  };
  texts.reserve(entries.size() + added.size());
  ids.reserve(entries.size());
  for (const auto& [id, text] : entries) {
    put(id, text);
    ids.push_back(id);
  }
  for (const AddedToken& token : added) put(token.id, token.content);
  if (texts.empty()) bad_component("model.vocab", "is empty");
  return std::make_shared<const Vocabulary>(PackedStrings(texts), ids);
}

std::shared_ptr<const Vocabulary> read_vocabulary(const json::object& vocab,
                                                  const std::vector<AddedToken>& added) {
  std::vector<std::pair<std::int32_t, std::string_view>> entries;
  entries.reserve(vocab.size());
  for (const auto& entry : vocab) {
    const std::string_view text = entry.key();
    entries.emplace_back(token_id_at(entry.value(), join_path("model.vocab", text)), text);
  }
  return make_vocabulary(entries, added);
}

std::unique_ptr<const TokenModel> read_bpe(const json::object& model, TokenizerParts& parts) {
  BpeSettings settings;
  settings.ignore_merges = flag(model, "ignore_merges", false, "model");
  settings.byte_fallback = flag(model, "byte_fallback", false, "model");
  settings.fuse_unk = flag(model, "fuse_unk", false, "model");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto text = get_string(model, affix, "model");
    if (text && !text->empty())
      unsupported_component(join_path("model", affix), *text, "only null or ''");
  }
  if (const auto dropout = get_number(model, "dropout", "model"); dropout && *dropout != 0) {
    unsupported_component("model.dropout", std::to_string(*dropout), "only null or 0");
  }
  if (const auto unk = get_string(model, "unk_token", "model")) {
    settings.unk = parts.vocabulary->model.find(*unk);
    if (!settings.unk) bad_component("model.unk_token", "'" + *unk + "' is not in the vocabulary");
  }
  const json::array& list = require_array(model, "merges", "model");
  std::vector<Bpe::Merge> merges;
  merges.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_string()) {
      const std::string_view text = list[i].get_string();
      const std::size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        bad_component(
            index_path("model.merges", i),
            "is '" + std::string(text) + "'; wanted are two tokens with one space between");
      }
      merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    } else {
      const std::string path = index_path("model.merges", i);
      const json::array& pair = as_array(list[i], path);
      if (pair.size() != 2) bad_component(path, "is not a pair of tokens");
      merges.emplace_back(as_string(pair[0], path), as_string(pair[1], path));
    }
  }
  settings.byte_level =
      parts.pretokenizer.ends_in_byte_level() && Bpe::has_all_bytes(*parts.vocabulary);
  parts.byte_model = settings.byte_level;
  return std::make_unique<const Bpe>(parts.vocabulary, merges, settings);
}

std::unique_ptr<const TokenModel> read_word_piece(const json::object& model,
                                                  const TokenizerParts& parts) {
  const std::string unk = get_string(model, "unk_token", "model").value_or("[UNK]");
  const auto unk_id = parts.vocabulary->model.find(unk);
  if (!unk_id) bad_component("model.unk_token", "'" + unk + "' is not in the vocabulary");
  const std::int64_t most = get_int(model, "max_input_chars_per_word", "model").value_or(100);
  if (most < 0 || most > 100000) {
    bad_component("model.max_input_chars_per_word",
                  "is " + std::to_string(most) + "; wanted is 0 to 100000");
  }
  return std::make_unique<const WordPiece>(
      parts.vocabulary, get_string(model, "continuing_subword_prefix", "model").value_or("##"),
      *unk_id, static_cast<std::size_t>(most));
}

// vocab: [[text, score], …] in the order of ids.
std::unique_ptr<const TokenModel> read_unigram(const json::object& model, TokenizerParts& parts) {
  const json::array& list = require_array(model, "vocab", "model");
  std::vector<std::pair<std::int32_t, std::string_view>> entries;
  std::vector<double> scores;
  for (std::size_t id = 0; id < list.size(); ++id) {
    const std::string path = index_path("model.vocab", id);
    const json::array& pair = as_array(list[id], path);
    if (pair.size() != 2) bad_component(path, "is not [text, score]");
    const std::string_view text = as_string(pair[0], path);
    if (text.size() > Unigram::kMaxPieceBytes) {
      bad_component(path, "has " + std::to_string(text.size()) + " bytes; at most " +
                              std::to_string(Unigram::kMaxPieceBytes) + " are possible");
    }
    entries.emplace_back(static_cast<std::int32_t>(id), text);
    scores.push_back(as_number(pair[1], path));
    if (!std::isfinite(scores.back())) bad_component(path, "has a score that is no number");
  }
  parts.vocabulary = make_vocabulary(entries, parts.added);
  UnigramSettings settings;
  settings.byte_fallback = flag(model, "byte_fallback", false, "model");
  if (const auto unk = get_int(model, "unk_id", "model")) {
    if (*unk < 0 || static_cast<std::size_t>(*unk) >= list.size()) {
      bad_component("model.unk_id", "is " + std::to_string(*unk) + "; the vocabulary has " +
                                        std::to_string(list.size()) + " entries");
    }
    settings.unk = static_cast<std::int32_t>(*unk);
  }
  const std::vector<Unigram::Kind> kinds(scores.size(), Unigram::Kind::kNormal);
  return std::make_unique<const Unigram>(parts.vocabulary, std::move(scores), kinds, settings);
}

std::unique_ptr<const TokenModel> read_model(const json::object& model, TokenizerParts& parts) {
  // Files of the first years carry no type; what they hold tells.
  const std::string type = get_string(model, "type", "model")
                               .value_or(find_field(model, "merges") ? "BPE" : "without a type");
  if (type == "Unigram") return read_unigram(model, parts);
  if (type != "BPE" && type != "WordPiece") {
    unsupported_component("model.type", type, "BPE, Unigram and WordPiece");
  }
  parts.vocabulary = read_vocabulary(require_object(model, "vocab", "model"), parts.added);
  return type == "BPE" ? read_bpe(model, parts) : read_word_piece(model, parts);
}

void check_ids(const TokenizerParts& parts) {
  for (const auto* ids : {&parts.prefix, &parts.suffix}) {
    for (const std::int32_t id : *ids) {
      if (static_cast<std::size_t>(id) >= parts.vocabulary->texts.size()) {
        bad_component("post_processor", "uses the token id " + std::to_string(id) +
                                            ", which is not in the vocabulary");
      }
    }
  }
}

}  // namespace

std::unique_ptr<const Tokenizer> tokenizer_from_json(std::string_view tokenizer_json,
                                                     const TokenizerCompanions& companions) {
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
  });
  TokenizerConfig::parse(companions).apply(parts);
  return assemble_tokenizer(std::move(parts));
}

std::unique_ptr<const Tokenizer> make_tokenizer(std::string_view tokenizer_json,
                                                std::string_view tokenizer_config_json) {
  return tokenizer_from_json(tokenizer_json, {std::string(tokenizer_config_json), {}, {}});
}

}  // namespace tessera

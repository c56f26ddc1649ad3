#include "text/tokenizer_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera {

namespace {

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

json::object optional_object(std::string_view text, std::string_view file) {
  if (text.empty()) return {};
  return as_model_file(file, [&] { return parse_json_object(text); });
}

// These classes of transformers rebuild their post-processor from add_bos_token and add_eos_token.
bool rebuilds_postprocessor(std::string_view tokenizer_class) {
  return tokenizer_class.starts_with("Llama") || tokenizer_class.starts_with("CodeLlama") ||
         tokenizer_class.starts_with("Gemma");
}

}  // namespace

void rethrow_as_model_file(std::string_view file) {
  try {
    throw;
  } catch (Error& error) {
    if (error.kind == ErrorKind::kBadModelFile || error.kind == ErrorKind::kUnsupportedModel ||
        error.kind == ErrorKind::kIo) {
      throw;
    }
    throw Error(ErrorKind::kBadModelFile, std::string(file) + ": " + error.message, error.param);
  }
}

std::int32_t checked_token_id(std::int64_t id, std::string_view file, std::string_view path) {
  if (id < 0 || id >= kMaxVocabulary) {
    throw Error(ErrorKind::kBadModelFile,
                std::string(file) + ": " + std::string(path) + " is " + std::to_string(id) +
                    "; a token id is at least 0 and below " + std::to_string(kMaxVocabulary) + ".",
                std::string(path));
  }
  return static_cast<std::int32_t>(id);
}

AddedToken read_added_token(const json::object& entry, std::string_view path) {
  const auto flag = [&](std::string_view field, bool otherwise) {
    return get_bool(entry, field, path).value_or(otherwise);
  };
  AddedToken token;
  token.content = require_string(entry, "content", path);
  token.special = flag("special", false);
  token.single_word = flag("single_word", false);
  token.lstrip = flag("lstrip", false);
  token.rstrip = flag("rstrip", false);
  token.normalized = flag("normalized", !token.special);
  return token;
}

TokenizerConfig TokenizerConfig::parse(const TokenizerCompanions& companions) {
  return {optional_object(companions.config, "tokenizer_config.json"),
          optional_object(companions.special_tokens_map, "special_tokens_map.json"),
          optional_object(companions.added_tokens, "added_tokens.json")};
}

std::string TokenizerConfig::tokenizer_class() const {
  return as_model_file("tokenizer_config.json",
                       [&] { return get_string(config, "tokenizer_class").value_or(""); });
}

std::vector<AddedToken> TokenizerConfig::added() const {
  std::vector<AddedToken> result;
  as_model_file("tokenizer_config.json", [&] {
    const json::object* decoder = get_object(config, "added_tokens_decoder");
    if (!decoder) return;
    for (const auto& [key, value] : *decoder) {
      const std::string path = join_path("added_tokens_decoder", std::string_view(key));
      const auto id = parse_int(key);
      if (!id) {
        throw Error(ErrorKind::kBadModelFile,
                    "tokenizer_config.json: the key of " + path + " is no token id.", path);
      }
      AddedToken token = read_added_token(as_object(value, path), path);
      token.id = checked_token_id(*id, "tokenizer_config.json", path);
      result.push_back(std::move(token));
    }
  });
  as_model_file("added_tokens.json", [&] {
    for (const auto& entry : added_tokens) {
      const std::string_view text = entry.key();
      const auto same = [&](const AddedToken& token) { return token.content == text; };
      if (std::any_of(result.begin(), result.end(), same)) continue;
      AddedToken token;
      token.id = checked_token_id(as_int(entry.value(), text), "added_tokens.json", text);
      token.content = text;
      result.push_back(std::move(token));
    }
  });
  return result;
}

void TokenizerConfig::apply(TokenizerParts& parts) const {
  as_model_file("tokenizer_config.json", [&] {
    for (const std::string_view field : kNamedTokens) {
      auto text = named_token(config, field);
      if (!text) text = named_token(special_tokens_map, field);
      if (!text) continue;
      if (field == "bos_token") parts.bos = id_of(parts, *text);
      if (field == "eos_token") parts.eos = id_of(parts, *text);
      const auto same = [&](const auto& entry) { return entry.first == field; };
      std::erase_if(parts.special_tokens, same);
      parts.special_tokens.emplace_back(field, std::move(*text));
    }
    if (!rebuilds_postprocessor(tokenizer_class())) return;
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
  });
}

}  // namespace tessera

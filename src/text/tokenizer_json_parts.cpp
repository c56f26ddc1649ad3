// The components of Hugging Face's tokenizer.json. Names and defaults as in the tokenizers library
// 0.20 (github.com/huggingface/tokenizers).
#include "text/tokenizer_json_parts.h"

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "text/tokenizer_config.h"
#include "text/utf8.h"

namespace tessera {

void unsupported_component(std::string_view path, std::string_view type, std::string_view wanted) {
  throw Error(ErrorKind::kUnsupportedModel,
              "tokenizer.json: " + std::string(path) + " is '" + std::string(type) +
                  "'; Tessera supports " + std::string(wanted) + ".",
              std::string(path));
}

void bad_component(std::string_view path, std::string_view what) {
  throw Error(ErrorKind::kBadModelFile,
              "tokenizer.json: " + std::string(path) + " " + std::string(what) + ".",
              std::string(path));
}

std::int32_t token_id_at(const json::value& value, std::string_view path) {
  return checked_token_id(as_int(value, path), "tokenizer.json", path);
}

namespace {

constexpr int kMaxNesting = 16;  // Sequence in Sequence

bool flag(const json::object& object, std::string_view field, bool otherwise,
          std::string_view path) {
  return get_bool(object, field, path).value_or(otherwise);
}

// The steps of a component: itself, or those of a Sequence, in order.
template <class Handle>
void each_step(const json::value& value, std::string_view path, std::string_view list, int depth,
               Handle&& handle) {
  if (value.is_null()) return;
  if (depth > kMaxNesting) bad_component(path, "nests more than 16 sequences");
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
  bad_component(pattern_path, "has neither String nor Regex");
}

}  // namespace

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
        } else if (type == "Precompiled") {
          const auto map = base64_decode(require_string(o, "precompiled_charsmap", path));
          if (!map) bad_component(join_path(path, "precompiled_charsmap"), "is not base64");
          result.add(Precompiled{std::make_shared<const Charsmap>(*map, "tokenizer.json")});
        } else {
          unsupported_component(path, type,
                                "Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, "
                                "StripAccents, Strip, BertNormalizer and Precompiled");
        }
      });
  return result;
}

namespace {

pretokenizers::Behavior read_behavior(const json::object& object, std::string_view path) {
  using pretokenizers::Behavior;
  const std::string name = get_string(object, "behavior", path).value_or("Isolated");
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  bad_component(
      join_path(path, "behavior"),
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
    bad_component(join_path(path, "replacement"), "is not one character");
  }
  const auto scheme = get_string(object, "prepend_scheme", path);
  const auto prefix = get_bool(object, "add_prefix_space", path);
  result.prepend_scheme = Prepend::kAlways;
  if (scheme == "first") {
    result.prepend_scheme = Prepend::kFirst;
  } else if (scheme == "never") {
    result.prepend_scheme = Prepend::kNever;
  } else if (scheme && scheme != "always") {
    bad_component(join_path(path, "prepend_scheme"),
                  "is '" + *scheme + "'; known are always, first and never");
  }
  if (prefix == false) {
    if (scheme && scheme != "never") {
      bad_component(join_path(path, "add_prefix_space"),
                    "is false and contradicts prepend_scheme '" + *scheme + "'");
    }
    result.prepend_scheme = Prepend::kNever;
  }
  result.split = flag(object, "split", true, path);
  return result;
}

}  // namespace

PreTokenizer read_pretokenizer(const json::value& value) {
  PreTokenizer result;
  each_step(
      value, "pre_tokenizer", "pretokenizers", 0,
      [&](const json::object& o, const std::string& type, std::string_view path) {
        using namespace pretokenizers;
        if (type == "ByteLevel") {
          result.add(
              ByteLevel{flag(o, "add_prefix_space", true, path), flag(o, "use_regex", true, path)});
        } else if (type == "Split") {
          const Behavior behavior = read_behavior(o, path);
          const bool invert = flag(o, "invert", false, path);
          const json::object& pattern = require_object(o, "pattern", path);
          const auto regex = get_string(pattern, "Regex", join_path(path, "pattern"));
          const auto known = regex ? known_split_pattern(*regex) : std::nullopt;
          // The scanners match everything, so "isolated" and "removed, inverted" are one.
          if (known &&
              (behavior == Behavior::kIsolated || (behavior == Behavior::kRemoved && invert))) {
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
          unsupported_component(path, type,
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
            bad_component(join_path(path, "content"), "is not one character");
          }
          const auto count = [&](std::string_view field) {
            const std::int64_t n = get_int(o, field, path).value_or(0);
            if (n < 0) bad_component(join_path(path, field), "is negative");
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
          unsupported_component(
              path, type,
              "Sequence, ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace "
              "and WordPiece");
        }
      });
  return result;
}

namespace {

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
        bad_component(piece_path, "is not the one sequence A of a single template");
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
  if (!seen) bad_component(join_path(path, "single"), "has no sequence A");
  parts.prefix.insert(parts.prefix.begin(), before.begin(), before.end());
  parts.suffix.insert(parts.suffix.end(), after.begin(), after.end());
}

}  // namespace

void read_postprocessor(const json::value& value, TokenizerParts& parts) {
  each_step(value, "post_processor", "processors", 0,
            [&](const json::object& o, const std::string& type, std::string_view path) {
              if (type == "ByteLevel") return;  // offsets only
              if (type == "TemplateProcessing") {
                read_template(o, path, parts);
              } else if (type == "BertProcessing" || type == "RobertaProcessing") {
                const auto id_of = [&](std::string_view field) {
                  const json::array& pair = require_array(o, field, path);
                  if (pair.size() != 2) bad_component(join_path(path, field), "is not [token, id]");
                  return token_id_at(pair[1], index_path(join_path(path, field), 1));
                };
                parts.prefix.insert(parts.prefix.begin(), id_of("cls"));
                parts.suffix.push_back(id_of("sep"));
              } else {
                unsupported_component(path, type,
                                      "Sequence, ByteLevel, TemplateProcessing, BertProcessing and "
                                      "RobertaProcessing");
              }
            });
}

}  // namespace tessera

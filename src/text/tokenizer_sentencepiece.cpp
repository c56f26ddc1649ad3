// A SentencePiece tokenizer.model to a Tokenizer, as transformers' LlamaTokenizer reads it: pieces
// and scores from the model, added tokens and BOS/EOS rules from tokenizer_config.json.
#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/sentencepiece_bpe.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_files.h"
#include "text/unigram.h"

namespace tessera {

namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581
using Model = SentencePieceModel;

[[noreturn]] void unsupported(const std::string& what) {
  throw Error(ErrorKind::kUnsupportedModel, "tokenizer.model: " + what + ".", "tokenizer.model");
}

void refuse_what_is_unknown(const Model& model) {
  if (model.algorithm == Model::kWord || model.algorithm == Model::kChar ||
      model.algorithm < Model::kUnigram || model.algorithm > Model::kChar) {
    const char* name = model.algorithm == Model::kWord   ? " (WORD)"
                       : model.algorithm == Model::kChar ? " (CHAR)"
                                                         : "";
    unsupported("trainer_spec.model_type is " + std::to_string(model.algorithm) + name +
                "; Tessera supports 1 (UNIGRAM) and 2 (BPE)");
  }
  if (!model.denormalizer_charsmap.empty()) {
    unsupported("denormalizer_spec has a precompiled charsmap; Tessera decodes without such rules");
  }
  if (!model.escape_whitespaces) {
    unsupported("normalizer_spec.escape_whitespaces is false; Tessera supports only true");
  }
}

// Vocabulary of all pieces and added tokens; the model finds normal, user-defined and unused ones.
std::shared_ptr<const Vocabulary> make_vocabulary(const Model& model,
                                                  const std::vector<AddedToken>& added) {
  std::vector<std::string_view> texts(model.pieces.begin(), model.pieces.end());
  const std::size_t most = 2 * (texts.size() + added.size()) + 65536;
  for (const AddedToken& token : added) {
    const auto id = static_cast<std::size_t>(token.id);
    if (id >= most) {
      throw Error(ErrorKind::kBadModelFile,
                  "tokenizer_config.json: the added token '" + token.content + "' has the id " +
                      std::to_string(token.id) + ", but tokenizer.model has " +
                      std::to_string(model.pieces.size()) + " pieces.",
                  "added_tokens_decoder");
    }
    if (id >= texts.size()) texts.resize(id + 1);
    texts[id] = token.content;
  }
  std::vector<std::int32_t> ids;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const std::int32_t type = model.types[id];
    if (type == Model::kNormal || type == Model::kUserDefined || type == Model::kUnused) {
      ids.push_back(static_cast<std::int32_t>(id));
    }
  }
  return std::make_shared<const Vocabulary>(PackedStrings(texts), ids);
}

// Control and unknown pieces that the configuration does not mention: special tokens, too.
void add_controls(const Model& model, std::vector<AddedToken>& added) {
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.types[id] != Model::kControl && model.types[id] != Model::kUnknown) continue;
    const auto same = [&](const AddedToken& token) {
      return token.id == static_cast<std::int32_t>(id) || token.content == model.pieces[id];
    };
    if (std::any_of(added.begin(), added.end(), same)) continue;
    AddedToken token;
    token.id = static_cast<std::int32_t>(id);
    token.content = model.pieces[id];
    token.special = true;
    added.push_back(std::move(token));
  }
}

std::shared_ptr<const ByteTrie> user_defined_pieces(const Model& model) {
  auto trie = std::make_shared<ByteTrie>();
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.types[id] == Model::kUserDefined) {
      trie->add(model.pieces[id], static_cast<std::int32_t>(id));
    }
  }
  return trie->empty() ? nullptr : trie;
}

std::unique_ptr<const TokenModel> make_bpe(const Model& model, const TokenizerParts& parts,
                                           std::optional<std::int32_t> unk,
                                           std::shared_ptr<const ByteTrie> user_defined) {
  // Added tokens beyond the pieces have neither score nor use.
  std::vector<float> scores = model.scores;
  scores.resize(parts.vocabulary->texts.size(), 0.0f);
  std::vector<bool> unused(scores.size(), false);
  for (std::size_t id = 0; id < model.types.size(); ++id) {
    unused[id] = model.types[id] == Model::kUnused;
  }
  return std::make_unique<const SentencePieceBpe>(parts.vocabulary, scores, std::move(unused), unk,
                                                  std::move(user_defined));
}

std::unique_ptr<const TokenModel> make_unigram(const Model& model, const TokenizerParts& parts,
                                               std::optional<std::int32_t> unk) {
  std::vector<Unigram::Kind> kinds;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].size() > Unigram::kMaxPieceBytes) {
      unsupported("piece " + std::to_string(id) + " has " +
                  std::to_string(model.pieces[id].size()) + " bytes; at most " +
                  std::to_string(Unigram::kMaxPieceBytes) + " are possible");
    }
    kinds.push_back(model.types[id] == Model::kNormal        ? Unigram::Kind::kNormal
                    : model.types[id] == Model::kUserDefined ? Unigram::Kind::kUserDefined
                                                             : Unigram::Kind::kIgnored);
  }
  UnigramSettings settings;
  settings.byte_fallback = model.byte_fallback;
  settings.single_precision = true;
  settings.unk = unk;
  return std::make_unique<const Unigram>(
      parts.vocabulary, std::vector<double>(model.scores.begin(), model.scores.end()), kinds,
      settings);
}

}  // namespace

std::unique_ptr<const Tokenizer> tokenizer_from_sentencepiece(
    std::string_view bytes, const TokenizerCompanions& companions) {
  const Model model = parse_sentencepiece_model(bytes);
  refuse_what_is_unknown(model);
  const TokenizerConfig config = TokenizerConfig::parse(companions);

  TokenizerParts parts;
  parts.added = config.added();
  add_controls(model, parts.added);
  parts.vocabulary = make_vocabulary(model, parts.added);
  const auto user_defined = user_defined_pieces(model);

  // transformers' `legacy: false`: only the start of the whole text gets the dummy prefix, not each
  // stretch between special tokens.
  const bool legacy = as_model_file(
      "tokenizer_config.json", [&] { return get_bool(config.config, "legacy").value_or(true); });
  SentencePieceNormalizer normalizer;
  if (!model.charsmap.empty()) {
    normalizer.charsmap = std::make_shared<const Charsmap>(model.charsmap, "tokenizer.model");
  }
  normalizer.user_defined = user_defined;
  normalizer.prefix_is_suffix = model.treat_whitespace_as_suffix;
  const bool prefix_first = model.add_dummy_prefix && !legacy && !normalizer.prefix_is_suffix;
  normalizer.add_dummy_prefix = model.add_dummy_prefix && !prefix_first;
  normalizer.remove_extra_whitespaces = model.remove_extra_whitespaces;
  parts.normalizer.add(std::move(normalizer));
  if (prefix_first) {
    parts.pretokenizer.add(pretokenizers::Metaspace{pretokenizers::Metaspace::Prepend::kFirst,
                                                    std::string(kSpaceMark), false});
  }

  const auto role = [&](std::int32_t id) -> std::optional<std::int32_t> {
    if (id >= 0 && static_cast<std::size_t>(id) < model.pieces.size()) return id;
    return std::nullopt;
  };
  const std::optional<std::int32_t> unk = role(model.unk_id);
  parts.model = model.algorithm == Model::kBpe ? make_bpe(model, parts, unk, user_defined)
                                               : make_unigram(model, parts, unk);
  parts.decoder.add(decoders::Replace{TextPattern{std::string(kSpaceMark)}, " "});
  parts.decoder.add(decoders::ByteFallback{});
  parts.decoder.add(decoders::Fuse{});
  if (model.add_dummy_prefix) {
    parts.decoder.add(model.treat_whitespace_as_suffix ? decoders::Strip{U' ', 0, 1}
                                                       : decoders::Strip{U' ', 1, 0});
  }

  parts.bos = role(model.bos_id);
  parts.eos = role(model.eos_id);
  const auto name = [&](const char* field, std::optional<std::int32_t> id) {
    if (id) parts.special_tokens.emplace_back(field, model.pieces[*id]);
  };
  name("bos_token", parts.bos);
  name("eos_token", parts.eos);
  name("unk_token", unk);
  name("pad_token", role(model.pad_id));
  // Whatever the class is called, this is the Llama type: BOS by default, and the two switches.
  TokenizerConfig as_llama = config;
  as_llama.config["tokenizer_class"] = "LlamaTokenizer";
  if (parts.bos && !find_field(as_llama.config, "add_bos_token")) {
    as_llama.config["add_bos_token"] = true;
  }
  as_llama.apply(parts);
  return assemble_tokenizer(std::move(parts));
}

}  // namespace tessera

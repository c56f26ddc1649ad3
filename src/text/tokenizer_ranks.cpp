// A tiktoken rank file ("base64 rank" on every line; Llama 3's tokenizer.model, DBRX's cl100k_base)
// to a Tokenizer. The file holds neither the splitting pattern nor the special tokens: the pattern
// is that of Llama 3, which cl100k shares but for white space at the end of a text; the special
// tokens come from tokenizer_config.json, or are the published ones where the size tells the model.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "text/bpe.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_files.h"

namespace tessera {

namespace {

constexpr std::size_t kLlama3Ranks = 128000, kCl100kRanks = 100256;
constexpr std::size_t kMaxTokenBytes = 1024;  // the longest published token has 128

[[noreturn]] void bad(const std::string& what) {
  throw Error(ErrorKind::kBadModelFile, "tokenizer.model: " + what + ".", "tokenizer.model");
}

// Calls handle(token in base64, rank) for each line; false as soon as one is something else.
template <class Handle>
bool each_line(std::string_view text, Handle&& handle) {
  bool any = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0) return false;
    std::int64_t rank = -1;
    const char* last = line.data() + line.size();
    const auto parsed = std::from_chars(line.data() + space + 1, last, rank);
    if (parsed.ec != std::errc() || parsed.ptr != last || rank < 0) return false;
    if (!handle(line.substr(0, space), rank)) return false;
    any = true;
  }
  return any;
}

// Token texts by rank, spelled in the byte alphabet.
std::vector<std::string> read_ranks(std::string_view text) {
  std::vector<std::string> tokens;
  each_line(text, [&](std::string_view base64, std::int64_t rank) {
    const auto bytes = base64_decode(base64);
    if (!bytes || bytes->empty()) bad("the token of rank " + std::to_string(rank) + " is empty");
    if (bytes->size() > kMaxTokenBytes) {
      bad("the token of rank " + std::to_string(rank) + " has " + std::to_string(bytes->size()) +
          " bytes; at most " + std::to_string(kMaxTokenBytes) + " are possible");
    }
    // Ranks are ids and have no holes but where special tokens stand.
    if (static_cast<std::size_t>(rank) > tokens.size() + 65536 || rank >= kMaxVocabulary) {
      bad("rank " + std::to_string(rank) + " follows " + std::to_string(tokens.size()) + " tokens");
    }
    if (static_cast<std::size_t>(rank) >= tokens.size()) tokens.resize(rank + 1);
    if (!tokens[rank].empty()) bad("rank " + std::to_string(rank) + " is there twice");
    tokens[rank] = to_byte_alphabet(*bytes);
    return true;
  });
  return tokens;
}

// Every way to form a token of two tokens, in order of the ranks of the whole and its halves: with
// these merges, joining the pair of lowest rank is what tiktoken does.
std::vector<Bpe::Merge> merges_of(const Vocabulary& vocabulary, std::size_t ranks) {
  struct Halves {
    std::int32_t left, right;
    Bpe::Merge texts;
  };
  std::vector<Bpe::Merge> merges;
  std::vector<Halves> ways;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const std::string_view token = vocabulary.texts[rank];
    ways.clear();
    for (std::size_t i = 1; i < token.size(); ++i) {
      if ((static_cast<unsigned char>(token[i]) & 0xC0) == 0x80) continue;  // inside a stand-in
      const std::string_view left = token.substr(0, i), right = token.substr(i);
      const std::int32_t left_id = vocabulary.model.find_or_negative(left);
      if (left_id < 0) continue;
      const std::int32_t right_id = vocabulary.model.find_or_negative(right);
      if (right_id >= 0) ways.push_back({left_id, right_id, {left, right}});
    }
    std::sort(ways.begin(), ways.end(), [](const Halves& a, const Halves& b) {
      return std::pair(a.left, a.right) < std::pair(b.left, b.right);
    });
    for (const Halves& way : ways) merges.push_back(way.texts);
  }
  return merges;
}

AddedToken special(std::int32_t id, std::string content) {
  AddedToken token;
  token.id = id;
  token.content = std::move(content);
  token.special = true;
  return token;
}

// Llama 3.1's; Llama 3's own differ only in names that it does not use.
// github.com/meta-llama/llama-models, models/llama3/tokenizer.py
std::vector<AddedToken> llama3_specials() {
  std::vector<std::string> names = {"<|begin_of_text|>",
                                    "<|end_of_text|>",
                                    "<|reserved_special_token_0|>",
                                    "<|reserved_special_token_1|>",
                                    "<|finetune_right_pad_id|>",
                                    "<|reserved_special_token_2|>",
                                    "<|start_header_id|>",
                                    "<|end_header_id|>",
                                    "<|eom_id|>",
                                    "<|eot_id|>",
                                    "<|python_tag|>"};
  for (int i = 3; names.size() < 256; ++i) {
    names.push_back("<|reserved_special_token_" + std::to_string(i) + "|>");
  }
  std::vector<AddedToken> result;
  for (std::size_t i = 0; i < names.size(); ++i) {
    result.push_back(special(static_cast<std::int32_t>(kLlama3Ranks + i), std::move(names[i])));
  }
  return result;
}

// cl100k as DBRX extends it: huggingface.co/databricks/dbrx-instruct, tiktoken.py.
std::vector<AddedToken> dbrx_specials() {
  return {special(100257, "<|endoftext|>"),   special(100258, "<|fim_prefix|>"),
          special(100259, "<|fim_middle|>"),  special(100260, "<|fim_suffix|>"),
          special(100276, "<|endofprompt|>"), special(100277, "<|pad|>"),
          special(100278, "<|im_start|>"),    special(100279, "<|im_end|>")};
}

// Encodings that look alike but cut text by other patterns.
void refuse_other_encodings(std::size_t ranks) {
  static constexpr std::pair<std::size_t, const char*> kOthers[] = {{50256, "GPT-2 (r50k_base)"},
                                                                    {50280, "p50k_base"},
                                                                    {151643, "Qwen"},
                                                                    {163584, "Kimi"},
                                                                    {199998, "o200k_base"}};
  for (const auto& [size, name] : kOthers) {
    if (ranks != size) continue;
    throw Error(ErrorKind::kUnsupportedModel,
                "tokenizer.model has " + std::to_string(ranks) + " ranks, which is the encoding " +
                    name +
                    "; of rank files Tessera reads Llama 3's and cl100k_base's. A tokenizer.json "
                    "of the same model will do.",
                "tokenizer.model");
  }
}

void set_roles(std::size_t ranks, const TokenizerConfig& config, TokenizerParts& parts) {
  config.apply(parts);
  const auto id_of = [&](std::string_view text) -> std::optional<std::int32_t> {
    for (const AddedToken& token : parts.added) {
      if (token.content == text) return token.id;
    }
    return std::nullopt;
  };
  const auto otherwise = [&](std::optional<std::int32_t>& id, const char* role, const char* text) {
    if (id) return;
    id = id_of(text);
    if (id) parts.special_tokens.emplace_back(role, text);
  };
  if (const auto begin = id_of("<|begin_of_text|>")) {  // the Llama 3 family
    otherwise(parts.bos, "bos_token", "<|begin_of_text|>");
    otherwise(parts.eos, "eos_token", "<|end_of_text|>");
    parts.eot = id_of("<|eot_id|>");
    parts.eom = id_of("<|eom_id|>");
    const bool add_bos = as_model_file("tokenizer_config.json", [&] {
      return get_bool(config.config, "add_bos_token").value_or(true);
    });
    if (add_bos) parts.prefix = {parts.bos.value_or(*begin)};
  } else {
    otherwise(parts.eos, "eos_token", "<|endoftext|>");
    if (ranks == kCl100kRanks) otherwise(parts.bos, "bos_token", "<|endoftext|>");
  }
}

}  // namespace

bool is_rank_file(std::string_view text) {
  return each_line(text, [](std::string_view base64, std::int64_t) {
    return base64_decode(base64).has_value();
  });
}

std::unique_ptr<const Tokenizer> tokenizer_from_ranks(std::string_view text,
                                                      const TokenizerCompanions& companions) {
  std::vector<std::string> tokens = read_ranks(text);
  const std::size_t ranks = tokens.size();
  refuse_other_encodings(ranks);
  const TokenizerConfig config = TokenizerConfig::parse(companions);
  TokenizerParts parts;
  parts.added = config.added();
  if (parts.added.empty() && ranks == kLlama3Ranks) parts.added = llama3_specials();
  if (parts.added.empty() && ranks == kCl100kRanks) parts.added = dbrx_specials();

  std::vector<std::int32_t> ids;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (!tokens[rank].empty()) ids.push_back(static_cast<std::int32_t>(rank));
  }
  for (const AddedToken& token : parts.added) {
    const auto id = static_cast<std::size_t>(token.id);
    if (id < ranks || id >= 2 * ranks + 65536) {
      throw Error(ErrorKind::kBadModelFile,
                  "tokenizer_config.json: the added token '" + token.content + "' has the id " +
                      std::to_string(token.id) + ", but tokenizer.model has the ranks 0 to " +
                      std::to_string(ranks - 1) + ".",
                  "added_tokens_decoder");
    }
    if (id >= tokens.size()) tokens.resize(id + 1);
    tokens[id] = token.content;
  }
  parts.vocabulary = std::make_shared<const Vocabulary>(PackedStrings(tokens), ids);
  if (!Bpe::has_all_bytes(*parts.vocabulary)) bad("some of the 256 bytes have no token");
  parts.pretokenizer.add(pretokenizers::Known{SplitPattern::kLlama3});
  parts.pretokenizer.add(pretokenizers::ByteLevel{false, false});
  BpeSettings settings;
  settings.ignore_merges = true;
  settings.byte_level = true;
  parts.byte_model = true;
  parts.model =
      std::make_unique<const Bpe>(parts.vocabulary, merges_of(*parts.vocabulary, ranks), settings);
  parts.decoder.add(decoders::ByteLevel{});
  set_roles(ranks, config, parts);
  return assemble_tokenizer(std::move(parts));
}

}  // namespace tessera

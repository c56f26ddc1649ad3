// Which file of a model folder holds the tokenizer.
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_files.h"

namespace tessera {

namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::kIo, "Cannot read " + path.string() + ".");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) throw Error(ErrorKind::kIo, "Cannot read " + path.string() + ".");
  return text;
}

bool has(const fs::path& folder, const char* name) {
  std::error_code ignored;
  return fs::is_regular_file(folder / name, ignored);
}

[[noreturn]] void nothing_to_read(const fs::path& folder, const std::string& tokenizer_class) {
  std::string others;
  for (const char* name : {"vocab.txt", "vocab.json", "tekken.json", "spiece.model",
                           "sentencepiece.bpe.model", "tiktoken.py"}) {
    if (has(folder, name)) others += std::string(others.empty() ? "" : ", ") + name;
  }
  std::string hint;
  if (tokenizer_class == "TiktokenTokenizerWrapper" || has(folder, "tiktoken.py")) {
    hint =
        " This is DBRX's wrapper, which only names an encoding and would have to be run as code: "
        "put the tokenizer.json of a converted repository or the rank file cl100k_base.tiktoken "
        "into the folder.";
  }
  throw Error(
      ErrorKind::kUnsupportedModel,
      "The model folder " + folder.string() + " has neither tokenizer.json nor tokenizer.model" +
          (others.empty() ? std::string() : " (it has " + others + ", which alone is not enough)") +
          "; Tessera reads Hugging Face tokenizer.json files, SentencePiece models, "
          "tiktoken rank files and GGUF vocabularies." +
          hint,
      "tokenizer.json");
}

std::unique_ptr<const Tokenizer> from_model(std::string_view bytes,
                                            const TokenizerCompanions& companions) {
  return is_rank_file(bytes) ? tokenizer_from_ranks(bytes, companions)
                             : tokenizer_from_sentencepiece(bytes, companions);
}

std::unique_ptr<const Tokenizer> load(const fs::path& folder) {
  const auto optional_file = [&](const char* name) {
    return has(folder, name) ? read_file(folder / name) : std::string();
  };
  TokenizerCompanions companions;
  companions.config = optional_file("tokenizer_config.json");
  companions.special_tokens_map = optional_file("special_tokens_map.json");
  if (has(folder, "tokenizer.json")) {
    return tokenizer_from_json(read_file(folder / "tokenizer.json"), companions);
  }
  companions.added_tokens = optional_file("added_tokens.json");
  for (const char* name : {"tokenizer.model", "cl100k_base.tiktoken"}) {
    if (!has(folder, name)) continue;
    const std::string bytes = read_file(folder / name);
    return from_model(bytes, companions);
  }
  nothing_to_read(folder, TokenizerConfig::parse(companions).tokenizer_class());
}

}  // namespace

std::unique_ptr<const Tokenizer> make_tokenizer_from_model(std::string_view tokenizer_model,
                                                           std::string_view tokenizer_config_json) {
  return from_model(tokenizer_model, {std::string(tokenizer_config_json), {}, {}});
}

std::unique_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  try {
    return load(folder);
  } catch (Error& error) {
    if (error.message.find(folder.string()) == std::string::npos) {
      error.message = folder.string() + ": " + error.message;
    }
    throw;
  }
}

}  // namespace tessera

// GGUF metadata of one architecture, read with the file's and the key's name in every error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "models/config_fields.h"
#include "models/gguf.h"

namespace tessera {

// Keys of the file's architecture, by suffix: "block_count" is "llama.block_count".
class GgufFields {
 public:
  GgufFields(const Gguf& gguf, std::string_view architecture)
      : gguf_(gguf), prefix_(std::string(architecture) + ".") {}

  [[noreturn]] void fail(std::string_view suffix, const std::string& what,
                         ErrorKind kind = ErrorKind::kBadModelFile) const;
  [[noreturn]] void unsupported(std::string_view suffix, const std::string& what) const {
    fail(suffix, what, ErrorKind::kUnsupportedModel);
  }
  const Gguf& file() const { return gguf_; }
  std::string key(std::string_view suffix) const { return prefix_ + std::string(suffix); }
  bool has(std::string_view suffix) const { return gguf_.has(key(suffix)); }
  bool has_tensor(std::string_view name) const { return gguf_.tensors().contains(name); }

  std::optional<std::int64_t> integer(std::string_view suffix) const {
    return gguf_.integer(key(suffix));
  }
  std::optional<double> number(std::string_view suffix) const { return gguf_.number(key(suffix)); }
  int size(std::string_view suffix, std::optional<std::int64_t> otherwise = std::nullopt,
           std::int64_t highest = kMaxDimension) const;
  double positive(std::string_view suffix, std::optional<double> otherwise = std::nullopt) const;

 private:
  const Gguf& gguf_;
  std::string prefix_;
};

}  // namespace tessera

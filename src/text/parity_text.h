// The long mixed text of tests/golden/tokenizers, made by the same generator as parity_text.py.
// For tests only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera {

class ParityText {
 public:
  static constexpr int kChunks = 256;

  explicit ParityText(const std::filesystem::path& pools);  // parity.json
  std::string chunk(int k) const;                           // bytes; every eighth is not UTF-8

  static std::vector<std::int32_t> random_ids(int k, int vocab_size);
  // Eight hexadecimal digits.
  static std::string hash(std::string_view bytes);
  static std::string hash(std::span<const std::int32_t> ids);

 private:
  using Strings = std::vector<std::string>;
  Strings words_, separators_, code_, emoji_, blanks_, specials_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_;
};

}  // namespace tessera

// The `model` of a tokenizer: one piece of text to token ids.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tessera {

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // Appends the ids of one piece, valid UTF-8 unless the model works on bytes. Safe from any
  // thread.
  virtual void encode(std::string_view piece, std::vector<std::int32_t>& ids) const = 0;
};

}  // namespace tessera

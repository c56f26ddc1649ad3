#include "text/token_bytes.h"

namespace tessera {

TokenBytes::TokenBytes(const PackedStrings& texts, const std::vector<std::string>& bytes)
    : texts_(&texts), blocks_((bytes.size() + 63) / 64) {
  std::vector<std::string_view> own;
  for (std::size_t id = 0; id < bytes.size(); ++id) {
    Block& block = blocks_[id / 64];
    if (id % 64 == 0) block.before = static_cast<std::uint32_t>(own.size());
    if (bytes[id] == texts[id]) continue;
    block.differs |= std::uint64_t{1} << id % 64;
    own.push_back(bytes[id]);
  }
  own_ = PackedStrings(own);
}

}  // namespace tessera

#include "text/parity_text.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/json.h"
#include "base/strings.h"
#include "text/utf8.h"

namespace tessera {

namespace {

class Random {  // splitmix64
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t n) {
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (z ^ (z >> 31)) % n;
  }
  template <class Items>
  const auto& pick(const Items& items) {
    return items[below(items.size())];
  }

 private:
  std::uint64_t state_;
};

}  // namespace

ParityText::ParityText(const std::filesystem::path& pools) {
  std::ifstream file(pools, std::ios::binary);
  const json::object root =
      parse_json_object(std::string(std::istreambuf_iterator<char>(file), {}));
  for (const std::string_view word : split(root.at("words").as_string(), ' ')) {
    words_.emplace_back(word);
  }
  const auto read = [&](const char* name, Strings& out) {
    for (const json::value& item : root.at(name).as_array()) out.emplace_back(item.as_string());
  };
  read("separators", separators_);
  read("code", code_);
  read("emoji", emoji_);
  read("blanks", blanks_);
  read("specials", specials_);
  for (const json::value& item : root.at("ranges").as_array()) {
    ranges_.emplace_back(item.at(0).to_number<std::uint32_t>(),
                         item.at(1).to_number<std::uint32_t>());
  }
}

std::string ParityText::chunk(int k) const {
  constexpr std::size_t kBytes = 5120;
  Random r(static_cast<std::uint64_t>(k));
  std::string out;
  while (out.size() < kBytes) {
    switch (k % 8) {
      case 0:
        out += r.pick(words_);
        out += r.pick(separators_);
        break;
      case 1:
        out += r.pick(code_);
        break;
      case 2: {
        const auto [low, high] = r.pick(ranges_);
        const std::uint64_t count = 1 + r.below(12);
        for (std::uint64_t i = 0; i < count; ++i) {
          append_utf8(out, static_cast<char32_t>(low + r.below(high - low + 1)));
        }
        if (r.below(3) == 0) out += r.pick(separators_);
        break;
      }
      case 3:
        out += r.pick(emoji_);
        break;
      case 4:
        out += r.pick(blanks_);
        break;
      case 5:
        out += r.pick(specials_);
        break;
      case 6:
        if (r.below(4) == 0) {
          const std::string character = to_utf8(static_cast<char32_t>(0x80 + r.below(0xD000)));
          out += character.substr(0, 1 + r.below(3));
        } else {
          out += static_cast<char>(r.below(256));
        }
        break;
      default: {
        const std::uint64_t c = r.below(0x110000 - 0x800);
        append_utf8(out, static_cast<char32_t>(c < 0xD800 ? c : c + 0x800));
      }
    }
  }
  return out;
}

std::vector<std::int32_t> ParityText::random_ids(int k, int vocab_size) {
  Random r(1'000'000 + static_cast<std::uint64_t>(k));
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 200; ++i) {
    ids.push_back(static_cast<std::int32_t>(r.below(static_cast<std::uint64_t>(vocab_size) + 5)));
  }
  return ids;
}

std::string ParityText::hash(std::string_view bytes) {
  std::uint64_t h = 0xCBF29CE484222325 ^ bytes.size();
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    h = (h ^ word) * 0x9E3779B97F4A7C15;
    h ^= h >> 32;
  }
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(h >> 32));
  return digits;
}

std::string ParityText::hash(std::span<const std::int32_t> ids) {
  return hash(std::string_view(reinterpret_cast<const char*>(ids.data()), 4 * ids.size()));
}

}  // namespace tessera

#include "api/json_scan.h"

#include "base/byte_scan.h"

namespace tessera::api {
namespace {

// Which bytes end a run of numbers and punctuation, too short for more than a look at each.
class ByteSet {
 public:
  constexpr explicit ByteSet(std::string_view bytes) {
    for (const char c : bytes) is_[static_cast<unsigned char>(c)] = true;
  }
  bool has(char c) const { return is_[static_cast<unsigned char>(c)]; }

 private:
  bool is_[256] = {};
};

constexpr ByteSet kBlanks(" \t\r\n"), kValueEnds("\"[]{},");

// The quote or backslash that ends a run of plain characters.
std::size_t find_string_end(std::string_view text, std::size_t at) {
  const auto any = [](ByteFlags flags) { return flags.equal('"') | flags.equal('\\'); };
  return scan(text, at, any, [](char c) { return c == '"' || c == '\\'; });
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<std::string_view> find(std::string_view name) {
    if (!take('{')) return std::nullopt;
    for (;;) {
      const std::optional<std::string_view> key = string();
      if (!key || !take(':')) return std::nullopt;
      const std::optional<std::string_view> value = skip_value();
      if (!value) return std::nullopt;
      if (*key == name) return value;
      if (!take(',')) return std::nullopt;
    }
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && kBlanks.has(text_[at_])) ++at_;
  }

  bool take(char wanted) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  // At a quote, or blanks before it: to behind the closing one. The content between them, escapes
  // as they are.
  std::optional<std::string_view> string() {
    if (!take('"')) return std::nullopt;
    const std::size_t begin = at_;
    if (!skip_string()) return std::nullopt;
    return text_.substr(begin, at_ - 1 - begin);
  }

  // From behind a quote to behind the closing one; false when there is none.
  bool skip_string() {
    for (;;) {
      at_ = find_string_end(text_, at_);
      if (at_ >= text_.size()) return false;
      if (text_[at_++] == '"') return true;
      if (++at_ > text_.size()) return false;  // what the backslash escapes
    }
  }

  std::optional<std::string_view> skip_value() {
    skip_blanks();
    const std::size_t begin = at_;
    int depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (!kValueEnds.has(c)) continue;
      if (c == '"') {
        if (!skip_string()) return std::nullopt;
      } else if (c == '[' || c == '{') {
        ++depth;
      } else if (depth == 0) {  // a comma, or the bracket that closes the object itself
        return text_.substr(begin, --at_ - begin);
      } else if (c != ',') {
        --depth;
      }
    }
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::string_view> top_level_member(std::string_view object, std::string_view name) {
  return Scanner(object).find(name);
}

}  // namespace tessera::api

#include "api/json_scan.h"

#include "base/byte_scan.h"

namespace tessera::api {
namespace {

// Which bytes end a run of numbers and punctuation, too short for memchr.
class ByteSet {
 public:
  constexpr explicit ByteSet(std::string_view bytes) {
    for (const char c : bytes) is_[static_cast<unsigned char>(c)] = true;
  }
  std::size_t find(std::string_view text, std::size_t at) const {
    while (at < text.size() && !is_[static_cast<unsigned char>(text[at])]) ++at;
    return at < text.size() ? at : std::string_view::npos;
  }
  bool has(char c) const { return is_[static_cast<unsigned char>(c)]; }

 private:
  bool is_[256] = {};
};

constexpr ByteSet kBlanks(" \t\r\n"), kValueEnds("\"[]{},");

constexpr auto kAnyStringEnd = [](ByteFlags flags) { return flags.equal('"') | flags.equal('\\'); };
bool is_string_end(char c) { return c == '"' || c == '\\'; }

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

  // At a quote: to behind the closing one. The content between them, escapes as they are.
  std::optional<std::string_view> string() {
    if (!take('"')) return std::nullopt;
    const std::size_t begin = at_;
    for (;;) {
      at_ = scan(text_, at_, kAnyStringEnd, is_string_end);
      if (at_ == text_.size()) return std::nullopt;
      if (text_[at_] == '"') return text_.substr(begin, at_++ - begin);
      if ((at_ += 2) > text_.size()) return std::nullopt;
    }
  }

  std::optional<std::string_view> skip_value() {
    skip_blanks();
    const std::size_t begin = at_;
    int depth = 0;
    do {
      at_ = kValueEnds.find(text_, at_);
      if (at_ == std::string_view::npos) return std::nullopt;
      switch (text_[at_]) {
        case '"':
          if (!string()) return std::nullopt;
          continue;
        case '[':
        case '{':
          ++depth;
          break;
        case ',':
          if (depth == 0) return text_.substr(begin, at_ - begin);
          break;
        default:  // a closing bracket; at depth 0 it is that of the object itself
          if (depth-- == 0) return text_.substr(begin, at_ - begin);
      }
      ++at_;
    } while (true);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::string_view> top_level_member(std::string_view object, std::string_view name) {
  return Scanner(object).find(name);
}

}  // namespace tessera::api

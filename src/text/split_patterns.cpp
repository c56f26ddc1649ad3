#include "text/split_patterns.h"

#include <array>

#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera {

const std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::optional<SplitPattern> known_split_pattern(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return SplitPattern::kGpt2;
  if (pattern == kLlama3Pattern) return SplitPattern::kLlama3;
  if (pattern == kQwen2Pattern) return SplitPattern::kQwen2;
  return std::nullopt;
}

namespace {

enum Class : unsigned char { kIsLetter, kIsNumber, kIsSpace, kIsSymbol, kIsEnd };

constexpr std::array<Class, 128> kAsciiClass = [] {
  std::array<Class, 128> table{};
  for (int c = 0; c < 128; ++c) {
    table[c] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? kIsLetter
               : c >= '0' && c <= '9'                           ? kIsNumber
               : c == ' ' || (c >= '\t' && c <= '\r')           ? kIsSpace
                                                                : kIsSymbol;
  }
  return table;
}();

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Class class_at(std::size_t i, std::size_t& next) const {
    if (i >= text_.size()) {
      next = i;
      return kIsEnd;
    }
    const auto byte = static_cast<unsigned char>(text_[i]);
    if (byte < 0x80) {
      next = i + 1;
      return kAsciiClass[byte];
    }
    next = i;
    const char32_t c = next_code_point(text_, next);
    const std::uint32_t bit = category_bit_unicode14(c);
    if (bit & kLetter) return kIsLetter;
    if (bit & kNumber) return kIsNumber;
    return is_white_space(c) ? kIsSpace : kIsSymbol;
  }
  Class class_at(std::size_t i) const {
    std::size_t next;
    return class_at(i, next);
  }

  // End of the run of one class from i.
  std::size_t run(std::size_t i, Class wanted) const {
    for (;;) {
      std::size_t next;
      if (class_at(i, next) != wanted) return i;
      i = next;
    }
  }

  // \s+(?!\S)|\s+ at a white-space character: all of it at the end of the text, else all but the
  // last character, which the next piece may want; alone it goes alone.
  std::size_t white_space(std::size_t begin) const {
    const std::size_t end = run(begin, kIsSpace);
    if (end == text_.size()) return end;
    const std::size_t last = previous_code_point(text_, end);
    return last > begin ? last : end;
  }

  // Length in bytes of the contraction after the apostrophe at i, or 0.
  std::size_t contraction(std::size_t i, bool ignore_case) const {
    const auto letter = [&](std::size_t k) -> char {
      if (k >= text_.size()) return 0;
      const char c = text_[k];
      return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    switch (letter(i + 1)) {
      case 's':
      case 't':
      case 'm':
      case 'd':
        return 2;
      case 'r':
      case 'v':
        return letter(i + 2) == 'e' ? 3 : 0;
      case 'l':
        return letter(i + 2) == 'l' ? 3 : 0;
      default:
        // U+017F, the long s, folds to s.
        return ignore_case && text_.substr(i + 1, 2) == "\xC5\xBF" ? 3 : 0;
    }
  }

  std::size_t gpt2(std::size_t begin) const {
    if (text_[begin] == '\'') {
      if (const std::size_t length = contraction(begin, false)) return begin + length;
    }
    const std::size_t i = begin + (text_[begin] == ' ');
    std::size_t next;
    const Class first = class_at(i, next);
    if (first == kIsSpace || first == kIsEnd) return white_space(begin);
    return run(next, first);
  }

  std::size_t llama3(std::size_t begin, int most_digits) const {
    const char c = text_[begin];
    if (c == '\'') {
      if (const std::size_t length = contraction(begin, true)) return begin + length;
    }
    std::size_t next;
    const Class first = class_at(begin, next);
    if (first == kIsLetter) return run(next, kIsLetter);
    if (first == kIsNumber) {
      for (int digits = 1; digits < most_digits; ++digits) {
        std::size_t after;
        if (class_at(next, after) != kIsNumber) break;
        next = after;
      }
      return next;
    }
    if (c != '\r' && c != '\n') {
      std::size_t after;
      if (class_at(next, after) == kIsLetter) return run(after, kIsLetter);
    }
    const std::size_t symbols = begin + (c == ' ');
    if (class_at(symbols) == kIsSymbol) {
      std::size_t end = run(symbols, kIsSymbol);
      while (end < text_.size() && (text_[end] == '\r' || text_[end] == '\n')) ++end;
      return end;
    }
    // A white-space run with a line end goes through its last line end.
    const std::size_t end = run(begin, kIsSpace);
    for (std::size_t i = end; i > begin; --i) {
      if (text_[i - 1] == '\r' || text_[i - 1] == '\n') return i;
    }
    return white_space(begin);
  }

 private:
  std::string_view text_;
};

}  // namespace

std::size_t next_piece(SplitPattern pattern, std::string_view text, std::size_t begin) {
  const Scanner scanner(text);
  switch (pattern) {
    case SplitPattern::kGpt2:
      return scanner.gpt2(begin);
    case SplitPattern::kLlama3:
      return scanner.llama3(begin, 3);
    default:
      return scanner.llama3(begin, 1);
  }
}

}  // namespace tessera

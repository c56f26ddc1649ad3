#include "text/jinja_lexer.h"

#include <algorithm>

#include "base/error.h"
#include "text/jinja_value.h"
#include "text/utf8.h"

namespace tessera::jinja {

std::string located(Position at, std::string_view what) {
  return "chat template, line " + std::to_string(at.line) + ", column " +
         std::to_string(at.column) + ": " + std::string(what);
}

void syntax_error(Position at, std::string_view what) {
  throw Error(ErrorKind::kBadModelFile, located(at, what));
}

namespace {

// \r\n and \r count as \n, and one newline at the very end is dropped.
std::string normalise_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view trim_right(std::string_view text) {
  while (!text.empty()) {
    const std::size_t begin = previous_code_point(text, text.size());
    std::size_t at = begin;
    if (!is_python_space(next_code_point(text, at))) break;
    text = text.substr(0, begin);
  }
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  Position position(std::size_t at) {
    // Tokens come in order, so counting goes on from the last answer.
    if (at < counted_) counted_ = 0, line_ = 1, line_begin_ = 0;
    for (; counted_ < at; ++counted_) {
      if (source_[counted_] == '\n') ++line_, line_begin_ = counted_ + 1;
    }
    return {line_, static_cast<int>(at - line_begin_) + 1};
  }
  [[noreturn]] void fail_at(std::size_t at, std::string_view what) {
    syntax_error(position(at), what);
  }
  bool starts_with(std::string_view prefix) const {
    return std::string_view(source_).substr(at_).starts_with(prefix);
  }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  void add(Token::Kind kind, std::string text, std::size_t at) {
    tokens_.push_back({kind, std::move(text), position(at)});
  }
  void add(Token::Kind kind, std::string text) { add(kind, std::move(text), at_); }

  // Template data up to the next tag, and the opening of that tag.
  void text() {
    const std::size_t begin = at_;
    std::size_t tag = begin;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos) {
        add(Token::Kind::kText, source_.substr(begin), begin);
        at_ = source_.size();
        return;
      }
      const char next = tag + 1 < source_.size() ? source_[tag + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    }
    const char kind = source_[tag + 1];
    std::string_view data = std::string_view(source_).substr(begin, tag - begin);
    at_ = tag + 2;
    const char sign = peek();
    if (sign == '-' || sign == '+') ++at_;
    if (sign == '-') {
      data = trim_right(data);
    } else if (sign != '+' && kind != '{') {
      // lstrip_blocks: nothing but white space between the line's beginning and the tag.
      const std::size_t newline = data.rfind('\n');
      const bool starts_line =
          newline != std::string_view::npos || begin == 0 || source_[begin - 1] == '\n';
      const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
      if (starts_line && trim_right(data.substr(line)).empty()) data = data.substr(0, line);
    }
    if (!data.empty()) add(Token::Kind::kText, std::string(data), begin);
    if (kind == '#') {
      const std::size_t end = source_.find("#}", at_);
      if (end == std::string::npos) fail_at(tag, "the comment is not closed");
      // "-#}" and "+#}" have a sign before the end.
      const char before = end > at_ ? source_[end - 1] : '\0';
      at_ = end + 2;
      after_block(before);
    } else if (kind == '%') {
      if (!raw(tag)) {
        add(Token::Kind::kStatementBegin, "{%", tag);
        inside(tag, '%');
      }
    } else {
      add(Token::Kind::kPrintBegin, "{{", tag);
      inside(tag, '}');
    }
  }

  // White space after the end of a statement or comment whose end had this sign.
  void after_block(char sign) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && peek() == '\n') {
      ++at_;  // trim_blocks
    }
  }

  void skip_space() {
    while (at_ < source_.size()) {
      std::size_t next = at_;
      if (!is_python_space(next_code_point(source_, next))) break;
      at_ = next;
    }
  }

  // {% raw %} … {% endraw %}; at_ is behind "{%" and its sign.
  bool raw(std::size_t tag) {
    const std::size_t begin = at_;
    skip_space();
    if (!starts_with("raw") || is_name_part(peek(3))) return at_ = begin, false;
    at_ += 3;
    skip_space();
    const bool strips = peek() == '-';
    if (strips) ++at_;
    if (!starts_with("%}")) return at_ = begin, false;
    at_ += 2;
    if (strips) skip_space();  // trim_blocks does not apply here
    const std::size_t data_begin = at_;
    for (std::size_t end = at_; (end = source_.find("{%", end)) != std::string::npos; end += 2) {
      at_ = end + 2;
      const char before = peek();
      if (before == '-' || before == '+') ++at_;
      skip_space();
      if (!starts_with("endraw")) continue;
      at_ += 6;
      skip_space();
      const char after = peek();
      if (after == '-' || after == '+') ++at_;
      if (!starts_with("%}")) continue;
      at_ += 2;
      std::string_view data = std::string_view(source_).substr(data_begin, end - data_begin);
      if (before == '-') {
        data = trim_right(data);
      } else if (before != '+') {
        const std::size_t newline = data.rfind('\n');
        if (newline != std::string_view::npos && trim_right(data.substr(newline + 1)).empty()) {
          data = data.substr(0, newline + 1);
        }
      }
      if (!data.empty()) add(Token::Kind::kText, std::string(data), data_begin);
      after_block(after);
      return true;
    }
    fail_at(tag, "the raw block is not closed by {% endraw %}");
  }

  // Tokens up to "%}" or "}}"; braces opened inside must be closed first.
  void inside(std::size_t tag, char closing) {
    const std::string end = closing == '%' ? "%}" : "}}";
    std::vector<char> open;
    while (true) {
      skip_space();
      if (at_ >= source_.size()) {
        fail_at(tag, "the tag is not closed by '" + end + "'");
      }
      if (open.empty()) {
        const std::size_t begin = at_;
        const char sign = peek();
        const bool has_sign = sign == '-' || (sign == '+' && closing == '%');
        if (std::string_view(source_).substr(at_ + (has_sign ? 1 : 0)).starts_with(end)) {
          at_ += has_sign ? 3 : 2;
          add(closing == '%' ? Token::Kind::kStatementEnd : Token::Kind::kPrintEnd, end, begin);
          if (closing == '%') {
            after_block(has_sign ? sign : '\0');
          } else if (has_sign) {
            skip_space();
          }
          return;
        }
      }
      token(open);
    }
  }

  void token(std::vector<char>& open) {
    const std::size_t begin = at_;
    const char c = peek();
    if (is_name_start(c)) {
      while (is_name_part(peek())) ++at_;
      add(Token::Kind::kName, source_.substr(begin, at_ - begin), begin);
    } else if (is_digit(c)) {
      number();
    } else if (c == '"' || c == '\'') {
      string();
    } else {
      static constexpr std::string_view kLong[] = {"//", "**", "==", "!=", ">=", "<="};
      for (const std::string_view op : kLong) {
        if (starts_with(op)) {
          at_ += 2;
          return add(Token::Kind::kOperator, std::string(op), begin);
        }
      }
      if (std::string_view("+-*/%~[](){}<>=.:|,;").find(c) == std::string_view::npos) {
        std::size_t end = at_;
        next_code_point(source_, end);
        fail_at(at_, "unexpected character '" + source_.substr(at_, end - at_) + "'");
      }
      if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
      if (c == ')' || c == ']' || c == '}') {
        if (open.empty() || open.back() != c) {
          fail_at(at_, std::string("unexpected '") + c + "'");
        }
        open.pop_back();
      }
      ++at_;
      add(Token::Kind::kOperator, std::string(1, c), begin);
    }
  }

  void number() {
    const std::size_t begin = at_;
    const auto digits = [&] {
      while (is_digit(peek()) || (peek() == '_' && is_digit(peek(1)))) ++at_;
    };
    digits();
    bool is_float = false;
    if (peek() == '.' && is_digit(peek(1))) {
      is_float = true;
      ++at_;
      digits();
    }
    const std::size_t sign = peek(1) == '-' || peek(1) == '+' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
      is_float = true;
      at_ += 1 + sign;
      digits();
    }
    if (is_name_part(peek())) fail_at(begin, "a number is followed by letters");
    std::string text = source_.substr(begin, at_ - begin);
    std::erase(text, '_');
    if (!is_float && text[0] == '0' && text.find_first_not_of('0') != std::string::npos) {
      fail_at(begin, "an integer begins with 0");
    }
    add(is_float ? Token::Kind::kFloat : Token::Kind::kInteger, std::move(text), begin);
  }

  void string() {
    const std::size_t begin = at_;
    const char quote = source_[at_++];
    std::string value;
    while (peek() != quote) {
      if (at_ >= source_.size()) fail_at(begin, "the string is not closed");
      if (peek() != '\\') {
        value += source_[at_++];
      } else {
        escape(value, begin);
      }
    }
    ++at_;
    add(Token::Kind::kString, std::move(value), begin);
  }

  // Python's escapes; unknown ones keep their backslash.
  void escape(std::string& value, std::size_t string_begin) {
    const char c = peek(1);
    at_ += 2;
    static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t i = kFrom.find(c); c != '\0' && i != std::string_view::npos) {
      value += kTo[i];
    } else if (c == '\n') {
      // A line continuation.
    } else if (c >= '0' && c <= '7') {
      char32_t code = static_cast<char32_t>(c - '0');
      for (int i = 0; i < 2 && peek() >= '0' && peek() <= '7'; ++i) {
        code = code * 8 + static_cast<char32_t>(source_[at_++] - '0');
      }
      append_utf8(value, code);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const int digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t code = 0;
      for (int i = 0; i < digits; ++i) {
        const int digit = hex_value(peek());
        if (digit < 0 || code > 0x10ffff) fail_at(string_begin, "a \\x or \\u escape is malformed");
        code = code * 16 + static_cast<char32_t>(digit);
        ++at_;
      }
      if (code > 0x10ffff) fail_at(string_begin, "a \\U escape is beyond U+10FFFF");
      append_utf8(value, code >= 0xd800 && code < 0xe000 ? U'\uFFFD' : code);
    } else {
      value += '\\';
      --at_;  // the character itself, which may have several bytes
      if (at_ >= source_.size()) fail_at(string_begin, "the string is not closed");
    }
  }

  const std::string source_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
  std::size_t counted_ = 0, line_begin_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(normalise_newlines(source)).run();
}

}  // namespace tessera::jinja

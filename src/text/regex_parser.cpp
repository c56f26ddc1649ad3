// A pattern in Oniguruma's Ruby dialect to its syntax tree.
#include <algorithm>
#include <string>

#include "base/error.h"
#include "text/regex_syntax.h"
#include "text/utf8.h"

namespace tessera::regex {

namespace {

constexpr int kMaxDepth = 100;  // nested groups
// nested groups
constexpr int kMaxRepeat = 1000;  // {n,m}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {}

  Node parse() {
    if (!utf8_valid(pattern_)) refuse("bytes that are not UTF-8");
    Node node = alternation(0);
    if (i_ < pattern_.size()) refuse("an unmatched ')'");
    return node;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorKind::kUnsupportedModel,
                "Regular expression '" + std::string(pattern_.substr(0, 200)) + "' contains " +
                    what + " at byte " + std::to_string(i_) + ", which Tessera cannot match.");
  }
  bool at_end() const { return i_ >= pattern_.size(); }
  char peek() const { return pattern_[i_]; }
  bool take(std::string_view what) {
    if (pattern_.substr(i_, what.size()) != what) return false;
    i_ += what.size();
    return true;
  }

  Node alternation(int depth) {
    if (depth > kMaxDepth) refuse("groups nested too deeply");
    const bool ignore_case = ignore_case_, dot_all = dot_all_;
    Node result;
    result.kind = Node::kAlternate;
    do result.children.push_back(concatenation(depth));
    while (take("|"));
    ignore_case_ = ignore_case;
    dot_all_ = dot_all;
    return result.children.size() == 1 ? std::move(result.children[0]) : result;
  }

  Node concatenation(int depth) {
    Node result;
    result.kind = Node::kConcat;
    while (!at_end() && peek() != '|' && peek() != ')') {
      result.children.push_back(quantified(atom(depth)));
    }
    return result;
  }

  Node quantified(Node node) {
    int stacked = 0;
    while (!at_end()) {
      int min, max;
      bool braces = false;
      if (take("*")) {
        min = 0, max = kUnbounded;
      } else if (take("+")) {
        min = 1, max = kUnbounded;
      } else if (take("?")) {
        min = 0, max = 1;
      } else if (peek() == '{' && interval(min, max)) {
        braces = true;
      } else {
        break;
      }
      Node repeat;
      repeat.kind = Node::kRepeat;
      repeat.min = min;
      repeat.max = max;
      if (take("?")) {
        repeat.greed = Node::kLazy;
      } else if (!braces && take("+")) {
        // In Ruby's dialect {n,m}+ is a repeated repetition, not a possessive one.
        repeat.greed = Node::kPossessive;
      }
      repeat.children.push_back(std::move(node));
      node = std::move(repeat);
      if (++stacked > 10) refuse("a pile of quantifiers");
    }
    return node;
  }

  // {n} {n,} {,m} {n,m}; anything else is a literal brace.
  bool interval(int& min, int& max) {
    std::size_t j = i_ + 1;
    const auto number = [&](int& value) {
      const std::size_t begin = j;
      value = 0;
      while (j < pattern_.size() && pattern_[j] >= '0' && pattern_[j] <= '9') {
        value = std::min(value * 10 + (pattern_[j++] - '0'), kMaxRepeat + 1);
      }
      return j > begin;
    };
    const bool has_min = number(min);
    max = min;
    bool has_max = has_min;
    if (j < pattern_.size() && pattern_[j] == ',') {
      ++j;
      has_max = number(max);
      if (!has_max) max = kUnbounded;
    }
    if ((!has_min && !has_max) || j >= pattern_.size() || pattern_[j] != '}') return false;
    i_ = j + 1;
    if (min > kMaxRepeat || max > kMaxRepeat) refuse("a repetition of more than 1000");
    if (max != kUnbounded && max < min) refuse("a repetition whose maximum is below its minimum");
    return true;
  }

  Node atom(int depth) {
    if (take("(")) return group(depth);
    if (peek() == '[') return set_node(char_class(depth));
    if (take("^")) return simple(Node::kLineBegin);
    if (take("$")) return simple(Node::kLineEnd);
    if (take(".")) {
      CharSet any;
      any.negated = true;
      if (!dot_all_) any.ranges.emplace_back(U'\n', U'\n');
      return set_node(std::move(any));
    }
    if (peek() == '*' || peek() == '+' || peek() == '?') refuse("a quantifier with nothing before");
    if (take("\\")) return escape();
    return literal(next_code_point(pattern_, i_));
  }

  Node group(int depth) {
    Node node;
    if (take("?")) {
      if (take(":")) {
        node = alternation(depth + 1);
      } else if (take("=") || take("!")) {
        node.kind = Node::kLook;
        node.negated = pattern_[i_ - 1] == '!';
        node.children.push_back(alternation(depth + 1));
      } else if (take("<=") || take("<!")) {
        node.kind = Node::kLook;
        node.behind = true;
        node.negated = pattern_[i_ - 1] == '!';
        node.children.push_back(alternation(depth + 1));
      } else if (take(">")) {
        node.kind = Node::kAtomic;
        node.children.push_back(alternation(depth + 1));
      } else if (take("<") || take("P<")) {
        while (!at_end() && peek() != '>') ++i_;  // a name is only a name: there are no references
        if (!take(">")) refuse("an unfinished group name");
        node = alternation(depth + 1);
      } else if (take("#")) {
        while (!at_end() && peek() != ')') ++i_;
      } else {
        return flags(depth);
      }
    } else {
      node = alternation(depth + 1);
    }
    if (!take(")")) refuse("an unfinished group");
    return node;
  }

  // (?i) lasts to the end of the enclosing group, (?i:..) for its own.
  Node flags(int depth) {
    bool on = true;
    const bool ignore_case = ignore_case_, dot_all = dot_all_;
    while (!at_end() && peek() != ')' && peek() != ':') {
      if (take("-")) {
        on = false;
      } else if (take("i")) {
        ignore_case_ = on;
      } else if (take("m")) {
        dot_all_ = on;
      } else {
        refuse("an unknown group flag");
      }
    }
    if (take(")")) {
      // Ruby: a(?i)b|c is a(?i:b|c).
      return alternation(depth + 1);
    }
    if (!take(":")) refuse("an unfinished group");
    Node node = alternation(depth + 1);
    ignore_case_ = ignore_case;
    dot_all_ = dot_all;
    if (!take(")")) refuse("an unfinished group");
    return node;
  }

  Node escape() {
    if (at_end()) refuse("a trailing backslash");
    switch (peek()) {
      case 'A':
        return ++i_, simple(Node::kTextBegin);
      case 'z':
        return ++i_, simple(Node::kTextEnd);
      case 'Z':
        return ++i_, simple(Node::kTextEndOrNewline);
      case 'b':
        return ++i_, simple(Node::kWordBorder);
      case 'B':
        return ++i_, simple(Node::kNotWordBorder);
      default:
        break;
    }
    CharSet set;
    if (class_escape(set)) return set_node(std::move(set));
    return literal(escaped_character());
  }

  // \s \d \w \h \p{..} and their complements, after the backslash.
  bool class_escape(CharSet& set) {
    const char c = peek();
    switch (c) {
      case 's':
      case 'S':
        set.white_space = true;
        break;
      case 'd':
      case 'D':
        set.categories = kDecimalNumber;
        break;
      case 'w':
      case 'W':
        set.categories = kWordCategories;
        break;
      case 'h':
      case 'H':
        set.ranges = {{U'0', U'9'}, {U'a', U'f'}, {U'A', U'F'}};
        break;
      case 'p':
      case 'P': {
        const std::size_t open = i_ + 1;
        if (open >= pattern_.size() || pattern_[open] != '{') refuse("\\p without braces");
        const std::size_t close = pattern_.find('}', open);
        if (close == std::string_view::npos) refuse("an unfinished \\p{");
        std::string_view name = pattern_.substr(open + 1, close - open - 1);
        set.negated = c == 'P';
        if (!name.empty() && name[0] == '^') {
          set.negated = !set.negated;
          name.remove_prefix(1);
        }
        set.categories = category_mask(name);
        if (name == "Han" || set.categories == 0) {
          if (name != "Han") refuse("the unknown property '" + std::string(name) + "'");
          // Script=Han, Unicode 15 Scripts.txt.
          set.ranges = {{0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},
                        {0x3005, 0x3005},   {0x3007, 0x3007},   {0x3021, 0x3029},
                        {0x3038, 0x303B},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
                        {0xF900, 0xFA6D},   {0xFA70, 0xFAD9},   {0x16FE2, 0x16FE3},
                        {0x16FF0, 0x16FF1}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B739},
                        {0x2B740, 0x2B81D}, {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0},
                        {0x2F800, 0x2FA1D}, {0x30000, 0x3134A}, {0x31350, 0x323AF}};
        }
        i_ = close + 1;
        return true;
      }
      default:
        return false;
    }
    set.negated = c == 'S' || c == 'D' || c == 'W' || c == 'H';
    ++i_;
    return true;
  }

  char32_t escaped_character() {
    const char c = peek();
    const auto hex = [&](std::size_t least, std::size_t most) {
      char32_t value = 0;
      std::size_t n = 0;
      for (; n < most && !at_end(); ++n, ++i_) {
        const char d = peek();
        const int digit = d >= '0' && d <= '9'   ? d - '0'
                          : d >= 'a' && d <= 'f' ? d - 'a' + 10
                          : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                                 : -1;
        if (digit < 0) break;
        value = value * 16 + digit;
      }
      if (n < least || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
        refuse("a hexadecimal escape that is no character");
      }
      return value;
    };
    switch (c) {
      case 'n':
        return ++i_, U'\n';
      case 'r':
        return ++i_, U'\r';
      case 't':
        return ++i_, U'\t';
      case 'f':
        return ++i_, U'\f';
      case 'v':
        return ++i_, U'\v';
      case 'a':
        return ++i_, U'\a';
      case 'e':
        return ++i_, U'\x1B';
      case 'u':
        return ++i_, hex(4, 4);
      case 'x':
        ++i_;
        if (take("{")) {
          const char32_t value = hex(1, 8);
          if (!take("}")) refuse("an unfinished \\x{");
          return value;
        }
        return hex(1, 2);
      default:
        break;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      refuse(std::string("the escape \\") + c);
    }
    return next_code_point(pattern_, i_);
  }

  CharSet char_class(int depth) {
    if (depth > kMaxDepth) refuse("classes nested too deeply");
    ++i_;  // [
    CharSet set;
    set.ignore_case = ignore_case_;
    set.negated = take("^");
    bool first = true;
    for (;; first = false) {
      if (at_end()) refuse("an unfinished [");
      if (!first && take("]")) break;
      if (pattern_.substr(i_, 2) == "&&") refuse("a set intersection");
      if (pattern_.substr(i_, 2) == "[:") refuse("a POSIX bracket");
      if (peek() == '[') {
        set.parts.push_back(char_class(depth + 1));
        continue;
      }
      char32_t low;
      if (take("\\")) {
        if (at_end()) refuse("a trailing backslash");
        CharSet part;
        if (class_escape(part)) {
          set.parts.push_back(std::move(part));
          continue;
        }
        low = peek() == 'b' ? (++i_, U'\b') : escaped_character();
      } else {
        low = next_code_point(pattern_, i_);
      }
      char32_t high = low;
      if (i_ + 1 < pattern_.size() && peek() == '-' && pattern_[i_ + 1] != ']') {
        ++i_;
        if (take("\\")) {
          if (at_end()) refuse("a trailing backslash");
          CharSet part;
          if (class_escape(part)) {  // "a-\s": the dash is a dash
            set.ranges.emplace_back(low, low);
            set.ranges.emplace_back(U'-', U'-');
            set.parts.push_back(std::move(part));
            continue;
          }
          high = escaped_character();
        } else if (peek() == '[') {
          refuse("a range that ends in a class");
        } else {
          high = next_code_point(pattern_, i_);
        }
        if (high < low) refuse("a range whose end is below its start");
      }
      set.ranges.emplace_back(low, high);
    }
    // Plain positive classes inside become part of this one, so that tests stay flat.
    std::vector<CharSet> rest;
    for (CharSet& part : set.parts) {
      if (!part.negated && part.parts.empty() && !part.ignore_case) {
        set.categories |= part.categories;
        set.white_space |= part.white_space;
        set.ranges.insert(set.ranges.end(), part.ranges.begin(), part.ranges.end());
      } else {
        rest.push_back(std::move(part));
      }
    }
    set.parts = std::move(rest);
    return set;
  }

  static Node simple(Node::Kind kind) {
    Node node;
    node.kind = kind;
    return node;
  }
  Node set_node(CharSet set) const {
    Node node;
    node.kind = Node::kSet;
    node.set = std::move(set);
    return node;
  }
  Node literal(char32_t c) const {
    CharSet set;
    set.ignore_case = ignore_case_;
    set.ranges.emplace_back(c, c);
    return set_node(std::move(set));
  }

  std::string_view pattern_;
  std::size_t i_ = 0;
  bool ignore_case_ = false, dot_all_ = false;
};

}  // namespace

Node parse(std::string_view pattern) { return Parser(pattern).parse(); }

}  // namespace tessera::regex

#include "text/regex.h"

#include <algorithm>
#include <bitset>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera {
namespace {

constexpr int kMaxDepth = 100;              // nested groups
constexpr int kMaxRepeat = 1000;            // {n,m}
constexpr std::size_t kMaxProgram = 20000;  // instructions
constexpr int kUnbounded = -1;
// \w and \b, which Oniguruma takes a little narrower than UTS #18 does.
constexpr std::uint32_t kWordCategories = kLetter | kMark | kDecimalNumber | kConnector;

// ---- Character sets

struct CharSet {
  bool negated = false;
  bool ignore_case = false;
  std::uint32_t categories = 0;
  bool white_space = false;
  std::vector<std::pair<char32_t, char32_t>> ranges;
  std::vector<CharSet> parts;  // \S, \P{..} or [..] inside a class
  std::bitset<128> ascii;      // the answer for each ASCII character, once sealed

  bool has(char32_t c) const {
    if (categories != 0 && (category_bit_unicode14(c) & categories)) return true;
    if (white_space && is_white_space(c)) return true;
    for (const auto& [low, high] : ranges) {
      if (low <= c && c <= high) return true;
    }
    for (const CharSet& part : parts) {
      if (part.compute(c)) return true;
    }
    return false;
  }
  bool compute(char32_t c) const {
    bool found = has(c);
    if (!found && ignore_case) {
      const char32_t folded = fold_case(c);
      found = has(folded) || (folded >= U'a' && folded <= U'z' && has(folded - 32));
      for (const auto& [low, high] : ranges) {
        found = found || (low == high && fold_case(low) == folded);
      }
    }
    return found != negated;
  }
  void seal() {
    for (char32_t c = 0; c < 128; ++c) ascii[c] = compute(c);
  }
  bool matches(char32_t c) const { return c < 128 ? ascii[c] : compute(c); }
};

// ---- Syntax tree

struct Node {
  enum Kind {
    kEmpty,
    kSet,
    kConcat,
    kAlternate,
    kRepeat,
    kLook,
    kAtomic,
    kLineBegin,
    kLineEnd,
    kTextBegin,
    kTextEnd,
    kTextEndOrNewline,
    kWordBorder,
    kNotWordBorder
  } kind = kEmpty;
  CharSet set;
  std::vector<Node> children;
  int min = 0, max = 0;  // kRepeat; max kUnbounded
  enum Greed { kGreedy, kLazy, kPossessive } greed = kGreedy;
  bool behind = false, negated = false;  // kLook
};

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

// ---- Program

struct Instruction {
  enum Op {
    kSet,        // one character of sets[a]
    kRepeatSet,  // sets[a], min..max times; greedy, lazy or possessive
    kSplit,      // try a, then b
    kJump,       // to a
    kMark,       // registers[a] = position
    kProgress,   // fail unless the position moved since kMark a
    kAssert,     // b: the Node kind
    kLook,       // body from the next instruction to its kMatch; continues at a
    kAtomic,     // the same, keeping the position
    kMatch
  } op;
  int a = 0, b = 0;
  int min = 0, max = 0;
  Node::Greed greed = Node::kGreedy;
  bool behind = false, negated = false;
};

}  // namespace

struct Regex::Program {
  std::vector<Instruction> code;
  std::vector<CharSet> sets;
  int registers = 0;
  std::size_t emitted = 0;

  struct Thread {
    int pc;
    std::size_t position;
    std::size_t low;  // kRepeatSet: shortest allowed end; kRestore: the register's old value
    enum Kind : char { kResume, kGiveBack, kTakeMore, kRestore } kind;
    int index;  // kRestore: the register; kTakeMore: repetitions still allowed
  };
  struct State {
    std::string_view text;
    std::size_t* budget;
    std::vector<std::size_t> registers;
    std::vector<Thread> stack;
  };

  void emit(const Node& node);
  void repeat(const Node& node);
  int add(Instruction instruction) {
    if (code.size() >= kMaxProgram) {
      throw Error(ErrorKind::kUnsupportedModel,
                  "A regular expression of the tokenizer is too long.");
    }
    code.push_back(instruction);
    return static_cast<int>(code.size()) - 1;
  }

  // Runs from pc at position; the end of the match or npos. Look-around bodies recurse, which the
  // parser's depth limit bounds; everything else lives on state.stack.
  std::size_t run(State& state, int pc, std::size_t position) const;
  bool look(State& state, int pc, std::size_t position) const;
  bool holds(int assertion, std::string_view text, std::size_t position) const;
};

void Regex::Program::emit(const Node& node) {
  // Repeated empty groups emit nothing, yet cost time.
  if (++emitted > 10 * kMaxProgram) {
    throw Error(ErrorKind::kUnsupportedModel, "A regular expression of the tokenizer is too long.");
  }
  switch (node.kind) {
    case Node::kEmpty:
      break;
    case Node::kSet:
      sets.push_back(node.set);
      sets.back().seal();
      add({Instruction::kSet, static_cast<int>(sets.size()) - 1});
      break;
    case Node::kConcat:
      for (const Node& child : node.children) emit(child);
      break;
    case Node::kAlternate: {
      std::vector<int> ends;
      for (std::size_t i = 0; i + 1 < node.children.size(); ++i) {
        const int split = add({Instruction::kSplit});
        code[split].a = split + 1;
        emit(node.children[i]);
        ends.push_back(add({Instruction::kJump}));
        code[split].b = static_cast<int>(code.size());
      }
      emit(node.children.back());
      for (const int end : ends) code[end].a = static_cast<int>(code.size());
      break;
    }
    case Node::kRepeat:
      repeat(node);
      break;
    case Node::kLook:
    case Node::kAtomic: {
      Instruction instruction{node.kind == Node::kLook ? Instruction::kLook : Instruction::kAtomic};
      instruction.behind = node.behind;
      instruction.negated = node.negated;
      const int start = add(instruction);
      emit(node.children[0]);
      add({Instruction::kMatch});
      code[start].a = static_cast<int>(code.size());
      break;
    }
    default:
      add({Instruction::kAssert, 0, node.kind});
  }
}

void Regex::Program::repeat(const Node& node) {
  const Node& body = node.children[0];
  if (body.kind == Node::kSet) {
    sets.push_back(body.set);
    sets.back().seal();
    Instruction instruction{Instruction::kRepeatSet, static_cast<int>(sets.size()) - 1};
    instruction.min = node.min;
    instruction.max = node.max;
    instruction.greed = node.greed;
    add(instruction);
    return;
  }
  if (node.greed == Node::kPossessive) {
    Node greedy = node, atomic;
    greedy.greed = Node::kGreedy;
    atomic.kind = Node::kAtomic;
    atomic.children.push_back(std::move(greedy));
    emit(atomic);
    return;
  }
  const auto split = [&] {
    // The two ways in order of preference; the way out is filled in later.
    const int at = add({Instruction::kSplit});
    (node.greed == Node::kLazy ? code[at].b : code[at].a) = at + 1;
    return at;
  };
  const auto leave = [&](int at) {
    (node.greed == Node::kLazy ? code[at].a : code[at].b) = static_cast<int>(code.size());
  };
  for (int i = 0; i < node.min; ++i) emit(body);
  if (node.max == kUnbounded) {
    const int at = split();
    const int mark = registers++;
    add({Instruction::kMark, mark});
    emit(body);
    add({Instruction::kProgress, mark});
    add({Instruction::kJump, at});
    leave(at);
  } else {
    std::vector<int> splits;
    for (int i = node.min; i < node.max; ++i) {
      splits.push_back(split());
      emit(body);
    }
    for (const int at : splits) leave(at);
  }
}

bool Regex::Program::holds(int assertion, std::string_view text, std::size_t position) const {
  const auto word_before = [&] {
    if (position == 0) return false;
    std::size_t i = previous_code_point(text, position);
    return (category_bit_unicode14(next_code_point(text, i)) & kWordCategories) != 0;
  };
  const auto word_after = [&] {
    std::size_t i = position;
    return i < text.size() &&
           (category_bit_unicode14(next_code_point(text, i)) & kWordCategories) != 0;
  };
  switch (assertion) {
    case Node::kLineBegin:
      return position == 0 || (text[position - 1] == '\n' && position < text.size());
    case Node::kLineEnd:
      return position == text.size() || text[position] == '\n';
    case Node::kTextBegin:
      return position == 0;
    case Node::kTextEnd:
      return position == text.size();
    case Node::kTextEndOrNewline:
      return position == text.size() || (position + 1 == text.size() && text[position] == '\n');
    case Node::kWordBorder:
      return word_before() != word_after();
    default:
      return word_before() == word_after();
  }
}

bool Regex::Program::look(State& state, int pc, std::size_t position) const {
  if (!code[pc].behind) return run(state, pc + 1, position) != std::string_view::npos;
  // Look-behind bodies are short: try each start, nearest first. Comparing the end finds every
  // match of a body of fixed width, and Oniguruma allows no other width inside an alternative.
  for (std::size_t start = position;;) {
    if (run(state, pc + 1, start) == position) return true;
    if (start == 0 || position - start > 255) return false;
    start = previous_code_point(state.text, start);
  }
}

std::size_t Regex::Program::run(State& state, int pc, std::size_t position) const {
  const std::string_view text = state.text;
  const std::size_t base = state.stack.size();
  std::size_t& budget = *state.budget;
  const auto spend = [&budget](std::size_t steps) {
    if (budget < steps) {
      throw Error(ErrorKind::kBadValue,
                  "The text makes a regular expression of this model's tokenizer backtrack beyond "
                  "its limit; it cannot be tokenised.");
    }
    budget -= steps;
  };
  for (;;) {
    spend(1);
    const Instruction& in = code[pc];
    bool failed = false;
    switch (in.op) {
      case Instruction::kSet: {
        if (position == text.size()) {
          failed = true;
          break;
        }
        std::size_t next = position;
        if (sets[in.a].matches(next_code_point(text, next))) {
          position = next;
          ++pc;
        } else {
          failed = true;
        }
        break;
      }
      case Instruction::kRepeatSet: {
        const CharSet& set = sets[in.a];
        int count = 0;
        std::size_t low = position;
        const int wanted = in.greed == Node::kLazy ? in.min : in.max;
        while (position < text.size() && (wanted == kUnbounded || count < wanted)) {
          std::size_t next = position;
          if (!set.matches(next_code_point(text, next))) break;
          position = next;
          if (++count == in.min) low = position;
        }
        spend(count / 8);
        if (count < in.min) {
          failed = true;
          break;
        }
        ++pc;
        if (in.greed == Node::kGreedy && position > low) {
          state.stack.push_back({pc, position, low, Thread::kGiveBack, 0});
        } else if (in.greed == Node::kLazy && (in.max == kUnbounded || in.max > in.min)) {
          state.stack.push_back({pc - 1, position, 0, Thread::kTakeMore,
                                 in.max == kUnbounded ? kUnbounded : in.max - in.min});
        }
        break;
      }
      case Instruction::kSplit:
        state.stack.push_back({in.b, position, 0, Thread::kResume, 0});
        pc = in.a;
        break;
      case Instruction::kJump:
        pc = in.a;
        break;
      case Instruction::kMark:
        state.stack.push_back({0, 0, state.registers[in.a], Thread::kRestore, in.a});
        state.registers[in.a] = position;
        ++pc;
        break;
      case Instruction::kProgress:
        // An empty round of a loop ends the loop: leave through the split's other way.
        if (state.registers[in.a] == position) {
          failed = true;
        } else {
          ++pc;
        }
        break;
      case Instruction::kAssert:
        failed = !holds(in.b, text, position);
        ++pc;
        break;
      case Instruction::kLook:
        failed = look(state, pc, position) == in.negated;
        pc = in.a;
        break;
      case Instruction::kAtomic: {
        const std::size_t end = run(state, pc + 1, position);
        failed = end == std::string_view::npos;
        position = end;
        pc = in.a;
        break;
      }
      case Instruction::kMatch:
        // Whoever called forgets the alternatives; registers need not be restored, since each is
        // written before it is read.
        state.stack.resize(base);
        return position;
    }
    while (failed) {
      if (state.stack.size() == base) return std::string_view::npos;
      Thread& top = state.stack.back();
      spend(1);
      switch (top.kind) {
        case Thread::kRestore:
          state.registers[top.index] = top.low;
          state.stack.pop_back();
          break;
        case Thread::kResume:
          pc = top.pc;
          position = top.position;
          state.stack.pop_back();
          failed = false;
          break;
        case Thread::kGiveBack:
          top.position = previous_code_point(text, top.position);
          pc = top.pc;
          position = top.position;
          if (top.position <= top.low) state.stack.pop_back();
          failed = false;
          break;
        case Thread::kTakeMore: {
          std::size_t next = top.position;
          if (top.index == 0 || next == text.size() ||
              !sets[code[top.pc].a].matches(next_code_point(text, next))) {
            state.stack.pop_back();
            break;
          }
          top.position = next;
          if (top.index != kUnbounded) --top.index;
          pc = top.pc + 1;
          position = next;
          failed = false;
          break;
        }
      }
    }
  }
}

Regex::Regex(std::string_view pattern) {
  auto program = std::make_unique<Program>();
  program->emit(Parser(pattern).parse());
  program->add({Instruction::kMatch});
  program_ = std::move(program);
}

Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

std::optional<std::pair<std::size_t, std::size_t>> Regex::find(std::string_view text,
                                                               std::size_t from,
                                                               std::size_t& budget) const {
  Program::State state{text, &budget, std::vector<std::size_t>(program_->registers, 0), {}};
  for (std::size_t start = from; start <= text.size();) {
    const std::size_t end = program_->run(state, 0, start);
    if (end != std::string_view::npos) return std::pair(start, end);
    if (start == text.size()) break;
    start += lead_length(text[start]);
  }
  return std::nullopt;
}

}  // namespace tessera

#include "text/jinja_parser.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

#include "base/strings.h"

namespace tessera::jinja {

namespace {

constexpr int kMaxNesting = 64;     // of parentheses and of blocks
constexpr int kMaxTreeDepth = 400;  // a + b + c + … nests to the left

using Kind = Token::Kind;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Block parse() {
    Block block = parse_block({});
    if (current().kind != Kind::kEnd) unexpected();
    return block;
  }

 private:
  // --- Tokens ---

  const Token& current() const { return tokens_[next_]; }
  const Token& ahead() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
  Token take() { return next_ + 1 < tokens_.size() ? tokens_[next_++] : tokens_[next_]; }
  bool is_operator(std::string_view op) const {
    return current().kind == Kind::kOperator && current().text == op;
  }
  bool is_name(std::string_view name) const {
    return current().kind == Kind::kName && current().text == name;
  }
  bool skip_operator(std::string_view op) { return is_operator(op) && (++next_, true); }
  bool skip_name(std::string_view name) { return is_name(name) && (++next_, true); }

  std::string describe(const Token& token) const {
    switch (token.kind) {
      case Kind::kEnd:
        return "the end of the template";
      case Kind::kText:
        return "text";
      case Kind::kString:
        return "a string";
      default:
        return "'" + token.text + "'";
    }
  }
  [[noreturn]] void unexpected(std::string_view wanted = {}) const {
    std::string what = "unexpected " + describe(current());
    if (!wanted.empty()) what += ", wanted " + std::string(wanted);
    syntax_error(current().at, what);
  }
  void expect_operator(std::string_view op) {
    if (!skip_operator(op)) unexpected("'" + std::string(op) + "'");
  }
  std::string expect_name() {
    if (current().kind != Kind::kName) unexpected("a name");
    return take().text;
  }
  void expect_statement_end() {
    if (current().kind != Kind::kStatementEnd) unexpected("'%}'");
    ++next_;
  }

  struct Nested {
    Parser& parser;
    explicit Nested(Parser& parser) : parser(parser) {
      if (++parser.nesting_ > kMaxNesting) {
        syntax_error(parser.current().at,
                     "nested deeper than " + std::to_string(kMaxNesting) + " levels");
      }
    }
    ~Nested() { --parser.nesting_; }
  };

  // --- Expressions ---

  ExpressionPtr make(ExpressionKind kind, Position at, std::vector<ExpressionPtr> operands = {}) {
    auto node = std::make_unique<Expression>();
    node->kind = kind;
    node->at = at;
    for (ExpressionPtr& operand : operands) adopt(*node, std::move(operand));
    return node;
  }
  void adopt(Expression& node, ExpressionPtr operand) {
    if (operand != nullptr) deepen(node, *operand);
    node.operands.push_back(std::move(operand));
  }
  void deepen(Expression& node, const Expression& child) {
    node.depth = std::max(node.depth, child.depth + 1);
    if (node.depth > kMaxTreeDepth) {
      syntax_error(node.at, "the expression is deeper than " + std::to_string(kMaxTreeDepth) +
                                " operations");
    }
  }
  template <class... Operands>
  ExpressionPtr combine(ExpressionKind kind, Position at, Operands... operands) {
    auto node = make(kind, at);
    (adopt(*node, std::move(operands)), ...);
    return node;
  }
  ExpressionPtr constant(Position at, Value value) {
    auto node = make(ExpressionKind::kConstant, at);
    node->value = std::move(value);
    return node;
  }

  ExpressionPtr parse_expression() {
    const Nested nested(*this);
    ExpressionPtr node = parse_or();
    while (is_name("if")) {
      const Position at = take().at;
      ExpressionPtr condition = parse_or();
      ExpressionPtr otherwise;
      if (skip_name("else")) otherwise = parse_expression();
      node = combine(ExpressionKind::kConditional, at, std::move(node), std::move(condition),
                     std::move(otherwise));
    }
    return node;
  }

  ExpressionPtr parse_or() {
    ExpressionPtr left = parse_and();
    while (is_name("or")) {
      const Position at = take().at;
      left = combine(ExpressionKind::kOr, at, std::move(left), parse_and());
    }
    return left;
  }

  ExpressionPtr parse_and() {
    ExpressionPtr left = parse_not();
    while (is_name("and")) {
      const Position at = take().at;
      left = combine(ExpressionKind::kAnd, at, std::move(left), parse_not());
    }
    return left;
  }

  ExpressionPtr parse_not() {
    if (!is_name("not")) return parse_compare();
    const Nested nested(*this);
    const Position at = take().at;
    return combine(ExpressionKind::kNot, at, parse_not());
  }

  std::optional<Comparison> take_comparison() {
    static constexpr std::pair<std::string_view, Comparison> kOperators[] = {
        {"==", Comparison::kEq}, {"!=", Comparison::kNe}, {"<", Comparison::kLt},
        {"<=", Comparison::kLe}, {">", Comparison::kGt},  {">=", Comparison::kGe}};
    for (const auto& [text, comparison] : kOperators) {
      if (skip_operator(text)) return comparison;
    }
    if (skip_name("in")) return Comparison::kIn;
    if (is_name("not") && ahead().kind == Kind::kName && ahead().text == "in") {
      next_ += 2;
      return Comparison::kNotIn;
    }
    return std::nullopt;
  }

  ExpressionPtr parse_compare() {
    const Position at = current().at;
    ExpressionPtr first = parse_sum();
    ExpressionPtr node;
    while (const auto comparison = take_comparison()) {
      if (node == nullptr) node = combine(ExpressionKind::kCompare, at, std::move(first));
      node->comparisons.push_back(*comparison);
      adopt(*node, parse_sum());
    }
    return node != nullptr ? std::move(node) : std::move(first);
  }

  ExpressionPtr parse_sum() {
    ExpressionPtr left = parse_concat();
    while (is_operator("+") || is_operator("-")) {
      const Token op = take();
      left = combine(op.text == "+" ? ExpressionKind::kAdd : ExpressionKind::kSubtract, op.at,
                     std::move(left), parse_concat());
    }
    return left;
  }

  ExpressionPtr parse_concat() {
    const Position at = current().at;
    ExpressionPtr first = parse_product();
    if (!is_operator("~")) return first;
    ExpressionPtr node = combine(ExpressionKind::kConcat, at, std::move(first));
    while (skip_operator("~")) adopt(*node, parse_product());
    return node;
  }

  ExpressionPtr parse_product() {
    static constexpr std::pair<std::string_view, ExpressionKind> kOperators[] = {
        {"*", ExpressionKind::kMultiply},
        {"/", ExpressionKind::kDivide},
        {"//", ExpressionKind::kFloorDivide},
        {"%", ExpressionKind::kModulo}};
    ExpressionPtr left = parse_power();
    while (true) {
      const auto* op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                    [&](const auto& o) { return is_operator(o.first); });
      if (op == std::end(kOperators)) return left;
      const Position at = take().at;
      left = combine(op->second, at, std::move(left), parse_power());
    }
  }

  ExpressionPtr parse_power() {
    ExpressionPtr left = parse_unary(true);
    while (is_operator("**")) {
      const Position at = take().at;
      left = combine(ExpressionKind::kPower, at, std::move(left), parse_unary(true));
    }
    return left;
  }

  // A sign binds tighter than a filter: -1 | abs is (-1) | abs.
  ExpressionPtr parse_unary(bool with_filters) {
    ExpressionPtr node;
    if (is_operator("-") || is_operator("+")) {
      const Nested nested(*this);
      const Token op = take();
      node = combine(op.text == "-" ? ExpressionKind::kNegate : ExpressionKind::kPlus, op.at,
                     parse_unary(false));
    } else {
      node = parse_primary();
    }
    node = parse_postfix(std::move(node));
    return with_filters ? parse_filters(std::move(node)) : std::move(node);
  }

  ExpressionPtr parse_primary() {
    const Token& token = current();
    const Position at = token.at;
    switch (token.kind) {
      case Kind::kName: {
        const std::string name = take().text;
        if (name == "true" || name == "True") return constant(at, true);
        if (name == "false" || name == "False") return constant(at, false);
        if (name == "none" || name == "None") return constant(at, None{});
        ExpressionPtr node = make(ExpressionKind::kName, at);
        node->name = name;
        return node;
      }
      case Kind::kString: {
        std::string text;
        while (current().kind == Kind::kString) text += take().text;
        return constant(at, make_text(std::move(text)));
      }
      case Kind::kInteger: {
        const std::string digits = take().text;
        std::int64_t value = 0;
        const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (result.ec != std::errc()) syntax_error(at, "the number " + digits + " is too large");
        return constant(at, value);
      }
      case Kind::kFloat: {
        const std::string digits = take().text;
        const std::optional<double> value = parse_double(digits);
        if (!value) syntax_error(at, "the number " + digits + " is out of range");
        return constant(at, *value);
      }
      case Kind::kOperator:
        if (token.text == "(") return parse_parentheses();
        if (token.text == "[") return parse_list();
        if (token.text == "{") return parse_dict();
        break;
      default:
        break;
    }
    unexpected("an expression");
  }

  ExpressionPtr parse_parentheses() {
    const Nested nested(*this);
    expect_operator("(");
    ExpressionPtr node = parse_tuple(true, true);
    expect_operator(")");
    return node;
  }

  ExpressionPtr parse_list() {
    const Nested nested(*this);
    ExpressionPtr node = make(ExpressionKind::kList, current().at);
    expect_operator("[");
    while (!is_operator("]")) {
      adopt(*node, parse_expression());
      if (!skip_operator(",")) break;
    }
    expect_operator("]");
    return node;
  }

  ExpressionPtr parse_dict() {
    const Nested nested(*this);
    ExpressionPtr node = make(ExpressionKind::kDict, current().at);
    expect_operator("{");
    while (!is_operator("}")) {
      adopt(*node, parse_expression());
      expect_operator(":");
      adopt(*node, parse_expression());
      if (!skip_operator(",")) break;
    }
    expect_operator("}");
    return node;
  }

  // a, b, c is a tuple; a alone is itself. Without conditionals: `for x in a if b` and `if a`.
  ExpressionPtr parse_tuple(bool with_conditional, bool in_parentheses = false) {
    const Position at = current().at;
    std::vector<ExpressionPtr> items;
    bool is_tuple = false;
    while (true) {
      if (!items.empty() && !is_tuple) break;
      const bool ends = current().kind == Kind::kStatementEnd ||
                        current().kind == Kind::kPrintEnd || is_operator(")");
      if (ends) break;
      items.push_back(with_conditional ? parse_expression() : parse_or());
      if (!skip_operator(",")) break;
      is_tuple = true;
    }
    if (!is_tuple && !items.empty()) return std::move(items.front());
    if (items.empty() && !in_parentheses) unexpected("an expression");
    return make(ExpressionKind::kTuple, at, std::move(items));
  }

  ExpressionPtr parse_postfix(ExpressionPtr node) {
    while (true) {
      if (is_operator(".")) {
        const Position at = take().at;
        if (current().kind == Kind::kInteger) {
          const Position index_at = current().at;
          std::int64_t index = 0;
          const std::string digits = take().text;
          const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), index);
          if (result.ec != std::errc()) syntax_error(index_at, "the index is too large");
          node = combine(ExpressionKind::kGetItem, at, std::move(node), constant(index_at, index));
        } else {
          node = combine(ExpressionKind::kGetAttribute, at, std::move(node));
          node->name = expect_name();
        }
      } else if (is_operator("[")) {
        node = parse_subscript(std::move(node));
      } else if (is_operator("(")) {
        const Position at = current().at;
        node = combine(ExpressionKind::kCall, at, std::move(node));
        parse_arguments(*node);
      } else {
        return node;
      }
    }
  }

  ExpressionPtr parse_subscript(ExpressionPtr object) {
    const Nested nested(*this);
    const Position at = current().at;
    expect_operator("[");
    ExpressionPtr parts[3];
    int colons = 0;
    if (!is_operator(":")) parts[0] = parse_expression();
    while (colons < 2 && skip_operator(":")) {
      ++colons;
      if (!is_operator(":") && !is_operator("]")) parts[colons] = parse_expression();
    }
    ExpressionPtr node;
    if (colons > 0) {
      node = combine(ExpressionKind::kSlice, at, std::move(object), std::move(parts[0]),
                     std::move(parts[1]), std::move(parts[2]));
    } else if (is_operator(",")) {
      ExpressionPtr tuple = combine(ExpressionKind::kTuple, at, std::move(parts[0]));
      while (skip_operator(",")) {
        if (is_operator("]")) break;
        adopt(*tuple, parse_expression());
      }
      node = combine(ExpressionKind::kGetItem, at, std::move(object), std::move(tuple));
    } else {
      node = combine(ExpressionKind::kGetItem, at, std::move(object), std::move(parts[0]));
    }
    expect_operator("]");
    return node;
  }

  void parse_arguments(Expression& call) {
    const Nested nested(*this);
    expect_operator("(");
    while (!is_operator(")")) {
      if (is_operator("*") || is_operator("**")) {
        syntax_error(current().at, "unpacking of arguments is not supported");
      }
      if (current().kind == Kind::kName && ahead().kind == Kind::kOperator && ahead().text == "=") {
        std::string name = take().text;
        take();
        ExpressionPtr value = parse_expression();
        deepen(call, *value);
        call.keywords.emplace_back(std::move(name), std::move(value));
      } else {
        if (!call.keywords.empty()) unexpected("a keyword argument");
        adopt(call, parse_expression());
      }
      if (!skip_operator(",")) break;
    }
    expect_operator(")");
  }

  ExpressionPtr parse_filters(ExpressionPtr node) {
    while (true) {
      if (is_operator("|")) {
        node = parse_filter(std::move(node));
      } else if (is_name("is")) {
        node = parse_test(std::move(node));
      } else if (is_operator("(")) {
        const Position at = current().at;
        node = combine(ExpressionKind::kCall, at, std::move(node));
        parse_arguments(*node);
      } else {
        return node;
      }
    }
  }

  std::string dotted_name() {
    std::string name = expect_name();
    while (skip_operator(".")) name += "." + expect_name();
    return name;
  }

  ExpressionPtr parse_filter(ExpressionPtr input) {
    const Position at = take().at;
    ExpressionPtr node = combine(ExpressionKind::kFilter, at, std::move(input));
    node->name = dotted_name();
    if (is_operator("(")) parse_arguments(*node);
    return node;
  }

  ExpressionPtr parse_test(ExpressionPtr input) {
    const Position at = take().at;
    const bool negated = skip_name("not");
    ExpressionPtr node = combine(ExpressionKind::kTest, at, std::move(input));
    node->name = dotted_name();
    if (is_operator("(")) {
      parse_arguments(*node);
    } else if (starts_test_argument()) {
      adopt(*node, parse_postfix(parse_primary()));
    }
    return negated ? combine(ExpressionKind::kNot, at, std::move(node)) : std::move(node);
  }

  // `x is divisibleby 3`: one argument without parentheses.
  bool starts_test_argument() const {
    switch (current().kind) {
      case Kind::kString:
      case Kind::kInteger:
      case Kind::kFloat:
        return true;
      case Kind::kOperator:
        return current().text == "[" || current().text == "{";
      case Kind::kName:
        for (const std::string_view word : {"else", "or", "and", "if", "in", "not"}) {
          if (current().text == word) return false;
        }
        if (current().text == "is") syntax_error(current().at, "tests cannot be chained with 'is'");
        return true;
      default:
        return false;
    }
  }

  // --- Statements ---

  // Statements up to a tag with one of these names, which is left as "name … %}".
  Block parse_block(std::initializer_list<std::string_view> ends) {
    const Nested nested(*this);
    Block block;
    while (true) {
      const Token& token = current();
      if (token.kind == Kind::kEnd) {
        if (ends.size() > 0) {
          syntax_error(token.at, "the template ends, but '" + std::string(*(ends.end() - 1)) +
                                     "' is missing");
        }
        return block;
      }
      if (token.kind == Kind::kText) {
        Statement statement{StatementKind::kText, token.at};
        statement.value = make_text(take().text);
        block.push_back(std::move(statement));
      } else if (token.kind == Kind::kPrintBegin) {
        Statement statement{StatementKind::kPrint, token.at};
        ++next_;
        statement.expression = parse_tuple(true);
        if (current().kind != Kind::kPrintEnd) unexpected("'}}'");
        ++next_;
        block.push_back(std::move(statement));
      } else if (token.kind == Kind::kStatementBegin) {
        ++next_;
        for (const std::string_view end : ends) {
          if (is_name(end)) return block;
        }
        block.push_back(parse_statement());
      } else {
        unexpected();
      }
    }
  }

  // The rest of a block and its closing tag.
  Block parse_body(std::string_view end) {
    expect_statement_end();
    Block body = parse_block({end});
    ++next_;
    expect_statement_end();
    return body;
  }

  Statement parse_statement() {
    const Token tag = current();
    const std::string name = expect_name();
    Statement statement{StatementKind::kScope, tag.at};
    if (name == "for") return parse_for(std::move(statement));
    if (name == "if") return parse_if(std::move(statement));
    if (name == "set") return parse_set(std::move(statement));
    if (name == "macro") return parse_macro(std::move(statement));
    if (name == "with") return parse_with(std::move(statement));
    if (name == "filter") {
      statement.kind = StatementKind::kFilterBlock;
      // The first filter has no bar before it.
      ExpressionPtr text = make(ExpressionKind::kName, tag.at);
      text->name = kCapture;
      ExpressionPtr node = combine(ExpressionKind::kFilter, tag.at, std::move(text));
      node->name = dotted_name();
      if (is_operator("(")) parse_arguments(*node);
      statement.expression = parse_filters(std::move(node));
      statement.body = parse_body("endfilter");
    } else if (name == "generation") {
      statement.body = parse_body("endgeneration");
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) syntax_error(tag.at, "'" + name + "' outside of a loop");
      statement.kind = name == "break" ? StatementKind::kBreak : StatementKind::kContinue;
      expect_statement_end();
    } else {
      syntax_error(tag.at, "unknown or unsupported tag '" + name + "'");
    }
    return statement;
  }

  // a  |  a, b  |  (a, b)
  ExpressionPtr parse_target(bool with_namespace) {
    const Position at = current().at;
    if (with_namespace && current().kind == Kind::kName && ahead().kind == Kind::kOperator &&
        ahead().text == ".") {
      ExpressionPtr object = make(ExpressionKind::kName, at);
      object->name = take().text;
      take();
      ExpressionPtr node = combine(ExpressionKind::kGetAttribute, at, std::move(object));
      node->name = expect_name();
      return node;
    }
    ExpressionPtr first = parse_target_item();
    if (!is_operator(",")) return first;
    ExpressionPtr tuple = combine(ExpressionKind::kTuple, at, std::move(first));
    while (skip_operator(",")) {
      if (current().kind != Kind::kName && !is_operator("(")) break;
      if (is_name("in")) break;
      adopt(*tuple, parse_target_item());
    }
    return tuple;
  }

  ExpressionPtr parse_target_item() {
    const Position at = current().at;
    if (skip_operator("(")) {
      const Nested nested(*this);
      ExpressionPtr node = parse_target(false);
      expect_operator(")");
      return node;
    }
    ExpressionPtr node = make(ExpressionKind::kName, at);
    node->name = expect_name();
    for (const std::string_view word :
         {"true", "false", "none", "True", "False", "None", "and", "or", "not", "if", "in", "is"}) {
      if (node->name == word) syntax_error(at, "cannot assign to '" + node->name + "'");
    }
    return node;
  }

  Statement parse_for(Statement statement) {
    statement.kind = StatementKind::kFor;
    statement.target = parse_target(false);
    if (!skip_name("in")) unexpected("'in'");
    statement.expression = parse_tuple(false);
    if (skip_name("if")) statement.condition = parse_expression();
    if (is_name("recursive")) syntax_error(current().at, "recursive loops are not supported");
    expect_statement_end();
    ++loops_;
    statement.body = parse_block({"else", "endfor"});
    --loops_;
    if (skip_name("else")) {
      statement.otherwise = parse_body("endfor");
    } else {
      ++next_;
      expect_statement_end();
    }
    return statement;
  }

  Statement parse_if(Statement statement) {
    statement.kind = StatementKind::kIf;
    while (true) {
      Branch branch;
      branch.condition = parse_tuple(false);
      expect_statement_end();
      branch.body = parse_block({"elif", "else", "endif"});
      statement.branches.push_back(std::move(branch));
      if (skip_name("elif")) continue;
      if (skip_name("else")) {
        statement.otherwise = parse_body("endif");
      } else {
        ++next_;
        expect_statement_end();
      }
      return statement;
    }
  }

  Statement parse_set(Statement statement) {
    statement.target = parse_target(true);
    if (skip_operator("=")) {
      statement.kind = StatementKind::kSet;
      statement.expression = parse_tuple(true);
      expect_statement_end();
      return statement;
    }
    statement.kind = StatementKind::kSetBlock;
    if (is_operator("|")) {
      ExpressionPtr text = make(ExpressionKind::kName, statement.at);
      text->name = kCapture;
      statement.expression = parse_filters(std::move(text));
    }
    statement.body = parse_body("endset");
    return statement;
  }

  Statement parse_macro(Statement statement) {
    statement.kind = StatementKind::kMacro;
    statement.name = expect_name();
    expect_operator("(");
    while (!is_operator(")")) {
      Parameter parameter{expect_name(), nullptr};
      if (skip_operator("=")) {
        parameter.value = parse_expression();
      } else if (!statement.parameters.empty() && statement.parameters.back().value != nullptr) {
        unexpected("a default value, as the parameter before has one");
      }
      statement.parameters.push_back(std::move(parameter));
      if (!skip_operator(",")) break;
    }
    expect_operator(")");
    const int loops = std::exchange(loops_, 0);
    statement.body = parse_body("endmacro");
    loops_ = loops;
    return statement;
  }

  Statement parse_with(Statement statement) {
    statement.kind = StatementKind::kWith;
    while (current().kind != Kind::kStatementEnd) {
      Parameter parameter{expect_name(), nullptr};
      expect_operator("=");
      parameter.value = parse_expression();
      statement.parameters.push_back(std::move(parameter));
      if (!skip_operator(",")) break;
    }
    statement.body = parse_body("endwith");
    return statement;
  }

  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  int nesting_ = 0;
  int loops_ = 0;  // open loops, for break and continue
};

}  // namespace

Block parse_template(std::string_view source) { return Parser(tokenize(source)).parse(); }

}  // namespace tessera::jinja

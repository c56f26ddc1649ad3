#include "text/jinja_expression_parser.h"

#include <charconv>

#include "base/strings.h"

namespace tessera::jinja {

ExpressionPtr ExpressionParser::make(ExpressionKind kind, Position at,
                                     std::vector<ExpressionPtr> operands) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->at = at;
  for (ExpressionPtr& operand : operands) adopt(*node, std::move(operand));
  return node;
}

void ExpressionParser::adopt(Expression& node, ExpressionPtr operand) {
  if (operand != nullptr) deepen(node, *operand);
  node.operands.push_back(std::move(operand));
}

void ExpressionParser::deepen(Expression& node, const Expression& child) {
  node.depth = std::max(node.depth, child.depth + 1);
  if (node.depth > kMaxTreeDepth) {
    syntax_error(node.at,
                 "the expression is deeper than " + std::to_string(kMaxTreeDepth) + " operations");
  }
}

ExpressionPtr ExpressionParser::constant(Position at, Value value) {
  auto node = make(ExpressionKind::kConstant, at);
  node->value = std::move(value);
  return node;
}

ExpressionPtr ExpressionParser::parse_expression() {
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

ExpressionPtr ExpressionParser::parse_or() {
  ExpressionPtr left = parse_and();
  while (is_name("or")) {
    const Position at = take().at;
    left = combine(ExpressionKind::kOr, at, std::move(left), parse_and());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  ExpressionPtr left = parse_not();
  while (is_name("and")) {
    const Position at = take().at;
    left = combine(ExpressionKind::kAnd, at, std::move(left), parse_not());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const Nested nested(*this);
  const Position at = take().at;
  return combine(ExpressionKind::kNot, at, parse_not());
}

std::optional<Comparison> ExpressionParser::take_comparison() {
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

ExpressionPtr ExpressionParser::parse_compare() {
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

ExpressionPtr ExpressionParser::parse_sum() {
  ExpressionPtr left = parse_concat();
  while (is_operator("+") || is_operator("-")) {
    const Token op = take();
    left = combine(op.text == "+" ? ExpressionKind::kAdd : ExpressionKind::kSubtract, op.at,
                   std::move(left), parse_concat());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_concat() {
  const Position at = current().at;
  ExpressionPtr first = parse_product();
  if (!is_operator("~")) return first;
  ExpressionPtr node = combine(ExpressionKind::kConcat, at, std::move(first));
  while (skip_operator("~")) adopt(*node, parse_product());
  return node;
}

ExpressionPtr ExpressionParser::parse_product() {
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

ExpressionPtr ExpressionParser::parse_power() {
  ExpressionPtr left = parse_unary(true);
  while (is_operator("**")) {
    const Position at = take().at;
    left = combine(ExpressionKind::kPower, at, std::move(left), parse_unary(true));
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filters) {
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

ExpressionPtr ExpressionParser::parse_primary() {
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

ExpressionPtr ExpressionParser::parse_parentheses() {
  const Nested nested(*this);
  expect_operator("(");
  ExpressionPtr node = parse_tuple(true, true);
  expect_operator(")");
  return node;
}

ExpressionPtr ExpressionParser::parse_list() {
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

ExpressionPtr ExpressionParser::parse_dict() {
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

ExpressionPtr ExpressionParser::parse_tuple(bool with_conditional, bool in_parentheses) {
  const Position at = current().at;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty() && !is_tuple) break;
    const bool ends = current().kind == Kind::kStatementEnd || current().kind == Kind::kPrintEnd ||
                      is_operator(")");
    if (ends) break;
    items.push_back(with_conditional ? parse_expression() : parse_or());
    if (!skip_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items.front());
  if (items.empty() && !in_parentheses) unexpected("an expression");
  return make(ExpressionKind::kTuple, at, std::move(items));
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr node) {
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

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr object) {
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

void ExpressionParser::parse_arguments(Expression& call) {
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

ExpressionPtr ExpressionParser::parse_filters(ExpressionPtr node) {
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

std::string ExpressionParser::dotted_name() {
  std::string name = expect_name();
  while (skip_operator(".")) name += "." + expect_name();
  return name;
}

ExpressionPtr ExpressionParser::parse_filter(ExpressionPtr input) {
  const Position at = take().at;
  ExpressionPtr node = combine(ExpressionKind::kFilter, at, std::move(input));
  node->name = dotted_name();
  if (is_operator("(")) parse_arguments(*node);
  return node;
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr input) {
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

bool ExpressionParser::starts_test_argument() const {
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

}  // namespace tessera::jinja

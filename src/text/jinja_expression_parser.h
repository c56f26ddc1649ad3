// Reads expressions from tokens; the parser of statements (jinja_parser.cpp) builds on it. Private
// to text/.
#pragma once

#include <algorithm>
#include <optional>

#include "text/jinja_parser.h"

namespace tessera::jinja {

class ExpressionParser {
 protected:
  using Kind = Token::Kind;
  static constexpr int kMaxNesting = 64;     // of parentheses and of blocks
  static constexpr int kMaxTreeDepth = 400;  // a + b + c + … nests to the left

  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

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
    ExpressionParser& parser;
    explicit Nested(ExpressionParser& parser) : parser(parser) {
      if (++parser.nesting_ > kMaxNesting) {
        syntax_error(parser.current().at,
                     "nested deeper than " + std::to_string(kMaxNesting) + " levels");
      }
    }
    ~Nested() { --parser.nesting_; }
  };

  // --- Expressions ---

  ExpressionPtr make(ExpressionKind kind, Position at, std::vector<ExpressionPtr> operands = {});
  void adopt(Expression& node, ExpressionPtr operand);
  void deepen(Expression& node, const Expression& child);
  ExpressionPtr constant(Position at, Value value);
  ExpressionPtr parse_expression();
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  std::optional<Comparison> take_comparison();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  // A sign binds tighter than a filter: -1 | abs is (-1) | abs.
  ExpressionPtr parse_unary(bool with_filters);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_parentheses();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  // a, b, c is a tuple; a alone is itself. Without conditionals: `for x in a if b` and `if a`.
  ExpressionPtr parse_tuple(bool with_conditional, bool in_parentheses = false);
  ExpressionPtr parse_postfix(ExpressionPtr node);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  void parse_arguments(Expression& call);
  ExpressionPtr parse_filters(ExpressionPtr node);
  std::string dotted_name();
  ExpressionPtr parse_filter(ExpressionPtr input);
  ExpressionPtr parse_test(ExpressionPtr input);
  // `x is divisibleby 3`: one argument without parentheses.
  bool starts_test_argument() const;
  template <class... Operands>
  ExpressionPtr combine(ExpressionKind kind, Position at, Operands... operands) {
    auto node = make(kind, at);
    (adopt(*node, std::move(operands)), ...);
    return node;
  }

  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  int nesting_ = 0;
};

}  // namespace tessera::jinja

// Statements: the tags of a template and the text between them.
#include "text/jinja_parser.h"

#include <initializer_list>

#include "text/jinja_expression_parser.h"

namespace tessera::jinja {

namespace {

class Parser : ExpressionParser {
 public:
  explicit Parser(std::vector<Token> tokens) : ExpressionParser(std::move(tokens)) {}

  Block parse() {
    Block block = parse_block({});
    if (current().kind != Kind::kEnd) unexpected();
    return block;
  }

 private:
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

  int loops_ = 0;  // open loops, for break and continue
};

}  // namespace

Block parse_template(std::string_view source) { return Parser(tokenize(source)).parse(); }

}  // namespace tessera::jinja

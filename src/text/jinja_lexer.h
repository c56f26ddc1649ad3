// Splits template source into text and tokens, applying whitespace control: trim_blocks and
// lstrip_blocks are on, as in the environment that model templates are written for
// (https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::jinja {

struct Position {
  int line = 1, column = 1;
};

struct Token {
  enum class Kind {
    kText,
    kStatementBegin,
    kStatementEnd,
    kPrintBegin,
    kPrintEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd
  };
  Kind kind;
  std::string text;  // the text, name, operator, number, or the string's value
  Position at;
};

// `source` must be valid UTF-8. The last token is kEnd.
// Throws Error(kBadModelFile) with line and column.
std::vector<Token> tokenize(std::string_view source);

// "chat template, line 3, column 7: what"
std::string located(Position at, std::string_view what);
[[noreturn]] void syntax_error(Position at, std::string_view what);

}  // namespace tessera::jinja

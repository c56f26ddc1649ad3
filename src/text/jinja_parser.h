// Template source to a syntax tree. The grammar is Jinja's, without inheritance, imports, `call`
// blocks and recursive loops, none of which a chat template can use or uses.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_lexer.h"
#include "text/jinja_value.h"

namespace tessera::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class ExpressionKind : std::uint8_t {
  kConstant,      // value
  kName,          // name
  kList,          // operands
  kTuple,         // operands
  kDict,          // operands: key, value, key, value, …
  kGetAttribute,  // operands[0] . name
  kGetItem,       // operands[0] [ operands[1] ]
  kSlice,         // operands[0] [ operands[1] : operands[2] : operands[3] ], absent ones null
  kCall,          // operands[0] ( operands[1…], keywords )
  kFilter,        // operands[0] | name ( operands[1…], keywords )
  kTest,          // operands[0] is name ( operands[1…], keywords )
  kNot,
  kNegate,
  kPlus,
  kAnd,
  kOr,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcat,       // operands joined as text
  kCompare,      // operands[0] comparisons[0] operands[1] comparisons[1] operands[2] …
  kConditional,  // operands[0] if operands[1] else operands[2], the last may be null
};

enum class Comparison : std::uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

struct Expression {
  ExpressionKind kind;
  Position at;
  std::vector<ExpressionPtr> operands;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
  std::string name;
  Value value;
  std::vector<Comparison> comparisons;
  int depth = 1;  // of the tree below; bounded, so walking it may recurse
};

struct Statement;
using Block = std::vector<Statement>;

enum class StatementKind : std::uint8_t {
  kText,         // value
  kPrint,        // expression
  kFor,          // target in expression if condition: body, otherwise
  kIf,           // branches, otherwise
  kSet,          // target = expression
  kSetBlock,     // target = body, through expression when there is one (filters of a kCapture)
  kMacro,        // name(parameters): body
  kFilterBlock,  // expression: filters around the text of the body, which is a kName ""
  kWith,         // parameters: body
  kScope,        // body; its assignments stay inside
  kBreak,
  kContinue,
};

struct Parameter {
  std::string name;
  ExpressionPtr value;  // default of a macro's parameter, null without; value of a `with` variable
};

struct Branch;

struct Statement {
  StatementKind kind;
  Position at;
  Value value;
  ExpressionPtr target, expression, condition;
  std::string name;
  std::vector<Parameter> parameters;
  std::vector<Branch> branches;
  Block body, otherwise;
};

struct Branch {
  ExpressionPtr condition;
  Block body;
};

// `source` must be valid UTF-8 of at most 1 MiB.
// Throws Error(kBadModelFile) with line and column.
Block parse_template(std::string_view source);

// The name under which filters of a block find its text.
inline constexpr std::string_view kCapture = "";

}  // namespace tessera::jinja

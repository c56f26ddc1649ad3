// Tests by name: `x is defined`, select("odd"), …
#include <optional>
#include <unordered_map>

#include "base/strings.h"
#include "text/jinja_builtins.h"
#include "text/jinja_text.h"

namespace tessera::jinja {

namespace {

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.is_text() || value.sequence() != nullptr ||
         value.dict() != nullptr || value.get<std::shared_ptr<const Generator>>() != nullptr;
}

bool same_as(const Value& a, const Value& b) {
  if (a.variant().index() != b.variant().index()) return false;
  if (a.sequence() != nullptr) return a.sequence() == b.sequence();
  if (a.dict() != nullptr) return a.dict() == b.dict();
  return equal(a, b);
}

std::int64_t integer_of(const Value& value, std::string_view test) {
  if (const auto* i = value.get<std::int64_t>()) return *i;
  if (const auto* b = value.get<bool>()) return *b ? 1 : 0;
  require_defined(value);
  fail("test '" + std::string(test) + "' needs an integer, not " + type_name(value));
}

std::optional<Comparison> comparison_named(std::string_view name) {
  static constexpr std::pair<std::string_view, Comparison> kNames[] = {
      {"==", Comparison::kEq},          {"eq", Comparison::kEq},       {"equalto", Comparison::kEq},
      {"!=", Comparison::kNe},          {"ne", Comparison::kNe},       {"<", Comparison::kLt},
      {"lt", Comparison::kLt},          {"lessthan", Comparison::kLt}, {"<=", Comparison::kLe},
      {"le", Comparison::kLe},          {">", Comparison::kGt},        {"gt", Comparison::kGt},
      {"greaterthan", Comparison::kGt}, {">=", Comparison::kGe},       {"ge", Comparison::kGe},
      {"in", Comparison::kIn}};
  for (const auto& [known, comparison] : kNames) {
    if (known == name) return comparison;
  }
  return std::nullopt;
}

using Test = bool (*)(const Value&);

Test simple_test(std::string_view name) {
  static const std::unordered_map<std::string_view, Test> kTests = {
      {"defined", [](const Value& v) { return !v.is_undefined(); }},
      {"undefined", [](const Value& v) { return v.is_undefined(); }},
      {"none", [](const Value& v) { return v.is_none(); }},
      {"string", [](const Value& v) { return v.is_text(); }},
      {"mapping", [](const Value& v) { return v.dict() != nullptr; }},
      {"iterable", is_iterable},
      {"sequence",
       [](const Value& v) {  // has a length and can be indexed
         const Sequence* s = v.sequence();
         return v.is_undefined() || v.is_text() || v.dict() != nullptr ||
                (s != nullptr && s->kind != SequenceKind::kKeys &&
                 s->kind != SequenceKind::kValues && s->kind != SequenceKind::kItems);
       }},
      {"boolean", [](const Value& v) { return v.is<bool>(); }},
      {"true", [](const Value& v) { return v.is<bool>() && *v.get<bool>(); }},
      {"false", [](const Value& v) { return v.is<bool>() && !*v.get<bool>(); }},
      {"integer", [](const Value& v) { return v.is<std::int64_t>(); }},
      {"float", [](const Value& v) { return v.is<double>(); }},
      {"number",
       [](const Value& v) { return v.is<std::int64_t>() || v.is<double>() || v.is<bool>(); }},
      {"callable",
       [](const Value& v) {
         return v.is<Function>() || v.is<const Macro*>() || v.is<std::shared_ptr<const Method>>() ||
                v.is_undefined();
       }},
      {"odd", [](const Value& v) { return integer_of(v, "odd") % 2 != 0; }},
      {"even", [](const Value& v) { return integer_of(v, "even") % 2 == 0; }},
      {"lower", [](const Value& v) { return is_lower_text(to_text(v).chars); }},
      {"upper", [](const Value& v) { return is_upper_text(to_text(v).chars); }},
      {"escaped", [](const Value&) { return false; }},
  };
  const auto found = kTests.find(name);
  return found == kTests.end() ? nullptr : found->second;
}

}  // namespace

bool call_test(std::string_view name, const Value& input, const Arguments& arguments,
               Budget& budget) {
  if (const Test test = simple_test(name)) {
    Bound(arguments, "test '" + std::string(name) + "'", {});
    return test(input);
  }
  if (const auto comparison = comparison_named(name)) {
    const Bound bound(arguments, "test '" + std::string(name) + "'", {"other"});
    return compare(*comparison, input, bound.require(0), budget);
  }
  if (name == "sameas") {
    return same_as(input, Bound(arguments, "test 'sameas'", {"other"}).require(0));
  }
  if (name == "divisibleby") {
    const std::int64_t by =
        integer_of(Bound(arguments, "test 'divisibleby'", {"num"}).require(0), name);
    if (by == 0) fail("integer modulo by zero");
    return by == -1 || integer_of(input, name) % by == 0;
  }
  if (name == "filter" || name == "test") {
    Bound(arguments, "test", {});
    const std::string wanted = to_text(input).chars;
    return name == "filter" ? is_filter(wanted)
                            : simple_test(wanted) != nullptr || comparison_named(wanted) ||
                                  wanted == "sameas" || wanted == "divisibleby";
  }
  fail("unknown or unsupported test " + quote_for_message(name));
}

}  // namespace tessera::jinja

// Values of the template language: Python's, as far as chat templates can see them.
//
// Everything but a namespace is immutable after creation and shared by reference count, so values
// form no cycles; containers know their depth and size as a tree, which are bounded, so that
// walking a value ends soon even when it contains one list a thousand times.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace tessera::jinja {

// Something went wrong while rendering; the evaluator adds line and column.
struct Failure {
  std::string message;
};
[[noreturn]] void fail(std::string message);

// A string that knows which of its bytes came from outside the template: from messages, tools and
// other arguments of the request. When an operation mixes bytes beyond recognition the whole result
// counts as foreign.
struct Text {
  struct Range {
    std::size_t begin, end;
  };
  std::string chars;
  std::vector<Range> foreign;  // ascending, disjoint, not empty
  bool markup = false;         // made by `safe` or `escape`: "+" escapes what it is joined with

  Text() = default;
  explicit Text(std::string chars, bool is_foreign = false);
  bool has_foreign() const { return !foreign.empty(); }
  void append(const Text& other);
  void append(std::string_view trusted) { chars += trusted; }
  Text slice(std::size_t begin, std::size_t end) const;  // bytes
};

class Value;
struct Dict;
struct Scope;
struct Statement;

enum class SequenceKind : std::uint8_t { kList, kTuple, kRange, kKeys, kValues, kItems };

// Of a container and everything in it; shared parts count every time they are reached.
struct Extent {
  int depth = 1;
  std::uint64_t nodes = 1;
  void add(const Value& element);  // Failure beyond kMaxDepth or kMaxNodes
};
constexpr int kMaxDepth = 300;
constexpr std::uint64_t kMaxNodes = 1 << 22;

struct Sequence {
  std::vector<Value> items;
  SequenceKind kind = SequenceKind::kList;
  Extent extent;
};
// What filters like map and select return: can be walked once, is always true, has no length.
struct Generator {
  std::vector<Value> items;
  Extent extent;
  mutable bool consumed = false;
};

// Attributes set by `{% set ns.x = … %}`; owned by the evaluator, since it may contain itself.
struct Namespace;
struct Loop;    // the `loop` variable
struct Macro;   // a macro and the scope it was defined in
struct Method;  // a method not called yet: `d.items`

enum class Function : std::uint8_t { kRange, kDict, kNamespace, kRaiseException, kStrftimeNow };

struct Undefined {
  std::shared_ptr<const std::string> why;  // for the message when it is used
};
struct None {};

using TextPtr = std::shared_ptr<const Text>;
using SequencePtr = std::shared_ptr<const Sequence>;
using DictPtr = std::shared_ptr<const Dict>;

class Value {
 public:
  using Variant =
      std::variant<Undefined, None, bool, std::int64_t, double, TextPtr, SequencePtr, DictPtr,
                   std::shared_ptr<const Generator>, Namespace*, std::shared_ptr<const Loop>,
                   const Macro*, std::shared_ptr<const Method>, Function>;

  Value() = default;  // undefined
  template <class T>
  requires(!std::is_same_v<T, Value> && std::is_constructible_v<Variant, T>) Value(T value)
      : variant_(std::move(value)) {}  // one of the alternatives
  Value(const char*) = delete;         // would become a bool

  template <class T>
  const T* get() const {
    return std::get_if<T>(&variant_);
  }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(variant_);
  }
  bool is_undefined() const { return is<Undefined>(); }
  bool is_none() const { return is<None>(); }
  bool is_text() const { return is<TextPtr>(); }
  const Text* text() const { return is<TextPtr>() ? std::get<TextPtr>(variant_).get() : nullptr; }
  const Sequence* sequence() const {
    return is<SequencePtr>() ? std::get<SequencePtr>(variant_).get() : nullptr;
  }
  const Dict* dict() const { return is<DictPtr>() ? std::get<DictPtr>(variant_).get() : nullptr; }
  const Variant& variant() const { return variant_; }

 private:
  Variant variant_;
};

// Insertion order is kept; text keys are found by hash, others by comparison.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  std::unordered_map<std::string, std::size_t> by_text;
  Extent extent;

  const Value* find(const Value& key) const;
  const Value* find_text(std::string_view key) const;
  void set(Value key, Value value);  // while it is being built
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
  const Value* find(std::string_view name) const;
  void set(const std::string& name, Value value);
};

struct Loop {
  SequencePtr items;
  std::int64_t index0 = 0;
};

struct Method {
  Value self;
  std::string name;
};

Value make_text(std::string chars, bool is_foreign = false);
Value make_text(Text text);
Value make_undefined(std::string why);
// These measure the extent.
Value make_sequence(std::vector<Value> items, SequenceKind kind = SequenceKind::kList);
Value make_generator(std::vector<Value> items);
Value make_dict(Dict dict);
Extent extent_of(const Value& value);

// A value of the request. Every string in it, and every key, is foreign.
Value from_json(const boost::json::value& json);

std::string type_name(const Value& value);  // Python's: "str", "NoneType", …
bool truthy(const Value& value);
bool equal(const Value& a, const Value& b);
// Python's <; Failure when the types have no order.
bool less(const Value& a, const Value& b);
bool contains(const Value& container, const Value& item);
// Characters, elements or keys; Failure when it cannot be walked.
std::vector<Value> iterate(const Value& value);
std::int64_t length(const Value& value);

// No string grows beyond this; Failure instead.
constexpr std::size_t kMaxTextBytes = 64u << 20;
Text to_text(const Value& value);  // str(value)
Text repr(const Value& value);

struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false, pretty = false;
  std::string indent;  // of one level, when pretty
  Text item_separator = Text(", "), key_separator = Text(": ");
};
// json.dumps(value); Failure for what JSON cannot hold.
Text to_json(const Value& value, const JsonStyle& style);

// Python's shortest repr of a float: "1.0", "1e+22", "nan".
std::string float_repr(double value);

bool is_python_space(char32_t c);  // str.isspace

}  // namespace tessera::jinja

// What templates can call and compute with: operators, attributes, methods,
// functions, filters and tests.
// Pure functions over values; a Failure is a run-time error of the template.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_parser.h"
#include "text/jinja_value.h"

namespace tessera::jinja {

// What one rendering may use. Real templates stay far below; hostile ones end with a Failure.
class Budget {
 public:
  Budget();                          // on the thread that renders
  void work(std::uint64_t units);    // one is about an evaluated node, or a value compared
  void memory(std::uint64_t bytes);  // made so far, freed or not
  // Accounts for a value just made.
  Value made(Value value);

  // Held by what may call itself: macros, and filters that call filters.
  class Call {
   public:
    explicit Call(Budget& budget);
    ~Call() { --budget_.calls_; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Budget& budget_;
  };

 private:
  static constexpr int kMaxCalls = 64;
  static constexpr std::uint64_t kMaxWork = 50'000'000, kMaxMemory = 256u << 20;
  // Units are only about equal in time, so the clock is a second bound.
  static constexpr std::uint64_t kWorkBetweenLooks = 1 << 16;
  static constexpr double kMaxSeconds = 3;
  std::uint64_t work_ = 0, memory_ = 0, work_at_last_look_ = 0;
  double begin_s_;  // this thread's processor time
  int calls_ = 0;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments matched with the parameter names of a built-in.
class Bound {
 public:
  // Failure for too many arguments, unknown names and doubles. `what`: "filter 'join'".
  Bound(const Arguments& arguments, std::string what,
        std::initializer_list<std::string_view> names);

  const Value* find(std::size_t index) const;          // nullptr when not given
  const Value& require(std::size_t index) const;       // Failure when not given
  bool flag(std::size_t index, bool otherwise) const;  // its truth
  // Failure when it is no integer.
  std::int64_t integer(std::size_t index, std::int64_t otherwise) const;

 private:
  std::string what_;
  std::vector<std::string_view> names_;
  std::vector<Value> values_;
  std::vector<bool> given_;
};

Value binary(ExpressionKind operation, const Value& a, const Value& b, Budget& budget);
Value negate(const Value& value);
bool compare(Comparison comparison, const Value& a, const Value& b, Budget& budget);

// Failure when `value` is undefined: using it is an error.
void require_defined(const Value& value);

Value get_attribute(const Value& object, std::string_view name);
Value get_item(const Value& object, const Value& key);
// object[begin:end:step]; undefined or none bounds are left out.
Value get_slice(const Value& object, const Value& begin, const Value& end, const Value& step,
                Budget& budget);

bool is_text_method(std::string_view name);
Value call_text_method(const Text& text, const std::string& name, const Arguments& arguments);
// Of any kind of object.
Value call_method(const Method& method, const Arguments& arguments, Budget& budget);

// dict(mapping, key=value, …), and namespace() reads the same; `what` is named by a Failure.
Dict dict_of(const Arguments& arguments, std::string_view what);
Value make_range(const Arguments& arguments, Budget& budget);       // range()
Value format_time(const Arguments& arguments, std::int64_t now_s);  // strftime_now(), local time

Value call_filter(std::string_view name, const Value& input, const Arguments& arguments,
                  Budget& budget);
bool is_filter(std::string_view name);
bool call_test(std::string_view name, const Value& input, const Arguments& arguments,
               Budget& budget);

}  // namespace tessera::jinja

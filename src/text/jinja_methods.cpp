// Methods of dictionaries, lists and loops; those of strings have a file of their own.
#include "text/jinja_builtins.h"

namespace tessera::jinja {

namespace {

Value call_dict_method(const Value& self, const std::string& name, const Arguments& arguments) {
  const Dict& dict = *self.dict();
  if (name == "get") {
    const Bound bound(arguments, "get()", {"key", "default"});
    if (const Value* value = dict.find(bound.require(0))) return *value;
    return bound.find(1) != nullptr ? *bound.find(1) : Value(None{});
  }
  Bound(arguments, name + "()", {});
  if (name == "copy") return self;
  std::vector<Value> items;
  items.reserve(dict.items.size());
  for (const auto& [key, value] : dict.items) {
    if (name == "keys") items.push_back(key);
    if (name == "values") items.push_back(value);
    if (name == "items") items.push_back(make_sequence({key, value}, SequenceKind::kTuple));
  }
  return make_sequence(std::move(items), name == "keys"     ? SequenceKind::kKeys
                                         : name == "values" ? SequenceKind::kValues
                                                            : SequenceKind::kItems);
}

Value call_list_method(const Value& self, const std::string& name, const Arguments& arguments,
                       Budget& budget) {
  const Sequence& list = *self.sequence();
  if (name == "copy") {
    Bound(arguments, "copy()", {});
    return self;
  }
  const Bound bound(arguments, name + "()", {"value"});
  const Value& wanted = bound.require(0);
  budget.work(list.extent.nodes);
  std::int64_t count = 0;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (!equal(list.items[i], wanted)) continue;
    if (name == "index") return static_cast<std::int64_t>(i);
    ++count;
  }
  if (name == "index") fail("the value is not in the list");
  return count;
}

}  // namespace

Value call_method(const Method& method, const Arguments& arguments, Budget& budget) {
  if (const Text* text = method.self.text()) {
    budget.work(text->chars.size() / 2);
    return budget.made(call_text_method(*text, method.name, arguments));
  }
  if (method.self.dict() != nullptr) {
    return budget.made(call_dict_method(method.self, method.name, arguments));
  }
  if (method.self.sequence() != nullptr) {
    return call_list_method(method.self, method.name, arguments, budget);
  }
  if (const auto* loop = method.self.get<std::shared_ptr<const Loop>>()) {
    if (arguments.positional.empty()) fail("no items for cycling given");
    const auto size = static_cast<std::int64_t>(arguments.positional.size());
    return arguments.positional[static_cast<std::size_t>((*loop)->index0 % size)];
  }
  fail("'" + type_name(method.self) + "' has no method '" + method.name + "'");
}

}  // namespace tessera::jinja

#include "text/jinja_value.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "text/utf8.h"

namespace tessera::jinja {

void fail(std::string message) { throw Failure{std::move(message)}; }

// --- Text ----------------------------------------------------------------------------------------

Text::Text(std::string characters, bool is_foreign) : chars(std::move(characters)) {
  if (is_foreign && !chars.empty()) foreign.push_back({0, chars.size()});
}

void Text::append(const Text& other) {
  const std::size_t shift = chars.size();
  chars += other.chars;
  for (const Range& range : other.foreign) {
    if (!foreign.empty() && foreign.back().end == range.begin + shift) {
      foreign.back().end = range.end + shift;
    } else {
      foreign.push_back({range.begin + shift, range.end + shift});
    }
  }
}

Text Text::slice(std::size_t begin, std::size_t end) const {
  Text out(chars.substr(begin, end - begin));
  auto range = std::partition_point(foreign.begin(), foreign.end(),
                                    [&](const Range& r) { return r.end <= begin; });
  for (; range != foreign.end() && range->begin < end; ++range) {
    const std::size_t from = std::max(range->begin, begin), to = std::min(range->end, end);
    if (from < to) out.foreign.push_back({from - begin, to - begin});
  }
  return out;
}

// --- Construction --------------------------------------------------------------------------------

Value make_text(std::string chars, bool is_foreign) {
  return TextPtr(std::make_shared<Text>(std::move(chars), is_foreign));
}

Value make_text(Text text) {
  if (text.chars.size() > kMaxTextBytes) fail("a string exceeds 64 MiB");
  return TextPtr(std::make_shared<Text>(std::move(text)));
}

Value make_undefined(std::string why) {
  return Undefined{std::make_shared<const std::string>(std::move(why))};
}

Extent extent_of(const Value& value) {
  if (const Sequence* sequence = value.sequence()) return sequence->extent;
  if (const Dict* dict = value.dict()) return dict->extent;
  if (const auto* generator = value.get<std::shared_ptr<const Generator>>()) {
    return (*generator)->extent;
  }
  if (const auto* loop = value.get<std::shared_ptr<const Loop>>()) return (*loop)->items->extent;
  if (const auto* method = value.get<std::shared_ptr<const Method>>()) {
    Extent extent;
    extent.add((*method)->self);
    return extent;
  }
  return {0, 1};
}

void Extent::add(const Value& element) {
  const Extent inner = extent_of(element);
  depth = std::max(depth, inner.depth + 1);
  nodes += inner.nodes;
  if (depth > kMaxDepth) fail("a value is nested deeper than " + std::to_string(kMaxDepth));
  if (nodes > kMaxNodes) fail("a value has more than " + std::to_string(kMaxNodes) + " parts");
}

Value make_sequence(std::vector<Value> items, SequenceKind kind) {
  auto sequence = std::make_shared<Sequence>(Sequence{std::move(items), kind, {}});
  for (const Value& item : sequence->items) sequence->extent.add(item);
  return SequencePtr(std::move(sequence));
}

Value make_generator(std::vector<Value> items) {
  auto generator = std::make_shared<Generator>();
  generator->items = std::move(items);
  for (const Value& item : generator->items) generator->extent.add(item);
  return std::shared_ptr<const Generator>(std::move(generator));
}

Value make_dict(Dict dict) {
  dict.extent = {};
  for (const auto& [key, value] : dict.items) {
    dict.extent.add(key);
    dict.extent.add(value);
  }
  return DictPtr(std::make_shared<Dict>(std::move(dict)));
}

const Value* Dict::find_text(std::string_view key) const {
  const auto found = by_text.find(std::string(key));
  return found == by_text.end() ? nullptr : &items[found->second].second;
}

const Value* Dict::find(const Value& key) const {
  if (const Text* text = key.text()) return find_text(text->chars);
  if (by_text.size() == items.size()) return nullptr;
  for (const auto& [name, value] : items) {
    if (!name.is_text() && equal(name, key)) return &value;
  }
  return nullptr;
}

void Dict::set(Value key, Value value) {
  if (key.dict() != nullptr ||
      (key.sequence() != nullptr && key.sequence()->kind != SequenceKind::kTuple)) {
    fail("unhashable type: '" + type_name(key) + "'");
  }
  if (const Value* old = find(key)) {
    *const_cast<Value*>(old) = std::move(value);
    return;
  }
  if (const Text* text = key.text()) by_text.emplace(text->chars, items.size());
  items.emplace_back(std::move(key), std::move(value));
}

const Value* Namespace::find(std::string_view name) const {
  for (const auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Namespace::set(const std::string& name, Value value) {
  for (auto& [key, old] : attributes) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  if (attributes.size() >= 10000) fail("a namespace has more than 10000 attributes");
  attributes.emplace_back(name, std::move(value));
}

namespace {

Value from_json(const boost::json::value& json, int level) {
  if (level > kMaxDepth) fail("a value is nested deeper than " + std::to_string(kMaxDepth));
  const auto text = [](std::string_view chars) {
    return make_text(utf8_valid(chars) ? std::string(chars) : utf8_sanitize(chars), true);
  };
  switch (json.kind()) {
    case boost::json::kind::null:
      return None{};
    case boost::json::kind::bool_:
      return json.get_bool();
    case boost::json::kind::int64:
      return json.get_int64();
    case boost::json::kind::uint64:
      return static_cast<double>(json.get_uint64());  // beyond 63 bits; Python would keep them
    case boost::json::kind::double_:
      return json.get_double();
    case boost::json::kind::string:
      return text(json.get_string());
    case boost::json::kind::array: {
      std::vector<Value> items;
      items.reserve(json.get_array().size());
      for (const auto& item : json.get_array()) items.push_back(from_json(item, level + 1));
      return make_sequence(std::move(items));
    }
    case boost::json::kind::object: {
      Dict dict;
      for (const auto& [key, value] : json.get_object())
        dict.set(text(key), from_json(value, level + 1));
      return make_dict(std::move(dict));
    }
  }
  return None{};
}

}  // namespace

Value from_json(const boost::json::value& json) { return from_json(json, 1); }

// --- Questions -----------------------------------------------------------------------------------

std::string type_name(const Value& value) {
  struct Visitor {
    std::string operator()(const Undefined&) const { return "Undefined"; }
    std::string operator()(const None&) const { return "NoneType"; }
    std::string operator()(bool) const { return "bool"; }
    std::string operator()(std::int64_t) const { return "int"; }
    std::string operator()(double) const { return "float"; }
    std::string operator()(const TextPtr&) const { return "str"; }
    std::string operator()(const SequencePtr& sequence) const {
      switch (sequence->kind) {
        case SequenceKind::kList:
          return "list";
        case SequenceKind::kTuple:
          return "tuple";
        case SequenceKind::kRange:
          return "range";
        case SequenceKind::kKeys:
          return "dict_keys";
        case SequenceKind::kValues:
          return "dict_values";
        case SequenceKind::kItems:
          return "dict_items";
      }
      return "list";
    }
    std::string operator()(const DictPtr&) const { return "dict"; }
    std::string operator()(const std::shared_ptr<const Generator>&) const { return "generator"; }
    std::string operator()(Namespace*) const { return "Namespace"; }
    std::string operator()(const std::shared_ptr<const Loop>&) const { return "LoopContext"; }
    std::string operator()(const Macro*) const { return "Macro"; }
    std::string operator()(const std::shared_ptr<const Method>&) const { return "method"; }
    std::string operator()(Function) const { return "function"; }
  };
  return std::visit(Visitor{}, value.variant());
}

}  // namespace tessera::jinja

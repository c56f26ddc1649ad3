// Attributes, items and slices.
#include <algorithm>
#include <limits>
#include <optional>

#include "text/jinja_builtins.h"
#include "text/jinja_kinds.h"
#include "text/utf8.h"

namespace tessera::jinja {

namespace {

enum class MethodSafety { kNone, kSafe, kMutates };

MethodSafety method_of(const Value& object, std::string_view name) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (object.is_text()) return is_text_method(name) ? MethodSafety::kSafe : MethodSafety::kNone;
  if (object.dict() != nullptr) {
    if (is_one_of({"get", "items", "keys", "values", "copy"})) return MethodSafety::kSafe;
    if (is_one_of({"clear", "pop", "popitem", "setdefault", "update"})) {
      return MethodSafety::kMutates;
    }
  }
  if (is_list_or_tuple(object)) {
    if (is_one_of({"count", "index"})) return MethodSafety::kSafe;
    if (object.sequence()->kind == SequenceKind::kList) {
      if (name == "copy") return MethodSafety::kSafe;
      if (is_one_of({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})) {
        return MethodSafety::kMutates;
      }
    }
  }
  return MethodSafety::kNone;
}

Value loop_attribute(const Loop& loop, std::string_view name) {
  const auto size = static_cast<std::int64_t>(loop.items->items.size());
  const std::int64_t i = loop.index0;
  if (name == "index") return i + 1;
  if (name == "index0") return i;
  if (name == "revindex") return size - i;
  if (name == "revindex0") return size - i - 1;
  if (name == "first") return i == 0;
  if (name == "last") return i == size - 1;
  if (name == "length") return size;
  if (name == "depth") return std::int64_t{1};  // only recursive loops, unsupported, go deeper
  if (name == "depth0") return std::int64_t{0};
  if (name == "previtem") {
    return i > 0 ? loop.items->items[static_cast<std::size_t>(i - 1)]
                 : make_undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return i + 1 < size ? loop.items->items[static_cast<std::size_t>(i + 1)]
                        : make_undefined("there is no next item");
  }
  return make_undefined("'LoopContext object' has no attribute '" + std::string(name) + "'");
}

// A method, or nothing: what getattr() of Python finds apart from keys.
std::optional<Value> find_method(const Value& object, std::string_view name) {
  switch (method_of(object, name)) {
    case MethodSafety::kSafe:
      return Value(std::shared_ptr<const Method>(
          std::make_shared<Method>(Method{object, std::string(name)})));
    case MethodSafety::kMutates:
      return make_undefined("access to attribute '" + std::string(name) + "' of '" +
                            type_name(object) + "' object is unsafe.");
    case MethodSafety::kNone:
      break;
  }
  return std::nullopt;
}

Value no_attribute(const Value& object, std::string_view name) {
  return make_undefined("'" + type_name(object) + " object' has no attribute '" +
                        std::string(name) + "'");
}

}  // namespace

Value get_attribute(const Value& object, std::string_view name) {
  require_defined(object);
  if (std::optional<Value> method = find_method(object, name)) return std::move(*method);
  if (const Dict* dict = object.dict()) {
    if (const Value* value = dict->find_text(name)) return *value;
  }
  if (const auto* space = object.get<Namespace*>()) {
    if (const Value* value = (*space)->find(name)) return *value;
  }
  if (const auto* loop = object.get<std::shared_ptr<const Loop>>()) {
    if (name == "cycle") {
      return std::shared_ptr<const Method>(
          std::make_shared<Method>(Method{object, std::string(name)}));
    }
    return loop_attribute(**loop, name);
  }
  return no_attribute(object, name);
}

Value get_item(const Value& object, const Value& key) {
  require_defined(object);
  if (const Dict* dict = object.dict()) {
    if (const Value* value = dict->find(key)) return *value;
  } else if (is_integer(key)) {
    std::int64_t index = integer(key);
    if (const Text* text = object.text()) {
      const auto size = static_cast<std::int64_t>(utf8_length(text->chars));
      if (index < 0) index += size;
      if (index >= 0 && index < size) {
        std::size_t at = 0;
        for (; index > 0; --index) at += lead_length(text->chars[at]);
        return make_text(text->slice(at, at + lead_length(text->chars[at])));
      }
    } else if (const Sequence* sequence = object.sequence();
               sequence != nullptr &&
               (is_list_or_tuple(object) || sequence->kind == SequenceKind::kRange)) {
      const auto size = static_cast<std::int64_t>(sequence->items.size());
      if (index < 0) index += size;
      if (index >= 0 && index < size) return sequence->items[static_cast<std::size_t>(index)];
    }
  }
  if (const Text* name = key.text()) {
    if (object.dict() == nullptr) return get_attribute(object, name->chars);
    if (std::optional<Value> method = find_method(object, name->chars)) return std::move(*method);
    return no_attribute(object, name->chars);
  }
  return make_undefined(type_name(object) + " object has no element " + repr(key).chars);
}

Value get_slice(const Value& object, const Value& begin, const Value& end, const Value& step,
                Budget& budget) {
  require_defined(object);
  const Text* text = object.text();
  const Sequence* sequence = object.sequence();
  if (text == nullptr && !is_list_or_tuple(object) &&
      (sequence == nullptr || sequence->kind != SequenceKind::kRange)) {
    return make_undefined(type_name(object) + " object cannot be sliced");
  }
  const auto bound = [](const Value& value, std::int64_t otherwise) {
    if (value.is_none() || value.is_undefined()) return otherwise;
    if (!is_integer(value)) fail("slice indices must be integers or None");
    return integer(value);
  };
  const std::int64_t stride = bound(step, 1);
  if (stride == 0) fail("slice step cannot be zero");
  const std::int64_t size = length(object);
  const auto clamp = [&](std::int64_t i) {  // as slice.indices() does
    if (i < 0) i = std::max(i + size, stride < 0 ? std::int64_t{-1} : 0);
    return std::min(i, stride < 0 ? size - 1 : size);
  };
  constexpr auto kAbsent = std::numeric_limits<std::int64_t>::min();
  const std::int64_t b = bound(begin, kAbsent), e = bound(end, kAbsent);
  const std::int64_t from = b == kAbsent ? (stride < 0 ? size - 1 : 0) : clamp(b);
  const std::int64_t to = e == kAbsent ? (stride < 0 ? -1 : size) : clamp(e);

  if (text != nullptr) {
    std::vector<std::size_t> offsets;
    if (text->chars.size() == static_cast<std::size_t>(size) && stride == 1) {
      if (from >= to) return make_text("");
      return budget.made(
          make_text(text->slice(static_cast<std::size_t>(from), static_cast<std::size_t>(to))));
    }
    budget.memory(8 * text->chars.size());
    for (std::size_t at = 0; at < text->chars.size(); at += lead_length(text->chars[at])) {
      offsets.push_back(at);
    }
    offsets.push_back(text->chars.size());
    if (stride == 1) {
      if (from >= to) return make_text("");
      return budget.made(make_text(text->slice(offsets[static_cast<std::size_t>(from)],
                                               offsets[static_cast<std::size_t>(to)])));
    }
    Text out;
    for (std::int64_t i = from; stride > 0 ? i < to : i > to;) {
      const auto at = static_cast<std::size_t>(i);
      out.append(text->slice(offsets[at], offsets[at + 1]));
      if (__builtin_add_overflow(i, stride, &i)) break;
    }
    return budget.made(make_text(std::move(out)));
  }
  std::vector<Value> items;
  for (std::int64_t i = from; stride > 0 ? i < to : i > to;) {
    items.push_back(sequence->items[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  return budget.made(make_sequence(std::move(items), sequence->kind));
}

}  // namespace tessera::jinja

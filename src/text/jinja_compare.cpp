// Truth, equality, order, membership, iteration and length of values.
#include <algorithm>
#include <cmath>

#include "text/jinja_kinds.h"
#include "text/text_search.h"
#include "text/utf8.h"

namespace tessera::jinja {

namespace {

double as_double(const Value& value) {
  if (const bool* b = value.get<bool>()) return *b ? 1.0 : 0.0;
  if (const auto* i = value.get<std::int64_t>()) return static_cast<double>(*i);
  return *value.get<double>();
}

// bool and int as int; only for numbers that are no float.
std::int64_t as_int(const Value& value) {
  if (const bool* b = value.get<bool>()) return *b ? 1 : 0;
  return *value.get<std::int64_t>();
}

// -1, 0, 1; 2 when one is NaN.
int compare_numbers(const Value& a, const Value& b) {
  if (a.is<double>() || b.is<double>()) {
    const double x = as_double(a), y = as_double(b);
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
  }
  const std::int64_t x = as_int(a), y = as_int(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

struct Truth {
  bool operator()(const Undefined&) const { return false; }
  bool operator()(const None&) const { return false; }
  bool operator()(bool b) const { return b; }
  bool operator()(std::int64_t i) const { return i != 0; }
  bool operator()(double d) const { return d != 0; }
  bool operator()(const TextPtr& text) const { return !text->chars.empty(); }
  bool operator()(const SequencePtr& sequence) const { return !sequence->items.empty(); }
  bool operator()(const DictPtr& dict) const { return !dict->items.empty(); }
  bool operator()(const std::shared_ptr<const Loop>& loop) const {
    return !loop->items->items.empty();
  }
  bool operator()(const auto&) const { return true; }
};

}  // namespace

bool truthy(const Value& value) { return std::visit(Truth{}, value.variant()); }

bool equal(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b) == 0;
  if (a.variant().index() != b.variant().index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (a.is_text()) return a.text()->chars == b.text()->chars;
  if (const Sequence* x = a.sequence()) {
    const Sequence* y = b.sequence();
    return x == y || (x->kind == y->kind && std::equal(x->items.begin(), x->items.end(),
                                                       y->items.begin(), y->items.end(), equal));
  }
  if (const Dict* x = a.dict()) {
    const Dict* y = b.dict();
    if (x == y) return true;
    if (x->items.size() != y->items.size()) return false;
    return std::all_of(x->items.begin(), x->items.end(), [&](const auto& item) {
      const Value* other = y->find(item.first);
      return other != nullptr && equal(item.second, *other);
    });
  }
  if (const auto* x = a.get<Namespace*>()) return *x == *b.get<Namespace*>();
  if (const auto* x = a.get<const Macro*>()) return *x == *b.get<const Macro*>();
  if (const auto* x = a.get<Function>()) return *x == *b.get<Function>();
  if (const auto* x = a.get<std::shared_ptr<const Generator>>()) {
    return *x == *b.get<std::shared_ptr<const Generator>>();
  }
  return false;
}

bool less(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b) == -1;
  if (a.is_text() && b.is_text()) return a.text()->chars < b.text()->chars;  // code point order
  const Sequence *x = a.sequence(), *y = b.sequence();
  if (x != nullptr && y != nullptr && x->kind == y->kind && !is_view(x->kind) &&
      x->kind != SequenceKind::kRange) {
    const std::size_t shorter = std::min(x->items.size(), y->items.size());
    for (std::size_t i = 0; i < shorter; ++i) {
      if (!equal(x->items[i], y->items[i])) return less(x->items[i], y->items[i]);
    }
    return x->items.size() < y->items.size();
  }
  fail("'<' not supported between instances of '" + type_name(a) + "' and '" + type_name(b) + "'");
}

bool contains(const Value& container, const Value& item) {
  if (const Text* text = container.text()) {
    const Text* part = item.text();
    if (part == nullptr) {
      fail("'in <string>' requires string as left operand, not " + type_name(item));
    }
    return find_text(text->chars, part->chars) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return dict->find(item) != nullptr;
  const auto is_item = [&](const Value& element) { return equal(element, item); };
  if (const Sequence* sequence = container.sequence()) {
    return std::any_of(sequence->items.begin(), sequence->items.end(), is_item);
  }
  const std::vector<Value> items = iterate(container);
  return std::any_of(items.begin(), items.end(), is_item);
}

std::vector<Value> iterate(const Value& value) {
  if (value.is_undefined()) return {};
  if (const Sequence* sequence = value.sequence()) return sequence->items;
  if (const Dict* dict = value.dict()) {
    std::vector<Value> keys;
    keys.reserve(dict->items.size());
    for (const auto& [key, ignored] : dict->items) keys.push_back(key);
    return keys;
  }
  if (const auto* generator = value.get<std::shared_ptr<const Generator>>()) {
    if ((*generator)->consumed) return {};
    (*generator)->consumed = true;
    return (*generator)->items;
  }
  if (const Text* text = value.text()) {
    if (text->chars.size() > (1u << 20)) fail("a string of more than 1 MiB cannot be walked");
    std::vector<Value> characters;
    for (std::size_t at = 0; at < text->chars.size();) {
      const std::size_t end = at + lead_length(text->chars[at]);
      characters.push_back(make_text(text->slice(at, end)));
      at = end;
    }
    return characters;
  }
  fail("'" + type_name(value) + "' object is not iterable");
}

std::int64_t length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (const Text* text = value.text()) {
    return static_cast<std::int64_t>(utf8_length(text->chars));
  }
  if (const Sequence* s = value.sequence()) return static_cast<std::int64_t>(s->items.size());
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->items.size());
  if (const auto* loop = value.get<std::shared_ptr<const Loop>>()) {
    return static_cast<std::int64_t>((*loop)->items->items.size());
  }
  fail("object of type '" + type_name(value) + "' has no len()");
}

}  // namespace tessera::jinja

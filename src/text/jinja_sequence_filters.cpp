// Filters on sequences: sort, dictsort, unique, max, min, map, select and reject.
#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "text/jinja_filters.h"
#include "text/jinja_text.h"

namespace tessera::jinja {

// "a.b.0": items of items; without a path the value itself.
Value get_path(Value value, const Value* path) {
  if (path == nullptr || path->is_none()) return value;
  if (path->is<std::int64_t>()) return get_item(value, *path);
  const Text* text = path->text();
  if (text == nullptr) fail("an attribute must be a string or an integer");
  for (const std::string_view part : tessera::split(text->chars, '.')) {
    const std::optional<std::int64_t> index = parse_int(part);
    value = get_item(value, index ? Value(*index) : make_text(std::string(part)));
  }
  return value;
}

namespace {

// Sorting and uniqueness ignore case unless told otherwise.
Value sort_key(const Value& value, bool case_sensitive) {
  if (const Text* text = value.text(); text != nullptr && !case_sensitive) {
    return make_text(lower(*text));
  }
  return value;
}

using Items = std::vector<Value>;

// A stable sort by keys; `less` may throw in the middle, then the order does not matter any more.
Items sort_by(Items items, const Items& keys, bool reverse, Budget& budget) {
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    budget.work(1);
    return reverse ? less(keys[b], keys[a]) : less(keys[a], keys[b]);
  });
  Items sorted;
  sorted.reserve(items.size());
  for (const std::size_t i : order) sorted.push_back(items[i]);
  return sorted;
}

}  // namespace

Value sort_filter(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound bound(arguments, "filter 'sort'", {"reverse", "case_sensitive", "attribute"});
  Items items = iterate(input), keys;
  const bool case_sensitive = bound.flag(1, false);
  const Value* attribute = bound.find(2);
  for (const Value& item : items) {
    if (attribute != nullptr && attribute->is_text() &&
        attribute->text()->chars.find(',') != std::string::npos) {
      Items parts;
      for (const std::string_view name : tessera::split(attribute->text()->chars, ',')) {
        const Value path = make_text(std::string(name));
        parts.push_back(sort_key(get_path(item, &path), case_sensitive));
      }
      keys.push_back(make_sequence(std::move(parts)));
    } else {
      keys.push_back(sort_key(get_path(item, attribute), case_sensitive));
    }
  }
  return make_sequence(sort_by(std::move(items), keys, bound.flag(0, false), budget));
}

Value dictsort_filter(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound bound(arguments, "filter 'dictsort'", {"case_sensitive", "by", "reverse"});
  const Dict* dict = input.dict();
  if (dict == nullptr) fail("filter 'dictsort' needs a dict, not " + type_name(input));
  bool by_value = false;
  if (const Value* by = bound.find(1)) {
    const Text* text = by->text();
    if (text == nullptr || (text->chars != "key" && text->chars != "value")) {
      fail("filter 'dictsort': argument 'by' must be 'key' or 'value'");
    }
    by_value = text->chars == "value";
  }
  Items items, keys;
  for (const auto& [key, value] : dict->items) {
    items.push_back(make_sequence({key, value}, SequenceKind::kTuple));
    keys.push_back(sort_key(by_value ? value : key, bound.flag(0, false)));
  }
  return make_sequence(sort_by(std::move(items), keys, bound.flag(2, false), budget));
}

Value unique_filter(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound bound(arguments, "filter 'unique'", {"case_sensitive", "attribute"});
  Items kept, keys;
  for (const Value& item : iterate(input)) {
    const Value key = sort_key(get_path(item, bound.find(1)), bound.flag(0, false));
    budget.work(keys.size() + extent_of(key).nodes);
    if (std::any_of(keys.begin(), keys.end(), [&](const Value& k) { return equal(k, key); })) {
      continue;
    }
    keys.push_back(key);
    kept.push_back(item);
  }
  return make_generator(std::move(kept));
}

Value extreme_filter(const Value& input, const Arguments& arguments, bool largest) {
  const Bound bound(arguments, largest ? "filter 'max'" : "filter 'min'",
                    {"case_sensitive", "attribute"});
  std::optional<Value> best, best_key;
  for (const Value& item : iterate(input)) {
    Value key = sort_key(get_path(item, bound.find(1)), bound.flag(0, false));
    if (best && !(largest ? less(*best_key, key) : less(key, *best_key))) continue;
    best = item;
    best_key = std::move(key);
  }
  return best ? *best : make_undefined("No aggregated item, sequence was empty.");
}

Value map_filter(const Value& input, const Arguments& arguments, Budget& budget) {
  Items out;
  if (!truthy(input)) return make_generator({});  // also none, which cannot be walked
  if (arguments.positional.empty()) {
    const Bound bound(arguments, "filter 'map'", {"attribute", "default"});
    const Value& path = bound.require(0);
    for (const Value& item : iterate(input)) {
      Value value = get_path(item, &path);
      if (value.is_undefined() && bound.find(1) != nullptr) value = *bound.find(1);
      out.push_back(std::move(value));
    }
    return make_generator(std::move(out));
  }
  const Text* name = arguments.positional.front().text();
  if (name == nullptr) fail("filter 'map' needs the name of a filter");
  Arguments rest{{arguments.positional.begin() + 1, arguments.positional.end()}, arguments.named};
  for (const Value& item : iterate(input)) {
    budget.work(1);
    out.push_back(call_filter(name->chars, item, rest, budget));
  }
  return make_generator(std::move(out));
}

// select, reject, selectattr, rejectattr.
Value select_filter(const Value& input, const Arguments& arguments, bool wanted, bool by_attribute,
                    Budget& budget) {
  if (!truthy(input)) return make_generator({});  // also none, which cannot be walked
  Arguments rest = arguments;
  Value path;
  if (by_attribute) {
    if (rest.positional.empty()) fail("filter 'selectattr' needs the name of an attribute");
    path = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
  }
  std::optional<std::string> test;
  if (!rest.positional.empty()) {
    const Text* name = rest.positional.front().text();
    if (name == nullptr) fail("filter 'select' needs the name of a test");
    test = name->chars;
    rest.positional.erase(rest.positional.begin());
  }
  Items out;
  for (const Value& item : iterate(input)) {
    budget.work(1);
    const Value value = by_attribute ? get_path(item, &path) : item;
    if ((test ? call_test(*test, value, rest, budget) : truthy(value)) == wanted) {
      out.push_back(item);
    }
  }
  return make_generator(std::move(out));
}

}  // namespace tessera::jinja

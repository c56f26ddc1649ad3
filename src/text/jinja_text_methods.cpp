// Methods of strings.
#include <algorithm>
#include <array>

#include "text/jinja_builtins.h"
#include "text/jinja_text.h"
#include "text/text_search.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera::jinja {

namespace {

// All characters satisfy `test`, and there is one.
template <class Test>
bool all_characters(std::string_view text, const Test& test) {
  for (std::size_t at = 0; at < text.size();) {
    if (!test(next_code_point(text, at))) return false;
  }
  return !text.empty();
}

const Text& text_argument(const Bound& bound, std::size_t index, std::string_view what) {
  const Value& value = bound.require(index);
  if (const Text* text = value.text()) return *text;
  fail(std::string(what) + " needs a string, not " + type_name(value));
}

Value list_of(const std::vector<Text>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const Text& part : parts) items.push_back(make_text(part));
  return make_sequence(std::move(items));
}

// str.split() without a separator: runs of white space, none at the ends.
std::vector<Text> split_space(const Text& text, std::int64_t limit) {
  std::vector<Text> parts;
  const std::string_view chars = text.chars;
  std::size_t at = 0;
  const auto skip = [&] {
    while (at < chars.size()) {
      std::size_t next = at;
      if (!is_python_space(next_code_point(chars, next))) break;
      at = next;
    }
  };
  for (skip(); at < chars.size(); skip()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text.slice(at, chars.size()));  // keeps white space at its end
      break;
    }
    const std::size_t begin = at;
    while (at < chars.size()) {
      std::size_t next = at;
      if (is_python_space(next_code_point(chars, next))) break;
      at = next;
    }
    parts.push_back(text.slice(begin, at));
    check_parts(parts.size());
  }
  return parts;
}

std::vector<Text> split_text(const Text& text, std::string_view separator, std::int64_t limit) {
  if (separator.empty()) fail("empty separator");
  std::vector<Text> parts;
  std::size_t at = 0;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t found = find_text(text.chars, separator, at);
    if (found == std::string::npos) break;
    parts.push_back(text.slice(at, found));
    check_parts(parts.size());
    at = found + separator.size();
  }
  parts.push_back(text.slice(at, text.chars.size()));
  return parts;
}

std::vector<Text> split_text_from_right(const Text& text, std::string_view separator,
                                        std::int64_t limit) {
  if (separator.empty()) fail("empty separator");
  std::vector<Text> parts;
  std::size_t end = text.chars.size();
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t found = rfind_text(text.chars, separator, end);
    if (found == std::string::npos) break;
    parts.push_back(text.slice(found + separator.size(), end));
    check_parts(parts.size());
    end = found;
  }
  parts.push_back(text.slice(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

Value split_method(const Text& text, const Arguments& arguments, bool from_right) {
  const Bound bound(arguments, "split()", {"sep", "maxsplit"});
  const std::int64_t limit = bound.integer(1, -1);
  const Value* separator = bound.find(0);
  if (separator == nullptr || separator->is_none()) {
    if (from_right && limit >= 0) fail("rsplit() with a limit needs a separator here");
    return list_of(split_space(text, limit));
  }
  const Text& by = text_argument(bound, 0, "split()");
  return list_of(from_right ? split_text_from_right(text, by.chars, limit)
                            : split_text(text, by.chars, limit));
}

// startswith and endswith take a string or a tuple of strings.
Value affix_method(const Text& text, const Arguments& arguments, bool at_start) {
  const Bound bound(arguments, at_start ? "startswith()" : "endswith()", {"prefix"});
  const Value& wanted = bound.require(0);
  const auto matches = [&](const Value& affix) {
    const Text* part = affix.text();
    if (part == nullptr) {
      fail(std::string(at_start ? "startswith" : "endswith") +
           " first arg must be str or a tuple of str, not " + type_name(affix));
    }
    return at_start ? text.chars.starts_with(part->chars) : text.chars.ends_with(part->chars);
  };
  if (const Sequence* tuple = wanted.sequence();
      tuple != nullptr && tuple->kind == SequenceKind::kTuple) {
    return std::any_of(tuple->items.begin(), tuple->items.end(), matches);
  }
  return matches(wanted);
}

Value find_method(const Text& text, const Arguments& arguments, bool from_right, bool must_find) {
  const Bound bound(arguments, "find()", {"sub", "start"});
  const Text& part = text_argument(bound, 0, "find()");
  std::size_t start = 0;
  for (std::int64_t skip = bound.integer(1, 0); skip > 0 && start < text.chars.size(); --skip) {
    start += lead_length(text.chars[start]);
  }
  if (bound.integer(1, 0) < 0) fail("find() with a negative start is not supported");
  std::size_t found =
      from_right ? rfind_text(text.chars, part.chars) : find_text(text.chars, part.chars, start);
  if (from_right && found != std::string::npos && found < start) found = std::string::npos;
  if (found == std::string::npos) {
    if (must_find) fail("substring not found");
    return std::int64_t{-1};
  }
  return static_cast<std::int64_t>(utf8_length(std::string_view(text.chars).substr(0, found)));
}

Value partition_method(const Text& text, const Arguments& arguments, bool from_right) {
  const Bound bound(arguments, "partition()", {"sep"});
  const Text& separator = text_argument(bound, 0, "partition()");
  if (separator.chars.empty()) fail("empty separator");
  const std::size_t found =
      from_right ? rfind_text(text.chars, separator.chars) : find_text(text.chars, separator.chars);
  std::vector<Value> parts;
  if (found == std::string::npos) {
    parts = {make_text(text), make_text(""), make_text("")};
    if (from_right) std::swap(parts[0], parts[2]);
  } else {
    const std::size_t end = found + separator.chars.size();
    parts = {make_text(text.slice(0, found)), make_text(text.slice(found, end)),
             make_text(text.slice(end, text.chars.size()))};
  }
  return make_sequence(std::move(parts), SequenceKind::kTuple);
}

// {} and {0} and {name}, without conversions or format specifications.
Text format_method(const Text& text, const Arguments& arguments) {
  Text out;
  std::size_t next = 0;
  const std::string& chars = text.chars;
  for (std::size_t at = 0; at < chars.size();) {
    const std::size_t brace = std::min(chars.find_first_of("{}", at), chars.size());
    out.append(text.slice(at, brace));
    if (out.chars.size() > kMaxTextBytes) fail("a string exceeds 64 MiB");
    if (brace == chars.size()) break;
    if (brace + 1 < chars.size() && chars[brace + 1] == chars[brace]) {
      out.append(text.slice(brace, brace + 1));
      at = brace + 2;
      continue;
    }
    const std::size_t end = chars.find('}', brace);
    if (chars[brace] == '}' || end == std::string::npos) fail("a brace of the format is alone");
    const std::string field = chars.substr(brace + 1, end - brace - 1);
    if (field.find_first_of(":!.[") != std::string::npos) {
      fail("format(): only {}, {0} and {name} are supported");
    }
    const bool is_index = field.find_first_not_of("0123456789") == std::string::npos;
    if (is_index && field.size() < 9) {
      const std::size_t index = field.empty() ? next++ : std::stoul(field);
      if (index >= arguments.positional.size()) fail("format(): an argument is missing");
      out.append(to_text(arguments.positional[index]));
    } else {
      const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                      [&](const auto& item) { return item.first == field; });
      if (named == arguments.named.end()) fail("format(): argument '" + field + "' is missing");
      out.append(to_text(named->second));
    }
    at = end + 1;
  }
  return out;
}

constexpr std::array<std::string_view, 36> kTextMethods = {
    "capitalize", "casefold",     "count",        "endswith",  "find",       "format",
    "index",      "isalnum",      "isalpha",      "isdecimal", "isdigit",    "islower",
    "isnumeric",  "isspace",      "isupper",      "join",      "lower",      "lstrip",
    "partition",  "removeprefix", "removesuffix", "replace",   "rfind",      "rindex",
    "rpartition", "rsplit",       "rstrip",       "split",     "splitlines", "startswith",
    "strip",      "title",        "upper",        "isascii",   "zfill",      "encode"};

}  // namespace

bool is_text_method(std::string_view name) {
  return std::find(kTextMethods.begin(), kTextMethods.end(), name) != kTextMethods.end();
}

Value call_text_method(const Text& text, const std::string& name, const Arguments& arguments) {
  const auto no_arguments = [&] { Bound(arguments, name + "()", {}); };
  const auto is = [&](auto test) -> Value {
    no_arguments();
    return all_characters(text.chars, test);
  };
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    const Bound bound(arguments, name + "()", {"chars"});
    const Value* characters = bound.find(0);
    const bool by_default = characters == nullptr || characters->is_none();
    return make_text(strip(text, by_default ? nullptr : &text_argument(bound, 0, name + "()"),
                           name != "rstrip", name != "lstrip"));
  }
  if (name == "split") return split_method(text, arguments, false);
  if (name == "rsplit") return split_method(text, arguments, true);
  if (name == "startswith") return affix_method(text, arguments, true);
  if (name == "endswith") return affix_method(text, arguments, false);
  if (name == "find") return find_method(text, arguments, false, false);
  if (name == "rfind") return find_method(text, arguments, true, false);
  if (name == "index") return find_method(text, arguments, false, true);
  if (name == "rindex") return find_method(text, arguments, true, true);
  if (name == "partition") return partition_method(text, arguments, false);
  if (name == "rpartition") return partition_method(text, arguments, true);
  if (name == "format") return make_text(format_method(text, arguments));
  if (name == "replace") {
    const Bound bound(arguments, "replace()", {"old", "new", "count"});
    return make_text(replace(text, text_argument(bound, 0, "replace()").chars,
                             text_argument(bound, 1, "replace()"), bound.integer(2, -1)));
  }
  if (name == "join") {
    const Bound bound(arguments, "join()", {"iterable"});
    const std::vector<Value> items = iterate(bound.require(0));
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!items[i].is_text()) {
        fail("sequence item " + std::to_string(i) + ": expected str instance, " +
             type_name(items[i]) + " found");
      }
    }
    return make_text(join(items, text));
  }
  if (name == "count") {
    const Bound bound(arguments, "count()", {"sub"});
    const Text& part = text_argument(bound, 0, "count()");
    if (part.chars.empty()) return static_cast<std::int64_t>(utf8_length(text.chars)) + 1;
    std::int64_t count = 0;
    for (std::size_t at = 0; (at = find_text(text.chars, part.chars, at)) != std::string::npos;
         at += part.chars.size()) {
      ++count;
    }
    return count;
  }
  if (name == "splitlines") {
    const Bound bound(arguments, "splitlines()", {"keepends"});
    return list_of(split_lines(text, bound.flag(0, false)));
  }
  if (name == "removeprefix" || name == "removesuffix") {
    const Bound bound(arguments, name + "()", {"affix"});
    const std::string& part = text_argument(bound, 0, name + "()").chars;
    const std::size_t size = text.chars.size();
    if (name == "removeprefix") {
      return make_text(text.slice(text.chars.starts_with(part) ? part.size() : 0, size));
    }
    return make_text(text.slice(0, text.chars.ends_with(part) ? size - part.size() : size));
  }
  if (name == "isdigit" || name == "isdecimal") {
    return is([](char32_t c) { return (category_bit(c) & kDecimalNumber) != 0; });
  }
  if (name == "isnumeric") return is([](char32_t c) { return (category_bit(c) & kNumber) != 0; });
  if (name == "isalpha") return is([](char32_t c) { return (category_bit(c) & kLetter) != 0; });
  if (name == "isalnum") {
    return is([](char32_t c) { return (category_bit(c) & (kLetter | kNumber)) != 0; });
  }
  if (name == "isspace") return is(is_python_space);
  no_arguments();
  if (name == "lower" || name == "casefold") return make_text(lower(text));
  if (name == "upper") return make_text(upper(text));
  if (name == "capitalize") return make_text(capitalize(text));
  if (name == "title") return make_text(title_case(text));
  if (name == "islower") return is_lower_text(text.chars);
  if (name == "isupper") return is_upper_text(text.chars);
  if (name == "isascii") return is_ascii_text(text.chars);
  fail("method '" + name + "' of str is not supported");
}

}  // namespace tessera::jinja

#include "text/jinja_text.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <utility>

#include "text/text_search.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera::jinja {

namespace {

// Applies a mapping to every stretch of one origin by itself, so that origins survive.
template <class Map>
Text map_stretches(const Text& text, const Map& map) {
  Text out;
  std::size_t at = 0;
  const std::string_view chars = text.chars;
  for (const Text::Range& range : text.foreign) {
    out.append(Text(map(chars.substr(at, range.begin - at))));
    out.append(Text(map(chars.substr(range.begin, range.end - range.begin)), true));
    at = range.end;
  }
  out.append(Text(map(chars.substr(at))));
  return out;
}

std::string to_case(std::string_view text, bool to_upper_case) {
  std::string out;
  if (is_ascii_text(text)) {
    out = text;
    for (char& c : out) {
      if (to_upper_case && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
      if (!to_upper_case && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return out;
  }
  icu::UnicodeString wide = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
  if (to_upper_case) {
    wide.toUpper(icu::Locale::getRoot());
  } else {
    wide.toLower(icu::Locale::getRoot());
  }
  wide.toUTF8String(out);
  return out;
}

constexpr std::uint32_t kUpperCase = 1u << 1, kLowerCase = 1u << 2, kTitleCase = 1u << 3;

// Cased characters are all of `wanted` case, and there is one.
bool has_only_case(std::string_view text, std::uint32_t wanted) {
  bool found = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t category = category_bit(next_code_point(text, at));
    if ((category & (kUpperCase | kLowerCase | kTitleCase)) == 0) continue;
    if ((category & wanted) == 0) return false;
    found = true;
  }
  return found;
}

// The characters that strip() takes away: white space, or those of a string.
class StripSet {
 public:
  explicit StripSet(const Text* characters) : white_space_(characters == nullptr) {
    if (white_space_) return;
    for (std::size_t at = 0; at < characters->chars.size();) {
      sorted_.push_back(next_code_point(characters->chars, at));
    }
    std::sort(sorted_.begin(), sorted_.end());
  }
  bool has(char32_t c) const {
    return white_space_ ? is_python_space(c)
                        : std::binary_search(sorted_.begin(), sorted_.end(), c);
  }

 private:
  bool white_space_;
  std::vector<char32_t> sorted_;
};

}  // namespace

Text upper(const Text& text) {
  return map_stretches(text, [](std::string_view part) { return to_case(part, true); });
}

Text lower(const Text& text) {
  return map_stretches(text, [](std::string_view part) { return to_case(part, false); });
}

namespace {

// The title-case form of one character: 'ǆ' becomes 'ǅ', 'ß' becomes 'Ss'.
Text title_character(const Text& character) {
  std::size_t at = 0;
  const char32_t c = next_code_point(character.chars, at);
  const auto simple = static_cast<char32_t>(u_totitle(static_cast<UChar32>(c)));
  if (simple != c) return Text(to_utf8(simple), character.has_foreign());
  const Text full = upper(character);
  const std::size_t first = lead_length(full.chars[0]);
  Text out = full.slice(0, first);
  out.append(lower(full.slice(first, full.chars.size())));
  return out;
}

}  // namespace

Text capitalize(const Text& text) {
  if (text.chars.empty()) return text;
  const std::size_t first = lead_length(text.chars[0]);
  Text out = title_character(text.slice(0, first));
  out.append(lower(text.slice(first, text.chars.size())));
  return out;
}

Text title_case(const Text& text) {
  Text out;
  bool in_word = false;
  for (std::size_t at = 0; at < text.chars.size();) {
    std::size_t end = at;
    const bool cased = (category_bit(next_code_point(text.chars, end)) &
                        (kUpperCase | kLowerCase | kTitleCase)) != 0;
    const Text character = text.slice(at, end);
    out.append(in_word ? lower(character) : title_character(character));
    in_word = cased;
    at = end;
  }
  return out;
}

bool is_ascii_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_lower_text(std::string_view text) { return has_only_case(text, kLowerCase); }
bool is_upper_text(std::string_view text) { return has_only_case(text, kUpperCase); }

Text strip(const Text& text, const Text* characters, bool left, bool right) {
  const StripSet set(characters);
  const std::string_view chars = text.chars;
  std::size_t begin = 0, end = chars.size();
  while (left && begin < end) {
    std::size_t next = begin;
    if (!set.has(next_code_point(chars, next))) break;
    begin = next;
  }
  while (right && begin < end) {
    const std::size_t last = previous_code_point(chars, end);
    std::size_t next = last;
    if (!set.has(next_code_point(chars, next))) break;
    end = last;
  }
  Text out = text.slice(begin, end);
  out.markup = text.markup;
  return out;
}

Text replace(const Text& text, std::string_view from, const Text& to, std::int64_t count) {
  Text out;
  std::size_t at = 0;
  const std::string_view chars = text.chars;
  const auto check = [&] {
    if (out.chars.size() > kMaxTextBytes) fail("a string exceeds 64 MiB");
  };
  if (from.empty()) {  // before every character and at the end
    while (count != 0) {
      out.append(to);
      --count;
      check();
      if (at == chars.size()) return out;
      const std::size_t end = at + lead_length(chars[at]);
      out.append(text.slice(at, end));
      at = end;
    }
  }
  const bool plain = !text.has_foreign() && !to.has_foreign();  // no origins to keep
  while (count != 0 && !from.empty()) {
    const std::size_t found = find_text(chars, from, at);
    if (found == std::string_view::npos) break;
    if (plain) {
      out.chars.append(chars, at, found - at).append(to.chars);
    } else {
      out.append(text.slice(at, found));
      out.append(to);
    }
    check();
    at = found + from.size();
    --count;
  }
  out.append(text.slice(at, chars.size()));
  return out;
}

Text escape_html(const Text& text) {
  if (text.markup) return text;
  Text out = text;
  static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
  for (const auto& [from, to] : kEntities) {
    out = replace(out, from, Text(std::string(to), text.has_foreign()), -1);
  }
  out.markup = true;
  return out;
}

std::vector<Text> split_lines(const Text& text, bool keep_ends) {
  std::vector<Text> lines;
  const std::string_view chars = text.chars;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < chars.size();) {
    const std::size_t end = at;
    const char32_t c = next_code_point(chars, at);
    const bool breaks = (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 ||
                        c == 0x2028 || c == 0x2029;
    if (!breaks) continue;
    if (c == '\r' && at < chars.size() && chars[at] == '\n') ++at;
    lines.push_back(text.slice(begin, keep_ends ? at : end));
    check_parts(lines.size());
    begin = at;
  }
  if (begin < chars.size()) lines.push_back(text.slice(begin, chars.size()));
  return lines;
}

Text join(const std::vector<Value>& items, const Text& separator) {
  Text out;
  bool first = true;
  for (const Value& item : items) {
    if (!std::exchange(first, false)) out.append(separator);
    if (const Text* text = item.text()) {
      out.append(*text);
    } else {
      out.append(to_text(item));
    }
    if (out.chars.size() > kMaxTextBytes) fail("a string exceeds 64 MiB");
  }
  return out;
}

}  // namespace tessera::jinja

// Text operations that methods, filters, tests and operators of templates share. Origins survive
// them as Text says.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace tessera::jinja {

Text strip(const Text& text, const Text* characters, bool left, bool right);
Text replace(const Text& text, std::string_view from, const Text& to, std::int64_t count);
Text escape_html(const Text& text);  // of text that is markup already: itself
Text upper(const Text& text);
Text lower(const Text& text);
Text capitalize(const Text& text);
Text title_case(const Text& text);  // str.title(): each run of letters
std::vector<Text> split_lines(const Text& text, bool keep_ends);
Text join(const std::vector<Value>& items, const Text& separator);  // str() of each
bool is_ascii_text(std::string_view text);
bool is_lower_text(std::string_view text);
bool is_upper_text(std::string_view text);

// Failure when one string has too many parts.
inline void check_parts(std::size_t count) {
  if (count > 500'000) fail("a string has more than 500000 parts");
}

}  // namespace tessera::jinja

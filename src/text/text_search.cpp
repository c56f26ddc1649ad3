#include "text/text_search.h"

#include <algorithm>
#include <vector>

namespace tessera {

namespace {

// Up to this length the quadratic search is the quicker one.
constexpr std::size_t kShort = 16;

// Knuth, Morris and Pratt, over characters given by position.
template <class TextAt, class PartAt>
std::size_t first_match(std::size_t text_size, TextAt&& text, std::size_t part_size,
                        PartAt&& part) {
  std::vector<std::size_t> border(part_size, 0);  // longest proper border of each prefix
  for (std::size_t i = 1, k = 0; i < part_size; ++i) {
    while (k > 0 && part(i) != part(k)) k = border[k - 1];
    if (part(i) == part(k)) ++k;
    border[i] = k;
  }
  for (std::size_t i = 0, k = 0; i < text_size; ++i) {
    while (k > 0 && text(i) != part(k)) k = border[k - 1];
    if (text(i) == part(k)) ++k;
    if (k == part_size) return i + 1 - part_size;
  }
  return std::string_view::npos;
}

}  // namespace

std::size_t find_text(std::string_view text, std::string_view part, std::size_t from) {
  if (part.size() <= kShort || from > text.size()) return text.find(part, from);
  // Most searches end at the first characters or find nothing like them.
  const std::size_t begin = text.find(part.substr(0, kShort), from);
  if (begin == std::string_view::npos || part.size() > text.size() - begin) {
    return std::string_view::npos;
  }
  if (text.substr(begin, part.size()) == part) return begin;
  const std::size_t found = first_match(
      text.size() - begin, [&](std::size_t i) { return text[begin + i]; }, part.size(),
      [&](std::size_t i) { return part[i]; });
  return found == std::string_view::npos ? found : begin + found;
}

std::size_t rfind_text(std::string_view text, std::string_view part, std::size_t end) {
  text = text.substr(0, std::min(end, text.size()));
  if (part.size() <= kShort || part.size() > text.size()) return text.rfind(part);
  if (text.ends_with(part)) return text.size() - part.size();
  const std::size_t found = first_match(
      text.size(), [&](std::size_t i) { return text[text.size() - 1 - i]; }, part.size(),
      [&](std::size_t i) { return part[part.size() - 1 - i]; });
  return found == std::string_view::npos ? found : text.size() - found - part.size();
}

}  // namespace tessera

// Finding one string in another in linear time, whatever the strings: std::string::find is
// quadratic on repetitive ones.
#pragma once

#include <cstddef>
#include <string_view>

namespace tessera {

// First occurrence at or after `from`; npos without one.
std::size_t find_text(std::string_view text, std::string_view part, std::size_t from = 0);
// Last occurrence that ends at or before `end`.
std::size_t rfind_text(std::string_view text, std::string_view part,
                       std::size_t end = std::string_view::npos);

}  // namespace tessera

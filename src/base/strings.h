// Text and bytes without a domain: UTF-8, hex, base64, URLs, splitting, number printing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

// UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
bool utf8_valid(std::string_view text);
// Every maximal invalid part becomes one U+FFFD (Unicode 15, 3.9, "substitution of maximal
// subparts").
std::string utf8_sanitize(std::string_view text);
std::size_t utf8_length(std::string_view text);  // code points; an invalid byte counts as one
// The longest prefix of at most `max_code_points` code points.
std::string_view utf8_prefix(std::string_view text, std::size_t max_code_points);
void append_utf8(std::string& out, char32_t code_point);
// The length of the sequence at the start of `text` when it is whole and valid, else 0.
std::size_t utf8_sequence_length(std::string_view text);

// A user's value for an error message: sanitised, in single quotes, cut to 100 characters.
std::string quote_for_message(std::string_view value);

std::string hex_encode(std::string_view bytes);                // lower case
std::optional<std::string> hex_decode(std::string_view text);  // either case
std::string base64_encode(std::string_view bytes);             // RFC 4648 section 4, padded
std::string base64url_encode(std::string_view bytes);          // section 5, without padding
std::optional<std::string> base64_decode(
    std::string_view text);  // both alphabets, padding optional

// Percent-encodes everything but RFC 3986 unreserved characters (and '/' where asked).
std::string url_encode(std::string_view text, bool keep_slash = false);
// nullopt for a malformed escape. `plus_is_space` for query strings.
std::optional<std::string> url_decode(std::string_view text, bool plus_is_space = false);

std::vector<std::string_view> split(std::string_view text, char separator);  // keeps empty parts
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);  // ASCII white space at both ends
bool iequals_same_size(std::string_view a, std::string_view b);
inline bool iequals(std::string_view a, std::string_view b) {  // ASCII
  return a.size() == b.size() && iequals_same_size(a, b);
}
std::string to_lower(std::string_view text);  // ASCII
std::string to_upper(std::string_view text);  // ASCII

// The whole of `text` as a decimal number, or nullopt.
std::optional<std::int64_t> parse_int(std::string_view text);
std::optional<double> parse_double(std::string_view text);

// Shortest digits that read back as the same float / double; JSON syntax ("0.1", "1e-07", "3.0").
// Non-finite values print as "null".
void append_float(std::string& out, float value);
void append_double(std::string& out, double value);

}  // namespace tessera

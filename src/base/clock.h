// The time of day and RFC 3339.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

std::int64_t now_ms();     // since the Unix epoch
std::int64_t now_s();      // the same in seconds ("created")
std::int64_t steady_us();  // monotonic, for measuring

std::string format_rfc3339(std::int64_t epoch_ms);  // "2024-05-06T07:08:09.123Z"
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

}  // namespace tessera

// Sizes and durations as people write them in flags, environment and files.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

// "4GiB", "512 MiB", "1.5G", "4096", "10kB": bytes. KiB, MiB, … and bare K, M, G, T are powers of
// 1024; kB, MB, … powers of 1000. Throws Error(kBadConfiguration) naming `what` and the accepted
// forms.
std::int64_t parse_bytes(std::string_view text, std::string_view what);
std::string format_bytes(std::int64_t bytes);  // "3.5 GiB"

// "30s", "250ms", "5m", "1h", "2d", "1h30m"; a bare number is seconds.
std::chrono::milliseconds parse_duration(std::string_view text, std::string_view what);
std::string format_duration(std::chrono::milliseconds duration);  // "1h30m", "250ms"

}  // namespace tessera

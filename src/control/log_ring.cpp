#include "control/log_ring.h"

#include "base/strings.h"

namespace tessera::control {

void LogRing::append(std::string_view bytes) {
  std::lock_guard lock(mutex_);
  text_ += bytes;
  // Cut at twice the size, so that appending stays cheap.
  if (text_.size() > 2 * max_bytes_) text_.erase(0, text_.size() - max_bytes_);
}

std::string LogRing::text() const {
  std::lock_guard lock(mutex_);
  if (text_.size() <= max_bytes_) return utf8_sanitize(text_);
  std::size_t start = text_.size() - max_bytes_;
  const std::size_t newline = text_.find('\n', start);
  if (newline != std::string::npos && newline + 1 < text_.size()) start = newline + 1;
  return utf8_sanitize(std::string_view(text_).substr(start));
}

std::string LogRing::last_line() const {
  std::lock_guard lock(mutex_);
  std::string_view rest = text_;
  while (!rest.empty()) {
    const std::size_t newline = rest.rfind('\n');
    const bool whole = newline == std::string_view::npos;
    const std::string_view line = trim(whole ? rest : rest.substr(newline + 1));
    if (!line.empty()) return utf8_sanitize(line.substr(0, 2'000));
    if (whole) break;
    rest = rest.substr(0, newline);
  }
  return {};
}

}  // namespace tessera::control

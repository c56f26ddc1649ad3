// The last bytes that a worker wrote. Any thread.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace tessera::control {

class LogRing {
 public:
  explicit LogRing(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  void append(std::string_view bytes);
  std::string text() const;       // from the first whole line kept
  std::string last_line() const;  // the last one that is not blank

 private:
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;  // guards text_
  std::string text_;
};

}  // namespace tessera::control

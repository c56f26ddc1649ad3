// Finds stop strings in a growing text and holds back what might become one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

class StopMatcher {
 public:
  StopMatcher(std::vector<std::string> stops, bool include_stop_in_output);

  struct Output {
    std::string text;                  // safe to show now
    std::optional<std::string> match;  // the stop string found; nothing may follow
  };
  // Earliest match wins, then the longest. Text that could still begin a stop string is held back.
  Output push(std::string_view text);
  // End of generation without a match: the text held back.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  bool include_;
  std::string held_;
};

}  // namespace tessera

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
  // The earliest match wins, of those the longest; how the text is cut into pushes plays no part.
  // So text that could still become a stop string is held back, also where a shorter one is
  // complete.
  Output push(std::string_view text);
  // End of generation: what was held back, perhaps with a match in it.
  Output finish();

 private:
  Output take(bool at_end);

  std::vector<std::string> stops_;
  bool include_;
  std::string held_;
};

}  // namespace tessera

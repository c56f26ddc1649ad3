#include "text/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace tessera {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include_stop_in_output)
    : stops_(std::move(stops)), include_(include_stop_in_output) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
  // Longest first: of two that begin at the same place the longer is found first.
  std::stable_sort(stops_.begin(), stops_.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

StopMatcher::Output StopMatcher::push(std::string_view text) {
  if (stops_.empty()) return {std::string(text), std::nullopt};
  held_ += text;
  return take(false);
}

StopMatcher::Output StopMatcher::finish() { return take(true); }

StopMatcher::Output StopMatcher::take(bool at_end) {
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const std::string_view rest = std::string_view(held_).substr(i);
    // Longest first, so a stop string that may still grow here outranks a shorter complete one.
    for (const std::string& stop : stops_) {
      if (rest.starts_with(stop)) {
        Output output{held_.substr(0, include_ ? i + stop.size() : i), stop};
        held_.clear();
        return output;
      }
      if (!at_end && std::string_view(stop).starts_with(rest)) {
        Output output{held_.substr(0, i), std::nullopt};
        held_.erase(0, i);
        return output;
      }
    }
  }
  return {std::exchange(held_, {}), std::nullopt};
}

}  // namespace tessera

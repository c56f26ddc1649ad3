#include "http/json_stream.h"

#include "base/error.h"
#include "base/strings.h"

namespace tessera::http {
namespace {

[[noreturn]] void too_large(std::size_t limit) {
  throw Error(ErrorKind::kUpstreamBadGateway,
              "The upstream sent an event of more than " + std::to_string(limit) + " bytes.");
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

void NdjsonParser::take(std::string_view part, std::vector<std::string>& out) {
  line_ += part;
  const std::string_view text = trim(line_);
  if (!text.empty()) out.emplace_back(text);
  line_.clear();
}

std::vector<std::string> NdjsonParser::feed(std::string_view bytes) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > max_line_bytes_) too_large(max_line_bytes_);
    if (end == std::string_view::npos) {
      line_ += part;
      break;
    }
    take(part, lines);
    bytes.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<std::string> NdjsonParser::finish() {
  std::vector<std::string> lines;
  take({}, lines);
  return lines;
}

std::vector<std::string> JsonArrayParser::feed(std::string_view bytes) {
  std::vector<std::string> elements;
  for (const char c : bytes) {
    switch (state_) {
      case State::kStart:
      case State::kBetween:
        if (is_blank(c) || (c == ',' && state_ == State::kBetween)) continue;
        if (state_ == State::kStart && c == '[') {
          state_ = State::kBetween;
          continue;
        }
        if (state_ == State::kBetween && c == ']') {
          state_ = State::kDone;
          continue;
        }
        if (c != '{') {
          throw Error(ErrorKind::kUpstreamBadGateway,
                      "The upstream's stream is not a JSON array of objects.");
        }
        bare_ = state_ == State::kStart;
        state_ = State::kElement;
        [[fallthrough]];
      case State::kElement:
        if (element_.size() >= max_element_bytes_) too_large(max_element_bytes_);
        element_ += c;
        if (in_string_) {
          if (escaped_) {
            escaped_ = false;
          } else if (c == '\\') {
            escaped_ = true;
          } else if (c == '"') {
            in_string_ = false;
          }
        } else if (c == '"') {
          in_string_ = true;
        } else if (c == '{' || c == '[') {
          ++depth_;
        } else if ((c == '}' || c == ']') && --depth_ == 0) {
          elements.push_back(std::move(element_));
          element_.clear();
          state_ = bare_ ? State::kDone : State::kBetween;
        }
        break;
      case State::kDone:
        break;  // what follows the end has no meaning
    }
  }
  return elements;
}

}  // namespace tessera::http

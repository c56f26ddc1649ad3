#include "http/sse.h"

#include <utility>

#include "base/error.h"

namespace tessera::http {

SseParser::SseParser(std::size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}

std::vector<SseEvent> SseParser::feed(std::string_view bytes) {
  std::vector<SseEvent> events;
  while (!bytes.empty()) {
    if (skip_lf_ && bytes.front() == '\n') bytes.remove_prefix(1);
    skip_lf_ = false;
    std::size_t end = bytes.find_first_of("\r\n");
    std::string_view part = bytes.substr(0, end);
    if (buffer_.size() + part.size() + current_.data.size() > max_event_bytes_) {
      throw Error(ErrorKind::kUpstreamBadGateway, "The upstream sent an event of more than " +
                                                      std::to_string(max_event_bytes_) + " bytes.");
    }
    if (end == std::string_view::npos) {
      buffer_ += part;
      break;
    }
    skip_lf_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (buffer_.empty()) {
      line(part, events);
    } else {
      buffer_ += part;
      line(buffer_, events);
      buffer_.clear();
    }
  }
  return events;
}

std::vector<SseEvent> SseParser::finish() {
  std::vector<SseEvent> events;
  if (!buffer_.empty()) line(std::exchange(buffer_, {}), events);
  if (has_data_) line({}, events);
  return events;
}

// One line, without its end (WHATWG HTML 9.2.6, "interpreting an event stream").
void SseParser::line(std::string_view text, std::vector<SseEvent>& out) {
  if (first_) {
    first_ = false;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  }
  if (text.empty()) {
    if (has_data_) {
      current_.data.pop_back();  // the LF after its last line
      out.push_back(std::move(current_));
    }
    // The last id stays in force for later events.
    std::string id = has_data_ ? out.back().id : std::move(current_.id);
    current_ = SseEvent{};
    current_.id = std::move(id);
    has_data_ = false;
    return;
  }
  if (text.front() == ':') return;
  std::size_t colon = text.find(':');
  std::string_view field = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    current_.data += value;
    current_.data += '\n';
    has_data_ = true;
  } else if (field == "event") {
    current_.event = value;
  } else if (field == "id") {
    if (value.find('\0') == std::string_view::npos) current_.id = value;
  }
}

std::string sse_data(std::string_view json) {
  std::string out;
  out.reserve(json.size() + 8);
  return out.append("data: ").append(json).append("\n\n");
}

}  // namespace tessera::http

// Server-Sent Events, both directions (WHATWG HTML, "Server-sent events").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::http {

struct SseEvent {
  std::string event;  // empty: "message"
  std::string data;   // lines joined with LF
  std::string id;
};

// Fed with arbitrary pieces; yields complete events. CR, LF and CRLF end lines; comments and
// unknown fields are skipped; a leading byte-order mark is ignored.
class SseParser {
 public:
  // Throws Error(kUpstreamBadGateway) when one event exceeds max_event_bytes.
  explicit SseParser(std::size_t max_event_bytes = 8u << 20);
  std::vector<SseEvent> feed(std::string_view bytes);
  // The upstream has ended: an event whose blank line did not come. (The standard drops it; some
  // providers leave the last blank line out.)
  std::vector<SseEvent> finish();

 private:
  void line(std::string_view text, std::vector<SseEvent>& out);
  std::size_t max_event_bytes_;
  std::string buffer_;
  SseEvent current_;
  bool has_data_ = false, first_ = true, skip_lf_ = false;
};

std::string sse_data(std::string_view json);  // "data: …\n\n"

}  // namespace tessera::http

// Streams of JSON texts without SSE: one per line (NDJSON), or the elements of one array that
// grows. Fed with arbitrary pieces; what is inside an element is not checked for being valid JSON.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::http {

constexpr std::size_t kMaxStreamEventBytes = 16u << 20;

// Lines ended by LF or CRLF; blank ones are skipped.
class NdjsonParser {
 public:
  // feed() and finish() throw Error(kUpstreamBadGateway) when a line exceeds the limit.
  explicit NdjsonParser(std::size_t max_line_bytes = kMaxStreamEventBytes)
      : max_line_bytes_(max_line_bytes) {}
  std::vector<std::string> feed(std::string_view bytes);
  std::vector<std::string> finish();  // a last line without its end

 private:
  void take(std::string_view part, std::vector<std::string>& out);
  std::size_t max_line_bytes_;
  std::string line_;
};

// "[{…}\n,\r\n{…}]". A text that does not begin with '[' is one element, as errors come bare.
class JsonArrayParser {
 public:
  // feed() throws Error(kUpstreamBadGateway) beyond the limit and for text that is no array.
  explicit JsonArrayParser(std::size_t max_element_bytes = kMaxStreamEventBytes)
      : max_element_bytes_(max_element_bytes) {}
  std::vector<std::string> feed(std::string_view bytes);
  // Between two elements, or after the end: nothing is half there.
  bool whole() const { return element_.empty(); }

 private:
  enum class State { kStart, kBetween, kElement, kDone };
  State state_ = State::kStart;
  bool bare_ = false;  // no '[' around it
  std::size_t max_element_bytes_;
  std::string element_;
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
};

}  // namespace tessera::http

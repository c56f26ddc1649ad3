// The bytes of a streamed answer as events, whichever way the provider cuts it.
#pragma once

#include <string_view>
#include <variant>

#include "http/json_stream.h"
#include "http/sse.h"
#include "providers/aws_event_stream.h"
#include "providers/provider.h"

namespace tessera::gateway {

class EventReader {
 public:
  explicit EventReader(providers::Framing framing) {
    using enum providers::Framing;
    switch (framing) {
      case kServerSentEvents:
        parser_.emplace<http::SseParser>(http::kMaxStreamEventBytes);
        break;
      case kNdjson:
        parser_.emplace<http::NdjsonParser>();
        break;
      case kAwsEventStream:
        parser_.emplace<providers::AwsEventStreamParser>();
        break;
      case kJsonArray:
        parser_.emplace<http::JsonArrayParser>();
        break;
    }
  }

  // Calls `take(WireEvent)` for each event; the views are good during the call. Throws Error for
  // bytes that are no such stream.
  template <class Take>
  void feed(std::string_view bytes, Take&& take) {
    std::visit([&](auto& parser) { give(parser.feed(bytes), take); }, parser_);
  }

  // The upstream has ended: what it left without its own end.
  template <class Take>
  void finish(Take&& take) {
    std::visit(
        [&](auto& parser) {
          if constexpr (requires { parser.finish(); }) give(parser.finish(), take);
        },
        parser_);
  }

 private:
  static providers::WireEvent view(const http::SseEvent& event) {
    return {event.event, event.data};
  }
  static providers::WireEvent view(const std::string& data) { return {{}, data}; }
  static providers::WireEvent view(const providers::AwsFrame& frame) {
    return {frame.name, frame.data, frame.exception};
  }

  template <class Events, class Take>
  static void give(const Events& events, Take& take) {
    for (const auto& event : events) take(view(event));
  }

  std::variant<http::SseParser, http::NdjsonParser, http::JsonArrayParser,
               providers::AwsEventStreamParser>
      parser_;
};

}  // namespace tessera::gateway

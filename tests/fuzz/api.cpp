// Request bodies and upstreams' answers. A body that is accepted must reach a worker unchanged:
// what is written for the wire reads back as the same request.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "api/chat.h"
#include "api/completion.h"
#include "api/embedding.h"
#include "api/error_json.h"
#include "api/json_scan.h"
#include "api/messages.h"
#include "api/responses.h"
#include "api/stream_fold.h"
#include "base/json.h"

namespace {

using namespace tessera;
using namespace tessera::api;

template <class Parse>
void round_trip(const Body& body, Parse parse) {
  for (const Profile profile : {Profile::kDatabricks, Profile::kOpen, Profile::kInternal}) {
    ParseOptions options = ParseOptions::for_profile(profile);
    options.allow_chat_template = options.allow_suffix = options.allow_priority = true;
    std::string wire;
    try {
      wire = to_json(parse(body, options));
    } catch (const Error&) {
      continue;
    }
    // No Error may come from here on.
    const auto again = parse(Body(wire), ParseOptions::for_profile(Profile::kInternal));
    if (to_json(again) != wire) std::abort();
  }
}

// What a provider of OpenAI's form would get of an external request, read by another one of us.
template <class Parse>
void external_round_trip(const Body& body, Parse parse) {
  const ParseOptions options = ParseOptions::for_profile(Profile::kExternal);
  std::string wire;
  try {
    wire = to_json(parse(body, options));
  } catch (const Error&) {
    return;
  }
  if (to_json(parse(Body(wire), options)) != wire) std::abort();
}

// Requests of other APIs are refused or become ours; chunks never break a writer.
void translations(const Body& body) {
  for (const Profile profile : {Profile::kDatabricks, Profile::kExternal}) {
    const ParseOptions options = ParseOptions::for_profile(profile);
    for (const auto parse : {parse_messages_request, parse_responses_request}) {
      try {
        parse_json(to_json(parse(body, options)));
      } catch (const Error& error) {
        if (http_status(error.kind) >= 500) std::abort();
      }
    }
  }
}

void write_streams(std::string_view text) {
  MessagesStream messages("1", 0);
  ResponsesStream responses({}, "1", 0);
  ChatFold fold;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    try {
      const ChatChunk chunk = parse_chat_chunk(text.substr(0, end));
      messages.write(chunk);
      responses.write(chunk);
      to_legacy_json(chunk);
      fold.add(chunk);
    } catch (const Error& error) {
      if (error.kind != ErrorKind::kUpstreamBadGateway) std::abort();
      messages.error(error);
      responses.error(error);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  messages.finish();
  responses.finish();
  const ChatResponse whole = fold.finish();
  parse_json(messages_json(whole));
  parse_json(responses_json(whole, {}));
  parse_json(to_legacy_json(whole));
}

template <class Parse>
void answer(std::string_view text, Parse parse) {
  try {
    const std::string written = to_json(parse(text));
    if (to_json(parse(written)) != written) std::abort();
  } catch (const Error& error) {
    if (error.kind != ErrorKind::kUpstreamBadGateway) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Body body(text);
    round_trip(body, parse_chat_request);
    round_trip(body, parse_completion_request);
    round_trip(body, parse_embedding_request);
    external_round_trip(body, parse_chat_request);
    external_round_trip(body, parse_completion_request);
    external_round_trip(body, parse_embedding_request);
    translations(body);
  } catch (const Error& error) {
    if (error.kind != ErrorKind::kBadJson && error.kind != ErrorKind::kOutOfRange) std::abort();
  }
  write_streams(text);
  answer(text, parse_chat_response);
  answer(text, parse_chat_chunk);
  answer(text, parse_completion_response);
  answer(text, [](std::string_view t) { return parse_embedding_response(t); });
  parse_error(500, text);
  parse_stream_error(text);
  top_level_member(text, "usage");
  return 0;
}

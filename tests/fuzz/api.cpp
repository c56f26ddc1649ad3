// Request bodies and upstreams' answers. A body that is accepted must reach a worker unchanged:
// what is written for the wire reads back as the same request.
#include <cstdint>
#include <cstdlib>

#include "api/chat.h"
#include "api/completion.h"
#include "api/embedding.h"
#include "api/error_json.h"
#include "api/json_scan.h"

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
  } catch (const Error& error) {
    if (error.kind != ErrorKind::kBadJson && error.kind != ErrorKind::kOutOfRange) std::abort();
  }
  answer(text, parse_chat_response);
  answer(text, parse_chat_chunk);
  answer(text, parse_completion_response);
  answer(text, [](std::string_view t) { return parse_embedding_response(t); });
  parse_error(500, text);
  parse_stream_error(text);
  top_level_member(text, "usage");
  return 0;
}

// NDJSON and growing JSON arrays: arbitrary bytes, cut anywhere, must give the same events as in
// one piece.
#include "http/json_stream.h"

#include <cstdint>
#include <cstdlib>

#include "base/error.h"

namespace {

constexpr std::size_t kLimit = 4096;

template <class Parser>
std::string events(std::string_view text, std::size_t step, bool& refused) {
  std::string out;
  try {
    Parser parser(kLimit);
    for (std::size_t i = 0; i < text.size(); i += step) {
      for (const std::string& event : parser.feed(text.substr(i, step))) out += event + '\1';
    }
    if constexpr (requires { parser.finish(); }) {
      for (const std::string& event : parser.finish()) out += event + '\1';
    }
  } catch (const tessera::Error&) {
    refused = true;
  }
  return out;
}

template <class Parser>
void compare(std::string_view text, std::size_t step) {
  bool whole_refused = false, cut_refused = false;
  const std::string whole = events<Parser>(text, text.size(), whole_refused);
  const std::string cut = events<Parser>(text, step, cut_refused);
  // A refused stream has given fewer events in one piece than in many.
  if (whole_refused != cut_refused || (!whole_refused && whole != cut)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera::http;
  if (size < 2) return 0;
  const std::size_t step = data[0] % 17 + 1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  compare<NdjsonParser>(text, step);
  compare<JsonArrayParser>(text, step);
  return 0;
}

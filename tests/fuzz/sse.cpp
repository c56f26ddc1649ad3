// SSE: arbitrary bytes, cut anywhere, must give the same events as in one piece.
#include "http/sse.h"

#include <cstdint>
#include <cstdlib>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera::http;
  if (size < 2) return 0;
  std::size_t step = data[0] % 17 + 1;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::size_t kLimit = 4096;
  std::string whole, cut;
  auto append = [](std::string& out, const std::vector<SseEvent>& events) {
    for (const SseEvent& e : events) out += e.event + '\1' + e.data + '\1' + e.id + '\2';
  };
  bool whole_refused = false, cut_refused = false;
  try {
    SseParser parser(kLimit);
    append(whole, parser.feed(text));
  } catch (const tessera::Error&) {
    whole_refused = true;
  }
  try {
    SseParser parser(kLimit);
    for (std::size_t i = 0; i < text.size(); i += step)
      append(cut, parser.feed(text.substr(i, step)));
  } catch (const tessera::Error&) {
    cut_refused = true;
  }
  // A refused stream has given fewer events in one piece than in many.
  if (whole_refused != cut_refused || (!whole_refused && whole != cut)) std::abort();
  return 0;
}

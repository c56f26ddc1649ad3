// AWS event streams: arbitrary bytes, cut anywhere, must give the same frames as in one piece. Half
// of the inputs get right checksums, or nothing behind them would ever be reached.
#include "providers/aws_event_stream.h"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace {

using tessera::providers::AwsEventStreamParser;

void put_u32(std::string& bytes, std::size_t at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

// The whole input as one frame whose lengths and checksums are right.
std::string repaired(std::string bytes, std::size_t header_bytes) {
  if (bytes.size() < 16) return bytes;
  put_u32(bytes, 0, static_cast<std::uint32_t>(bytes.size()));
  put_u32(bytes, 4, static_cast<std::uint32_t>(header_bytes % (bytes.size() - 15)));
  put_u32(bytes, 8, tessera::providers::crc32(bytes.substr(0, 8)));
  put_u32(bytes, bytes.size() - 4, tessera::providers::crc32(bytes.substr(0, bytes.size() - 4)));
  return bytes;
}

// What came out, and whether it ended with an error.
std::string fed(const std::string& bytes, std::size_t step, bool& refused) {
  std::string out;
  AwsEventStreamParser parser(4096);
  try {
    for (std::size_t i = 0; i < bytes.size(); i += step) {
      for (const auto& frame : parser.feed(std::string_view(bytes).substr(i, step))) {
        out += frame.name + '\1' + frame.data + (frame.exception ? "\2" : "\3");
      }
    }
    parser.finish();
  } catch (const tessera::Error&) {
    refused = true;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::size_t step = data[0] % 17 + 1;
  std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[0] >= 128) bytes = repaired(std::move(bytes), data[1]);
  bool whole_refused = false, cut_refused = false;
  const std::string whole = fed(bytes, bytes.size(), whole_refused);
  const std::string cut = fed(bytes, step, cut_refused);
  if (whole_refused != cut_refused || whole != cut) std::abort();
  return 0;
}

#include "providers/aws_event_stream.h"

#include <array>

#include "base/json.h"
#include "providers/failure.h"

namespace tessera::providers {
namespace {

constexpr std::size_t kPrelude = 12;  // two lengths and their checksum
constexpr std::size_t kTrailer = 4;
constexpr std::size_t kMaxHeaders = 128u << 10;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0xEDB88320u : 0u);
    table[i] = c;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_table();

std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::size_t read_u16(std::string_view bytes) {
  return static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) << 8 |
         static_cast<unsigned char>(bytes[1]);
}

void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

Error bad_frame(std::string_view what) {
  return bad_response("amazon-bedrock", "in the event stream, " + std::string(what));
}

// Takes `count` bytes off the front.
std::string_view take(std::string_view& bytes, std::size_t count) {
  if (bytes.size() < count) throw bad_frame("a header ends too early");
  const std::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return taken;
}

// Bytes of a value by its type; types 6 and 7 say their length themselves.
std::string_view take_value(std::string_view& bytes, int type) {
  static constexpr std::size_t kSizes[] = {0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
  if (type > 9) throw bad_frame("a header has an unknown type");
  if (type == 6 || type == 7) return take(bytes, read_u16(take(bytes, 2)));
  return take(bytes, kSizes[type]);
}

AwsFrame read_frame(std::string_view headers, std::string_view payload) {
  AwsFrame frame{.data = std::string(payload)};
  std::string_view message_type, error_message;
  while (!headers.empty()) {
    const auto name_length = static_cast<unsigned char>(take(headers, 1)[0]);
    const std::string_view name = take(headers, name_length);
    const int type = static_cast<unsigned char>(take(headers, 1)[0]);
    const std::string_view value = take_value(headers, type);
    if (type != 7) continue;  // only strings have a meaning here
    if (name == ":message-type") message_type = value;
    if (name == ":event-type" || name == ":exception-type" || name == ":error-code") {
      frame.name = value;
    }
    if (name == ":error-message") error_message = value;
  }
  frame.exception = message_type == "exception" || message_type == "error";
  if (!frame.exception && message_type != "event") {
    throw bad_frame("a frame says neither event nor exception nor error");
  }
  if (message_type == "error") {
    frame.data = "{\"message\":";
    append_json_string(frame.data, error_message);
    frame.data += '}';
  }
  return frame;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t crc) {
  crc = ~crc;
  for (const char c : bytes) {
    crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
  }
  return ~crc;
}

AwsEventStreamParser::AwsEventStreamParser(std::size_t max_payload_bytes)
    : max_payload_bytes_(max_payload_bytes) {}

std::vector<AwsFrame> AwsEventStreamParser::feed(std::string_view bytes) {
  if (broken_) throw *broken_;
  buffer_ += bytes;
  std::vector<AwsFrame> frames;
  try {
    read(frames);
  } catch (const Error& error) {
    broken_ = error;
    if (frames.empty()) throw;
  }
  return frames;
}

std::vector<AwsFrame> AwsEventStreamParser::finish() {
  if (broken_) throw *broken_;
  return {};
}

void AwsEventStreamParser::read(std::vector<AwsFrame>& frames) {
  while (buffer_.size() - start_ >= kPrelude) {
    const std::string_view rest = std::string_view(buffer_).substr(start_);
    const std::size_t total = read_u32(rest), headers = read_u32(rest.substr(4));
    // Checked before the lengths are believed.
    const std::uint32_t prelude_crc = crc32(rest.substr(0, 8));
    if (prelude_crc != read_u32(rest.substr(8))) throw bad_frame("a prelude's checksum is wrong");
    if (total < kPrelude + kTrailer || headers > total - kPrelude - kTrailer) {
      throw bad_frame("a frame's lengths contradict each other");
    }
    const std::size_t payload = total - kPrelude - kTrailer - headers;
    if (headers > kMaxHeaders || payload > max_payload_bytes_) {
      throw bad_frame("a frame is too large");
    }
    if (rest.size() < total) break;
    const std::string_view frame = rest.substr(0, total);
    if (crc32(frame.substr(0, total - kTrailer)) != read_u32(frame.substr(total - kTrailer))) {
      throw bad_frame("a frame's checksum is wrong");
    }
    frames.push_back(
        read_frame(frame.substr(kPrelude, headers), frame.substr(kPrelude + headers, payload)));
    start_ += total;
  }
  if (start_ == buffer_.size()) {
    buffer_.clear();
    start_ = 0;
  } else if (start_ > (64u << 10)) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
}

std::string aws_frame(const std::vector<std::pair<std::string, std::string>>& headers,
                      std::string_view payload) {
  std::string head;
  for (const auto& [name, value] : headers) {
    head += static_cast<char>(name.size());
    head += name;
    head += '\7';
    head += static_cast<char>(value.size() >> 8 & 0xFF);
    head += static_cast<char>(value.size() & 0xFF);
    head += value;
  }
  std::string frame;
  append_u32(frame, static_cast<std::uint32_t>(kPrelude + head.size() + payload.size() + kTrailer));
  append_u32(frame, static_cast<std::uint32_t>(head.size()));
  append_u32(frame, crc32(frame));
  frame += head;
  frame += payload;
  append_u32(frame, crc32(frame));
  return frame;
}

}  // namespace tessera::providers

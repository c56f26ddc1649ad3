// The binary frames of application/vnd.amazon.eventstream
// (https://smithy.io/2.0/aws/amazon-eventstream.html; external-providers 9.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tessera::providers {

struct AwsFrame {
  std::string name;        // :event-type; of exceptions :exception-type; of errors :error-code
  std::string data;        // the payload; of errors {"message": :error-message}
  bool exception = false;  // an exception or an error: it ends the stream
};

// Fed with arbitrary pieces; yields whole frames. After an Error it throws that again.
class AwsEventStreamParser {
 public:
  explicit AwsEventStreamParser(std::size_t max_payload_bytes = 24u << 20);
  // Throws Error(kProviderBadResponse) for a wrong checksum or length or a header that is none;
  // frames before it come first, and the Error with the next call.
  std::vector<AwsFrame> feed(std::string_view bytes);
  // The stream has ended. Empty: a frame that was cut off is for the decoder to miss.
  std::vector<AwsFrame> finish();
  bool in_frame() const { return buffer_.size() > start_; }  // the stream ends too early here

 private:
  void read(std::vector<AwsFrame>& frames);

  std::size_t max_payload_bytes_;
  std::optional<Error> broken_;  // nothing behind it can be read
  std::string buffer_;
  std::size_t start_ = 0;  // of the next frame in the buffer
};

// One frame with string headers; what mocks and tests send.
std::string aws_frame(const std::vector<std::pair<std::string, std::string>>& headers,
                      std::string_view payload);

// CRC-32 as in zlib (polynomial 0xEDB88320, reflected).
std::uint32_t crc32(std::string_view bytes, std::uint32_t crc = 0);

}  // namespace tessera::providers

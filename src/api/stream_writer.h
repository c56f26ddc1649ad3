// A chat stream as another API's clients read it: chunks in, complete server-sent events out.
#pragma once

#include <string>

#include "api/chat.h"
#include "base/error.h"

namespace tessera::api {

// One per stream. Each answer is text to be sent as it is, with `event:` lines and blank lines; it
// may be empty.
class ChatStreamWriter {
 public:
  virtual ~ChatStreamWriter() = default;
  virtual std::string write(const ChatChunk& chunk) = 0;
  // After the last chunk; usage came in chunks.
  virtual std::string finish() = 0;
  // The event that ends a broken stream, instead of finish().
  virtual std::string error(const Error& error) = 0;
};

}  // namespace tessera::api

// A stream folded into the plain answer: the one place that says what chunks add up to. The
// worker's plain reply is made this way, so streaming and not cannot differ.
#pragma once

#include "api/chat.h"
#include "api/completion.h"

namespace tessera::api {

class ChatFold {
 public:
  void add(ChatChunk chunk);
  // The answer so far; choices by index. Call once.
  ChatResponse finish();

 private:
  ChatResponse response_;
};

class CompletionFold {
 public:
  void add(CompletionResponse chunk);
  CompletionResponse finish();

 private:
  CompletionResponse response_;
};

}  // namespace tessera::api

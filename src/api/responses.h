// OpenAI's Responses API in front of any chat model (data-plane 2.8;
// https://platform.openai.com/docs/api-reference/responses, …/responses-streaming).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/body.h"
#include "api/chat.h"
#include "api/options.h"
#include "api/stream_writer.h"

namespace tessera::api {

class JsonWriter;

// What needs a memory of earlier answers (store, previous_response_id, conversation, background)
// is an Error(kUnsupportedParameter), as are tools that are no functions.
ChatRequest parse_responses_request(const Body& body, const ParseOptions& options);

// A `response` object; errors have the usual form (error_json).
std::string responses_json(const ChatResponse& response, const ChatRequest& request);

class ResponsesStream final : public ChatStreamWriter {
 public:
  // The id is "resp_" + the suffix.
  ResponsesStream(const ChatRequest& request, std::string id_suffix, std::int64_t created);

  std::string write(const ChatChunk& chunk) override;
  std::string finish() override;
  std::string error(const Error& error) override;

 private:
  enum class Kind { kReasoning, kText, kRefusal, kCall };
  // An entry of `output`, as far as it is known.
  struct Item {
    Kind kind;
    std::string id;
    std::string text;           // arguments of a call
    std::string call_id, name;  // kCall
    int call = -1;              // kCall: its index in the chunks
    bool open = true;
  };

  void start(const ChatChunk& chunk, std::string& out);
  Item& item_of(Kind kind, const ToolCallDelta* call, std::string& out);
  void say(Kind kind, std::string_view piece, std::string& out);
  void call(const ToolCallDelta& delta, std::string& out);
  void close(std::string& out);
  // The one part of a reasoning or message item.
  static void write_part_of(JsonWriter& w, const Item& item);
  static void write_item(JsonWriter& w, const Item& item, std::string_view status);
  std::string object(std::string_view status, const Error* error) const;
  void event(std::string_view type, std::string_view members, std::string& out);

  std::string id_suffix_, model_;
  std::int64_t created_;
  std::string repeated_;  // members of the answer that repeat the request
  std::int64_t sequence_ = 0;
  bool started_ = false;
  std::vector<Item> items_;
  std::optional<FinishReason> finish_;
  std::optional<Usage> usage_;
};

}  // namespace tessera::api

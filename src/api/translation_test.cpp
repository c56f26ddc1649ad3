// Every folder of tests/golden/messages and tests/golden/responses is a case of that API in front
// of chat models; a new one needs no C++.
//
//   client.json   what a client of the API sends   -> chat.json, the chat request, or
//                                                     refused.json {"code", "param", "message"}
//   answer.json   a chat answer                    -> reply.json
//   chunks.sse    a chat stream; an `error` event  -> reply.sse
//                 breaks it
//   profile       external (the usual one), open or databricks
//
// With TESSERA_WRITE_GOLDENS=1 the second file of a pair is written where it is missing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/error_json.h"
#include "api/messages.h"
#include "api/responses.h"
#include "api/stream_fold.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

namespace fs = std::filesystem;

using tessera::to_json;  // of JSON values, beside those of api

constexpr std::int64_t kNow = 1'750'000'000;

struct Case {
  fs::path folder;
  bool messages = true;  // else responses

  bool has(const char* file) const { return fs::exists(folder / file); }
  std::string text(const char* file) const {
    std::ifstream stream(folder / file, std::ios::binary);
    std::stringstream all;
    all << stream.rdbuf();
    return all.str();
  }
  std::string wanted(const char* file, std::string_view made) const {
    if (!has(file) && std::getenv("TESSERA_WRITE_GOLDENS") != nullptr) {
      std::ofstream(folder / file) << made;
    }
    return text(file);
  }
};

std::vector<Case> cases() {
  std::vector<Case> found;
  for (const char* api : {"messages", "responses"}) {
    for (const auto& entry :
         fs::directory_iterator(fs::path(TESSERA_SOURCE_DIR) / "tests/golden" / api)) {
      if (entry.is_directory())
        found.push_back({entry.path(), api == std::string_view("messages")});
    }
  }
  std::ranges::sort(found, {}, &Case::folder);
  return found;
}

ChatRequest parse(const Case& c) {
  const std::string profile = std::string(trim(c.text("profile")));
  const ParseOptions options =
      ParseOptions::for_profile(profile == "open"         ? Profile::kOpen
                                : profile == "databricks" ? Profile::kDatabricks
                                                          : Profile::kExternal);
  const Body body(c.text("client.json"));
  return c.messages ? parse_messages_request(body, options)
                    : parse_responses_request(body, options);
}

ChatRequest request_of(const Case& c) {
  return c.has("client.json") && !c.has("refused.json") ? parse(c) : ChatRequest();
}

// The chunks, and the error that breaks the stream, if one does.
std::pair<std::vector<ChatChunk>, std::optional<Error>> read_chunks(const std::string& sse) {
  std::vector<ChatChunk> chunks;
  for (const std::string_view line : split(sse, '\n')) {
    if (!line.starts_with("data: {")) continue;
    const std::string_view data = line.substr(6);
    if (auto error = parse_stream_error(data)) return {chunks, error};
    chunks.push_back(parse_chat_chunk(data));
  }
  return {chunks, std::nullopt};
}

std::unique_ptr<ChatStreamWriter> writer_of(const Case& c) {
  if (c.messages) return std::make_unique<MessagesStream>("0123", 10);
  return std::make_unique<ResponsesStream>(request_of(c), "0123", kNow);
}

std::string write_stream(const Case& c, const std::string& sse) {
  const auto writer = writer_of(c);
  const auto [chunks, error] = read_chunks(sse);
  std::string out;
  for (const ChatChunk& chunk : chunks) out += writer->write(chunk);
  return out + (error ? writer->error(*error) : writer->finish());
}

std::vector<json::object> events_of(const std::string& sse) {
  std::vector<json::object> events;
  std::string name;
  for (const std::string_view line : split(sse, '\n')) {
    if (line.starts_with("event: ")) name = line.substr(7);
    if (!line.starts_with("data: ")) continue;
    events.push_back(parse_json_object(line.substr(6)));
    EXPECT_EQ(events.back().at("type").as_string(), name);
  }
  return events;
}

// What a client makes of the events of a Messages stream.
json::object accumulate_messages(const std::string& sse) {
  json::object message;
  std::vector<std::string> inputs;
  for (const json::object& event : events_of(sse)) {
    const std::string type(event.at("type").as_string());
    if (type == "message_start") {
      message = event.at("message").as_object();
    } else if (type == "content_block_start") {
      EXPECT_EQ(static_cast<std::size_t>(event.at("index").as_int64()), inputs.size());
      message.at("content").as_array().push_back(event.at("content_block"));
      inputs.emplace_back();
    } else if (type == "content_block_delta") {
      const auto index = static_cast<std::size_t>(event.at("index").as_int64());
      json::object& block = message.at("content").as_array().at(index).as_object();
      const json::object& delta = event.at("delta").as_object();
      const std::string kind(delta.at("type").as_string());
      const auto append = [&](const char* field) {
        block[field] =
            std::string(block.at(field).as_string()) + std::string(delta.at(field).as_string());
      };
      if (kind == "text_delta") append("text");
      if (kind == "thinking_delta") append("thinking");
      if (kind == "signature_delta") append("signature");
      if (kind == "input_json_delta") inputs.at(index) += delta.at("partial_json").as_string();
    } else if (type == "content_block_stop") {
      const auto index = static_cast<std::size_t>(event.at("index").as_int64());
      json::object& block = message.at("content").as_array().at(index).as_object();
      if (block.at("type") == "tool_use" && !inputs.at(index).empty()) {
        block["input"] = parse_json(inputs.at(index));
      }
    } else if (type == "message_delta") {
      for (const auto& [key, value] : event.at("delta").as_object()) message[key] = value;
      message["usage"] = event.at("usage");
    }
  }
  return message;
}

// A stream says what the plain answer would have said.
void expect_same_as_plain(const Case& c, const std::string& chunks, const std::string& sse) {
  const auto [list, error] = read_chunks(chunks);
  if (error) return;
  ChatFold fold;
  for (const ChatChunk& chunk : list) fold.add(chunk);
  const ChatResponse plain = fold.finish();
  if (c.messages) {
    const json::object want = parse_json_object(messages_json(plain));
    const json::object got = accumulate_messages(sse);
    for (const char* member : {"content", "stop_reason", "stop_sequence", "usage", "model"}) {
      // Usage that nobody told is the caller's estimate in the stream.
      if (member == std::string_view("usage") && !plain.usage) continue;
      EXPECT_EQ(to_json(got.at(member)), to_json(want.at(member))) << member;
    }
    return;
  }
  const json::object want = parse_json_object(responses_json(plain, request_of(c)));
  const std::vector<json::object> events = events_of(sse);
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].at("sequence_number").as_int64(), static_cast<std::int64_t>(i));
  }
  const json::object got = events.back().at("response").as_object();
  for (const char* member : {"status", "usage", "model", "incomplete_details", "tools", "text"}) {
    EXPECT_EQ(to_json(got.at(member)), to_json(want.at(member))) << member;
  }
  const auto without_ids = [](json::value output) {
    for (json::value& item : output.as_array()) item.as_object().erase("id");
    return to_json(output);
  };
  EXPECT_EQ(without_ids(got.at("output")), without_ids(want.at("output")));
}

int run(const Case& c) {
  int pairs = 0;
  if (c.has("refused.json")) {
    ++pairs;
    const json::object wanted = parse_json_object(c.text("refused.json"));
    try {
      parse(c);
      ADD_FAILURE() << "was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code.empty() ? wire_form(error.kind).openai_code : error.code,
                wanted.at("code").as_string());
      EXPECT_EQ(error.param, wanted.at("param").as_string());
      if (const auto text = get_string(wanted, "message")) {
        EXPECT_NE(error.message.find(*text), std::string::npos) << error.message;
      }
    }
  } else if (c.has("client.json")) {
    ++pairs;
    const std::string chat = to_json(parse(c));
    EXPECT_EQ(to_json(parse_json(chat)), to_json(parse_json(c.wanted("chat.json", chat))));
  }
  if (c.has("answer.json")) {
    ++pairs;
    const ChatResponse answer = parse_chat_response(c.text("answer.json"));
    const std::string reply =
        c.messages ? messages_json(answer) : responses_json(answer, request_of(c));
    EXPECT_EQ(to_json(parse_json(reply)), to_json(parse_json(c.wanted("reply.json", reply))));
  }
  if (c.has("chunks.sse")) {
    ++pairs;
    const std::string chunks = c.text("chunks.sse");
    const std::string reply = write_stream(c, chunks);
    EXPECT_EQ(reply, c.wanted("reply.sse", reply));
    expect_same_as_plain(c, chunks, reply);
  }
  return pairs;
}

TEST(Translation, Cases) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.folder.string());
    try {
      EXPECT_GT(run(c), 0) << "no pair of files in this folder";
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(Translation, ErrorsOfMessages) {
  struct Row {
    ErrorKind kind;
    const char* type;
  };
  for (const Row& row : {Row{ErrorKind::kBadValue, "invalid_request_error"},
                         {ErrorKind::kBadToken, "authentication_error"},
                         {ErrorKind::kPermissionDenied, "permission_error"},
                         {ErrorKind::kEndpointNotFound, "not_found_error"},
                         {ErrorKind::kPayloadTooLarge, "request_too_large"},
                         {ErrorKind::kRateLimited, "rate_limit_error"},
                         {ErrorKind::kProviderQuotaExhausted, "rate_limit_error"},
                         {ErrorKind::kProviderError, "api_error"},
                         {ErrorKind::kInternal, "api_error"},
                         {ErrorKind::kProviderOverloaded, "overloaded_error"},
                         {ErrorKind::kProviderTimeout, "timeout_error"}}) {
    const std::string json = messages_error_json(Error(row.kind, "why \"so\""), "req-1");
    EXPECT_EQ(json, std::string(R"({"type":"error","error":{"type":")") + row.type +
                        R"(","message":"why \"so\""},"request_id":"req-1"})");
  }
  MessagesStream stream("1", 0);
  EXPECT_EQ(stream.error(Error(ErrorKind::kNotReady, "later")),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
            "\"message\":\"later\"}}\n\n");
}

// Clients put blocks together by their index: one that is late still finds its own.
TEST(Translation, CallsThatInterleave) {
  MessagesStream messages("1", 0);
  ResponsesStream responses({}, "1", kNow);
  std::string sse, events;
  const auto say = [&](ToolCallDelta call) {
    ChatChunk chunk;
    chunk.choices.emplace_back().delta.tool_calls.push_back(std::move(call));
    sse += messages.write(chunk);
    events += responses.write(chunk);
  };
  say({.index = 0, .id = "a", .name = "f", .arguments = "{\"x\":"});
  say({.index = 1, .id = "b", .name = "g", .arguments = "{}"});
  say({.index = 0, .arguments = "1}"});
  say({.index = -1, .arguments = "lost"});
  say({.index = 5000, .arguments = "lost"});
  sse += messages.finish();
  events += responses.finish();
  EXPECT_NE(
      sse.find(R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",)"
               R"("partial_json":"1}"}})"),
      std::string::npos);
  const json::object last = events_of(events).back();
  EXPECT_EQ(last.at("response").at("output").at(0).at("arguments"), "{\"x\":1}");
  EXPECT_EQ(last.at("response").at("output").at(1).at("arguments"), "{}");
}

TEST(Translation, NothingAtAll) {
  EXPECT_EQ(parse_json(messages_json({})).at("content").as_array().size(), 0u);
  MessagesStream messages("1", 3);
  const json::object message = accumulate_messages(messages.finish());
  EXPECT_EQ(message.at("stop_reason"), "end_turn");
  EXPECT_EQ(message.at("usage").at("input_tokens"), 3);
  ResponsesStream responses({}, "1", kNow);
  EXPECT_EQ(events_of(responses.finish()).back().at("type"), "response.completed");
  ResponsesStream broken({}, "1", kNow);
  const json::object failed = events_of(broken.error(Error(ErrorKind::kInternal, "no"))).back();
  EXPECT_EQ(failed.at("type"), "response.failed");
  EXPECT_EQ(failed.at("response").at("error").at("message"), "no");
}

}  // namespace
}  // namespace tessera::api

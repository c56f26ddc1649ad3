#include "api/stream_fold.h"

#include <gtest/gtest.h>

namespace tessera::api {
namespace {

ChatChunk chunk(int index, std::string text, std::optional<FinishReason> finish = {}) {
  ChatChunk chunk{.id = "chatcmpl-1", .created = 5, .model = "m", .system_fingerprint = "f"};
  ChatChunkChoice choice{.index = index, .finish_reason = finish};
  if (!finish) choice.delta.content = std::move(text);
  chunk.choices.push_back(std::move(choice));
  return chunk;
}

TEST(ChatFold, ChoicesMayInterleave) {
  ChatFold fold;
  fold.add(chunk(1, ""));
  fold.add(chunk(0, ""));
  ChatChunk with_logprob = chunk(1, "b");
  ChatTokenLogprob token;
  token.token = "b";
  with_logprob.choices[0].logprobs = ChatLogprobs{{token}};
  fold.add(with_logprob);
  fold.add(chunk(0, "a"));
  with_logprob.choices[0].delta.content = "B";
  fold.add(with_logprob);
  fold.add(chunk(1, "", FinishReason::kLength));
  fold.add(chunk(0, "", FinishReason::kStop));
  ChatChunk last{.usage = Usage{.prompt_tokens = 1, .completion_tokens = 3, .total_tokens = 4}};
  fold.add(last);

  const ChatResponse response = fold.finish();
  EXPECT_EQ(response.id, "chatcmpl-1");
  EXPECT_EQ(response.system_fingerprint, "f");
  ASSERT_EQ(response.choices.size(), 2u);
  EXPECT_EQ(response.choices[0].index, 0);
  EXPECT_EQ(response.choices[0].message.content, "a");
  EXPECT_EQ(response.choices[0].finish_reason, FinishReason::kStop);
  EXPECT_FALSE(response.choices[0].logprobs);
  EXPECT_EQ(response.choices[1].message.content, "bB");
  EXPECT_EQ(response.choices[1].logprobs->content.size(), 2u);
  EXPECT_EQ(response.usage->total_tokens, 4);
}

TEST(ChatFold, CallsAreJoinedAndLeaveNullContent) {
  ChatFold fold;
  ChatChunk piece = chunk(0, "");
  piece.choices[0].delta.tool_calls = {{.index = 0, .id = "c1", .name = "f"}};
  fold.add(piece);
  for (const char* part : {"{\"a\"", ":1}"}) {
    ChatChunk more{.id = "x"};
    more.choices.push_back({.delta = {.tool_calls = {{.index = 0, .arguments = part}}}});
    fold.add(more);
  }
  ChatChunk hostile{.id = "x"};
  hostile.choices.push_back({.delta = {.tool_calls = {{.index = -5}}}});
  fold.add(hostile);
  const ChatResponse response = fold.finish();
  ASSERT_EQ(response.choices.at(0).message.tool_calls.size(), 1u);
  EXPECT_EQ(response.choices[0].message.tool_calls[0].arguments, "{\"a\":1}");
  EXPECT_FALSE(response.choices[0].message.content);
}

TEST(CompletionFold, TextAndParallelArrays) {
  CompletionFold fold;
  const auto piece = [](const char* token, std::int64_t offset) {
    CompletionResponse chunk{.id = "cmpl-1", .null_usage = true};
    CompletionLogprobs logprobs{.tokens = {token}, .token_logprobs = {-1.0}};
    logprobs.top_logprobs.emplace_back();
    logprobs.text_offset = {offset};
    chunk.choices.push_back({.text = token, .logprobs = logprobs});
    return chunk;
  };
  fold.add(piece("he", 0));
  fold.add(piece("y", 2));
  CompletionResponse last;
  last.choices.push_back({.finish_reason = FinishReason::kStop, .stop_reason = StopReason("END")});
  fold.add(last);
  const CompletionResponse response = fold.finish();
  ASSERT_EQ(response.choices.size(), 1u);
  EXPECT_EQ(response.choices[0].text, "hey");
  EXPECT_EQ(response.choices[0].logprobs->text_offset, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(response.choices[0].finish_reason, FinishReason::kStop);
  EXPECT_EQ(to_json(response).find("\"usage\""), std::string::npos);
}

TEST(CompletionFold, NothingAtAll) { EXPECT_TRUE(CompletionFold().finish().choices.empty()); }

}  // namespace
}  // namespace tessera::api

// The handlers over a real engine with the fake model and a tokenizer of single characters, so that
// answers can be worked out by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "api/chat.h"
#include "api/completion.h"
#include "base/json.h"
#include "base/strings.h"
#include "engine/fake_language_model.h"
#include "engine/fake_tokenizer.h"
#include "http/sse.h"
#include "worker/chat_handler.h"
#include "worker/completion_handler.h"
#include "worker/embed_handler.h"
#include "worker/served_model.h"

namespace tessera {
namespace {

using namespace std::chrono_literals;
using Tokens = std::vector<std::int32_t>;
namespace asio = boost::asio;
using Handler = asio::awaitable<http::Response> (*)(const ServedModel&, http::Request);

constexpr char kTemplate[] =
    "{% for m in messages %}{{ m['role'][0] }}:{{ m['content'] }};{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}";

Tokens encode(std::string_view text) {
  Tokens out;
  for (char c : text) out.push_back(c == ' ' ? 96 : c - '!' + 2);
  return out;
}

std::string decode(const Tokens& tokens) {
  std::string out;
  for (std::int32_t id : tokens) {
    if (id >= 2) out += id == 96 ? ' ' : static_cast<char>(id - 2 + '!');
  }
  return out;
}

std::string greedy_text(std::string_view prompt, int tokens) {
  return decode(FakeLanguageModel::greedy(encode(prompt), tokens));
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    assets_.tokenizer = make_tokenizer(fake_tokenizer_json());
    assets_.chat_template_source = kTemplate;
    assets_.chat_template =
        std::make_unique<const ChatTemplate>(kTemplate, assets_.tokenizer->special_tokens());
    LoadedModel loaded;
    auto fake = std::make_unique<FakeLanguageModel>(256);
    fake->before_forward = [this](const Batch&) {
      if (step_delay_ms_ > 0) std::this_thread::sleep_for(1ms * step_delay_ms_.load());
    };
    loaded.language = std::move(fake);
    EngineOptions options;
    options.kv_type = KvType::kF32;
    engine_ = std::make_unique<Engine>(options, std::make_unique<ThreadPool>(1), std::move(loaded));
    auto parsing = api::ParseOptions::for_profile(api::Profile::kOpen);
    parsing.vocab_size = FakeLanguageModel::kVocab;
    model_.emplace(ServedModel{.engine = *engine_,
                               .assets = assets_,
                               .metrics = metrics_,
                               .name = "fake",
                               .fingerprint = "fp_0123456789",
                               .parsing = parsing});
  }

  template <class T>
  T run(asio::awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    io_.restart();
    asio::co_spawn(io_, std::move(work), [&](std::exception_ptr e, T value) {
      failure = e;
      if (!e) result.emplace(std::move(value));
    });
    io_.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

  http::Response call(Handler handler, const json::object& body, http::Headers headers = {}) {
    http::Request request;
    request.method = "POST";
    request.headers = std::move(headers);
    request.body = to_json(body);
    return run(handler(*model_, std::move(request)));
  }

  json::object ask(Handler handler, const json::object& body) {
    return parse_json_object(call(handler, body).body);
  }

  // The data of all events, "[DONE]" included.
  std::vector<std::string> events(Handler handler, const json::object& body) {
    http::Response response = call(handler, body);
    EXPECT_EQ(response.headers.get("content-type"), "text/event-stream");
    http::SseParser parser;
    std::vector<std::string> out;
    while (auto piece = run(response.stream->next())) {
      for (auto& event : parser.feed(*piece)) out.push_back(std::move(event.data));
    }
    return out;
  }

  ErrorKind kind_of(Handler handler, const json::object& body, std::string* param = nullptr) {
    try {
      (void)call(handler, body);
    } catch (const Error& error) {
      if (param != nullptr) *param = error.param;
      return error.kind;
    }
    ADD_FAILURE() << "no error for " << to_json(body);
    return ErrorKind::kInternal;
  }

  static json::object chat(const char* text, json::object more = {}) {
    json::object body{{"model", "m"},
                      {"messages", json::array{json::object{{"role", "user"}, {"content", text}}}},
                      {"temperature", 0}};
    for (auto& [key, value] : more) body[key] = value;
    return body;
  }
  static json::object completion(json::value prompt, json::object more = {}) {
    json::object body{{"model", "m"}, {"prompt", std::move(prompt)}, {"temperature", 0}};
    for (auto& [key, value] : more) body[key] = value;
    return body;
  }
  static const json::object& choice(const json::object& answer, std::size_t index = 0) {
    return answer.at("choices").as_array().at(index).as_object();
  }
  static std::string text_of(const json::object& answer, std::size_t index = 0) {
    return std::string(choice(answer, index).at("text").as_string());
  }
  static std::string content_of(const json::object& answer) {
    return std::string(choice(answer).at("message").as_object().at("content").as_string());
  }

  asio::io_context io_;
  std::atomic<int> step_delay_ms_{0};
  ModelAssets assets_;
  WorkerMetrics metrics_;
  std::unique_ptr<Engine> engine_;
  std::optional<ServedModel> model_;
};

TEST_F(WorkerTest, AnswersAChat) {
  const json::object answer = ask(handle_chat, chat("Hi there", {{"max_tokens", 12}}));
  EXPECT_EQ(answer.at("object"), "chat.completion");
  EXPECT_EQ(answer.at("model"), "m");
  EXPECT_EQ(answer.at("system_fingerprint"), "fp_0123456789");
  EXPECT_TRUE(std::string(answer.at("id").as_string()).starts_with("chatcmpl-"));
  EXPECT_EQ(content_of(answer), greedy_text("u:Hi there;a:", 12));
  EXPECT_EQ(choice(answer).at("finish_reason"), "length");
  EXPECT_TRUE(choice(answer).at("logprobs").is_null());
  const json::object& usage = answer.at("usage").as_object();
  EXPECT_EQ(usage.at("prompt_tokens"), 13);
  EXPECT_EQ(usage.at("completion_tokens"), 12);
  EXPECT_EQ(usage.at("total_tokens"), 25);
}

TEST_F(WorkerTest, AStreamAddsUpToThePlainAnswer) {
  json::object body = chat("Hi there", {{"max_tokens", 30},
                                        {"logprobs", true},
                                        {"top_logprobs", 3},
                                        {"n", 2},
                                        {"stop", json::array{"zz", "q~", "#"}}});
  const json::object plain = ask(handle_chat, body);
  body["stream"] = true;
  body["stream_options"] = json::object{{"include_usage", true}};
  const auto data = events(handle_chat, body);
  ASSERT_GT(data.size(), 4u);
  EXPECT_EQ(data.back(), "[DONE]");
  std::map<std::int64_t, std::string> texts;
  std::map<std::int64_t, json::array> logprobs;
  std::map<std::int64_t, std::string> finish;
  json::value usage;
  std::set<std::int64_t> with_role;
  for (std::size_t i = 0; i + 1 < data.size(); ++i) {
    const json::object chunk = parse_json_object(data[i]);
    EXPECT_EQ(chunk.at("object"), "chat.completion.chunk");
    EXPECT_EQ(chunk.at("id"), parse_json_object(data[0]).at("id"));
    if (chunk.at("choices").as_array().empty()) {
      usage = chunk.at("usage");
      continue;
    }
    EXPECT_TRUE(chunk.at("usage").is_null());
    const json::object& c = choice(chunk);
    const std::int64_t index = c.at("index").as_int64();
    const json::object& delta = c.at("delta").as_object();
    EXPECT_FALSE(finish.count(index)) << "text after the end";
    if (delta.contains("role")) {
      EXPECT_TRUE(with_role.insert(index).second);
      EXPECT_EQ(delta.at("content"), "");
    }
    if (delta.contains("content")) texts[index] += std::string(delta.at("content").as_string());
    if (c.at("logprobs").is_object()) {
      for (auto& entry : c.at("logprobs").as_object().at("content").as_array()) {
        logprobs[index].push_back(entry);
      }
    }
    if (!c.at("finish_reason").is_null()) finish[index] = c.at("finish_reason").as_string();
  }
  EXPECT_EQ(usage, plain.at("usage"));
  for (std::int64_t i = 0; i < 2; ++i) {
    const json::object& c = choice(plain, static_cast<std::size_t>(i));
    EXPECT_EQ(texts[i], c.at("message").as_object().at("content").as_string());
    EXPECT_EQ(json::value(logprobs[i]), c.at("logprobs").as_object().at("content"));
    EXPECT_EQ(finish[i], c.at("finish_reason").as_string());
    // One entry per character here, three alternatives each.
    EXPECT_EQ(logprobs[i].size(), texts[i].size());
    EXPECT_EQ(logprobs[i][0].as_object().at("top_logprobs").as_array().size(), 3u);
  }
}

TEST_F(WorkerTest, StopsAreCutAndNamed) {
  const std::string full = greedy_text("abc", 40);
  const std::string stop = full.substr(17, 3);
  const std::string before = full.substr(0, full.find(stop));
  const json::object answer =
      ask(handle_completion, completion("abc", {{"max_tokens", 40}, {"stop", stop.c_str()}}));
  EXPECT_EQ(text_of(answer), before);
  EXPECT_EQ(choice(answer).at("finish_reason"), "stop");
  EXPECT_EQ(choice(answer).at("stop_reason"), stop.c_str());
  // The tokens of the stop string were sampled.
  EXPECT_EQ(answer.at("usage").as_object().at("completion_tokens"),
            static_cast<std::int64_t>(before.size() + stop.size()));
  const json::object kept =
      ask(handle_completion, completion("abc", {{"max_tokens", 40},
                                                {"stop", stop.c_str()},
                                                {"include_stop_str_in_output", true}}));
  EXPECT_EQ(text_of(kept), before + stop);
  const json::object late =
      ask(handle_completion,
          completion("abc", {{"max_tokens", 40}, {"stop", stop.c_str()}, {"min_tokens", 40}}));
  EXPECT_EQ(text_of(late), full);
}

TEST_F(WorkerTest, StopTokensAndEos) {
  const Tokens run = FakeLanguageModel::greedy(encode("abc"), 10);
  const json::object answer =
      ask(handle_completion,
          completion("abc", {{"max_tokens", 10}, {"stop_token_ids", json::array{run[4]}}}));
  EXPECT_EQ(choice(answer).at("finish_reason"), "stop");
  EXPECT_EQ(choice(answer).at("stop_reason"), run[4]);
  EXPECT_LE(text_of(answer).size(), 4u);
  const json::object ended =
      ask(handle_completion,
          completion("abc", {{"max_tokens", 10}, {"logit_bias", json::object{{"1", 100}}}}));
  EXPECT_EQ(text_of(ended), "");
  EXPECT_EQ(choice(ended).at("finish_reason"), "stop");
  EXPECT_TRUE(choice(ended).at("stop_reason").is_null());
  EXPECT_EQ(ended.at("usage").as_object().at("completion_tokens"), 1);
  // A stop string that is a special token is recognised by its id.
  const json::object special =
      ask(handle_completion, completion("abc", {{"max_tokens", 10},
                                                {"ignore_eos", true},
                                                {"stop", "<eos>"},
                                                {"logit_bias", json::object{{"1", 100}}}}));
  EXPECT_EQ(choice(special).at("finish_reason"), "stop");
  EXPECT_EQ(choice(special).at("stop_reason"), "<eos>");
}

TEST_F(WorkerTest, EchoWithLogprobsAndNothingGenerated) {
  const json::object answer = ask(
      handle_completion, completion("2+2=", {{"max_tokens", 0}, {"echo", true}, {"logprobs", 1}}));
  EXPECT_EQ(text_of(answer), "2+2=");
  EXPECT_EQ(choice(answer).at("finish_reason"), "length");
  const json::object& logprobs = choice(answer).at("logprobs").as_object();
  EXPECT_EQ(logprobs.at("tokens"), (json::array{"2", "+", "2", "="}));
  EXPECT_EQ(logprobs.at("text_offset"), (json::array{0, 1, 2, 3}));
  EXPECT_TRUE(logprobs.at("token_logprobs").as_array()[0].is_null());
  EXPECT_TRUE(logprobs.at("top_logprobs").as_array()[0].is_null());
  EXPECT_LT(logprobs.at("token_logprobs").as_array()[3].as_double(), 0);
  // The actual token joins the likeliest one where they differ.
  EXPECT_EQ(logprobs.at("top_logprobs").as_array()[3].as_object().size(), 2u);
  EXPECT_EQ(answer.at("usage").as_object().at("completion_tokens"), 0);
}

TEST_F(WorkerTest, EchoContinuesOffsets) {
  const json::object answer = ask(
      handle_completion, completion("2+2=", {{"max_tokens", 3}, {"echo", true}, {"logprobs", 0}}));
  EXPECT_EQ(text_of(answer), "2+2=" + greedy_text("2+2=", 3));
  const json::object& logprobs = choice(answer).at("logprobs").as_object();
  EXPECT_EQ(logprobs.at("text_offset"), (json::array{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(logprobs.at("tokens").as_array().size(), 7u);
  EXPECT_EQ(logprobs.at("top_logprobs").as_array()[5].as_object().size(), 1u);
}

TEST_F(WorkerTest, BatchesOfPromptsAndTokenIds) {
  json::array ids;
  for (std::int32_t id : encode("abc")) ids.push_back(id);
  const json::object answer =
      ask(handle_completion, completion(json::array{"xyz", "abc"}, {{"max_tokens", 5}, {"n", 2}}));
  ASSERT_EQ(answer.at("choices").as_array().size(), 4u);
  EXPECT_EQ(text_of(answer, 0), greedy_text("xyz", 5));
  EXPECT_EQ(text_of(answer, 1), greedy_text("xyz", 5));
  EXPECT_EQ(text_of(answer, 3), greedy_text("abc", 5));
  EXPECT_EQ(choice(answer, 3).at("index"), 3);
  EXPECT_EQ(answer.at("usage").as_object().at("prompt_tokens"), 6);
  EXPECT_EQ(answer.at("usage").as_object().at("completion_tokens"), 20);
  const json::object by_ids = ask(handle_completion, completion(ids, {{"max_tokens", 5}}));
  EXPECT_EQ(text_of(by_ids), greedy_text("abc", 5));
  const json::object several = ask(
      handle_completion, completion(json::array{ids, ids}, {{"max_tokens", 5}, {"echo", true}}));
  EXPECT_EQ(text_of(several, 1), "abc" + greedy_text("abc", 5));
}

TEST_F(WorkerTest, BestOfKeepsTheLikeliest) {
  const json::object body = completion(
      "abc", {{"max_tokens", 8}, {"temperature", 1.5}, {"seed", 5}, {"logprobs", 0}, {"n", 6}});
  const json::object all = ask(handle_completion, body);
  std::vector<std::pair<double, std::string>> ranked;
  for (std::size_t i = 0; i < 6; ++i) {
    double sum = 0;
    for (auto& value : choice(all, i).at("logprobs").as_object().at("token_logprobs").as_array()) {
      sum += value.as_double();
    }
    ranked.emplace_back(-sum / 8, text_of(all, i));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  json::object best = body;
  best["n"] = 2;
  best["best_of"] = 6;
  const json::object answer = ask(handle_completion, best);
  ASSERT_EQ(answer.at("choices").as_array().size(), 2u);
  EXPECT_EQ(text_of(answer, 0), ranked[0].second);
  EXPECT_EQ(text_of(answer, 1), ranked[1].second);
  EXPECT_EQ(answer.at("usage").as_object().at("completion_tokens"), 48);
}

TEST_F(WorkerTest, SeedsRepeatAndDiffer) {
  const auto sample = [&](int seed) {
    return text_of(
        ask(handle_completion,
            completion("abc", {{"max_tokens", 12}, {"temperature", 1.2}, {"seed", seed}})));
  };
  EXPECT_EQ(sample(1), sample(1));
  EXPECT_NE(sample(1), sample(2));
}

TEST_F(WorkerTest, ContextErrorsSayWhatOpenAiClientsLookFor) {
  std::string param;
  const std::string long_text(300, 'x');
  EXPECT_EQ(kind_of(handle_completion, completion(long_text.c_str()), &param),
            ErrorKind::kContextLengthExceeded);
  EXPECT_EQ(param, "prompt");
  EXPECT_EQ(kind_of(handle_chat, chat("hi", {{"max_tokens", 250}}), &param),
            ErrorKind::kContextLengthExceeded);
  EXPECT_EQ(param, "max_tokens");
  try {
    (void)call(handle_completion, completion("abc", {{"max_tokens", 254}}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message,
              "This model's maximum context length is 256 tokens. However, your request has 3 "
              "input tokens and asks for 254 output tokens. Reduce the input or max_tokens.");
  }
  const json::object clamped = ask(
      handle_completion, completion("abc", {{"max_tokens", 254}, {"error_behavior", "truncate"}}));
  EXPECT_EQ(clamped.at("usage").as_object().at("completion_tokens"), 253);
  const json::object open_ended = ask(handle_completion, completion("abc"));
  EXPECT_EQ(open_ended.at("usage").as_object().at("completion_tokens"), 253);
  const json::object cut =
      ask(handle_completion,
          completion(long_text.c_str(), {{"max_tokens", 6}, {"truncate_prompt_tokens", -1}}));
  EXPECT_EQ(cut.at("usage").as_object().at("prompt_tokens"), 250);
}

TEST_F(WorkerTest, ContentCannotForgeSpecialTokens) {
  const json::object answer =
      ask(handle_chat, chat("<eos>", {{"max_tokens", 1}, {"return_token_ids", true}}));
  Tokens tokens;
  for (auto& id : answer.at("prompt_token_ids").as_array()) {
    tokens.push_back(static_cast<std::int32_t>(id.as_int64()));
  }
  EXPECT_EQ(tokens, encode("u:<eos>;a:"));
}

TEST_F(WorkerTest, ContinuesTheLastMessage) {
  json::object body = chat("Hi", {{"max_tokens", 5},
                                  {"continue_final_message", true},
                                  {"add_generation_prompt", false},
                                  {"echo", true}});
  body["messages"].as_array().push_back(json::object{{"role", "assistant"}, {"content", "Well, "}});
  EXPECT_EQ(content_of(ask(handle_chat, body)), "Well, " + greedy_text("u:Hi;a:Well,", 5));
}

TEST_F(WorkerTest, PromptLogprobsOfAChat) {
  const json::object answer =
      ask(handle_chat, chat("Hi", {{"max_tokens", 2}, {"prompt_logprobs", 1}}));
  const json::array& logprobs = answer.at("prompt_logprobs").as_array();
  ASSERT_EQ(logprobs.size(), 7u);
  EXPECT_TRUE(logprobs[0].is_null());
  EXPECT_GE(logprobs[1].as_object().size(), 1u);
}

TEST_F(WorkerTest, ToolsAreNotSupportedYet) {
  std::string param;
  EXPECT_EQ(kind_of(handle_chat,
                    chat("Hi", {{"tools", json::array{json::object{
                                              {"type", "function"},
                                              {"function", json::object{{"name", "f"}}}}}}}),
                    &param),
            ErrorKind::kUnsupportedParameter);
  EXPECT_EQ(param, "tools");
  EXPECT_EQ(
      kind_of(handle_chat, chat("Hi", {{"response_format", json::object{{"type", "json_object"}}}}),
              &param),
      ErrorKind::kUnsupportedParameter);
  EXPECT_EQ(param, "response_format");
}

TEST_F(WorkerTest, TimingsOnRequest) {
  http::Headers headers;
  headers.set("x-tessera-timings", "true");
  const http::Response response = call(handle_chat, chat("Hi", {{"max_tokens", 4}}), headers);
  const auto timings = response.headers.get("x-tessera-timings");
  ASSERT_TRUE(timings);
  const json::object parsed = parse_json_object(*timings);
  EXPECT_GT(parsed.at("ttft_ms").as_double(), 0);
  EXPECT_GE(parsed.at("queue_ms").to_number<double>(), 0);
}

TEST_F(WorkerTest, ADeadlineTruncates) {
  step_delay_ms_ = 5;
  http::Headers headers;
  headers.set("x-tessera-deadline-ms", "60");
  const http::Response response =
      call(handle_completion, completion("abc", {{"error_behavior", "truncate"}}), headers);
  const json::object answer = parse_json_object(response.body);
  EXPECT_EQ(choice(answer).at("finish_reason"), "length");
  const auto tokens = answer.at("usage").as_object().at("completion_tokens").as_int64();
  EXPECT_LT(tokens, 60);
  EXPECT_EQ(text_of(answer), greedy_text("abc", static_cast<int>(tokens)));
}

TEST_F(WorkerTest, DroppingTheStreamCancels) {
  step_delay_ms_ = 1;
  {
    http::Response response =
        call(handle_completion, completion("abc", {{"stream", true}, {"max_tokens", 250}}));
    ASSERT_TRUE(run(response.stream->next()));
  }
  for (int i = 0; i < 1000 && engine_->stats().running > 0; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(engine_->stats().running, 0);
  EXPECT_LT(engine_->stats().generated_tokens, 200);
}

TEST_F(WorkerTest, GenerationModelsMakeNoEmbeddings) {
  EXPECT_EQ(kind_of(handle_embeddings, {{"model", "m"}, {"input", "x"}}), ErrorKind::kWrongTask);
}

TEST_F(WorkerTest, MetricsCount) {
  (void)ask(handle_chat, chat("Hi", {{"max_tokens", 4}}));
  const std::string text = metrics_.text(engine_->stats());
  EXPECT_NE(text.find("tessera_time_to_first_token_seconds_count 1"), std::string::npos) << text;
  EXPECT_NE(text.find("tessera_request_duration_seconds_count 1"), std::string::npos);
  EXPECT_NE(text.find("tessera_kv_blocks "), std::string::npos);
  EXPECT_NE(text.find("tessera_kv_resident_bytes "), std::string::npos);
}

}  // namespace
}  // namespace tessera

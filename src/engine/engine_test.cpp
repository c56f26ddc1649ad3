#include "engine/engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "engine/fake_language_model.h"

namespace tessera {
namespace {

using namespace std::chrono_literals;
using Tokens = std::vector<std::int32_t>;

// Collects the events of one request.
class Client {
 public:
  std::function<void(GenerationEvent)> callback() {
    return [state = state_](GenerationEvent event) {
      std::lock_guard lock(state->mutex);
      EXPECT_FALSE(state->is_over) << "an event after the last one";
      for (auto& token : event.tokens) {
        auto& sample = state->samples[token.sample];
        EXPECT_FALSE(sample.finish) << "a token after the sample's end";
        sample.tokens.push_back(token.token_id);
        sample.logprobs.push_back(token.logprob);
        sample.finish = token.finish;
        sample.ended_by_stop_token = token.is_stop_token;
      }
      for (auto& p : event.prompt_logprobs) state->prompt_logprobs.push_back(std::move(p));
      if (!event.tokens.empty() && state->events++ == 0) state->cached_tokens = event.cached_tokens;
      if (event.error) state->error = event.error;
      state->is_over = event.finished || event.error;
      state->timings = event.timings;
      state->changed.notify_all();
    };
  }

  struct Sample {
    Tokens tokens;
    std::vector<float> logprobs;
    std::optional<FinishReason> finish;
    bool ended_by_stop_token = false;
  };
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<int, Sample> samples;
    std::vector<PromptLogprob> prompt_logprobs;
    std::optional<Error> error;
    bool is_over = false;
    int events = 0, cached_tokens = 0;
    GenerationTimings timings;
  };

  State& wait() {
    std::unique_lock lock(state_->mutex);
    EXPECT_TRUE(state_->changed.wait_for(lock, 60s, [&] { return state_->is_over; }));
    return *state_;
  }
  bool wait_for_tokens(std::size_t count) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(
        lock, 60s, [&] { return state_->is_over || state_->samples[0].tokens.size() >= count; });
  }
  State& state() { return *state_; }

 private:
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class EngineTest : public testing::Test {
 protected:
  void start(EngineOptions options = {}, int context = 512, int blocks = 0) {
    auto model = std::make_unique<FakeLanguageModel>(context);
    fake_ = model.get();
    fake_->before_forward = [this](const Batch& batch) {
      if (before_forward_) before_forward_(batch);
    };
    options.kv_type = KvType::kF32;
    options.kv_bytes = blocks > 0 ? std::int64_t{8} * options.block_size * blocks : 8 << 20;
    LoadedModel loaded;
    loaded.language = std::move(model);
    engine_ = std::make_unique<Engine>(options, std::make_unique<ThreadPool>(2), std::move(loaded));
  }

  static GenerationRequest greedy(Tokens prompt, int max_tokens, Client& client) {
    GenerationRequest request;
    request.prompt_token_ids = std::move(prompt);
    request.sampling.temperature = 0;
    request.sampling.max_tokens = max_tokens;
    request.on_event = client.callback();
    return request;
  }

  static Tokens prompt(int size, unsigned seed) {
    std::mt19937 random(seed);
    Tokens tokens(size);
    for (auto& token : tokens) token = 2 + static_cast<std::int32_t>(random() % 90);
    return tokens;
  }

  EngineStats settled_stats() {
    // The engine publishes after each step; wait until nothing runs.
    for (int i = 0; i < 2000; ++i) {
      const EngineStats stats = engine_->stats();
      if (stats.running == 0 && stats.waiting == 0) return stats;
      std::this_thread::sleep_for(1ms);
    }
    return engine_->stats();
  }

  std::function<void(const Batch&)> before_forward_;
  FakeLanguageModel* fake_ = nullptr;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, GreedyEqualsTheModelAlone) {
  start();
  for (int size : {1, 3, 4, 5, 8, 17, 100}) {
    Client client;
    const Tokens p = prompt(size, size);
    auto handle = engine_->generate(greedy(p, 20, client));
    const auto& state = client.wait();
    EXPECT_EQ(state.samples.at(0).tokens, FakeLanguageModel::greedy(p, 20)) << size;
    EXPECT_EQ(state.samples.at(0).finish, FinishReason::kLength);
  }
  EXPECT_EQ(settled_stats().kv_blocks_used, 0);
}

TEST_F(EngineTest, ChunksBatchesAndPreemptionsChangeNothing) {
  struct Case {
    int step_tokens, blocks;
    bool prefix_cache;
  };
  for (const Case& c : {Case{7, 0, true}, Case{0, 0, false}, Case{0, 10, true}, Case{16, 9, false},
                        Case{5, 9, true}}) {
    EngineOptions options;
    options.max_step_tokens = c.step_tokens;
    options.prefix_cache = c.prefix_cache;
    start(options, 128, c.blocks);
    std::vector<Client> clients(12);
    std::vector<Engine::Handle> handles;
    std::vector<Tokens> prompts;
    for (int i = 0; i < 12; ++i) {
      Tokens p = prompt(10 + 5 * i, i / 2);
      if (i % 3 == 0) p.push_back(5);
      prompts.push_back(p);
      handles.push_back(engine_->generate(greedy(p, 30, clients[i])));
    }
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(clients[i].wait().samples[0].tokens, FakeLanguageModel::greedy(prompts[i], 30))
          << "request " << i << " with " << c.step_tokens << " tokens per step and " << c.blocks
          << " blocks";
    }
    const EngineStats stats = settled_stats();
    EXPECT_EQ(stats.kv_blocks_used, 0);
    if (c.blocks > 0) {
      EXPECT_GT(stats.preemptions, 0);
    }
    engine_.reset();
  }
}

TEST_F(EngineTest, ASecondEqualPromptComesFromTheCache) {
  start();
  const Tokens p = prompt(101, 1);
  Client first, second;
  auto a = engine_->generate(greedy(p, 5, first));
  first.wait();
  const auto before = fake_->tokens.load();
  auto b = engine_->generate(greedy(p, 5, second));
  EXPECT_EQ(second.wait().samples[0].tokens, first.state().samples[0].tokens);
  EXPECT_EQ(second.state().cached_tokens, 96);
  EXPECT_EQ(fake_->tokens - before, 5 + 4);
  EXPECT_EQ(settled_stats().cached_tokens, 96);
}

TEST_F(EngineTest, TheNextTurnOfAChatReusesPromptAndAnswer) {
  start();
  Client first, second;
  Tokens p = prompt(20, 3);
  auto a = engine_->generate(greedy(p, 21, first));
  for (std::int32_t token : first.wait().samples[0].tokens) p.push_back(token);
  p.push_back(9);
  auto b = engine_->generate(greedy(p, 5, second));
  EXPECT_EQ(second.wait().samples[0].tokens, FakeLanguageModel::greedy(p, 5));
  EXPECT_EQ(second.state().cached_tokens, 32);
}

TEST_F(EngineTest, SamplesShareOnePrefillAndDiffer) {
  start();
  Client client;
  GenerationRequest request = greedy(prompt(50, 2), 16, client);
  request.n = 8;
  request.sampling.temperature = 1.5f;
  request.sampling.seed = 11;
  auto handle = engine_->generate(std::move(request));
  auto& state = client.wait();
  ASSERT_EQ(state.samples.size(), 8u);
  std::set<Tokens> different;
  for (auto& [sample, s] : state.samples) {
    EXPECT_EQ(s.tokens.size(), 16u);
    different.insert(s.tokens);
  }
  EXPECT_GT(different.size(), 6u);
  EXPECT_EQ(fake_->tokens, 50 + 8 * 15);
  // Sample i alone is the sample of seed + i.
  for (int i : {0, 3, 7}) {
    Client alone;
    GenerationRequest single = greedy(prompt(50, 2), 16, alone);
    single.sampling.temperature = 1.5f;
    single.sampling.seed = 11 + i;
    auto h = engine_->generate(std::move(single));
    EXPECT_EQ(alone.wait().samples[0].tokens, state.samples[i].tokens);
  }
  EXPECT_EQ(settled_stats().kv_blocks_used, 0);
}

TEST_F(EngineTest, GreedySamplesAreEqual) {
  start({}, 256, 20);  // little memory: some are preempted
  Client client;
  GenerationRequest request = greedy(prompt(41, 2), 60, client);
  request.n = 5;
  auto handle = engine_->generate(std::move(request));
  auto& state = client.wait();
  const Tokens expected = FakeLanguageModel::greedy(prompt(41, 2), 60);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(state.samples[i].tokens, expected) << i;
}

TEST_F(EngineTest, StopTokensEndASequence) {
  start();
  const Tokens p = prompt(10, 4);
  const Tokens free_run = FakeLanguageModel::greedy(p, 10);
  Client client;
  GenerationRequest request = greedy(p, 10, client);
  request.sampling.stop_token_ids = {free_run[6]};
  auto handle = engine_->generate(std::move(request));
  auto& sample = client.wait().samples[0];
  std::size_t first = 0;
  while (free_run[first] != free_run[6]) ++first;
  EXPECT_EQ(sample.tokens.size(), first + 1);
  EXPECT_EQ(sample.finish, FinishReason::kStop);
  EXPECT_TRUE(sample.ended_by_stop_token);
}

TEST_F(EngineTest, EosEndsUnlessIgnoredOrTooEarly) {
  start();
  const auto run = [&](bool ignore_eos, int min_tokens) {
    Client client;
    GenerationRequest request = greedy(prompt(10, 4), 10, client);
    request.sampling.logit_bias = {{FakeLanguageModel::kEos, 100.0f}};
    request.sampling.ignore_eos = ignore_eos;
    request.sampling.min_tokens = min_tokens;
    auto handle = engine_->generate(std::move(request));
    return client.wait().samples[0].tokens.size();
  };
  EXPECT_EQ(run(false, 0), 1u);
  EXPECT_EQ(run(true, 0), 10u);
  EXPECT_EQ(run(false, 4), 5u);
}

TEST_F(EngineTest, TheContextEndsASequence) {
  start({}, 64);
  Client client;
  auto handle = engine_->generate(greedy(prompt(60, 1), 1000, client));
  auto& sample = client.wait().samples[0];
  EXPECT_EQ(sample.tokens, FakeLanguageModel::greedy(prompt(60, 1), 4));
  EXPECT_EQ(sample.finish, FinishReason::kLength);
}

TEST_F(EngineTest, PromptLogprobsWithAndWithoutGeneration) {
  for (int max_tokens : {0, 3}) {
    for (int step_tokens : {0, 7}) {
      EngineOptions options;
      options.max_step_tokens = step_tokens;
      start(options);
      const Tokens p = prompt(90, 8);
      for (int turn = 0; turn < 2; ++turn) {  // the second time the prefix is cached
        Client client;
        GenerationRequest request = greedy(p, max_tokens, client);
        request.sampling.prompt_logprobs = 2;
        auto handle = engine_->generate(std::move(request));
        auto& state = client.wait();
        ASSERT_FALSE(state.error);
        ASSERT_EQ(state.prompt_logprobs.size(), p.size());
        EXPECT_FALSE(state.prompt_logprobs[0].logprob);
        EXPECT_TRUE(state.prompt_logprobs[0].top.empty());
        for (std::size_t i = 1; i < p.size(); ++i) {
          float logits[FakeLanguageModel::kVocab];
          FakeLanguageModel::logits_of(Tokens(p.begin(), p.begin() + i), logits);
          double sum = 0;
          for (float z : logits) sum += std::exp(static_cast<double>(z));
          ASSERT_NEAR(*state.prompt_logprobs[i].logprob, logits[p[i]] - std::log(sum), 1e-4) << i;
          ASSERT_EQ(state.prompt_logprobs[i].top.size(), 2u);
        }
        EXPECT_EQ(state.samples[0].tokens, FakeLanguageModel::greedy(p, max_tokens));
      }
      engine_.reset();
    }
  }
}

TEST_F(EngineTest, PenaltiesFollowASequenceThroughPreemption) {
  std::map<int, Tokens> expected;
  for (int blocks : {0, 9}) {
    start({}, 128, blocks);
    std::vector<Client> clients(6);
    std::vector<Engine::Handle> handles;
    for (int i = 0; i < 6; ++i) {
      GenerationRequest request = greedy(prompt(30, i), 40, clients[i]);
      request.sampling.repetition_penalty = 1.3f;
      request.sampling.frequency_penalty = 0.4f;
      handles.push_back(engine_->generate(std::move(request)));
    }
    for (int i = 0; i < 6; ++i) {
      const Tokens& tokens = clients[i].wait().samples[0].tokens;
      if (blocks == 0) {
        expected[i] = tokens;
      } else {
        EXPECT_EQ(tokens, expected[i]);
      }
    }
    if (blocks > 0) {
      EXPECT_GT(settled_stats().preemptions, 0);
    }
    engine_.reset();
  }
}

TEST_F(EngineTest, DroppingTheHandleCancels) {
  before_forward_ = [](const Batch&) { std::this_thread::sleep_for(2ms); };
  start({}, 100'000);
  Client client, other;
  auto kept = engine_->generate(greedy(prompt(10, 1), 40, other));
  {
    auto handle = engine_->generate(greedy(prompt(10, 2), 50'000, client));
    ASSERT_TRUE(client.wait_for_tokens(3));
  }
  EXPECT_EQ(other.wait().samples[0].tokens.size(), 40u);
  const EngineStats stats = settled_stats();
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.kv_blocks_used, 0);
  std::lock_guard lock(client.state().mutex);
  EXPECT_FALSE(client.state().is_over);
  EXPECT_LT(client.state().samples[0].tokens.size(), 1000u);
}

TEST_F(EngineTest, StoppingOneSampleLetsTheOthersGoOn) {
  before_forward_ = [](const Batch&) { std::this_thread::sleep_for(1ms); };
  start();
  Client client;
  GenerationRequest request = greedy(prompt(10, 1), 60, client);
  request.n = 3;
  auto handle = engine_->generate(std::move(request));
  ASSERT_TRUE(client.wait_for_tokens(2));
  handle.stop_sample(0);
  handle.stop_sample(99);
  auto& state = client.wait();
  EXPECT_LT(state.samples[0].tokens.size(), 60u);
  EXPECT_FALSE(state.samples[0].finish);
  EXPECT_EQ(state.samples[1].tokens.size(), 60u);
  EXPECT_EQ(state.samples[2].tokens.size(), 60u);
}

TEST_F(EngineTest, StoppingTheLastSampleFinishesTheRequest) {
  before_forward_ = [](const Batch&) { std::this_thread::sleep_for(1ms); };
  start();
  Client client;
  auto handle = engine_->generate(greedy(prompt(10, 1), 400, client));
  ASSERT_TRUE(client.wait_for_tokens(2));
  handle.stop_sample(0);
  auto& state = client.wait();
  EXPECT_FALSE(state.error);
  EXPECT_LT(state.samples[0].tokens.size(), 400u);
  EXPECT_GT(state.timings.prefill_ms, 0);
}

TEST_F(EngineTest, StoppingBeforeThePrefillIsDoneKeepsTheForks) {
  EngineOptions options;
  options.max_step_tokens = 8;
  before_forward_ = [](const Batch&) { std::this_thread::sleep_for(1ms); };
  start(options);
  Client client;
  GenerationRequest request = greedy(prompt(200, 1), 10, client);
  request.n = 2;
  auto handle = engine_->generate(std::move(request));
  handle.stop_sample(0);
  auto& state = client.wait();
  EXPECT_TRUE(state.samples[0].tokens.empty());
  EXPECT_EQ(state.samples[1].tokens, FakeLanguageModel::greedy(prompt(200, 1), 10));
  EXPECT_EQ(settled_stats().kv_blocks_used, 0);
}

TEST_F(EngineTest, AFailingForwardPassFailsItsSequenceOnly) {
  start();
  // Token 95 stands for an input that the model chokes on.
  before_forward_ = [](const Batch& batch) {
    for (std::int32_t token : batch.token_ids) {
      if (token == 95) throw std::runtime_error("cannot compute token 95");
    }
  };
  Client good, bad, later;
  std::vector<Engine::Handle> handles;
  const Tokens p = prompt(10, 6);
  Tokens poisoned = prompt(10, 7);
  poisoned[4] = 95;
  auto request = greedy(p, 3, good);
  request.sampling.logit_bias = {{95, -100.0f}};
  handles.push_back(engine_->generate(std::move(request)));
  handles.push_back(engine_->generate(greedy(poisoned, 3, bad)));
  EXPECT_EQ(good.wait().samples[0].tokens.size(), 3u);
  EXPECT_FALSE(good.state().error);
  ASSERT_TRUE(bad.wait().error);
  EXPECT_EQ(bad.state().error->kind, ErrorKind::kEngineFailure);
  auto again = greedy(p, 3, later);
  again.sampling.logit_bias = {{95, -100.0f}};
  handles.push_back(engine_->generate(std::move(again)));
  EXPECT_FALSE(later.wait().error);
  EXPECT_EQ(settled_stats().kv_blocks_used, 0);
}

TEST_F(EngineTest, MasksThatLeaveNothingFailThatRequestOnly) {
  start();
  Client good, bad;
  auto a = engine_->generate(greedy(prompt(9, 1), 5, good));
  GenerationRequest request = greedy(prompt(9, 2), 5, bad);
  request.sampling.allowed_token_ids = {3};
  request.sampling.bad_words = {{3}};
  auto b = engine_->generate(std::move(request));
  ASSERT_TRUE(bad.wait().error);
  EXPECT_EQ(bad.state().error->kind, ErrorKind::kBadValue);
  EXPECT_EQ(good.wait().samples[0].tokens.size(), 5u);
}

TEST_F(EngineTest, RefusesWhatCannotRun) {
  start({}, 64);
  Client client;
  const auto kind_of = [&](GenerationRequest request) {
    try {
      (void)engine_->generate(std::move(request));
    } catch (const Error& error) {
      return std::optional(error.kind);
    }
    return std::optional<ErrorKind>();
  };
  EXPECT_EQ(kind_of(greedy({}, 1, client)), ErrorKind::kBadValue);
  EXPECT_EQ(kind_of(greedy({3, 97}, 1, client)), ErrorKind::kBadTokenId);
  EXPECT_EQ(kind_of(greedy({-1}, 1, client)), ErrorKind::kBadTokenId);
  EXPECT_EQ(kind_of(greedy(prompt(64, 1), 1, client)), ErrorKind::kContextLengthExceeded);
  EXPECT_EQ(kind_of(greedy({3}, -1, client)), ErrorKind::kOutOfRange);
  auto request = greedy({3}, 1, client);
  request.sampling.logit_bias = {{97, 1.0f}};
  EXPECT_EQ(kind_of(std::move(request)), ErrorKind::kBadTokenId);
  request = greedy({3}, 1, client);
  request.n = 0;
  EXPECT_EQ(kind_of(std::move(request)), ErrorKind::kOutOfRange);
  EXPECT_THROW(engine_->embed({{{1}}, [](auto) {}}), Error);
  try {
    (void)engine_->generate(greedy(prompt(70, 1), 5, client));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message,
              "This model's maximum context length is 64 tokens. However, your request has 70 "
              "input tokens and asks for 5 output tokens. Reduce the input or max_tokens.");
    EXPECT_EQ(error.extra.at("n_prompt_tokens"), 70);
    EXPECT_EQ(error.extra.at("n_ctx"), 64);
  }
}

TEST_F(EngineTest, AFullQueueNamesThePosition) {
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  std::promise<void> entered;
  bool is_first = true;
  before_forward_ = [&, opened](const Batch&) {
    if (std::exchange(is_first, false)) entered.set_value();
    opened.wait();
  };
  EngineOptions options;
  options.max_waiting = 2;
  start(options);
  std::vector<Client> clients(4);
  std::vector<Engine::Handle> handles;
  handles.push_back(engine_->generate(greedy(prompt(5, 0), 2, clients[0])));
  entered.get_future().wait();  // runs; the next two wait
  handles.push_back(engine_->generate(greedy(prompt(5, 1), 2, clients[1])));
  handles.push_back(engine_->generate(greedy(prompt(5, 2), 2, clients[2])));
  try {
    (void)engine_->generate(greedy(prompt(5, 3), 2, clients[3]));
    ADD_FAILURE() << "accepted a request beyond the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kQueueFull);
    EXPECT_NE(error.message.find("position 3"), std::string::npos) << error.message;
    EXPECT_GE(error.retry_after_s.value_or(0), 1);
  }
  gate.set_value();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(clients[i].wait().error);
  // The queue is empty again.
  handles.push_back(engine_->generate(greedy(prompt(5, 3), 2, clients[3])));
  EXPECT_FALSE(clients[3].wait().error);
}

TEST_F(EngineTest, DestructionFailsWhatRuns) {
  before_forward_ = [](const Batch&) { std::this_thread::sleep_for(1ms); };
  start();
  Client running, waiting;
  auto a = engine_->generate(greedy(prompt(5, 0), 400, running));
  ASSERT_TRUE(running.wait_for_tokens(1));
  auto b = engine_->generate(greedy(prompt(5, 1), 400, waiting));
  engine_.reset();
  ASSERT_TRUE(running.wait().error);
  EXPECT_EQ(running.state().error->kind, ErrorKind::kShuttingDown);
  ASSERT_TRUE(waiting.wait().error);
  EXPECT_EQ(waiting.state().error->kind, ErrorKind::kShuttingDown);
  a.stop_sample(0);  // a handle may outlive its engine
}

TEST_F(EngineTest, TwoHundredConcurrentSequences) {
  start({}, 256, 225);  // not enough memory for all at once
  std::vector<Client> clients(200);
  std::vector<Engine::Handle> handles(200);
  std::vector<Tokens> prompts(200);
  for (int i = 0; i < 200; ++i) {
    prompts[i] = prompt(5 + i % 40, i % 50);
    if (i % 4 == 0) prompts[i].push_back(static_cast<std::int32_t>(2 + i % 90));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < 200; i += 4) {
        handles[i] = engine_->generate(greedy(prompts[i], 10 + i % 30, clients[i]));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < 200; i += 10) handles[i].cancel();
  for (int i = 0; i < 200; ++i) {
    if (i % 10 == 0) continue;
    EXPECT_EQ(clients[i].wait().samples[0].tokens,
              FakeLanguageModel::greedy(prompts[i], 10 + i % 30))
        << i;
  }
  const EngineStats stats = settled_stats();
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.waiting, 0);
  EXPECT_EQ(stats.kv_blocks_used, 0);
}

TEST(EmbeddingEngine, AnswersInOrderAndIsolatesFailures) {
  auto model = std::make_unique<FakeEmbeddingModel>();
  model->before_forward = [](const Batch& batch) {
    for (std::int32_t token : batch.token_ids) {
      if (token == 666) throw std::runtime_error("cannot embed token 666");
    }
  };
  LoadedModel loaded;
  loaded.embedding = std::move(model);
  Engine engine({}, std::make_unique<ThreadPool>(1), std::move(loaded));
  EXPECT_THROW((void)engine.generate({{1}, {}, 1, 0, [](GenerationEvent) {}}), Error);
  EXPECT_THROW((void)engine.embed({{{1}, Tokens(65, 1)}, [](auto) {}}), Error);
  EXPECT_THROW((void)engine.embed({{{1}, {}}, [](auto) {}}), Error);

  using Outcome = Result<std::vector<std::vector<float>>>;
  std::promise<std::optional<Outcome>> good, bad;
  auto a =
      engine.embed({{{5, 6, 7}, {1}, {9, 9}}, [&](Outcome r) { good.set_value(std::move(r)); }});
  auto good_result = good.get_future().get();
  ASSERT_TRUE(good_result->has_value());
  EXPECT_EQ(good_result->value(), (std::vector<std::vector<float>>{{18, 3}, {1, 1}, {18, 2}}));
  std::promise<std::optional<Outcome>> other;
  auto b = engine.embed({{{1}, {666}}, [&](Outcome r) { bad.set_value(std::move(r)); }});
  auto c = engine.embed({{{4}, {5}}, [&](Outcome r) { other.set_value(std::move(r)); }});
  auto other_result = other.get_future().get();
  ASSERT_TRUE(other_result->has_value());
  EXPECT_EQ(other_result->value(), (std::vector<std::vector<float>>{{4, 1}, {5, 1}}));
  auto bad_result = bad.get_future().get();
  ASSERT_TRUE(bad_result->has_error());
  try {
    (void)bad_result->value();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kEngineFailure);
  }
}

}  // namespace
}  // namespace tessera

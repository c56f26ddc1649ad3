// Continuous batching: requests in, tokens out.
//
// Engine owns model, KV cache and scheduler on its own thread (STYLE 7). All public functions may
// be called from any thread and never wait for computation. Callbacks run on the engine thread:
// they must not block, throw or call back into the engine other than through a handle; post to your
// own executor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/sampling_params.h"
#include "engine/token_logprob.h"
#include "models/model.h"

namespace tessera {

struct Ticket;  // engine/request_state.h

enum class FinishReason : std::uint8_t { kStop, kLength };

struct GeneratedToken {
  int sample = 0;  // 0 … n-1
  std::int32_t token_id = 0;
  float logprob = 0;              // only meaningful when logprobs were asked for
  std::vector<TokenLogprob> top;  // descending
  std::optional<FinishReason> finish;
  bool is_stop_token = false;  // eos or a stop token id: not part of the text
};

struct GenerationTimings {
  double queue_ms = 0, prefill_ms = 0, decode_ms = 0;
};

// What one engine step did for one request. Exactly one event is the last: it has `finished` or
// `error` set. It may hold no token: max_tokens was 0, or stop_sample() ended the last sample.
struct GenerationEvent {
  std::vector<GeneratedToken> tokens;
  std::vector<PromptLogprob> prompt_logprobs;  // once, before or with the first token
  int cached_tokens = 0;                       // prompt tokens found in the prefix cache
  bool finished = false;                       // every sample has its finish reason
  std::optional<Error> error;                  // the request failed; nothing follows
  GenerationTimings timings;                   // complete when finished
};

struct GenerationRequest {
  std::vector<std::int32_t> prompt_token_ids;  // not empty
  SamplingParams sampling;
  int n = 1;
  int priority = 0;  // lower runs first
  std::function<void(GenerationEvent)> on_event;
};

struct EmbeddingRequest {
  std::vector<std::vector<std::int32_t>> inputs;  // each with special tokens already added
  std::function<void(Result<std::vector<std::vector<float>>>)> on_done;  // not normalised
};

struct EngineOptions {
  std::filesystem::path model_path;
  WeightFormat weight_format = WeightFormat::kStored;
  KvType kv_type = KvType::kF16;
  int threads = 0;            // 0: all cores
  int max_model_len = 0;      // 0: the model's context
  int max_num_seqs = 256;     // sequences decoded together
  int max_waiting = 1024;     // requests queued before kQueueFull
  int block_size = 16;        // tokens per KV block
  std::int64_t kv_bytes = 0;  // 0: a default that fits the machine
  int max_step_tokens = 0;    // token budget per step; 0: adaptive
  bool prefix_cache = true;
  int usable_vocab = 0;  // ids the tokenizer knows; larger ones are never chosen. 0: all
  std::vector<std::int32_t> eos_token_ids;  // besides the model's, as the tokenizer names them
};

struct EngineStats {
  int running = 0, waiting = 0;
  int kv_blocks = 0, kv_blocks_used = 0;
  std::int64_t kv_resident_bytes = 0;  // of the blocks that were ever used
  std::int64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0, preemptions = 0;
  std::int64_t steps = 0;
};

class Engine {
 public:
  // Loads the model on the calling thread; throws Error.
  explicit Engine(const EngineOptions& options);
  // Takes a model that is loaded already, and the pool it computes on.
  Engine(const EngineOptions& options, std::unique_ptr<ThreadPool> pool, LoadedModel model);
  ~Engine();  // running requests fail with kShuttingDown
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const ModelInfo& info() const;
  int max_model_len() const;
  // Embedding models: whether the model's own answer is normalised; false for language models.
  bool normalizes() const;

  // Dropping the handle cancels the request within one step.
  class Handle {
   public:
    Handle() = default;
    ~Handle();
    Handle(Handle&&) noexcept;
    Handle& operator=(Handle&&) noexcept;
    void cancel();
    // Ends one sample early (its stop string was found); the others go on.
    void stop_sample(int sample);

   private:
    friend class Engine;
    explicit Handle(std::shared_ptr<Ticket> ticket) : ticket_(std::move(ticket)) {}
    std::shared_ptr<Ticket> ticket_;
  };

  // Throws Error(kQueueFull) with retry_after_s and the queue position in the message,
  // Error(kContextLengthExceeded), Error(kWrongTask) on an embedding model, Error(kBadTokenId).
  Handle generate(GenerationRequest request);
  Handle embed(EmbeddingRequest request);

  EngineStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera

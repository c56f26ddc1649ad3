#include "worker/worker_metrics.h"

namespace tessera {
namespace {

// The engine counts from its start; a Counter can only be moved on.
void catch_up(Counter& counter, std::int64_t total) {
  const auto now = static_cast<std::uint64_t>(total);
  const std::uint64_t before = counter.value();
  if (now > before) counter.add(now - before);
}

}  // namespace

WorkerMetrics::WorkerMetrics()
    : weight_bytes_(
          metrics_.gauge("tessera_weight_bytes", "Weights in memory, as they are computed with")
              .with()),
      running_(metrics_.gauge("tessera_requests_running", "Sequences being computed").with()),
      waiting_(metrics_.gauge("tessera_requests_waiting", "Sequences in the queue").with()),
      kv_blocks_(metrics_.gauge("tessera_kv_blocks", "Blocks of the KV cache").with()),
      kv_blocks_used_(
          metrics_.gauge("tessera_kv_blocks_used", "Blocks that belong to a sequence").with()),
      kv_usage_(
          metrics_.gauge("tessera_kv_usage_ratio", "Used part of the KV cache, 0 to 1").with()),
      kv_resident_bytes_(metrics_
                             .gauge("tessera_kv_resident_bytes",
                                    "Keys and values in memory: blocks that were ever used")
                             .with()),
      prompt_tokens_(
          metrics_.counter("tessera_prompt_tokens_total", "Prompt tokens computed").with()),
      generated_tokens_(
          metrics_.counter("tessera_generation_tokens_total", "Tokens generated").with()),
      cached_tokens_(metrics_
                         .counter("tessera_cached_prompt_tokens_total",
                                  "Prompt tokens found in the prefix cache")
                         .with()),
      preemptions_(
          metrics_.counter("tessera_preemptions_total", "Sequences that lost their blocks").with()),
      steps_(metrics_.counter("tessera_engine_steps_total", "Forward passes").with()),
      ttft_(metrics_
                .histogram("tessera_time_to_first_token_seconds",
                           "From the arrival of a request to its first token",
                           exponential_bounds(0.001, 2, 16))
                .with()),
      token_gap_(metrics_
                     .histogram("tessera_inter_token_latency_seconds",
                                "Between two steps that produced tokens of one request",
                                exponential_bounds(0.0005, 2, 15))
                     .with()),
      duration_(metrics_
                    .histogram("tessera_request_duration_seconds",
                               "From the arrival of a request to its end",
                               exponential_bounds(0.005, 2, 17))
                    .with()) {}

std::string WorkerMetrics::text(const EngineStats& stats) {
  running_.set(stats.running);
  waiting_.set(stats.waiting);
  kv_blocks_.set(stats.kv_blocks);
  kv_blocks_used_.set(stats.kv_blocks_used);
  kv_usage_.set(stats.kv_blocks > 0 ? static_cast<double>(stats.kv_blocks_used) / stats.kv_blocks
                                    : 0);
  kv_resident_bytes_.set(static_cast<double>(stats.kv_resident_bytes));
  catch_up(prompt_tokens_, stats.prompt_tokens);
  catch_up(generated_tokens_, stats.generated_tokens);
  catch_up(cached_tokens_, stats.cached_tokens);
  catch_up(preemptions_, stats.preemptions);
  catch_up(steps_, stats.steps);
  return metrics_.text();
}

}  // namespace tessera

// What a worker counts, as Prometheus text. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/metrics.h"
#include "engine/engine.h"

namespace tessera {

class WorkerMetrics {
 public:
  WorkerMetrics();

  // Of the model, in the run-time format.
  void set_weight_bytes(std::int64_t bytes) { weight_bytes_.set(static_cast<double>(bytes)); }

  // Seconds from the arrival of a request to its first token, between tokens, and to its end.
  void observe_first_token(double seconds) { ttft_.observe(seconds); }
  void observe_token_gap(double seconds) { token_gap_.observe(seconds); }
  void observe_request(double seconds) { duration_.observe(seconds); }

  std::string text(const EngineStats &stats);

 private:
  Metrics metrics_;
  Gauge &weight_bytes_, &running_, &waiting_, &kv_blocks_, &kv_blocks_used_, &kv_usage_,
      &kv_resident_bytes_;
  Counter &prompt_tokens_, &generated_tokens_, &cached_tokens_, &preemptions_, &steps_;
  Histogram &ttft_, &token_gap_, &duration_;
};

}  // namespace tessera

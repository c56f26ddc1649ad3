// What the handlers of one worker share. Built by Worker, outlives every request; read-only.
#pragma once

#include <string>

#include "api/options.h"
#include "engine/engine.h"
#include "engine/model_assets.h"
#include "worker/worker_metrics.h"

namespace tessera {

struct ServedModel {
  Engine& engine;
  const ModelAssets& assets;
  WorkerMetrics& metrics;
  std::string name;         // what /v1/models lists
  std::string fingerprint;  // system_fingerprint
  api::ParseOptions parsing;
  int max_output_tokens = 0;              // cap on max_tokens; 0: the context is the only bound
  bool parse_special_in_content = false;  // special tokens spelt out in messages become their ids
  bool sends_pings = true;                // keep-alive comments in streams

  const Tokenizer& tokenizer() const { return *assets.tokenizer; }
};

}  // namespace tessera

// How much memory the KV cache gets.
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace tessera {

struct KvSize {
  int blocks = 0;
  int max_model_len = 0;
};

// Memory this process may still take: MemAvailable, or less where a control group says so.
// `root` stands for "/" in tests.
std::int64_t available_memory(const std::string& root = "/");

// The default fits kDefaultContexts whole contexts, at most half of `available` bytes. When not
// even one context fits, max_model_len shrinks to what does, unless it was asked for: then
// Error(kBadConfiguration) names both figures.
KvSize size_kv(const EngineOptions& options, const ModelInfo& info, std::int64_t available);

inline constexpr int kDefaultContexts = 8;

}  // namespace tessera

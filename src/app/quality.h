// `tessera models quality`: what the run-time weight formats cost in quality.
#pragma once

#include <string>
#include <vector>

namespace tessera::app {

struct QualityOptions {
  std::string path;       // model folder or .gguf file
  std::string text_path;  // UTF-8 text; long texts give steadier figures
  std::vector<std::string> formats;
  int window = 512;  // tokens that see each other
  int max_tokens = 4096;
  int threads = 0;
};

// Prints one row per format: against the same weights in f32, the mean Kullback-Leibler divergence
// of the next-token distributions, how often the likeliest token agrees, and the perplexity.
int measure_quality(const QualityOptions& options);

}  // namespace tessera::app

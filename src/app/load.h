// A closed-loop load on an OpenAI-compatible server: N clients, each sending its next request when
// the last one is answered. Speaks to Tessera and to any other engine alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http/client.h"

namespace tessera::app {

struct LoadOptions {
  http::Origin origin;
  std::string base_path = "/v1";
  std::string token;  // empty: no Authorization header
  std::string model;
  int clients = 1;
  int requests_per_client = 2;
  int prompt_tokens = 128;
  int max_tokens = 64;
  int vocab_size = 0;  // prompts are random token ids below this
  bool embeddings = false;
  std::uint64_t seed = 1;
};

struct LoadResult {
  double seconds = 0;
  std::int64_t generated_tokens = 0, prompt_tokens = 0;
  int answers = 0, failures = 0;
  std::string first_failure;
  std::vector<double> ttft_ms;  // request sent to first token, or to the answer for embeddings
  std::vector<double> itl_ms;   // between consecutive tokens of a stream

  double generated_per_second() const { return seconds > 0 ? generated_tokens / seconds : 0; }
};

// Runs to the end on the calling thread.
LoadResult run_load(const LoadOptions& options);

// The value below which `percent` of the samples lie (nearest rank); 0 without samples.
double percentile(std::vector<double> samples, double percent);

}  // namespace tessera::app

// Fields that several tasks share (data-plane 1.6, 2.2, 2.10–2.12).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tessera::api {

using StringPairs = std::vector<std::pair<std::string, std::string>>;

// Accepted on every task; none of them changes what is generated.
struct CommonFields {
  std::string model;
  std::string client_request_id;
  StringPairs usage_context;
  StringPairs metadata;
  std::string user;
  std::vector<std::string> ignored_fields;  // unknown ones, profiles kOpen and kInternal
  StringPairs extra;  // profile kExternal: unknown members as JSON text, in order of the request
};

// Sampling, stopping and output options of chat and completions. The initial values are the
// defaults; an optional is one whose default the model may set.
struct GenerationFields {
  std::optional<int> max_tokens;  // none: up to the cap and the context
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int> top_k;  // 0: off
  double min_p = 0;
  double frequency_penalty = 0;
  double presence_penalty = 0;
  double repetition_penalty = 1;
  std::vector<std::pair<std::int32_t, double>> logit_bias;
  bool max_tokens_is_completion = false;  // the client wrote max_completion_tokens
  std::optional<std::int64_t> seed;
  int n = 1;
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_token_ids;
  int min_tokens = 0;
  bool ignore_eos = false;
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;
  bool spaces_between_special_tokens = true;
  std::vector<std::string> bad_words;
  std::vector<std::int32_t> allowed_token_ids;  // empty: all
  bool echo = false;
  std::optional<bool> add_special_tokens;     // chat: false, completions: true
  std::optional<int> prompt_logprobs;         // -1: the whole vocabulary
  std::optional<int> truncate_prompt_tokens;  // keep the last k; -1: context minus output budget
  bool return_token_ids = false;
  bool return_tokens_as_token_ids = false;
  int priority = 0;
  std::string request_id;  // suffix of the answer's id; empty: made by the server
  bool stream = false;
  bool include_usage = false;           // stream_options
  bool continuous_usage_stats = false;  // stream_options
  // Write choices[].stop_reason: the profile is kOpen or a vLLM-style field was sent. Travels to
  // the worker as a field of its own, known in the internal profile only.
  bool include_stop_reason = false;
};

// What a provider changes in a request while writing it.
struct WireOptions {
  std::string_view model;        // instead of the request's; empty: as it is
  bool usage_in_stream = false;  // ask for the usage chunk although the client did not
  bool usage_in_chunks = false;  // and for running usage in every chunk
  bool end_user_fields = true;   // user and metadata
  // Members already written for the provider, without braces, instead of the request's own beside
  // model, messages, prompt, input, tools, response_format and stream.
  std::optional<std::string_view> members;
  bool tessera_fields = true;     // what only our workers know: include_stop_reason
  bool with_model = true;         // false: the URL says it
  bool stream_options = true;     // false: the upstream does not know them
  bool developer_role = false;    // it knows the role "developer"; else it is "system"
  bool reasoning_history = true;  // it takes reasoning_content and thinking_blocks of old messages
};

enum class FinishReason { kStop, kLength, kToolCalls, kContentFilter, kFunctionCall };
const char* to_string(FinishReason reason);

// The matched stop string or stop token id; monostate: neither, written as null.
using StopReason = std::variant<std::monostate, std::int64_t, std::string>;

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::optional<std::int64_t> completion_tokens = 0;  // none for embeddings
  std::int64_t total_tokens = 0;
  std::optional<std::int64_t> cached_tokens;       // read from a cache; included in prompt_tokens
  std::optional<std::int64_t> cache_write_tokens;  // included in prompt_tokens
  std::optional<std::int64_t> reasoning_tokens;    // included in completion_tokens
  // Further members as JSON text: of usage itself and of its two details objects.
  StringPairs extra, prompt_extra, completion_extra;
  bool operator==(const Usage&) const = default;
};

// Reads the object that stands after "usage":; nullopt when it is none.
std::optional<Usage> parse_usage(std::string_view json);

// Asked for by the header x-tessera-timings; unknown ones are null.
struct Timings {
  std::optional<double> queue_ms, prefill_ms, ttft_ms, decode_ms, tokens_per_s;
};
std::string to_json(const Timings& timings);

}  // namespace tessera::api

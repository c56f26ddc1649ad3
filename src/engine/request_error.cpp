#include "engine/request_error.h"

namespace tessera {

Error context_length_error(int context, std::int64_t input_tokens, std::int64_t output_tokens,
                           std::string param) {
  Error error(ErrorKind::kContextLengthExceeded,
              "This model's maximum context length is " + std::to_string(context) +
                  " tokens. However, your request has " + std::to_string(input_tokens) +
                  " input tokens and asks for " + std::to_string(output_tokens) +
                  " output tokens. Reduce the input or max_tokens.",
              std::move(param));
  error.extra = {{"n_prompt_tokens", input_tokens}, {"n_ctx", context}};
  return error;
}

Error forward_error(const std::exception& failure) {
  if (const auto* error = dynamic_cast<const Error*>(&failure)) return *error;
  return Error(ErrorKind::kEngineFailure,
               std::string("the forward pass failed: ") + failure.what());
}

Error shutting_down_error() {
  return Error(ErrorKind::kShuttingDown, "the server is shutting down; try again elsewhere");
}

}  // namespace tessera

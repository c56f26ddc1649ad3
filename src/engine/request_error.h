// Errors that more than one place has to word alike.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "base/error.h"

namespace tessera {

// The message that clients search for (data-plane 5.4), with n_prompt_tokens and n_ctx beside it.
Error context_length_error(int context, std::int64_t input_tokens, std::int64_t output_tokens,
                           std::string param);

// What a forward pass threw, as the error of the request that it was for.
Error forward_error(const std::exception& failure);

Error shutting_down_error();

}  // namespace tessera

// Chat messages to prompt tokens: preparation, template, encoding (model-architectures 3.5–3.7).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/chat.h"
#include "worker/served_model.h"

namespace tessera {

// Throws Error(kBadMessage) when the template refuses the messages, Error(kWrongTask) when the
// model has no template, Error(kBadValue) for kwargs and documents that cannot be used.
std::vector<std::int32_t> chat_prompt(const api::ChatRequest& request, const ServedModel& model);

}  // namespace tessera

// Request fields to the engine's parameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/fields.h"
#include "engine/sampling_params.h"
#include "worker/choice_text.h"
#include "worker/served_model.h"

namespace tessera {

// Throws Error(kWrongTask) when the model makes embeddings.
void require_generation(const ServedModel& model);

// Everything but max_tokens and the log probabilities, whose fields differ by route.
SamplingParams sampling_params(const api::GenerationFields& fields, const ServedModel& model);

ChoiceOptions choice_options(const api::GenerationFields& fields);

// Adds the special tokens among the stop strings to the end tokens: their text is never shown, so
// they can only be recognised by id (data-plane 2.15, 5).
void add_special_stops(const ServedModel& model, ChoiceOptions& choice, SamplingParams& sampling);

// Keeps the last k tokens as truncate_prompt_tokens says, then checks the prompt against the
// context and returns its output budget (data-plane 5.4). `param` names the prompt in errors. With
// `clamp` a max_tokens that does not fit is reduced instead of refused.
int fit_context(std::vector<std::int32_t>& prompt, const api::GenerationFields& fields,
                const ServedModel& model, const std::string& param, bool clamp);

// How many alternatives the engine shall report for "all" (-1) or a count; refuses what would fill
// the memory: `rows` tokens with that many alternatives each.
int alternatives(int wanted, std::int64_t rows, const ServedModel& model, const std::string& param);

}  // namespace tessera

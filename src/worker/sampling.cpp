#include "worker/sampling.h"

#include <algorithm>

#include "base/error.h"
#include "engine/request_error.h"

namespace tessera {
namespace {

// Log probabilities of one request, in entries: about a gigabyte of JSON.
constexpr std::int64_t kMaxAlternatives = 20'000'000;

}  // namespace

void require_generation(const ServedModel& model) {
  if (!model.engine.info().is_embedding) return;
  throw Error(ErrorKind::kWrongTask,
              "model '" + model.name + "' makes embeddings; it does not generate text");
}

SamplingParams sampling_params(const api::GenerationFields& fields, const ServedModel& model) {
  const GenerationDefaults& defaults = model.assets.defaults;
  SamplingParams p;
  p.temperature = static_cast<float>(fields.temperature.value_or(defaults.temperature.value_or(1)));
  p.top_p = static_cast<float>(fields.top_p.value_or(defaults.top_p.value_or(1)));
  p.top_k = fields.top_k.value_or(defaults.top_k.value_or(0));
  p.min_p = static_cast<float>(fields.min_p);
  p.repetition_penalty = static_cast<float>(fields.repetition_penalty);
  p.frequency_penalty = static_cast<float>(fields.frequency_penalty);
  p.presence_penalty = static_cast<float>(fields.presence_penalty);
  for (const auto& [id, bias] : fields.logit_bias) {
    p.logit_bias.emplace_back(id, static_cast<float>(bias));
  }
  p.allowed_token_ids = fields.allowed_token_ids;
  for (const std::string& word : fields.bad_words) {
    // A word in the middle of a text begins with a space.
    for (const std::string& form : {word, " " + word}) {
      auto ids =
          model.tokenizer().encode(form, {.add_special_tokens = false, .parse_special = false});
      if (!ids.empty()) p.bad_words.push_back(std::move(ids));
    }
  }
  if (fields.seed) p.seed = static_cast<std::uint64_t>(*fields.seed);
  p.min_tokens = fields.min_tokens;
  p.stop_token_ids = fields.stop_token_ids;
  p.ignore_eos = fields.ignore_eos;
  return p;
}

ChoiceOptions choice_options(const api::GenerationFields& fields) {
  ChoiceOptions choice;
  choice.stops = fields.stop;
  choice.stop_token_ids = fields.stop_token_ids;
  choice.include_stop = fields.include_stop_str_in_output;
  choice.skip_special_tokens = fields.skip_special_tokens;
  choice.min_tokens = fields.min_tokens;
  return choice;
}

void add_special_stops(const ServedModel& model, ChoiceOptions& choice, SamplingParams& sampling) {
  for (const std::string& stop : choice.stops) {
    const auto id = model.tokenizer().token_id(stop);
    if (!id || !model.tokenizer().is_special(*id)) continue;
    choice.special_stops.emplace(*id, stop);
    sampling.stop_token_ids.push_back(*id);
  }
}

int fit_context(std::vector<std::int32_t>& prompt, const api::GenerationFields& fields,
                const ServedModel& model, const std::string& param, bool clamp) {
  const int context = model.engine.max_model_len();
  if (fields.truncate_prompt_tokens) {
    const int budget = std::max(1, fields.max_tokens.value_or(1));
    const int keep = *fields.truncate_prompt_tokens < 0 ? std::max(1, context - budget)
                                                        : *fields.truncate_prompt_tokens;
    if (static_cast<int>(prompt.size()) > keep) prompt.erase(prompt.begin(), prompt.end() - keep);
  }
  const auto input = static_cast<std::int64_t>(prompt.size());
  const std::int64_t wanted = fields.max_tokens.value_or(1);
  if (input >= context) throw context_length_error(context, input, wanted, param);
  const int room = context - static_cast<int>(input);
  if (fields.max_tokens) {
    if (wanted <= room) return static_cast<int>(wanted);
    if (clamp) return room;
    throw context_length_error(context, input, wanted, "max_tokens");
  }
  return model.max_output_tokens > 0 ? std::min(model.max_output_tokens, room) : room;
}

int alternatives(int wanted, std::int64_t rows, const ServedModel& model,
                 const std::string& param) {
  const int vocab = model.tokenizer().vocab_size();
  const int count = wanted < 0 ? vocab : std::min(wanted, vocab);
  if (count * rows > kMaxAlternatives) {
    throw Error(ErrorKind::kOutOfRange,
                param + " asks for " + std::to_string(count) + " log probabilities of " +
                    std::to_string(rows) + " tokens each; together at most " +
                    std::to_string(kMaxAlternatives) + " are possible",
                param);
  }
  return count;
}

}  // namespace tessera

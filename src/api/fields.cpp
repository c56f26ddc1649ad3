#include "api/fields.h"

#include <algorithm>
#include <limits>

#include "api/field_table.h"
#include "base/strings.h"

namespace tessera::api {
namespace {

using Common = CommonFields;
using Generation = GenerationReading;

// Class B: well-typed, then ignored.
void ignore_string(Common&, const json::value& value, const Reading& at) {
  read_string(at.field, value);
}
void ignore_object(Common&, const json::value& value, const Reading& at) {
  as_object(value, at.field);
}
void ignore_bool(Common&, const json::value& value, const Reading& at) {
  read_bool(at.field, value);
}

// Class C: accepted where it asks for nothing.
void refuse(Common&, const json::value& value, const Reading& at) {
  if (!is_neutral(value)) throw unsupported_parameter(at.field);
}

void read_service_tier(Common&, const json::value& value, const Reading& at) {
  const std::string_view tier = read_string(at.field, value);
  if (tier == "auto" || tier == "default") return;
  Error error = bad_value(at.field, tier, {"auto", "default"});
  error.kind = ErrorKind::kUnsupportedValue;
  throw error;
}

// Of another's API only the types are checked: its ranges are not ours to know.
bool is_external(const Reading& at) { return at.options.profile == Profile::kExternal; }

double read_within(const json::value& value, const Reading& at, double lowest, double highest) {
  constexpr double kAny = std::numeric_limits<double>::max();
  return is_external(at) ? read_number(at.field, value, -kAny, kAny)
                         : read_number(at.field, value, lowest, highest);
}

int read_within(const json::value& value, const Reading& at, int lowest, int highest = kMaxInt) {
  return is_external(at) ? read_int(at.field, value, -kMaxInt)
                         : read_int(at.field, value, lowest, highest);
}

void read_metadata(Common& r, const json::value& value, const Reading& at) {
  constexpr std::size_t kAny = std::string_view::npos;
  r.metadata = is_external(at) ? read_string_map(at.field, value, kAny, kAny, kAny)
                               : read_string_map(at.field, value, 16, 64, 512);
}

void read_modalities(Common&, const json::value& value, const Reading& at) {
  const json::array& modalities = read_array(at.field, value, 0, 16);
  for (std::size_t i = 0; i < modalities.size(); ++i) {
    if (read_string(index_path(at.field, i), modalities[i]) != "text") {
      throw unsupported_parameter(at.field);
    }
  }
}

constexpr Field<Common> kCommonFields[] = {
    {"model", [](Common& r, const json::value& v,
                 const Reading& at) { r.model = read_string(at.field, v); }},
    {"client_request_id",
     [](Common& r, const json::value& v, const Reading& at) {
       r.client_request_id = read_string(at.field, v, 255);
     }},
    {"usage_context",
     [](Common& r, const json::value& v, const Reading& at) {
       r.usage_context = read_string_map(at.field, v, 64, 255, 1024);
     }},
    {"metadata", read_metadata},
    {"user",
     [](Common& r, const json::value& v, const Reading& at) { r.user = read_string(at.field, v); }},
    {"databricks_options", ignore_object},
    {"safety_identifier", ignore_string, kOurs},
    {"prompt_cache_key", ignore_string, kOurs},
    {"prompt_cache_retention", ignore_string, kOurs},
    {"prompt_cache_options", ignore_object, kOurs},
    {"verbosity", ignore_string, kOurs},
    {"guided_decoding_backend", ignore_string, kOurs},
    {"cache_salt", ignore_string, kOurs},
    {"include_obfuscation", ignore_bool, kOurs},
    {"service_tier", read_service_tier, kOurs},
    {"modalities", read_modalities, kOurs},
    {"store", refuse, kOurs},
    {"audio", refuse, kOurs},
    {"prediction", refuse, kOurs},
    {"web_search_options", refuse, kOurs},
    {"moderation", refuse, kOurs},
    {"use_beam_search", refuse, kOurs},
    {"logits_processors", refuse, kOurs},
    {"prompt_embeds", refuse, kOurs},
    {"kv_transfer_params", refuse, kOurs},
    {"mm_processor_kwargs", refuse, kOurs},
};

void read_stop(Generation& r, const json::value& value, const Reading& at) {
  r.fields.stop.clear();
  const auto add = [&](std::string_view field, const json::value& entry) {
    const std::string_view text =
        read_string(field, entry, is_external(at) ? std::string_view::npos : 512);
    if (text.empty()) throw empty_text(field);
    r.fields.stop.emplace_back(text);
  };
  if (value.is_string()) return add(at.field, value);
  if (!value.is_array()) throw_wrong_type(at.field, "a string or an array of strings", value);
  const json::array& entries = read_array(at.field, value, 0, at.options.max_stop);
  for (std::size_t i = 0; i < entries.size(); ++i) add(index_path(at.field, i), entries[i]);
}

void read_stream_options(Generation& r, const json::value& value, const Reading& at) {
  r.has_stream_options = true;
  for (const auto& [name, option] : as_object(value, at.field)) {
    const std::string path = join_path(at.field, name);
    const bool known = name == "include_usage" || name == "continuous_usage_stats" ||
                       name == "include_obfuscation";
    if (!known) {
      std::vector<std::string> ignored;
      unknown_field(path, at.options, ignored);
    } else if (!option.is_null()) {
      const bool on = read_bool(path, option);
      if (name == "include_usage") r.fields.include_usage = on;
      if (name == "continuous_usage_stats") r.fields.continuous_usage_stats = on;
    }
  }
}

void read_logit_bias(Generation& r, const json::value& value, const Reading& at) {
  constexpr std::size_t kMaxEntries = 1024;
  const json::object& bias = as_object(value, at.field);
  if (!is_external(at)) check_length(bias.size(), 0, kMaxEntries, at.field);
  r.fields.logit_bias.clear();
  for (const auto& [key, strength] : bias) {
    const std::string path = join_path(at.field, utf8_prefix(key, 100));
    const std::optional<std::int64_t> id = parse_int(key);
    if (!id) {
      throw Error(ErrorKind::kBadTokenId,
                  "Invalid token id in 'logit_bias': " + quote_for_message(key) +
                      " is not a decimal number.",
                  path);
    }
    r.fields.logit_bias.emplace_back(read_token_id(path, json::value(*id), at.options.vocab_size),
                                     read_number(path, strength, -100, 100));
  }
}

void read_repetition_penalty(Generation& r, const json::value& value, const Reading& at) {
  const double penalty = read_number(at.field, value, 0, 10);
  if (penalty == 0) throw not_positive(at.field);
  r.fields.repetition_penalty = penalty;
}

void read_top_p(Generation& r, const json::value& value, const Reading& at) {
  const double top_p = read_within(value, at, 0., 1.);
  if (top_p == 0 && !is_external(at)) throw not_positive(at.field);
  r.fields.top_p = top_p;
}

void read_bad_words(Generation& r, const json::value& value, const Reading& at) {
  const json::array& words = read_array(at.field, value, 0, 64);
  r.fields.bad_words.clear();
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string path = index_path(at.field, i);
    const std::string_view word = read_string(path, words[i], 512);
    if (word.empty()) throw empty_text(path);
    r.fields.bad_words.emplace_back(word);
  }
}

void read_truncate(Generation& r, const json::value& value, const Reading& at) {
  const int keep = read_int(at.field, value, -1);
  if (keep == 0) throw not_positive(at.field);
  r.fields.truncate_prompt_tokens = keep;
}

void read_priority(Generation& r, const json::value& value, const Reading& at) {
  r.fields.priority = read_priority_value(value, at);
}

// The answer constraints of a later version; the neutral form of response_format is plain text.
void read_response_format(Generation&, const json::value& value, const Reading& at) {
  const json::object& format = as_object(value, at.field);
  const json::value* type = format.if_contains("type");
  if (type == nullptr || type->is_null()) throw_missing("response_format.type");
  const std::string_view name = read_string("response_format.type", *type);
  if (name == "text") return;
  if (name == "json_object" || name == "json_schema") throw not_supported_yet(at.field);
  throw bad_value("response_format.type", name, {"text", "json_object", "json_schema"});
}

void read_reasoning_effort(Generation&, const json::value& value, const Reading& at) {
  const std::string_view effort = read_string(at.field, value);
  for (const std::string_view known :
       {"none", "minimal", "low", "medium", "high", "xhigh", "max"}) {
    if (effort != known) continue;
    if (effort == "none") return;
    throw Error(ErrorKind::kUnsupportedValue,
                "Unsupported value: 'reasoning_effort' can only be 'none' with this model, not " +
                    quote_for_message(effort) + ".",
                std::string(at.field));
  }
  throw bad_value(at.field, effort, {"none", "minimal", "low", "medium", "high", "xhigh", "max"});
}

// Wraps a reader of a vLLM-style extension, which makes answers carry stop_reason.
template <void (*kRead)(Generation&, const json::value&, const Reading&)>
void vendor(Generation& r, const json::value& value, const Reading& at) {
  r.vendor_fields = true;
  kRead(r, value, at);
}

template <bool GenerationFields::*kMember, bool kVendor = true>
void flag(Generation& r, const json::value& value, const Reading& at) {
  r.vendor_fields |= kVendor;
  r.fields.*kMember = read_bool(at.field, value);
}

// From our gateway to our worker; to anybody else the name means nothing.
void read_include_stop_reason(Generation& r, const json::value& value, const Reading& at) {
  std::vector<std::string> ignored;
  if (at.options.profile != Profile::kInternal) return unknown_field(at.field, at.options, ignored);
  r.fields.include_stop_reason = read_bool(at.field, value);
}

void refuse_generation(Generation&, const json::value& value, const Reading& at) {
  if (!is_neutral(value)) throw unsupported_parameter(at.field);
}
void refuse_generation_for_now(Generation&, const json::value& value, const Reading& at) {
  if (!is_neutral(value)) throw not_supported_yet(at.field);
}

int read_max_tokens(const json::value& value, const Reading& at) {
  return read_within(value, at, 0);
}

constexpr Field<Generation> kGenerationFields[] = {
    {"max_tokens", [](Generation& r, const json::value& v,
                      const Reading& at) { r.fields.max_tokens = read_max_tokens(v, at); }},
    {"max_completion_tokens",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.max_completion_tokens = read_max_tokens(v, at);
     }},
    {"temperature", [](Generation& r, const json::value& v,
                       const Reading& at) { r.fields.temperature = read_within(v, at, 0., 2.); }},
    {"top_p", read_top_p},
    {"top_k",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.fields.top_k = read_within(v, at, -1);
       if (!is_external(at)) r.fields.top_k = std::max(0, *r.fields.top_k);
     }},
    {"min_p",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.vendor_fields = true;
       r.fields.min_p = read_number(at.field, v, 0, 1);
     },
     kOurs},
    {"n", [](Generation& r, const json::value& v,
             const Reading& at) { r.fields.n = read_int(at.field, v, 1, at.options.max_n); }},
    {"stop", read_stop},
    {"stream", flag<&GenerationFields::stream, false>},
    {"stream_options", read_stream_options},
    {"frequency_penalty",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.fields.frequency_penalty = read_within(v, at, -2., 2.);
     }},
    {"presence_penalty",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.fields.presence_penalty = read_within(v, at, -2., 2.);
     }},
    {"repetition_penalty", vendor<read_repetition_penalty>, kOurs},
    {"logit_bias", read_logit_bias},
    {"seed", [](Generation& r, const json::value& v,
                const Reading& at) { r.fields.seed = as_int(v, at.field); }},
    {"min_tokens",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.vendor_fields = true;
       r.fields.min_tokens = read_int(at.field, v, 0);
     },
     kOurs},
    {"stop_token_ids",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.vendor_fields = true;
       r.fields.stop_token_ids = read_token_ids(at.field, v, 0, 64, at.options.vocab_size);
     },
     kOurs},
    {"ignore_eos", flag<&GenerationFields::ignore_eos>, kOurs},
    {"include_stop_str_in_output", flag<&GenerationFields::include_stop_str_in_output>, kOurs},
    {"skip_special_tokens", flag<&GenerationFields::skip_special_tokens>, kOurs},
    {"spaces_between_special_tokens", flag<&GenerationFields::spaces_between_special_tokens>,
     kOurs},
    {"bad_words", vendor<read_bad_words>, kOurs},
    {"allowed_token_ids",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.vendor_fields = true;
       const int vocab = at.options.vocab_size;
       r.fields.allowed_token_ids =
           read_token_ids(at.field, v, 1, vocab > 0 ? vocab : 1 << 20, vocab);
     },
     kOurs},
    {"echo", flag<&GenerationFields::echo, false>},
    {"add_special_tokens",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.vendor_fields = true;
       r.fields.add_special_tokens = read_bool(at.field, v);
     },
     kOurs},
    {"prompt_logprobs",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.vendor_fields = true;
       r.fields.prompt_logprobs = read_int(at.field, v, -1, 20);
     },
     kOurs},
    {"truncate_prompt_tokens", vendor<read_truncate>, kOurs},
    {"return_token_ids", flag<&GenerationFields::return_token_ids>, kOurs},
    {"return_tokens_as_token_ids", flag<&GenerationFields::return_tokens_as_token_ids>, kOurs},
    {"priority", vendor<read_priority>, kOurs},
    {"request_id",
     [](Generation& r, const json::value& v, const Reading& at) {
       r.vendor_fields = true;
       r.fields.request_id = read_string(at.field, v, 128);
     },
     kOurs},
    {"include_stop_reason", read_include_stop_reason, kOurs},
    {"response_format", read_response_format, kOurs},
    {"reasoning_effort", read_reasoning_effort, kOurs},
    {"thinking", refuse_generation, kOurs},
    {"include_reasoning",
     [](Generation&, const json::value& v, const Reading& at) { read_bool(at.field, v); }, kOurs},
    {"vllm_xargs",
     [](Generation&, const json::value& v, const Reading& at) { as_object(v, at.field); }, kOurs},
    {"structured_outputs", refuse_generation_for_now, kOurs},
    {"guided_json", refuse_generation_for_now, kOurs},
    {"guided_regex", refuse_generation_for_now, kOurs},
    {"guided_choice", refuse_generation_for_now, kOurs},
    {"guided_grammar", refuse_generation_for_now, kOurs},
    {"guided_json_object", refuse_generation_for_now, kOurs},
};

}  // namespace

int read_priority_value(const json::value& value, const Reading& at) {
  const int priority = read_int(at.field, value, -100, 100);
  if (priority != 0 && !at.options.allow_priority) {
    throw Error(ErrorKind::kUnsupportedValue,
                "Unsupported value: 'priority' other than 0 is not enabled on this endpoint.",
                std::string(at.field));
  }
  return priority;
}

std::span<const Field<CommonFields>> common_fields() { return kCommonFields; }
std::span<const Field<GenerationReading>> generation_fields() { return kGenerationFields; }

GenerationFields finish_generation(GenerationReading reading, const ParseOptions& options,
                                   bool zero_max_tokens) {
  GenerationFields& fields = reading.fields;
  std::string_view limit_field = "max_tokens";
  if (reading.max_completion_tokens) {
    fields.max_tokens = reading.max_completion_tokens;
    fields.max_tokens_is_completion = true;
    limit_field = "max_completion_tokens";
  }
  const bool external = options.profile == Profile::kExternal;
  if (fields.max_tokens == 0 && !zero_max_tokens && !external)
    check_range(std::int64_t{0}, 1, kMaxInt, limit_field);
  if (options.max_output_tokens > 0 && fields.max_tokens.value_or(0) > options.max_output_tokens) {
    throw Error(ErrorKind::kMaxTokensTooLarge,
                std::string(limit_field) + " (" + std::to_string(*fields.max_tokens) +
                    ") cannot exceed " + std::to_string(options.max_output_tokens) + ".",
                std::string(limit_field));
  }
  if (fields.max_tokens && fields.min_tokens > *fields.max_tokens) {
    check_range(std::int64_t{fields.min_tokens}, 0, *fields.max_tokens, "min_tokens");
  }
  if (reading.has_stream_options && !fields.stream && external) {
    // Frameworks set them always; without a stream they say nothing.
    fields.include_usage = fields.continuous_usage_stats = false;
  } else if (reading.has_stream_options && !fields.stream) {
    throw conflict("stream_options", "stream", "options are allowed only with 'stream' true");
  }
  if (fields.prompt_logprobs && fields.stream) {
    throw conflict("prompt_logprobs", "stream", "prompt log-probabilities are not streamed");
  }
  fields.include_stop_reason |= options.profile == Profile::kOpen;
  fields.include_stop_reason |= options.profile == Profile::kDatabricks && reading.vendor_fields;
  return std::move(fields);
}

}  // namespace tessera::api

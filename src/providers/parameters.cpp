#include "providers/parameters.h"

#include <algorithm>

#include "base/strings.h"

namespace tessera::providers {
namespace {

// Members that only OpenAI gives a meaning, and that change nothing in what is answered here.
constexpr std::string_view kOpenAiOnly[] = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "prediction",
    "modalities",
    "audio",
    "web_search_options",
    "verbosity",
    "safety_identifier",
    "moderation",
    "prompt_cache_key",
    "include",
    "prompt_cache_options",
    "prompt_cache_retention",
};

// What these members are when nothing is asked for.
bool is_openai_default(std::string_view name, const json::value& value) {
  if (value.is_null()) return true;
  if (name == "store") return value == json::value(false);
  if (name == "service_tier")
    return value == json::value("auto") || value == json::value("default");
  if (name == "modalities") return value == json::value(json::array{"text"});
  return false;
}

json::array to_array(const std::vector<std::string>& list) {
  return json::array(list.begin(), list.end());
}

std::string number(double value) {
  std::string out;
  append_double(out, value);
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out;
}

std::string range_text(const Rule& rule) {
  if (rule.highest == Rule::kNone) return "be " + number(rule.lowest) + " or more";
  if (rule.lowest == -Rule::kNone) return "be at most " + number(rule.highest);
  if (rule.below)
    return "be at least " + number(rule.lowest) + " and below " + number(rule.highest);
  return "be between " + number(rule.lowest) + " and " + number(rule.highest);
}

std::string_view native_name(const Rule& rule) {
  return rule.native.empty() ? rule.field : rule.native;
}

std::string_view last_part(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == path.npos ? path : path.substr(dot + 1);
}

}  // namespace

void set_at(json::object& object, std::string_view path, json::value value) {
  const std::size_t dot = path.find('.');
  if (dot == path.npos) {
    object[path] = std::move(value);
    return;
  }
  json::value& inner = object[path.substr(0, dot)];
  if (!inner.is_object()) inner = json::object();
  set_at(inner.get_object(), path.substr(dot + 1), std::move(value));
}

Parameters::Parameters(const api::CommonFields& common, const Dialect& dialect,
                       const Context& context)
    : dialect_(dialect),
      drop_unsupported_(context.model.option("unsupported_params") == "drop"),
      temperature_policy_(context.model.option("temperature_policy")),
      default_max_tokens_(parse_int(context.model.option("default_max_tokens"))
                              .value_or(dialect.default_max_tokens)) {
  give_common(common);
  for (const auto& [name, text] : common.extra) {
    json::value value = parse_json(text);
    if (!value.is_null()) extras_.emplace_back(name, std::move(value));
  }
}

Parameters::Parameters(const api::ChatRequest& request, const Dialect& dialect,
                       const Context& context)
    : Parameters(request.common, dialect, context) {
  give_generation(request.generation);
  if (request.logprobs) give("logprobs", true);
  if (request.top_logprobs != 0) give("top_logprobs", request.top_logprobs);
  // Where only its presence matters the value is left empty: the dialect writes it from the
  // request.
  if (!request.tools.empty()) give("tools", nullptr);
  if (request.tool_choice && request.tool_choice->mode != api::ToolChoice::Mode::kAuto) {
    give("tool_choice", nullptr);
  }
  if (request.parallel_tool_calls == false) give("parallel_tool_calls", false);
  if (request.response_format &&
      request.response_format->kind != api::ResponseFormat::Kind::kText) {
    give("response_format", nullptr);
  }
  if (!request.reasoning_effort.empty())
    give("reasoning_effort", json::value(request.reasoning_effort));
  if (!request.thinking.empty()) give("thinking", parse_json(request.thinking));
  if (!request.documents.empty()) give("documents", parse_json(request.documents));
  if (request.continue_final_message) give("continue_final_message", true);
  if (!request.continue_final_message && !request.add_generation_prompt) {
    give("add_generation_prompt", false);
  }
  if (!request.chat_template.empty()) give("chat_template", json::value(request.chat_template));
  if (!request.chat_template_kwargs.empty()) give("chat_template_kwargs", nullptr);
}

Parameters::Parameters(const api::CompletionRequest& request, const Dialect& dialect,
                       const Context& context)
    : Parameters(request.common, dialect, context) {
  give_generation(request.generation);
  if (request.logprobs) give("logprobs", *request.logprobs);
  if (request.best_of > 1) give("best_of", request.best_of);
  if (!request.suffix.empty()) give("suffix", json::value(request.suffix));
  if (request.error_behavior != api::ErrorBehavior::kError) give("error_behavior", "truncate");
  if (request.use_raw_prompt) give("use_raw_prompt", true);
}

// encoding_format, embed_dtype and endianness say how we write the answer, not what is asked.
Parameters::Parameters(const api::EmbeddingRequest& request, const Dialect& dialect,
                       const Context& context)
    : Parameters(request.common, dialect, context) {
  if (request.dimensions) give("dimensions", *request.dimensions);
  if (!request.instruction.empty()) give("instruction", json::value(request.instruction));
  if (request.truncate_prompt_tokens) {
    give("truncate_prompt_tokens", *request.truncate_prompt_tokens);
  }
  if (request.normalize) give("normalize", *request.normalize);
  if (!request.add_special_tokens) give("add_special_tokens", false);
  if (request.priority != 0) give("priority", request.priority);
}

void Parameters::give(std::string_view name, json::value value) {
  fields_.push_back({name, std::string(name), std::move(value)});
}

void Parameters::give_common(const api::CommonFields& common) {
  if (!common.user.empty()) give("user", json::value(common.user));
  if (!common.metadata.empty()) {
    json::object metadata;
    for (const auto& [key, value] : common.metadata) metadata[key] = value;
    give("metadata", std::move(metadata));
  }
}

void Parameters::give_generation(const api::GenerationFields& fields) {
  const api::GenerationFields initial;
  const auto given = [&](std::string_view name, const auto& maybe) {
    if (maybe) give(name, *maybe);
  };
  const auto changed = [&](std::string_view name, const auto& value, const auto& usual) {
    if (value != usual) give(name, value);
  };
  if (fields.max_tokens) {
    max_tokens_given_ = true;
    give("max_tokens", *fields.max_tokens);
    if (fields.max_tokens_is_completion) fields_.back().written = "max_completion_tokens";
  }
  given("temperature", fields.temperature);
  if (fields.top_p && *fields.top_p != 1) give("top_p", *fields.top_p);
  // 0 and -1 both turn it off.
  const int top_k = fields.top_k.value_or(0);
  if (top_k != 0 && top_k != -1) give("top_k", top_k);
  changed("min_p", fields.min_p, initial.min_p);
  changed("frequency_penalty", fields.frequency_penalty, initial.frequency_penalty);
  changed("presence_penalty", fields.presence_penalty, initial.presence_penalty);
  changed("repetition_penalty", fields.repetition_penalty, initial.repetition_penalty);
  if (!fields.logit_bias.empty()) {
    json::object bias;
    for (const auto& [id, strength] : fields.logit_bias) bias[std::to_string(id)] = strength;
    give("logit_bias", std::move(bias));
  }
  given("seed", fields.seed);
  changed("n", fields.n, initial.n);
  if (!fields.stop.empty()) give("stop", to_array(fields.stop));
  if (!fields.stop_token_ids.empty()) give("stop_token_ids", nullptr);
  changed("min_tokens", fields.min_tokens, initial.min_tokens);
  changed("ignore_eos", fields.ignore_eos, false);
  changed("include_stop_str_in_output", fields.include_stop_str_in_output, false);
  changed("skip_special_tokens", fields.skip_special_tokens, true);
  changed("spaces_between_special_tokens", fields.spaces_between_special_tokens, true);
  if (!fields.bad_words.empty()) give("bad_words", to_array(fields.bad_words));
  if (!fields.allowed_token_ids.empty()) give("allowed_token_ids", nullptr);
  changed("echo", fields.echo, false);
  given("add_special_tokens", fields.add_special_tokens);
  given("prompt_logprobs", fields.prompt_logprobs);
  given("truncate_prompt_tokens", fields.truncate_prompt_tokens);
  changed("return_token_ids", fields.return_token_ids, false);
  changed("return_tokens_as_token_ids", fields.return_tokens_as_token_ids, false);
  changed("priority", fields.priority, 0);
}

bool Parameters::has(std::string_view field) const {
  return std::ranges::any_of(fields_, [&](const Field& f) { return f.name == field; }) ||
         std::ranges::any_of(extras_, [&](const auto& extra) { return extra.first == field; });
}

std::optional<json::value> Parameters::take(std::string_view field) {
  for (auto it = fields_.begin(); it != fields_.end(); ++it) {
    if (it->name != field) continue;
    json::value value = std::move(it->value);
    fields_.erase(it);
    return value;
  }
  for (auto it = extras_.begin(); it != extras_.end(); ++it) {
    if (it->first != field) continue;
    json::value value = std::move(it->second);
    extras_.erase(it);
    return value;
  }
  return std::nullopt;
}

void Parameters::refuse(std::string_view field, std::string_view reason) {
  if (drop_unsupported_) return drop(field);
  std::string message = "Unsupported parameter: '" + std::string(field) +
                        "' is not supported by the provider '" + std::string(dialect_.provider) +
                        "'";
  if (!reason.empty()) message += " " + std::string(reason);
  throw Error(ErrorKind::kUnsupportedParameter, message + ".", std::string(field));
}

void Parameters::drop(std::string_view field) { dropped_.emplace_back(field); }

std::vector<std::string> Parameters::dropped() const {
  std::vector<std::string> names = dropped_;
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

const Rule* Parameters::rule(std::string_view field) const {
  const auto found = std::ranges::find(dialect_.rules, field, &Rule::field);
  return found == dialect_.rules.end() ? nullptr : &*found;
}

void Parameters::write(json::object& body) {
  for (const Field& field : fields_) {
    const Rule* found = rule(field.name);
    if (found != nullptr) {
      write_field(body, *found, field);
    } else if (std::ranges::find(kOpenAiOnly, field.name) != std::end(kOpenAiOnly)) {
      drop(field.written);
    } else {
      refuse(field.written);
    }
  }
  const Rule* limit = rule("max_tokens");
  if (!max_tokens_given_ && limit != nullptr && default_max_tokens_ > 0) {
    set_at(body, native_name(*limit), default_max_tokens_);
  }
  for (auto& [name, value] : extras_) write_extra(body, name, std::move(value));
}

void Parameters::write_field(json::object& body, const Rule& rule, const Field& field) {
  if (rule.fate == Rule::Fate::kOwn) return;
  if (rule.fate == Rule::Fate::kDrop) return drop(field.written);
  json::value value = field.value;
  if (value.is_array() && rule.max_items != 0 && value.get_array().size() > rule.max_items) {
    return refuse(field.written, "with " + std::to_string(value.get_array().size()) +
                                     " entries; it takes at most " +
                                     std::to_string(rule.max_items));
  }
  if (value.is_number() && !in_range(rule, field, value)) return;
  set_at(body, native_name(rule), std::move(value));
}

// False when the value is left out. By policy a temperature is fitted in before it is looked at.
bool Parameters::in_range(const Rule& rule, const Field& field, json::value& value) {
  if (field.name == "temperature" && !temperature_policy_.empty()) {
    const double asked = value.to_number<double>();
    if (temperature_policy_ == "scale" && rule.scale != 1) value = asked * rule.scale;
    if (temperature_policy_ == "clamp") value = std::clamp(asked, rule.lowest, rule.highest);
  }
  const double given = value.to_number<double>();
  const bool low_enough = rule.below ? given < rule.highest : given <= rule.highest;
  if (given >= rule.lowest && low_enough) return true;
  // OpenAI's default, which frameworks send without being asked.
  if (field.name == "temperature" && given == 1) return false;
  if (drop_unsupported_) {
    drop(field.written);
    return false;
  }
  throw Error(ErrorKind::kUnsupportedParameter,
              "Unsupported value: '" + field.written + "' must " + range_text(rule) +
                  " for the provider '" + std::string(dialect_.provider) + "', not " +
                  number(given) + ".",
              field.written);
}

void Parameters::refuse_alias(std::string_view native, std::string_view place) const {
  const auto use = [&](std::string_view field) {
    throw Error(ErrorKind::kUnsupportedParameter,
                "Unsupported parameter: '" + join_path(place, native) +
                    "' is a native name of the provider '" + std::string(dialect_.provider) +
                    "'; use '" + std::string(field) + "'.",
                join_path(place, native));
  };
  for (const Rule& rule : dialect_.rules) {
    if (rule.native.empty() || rule.native_passes || rule.field == native) continue;
    const bool named = place.empty() ? last_part(rule.native) == native || rule.native == native
                                     : rule.native == join_path(place, native);
    if (named) use(rule.field);
  }
  for (const auto& [alias, field] : dialect_.aliases) {
    if (alias == native || alias == join_path(place, native)) use(field);
  }
}

void Parameters::write_extra(json::object& body, std::string_view name, json::value value) {
  if (const Rule* found = rule(name); found != nullptr && found->fate != Rule::Fate::kOwn) {
    return write_field(body, *found, {found->field, std::string(name), std::move(value)});
  }
  if (std::ranges::find(kOpenAiOnly, name) != std::end(kOpenAiOnly) && rule(name) == nullptr) {
    if (!is_openai_default(name, value)) drop(name);
    return;
  }
  refuse_alias(name, {});
  const std::string place = join_path(dialect_.extras, name);
  json::object* at = &body;
  for (const std::string_view part : split(dialect_.extras, '.')) {
    if (part.empty()) continue;
    json::value& inner = (*at)[part];
    if (!inner.is_object()) inner = json::object();
    at = &inner.get_object();
  }
  json::value* there = at->if_contains(name);
  if (there == nullptr && !value.is_object()) {
    (*at)[name] = std::move(value);
    return;
  }
  if (there != nullptr && !(there->is_object() && value.is_object())) {
    throw Error(ErrorKind::kConflictingFields,
                "Invalid request: '" + std::string(name) +
                    "' is written by the gateway itself for the provider '" +
                    std::string(dialect_.provider) + "'.",
                std::string(name));
  }
  // A native object such as generationConfig: its members join ours, none replaces one of them.
  json::object& target = there == nullptr ? (*at)[name].emplace_object() : there->get_object();
  for (auto& [member, content] : value.get_object()) {
    if (content.is_null()) continue;
    refuse_alias(member, place);
    if (target.contains(member)) {
      throw Error(ErrorKind::kConflictingFields,
                  "Invalid request: '" + join_path(place, member) +
                      "' is written by the gateway itself for the provider '" +
                      std::string(dialect_.provider) + "'.",
                  join_path(place, member));
    }
    target[member] = std::move(content);
  }
}

const std::string& only_prompt(const api::CompletionRequest& request, std::string_view provider) {
  const bool one = request.prompts.size() == 1 && request.prompts[0].token_ids.empty();
  if (one) return request.prompts[0].text;
  throw Error(ErrorKind::kUnsupportedParameter,
              "Unsupported value: 'prompt' must be one string for the provider '" +
                  std::string(provider) + "', not a list or token ids.",
              "prompt");
}

std::vector<std::string> texts_of(const api::EmbeddingRequest& request, std::string_view provider) {
  std::vector<std::string> texts;
  for (const api::TextOrTokens& input : request.inputs) {
    if (!input.token_ids.empty()) {
      throw Error(ErrorKind::kUnsupportedParameter,
                  "Unsupported value: 'input' must be text for the provider '" +
                      std::string(provider) + "', not token ids.",
                  "input");
    }
    texts.push_back(input.text);
  }
  return texts;
}

Memo memo_of(const Context& context) {
  return {.model = context.model.name, .seed = context.seed, .now_s = context.now_s};
}

std::size_t input_characters(const api::ChatRequest& request) {
  std::size_t characters = 0;
  for (const api::ChatMessage& message : request.messages) {
    characters += utf8_length(message.content.value_or(""));
    for (const api::ToolCall& call : message.tool_calls) {
      characters += utf8_length(call.name) + utf8_length(call.arguments);
    }
  }
  for (const api::Tool& tool : request.tools) {
    characters +=
        utf8_length(tool.name) + utf8_length(tool.description) + utf8_length(tool.parameters);
  }
  return characters;
}

std::size_t input_characters(const api::CompletionRequest& request) {
  std::size_t characters = 0;
  for (const api::TextOrTokens& prompt : request.prompts) characters += utf8_length(prompt.text);
  return characters;
}

std::size_t input_characters(const api::EmbeddingRequest& request) {
  std::size_t characters = 0;
  for (const api::TextOrTokens& input : request.inputs) characters += utf8_length(input.text);
  return characters;
}

}  // namespace tessera::providers

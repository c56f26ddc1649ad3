#include <algorithm>
#include <array>
#include <cctype>

#include "providers/openai_like.h"
#include "providers/turns.h"

namespace tessera::providers {
namespace {

constexpr Rule kOwn(std::string_view field) { return {.field = field, .fate = Rule::Fate::kOwn}; }
constexpr Rule kSame(std::string_view field) { return {.field = field}; }
constexpr Rule kRange(std::string_view field, double lowest, double highest) {
  return {.field = field, .lowest = lowest, .highest = highest};
}

// Compatible servers first have what OpenAI itself has not; OpenAI's tables are the rest.
constexpr std::size_t kExtensions = 2;
constexpr Rule kAllRules[] = {
    kSame("top_k"),
    kSame("thinking"),
    kSame("max_tokens"),
    kRange("temperature", 0, 2),
    kSame("top_p"),
    kSame("n"),
    kSame("stop"),
    kRange("frequency_penalty", -2, 2),
    kRange("presence_penalty", -2, 2),
    kSame("logit_bias"),
    kSame("seed"),
    kSame("logprobs"),
    kSame("top_logprobs"),
    kOwn("tools"),
    kOwn("tool_choice"),
    kOwn("parallel_tool_calls"),
    kOwn("response_format"),
    kSame("reasoning_effort"),
    kSame("echo"),
    kSame("best_of"),
    kSame("suffix"),
    kSame("dimensions"),
    kSame("user"),
    kSame("metadata"),
    kSame("store"),
    kSame("service_tier"),
    kSame("prediction"),
    kSame("modalities"),
    kSame("audio"),
    kSame("web_search_options"),
    kSame("verbosity"),
    kSame("safety_identifier"),
    kSame("moderation"),
    kSame("prompt_cache_key"),
    kSame("include"),
    kSame("prompt_cache_options"),
    kSame("prompt_cache_retention"),
};

// OpenAI takes four stops; who is compatible may take more.
constexpr auto openai_rules() {
  std::array<Rule, std::size(kAllRules) - kExtensions> rules{};
  std::copy(std::begin(kAllRules) + kExtensions, std::end(kAllRules), rules.begin());
  for (Rule& rule : rules) {
    if (rule.field == "stop") rule.max_items = 4;
  }
  return rules;
}

constexpr auto reasoning_rules() {
  auto rules = openai_rules();
  for (Rule& rule : rules) {
    if (rule.field == "max_tokens") rule.native = "max_completion_tokens";
  }
  return rules;
}

constexpr auto kOpenAiRules = openai_rules();
constexpr auto kReasoningRules = reasoning_rules();

// Other providers' names of what OpenAI has a name for.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"stop_sequences", "stop"},
    {"stopSequences", "stop"},
    {"end_sequences", "stop"},
    {"max_tokens_to_sample", "max_tokens"},
    {"maxOutputTokens", "max_tokens"},
    {"max_output_tokens", "max_tokens"},
    {"maxTokens", "max_tokens"},
    {"maxTokenCount", "max_tokens"},
    {"candidateCount", "n"},
    {"num_generations", "n"},
    {"numResults", "n"},
    {"topP", "top_p"},
    {"topK", "top_k"},
    {"frequencyPenalty", "frequency_penalty"},
    {"presencePenalty", "presence_penalty"},
};

std::string json_text(const json::object& object) {
  std::string text;
  append_json(text, object);
  return text;
}

// Without its braces.
std::string members_of(const json::object& object) {
  const std::string text = json_text(object);
  return text.substr(1, text.size() - 2);
}

api::WireOptions wire_options(const Context& context, const LikeRequest& like,
                              std::string_view members) {
  return {.model = like.model.empty() ? std::string_view(context.model.name) : like.model,
          .usage_in_stream = like.ask_usage,
          .members = members,
          .tessera_fields = false,
          .with_model = like.with_model,
          .stream_options = like.stream_options,
          .developer_role = like.developer_role,
          .reasoning_history = like.reasoning_history};
}

template <class Request>
WireRequest write(const Request& request, const Context& context, const LikeRequest& like,
                  Parameters& parameters, const json::object& fields) {
  const std::string members = members_of(fields);
  WireRequest wire{.path = like.path,
                   .body = to_json(request, wire_options(context, like, members)),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

// The client's name of the limit where the provider has both, else the one that it has.
void write_limit(const api::GenerationFields& fields, const LikeRequest& like, json::object& body) {
  if (!fields.max_tokens_is_completion || !like.completion_limit) return;
  const auto limit = body.find("max_tokens");
  if (limit == body.end()) return;
  const json::value value = limit->value();
  body.erase(limit);
  body["max_completion_tokens"] = value;
}

template <class Request>
WireRequest write_generation(const Request& request, const Context& context,
                             const LikeRequest& like) {
  Parameters parameters(request, like.dialect, context);
  if (!like.usual_temperature && request.generation.temperature == 1) {
    parameters.take("temperature");
  }
  json::object body;
  parameters.write(body);
  write_limit(request.generation, like, body);
  return write(request, context, like, parameters, body);
}

// An image that the endpoint does not let the provider fetch.
void check_images(const api::ChatRequest& request, const Context& context,
                  const LikeRequest& like) {
  if (may_send_urls(context.model, true)) return;
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const std::vector<api::ContentPart>& parts = request.messages[i].parts;
    for (std::size_t j = 0; j < parts.size(); ++j) {
      if (parts[j].kind != api::ContentPart::Kind::kImage || parts[j].url.starts_with("data:")) {
        continue;
      }
      const std::string content = join_path(index_path("messages", i), "content");
      throw Error(ErrorKind::kUnsupportedContent,
                  "Unsupported content: this endpoint does not let the provider '" +
                      std::string(like.dialect.provider) +
                      "' fetch images; send the image as a data: URI.",
                  join_path(index_path(content, j), "image_url.url"));
    }
  }
}

}  // namespace

constinit const Dialect kOpenAiFields{
    .provider = "openai", .rules = kOpenAiRules, .aliases = kAliases};
constinit const Dialect kReasoningFields{
    .provider = "openai", .rules = kReasoningRules, .aliases = kAliases};

constinit const Dialect kCustomFields{
    .provider = "custom", .rules = kAllRules, .aliases = kAliases};
constinit const Dialect kDatabricksFields{
    .provider = "databricks-model-serving", .rules = kAllRules, .aliases = kAliases};

bool has_no_system_role(std::string_view model) {
  return model.starts_with("o1-mini") || model.starts_with("o1-preview");
}

api::ChatRequest without_system(const api::ChatRequest& request) {
  api::ChatRequest changed = request;
  std::string text;
  std::erase_if(changed.messages, [&](const api::ChatMessage& message) {
    if (message.role != "system") return false;
    if (!text.empty()) text += '\n';
    text += message.content.value_or("");
    return true;
  });
  if (text.empty()) return changed;
  const auto user = std::ranges::find(changed.messages, "user", &api::ChatMessage::role);
  if (user == changed.messages.end()) {
    changed.messages.insert(changed.messages.begin(), {.role = "user", .content = text});
    return changed;
  }
  user->content = text + "\n\n" + user->content.value_or("");
  if (!user->parts.empty()) {
    const json::object part = {{"type", "text"}, {"text", text}};
    user->parts.insert(
        user->parts.begin(),
        {.kind = api::ContentPart::Kind::kText, .text = text, .json = json_text(part)});
  }
  return changed;
}

bool is_reasoning_model(std::string_view name) {
  if (name.starts_with("ft:")) name.remove_prefix(3);
  if (name.starts_with("gpt-5")) return true;
  return name.size() > 1 && name[0] == 'o' && std::isdigit(static_cast<unsigned char>(name[1]));
}

WireRequest to_like(const api::ChatRequest& request, const Context& context,
                    const LikeRequest& like) {
  check_images(request, context, like);
  WireRequest wire = write_generation(request, context, like);
  wire.memo.named_tool_choice =
      request.tool_choice && request.tool_choice->mode == api::ToolChoice::Mode::kNamed;
  return wire;
}

WireRequest to_like(const api::CompletionRequest& request, const Context& context,
                    const LikeRequest& like) {
  return write_generation(request, context, like);
}

WireRequest to_like(const api::EmbeddingRequest& request, const Context& context,
                    const LikeRequest& like) {
  Parameters parameters(request, like.dialect, context);
  json::object body;
  parameters.write(body);
  if (like.base64 && request.encoding_format == api::EncodingFormat::kBase64) {
    body["encoding_format"] = "base64";
  }
  WireRequest wire = write(request, context, like, parameters, body);
  wire.memo.notes.emplace(kInputsNote, std::to_string(request.inputs.size()));
  return wire;
}

std::string trimmed_url(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

}  // namespace tessera::providers

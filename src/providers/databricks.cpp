// A serving endpoint of a Databricks workspace:
// https://docs.databricks.com/en/machine-learning/foundation-model-apis/api-reference.html
#include <algorithm>

#include "base/strings.h"
#include "providers/failure.h"
#include "providers/openai.h"
#include "providers/openai_like.h"
#include "providers/reading.h"

namespace tessera::providers {
namespace {

constexpr std::string_view kProvider = "databricks-model-serving";
constexpr LikeAnswer kAnswer{.provider = kProvider, .corrects_finish = true};

// --- Where and as whom ---

std::string base_url(const catalog::ExternalModel& model) {
  return trimmed_url(model.option("databricks_workspace_url"));
}

Auth auth(const catalog::ExternalModel& model) {
  return {Auth::Kind::kHeader, "authorization",
          "Bearer " + std::string(model.secret("databricks_api_token"))};
}

// --- To the wire ---

LikeRequest like_of(const Context& context) {
  return {.path = "/serving-endpoints/" + url_encode(context.model.name) + "/invocations",
          .dialect = kDatabricksFields,
          .with_model = false};
}

// A block of an assistant's thoughts as Databricks shows and wants it: Anthropic's, too.
std::string reasoning_part(const json::object& block) {
  if (text_at(block, "type") != "thinking") {
    std::string text;
    append_json(text, block);
    return text;
  }
  json::object summary = {{"type", "summary_text"}, {"text", text_at(block, "thinking")}};
  if (const std::string signature = text_at(block, "signature"); !signature.empty()) {
    summary["signature"] = signature;
  }
  std::string text;
  append_json(text, json::object{{"type", "reasoning"}, {"summary", json::array{summary}}});
  return text;
}

// Thoughts of earlier turns belong into the list of content.
void put_thoughts_into_content(api::ChatMessage& message) {
  using Kind = api::ContentPart::Kind;
  std::vector<api::ContentPart> parts;
  if (!message.thinking_blocks.empty()) {
    const json::value blocks = parse_json(message.thinking_blocks);
    for (const json::value& block : blocks.as_array()) {
      if (!block.is_object()) continue;
      parts.push_back({.kind = Kind::kReasoning, .json = reasoning_part(block.get_object())});
    }
  }
  message.thinking_blocks.clear();
  message.reasoning_content.clear();  // without a signature it is of no use there
  if (parts.empty()) return;
  if (message.parts.empty() && message.content && !message.content->empty()) {
    std::string text;
    append_json(text, json::object{{"type", "text"}, {"text", *message.content}});
    message.parts.push_back({.kind = Kind::kText, .text = *message.content, .json = text});
  }
  message.parts.insert(message.parts.begin(), parts.begin(), parts.end());
}

// Claude there has no reasoning_effort but thinking, with a budget below the limit of tokens.
void put_effort_into_thinking(api::ChatRequest& request) {
  constexpr std::pair<std::string_view, int> kBudgets[] = {
      {"low", 1024}, {"medium", 4096}, {"high", 16384}, {"xhigh", 16384}, {"max", 16384}};
  constexpr int kRoomForText = 4096;
  const std::string effort = std::exchange(request.reasoning_effort, {});
  for (const auto& [name, budget] : kBudgets) {
    if (effort != name || !request.thinking.empty()) continue;
    request.thinking = R"({"type":"enabled","budget_tokens":)" + std::to_string(budget) + "}";
    std::optional<int>& limit = request.generation.max_tokens;
    if (limit.value_or(0) <= budget) limit = budget + kRoomForText;
  }
}

bool is_claude(std::string_view endpoint) {
  return to_lower(endpoint).find("claude") != std::string::npos;
}

void refuse_remote_images(const api::ChatRequest& request) {
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const auto& parts = request.messages[i].parts;
    for (std::size_t j = 0; j < parts.size(); ++j) {
      if (parts[j].kind != api::ContentPart::Kind::kImage || parts[j].url.starts_with("data:")) {
        continue;
      }
      const std::string content = join_path(index_path("messages", i), "content");
      throw Error(ErrorKind::kUnsupportedContent,
                  "Unsupported content: Claude behind a Databricks serving endpoint does not fetch "
                  "images; send the image as a data: URI, or set the endpoint's image_url_policy "
                  "to 'inline'.",
                  join_path(index_path(content, j), "image_url.url"));
    }
  }
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  const bool thoughts = std::ranges::any_of(request.messages, [](const api::ChatMessage& m) {
    return !m.thinking_blocks.empty() || !m.reasoning_content.empty();
  });
  const bool claude = is_claude(context.model.name);
  if (claude) refuse_remote_images(request);
  const bool effort = claude && !request.reasoning_effort.empty();
  if (!thoughts && !effort) return to_like(request, context, like_of(context));
  api::ChatRequest changed = request;
  for (api::ChatMessage& message : changed.messages) put_thoughts_into_content(message);
  if (effort) put_effort_into_thinking(changed);
  return to_like(changed, context, like_of(context));
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  return to_like(request, context, like_of(context));
}

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  return to_like(request, context, like_of(context));
}

// --- From the wire ---

using Read = LikeReaders<kAnswer>;

// The message may be the text of the error body of the provider behind it.
std::string unwrapped(const std::string& message) {
  if (!trim(message).starts_with('{')) return message;
  FailureBody inner = read_failure_body(message);
  if (inner.message.empty()) {
    try {
      inner.message = text_at(parse_json_object(message), "external_model_error.error.message");
    } catch (const Error&) {
      return message;
    }
  }
  return inner.message.empty() ? message : inner.message;
}

Error from_error(const WireResponse& wire) {
  FailureBody body = read_failure_body(wire.body);
  return to_error({.provider = kProvider,
                   .code = std::move(body.code),
                   .message = unwrapped(body.message),
                   .param = std::move(body.param)},
                  wire);
}

}  // namespace

constinit const Provider kDatabricks = {
    .name = "databricks-model-serving",
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, Read::chat, Read::chat_stream},
    .completions = {completions_to_wire, Read::completion, Read::completion_stream},
    .embeddings = {embeddings_to_wire, Read::embeddings, like_max_inputs},
    .from_error = from_error,
};

}  // namespace tessera::providers

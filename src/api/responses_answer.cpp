#include "api/responses_answer.h"

#include "api/responses.h"
#include "api/tools.h"
#include "api/translation.h"
#include "api/wire_fields.h"

namespace tessera::api {
namespace {

void write_responses_usage(JsonWriter& w, const std::optional<Usage>& usage) {
  w.key("usage");
  if (!usage) {
    w.value(nullptr);
    return;
  }
  w.begin_object().member("input_tokens", usage->prompt_tokens);
  w.key("input_tokens_details").begin_object();
  w.member("cached_tokens", usage->cached_tokens.value_or(0)).end_object();
  w.member("output_tokens", usage->completion_tokens.value_or(0));
  w.key("output_tokens_details").begin_object();
  w.member("reasoning_tokens", usage->reasoning_tokens.value_or(0)).end_object();
  w.member("total_tokens", usage->total_tokens).end_object();
}

}  // namespace

std::string response_object(const ResponseHead& head,
                            const std::function<void(JsonWriter&)>& write_output) {
  JsonWriter w(1024);
  w.begin_object().member("id", head.id).member("object", "response");
  w.member("created_at", head.created).member("status", head.status).key("error");
  if (head.error == nullptr) {
    w.value(nullptr);
  } else {
    w.begin_object().member("code", head.error->code.empty()
                                        ? wire_form(head.error->kind).openai_code
                                        : std::string_view(head.error->code));
    w.member("message", head.error->message).end_object();
  }
  w.key("incomplete_details");
  if (head.status == "incomplete") {
    const bool length = head.finish == FinishReason::kLength;
    w.begin_object().member("reason", length ? "max_output_tokens" : "content_filter").end_object();
  } else {
    w.value(nullptr);
  }
  w.member("instructions", nullptr).member("model", head.model).key("output").begin_array();
  write_output(w);
  w.end_array().raw(head.repeated);
  write_responses_usage(w, head.usage);
  return w.end_object().take();
}

std::string repeated_members(const ChatRequest& request) {
  const GenerationFields& fields = request.generation;
  JsonWriter w(256);
  w.begin_object().member("max_output_tokens", fields.max_tokens);
  w.member("parallel_tool_calls", request.parallel_tool_calls.value_or(true));
  w.member("previous_response_id", nullptr).member("store", false);
  w.member("temperature", fields.temperature).member("top_p", fields.top_p);
  w.key("reasoning").begin_object().key("effort");
  if (request.reasoning_effort.empty()) {
    w.value(nullptr);
  } else {
    w.value(request.reasoning_effort);
  }
  w.member("summary", nullptr).end_object();
  w.key("text").begin_object().key("format").begin_object();
  const ResponseFormat format = request.response_format.value_or(ResponseFormat());
  switch (format.kind) {
    case ResponseFormat::Kind::kText:
      w.member("type", "text");
      break;
    case ResponseFormat::Kind::kJsonObject:
      w.member("type", "json_object");
      break;
    case ResponseFormat::Kind::kJsonSchema:
      w.member("type", "json_schema").member("name", format.name).key("schema").raw(format.schema);
      w.member("strict", format.strict);
      break;
  }
  w.end_object().end_object().key("tool_choice");
  const ToolChoice choice = request.tool_choice.value_or(ToolChoice());
  const std::string_view mode = to_string(choice.mode);
  if (choice.mode == ToolChoice::Mode::kNamed) {
    w.begin_object().member("type", mode).member("name", choice.name).end_object();
  } else {
    w.value(mode);
  }
  w.key("tools").begin_array();
  for (const Tool& tool : request.tools) {
    w.begin_object().member("type", "function").member("name", tool.name);
    w.member("description", tool.description).key("parameters");
    w.raw(tool.parameters.empty() ? "{}" : tool.parameters).member("strict", tool.strict);
    w.end_object();
  }
  w.end_array().member("truncation", "disabled").key("metadata").begin_object();
  for (const auto& [key, value] : request.common.metadata) w.member(key, value);
  std::string object = w.end_object().end_object().take();
  return object.substr(1, object.size() - 2);
}

std::string_view status_of(std::optional<FinishReason> reason) {
  const bool cut = reason == FinishReason::kLength || reason == FinishReason::kContentFilter;
  return cut ? "incomplete" : "completed";
}

std::string response_id(std::string_view id) { return with_prefix("resp_", id); }

std::string item_id(std::string_view prefix, std::string_view response, std::size_t number) {
  response = response.substr(response.find('_') + 1);
  return std::string(prefix) + std::string(response) + "_" + std::to_string(number);
}

void write_reasoning_item(JsonWriter& w, std::string_view id, std::string_view text) {
  w.begin_object().member("id", id).member("type", "reasoning").key("summary").begin_array();
  if (!text.empty()) {
    w.begin_object().member("type", "summary_text").member("text", text).end_object();
  }
  w.end_array().end_object();
}

void write_part(JsonWriter& w, bool refusal, std::string_view text, const ChatLogprobs* scores) {
  w.begin_object().member("type", refusal ? "refusal" : "output_text");
  w.member(refusal ? "refusal" : "text", text);
  if (!refusal) {
    w.key("annotations").begin_array().end_array().key("logprobs");
    write_scores(w, scores == nullptr ? std::vector<ChatTokenLogprob>() : scores->content);
  }
  w.end_object();
}

JsonWriter& begin_message_item(JsonWriter& w, std::string_view id, std::string_view status) {
  w.begin_object().member("id", id).member("type", "message").member("status", status);
  return w.member("role", "assistant").key("content").begin_array();
}

void write_call_item(JsonWriter& w, std::string_view id, std::string_view status,
                     std::string_view call_id, std::string_view name, std::string_view arguments) {
  w.begin_object().member("id", id).member("type", "function_call").member("status", status);
  w.member("call_id", call_id).member("name", name).member("arguments", arguments).end_object();
}

std::string responses_json(const ChatResponse& response, const ChatRequest& request) {
  const ChatChoice& choice = first_choice(response);
  const std::string id = response_id(response.id);
  const std::string_view status = status_of(choice.finish_reason);
  const std::string repeated = repeated_members(request);
  std::size_t number = 0;
  const ResponseHead head{.id = id,
                          .created = response.created,
                          .model = response.model,
                          .status = status,
                          .finish = choice.finish_reason,
                          .usage = response.usage,
                          .repeated = repeated};
  return response_object(head, [&](JsonWriter& w) {
    if (!choice.reasoning_content.empty()) {
      write_reasoning_item(w, item_id("rs_", id, number++), choice.reasoning_content);
    }
    const std::string text = choice.message.content.value_or("");
    const bool refused = choice.refusal && !choice.refusal->empty();
    if (!text.empty() || refused || choice.message.tool_calls.empty()) {
      begin_message_item(w, item_id("msg_", id, number++), status);
      if (!text.empty() || !refused) {
        write_part(w, false, text, choice.logprobs ? &*choice.logprobs : nullptr);
      }
      if (refused) write_part(w, true, *choice.refusal, nullptr);
      w.end_array().end_object();
    }
    for (const ToolCall& call : choice.message.tool_calls) {
      write_call_item(w, item_id("fc_", id, number++), status, call.id, call.name, call.arguments);
    }
  });
}

}  // namespace tessera::api

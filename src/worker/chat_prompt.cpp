#include "worker/chat_prompt.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "text/chat_template.h"

namespace tessera {
namespace {

// Templates that insist on alternating turns say so when they refuse (Llama 2, Mistral, Mixtral).
bool demands_alternation(const std::string& source) {
  return source.find("raise_exception") != std::string::npos &&
         source.find("alternate") != std::string::npos;
}

// Rule M7: turns of one role are one turn, and all system texts one at the front.
std::vector<api::ChatMessage> merge_turns(const std::vector<api::ChatMessage>& messages) {
  std::vector<api::ChatMessage> merged;
  const auto join = [](api::ChatMessage& into, const api::ChatMessage& message) {
    into.content = into.content.value_or("") + "\n\n" + message.content.value_or("");
  };
  for (const api::ChatMessage& message : messages) {
    if (message.role == "system") {
      if (!merged.empty() && merged.front().role == "system") {
        join(merged.front(), message);
      } else {
        merged.insert(merged.begin(), message);
      }
      continue;
    }
    const bool is_plain = message.tool_calls.empty() && message.role != "tool";
    if (is_plain && !merged.empty() && merged.back().role == message.role &&
        merged.back().tool_calls.empty()) {
      join(merged.back(), message);
    } else {
      merged.push_back(message);
    }
  }
  return merged;
}

json::object prepare(const api::ChatMessage& message) {
  json::object out;
  out["role"] = message.role;
  out["content"] = message.content.value_or("");
  if (!message.name.empty()) out["name"] = message.name;
  if (!message.tool_calls.empty()) {
    json::array calls;
    for (const api::ToolCall& call : message.tool_calls) {
      json::object function;
      function["name"] = call.name;
      try {
        function["arguments"] = parse_json(call.arguments.empty() ? "{}" : call.arguments);
      } catch (const Error&) {
        function["arguments"] = call.arguments;  // not JSON: as the client wrote it
      }
      json::object entry;
      entry["id"] = call.id;
      entry["type"] = "function";
      entry["function"] = std::move(function);
      calls.push_back(std::move(entry));
    }
    out["tool_calls"] = std::move(calls);
  }
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  return out;
}

// continue_final_message: the rendered text ends where the last message's text ends.
void cut_after_last_message(RenderedPrompt& prompt, std::string_view content) {
  content = trim(content);
  const std::size_t found = prompt.text.rfind(content);
  if (found == std::string::npos) {
    throw Error(ErrorKind::kBadMessage,
                "continue_final_message is not possible: the chat template does not contain the "
                "last message's text unchanged",
                "continue_final_message");
  }
  const std::size_t end = found + content.size();
  prompt.text.resize(end);
  while (!prompt.pieces.empty() && prompt.pieces.back().begin >= end) prompt.pieces.pop_back();
  if (!prompt.pieces.empty()) prompt.pieces.back().end = std::min(prompt.pieces.back().end, end);
}

}  // namespace

std::vector<std::int32_t> chat_prompt(const api::ChatRequest& request, const ServedModel& model) {
  const ModelAssets& assets = model.assets;
  std::unique_ptr<const ChatTemplate> own;
  const ChatTemplate* chat_template = assets.chat_template.get();
  std::string source = assets.chat_template_source.value_or("");
  if (!request.chat_template.empty()) {
    try {
      own = std::make_unique<const ChatTemplate>(request.chat_template,
                                                 model.tokenizer().special_tokens());
    } catch (const Error& error) {
      throw Error(ErrorKind::kBadValue, "chat_template: " + error.message, "chat_template");
    }
    chat_template = own.get();
    source = request.chat_template;
  }
  if (chat_template == nullptr) {
    throw Error(ErrorKind::kWrongTask,
                "model '" + model.name +
                    "' has no chat template, so it cannot answer chat requests; use the "
                    "completions route",
                "messages");
  }

  ChatTemplateInput input;
  for (const api::ChatMessage& message :
       demands_alternation(source) ? merge_turns(request.messages) : request.messages) {
    input.messages.push_back(prepare(message));
  }
  input.add_generation_prompt = request.add_generation_prompt;
  if (!request.chat_template_kwargs.empty()) {
    input.kwargs = parse_json_object(request.chat_template_kwargs);
  }
  if (!request.documents.empty()) {
    if (source.find("documents") == std::string::npos) {
      throw Error(ErrorKind::kUnsupportedParameter,
                  "documents is not supported by the chat template of model '" + model.name + "'",
                  "documents");
    }
    input.documents = as_array(parse_json(request.documents), "documents");
  }
  RenderedPrompt rendered = chat_template->render(input);
  if (request.continue_final_message) {
    cut_after_last_message(rendered, request.messages.back().content.value_or(""));
  }

  std::vector<TextSpan> spans;
  const std::string_view text = rendered.text;
  for (const auto& piece : rendered.pieces) {
    spans.push_back({text.substr(piece.begin, piece.end - piece.begin),
                     piece.from_template || model.parse_special_in_content});
  }
  std::vector<std::int32_t> tokens = model.tokenizer().encode_spans(spans);
  const auto bos = model.tokenizer().bos_id();
  if (request.generation.add_special_tokens.value_or(false) && bos &&
      (tokens.empty() || tokens.front() != *bos)) {
    tokens.insert(tokens.begin(), *bos);  // templates mostly write it themselves
  }
  return tokens;
}

}  // namespace tessera

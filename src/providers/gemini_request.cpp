// https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
#include <algorithm>
#include <map>

#include "base/strings.h"
#include "providers/parameters.h"
#include "providers/reading.h"
#include "providers/schema.h"
#include "providers/structured.h"
#include "providers/tool_names.h"
#include "providers/turns.h"
#include "providers/vertex.h"

namespace tessera::providers {
namespace {

using Fate = Rule::Fate;

constexpr Rule kRules[] = {
    {.field = "max_tokens", .native = "generationConfig.maxOutputTokens"},
    {.field = "temperature", .native = "generationConfig.temperature", .lowest = 0, .highest = 2},
    {.field = "top_p", .native = "generationConfig.topP", .lowest = 0, .highest = 1},
    {.field = "top_k", .native = "generationConfig.topK", .lowest = 0},
    {.field = "n", .native = "generationConfig.candidateCount", .lowest = 1, .highest = 8},
    {.field = "stop", .native = "generationConfig.stopSequences", .max_items = 5},
    {.field = "frequency_penalty",
     .native = "generationConfig.frequencyPenalty",
     .lowest = -2,
     .highest = 2,
     .below = true},
    {.field = "presence_penalty",
     .native = "generationConfig.presencePenalty",
     .lowest = -2,
     .highest = 2,
     .below = true},
    {.field = "seed", .native = "generationConfig.seed"},
    {.field = "logprobs", .native = "generationConfig.responseLogprobs"},
    {.field = "top_logprobs", .native = "generationConfig.logprobs", .lowest = 1, .highest = 20},
    {.field = "tools", .fate = Fate::kOwn},
    {.field = "tool_choice", .fate = Fate::kOwn},
    {.field = "response_format", .fate = Fate::kOwn},
    {.field = "reasoning_effort", .fate = Fate::kOwn},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"contents", "messages"},
    {"systemInstruction", "messages"},
    {"system_instruction", "messages"},
    {"toolConfig", "tool_choice"},
    {"tool_config", "tool_choice"},
    {"max_output_tokens", "max_tokens"},
    {"candidate_count", "n"},
    {"stop_sequences", "stop"},
    {"generationConfig.responseMimeType", "response_format"},
    {"generationConfig.responseSchema", "response_format"},
    {"generationConfig.responseJsonSchema", "response_format"},
};
constexpr Dialect kDialect = {.provider = kVertexName, .rules = kRules, .aliases = kAliases};
constexpr NameRule kToolNames = {.also_allowed = "-.", .digit_first = false};

// What clients replay instead of a signature they have lost:
// https://cloud.google.com/vertex-ai/generative-ai/docs/thought-signatures
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

bool is_family(std::string_view model, std::string_view family) {
  return model.starts_with(family);
}

// --- Contents ---

bool has_reference(const json::value& value) {
  if (const json::array* array = value.if_array())
    return std::ranges::any_of(*array, has_reference);
  const json::object* object = value.if_object();
  if (object == nullptr) return false;
  return object->contains("$ref") ||
         std::ranges::any_of(*object, [](const auto& m) { return has_reference(m.value()); });
}

// An object as it is, any other text as {"output": …}; a "$ref" inside would be taken for a
// reference to a part.
json::object tool_response(const Block& result) {
  std::string text;
  for (const Block& block : result.content) text += block.text;
  try {
    json::value tree = parse_json(text);
    if (tree.is_object() && !has_reference(tree)) return std::move(tree.get_object());
  } catch (const Error&) {
    // any text is a result
  }
  return {{"output", text}};
}

std::string_view media_type_of(std::string_view url) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".png", "image/png"},   {".gif", "image/gif"},       {".webp", "image/webp"},
      {".heic", "image/heic"}, {".pdf", "application/pdf"}, {".mp4", "video/mp4"},
      {".mp3", "audio/mpeg"},  {".wav", "audio/wav"},
  };
  const std::string path = to_lower(url.substr(0, url.find_first_of("?#")));
  for (const auto& [extension, type] : kTypes) {
    if (path.ends_with(extension)) return type;
  }
  return "image/jpeg";
}

json::object data_part(const Block& block) {
  if (block.data.empty()) {
    return {{"fileData", {{"fileUri", block.url}, {"mimeType", media_type_of(block.url)}}}};
  }
  return {{"inlineData", {{"mimeType", block.media_type}, {"data", block.data}}}};
}

class Contents {
 public:
  Contents(const api::ChatRequest& request, const Context& context, ToolNames& names)
      : names_(names), signs_(is_family(vertex_model(context.model), "gemini-3")) {
    for (const api::ChatMessage& message : request.messages) {
      for (const api::ToolCall& call : message.tool_calls) calls_.push_back(&call);
    }
  }

  json::array write(const Conversation& conversation) {
    json::array contents;
    for (const Turn& turn : conversation.turns) {
      json::array parts = turn.assistant ? model_parts(turn) : user_parts(turn);
      if (parts.empty()) continue;  // thoughts alone
      contents.push_back(
          json::object{{"role", turn.assistant ? "model" : "user"}, {"parts", std::move(parts)}});
    }
    return contents;
  }

 private:
  json::array model_parts(const Turn& turn) {
    json::array parts;
    bool first_call = true;
    for (const Block& block : turn.blocks) {
      if (block.kind == Block::Kind::kText) {
        parts.push_back(json::object{{"text", block.text}});
      } else if (block.kind == Block::Kind::kToolCall) {
        parts.push_back(call_part(block, std::exchange(first_call, false)));
      } else {
        parts.push_back(data_part(block));
      }
    }
    return parts;
  }

  // Blocks of calls come in the order of the request's calls.
  json::object call_part(const Block& block, bool first) {
    const api::ToolCall& call = *calls_.at(next_call_++);
    json::object function{{"name", names_.rename(block.name)},
                          {"args", parse_json(block.arguments)}};
    std::string& id = ids_[block.id];
    if (!call.id.starts_with("call_")) id = call.id;  // the provider's, not one of ours
    if (!id.empty()) function["id"] = id;
    json::object part{{"functionCall", std::move(function)}};
    std::string signature;
    if (!call.extra_content.empty()) {
      signature = text_at(parse_json_object(call.extra_content), "google.thought_signature");
    }
    if (signature.empty() && signs_ && first) signature = kNoSignature;
    if (!signature.empty()) part["thoughtSignature"] = signature;
    return part;
  }

  json::array user_parts(const Turn& turn) {
    json::array parts, pictures;
    for (const Block& block : turn.blocks) {
      if (block.kind == Block::Kind::kText) {
        parts.push_back(json::object{{"text", block.text}});
      } else if (block.kind == Block::Kind::kToolResult) {
        json::object response{{"name", names_.rename(block.name)},
                              {"response", tool_response(block)}};
        if (const std::string& id = ids_[block.id]; !id.empty()) response["id"] = id;
        parts.push_back(json::object{{"functionResponse", std::move(response)}});
        for (const Block& inner : block.content) {
          if (inner.kind == Block::Kind::kImage) pictures.push_back(data_part(inner));
        }
      } else {
        parts.push_back(data_part(block));
      }
    }
    // Images that tools returned follow the answers.
    for (json::value& picture : pictures) parts.push_back(std::move(picture));
    return parts;
  }

  ToolNames& names_;
  bool signs_;  // the model wants signatures
  std::vector<const api::ToolCall*> calls_;
  std::size_t next_call_ = 0;
  std::map<std::string, std::string> ids_;  // the provider's ids, by those of the blocks
};

// --- Tools, structured output, reasoning ---

void write_tools(json::object& body, const api::ChatRequest& request, ToolNames& names,
                 const json::object* json_tool) {
  json::array declarations;
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    const api::Tool& tool = request.tools[i];
    json::object declaration{{"name", names.rename(tool.name)}};
    if (!tool.description.empty()) declaration["description"] = tool.description;
    const std::string path = index_path("tools", i) + ".function.parameters";
    json::object schema = openapi_schema(parameters_schema(tool.parameters), path);
    // An object without properties is refused.
    if (!object_at(schema, "properties").empty()) declaration["parameters"] = std::move(schema);
    declarations.push_back(std::move(declaration));
  }
  if (json_tool != nullptr) {
    json::object declaration{{"name", kJsonTool}, {"description", kJsonToolDescription}};
    json::object schema = openapi_schema(*json_tool, "response_format.json_schema.schema");
    if (!object_at(schema, "properties").empty()) declaration["parameters"] = std::move(schema);
    declarations.push_back(std::move(declaration));
  }
  if (declarations.empty()) return;
  body["tools"] = json::array{json::object{{"functionDeclarations", std::move(declarations)}}};
  json::object config;
  using Mode = api::ToolChoice::Mode;
  const Mode mode = request.tool_choice ? request.tool_choice->mode : Mode::kAuto;
  if (json_tool != nullptr && (mode == Mode::kAuto || mode == Mode::kNone)) {
    config["mode"] = "ANY";
    // Without tools the answer is the only thing to call.
    if (mode == Mode::kNone) config["allowedFunctionNames"] = json::array{kJsonTool};
  } else if (mode == Mode::kNone) {
    config["mode"] = "NONE";
  } else if (mode == Mode::kRequired) {
    config["mode"] = "ANY";
  } else if (mode == Mode::kNamed) {
    config["mode"] = "ANY";
    config["allowedFunctionNames"] =
        json::array{json::value(names.rename(request.tool_choice->name))};
  } else if (request.tool_choice) {
    config["mode"] = "AUTO";
  } else {
    return;
  }
  body["toolConfig"] = json::object{{"functionCallingConfig", std::move(config)}};
}

void write_response_format(json::object& body, const api::ResponseFormat& format) {
  set_at(body, "generationConfig.responseMimeType", "application/json");
  if (format.kind != api::ResponseFormat::Kind::kJsonSchema) return;
  set_at(body, "generationConfig.responseSchema",
         openapi_schema(parameters_schema(format.schema), "response_format.json_schema.schema"));
}

// https://cloud.google.com/vertex-ai/generative-ai/docs/thinking
void write_reasoning(json::object& body, const std::string& effort, std::string_view model,
                     Parameters& parameters) {
  if (effort.empty()) return;
  if (is_family(model, "gemini-2.5")) {
    static constexpr std::pair<std::string_view, int> kBudgets[] = {
        {"none", 0},      {"minimal", 512},  {"low", 1024},  {"medium", 8192},
        {"high", 24'576}, {"xhigh", 24'576}, {"max", 24'576}};
    for (const auto& [name, tokens] : kBudgets) {
      if (name != effort) continue;
      set_at(body, "generationConfig.thinkingConfig.thinkingBudget", tokens);
      if (tokens > 0) set_at(body, "generationConfig.thinkingConfig.includeThoughts", true);
    }
    return;
  }
  if (is_family(model, "gemini-3")) {
    // There is no way to turn it off.
    const bool least = effort == "none" || effort == "minimal";
    const bool most = effort == "xhigh" || effort == "max";
    const std::string level = least ? "MINIMAL" : most ? "HIGH" : to_upper(effort);
    set_at(body, "generationConfig.thinkingConfig.thinkingLevel", json::value(level));
    set_at(body, "generationConfig.thinkingConfig.includeThoughts", true);
    return;
  }
  if (effort != "none") {
    parameters.refuse("reasoning_effort", "by the model '" + std::string(model) + "'");
  }
}

}  // namespace

WireRequest gemini_chat(const api::ChatRequest& request, const Context& context) {
  check_tool_names(request);
  const std::string_view model = vertex_model(context.model);
  Parameters parameters(request, kDialect, context);
  const Conversation conversation =
      to_turns(request, {.provider = kVertexName,
                         .documents = true,
                         .fetches_urls = may_send_urls(context.model, true),
                         .cloud_urls = true,
                         .audio = true});
  if (conversation.turns.empty()) {
    throw Error(ErrorKind::kBadMessage,
                "Invalid message: the provider 'google-cloud-vertex-ai' wants a user's message "
                "beside the system's.",
                "messages");
  }
  ToolNames names(kToolNames);
  const bool stream = request.generation.stream;
  WireRequest wire{.path = vertex_path(
                       context.model, stream ? "streamGenerateContent?alt=sse" : "generateContent"),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);

  json::object tools;
  std::optional<json::object> json_tool;
  const bool structured = parameters.has("response_format");
  // Before the third generation a response schema beside tools is refused.
  if (structured && !request.tools.empty() && !is_family(model, "gemini-3")) {
    json_tool = json_tool_schema(*request.response_format, wire.memo);
  }
  write_tools(tools, request, names, json_tool ? &*json_tool : nullptr);

  json::object body;
  json::array& contents = body["contents"].emplace_array();
  contents = Contents(request, context, names).write(conversation);
  json::array system;
  for (const Block& block : conversation.system) {
    system.push_back(json::object{{"text", block.text}});
  }
  if (!system.empty() && model == "gemini-1.0-pro-001") {
    // It has no system instruction: what it would say begins the first turn.
    json::array& first = contents[0].at("parts").as_array();
    for (std::size_t i = 0; i < system.size(); ++i) {
      first.insert(first.begin() + static_cast<std::ptrdiff_t>(i), system[i]);
    }
  } else if (!system.empty()) {
    body["systemInstruction"] = json::object{{"parts", std::move(system)}};
  }
  parameters.write(body);
  write_reasoning(body, request.reasoning_effort, model, parameters);
  if (structured && !json_tool) write_response_format(body, *request.response_format);
  for (auto& [key, value] : tools) body[key] = std::move(value);

  wire.body = tessera::to_json(body);
  wire.dropped = parameters.dropped();
  wire.memo.tool_names = names.back();
  return wire;
}

}  // namespace tessera::providers

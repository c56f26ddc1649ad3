// Requests in Converse.
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
#include "providers/bedrock_converse.h"

#include <algorithm>

#include "base/strings.h"
#include "providers/claude_models.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"
#include "providers/schema.h"
#include "providers/structured.h"
#include "providers/turns.h"

namespace tessera::providers {
namespace {

using Fate = Rule::Fate;
using Format = api::ResponseFormat::Kind;
using Mode = api::ToolChoice::Mode;

constexpr std::string_view kProvider = "amazon-bedrock";
constexpr std::string_view kExtras = "additionalModelRequestFields";
constexpr int kRoomBesideBudget = 4096;

constexpr Rule kRules[] = {
    {.field = "max_tokens", .native = "inferenceConfig.maxTokens"},
    {.field = "temperature",
     .native = "inferenceConfig.temperature",
     .lowest = 0,
     .highest = 1,
     .scale = 0.5},
    {.field = "top_p", .native = "inferenceConfig.topP", .lowest = 0, .highest = 1},
    {.field = "top_k", .native = "additionalModelRequestFields.top_k"},
    {.field = "stop", .native = "inferenceConfig.stopSequences"},
    {.field = "user", .fate = Fate::kDrop},
    {.field = "tools", .fate = Fate::kOwn},
    {.field = "tool_choice", .fate = Fate::kOwn},
    {.field = "parallel_tool_calls", .fate = Fate::kOwn},
    {.field = "response_format", .fate = Fate::kOwn},
    {.field = "reasoning_effort", .fate = Fate::kOwn},
    {.field = "thinking", .fate = Fate::kOwn},
    {.field = "continue_final_message", .fate = Fate::kOwn},
};
constexpr Dialect kDialect = {.provider = kProvider, .rules = kRules, .extras = kExtras};

// Members of Converse itself, which go beside ours and not to the model.
constexpr const char* kOwnMembers[] = {"guardrailConfig", "performanceConfig", "requestMetadata",
                                       "additionalModelResponseFieldPaths"};

// "image/png" -> "png"
std::string_view subtype(std::string_view media_type) {
  return media_type.substr(media_type.find('/') + 1);
}

class ConverseWriter {
 public:
  ConverseWriter(const api::ChatRequest& request, const Context& context)
      : request_(request), params_(request, kDialect, context), vendor_(vendor_of(context.model)) {
    if (vendor_ == "anthropic") traits_ = claude_traits(context.model.name);
    wire_.memo = memo_of(context);
    wire_.memo.input_characters = input_characters(request);
    conversation_ = to_turns(request, {.provider = kProvider,
                                       .documents = true,
                                       .fetches_urls = false,
                                       .id_extra = ".:",
                                       .max_id_length = 64});
  }

  WireRequest write() {
    check_tool_names(request_);
    write_messages();
    write_system();
    write_tools();
    write_reasoning();
    write_vendor_fields();
    params_.write(body_);
    raise_max_tokens();
    wire_.body = tessera::to_json(json::value(std::move(body_)));
    wire_.dropped = params_.dropped();
    return std::move(wire_);
  }

 private:
  static std::string vendor_of(const catalog::ExternalModel& model) {
    std::string vendor = to_lower(model.option("bedrock_provider"));
    // Endpoints without one that speaks for itself.
    if (vendor.empty() && model.name.find("claude") != std::string::npos) vendor = "anthropic";
    return vendor;
  }

  // --- Messages ---

  static void push(json::array& list, json::object block, const Block& from) {
    list.push_back(std::move(block));
    if (!from.cache_control.empty()) {
      list.push_back(json::object{{"cachePoint", json::object{{"type", "default"}}}});
    }
  }

  json::object media(const Block& block) {
    json::object media{{"format", subtype(block.media_type)}};
    if (block.kind == Block::Kind::kDocument) {
      media["name"] = "document-" + std::to_string(++documents_);
    }
    media["source"] = json::object{{"bytes", block.data}};
    return {{block.kind == Block::Kind::kDocument ? "document" : "image", std::move(media)}};
  }

  // JSON objects go as such, all else as text.
  static json::object result_text(const std::string& text) {
    if (trim(text).starts_with('{')) {
      try {
        return {{"json", parse_json_object(text)}};
      } catch (const Error&) {
        // text that begins like one
      }
    }
    return {{"text", text}};
  }

  json::object write_block(const Block& block) {
    switch (block.kind) {
      case Block::Kind::kText:
        return {{"text", block.text}};
      case Block::Kind::kImage:
      case Block::Kind::kDocument:
        return media(block);
      case Block::Kind::kToolCall:
        return {{"toolUse", json::object{{"toolUseId", block.id},
                                         {"name", block.name},
                                         {"input", parse_json(block.arguments)}}}};
      case Block::Kind::kToolResult:
        break;
    }
    json::array content;
    for (const Block& part : block.content) {
      push(content, part.kind == Block::Kind::kText ? result_text(part.text) : media(part), part);
    }
    return {{"toolResult",
             json::object{
                 {"toolUseId", block.id}, {"content", std::move(content)}, {"status", "success"}}}};
  }

  // Earlier thoughts, told in Anthropic's form.
  static void write_thoughts(json::array& content, const std::string& thinking_blocks) {
    if (thinking_blocks.empty()) return;
    const json::value tree = parse_json(thinking_blocks);
    if (!tree.is_array()) return;
    for (const json::value& value : tree.get_array()) {
      if (!value.is_object()) continue;
      const json::object& block = value.get_object();
      const std::string type = text_at(block, "type");
      if (type == "thinking") {
        json::object text{{"text", text_at(block, "thinking")}};
        const std::string signature = text_at(block, "signature");
        if (!signature.empty()) text["signature"] = signature;
        content.push_back(
            json::object{{"reasoningContent", json::object{{"reasoningText", std::move(text)}}}});
      } else if (type == "redacted_thinking") {
        content.push_back(json::object{
            {"reasoningContent", json::object{{"redactedContent", text_at(block, "data")}}}});
      }
    }
  }

  void write_messages() {
    json::array& messages = body_["messages"].emplace_array();
    for (const Turn& turn : conversation_.turns) {
      json::array content;
      write_thoughts(content, turn.thinking_blocks);
      for (const Block& block : turn.blocks) push(content, write_block(block), block);
      if (content.empty()) continue;
      messages.push_back(
          {{"role", turn.assistant ? "assistant" : "user"}, {"content", std::move(content)}});
    }
  }

  void write_system() {
    if (conversation_.system.empty()) return;
    json::array& system = body_["system"].emplace_array();
    for (const Block& block : conversation_.system) push(system, {{"text", block.text}}, block);
  }

  // --- Tools ---

  static json::object tool_spec(std::string_view name, std::string_view description,
                                json::object schema) {
    json::object spec{{"name", name}};
    if (!description.empty()) spec["description"] = description;  // not shorter than 1
    spec["inputSchema"] = json::object{{"json", std::move(schema)}};
    return spec;
  }

  static void add_tool(json::array& tools, json::object spec) {
    tools.push_back(json::object{{"toolSpec", std::move(spec)}});
  }

  void write_tools() {
    const Mode mode = request_.tool_choice ? request_.tool_choice->mode : Mode::kAuto;
    json::array tools;
    // There is no "none": without tools no call can be made, unless the history speaks of some.
    if (mode != Mode::kNone || conversation_.has_tool_blocks) {
      for (const api::Tool& tool : request_.tools) {
        json::object spec =
            tool_spec(tool.name, tool.description, parameters_schema(tool.parameters));
        if (tool.strict) spec["strict"] = *tool.strict;
        add_tool(tools, std::move(spec));
      }
      if (mode == Mode::kNone && !tools.empty()) params_.drop("tool_choice");
    }
    if (tools.empty()) {
      for (const std::string& name : conversation_.used_tools) {
        add_tool(tools, tool_spec(name, {}, json::object{{"type", "object"}}));
      }
    }
    json::object choice = write_choice(mode, !tools.empty());
    if (request_.response_format && request_.response_format->kind != Format::kText) {
      write_format(mode, tools, choice);
    }
    write_single_calls(!tools.empty());
    if (tools.empty()) return;
    json::object& config = body_["toolConfig"].emplace_object();
    config["tools"] = std::move(tools);
    if (!choice.empty()) config["toolChoice"] = std::move(choice);
  }

  json::object write_choice(Mode mode, bool has_tools) const {
    if (!request_.tool_choice || request_.tools.empty() || !has_tools) return {};
    switch (mode) {
      case Mode::kAuto:
        return {{"auto", json::object()}};
      case Mode::kRequired:
        return {{"any", json::object()}};
      case Mode::kNamed:
        return {{"tool", json::object{{"name", request_.tool_choice->name}}}};
      case Mode::kNone:
        break;
    }
    return {};
  }

  void write_format(Mode mode, json::array& tools, json::object& choice) {
    const api::ResponseFormat& format = *request_.response_format;
    if (format.kind == Format::kJsonSchema && vendor_ == "anthropic" && traits_.native_schema) {
      json::object schema{{"schema", format.schema}};  // a text here
      if (!format.name.empty()) schema["name"] = format.name;
      set_at(body_, "outputConfig.textFormat",
             json::object{{"type", "json_schema"},
                          {"structure", json::object{{"jsonSchema", std::move(schema)}}}});
      return;
    }
    add_tool(tools, tool_spec(kJsonTool,
                              format.description.empty() ? kJsonToolDescription
                                                         : std::string_view(format.description),
                              json_tool_schema(format, wire_.memo)));
    if (mode == Mode::kNamed) return;
    if (vendor_ == "anthropic" && claude_thinks(request_, traits_)) {
      choice = {{"auto", json::object()}};
    } else if (request_.tools.empty() || mode == Mode::kNone) {
      choice = {{"tool", json::object{{"name", kJsonTool}}}};
    } else {
      choice = {{"any", json::object()}};
    }
  }

  // Anthropic's models alone can be told, and in their own form only.
  void write_single_calls(bool has_tools) {
    if (request_.parallel_tool_calls != false) return;
    params_.take("parallel_tool_calls");
    if (!has_tools) return;
    if (vendor_ != "anthropic") return params_.refuse("parallel_tool_calls");
    set_at(body_, "additionalModelRequestFields.tool_choice",
           json::object{{"type", "auto"}, {"disable_parallel_tool_use", true}});
  }

  // --- Parameters ---

  void write_reasoning() {
    if (vendor_ != "anthropic") {
      for (const char* field : {"thinking", "reasoning_effort"}) {
        if (auto value = params_.take(field)) {
          set_at(body_, std::string(kExtras) + '.' + field, std::move(*value));
        }
      }
      return;
    }
    check_claude_sampling(request_, traits_, {}, params_);
    ClaudeReasoning reasoning = take_claude_reasoning(request_, traits_, params_);
    budget_ = reasoning.budget;
    if (!reasoning.thinking.is_null()) {
      set_at(body_, "additionalModelRequestFields.thinking", std::move(reasoning.thinking));
    }
    if (!reasoning.effort.empty()) {
      set_at(body_, "outputConfig.effort", json::value(reasoning.effort));
    }
  }

  void write_vendor_fields() {
    if (vendor_ == "cohere") {
      if (auto k = params_.take("top_k")) {
        set_at(body_, "additionalModelRequestFields.k", std::move(*k));
      }
    }
    for (const char* name : kOwnMembers) {
      if (auto member = params_.take(name)) body_[name] = std::move(*member);
    }
    const std::optional<json::value> tier = params_.take("service_tier");
    if (tier && tier->is_string() && tier->get_string() != "auto") {
      body_["serviceTier"] = json::object{{"type", *tier}};
    }
  }

  void raise_max_tokens() {
    if (budget_ == 0) return;
    json::value& config = body_["inferenceConfig"];
    if (!config.is_object()) config.emplace_object();
    json::value& limit = config.get_object()["maxTokens"];
    if (limit.is_number() && limit.to_number<std::int64_t>() > budget_) return;
    limit = budget_ + kRoomBesideBudget;
  }

  const api::ChatRequest& request_;
  Parameters params_;
  std::string vendor_;
  ClaudeTraits traits_;
  Conversation conversation_;
  json::object body_;
  WireRequest wire_;
  std::int64_t budget_ = 0;
  int documents_ = 0;
};

}  // namespace

WireRequest converse_to_wire(const api::ChatRequest& request, const Context& context) {
  return ConverseWriter(request, context).write();
}

}  // namespace tessera::providers

// Requests in Anthropic's dialect.
// https://docs.anthropic.com/en/api/messages
// https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview
// https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking
// https://docs.anthropic.com/en/api/complete
#include <algorithm>
#include <cctype>

#include "base/strings.h"
#include "providers/anthropic.h"
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
using Mode = api::ToolChoice::Mode;

constexpr int kDefaultMaxTokens = 4096;  // the smallest ceiling of the claude-3 family

constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"max_tokens_to_sample", "max_tokens"},
    {"stop_sequences", "stop"},
    {"system", "messages"},
    {"prompt", "messages"},
};

constexpr Rule kChatRules[] = {
    {.field = "max_tokens"},
    {.field = "temperature", .lowest = 0, .highest = 1, .scale = 0.5},
    {.field = "top_p", .lowest = 0, .highest = 1},
    {.field = "top_k"},
    {.field = "stop", .native = "stop_sequences", .fate = Fate::kOwn},
    {.field = "user", .native = "metadata.user_id"},
    {.field = "tools", .fate = Fate::kOwn},
    {.field = "tool_choice", .fate = Fate::kOwn},
    {.field = "parallel_tool_calls", .fate = Fate::kOwn},
    {.field = "response_format", .fate = Fate::kOwn},
    {.field = "reasoning_effort", .fate = Fate::kOwn},
    {.field = "thinking", .fate = Fate::kOwn},
    {.field = "continue_final_message", .fate = Fate::kOwn},
};
constexpr Rule kBedrockChatRules[] = {
    kChatRules[0],  kChatRules[1],  kChatRules[2],
    kChatRules[3],  kChatRules[4],  {.field = "user", .fate = Fate::kDrop},
    kChatRules[6],  kChatRules[7],  kChatRules[8],
    kChatRules[9],  kChatRules[10], kChatRules[11],
    kChatRules[12],
};
static_assert(std::size(kChatRules) == std::size(kBedrockChatRules));

constexpr Rule kCompletionRules[] = {
    {.field = "max_tokens", .native = "max_tokens_to_sample"},
    {.field = "temperature", .lowest = 0, .highest = 1, .scale = 0.5},
    {.field = "top_p", .lowest = 0, .highest = 1},
    {.field = "top_k"},
    {.field = "stop", .native = "stop_sequences"},
    {.field = "user", .native = "metadata.user_id"},
};
constexpr Rule kBedrockCompletionRules[] = {
    kCompletionRules[0], kCompletionRules[1], kCompletionRules[2],
    kCompletionRules[3], kCompletionRules[4], {.field = "user", .fate = Fate::kDrop},
};

constexpr Dialect kChat = {"anthropic", kChatRules, kAliases, {}, kDefaultMaxTokens};
constexpr Dialect kBedrockChat = {
    "amazon-bedrock", kBedrockChatRules, kAliases, {}, kDefaultMaxTokens};
constexpr Dialect kVertexChat = {
    "google-cloud-vertex-ai", kChatRules, kAliases, {}, kDefaultMaxTokens};
constexpr Dialect kCompletion = {"anthropic", kCompletionRules, {}, {}, kDefaultMaxTokens};
constexpr Dialect kBedrockCompletion = {
    "amazon-bedrock", kBedrockCompletionRules, {}, {}, kDefaultMaxTokens};

bool is_blank(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; });
}

const Dialect& chat_dialect(ClaudeHost host) {
  if (host == ClaudeHost::kBedrock) return kBedrockChat;
  return host == ClaudeHost::kVertex ? kVertexChat : kChat;
}

std::string_view api_version(const Context& context, ClaudeHost host) {
  const std::string_view chosen = context.model.option("anthropic_version");
  if (!chosen.empty()) return chosen;
  if (host == ClaudeHost::kBedrock) return "bedrock-2023-05-31";
  return host == ClaudeHost::kVertex ? "vertex-2023-10-16" : "2023-06-01";
}

// At Anthropic the model is in the body and the version in a header; elsewhere the path says the
// model, and the body the version.
void write_host(json::object& body, HeaderList& headers, const Context& context, ClaudeHost host) {
  if (host == ClaudeHost::kAnthropic) {
    body["model"] = context.model.name;
    headers.emplace_back("anthropic-version", api_version(context, host));
  } else {
    body["anthropic_version"] = api_version(context, host);
  }
}

// --- Messages ---

json::object with_cache_control(json::object block, const Block& from) {
  if (!from.cache_control.empty()) block["cache_control"] = parse_json(from.cache_control);
  return block;
}

json::object text_block(std::string_view text) { return {{"type", "text"}, {"text", text}}; }

// An image or a document.
json::object media_block(const Block& block) {
  json::object source;
  if (block.url.empty()) {
    source = {{"type", "base64"}, {"media_type", block.media_type}, {"data", block.data}};
  } else {
    source = {{"type", "url"}, {"url", block.url}};  // a media_type here would be refused
  }
  const bool image = block.kind == Block::Kind::kImage;
  return {{"type", image ? "image" : "document"}, {"source", std::move(source)}};
}

// One text is a string; nothing at all is left out.
void write_result_content(json::object& result, const std::vector<Block>& content) {
  if (content.empty()) return;
  if (content.size() == 1 && content[0].kind == Block::Kind::kText &&
      content[0].cache_control.empty()) {
    result["content"] = content[0].text;
    return;
  }
  json::array& blocks = result["content"].emplace_array();
  for (const Block& block : content) {
    json::object written =
        block.kind == Block::Kind::kText ? text_block(block.text) : media_block(block);
    blocks.push_back(with_cache_control(std::move(written), block));
  }
}

json::object write_block(const Block& block) {
  switch (block.kind) {
    case Block::Kind::kText:
      return text_block(block.text);
    case Block::Kind::kImage:
    case Block::Kind::kDocument:
      return media_block(block);
    case Block::Kind::kToolCall:
      return {{"type", "tool_use"},
              {"id", block.id},
              {"name", block.name},
              {"input", parse_json(block.arguments)}};
    case Block::Kind::kToolResult:
      break;
  }
  json::object result{{"type", "tool_result"}, {"tool_use_id", block.id}};
  write_result_content(result, block.content);
  return result;
}

// Earlier thoughts. Signatures are over what the provider sent: not a byte of its own blocks may
// change. Databricks tells the same in another form; thoughts without a signature are refused.
json::array write_thoughts(const std::string& thinking_blocks) {
  json::array written;
  if (thinking_blocks.empty()) return written;
  json::value blocks = parse_json(thinking_blocks);
  if (!blocks.is_array()) return written;
  for (json::value& value : blocks.get_array()) {
    const json::object* block = value.if_object();
    if (block == nullptr) continue;
    const std::string type = text_at(*block, "type");
    if (type == "thinking" || type == "redacted_thinking") {
      written.push_back(std::move(value));
    } else if (type == "reasoning") {
      for (const json::value& piece : list_at(*block, "summary")) {
        if (!piece.is_object()) continue;
        const std::string signature = text_at(piece.get_object(), "signature");
        if (signature.empty()) continue;
        written.push_back({{"type", "thinking"},
                           {"thinking", text_at(piece.get_object(), "text")},
                           {"signature", signature}});
      }
    }
  }
  return written;
}

json::array write_turns(const Conversation& conversation) {
  json::array messages;
  for (const Turn& turn : conversation.turns) {
    json::array content = write_thoughts(turn.thinking_blocks);
    for (const Block& block : turn.blocks) {
      content.push_back(with_cache_control(write_block(block), block));
    }
    if (content.empty()) continue;  // thoughts alone, and none that could be replayed
    messages.push_back(
        {{"role", turn.assistant ? "assistant" : "user"}, {"content", std::move(content)}});
  }
  return messages;
}

// The start of an answer, to be gone on with, must not end in white space.
void trim_prefill(Conversation& conversation) {
  if (conversation.turns.empty() || !conversation.turns.back().assistant) return;
  std::vector<Block>& blocks = conversation.turns.back().blocks;
  if (blocks.empty() || blocks.back().kind != Block::Kind::kText) return;
  std::string& text = blocks.back().text;
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.pop_back();
  }
}

void write_system(json::object& body, const Conversation& conversation) {
  if (conversation.system.empty()) return;
  const bool cached = std::ranges::any_of(
      conversation.system, [](const Block& block) { return !block.cache_control.empty(); });
  if (!cached) {
    body["system"] = conversation.system_text();
    return;
  }
  json::array& blocks = body["system"].emplace_array();
  for (const Block& block : conversation.system) {
    blocks.push_back(with_cache_control(text_block(block.text), block));
  }
}

// --- Tools and structured output ---

// Prompt caching's mark, beside the function or inside of it.
std::optional<json::value> cache_control_of(const api::Tool& tool) {
  if (tool.json.find("cache_control") == std::string::npos) return std::nullopt;
  const json::value tree = parse_json(tool.json);
  if (!tree.is_object()) return std::nullopt;
  const json::object& object = tree.get_object();
  if (const json::value* mark = find_field(object, "cache_control")) return *mark;
  const json::value* function = find_field(object, "function");
  if (function == nullptr || !function->is_object()) return std::nullopt;
  const json::value* mark = find_field(function->get_object(), "cache_control");
  return mark == nullptr ? std::nullopt : std::optional(*mark);
}

class ChatWriter {
 public:
  ChatWriter(const api::ChatRequest& request, const Context& context, ClaudeHost host)
      : request_(request),
        host_(host),
        traits_(claude_traits(context.model.name)),
        params_(request, chat_dialect(host), context),
        version_(api_version(context, host)),
        default_max_tokens_(
            parse_int(context.model.option("default_max_tokens")).value_or(kDefaultMaxTokens)) {
    wire_.memo = memo_of(context);
    wire_.memo.input_characters = input_characters(request);
    const TurnRules rules{
        .provider = claude_host_name(host),
        .documents = true,
        .fetches_urls = may_send_urls(context.model, host == ClaudeHost::kAnthropic)};
    conversation_ = to_turns(request, rules);
    write_host(body_, wire_.headers, context, host);
  }

  WireRequest write() {
    check_tool_names(request_);
    trim_prefill(conversation_);
    write_system(body_, conversation_);
    body_["messages"] = write_turns(conversation_);
    write_tools();
    write_stop();
    // The hosts' own versions, "bedrock-2023-05-31", know the sampling parameters.
    const bool dated = std::isdigit(static_cast<unsigned char>(version_.front())) != 0;
    check_claude_sampling(request_, traits_, dated ? version_ : "", params_);
    write_reasoning();
    write_service_tier();
    write_betas();
    params_.write(body_);
    raise_max_tokens();
    if (host_ != ClaudeHost::kBedrock && request_.generation.stream) body_["stream"] = true;
    wire_.body = tessera::to_json(json::value(std::move(body_)));
    wire_.dropped = params_.dropped();
    return std::move(wire_);
  }

 private:
  bool native_schema() const { return traits_.native_schema && host_ == ClaudeHost::kAnthropic; }

  void write_tools() {
    json::array tools;
    for (const api::Tool& tool : request_.tools) tools.push_back(write_tool(tool));
    // A history with calls needs the tools that it speaks of.
    if (tools.empty()) {
      for (const std::string& name : conversation_.used_tools) {
        tools.push_back({{"name", name}, {"input_schema", json::object{{"type", "object"}}}});
      }
    }
    json::value choice = write_choice();
    if (request_.response_format && request_.response_format->kind != Format::kText) {
      choice = write_format(tools, std::move(choice));
    }
    if (!tools.empty()) body_["tools"] = std::move(tools);
    if (!choice.is_null()) body_["tool_choice"] = std::move(choice);
  }

  json::object write_tool(const api::Tool& tool) {
    json::object written{{"name", tool.name}};
    if (!tool.description.empty()) written["description"] = tool.description;
    written["input_schema"] = parameters_schema(tool.parameters);
    if (tool.strict == true) {
      if (native_schema()) {
        written["strict"] = true;
      } else {
        params_.drop("strict");
      }
    }
    if (auto mark = cache_control_of(tool)) written["cache_control"] = std::move(*mark);
    return written;
  }

  json::value write_choice() {
    if (request_.tools.empty()) return nullptr;
    const bool single = request_.parallel_tool_calls == false;
    if (!request_.tool_choice && !single) return nullptr;
    const api::ToolChoice choice = request_.tool_choice.value_or(api::ToolChoice{});
    json::object written;
    switch (choice.mode) {
      case Mode::kNone:
        return json::object{{"type", "none"}};
      case Mode::kAuto:
        written = {{"type", "auto"}};
        break;
      case Mode::kRequired:
        written = {{"type", "any"}};
        break;
      case Mode::kNamed:
        written = {{"type", "tool"}, {"name", choice.name}};
        break;
    }
    if (single) written["disable_parallel_tool_use"] = true;
    return written;
  }

  using Format = api::ResponseFormat::Kind;

  // By output_config where the model has it, else by our own tool; the choice that follows.
  json::value write_format(json::array& tools, json::value choice) {
    const api::ResponseFormat& format = *request_.response_format;
    if (format.kind == Format::kJsonSchema && native_schema()) {
      json::object schema = parse_json_object(format.schema);
      if (const json::value* type = find_field(schema, "type");
          type != nullptr && *type == json::value("object")) {
        body_["output_config"] = json::object{
            {"format", json::object{{"type", "json_schema"}, {"schema", std::move(schema)}}}};
        return choice;
      }
    }
    tools.push_back(
        {{"name", kJsonTool},
         {"description",
          format.description.empty() ? kJsonToolDescription : std::string_view(format.description)},
         {"input_schema", json_tool_schema(format, wire_.memo)}});
    const Mode mode = request_.tool_choice ? request_.tool_choice->mode : Mode::kAuto;
    if (mode == Mode::kNamed) return choice;
    const bool thinks = claude_thinks(request_, traits_);
    if (!thinks && (request_.tools.empty() || mode == Mode::kNone)) {
      return json::object{{"type", "tool"}, {"name", kJsonTool}};
    }
    json::object any{{"type", thinks ? "auto" : "any"}};
    if (request_.parallel_tool_calls == false) any["disable_parallel_tool_use"] = true;
    return any;
  }

  // Stop sequences of white space alone are refused upstream.
  void write_stop() {
    if (request_.generation.stop.empty()) return;
    params_.take("stop");
    json::array kept;
    for (const std::string& stop : request_.generation.stop) {
      if (!is_blank(stop)) kept.push_back(json::value(stop));
    }
    if (kept.size() < request_.generation.stop.size()) params_.drop("stop");
    if (!kept.empty()) body_["stop_sequences"] = std::move(kept);
  }

  void write_reasoning() {
    ClaudeReasoning reasoning = take_claude_reasoning(request_, traits_, params_);
    budget_ = reasoning.budget;
    if (!reasoning.thinking.is_null()) body_["thinking"] = std::move(reasoning.thinking);
    if (!reasoning.effort.empty()) {
      set_at(body_, "output_config.effort", json::value(reasoning.effort));
    }
  }

  // A budget that came from us must leave room for the answer.
  void raise_max_tokens() {
    if (budget_ == 0) return;
    json::value& limit = body_["max_tokens"];
    if (limit.is_number() && limit.to_number<std::int64_t>() > budget_) return;
    limit = budget_ + default_max_tokens_;
  }

  // OpenAI's tiers: "default" is what Anthropic calls "standard_only".
  void write_service_tier() {
    if (host_ != ClaudeHost::kAnthropic) return;
    const std::optional<json::value> tier = params_.take("service_tier");
    if (!tier || !tier->is_string()) return;
    if (tier->get_string() == "auto" || tier->get_string() == "standard_only") {
      body_["service_tier"] = *tier;
    } else if (tier->get_string() == "default") {
      body_["service_tier"] = "standard_only";
    } else {
      params_.drop("service_tier");
    }
  }

  // A list, or the header's form "a,b". Bedrock has no such header.
  void write_betas() {
    const std::optional<json::value> betas = params_.take("anthropic_beta");
    if (!betas) return;
    std::vector<std::string> names;
    if (betas->is_string()) {
      for (const std::string_view name : split(betas->get_string(), ',')) {
        names.emplace_back(trim(name));
      }
    } else {
      const json::array& list = as_array(*betas, "anthropic_beta");
      for (std::size_t i = 0; i < list.size(); ++i) {
        names.emplace_back(as_string(list[i], index_path("anthropic_beta", i)));
      }
    }
    for (const std::string& name : names) {
      const bool plain = std::ranges::all_of(name, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
      });
      if (name.empty() || !plain) {
        throw Error(ErrorKind::kBadValue,
                    "Invalid value for 'anthropic_beta': " + quote_for_message(name) +
                        " is no name of a beta.",
                    "anthropic_beta");
      }
    }
    if (names.empty()) return;
    if (host_ == ClaudeHost::kBedrock) {
      body_["anthropic_beta"] = json::array(names.begin(), names.end());
    } else {
      wire_.headers.emplace_back("anthropic-beta", join(names, ","));
    }
  }

  const api::ChatRequest& request_;
  ClaudeHost host_;
  ClaudeTraits traits_;
  Parameters params_;
  std::string version_;
  std::int64_t default_max_tokens_;
  Conversation conversation_;
  json::object body_;
  WireRequest wire_;
  std::int64_t budget_ = 0;  // of thinking tokens, where it is ours
};

// --- Text Completions ---

// As the API wants it: a dialogue that begins with the human and ends where Claude goes on.
std::string dialogue(std::string_view prompt) {
  std::string text;
  if (prompt.starts_with("Human: ")) {
    text = "\n\n";
  } else if (!prompt.starts_with("\n\nHuman: ")) {
    text = "\n\nHuman: ";
  }
  text += prompt;
  if (!text.ends_with("\n\nAssistant:")) text += "\n\nAssistant:";
  return text;
}

}  // namespace

std::string_view claude_host_name(ClaudeHost host) { return chat_dialect(host).provider; }

WireRequest claude_chat_to_wire(const api::ChatRequest& request, const Context& context,
                                ClaudeHost host) {
  return ChatWriter(request, context, host).write();
}

WireRequest claude_completion_to_wire(const api::CompletionRequest& request, const Context& context,
                                      ClaudeHost host) {
  const bool bedrock = host == ClaudeHost::kBedrock;
  Parameters params(request, bedrock ? kBedrockCompletion : kCompletion, context);
  WireRequest wire{.memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  json::object body;
  write_host(body, wire.headers, context, host);
  body["prompt"] = dialogue(only_prompt(request, claude_host_name(host)));
  params.write(body);
  if (bedrock) {
    // Without it the model would go on with the human's part.
    json::value& stops = body["stop_sequences"];
    if (!stops.is_array()) stops.emplace_array();
    json::array& list = stops.get_array();
    if (std::ranges::find(list, json::value("\n\nHuman:")) == list.end()) {
      list.push_back("\n\nHuman:");
    }
  } else if (request.generation.stream) {
    body["stream"] = true;
  }
  wire.body = tessera::to_json(json::value(std::move(body)));
  wire.dropped = params.dropped();
  return wire;
}

}  // namespace tessera::providers

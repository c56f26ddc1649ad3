// https://docs.ai21.com/reference/j2-complete-ref (legacy), /reference/jamba-1-6-api-ref
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-jurassic2.html
#include "providers/ai21.h"

#include "base/strings.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"

namespace tessera::providers {
namespace {

using api::FinishReason;
using Fate = Rule::Fate;

constexpr std::string_view kProvider = "ai21labs";

// --- J2 completions: to the wire ---

constexpr Rule kJ2Rules[] = {
    {.field = "max_tokens", .native = "maxTokens"},
    {.field = "temperature", .lowest = 0, .highest = 1},
    {.field = "top_p", .native = "topP", .lowest = 0, .highest = 1},
    {.field = "top_k", .native = "topKReturn", .lowest = 0},
    {.field = "n", .native = "numResults", .lowest = 1, .highest = 16},
    {.field = "stop", .native = "stopSequences"},
    // Their scales differ from OpenAI's (0 to 5 and 0 to 500); what is below 0 they cannot say.
    {.field = "presence_penalty", .native = "presencePenalty.scale", .lowest = 0, .highest = 5},
    {.field = "frequency_penalty", .native = "frequencyPenalty.scale", .lowest = 0, .highest = 500},
};
constexpr std::pair<std::string_view, std::string_view> kJ2Aliases[] = {
    {"presencePenalty", "presence_penalty"}, {"frequencyPenalty", "frequency_penalty"}};

// "j2-mid" or "j2-mid/my-custom-model".
std::string model_path(const std::string& model) { return url_encode(model, /*keep_slash=*/true); }

}  // namespace

WireRequest j2_complete(const api::CompletionRequest& request, const Context& context,
                        J2Host host) {
  const bool bedrock = host == J2Host::kBedrock;
  const Dialect dialect{.provider = bedrock ? "amazon-bedrock/ai21labs" : kProvider,
                        .rules = kJ2Rules,
                        .aliases = kJ2Aliases};
  Parameters parameters(request, dialect, context);
  json::object body;
  body["prompt"] = only_prompt(request, dialect.provider);
  if (bedrock) {
    for (const char* field : {"logitBias", "epoch"}) {
      if (parameters.take(field)) parameters.refuse(field);
    }
  }
  parameters.write(body);
  WireRequest wire{.path = "/studio/v1/" + model_path(context.model.name) + "/complete",
                   .body = tessera::to_json(body),
                   .emulated_stream = request.generation.stream,
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

// --- From the wire ---

api::CompletionResponse j2_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kProvider, wire.body);
  const json::array& completions = list_at(root, "completions");
  if (completions.empty()) throw bad_response(kProvider, "it has no completions.");
  api::CompletionResponse answer{.id = or_else(id_at(root, "id"), make_id("cmpl-", memo)),
                                 .created = memo.now_s,
                                 .model = memo.model};
  std::int64_t completion_tokens = 0;
  std::size_t characters = 0;
  bool counted = true;
  for (const json::value& entry : completions) {
    if (!entry.is_object()) throw bad_response(kProvider, "a completion is not an object.");
    const json::object& completion = entry.get_object();
    api::CompletionChoice& choice = answer.choices.emplace_back();
    choice.index = static_cast<int>(answer.choices.size()) - 1;
    choice.text = text_at(completion, "data.text");
    const bool length = text_at(completion, "finishReason.reason") == "length";
    choice.finish_reason = length ? FinishReason::kLength : FinishReason::kStop;
    const json::array& tokens = list_at(completion, "data.tokens");
    counted = counted && (!tokens.empty() || choice.text.empty());
    completion_tokens += static_cast<std::int64_t>(tokens.size());
    characters += utf8_length(choice.text);
  }
  if (const auto invocation = usage_of_invocation(wire)) {
    answer.usage = invocation;
    return answer;
  }
  // The answer may leave out the tokens of either side, which are estimated then.
  const json::array& prompt = list_at(root, "prompt.tokens");
  if (prompt.empty() && !counted) return answer;
  const auto estimate = [](std::size_t n) { return static_cast<std::int64_t>((n + 1) / 4); };
  answer.usage = usage_of(
      prompt.empty() ? estimate(memo.input_characters) : static_cast<std::int64_t>(prompt.size()),
      counted ? completion_tokens : estimate(characters));
  return answer;
}

namespace {

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  return j2_complete(request, context, J2Host::kAi21);
}

// --- Jamba chat: OpenAI's form with fewer fields ---

constexpr Rule kJambaRules[] = {
    {.field = "max_tokens"},
    {.field = "temperature", .lowest = 0, .highest = 2},
    {.field = "top_p", .lowest = 0, .highest = 1},
    {.field = "stop"},
    {.field = "n", .lowest = 1, .highest = 16},
    {.field = "tools", .fate = Fate::kOwn},
    {.field = "response_format", .fate = Fate::kOwn},
    {.field = "documents"},
};
constexpr Dialect kJamba = {.provider = kProvider, .rules = kJambaRules};

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  Parameters parameters(request, kJamba, context);
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    for (const api::ContentPart& part : request.messages[i].parts) {
      if (part.kind == api::ContentPart::Kind::kText) continue;
      throw Error(ErrorKind::kUnsupportedContent,
                  "Unsupported content: the provider 'ai21labs' reads text only.",
                  join_path(index_path("messages", i), "content"));
    }
  }
  if (request.response_format &&
      request.response_format->kind == api::ResponseFormat::Kind::kJsonSchema) {
    parameters.refuse("response_format", "with a schema; it has 'json_object' only");
    parameters.take("response_format");
  }
  json::object body{{"model", context.model.name}};
  const json::object ours = parse_json_object(to_json(request));
  for (const char* field : {"messages", "tools", "response_format"}) {
    const bool wanted = field == std::string_view("messages") || parameters.has(field);
    if (const json::value* value = ours.if_contains(field); wanted && value != nullptr) {
      body[field] = *value;
    }
  }
  if (request.generation.stream) body["stream"] = true;
  parameters.write(body);
  WireRequest wire{.path = "/studio/v1/chat/completions",
                   .body = tessera::to_json(body),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

// What Jamba's answers may leave out.
template <class Answer>
void complete(Answer& answer, const Memo& memo) {
  if (answer.id.empty()) answer.id = make_id("chatcmpl-", memo);
  if (answer.created == 0) answer.created = memo.now_s;
  if (answer.model.empty()) answer.model = memo.model;
}

api::ChatResponse chat_from_wire(const WireResponse& wire, const Memo& memo) {
  api::ChatResponse answer = api::parse_chat_response(wire.body);
  if (answer.choices.empty()) throw bad_response(kProvider, "it has no choices.");
  complete(answer, memo);
  return answer;
}

class JambaDecoder final : public ChatDecoder {
 public:
  explicit JambaDecoder(const Memo& memo) : memo_(memo) {}

  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    std::vector<api::ChatChunk> chunks;
    if (finished_) return chunks;
    if (event.data.starts_with("[DONE]")) {
      finished_ = true;
      return chunks;
    }
    const FailureBody failure = read_failure_body(event.data);
    if (event.data.find("\"choices\"") == std::string_view::npos && !failure.message.empty()) {
      throw to_error({.provider = kProvider, .message = failure.message, .meaning = 500},
                     {.status = 0, .body = std::string(event.data)});
    }
    chunks.push_back(api::parse_chat_chunk(event.data));
    complete(chunks.back(), memo_);
    return chunks;
  }

  bool finished() const override { return finished_; }

 private:
  const Memo memo_;
  bool finished_ = false;
};

std::unique_ptr<ChatDecoder> chat_stream(const Memo& memo) {
  return std::make_unique<JambaDecoder>(memo);
}

// --- Errors: {"detail": "…"} or {"detail": [{"loc", "msg"}]}, or text ---

Error from_error(const WireResponse& wire) {
  FailureBody body = read_failure_body(wire.body);
  return to_error(
      {.provider = kProvider, .code = std::move(body.code), .message = std::move(body.message)},
      wire);
}

// --- Where and as whom ---

std::string base_url(const catalog::ExternalModel&) { return "https://api.ai21.com"; }

Auth auth(const catalog::ExternalModel& model) {
  return {Auth::Kind::kHeader, "authorization",
          "Bearer " + std::string(model.secret("ai21labs_api_key"))};
}

}  // namespace

constinit const Provider kAi21 = {
    .name = kProvider,
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, chat_from_wire, chat_stream},
    .completions = {completions_to_wire, j2_answer, nullptr},
    .embeddings = {},
    .from_error = from_error,
};

}  // namespace tessera::providers

// https://docs.cohere.com/reference/about, versions 1 and 2 of its API
#include "providers/cohere.h"

#include <algorithm>

#include "base/strings.h"
#include "providers/completions_by_chat.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"

namespace tessera::providers {

using api::FinishReason;

// --- What both versions share ---

std::optional<api::Usage> cohere_usage(const json::object& holder) {
  for (const char* place : {"tokens", "billed_units"}) {
    const json::object& counts = object_at(holder, place);
    const auto input = count_at(counts, "input_tokens"), output = count_at(counts, "output_tokens");
    if (!input && !output) continue;
    api::Usage usage = usage_of(input.value_or(0), output.value_or(0));
    usage.cached_tokens = count_at(holder, "cached_tokens");
    return usage;
  }
  const json::object& old = object_at(holder, "token_count");
  const auto prompt = count_at(old, "prompt_tokens"), response = count_at(old, "response_tokens");
  if (prompt || response) return usage_of(prompt.value_or(0), response.value_or(0));
  return std::nullopt;
}

FinishReason cohere_finish_reason(std::string_view reason, std::string_view message) {
  if (reason == "MAX_TOKENS" || reason == "ERROR_LIMIT") return FinishReason::kLength;
  if (reason == "TOOL_CALL") return FinishReason::kToolCalls;
  if (reason == "ERROR_TOXIC") return FinishReason::kContentFilter;
  if (reason == "ERROR" || reason == "TIMEOUT") {
    Failure failure{.provider = "cohere",
                    .code = std::string(reason),
                    .message = std::string(message),
                    .meaning = reason == "ERROR" ? 500 : 504};
    if (message.empty()) {
      failure.message = "The provider 'cohere' ended the answer with " + std::string(reason) + ".";
    }
    throw to_error(failure, {.status = 0});
  }
  return FinishReason::kStop;  // COMPLETE, STOP_SEQUENCE, USER_CANCEL
}

namespace {

// --- Which of its APIs a model speaks ---

constexpr std::string_view kV1 = "1", kV2 = "2";

bool is_nightly(std::string_view model) { return model.ends_with("nightly"); }

// command, command-light and the nightly ones are known to the first version only.
std::string_view chat_version(const catalog::ExternalModel& model) {
  const std::string_view wish = model.option("cohere_api_version");
  if (wish == kV1 || wish == kV2) return wish;
  const bool old =
      model.name == "command" || model.name == "command-light" || is_nightly(model.name);
  return old ? kV1 : kV2;
}

std::string_view embed_version(const catalog::ExternalModel& model) {
  const std::string_view wish = model.option("cohere_api_version");
  if (wish == kV1 || wish == kV2) return wish;
  return model.name.ends_with("-v2.0") ? kV1 : kV2;
}

// "not supported by the generate API": these answer completions by chat.
bool completes_by_chat(const catalog::ExternalModel& model) {
  for (const char* family : {"command-r", "command-a", "c4ai", "north"}) {
    if (model.name.starts_with(family)) return true;
  }
  return false;
}

// --- Chat ---

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  if (chat_version(context.model) == kV1) {
    return cohere_v1_chat(request, context, CohereHost::kCohere);
  }
  return cohere_v2_chat(request, context);
}

bool is_v1(const Memo& memo) {
  const auto note = memo.notes.find("api");
  return note != memo.notes.end() && note->second == "v1";
}

api::ChatResponse chat_from_wire(const WireResponse& wire, const Memo& memo) {
  return is_v1(memo) ? cohere_v1_chat_answer(wire, memo) : cohere_v2_chat_answer(wire, memo);
}

std::unique_ptr<ChatDecoder> chat_stream(const Memo& memo) {
  return is_v1(memo) ? cohere_v1_chat_stream(memo) : cohere_v2_chat_stream(memo);
}

// --- Completions ---

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  if (completes_by_chat(context.model)) {
    WireRequest wire = complete_by_chat(request, context, "cohere", cohere_v2_chat);
    wire.memo.notes["api"] = "chat";
    return wire;
  }
  return cohere_generate(request, context, CohereHost::kCohere);
}

bool by_chat(const Memo& memo) {
  const auto note = memo.notes.find("api");
  return note != memo.notes.end() && note->second == "chat";
}

api::CompletionResponse completions_from_wire(const WireResponse& wire, const Memo& memo) {
  if (by_chat(memo)) return completion_of(cohere_v2_chat_answer(wire, memo));
  return cohere_generate_answer(wire, memo);
}

std::unique_ptr<CompletionDecoder> completions_stream(const Memo& memo) {
  if (by_chat(memo)) return completions_of(cohere_v2_chat_stream(memo));
  return cohere_generate_stream(memo);
}

// --- Embeddings ---

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  return cohere_embed(request, context, CohereHost::kCohere);
}

int max_texts(const catalog::ExternalModel&) { return kCohereMaxTexts; }

constexpr Rule kEmbedRules[] = {
    {.field = "dimensions", .native = "output_dimension"},
    {.field = "truncate"},
};
// Models before the fourth generation have one length each.
constexpr Rule kFixedEmbedRules[] = {{.field = "truncate"}};

bool has_dimensions(std::string_view model) {
  return !model.ends_with("-v2.0") && !model.ends_with("-v3.0") && !model.ends_with("-v3");
}

}  // namespace

WireRequest cohere_embed(const api::EmbeddingRequest& request, const Context& context,
                         CohereHost host) {
  const bool bedrock = host == CohereHost::kBedrock;
  const std::string_view provider = bedrock ? "amazon-bedrock/cohere" : "cohere";
  const bool v1 = bedrock || embed_version(context.model) == kV1;
  Dialect dialect{.provider = provider, .rules = kFixedEmbedRules};
  if (has_dimensions(context.model.name)) dialect.rules = kEmbedRules;
  Parameters parameters(request, dialect, context);

  json::object body;
  if (!bedrock) body["model"] = context.model.name;
  json::array& texts = body["texts"].emplace_array();
  for (std::string& text : texts_of(request, provider)) texts.emplace_back(std::move(text));
  // Required from the third generation on; the second does not know it.
  std::optional<json::value> input_type = parameters.take("input_type");
  if (!context.model.name.ends_with("-v2.0")) {
    const std::string_view usual = context.model.option("default_input_type");
    body["input_type"] = input_type ? std::move(*input_type)
                                    : json::value(usual.empty() ? "search_document" : usual);
  } else if (input_type) {
    parameters.refuse("input_type", "by models of the second generation");
  }
  if (std::optional<json::value> types = parameters.take("embedding_types")) {
    if (*types != json::value(json::array{"float"}) && *types != json::value("float")) {
      throw Error(ErrorKind::kUnsupportedParameter,
                  "Unsupported value: 'embedding_types' can only be ['float'] here, not " +
                      quote_for_message(tessera::to_json(*types)) + ".",
                  "embedding_types");
    }
  }
  if (!v1) body["embedding_types"] = json::array{"float"};
  parameters.write(body);
  if (!body.contains("truncate")) body["truncate"] = "END";

  WireRequest wire{.path = v1 ? "/v1/embed" : "/v2/embed",
                   .body = tessera::to_json(body),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

api::EmbeddingResponse cohere_embed_answer(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer("cohere", wire.body);
  const json::value* embeddings = value_at(root, "embeddings");
  if (embeddings != nullptr && embeddings->is_object()) {
    embeddings = value_at(root, "embeddings.float");
  }
  if (embeddings == nullptr || !embeddings->is_array()) {
    throw bad_response("cohere", "it has no embeddings.");
  }
  api::EmbeddingResponse answer{.id = or_else(id_at(root, "id"), make_id("embd-", memo)),
                                .model = memo.model};
  for (const json::value& vector : embeddings->get_array()) {
    std::vector<float>& numbers = answer.data.emplace_back();
    if (!vector.is_array()) throw bad_response("cohere", "an embedding is not a list of numbers.");
    for (const json::value& number : vector.get_array()) {
      if (!number.is_number()) throw bad_response("cohere", "an embedding is not of numbers.");
      numbers.push_back(static_cast<float>(number.to_number<double>()));
    }
  }
  std::optional<std::int64_t> tokens = count_at(root, "meta.billed_units.input_tokens");
  if (!tokens) {
    if (const auto invocation = usage_of_invocation(wire)) tokens = invocation->prompt_tokens;
  }
  answer.usage.prompt_tokens = answer.usage.total_tokens = tokens.value_or(0);
  return answer;
}

namespace {

// --- Errors ---

// {"id": "…", "message": "…"}. 498: a deny-listed token; 499: somebody cancelled, and not we.
Error from_error(const WireResponse& wire) {
  FailureBody body = read_failure_body(wire.body);
  Failure failure{
      .provider = "cohere", .code = std::move(body.code), .message = std::move(body.message)};
  if (wire.status == 498) failure.kind = ErrorKind::kProviderContentFilter;
  if (wire.status == 499) failure.kind = ErrorKind::kProviderTimeout;
  return to_error(failure, wire);
}

// --- Where and as whom ---

std::string base_url(const catalog::ExternalModel& model) {
  std::string base(model.option("cohere_api_base"));
  if (base.empty()) base = "https://api.cohere.com";
  // People configure it with the version that their SDK wanted.
  for (const char* tail : {"/", "/v1", "/v2", "/"}) {
    if (base.ends_with(tail)) base.erase(base.size() - std::string_view(tail).size());
  }
  return base;
}

Auth auth(const catalog::ExternalModel& model) {
  return {Auth::Kind::kHeader, "authorization",
          "Bearer " + std::string(model.secret("cohere_api_key"))};
}

}  // namespace

constinit const Provider kCohere = {
    .name = "cohere",
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, chat_from_wire, chat_stream},
    .completions = {completions_to_wire, completions_from_wire, completions_stream},
    .embeddings = {embeddings_to_wire, cohere_embed_answer, max_texts},
    .from_error = from_error,
};

}  // namespace tessera::providers

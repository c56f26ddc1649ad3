// https://cloud.google.com/vertex-ai/docs/reference/rest
#include "providers/vertex.h"

#include <algorithm>
#include <cmath>

#include "base/strings.h"
#include "providers/anthropic.h"
#include "providers/completions_by_chat.h"
#include "providers/failure.h"
#include "providers/parameters.h"
#include "providers/reading.h"

namespace tessera::providers {
namespace {

constexpr std::string_view kModels = "models/";
constexpr std::string_view kGoogleModels = "publishers/google/models/";
constexpr std::string_view kAnthropicModels = "publishers/anthropic/models/";

bool is_claude(std::string_view model) { return model.starts_with("claude"); }

// Versions ("text-bison@001") keep their '@', as in Google's own URLs.
std::string path_segment(std::string_view text, bool keep_slash = false) {
  std::string out;
  for (const std::string_view part : split(text, '@')) {
    if (!out.empty()) out += '@';
    out += url_encode(part, keep_slash);
  }
  return out;
}

}  // namespace

std::string_view vertex_model(const catalog::ExternalModel& model) {
  std::string_view name = model.name;
  for (const std::string_view prefix : {kGoogleModels, kAnthropicModels, kModels}) {
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

std::string vertex_path(const catalog::ExternalModel& model, std::string_view method) {
  const std::string_view name = vertex_model(model);
  std::string tail(1, ':');
  tail += method;
  if (name.starts_with("projects/")) return "/v1/" + path_segment(name, true) + tail;
  std::string path = "/v1/projects/" + path_segment(model.option("project_id")) + "/locations/" +
                     path_segment(model.option("region")) + '/';
  const bool has_place = name.starts_with("endpoints/") || name.starts_with("publishers/");
  if (!has_place) path += is_claude(name) ? kAnthropicModels : kGoogleModels;
  return path + path_segment(name, has_place) + tail;
}

// --- Errors ---

Error google_error(std::string_view provider, const WireResponse& wire) {
  struct Row {
    std::string_view status;
    int meaning;
  };
  // https://cloud.google.com/apis/design/errors
  static constexpr Row kRows[] = {
      {"INVALID_ARGUMENT", 400},   {"FAILED_PRECONDITION", 400},
      {"OUT_OF_RANGE", 400},       {"UNAUTHENTICATED", 401},
      {"PERMISSION_DENIED", 403},  {"NOT_FOUND", 404},
      {"ALREADY_EXISTS", 409},     {"ABORTED", 409},
      {"RESOURCE_EXHAUSTED", 429}, {"CANCELLED", 504},
      {"INTERNAL", 500},           {"UNKNOWN", 500},
      {"DATA_LOSS", 500},          {"UNIMPLEMENTED", 501},
      {"UNAVAILABLE", 503},        {"DEADLINE_EXCEEDED", 504},
  };
  FailureBody body = read_failure_body(wire.body);
  Failure failure{.provider = provider, .code = body.code, .message = body.message};
  for (const Row& row : kRows) {
    if (row.status == body.code) failure.meaning = row.meaning;
  }
  std::optional<std::int64_t> retry_after_ms;
  try {
    json::value tree = parse_json(wire.body);
    if (json::array* array = tree.if_array(); array != nullptr && !array->empty()) {
      json::value first = std::move(array->front());
      tree = std::move(first);
    }
    if (tree.is_object()) {
      const json::object& root = tree.get_object();
      if (failure.meaning == 0 && wire.status == 0) {
        failure.meaning = static_cast<int>(
            std::clamp<std::int64_t>(count_at(root, "error.code").value_or(500), 0, 599));
      }
      for (const json::value& entry : list_at(root, "error.details")) {
        if (!entry.is_object()) continue;
        const json::object& detail = entry.get_object();
        // A wrong key is a 400 to Google.
        if (text_at(detail, "reason") == "API_KEY_INVALID") {
          failure.kind = ErrorKind::kProviderAuthentication;
        }
        // "7s", "0.5s"
        if (const std::string delay = text_at(detail, "retryDelay"); delay.ends_with('s')) {
          const auto seconds = parse_double(std::string_view(delay).substr(0, delay.size() - 1));
          if (seconds && *seconds >= 0 && *seconds <= 86'400) {
            retry_after_ms = std::llround(*seconds * 1000);
          }
        }
        for (const json::value& violation : list_at(detail, "fieldViolations")) {
          if (!violation.is_object()) continue;
          failure.message.append(" ").append(text_at(violation.get_object(), "field"));
          failure.message.append(": ").append(text_at(violation.get_object(), "description"));
        }
      }
    }
  } catch (const Error&) {
    // HTML from a host of the wrong region
  }
  Error error = to_error(failure, wire);
  if (retry_after_ms && !error.retry_after_ms) {
    error.retry_after_ms = retry_after_ms;
    error.retry_after_s = static_cast<int>((*retry_after_ms + 999) / 1000);
  }
  return error;
}

namespace {

Error from_error(const WireResponse& wire) { return google_error(kVertexName, wire); }

// --- Chat ---

bool is_bison(std::string_view model) {
  return model.starts_with("chat-bison") || model.starts_with("codechat-bison");
}

WireRequest chat_to_wire(const api::ChatRequest& request, const Context& context) {
  const std::string_view model = vertex_model(context.model);
  if (is_bison(model)) return bison_chat(request, context);
  if (is_claude(model)) {
    WireRequest wire = claude_chat_to_wire(request, context, ClaudeHost::kVertex);
    wire.path =
        vertex_path(context.model, request.generation.stream ? "streamRawPredict" : "rawPredict");
    wire.memo.notes["api"] = "claude";
    return wire;
  }
  WireRequest wire = gemini_chat(request, context);
  wire.memo.notes["api"] = "gemini";
  return wire;
}

std::string_view api_of(const Memo& memo) {
  const auto note = memo.notes.find("api");
  return note == memo.notes.end() ? std::string_view() : note->second;
}

api::ChatResponse chat_from_wire(const WireResponse& wire, const Memo& memo) {
  if (api_of(memo) == "bison") return bison_chat_answer(wire, memo);
  if (api_of(memo) == "claude") return claude_chat_from_wire(wire, memo, ClaudeHost::kVertex);
  return gemini_answer(wire, memo);
}

std::unique_ptr<ChatDecoder> chat_stream(const Memo& memo) {
  if (api_of(memo) == "claude") return claude_chat_stream(memo, ClaudeHost::kVertex);
  return gemini_stream(memo);
}

// --- Completions: PaLM's models have them; Gemini answers them as a chat of one message ---

bool completes_by_chat(const catalog::ExternalModel& model) {
  const std::string_view name = vertex_model(model);
  return name.starts_with("gemini") || name.starts_with("endpoints/");
}

WireRequest completions_to_wire(const api::CompletionRequest& request, const Context& context) {
  if (!completes_by_chat(context.model)) return bison_completion(request, context);
  WireRequest wire = complete_by_chat(request, context, kVertexName, gemini_chat);
  wire.memo.notes["api"] = "gemini";
  return wire;
}

api::CompletionResponse completions_from_wire(const WireResponse& wire, const Memo& memo) {
  if (api_of(memo) == "gemini") return completion_of(gemini_answer(wire, memo));
  return bison_completion_answer(wire, memo);
}

std::unique_ptr<CompletionDecoder> completions_stream(const Memo& memo) {
  if (api_of(memo) == "gemini") return completions_of(gemini_stream(memo));
  return bison_completion_stream(memo);
}

// --- Embeddings ---

constexpr Rule kPredictRules[] = {
    {.field = "dimensions", .native = "parameters.outputDimensionality"},
    {.field = "auto_truncate", .native = "parameters.autoTruncate", .native_passes = true},
    {.field = "autoTruncate", .native = "parameters.autoTruncate", .native_passes = true},
};
// Gecko has one length.
constexpr Rule kGeckoRules[] = {
    {.field = "auto_truncate", .native = "parameters.autoTruncate", .native_passes = true},
    {.field = "autoTruncate", .native = "parameters.autoTruncate", .native_passes = true},
};
constexpr Rule kEmbedContentRules[] = {
    {.field = "dimensions", .native = "embedContentConfig.outputDimensionality"},
};
constexpr std::pair<std::string_view, std::string_view> kTaskTypes[] = {
    {"search_document", "RETRIEVAL_DOCUMENT"},
    {"search_query", "RETRIEVAL_QUERY"},
    {"classification", "CLASSIFICATION"},
    {"clustering", "CLUSTERING"},
};

bool uses_embed_content(std::string_view model) {
  return model.starts_with("gemini-embedding-") && !model.starts_with("gemini-embedding-001");
}

int max_inputs(const catalog::ExternalModel& model) {
  return vertex_model(model).starts_with("gemini-embedding-") ? 1 : 250;
}

// 20,000 tokens per call. A token is four letters of English or, at three bytes a character, about
// one of Chinese.
int max_bytes(const catalog::ExternalModel&) { return 40'000; }

// The extra `input_type` in Cohere's words or Google's, else the endpoint's; "" when neither says.
std::string task_type(Parameters& parameters, const Context& context) {
  std::string type(context.model.option("default_input_type"));
  if (const auto given = parameters.take("input_type"); given && given->is_string()) {
    type = std::string(given->get_string());
  }
  if (const auto given = parameters.take("task_type"); given && given->is_string()) {
    type = std::string(given->get_string());
  }
  for (const auto& [theirs, ours] : kTaskTypes) {
    if (type == theirs) return std::string(ours);
  }
  return type;
}

WireRequest embeddings_to_wire(const api::EmbeddingRequest& request, const Context& context) {
  const std::string_view model = vertex_model(context.model);
  const bool content = uses_embed_content(model);
  Dialect dialect{.provider = kVertexName, .rules = kPredictRules, .extras = "parameters"};
  if (model.starts_with("textembedding-gecko")) dialect.rules = kGeckoRules;
  if (content) dialect = {kVertexName, kEmbedContentRules, {}, "embedContentConfig", 0};
  Parameters parameters(request, dialect, context);
  const std::vector<std::string> texts = texts_of(request, kVertexName);
  const std::string type = task_type(parameters, context);
  const std::optional<json::value> title = parameters.take("title");

  json::object body;
  if (content) {
    // One input per call: max_inputs has seen to it.
    body["content"] = json::object{{"parts", json::array{json::object{{"text", texts.front()}}}}};
    if (!type.empty()) set_at(body, "embedContentConfig.taskType", json::value(type));
  } else {
    json::array& instances = body["instances"].emplace_array();
    for (const std::string& text : texts) {
      json::object instance{{"content", text}};
      if (!type.empty()) instance["task_type"] = type;
      if (title && type == "RETRIEVAL_DOCUMENT") instance["title"] = *title;
      instances.push_back(std::move(instance));
    }
  }
  parameters.write(body);
  WireRequest wire{.path = vertex_path(context.model, content ? "embedContent" : "predict"),
                   .body = tessera::to_json(body),
                   .dropped = parameters.dropped(),
                   .memo = memo_of(context)};
  wire.memo.input_characters = input_characters(request);
  return wire;
}

std::vector<float> vector_of(const json::array& values) {
  if (values.empty()) throw bad_response(kVertexName, "an embedding is empty.");
  std::vector<float> numbers;
  numbers.reserve(values.size());
  for (const json::value& value : values) {
    if (!value.is_number()) throw bad_response(kVertexName, "an embedding is not of numbers.");
    numbers.push_back(static_cast<float>(value.to_number<double>()));
  }
  return numbers;
}

api::EmbeddingResponse embeddings_from_wire(const WireResponse& wire, const Memo& memo) {
  const json::object root = read_answer(kVertexName, wire.body);
  api::EmbeddingResponse answer{.id = make_id("embd-", memo), .model = memo.model};
  std::int64_t tokens = 0;
  if (root.contains("embedding")) {
    answer.data.push_back(vector_of(list_at(root, "embedding.values")));
    tokens = count_at(root, "usageMetadata.promptTokenCount").value_or(0);
  }
  for (const json::value& prediction : list_at(root, "predictions")) {
    if (!prediction.is_object()) throw bad_response(kVertexName, "a prediction is no object.");
    const json::object& object = prediction.get_object();
    answer.data.push_back(vector_of(list_at(object, "embeddings.values")));
    tokens += count_at(object, "embeddings.statistics.token_count").value_or(0);
  }
  if (answer.data.empty()) throw bad_response(kVertexName, "it has no embeddings.");
  answer.usage.prompt_tokens = answer.usage.total_tokens = tokens;
  return answer;
}

// --- Where and as whom ---

std::string base_url(const catalog::ExternalModel& model) {
  const std::string region(model.option("region"));
  if (region == "global") return "https://aiplatform.googleapis.com";
  if (region == "us" || region == "eu") {
    return "https://aiplatform." + region + ".rep.googleapis.com";
  }
  return "https://" + region + "-aiplatform.googleapis.com";
}

Auth auth(const catalog::ExternalModel&) { return {Auth::Kind::kGoogleServiceAccount, {}, {}}; }

}  // namespace

constinit const Provider kVertex = {
    .name = kVertexName,
    .base_url = base_url,
    .auth = auth,
    .chat = {chat_to_wire, chat_from_wire, chat_stream},
    .completions = {completions_to_wire, completions_from_wire, completions_stream},
    .embeddings = {embeddings_to_wire, embeddings_from_wire, max_inputs, max_bytes},
    .from_error = from_error,
};

}  // namespace tessera::providers

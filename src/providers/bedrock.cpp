// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
// https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
#include "providers/bedrock.h"

#include <array>

#include "base/strings.h"
#include "providers/ai21.h"
#include "providers/anthropic.h"
#include "providers/bedrock_converse.h"
#include "providers/bedrock_titan.h"
#include "providers/cohere.h"
#include "providers/failure.h"
#include "providers/reading.h"

namespace tessera::providers {
namespace {

constexpr std::string_view kProvider = "amazon-bedrock";
constexpr ClaudeHost kClaude = ClaudeHost::kBedrock;
constexpr CohereHost kCohereHere = CohereHost::kBedrock;

// --- Where and as whom ---

std::string base_url(const catalog::ExternalModel& model) {
  const std::string_view chosen = model.option("base_url_override");
  if (!chosen.empty()) return std::string(chosen);
  const std::string_view region = model.option("aws_region");
  std::string url = "https://bedrock-runtime." + std::string(region) + ".amazonaws.com";
  return region.starts_with("cn-") ? url + ".cn" : url;
}

// Keys of our own go before a bearer key, and that before a role.
Auth auth(const catalog::ExternalModel& model) {
  const std::string_view key = model.secret("bedrock_api_key");
  if (model.secret("aws_access_key_id").empty() && !key.empty()) {
    return {Auth::Kind::kHeader, "authorization", "Bearer " + std::string(key)};
  }
  return {.kind = Auth::Kind::kAwsSigV4, .header = {}, .value = {}};
}

struct Stem {
  std::string_view vendor, stem, prefix;
};
constexpr Stem kStems[] = {
    {"anthropic", "claude-", "anthropic."}, {"cohere", "command-", "cohere."},
    {"cohere", "embed-", "cohere."},        {"ai21labs", "j2-", "ai21."},
    {"ai21labs", "jamba-", "ai21."},        {"amazon", "titan-", "amazon."},
    {"amazon", "nova-", "amazon."},
};

std::string path_of(const Context& context, std::string_view operation) {
  return "/model/" + url_encode(bedrock_model_id(context.model)) + '/' + std::string(operation);
}

// --- InvokeModel: the vendor's body ---

WireRequest invoke(WireRequest wire, const Context& context, bool stream) {
  stream = stream && !wire.emulated_stream;
  wire.path = path_of(context, stream ? "invoke-with-response-stream" : "invoke");
  wire.headers.emplace_back(stream ? "x-amzn-bedrock-accept" : "accept", "application/json");
  wire.framing = Framing::kAwsEventStream;
  return wire;
}

Error stream_error(const WireEvent& event);

// A frame's payload is {"bytes": <base64 of the vendor's event>, "p": <padding>}.
template <class Chunk>
class InvokeDecoder final : public StreamDecoder<Chunk> {
 public:
  explicit InvokeDecoder(std::unique_ptr<StreamDecoder<Chunk>> vendor)
      : vendor_(std::move(vendor)) {}

  std::vector<Chunk> feed(const WireEvent& event) override {
    if (event.exception) throw stream_error(event);
    if (event.name != "chunk") return {};
    const json::object payload = read_answer(kProvider, event.data);
    const std::optional<std::string> bytes = base64_decode(text_at(payload, "bytes"));
    if (!bytes || bytes->empty()) throw bad_response(kProvider, "a chunk has no bytes");
    return vendor_->feed({.name = {}, .data = *bytes});
  }
  std::vector<Chunk> finish() override { return vendor_->finish(); }
  bool finished() const override { return vendor_->finished(); }

 private:
  std::unique_ptr<StreamDecoder<Chunk>> vendor_;
};

std::unique_ptr<ChatDecoder> framed(std::unique_ptr<ChatDecoder> vendor) {
  return std::make_unique<InvokeDecoder<api::ChatChunk>>(std::move(vendor));
}
std::unique_ptr<CompletionDecoder> framed(std::unique_ptr<CompletionDecoder> vendor) {
  return std::make_unique<InvokeDecoder<api::CompletionResponse>>(std::move(vendor));
}

WireRequest claude_chat(const api::ChatRequest& request, const Context& context) {
  return invoke(claude_chat_to_wire(request, context, kClaude), context, request.generation.stream);
}
api::ChatResponse claude_chat_answer(const WireResponse& wire, const Memo& memo) {
  return claude_chat_from_wire(wire, memo, kClaude);
}
std::unique_ptr<ChatDecoder> claude_chat_events(const Memo& memo) {
  return framed(claude_chat_stream(memo, kClaude));
}

WireRequest claude_complete(const api::CompletionRequest& request, const Context& context) {
  return invoke(claude_completion_to_wire(request, context, kClaude), context,
                request.generation.stream);
}
api::CompletionResponse claude_complete_answer(const WireResponse& wire, const Memo& memo) {
  return claude_completion_from_wire(wire, memo, kClaude);
}
std::unique_ptr<CompletionDecoder> claude_complete_events(const Memo& memo) {
  return framed(claude_completion_stream(memo, kClaude));
}

WireRequest cohere_chat(const api::ChatRequest& request, const Context& context) {
  return invoke(cohere_v1_chat(request, context, kCohereHere), context, request.generation.stream);
}
std::unique_ptr<ChatDecoder> cohere_chat_events(const Memo& memo) {
  return framed(cohere_v1_chat_stream(memo));
}

WireRequest cohere_complete(const api::CompletionRequest& request, const Context& context) {
  return invoke(cohere_generate(request, context, kCohereHere), context, request.generation.stream);
}
std::unique_ptr<CompletionDecoder> cohere_complete_events(const Memo& memo) {
  return framed(cohere_generate_stream(memo));
}

WireRequest cohere_embeddings(const api::EmbeddingRequest& request, const Context& context) {
  return invoke(cohere_embed(request, context, kCohereHere), context, false);
}
int cohere_max_inputs(const catalog::ExternalModel&) { return kCohereMaxTexts; }

WireRequest ai21_complete(const api::CompletionRequest& request, const Context& context) {
  return invoke(j2_complete(request, context, J2Host::kBedrock), context, false);
}

WireRequest titan_complete(const api::CompletionRequest& request, const Context& context) {
  return invoke(titan_text_to_wire(request, context), context, request.generation.stream);
}
std::unique_ptr<CompletionDecoder> titan_complete_events(const Memo& memo) {
  return framed(titan_text_stream(memo));
}

WireRequest titan_embeddings(const api::EmbeddingRequest& request, const Context& context) {
  return invoke(titan_embed_to_wire(request, context), context, false);
}
int one_input(const catalog::ExternalModel&) { return 1; }

// --- Converse ---

class ConverseEvents final : public ChatDecoder {
 public:
  explicit ConverseEvents(const Memo& memo) : events_(converse_stream(memo)) {}
  std::vector<api::ChatChunk> feed(const WireEvent& event) override {
    if (event.exception) throw stream_error(event);
    return events_->feed(event);
  }
  std::vector<api::ChatChunk> finish() override { return events_->finish(); }
  bool finished() const override { return events_->finished(); }

 private:
  std::unique_ptr<ChatDecoder> events_;
};

WireRequest converse_chat(const api::ChatRequest& request, const Context& context) {
  WireRequest wire = converse_to_wire(request, context);
  wire.path = path_of(context, request.generation.stream ? "converse-stream" : "converse");
  wire.framing = Framing::kAwsEventStream;
  return wire;
}
std::unique_ptr<ChatDecoder> converse_events(const Memo& memo) {
  return std::make_unique<ConverseEvents>(memo);
}

// --- Errors ---

struct ExceptionRow {
  std::string_view name;  // streams write its first letter small
  int meaning;            // the status that our table knows
};
constexpr ExceptionRow kExceptions[] = {
    {"ValidationException", 400},
    {"AccessDeniedException", 403},
    {"UnrecognizedClientException", 403},
    {"InvalidSignatureException", 403},
    {"ExpiredTokenException", 403},
    {"MissingAuthenticationTokenException", 403},
    {"RequestTimeTooSkewed", 403},
    {"ResourceNotFoundException", 404},
    {"ConflictException", 400},
    {"ServiceQuotaExceededException", 429},
    {"ModelTimeoutException", 504},
    {"ModelErrorException", 424},
    {"ModelStreamErrorException", 424},
    {"ThrottlingException", 429},
    {"ModelNotReadyException", 503},
    {"InternalServerException", 500},
    {"InternalFailure", 500},
    {"ServiceUnavailableException", 503},
};

// A model's own fault has a status of its own: a member, or in words such as "Received client error
// (422) from primary with message …".
int status_inside(const json::object& body, const std::string& message) {
  if (const auto status = count_at(body, "originalStatusCode")) return static_cast<int>(*status);
  const std::size_t open = message.find("error (");
  if (open == std::string::npos || message.size() < open + 11 || message[open + 10] != ')') {
    return 0;
  }
  return static_cast<int>(parse_int(message.substr(open + 7, 3)).value_or(0));
}

Error exception_error(std::string name, const WireResponse& wire) {
  FailureBody body = read_failure_body(wire.body);
  if (name.empty()) name = body.code;
  Failure failure{.provider = kProvider, .code = std::move(name), .message = body.message};
  if (wire.status == 0) failure.meaning = 500;
  for (const ExceptionRow& row : kExceptions) {
    if (!iequals(row.name, failure.code)) continue;
    failure.code = row.name;
    failure.meaning = row.meaning;
  }
  json::object tree;
  try {
    tree = parse_json_object(wire.body);
  } catch (const Error&) {
    // proxies send HTML
  }
  if (failure.meaning == 424) {
    const int inside = status_inside(tree, failure.message);
    if (inside == 429) failure.meaning = 429;
    if (inside >= 400 && inside < 500 && inside != 429) failure.meaning = 400;
    const std::string original = text_at(tree, "originalMessage");
    if (!original.empty()) failure.message += ": " + original;
  }
  if (failure.code == "ServiceQuotaExceededException" ||
      failure.message.find("tokens per day") != std::string::npos) {
    failure.should_retry = false;
  }
  if (failure.message.find("on-demand throughput") != std::string::npos) {
    failure.message += " (use the id of an inference profile as the model's name)";
  }
  return to_error(failure, wire);
}

// x-amzn-errortype: "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/"
Error from_error(const WireResponse& wire) {
  const std::string_view type = wire.header("x-amzn-errortype");
  return exception_error(std::string(type.substr(0, type.find(':'))), wire);
}

Error stream_error(const WireEvent& event) {
  return exception_error(std::string(event.name), {.status = 0, .body = std::string(event.data)});
}

// --- The dialects ---

constexpr Provider dialect(std::string_view name) {
  Provider provider{};
  provider.name = name;
  provider.base_url = base_url;
  provider.auth = auth;
  provider.chat = {converse_chat, converse_from_wire, converse_events};
  provider.from_error = from_error;
  return provider;
}

constexpr Provider anthropic(bool converse) {
  Provider provider = dialect("amazon-bedrock/anthropic");
  if (!converse) provider.chat = {claude_chat, claude_chat_answer, claude_chat_events};
  provider.completions = {claude_complete, claude_complete_answer, claude_complete_events};
  return provider;
}

constexpr Provider cohere(bool converse) {
  Provider provider = dialect("amazon-bedrock/cohere");
  if (!converse) provider.chat = {cohere_chat, cohere_v1_chat_answer, cohere_chat_events};
  provider.completions = {cohere_complete, cohere_generate_answer, cohere_complete_events};
  provider.embeddings.to_wire = cohere_embeddings;
  provider.embeddings.from_wire = cohere_embed_answer;
  provider.embeddings.max_inputs = cohere_max_inputs;
  return provider;
}

constexpr Provider ai21labs() {
  Provider provider = dialect("amazon-bedrock/ai21labs");
  provider.completions.to_wire = ai21_complete;
  provider.completions.from_wire = j2_answer;
  return provider;
}

constexpr Provider amazon() {
  Provider provider = dialect("amazon-bedrock/amazon");
  provider.completions = {titan_complete, titan_text_from_wire, titan_complete_events};
  provider.embeddings.to_wire = titan_embeddings;
  provider.embeddings.from_wire = titan_embed_from_wire;
  provider.embeddings.max_inputs = one_input;
  return provider;
}

constinit const Provider kAnthropicInvoke = anthropic(false);
constinit const Provider kAnthropicConverse = anthropic(true);
constinit const Provider kCohereInvoke = cohere(false);
constinit const Provider kCohereConverse = cohere(true);
constinit const Provider kAi21labs = ai21labs();
constinit const Provider kAmazon = amazon();
constinit const Provider kConverse = dialect("amazon-bedrock");

}  // namespace

const Provider* find_bedrock(const catalog::ExternalModel& model) {
  const std::string vendor = to_lower(model.option("bedrock_provider"));
  const bool converse = iequals(model.option("bedrock_chat_api"), "converse");
  if (vendor == "anthropic") return converse ? &kAnthropicConverse : &kAnthropicInvoke;
  if (vendor == "cohere") return converse ? &kCohereConverse : &kCohereInvoke;
  if (vendor == "ai21labs") return &kAi21labs;
  if (vendor == "amazon") return &kAmazon;
  return &kConverse;
}

std::string bedrock_model_id(const catalog::ExternalModel& model) {
  const std::string& name = model.name;
  if (name.find_first_of("./") != std::string::npos || name.starts_with("arn:")) return name;
  const std::string vendor = to_lower(model.option("bedrock_provider"));
  for (const Stem& stem : kStems) {
    if (stem.vendor == vendor && name.starts_with(stem.stem)) {
      return std::string(stem.prefix) + name;
    }
  }
  return name;
}

}  // namespace tessera::providers

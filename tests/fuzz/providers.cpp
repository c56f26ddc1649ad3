// Answers, streams and errors of providers, of every dialect: whatever comes is read or refused.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "api/error_json.h"
#include "base/json.h"
#include "providers/provider.h"

namespace {

using namespace tessera;
using namespace tessera::providers;

catalog::ExternalModel model(std::string provider, std::string name = "m",
                             std::map<std::string, std::string> config = {}) {
  return {.provider = std::move(provider), .name = std::move(name), .config = std::move(config)};
}

// One of each way to speak that the registry knows.
const std::vector<catalog::ExternalModel>& dialects() {
  static const std::vector<catalog::ExternalModel> all = {
      model("openai"),
      model("openai", "m", {{"openai_api_type", "azure"}}),
      model("custom"),
      model("databricks-model-serving"),
      model("anthropic", "claude-3-5-sonnet-20241022"),
      model("cohere", "command-r-08-2024"),
      model("cohere", "command"),
      model("ai21labs", "j2-ultra"),
      model("amazon-bedrock", "claude-3-opus-20240229-v1:0", {{"bedrock_provider", "anthropic"}}),
      model("amazon-bedrock", "command-r-v1:0", {{"bedrock_provider", "cohere"}}),
      model("amazon-bedrock", "j2-ultra-v1", {{"bedrock_provider", "ai21labs"}}),
      model("amazon-bedrock", "titan-embed-text-v1", {{"bedrock_provider", "amazon"}}),
      model("amazon-bedrock", "m",
            {{"bedrock_provider", "anthropic"}, {"bedrock_chat_api", "converse"}}),
      model("google-cloud-vertex-ai", "gemini-1.5-pro"),
      model("google-cloud-vertex-ai", "chat-bison"),
      model("google-cloud-vertex-ai", "text-embedding-004"),
      model("palm"),
  };
  return all;
}

// Only an Error may come out, and what is written is JSON.
template <class Act>
void refuses_or(Act act) {
  try {
    act();
  } catch (const Error& error) {
    parse_json(api::stream_error_json(error));
  }
}

Memo memo_of(const catalog::ExternalModel& m, const auto& task, const auto& request) {
  if (task.to_wire == nullptr) return {.model = m.name};
  try {
    return task.to_wire(request, {.model = m, .seed = 1, .now_s = 1}).memo;
  } catch (const Error&) {
    return {.model = m.name};
  }
}

// The text as one event per line, "name data" or data alone.
template <class Chunk>
void decode(std::unique_ptr<StreamDecoder<Chunk>> decoder, std::string_view text) {
  refuses_or([&] {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      std::string_view name;
      if (!line.starts_with('{') && !line.starts_with('[')) {
        const std::size_t space = std::min(line.find(' '), line.size());
        name = line.substr(0, space);
        line.remove_prefix(std::min(space + 1, line.size()));
      }
      const bool exception = name.ends_with("Exception");
      for (const Chunk& chunk : decoder->feed({name, line, exception})) parse_json(to_json(chunk));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    for (const Chunk& chunk : decoder->finish()) parse_json(to_json(chunk));
    if (!decoder->finished()) std::abort();
  });
}

// The first line is the status and a header, the rest the body.
WireResponse response_of(std::string_view text) {
  WireResponse wire;
  const std::size_t end = std::min(text.find('\n'), text.size());
  wire.headers = {{"x-amzn-bedrock-input-token-count", std::string(text.substr(0, end))},
                  {"retry-after", std::string(text.substr(0, end))}};
  wire.body = text.substr(std::min(end + 1, text.size()));
  return wire;
}

void answers(const Provider& provider, const catalog::ExternalModel& m, std::string_view text) {
  const api::ChatRequest chat{.messages = {{.role = "user", .content = "x"}},
                              .tools = {{.name = "a-b"}},
                              .response_format = std::nullopt};
  const api::CompletionRequest completion{.prompts = {{.text = "x"}}};
  const api::EmbeddingRequest embedding{.inputs = {{.text = "x"}}};
  const WireResponse wire = response_of(text);
  if (provider.chat.from_wire != nullptr) {
    Memo memo = memo_of(m, provider.chat, chat);
    for (const bool json_tool : {false, true}) {
      memo.json_tool = json_tool;
      refuses_or([&] { parse_json(to_json(provider.chat.from_wire(wire, memo))); });
      if (provider.chat.stream != nullptr) decode(provider.chat.stream(memo), text);
    }
  }
  if (provider.completions.from_wire != nullptr) {
    const Memo memo = memo_of(m, provider.completions, completion);
    refuses_or([&] { parse_json(to_json(provider.completions.from_wire(wire, memo))); });
    if (provider.completions.stream != nullptr) decode(provider.completions.stream(memo), text);
  }
  if (provider.embeddings.from_wire != nullptr) {
    const Memo memo = memo_of(m, provider.embeddings, embedding);
    refuses_or([&] { parse_json(to_json(provider.embeddings.from_wire(wire, memo))); });
  }
}

// A request for a provider, through all dialects.
void requests(const Provider& provider, const catalog::ExternalModel& m, std::string_view text) {
  const api::ParseOptions options = api::ParseOptions::for_profile(api::Profile::kExternal);
  const Context context{.model = m, .seed = 1, .now_s = 1};
  refuses_or([&] {
    const api::Body body(text);
    if (provider.chat.to_wire != nullptr) {
      refuses_or([&] {
        parse_json(provider.chat.to_wire(parse_chat_request(body, options), context).body);
      });
    }
    if (provider.completions.to_wire != nullptr) {
      refuses_or([&] {
        const auto request = parse_completion_request(body, options);
        parse_json(provider.completions.to_wire(request, context).body);
      });
    }
    if (provider.embeddings.to_wire != nullptr) {
      refuses_or([&] {
        const auto request = parse_embedding_request(body, options);
        parse_json(provider.embeddings.to_wire(request, context).body);
      });
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const catalog::ExternalModel& m : dialects()) {
    const Provider* provider = find_provider(m);
    if (provider == nullptr) std::abort();
    answers(*provider, m, text);
    requests(*provider, m, text);
    for (const int status : {400, 401, 404, 429, 500, 503}) {
      WireResponse wire = response_of(text);
      wire.status = status;
      const Error error = provider->from_error(wire);
      parse_json(api::error_json(error, api::ErrorStyle::kOpenAi));
      parse_json(api::error_json(error, api::ErrorStyle::kDatabricks));
      if (http_status(error.kind) < 400) std::abort();
    }
  }
  return 0;
}

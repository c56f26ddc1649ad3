// Every folder of tests/golden/openai and tests/golden/worker is a case; a new one needs no C++.
//
//   client.json     what the client sends            -> wire.json, what the provider gets, or
//                                                       refused.json {"kind": code, "param"}
//   upstream.json   what the provider answers        -> reply.json, in our form
//   upstream.sse    what it streams                  -> reply.sse, chunks; a broken stream ends in
//                                                       the error's event
//   error.json      {"status", "body"} of a failure  -> error_reply.json {"status", "error"}
//
// Files come in pairs, any number of them; client.json or the folder's name (chat_…, completions_…,
// embeddings_…) says which task it is.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/error_json.h"
#include "base/json.h"
#include "base/strings.h"
#include "providers/provider.h"

namespace tessera::providers {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Case {
  const Provider* provider;
  fs::path folder;
  bool is(std::string_view task) const { return folder.filename().string().starts_with(task); }
  bool has(const char* file) const { return fs::exists(folder / file); }
  std::string text(const char* file) const { return read_file(folder / file); }
  json::value tree(const char* file) const { return parse_json(text(file)); }
};

std::vector<Case> cases() {
  std::vector<Case> found;
  const fs::path root = fs::path(TESSERA_SOURCE_DIR) / "tests/golden";
  for (const Provider* provider : {find_provider({.provider = "openai"}), &worker_provider()}) {
    for (const auto& entry : fs::directory_iterator(root / provider->name)) {
      if (entry.is_directory()) found.push_back({provider, entry.path()});
    }
  }
  return found;
}

WireRequest to_wire(const Case& c) {
  const api::Body body(c.text("client.json"));
  api::ParseOptions options = api::ParseOptions::for_profile(api::Profile::kOpen);
  options.allow_suffix = true;
  const catalog::ExternalModel model{.provider = "openai", .name = "upstream-model"};
  const Context context{.model = model};
  if (c.is("embeddings")) {
    return c.provider->embeddings.to_wire(parse_embedding_request(body, options), context);
  }
  if (c.is("completions")) {
    return c.provider->completions.to_wire(parse_completion_request(body, options), context);
  }
  return c.provider->chat.to_wire(parse_chat_request(body, options), context);
}

std::string from_wire(const Case& c) {
  const WireResponse wire{.body = c.text("upstream.json")};
  if (c.is("embeddings")) return to_json(c.provider->embeddings.from_wire(wire, {}));
  if (c.is("completions")) return to_json(c.provider->completions.from_wire(wire, {}));
  return to_json(c.provider->chat.from_wire(wire, {}));
}

// The golden streams are written event by event, a blank line between two of them.
template <class Chunk>
std::string decode(std::unique_ptr<StreamDecoder<Chunk>> decoder, std::string_view sse) {
  std::string out;
  try {
    while (!sse.empty()) {
      const std::size_t end = std::min(sse.find("\n\n"), sse.size());
      std::string name, data;
      for (const std::string_view line : split(sse.substr(0, end), '\n')) {
        if (line.starts_with("event: ")) name = line.substr(7);
        if (line.starts_with("data: ")) data = line.substr(6);
      }
      sse.remove_prefix(std::min(end + 2, sse.size()));
      if (data.empty()) continue;
      for (const Chunk& chunk : decoder->feed({name, data})) {
        out += "data: " + to_json(chunk) + "\n\n";
      }
    }
    out += decoder->finished() ? "data: [DONE]\n\n" : "(unfinished)\n\n";
  } catch (const Error& error) {
    out += "data: " + api::stream_error_json(error) + "\n\n";
  }
  return out;
}

std::string decode_stream(const Case& c) {
  const std::string sse = c.text("upstream.sse");
  if (c.is("completions")) return decode(c.provider->completions.stream({}), sse);
  return decode(c.provider->chat.stream({}), sse);
}

TEST(Golden, Cases) {
  const std::vector<Case> all = cases();
  ASSERT_FALSE(all.empty());
  for (const Case& c : all) {
    SCOPED_TRACE(c.folder.string());
    int pairs = 0;
    if (c.has("wire.json")) {
      ++pairs;
      EXPECT_EQ(to_json(parse_json(to_wire(c).body)), to_json(c.tree("wire.json")));
    }
    if (c.has("refused.json")) {
      ++pairs;
      const json::value wanted = c.tree("refused.json");
      try {
        to_wire(c);
        ADD_FAILURE() << "was accepted";
      } catch (const Error& error) {
        EXPECT_EQ(wire_form(error.kind).openai_code, wanted.at("code").as_string());
        EXPECT_EQ(error.param, wanted.at("param").as_string());
      }
    }
    if (c.has("upstream.json")) {
      ++pairs;
      EXPECT_EQ(to_json(parse_json(from_wire(c))), to_json(c.tree("reply.json")));
    }
    if (c.has("upstream.sse")) {
      ++pairs;
      EXPECT_EQ(decode_stream(c), c.text("reply.sse"));
    }
    if (c.has("error.json")) {
      ++pairs;
      const json::object given = c.tree("error.json").as_object();
      const Error error =
          c.provider->from_error({.status = static_cast<int>(given.at("status").as_int64()),
                                  .body = std::string(given.at("body").as_string())});
      const json::object wanted = c.tree("error_reply.json").as_object();
      EXPECT_EQ(http_status(error.kind), wanted.at("status").as_int64());
      EXPECT_EQ(to_json(parse_json(error_json(error, api::ErrorStyle::kOpenAi)).at("error")),
                to_json(wanted.at("error")));
    }
    EXPECT_GT(pairs, 0) << "no pair of files in this folder";
  }
}

TEST(Providers, UnknownDialects) {
  EXPECT_EQ(find_provider({.provider = "openai"})->name, "openai");
  EXPECT_EQ(find_provider({.provider = "worker"}), nullptr);  // not a choice for an external model
  EXPECT_EQ(find_provider({.provider = "nobody"}), nullptr);
}

TEST(Providers, AnswersThatAreNone) {
  const Provider& provider = *find_provider({.provider = "openai"});
  for (const char* body : {"", "null", "<html>", "{}", R"({"choices": []})"}) {
    EXPECT_THROW(provider.chat.from_wire({.body = body}, {}), Error) << body;
    EXPECT_THROW(provider.completions.from_wire({.body = body}, {}), Error) << body;
  }
  EXPECT_THROW(provider.chat.stream({})->feed({"", "{not json"}), Error);
}

}  // namespace
}  // namespace tessera::providers

// Every folder tests/golden/<dialect>/<case> is a case; a new one needs no C++. The case's name
// starts with its task: chat_…, completions_…, embeddings_….
//
//   config.json     {"provider", "name", "config": {}, "secrets": {}, "seed", "now"}; what a case
//                   leaves out is that of the dialect's folder
//   client.json     what the client sends            -> wire.json, what the provider gets, or
//                                                       refused.json {"code", "param"}
//   wire_head.json  {"url", "headers", "auth", "dropped"}, each if given, beside wire.json
//   upstream.json   what the provider answers        -> reply.json, in our form
//   upstream.sse    what it streams, or .ndjson,     -> reply.sse, chunks; a broken stream ends in
//            .frames, .array                            the error's event
//   error.json      {"status", "headers", "body"}    -> error_reply.json {"status", "error"}
//
// Files come in pairs, any number of them. upstream_head.json has {"status", "headers"} of an
// answer. A frame is written like an event: "event: <:event-type>" or "exception: <…>", "data: …".
// With TESSERA_WRITE_GOLDENS=1 in the environment the second file of a pair is written where it is
// missing, for its author to read and judge.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
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

bool writes_missing() { return std::getenv("TESSERA_WRITE_GOLDENS") != nullptr; }

struct Case {
  fs::path folder;
  const Provider* provider = nullptr;
  catalog::ExternalModel model;
  std::uint64_t seed = 1;
  std::int64_t now_s = 1'750'000'000;

  bool is(std::string_view task) const { return folder.filename().string().starts_with(task); }
  bool has(const char* file) const { return fs::exists(folder / file); }
  std::string text(const char* file) const { return read_file(folder / file); }
  json::value tree(const char* file) const { return parse_json(text(file)); }
  // The expected file; written first where that is wanted.
  std::string wanted(const char* file, std::string_view made) const {
    if (!has(file) && writes_missing()) std::ofstream(folder / file) << made;
    return text(file);
  }
  Context context() const { return {.model = model, .seed = seed, .now_s = now_s}; }
};

void read_config(const fs::path& file, Case& c) {
  if (!fs::exists(file)) return;
  const json::object config = parse_json(read_file(file)).as_object();
  if (const auto provider = get_string(config, "provider")) c.model.provider = *provider;
  if (const auto name = get_string(config, "name")) c.model.name = *name;
  if (const json::object* options = get_object(config, "config")) {
    for (const auto& [key, value] : *options) {
      c.model.config[std::string(key)] = std::string(value.as_string());
    }
  }
  if (const json::object* secrets = get_object(config, "secrets")) {
    for (const auto& [key, value] : *secrets) {
      c.model.secrets[std::string(key)].value = std::string(value.as_string());
    }
  }
  c.seed = static_cast<std::uint64_t>(get_int(config, "seed").value_or(c.seed));
  c.now_s = get_int(config, "now").value_or(c.now_s);
}

// Folders of tests/golden that have nothing to do with providers have no case of these names.
bool is_case(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return name.starts_with("chat_") || name.starts_with("completions_") ||
         name.starts_with("embeddings_");
}

std::vector<Case> cases() {
  std::vector<Case> found;
  for (const auto& dialect :
       fs::directory_iterator(fs::path(TESSERA_SOURCE_DIR) / "tests/golden")) {
    if (!dialect.is_directory()) continue;
    const char* only = std::getenv("TESSERA_GOLDENS");  // one dialect's, while its author works
    if (only != nullptr && dialect.path().filename() != only) continue;
    for (const auto& entry : fs::directory_iterator(dialect.path())) {
      if (!entry.is_directory() || !is_case(entry.path())) continue;
      Case c{.folder = entry.path()};
      c.model = {.provider = dialect.path().filename().string(), .name = "upstream-model"};
      read_config(dialect.path() / "config.json", c);
      read_config(c.folder / "config.json", c);
      using catalog::Task;
      c.model.task = c.is("embeddings")    ? Task::kEmbeddings
                     : c.is("completions") ? Task::kCompletions
                                           : Task::kChat;
      c.provider = c.model.provider == "worker" ? &worker_provider() : find_provider(c.model);
      found.push_back(std::move(c));
    }
  }
  std::ranges::sort(found, {}, &Case::folder);
  return found;
}

WireRequest to_wire(const Case& c) {
  const api::Body body(c.text("client.json"));
  const bool ours = c.model.provider == "worker";
  api::ParseOptions options =
      api::ParseOptions::for_profile(ours ? api::Profile::kOpen : api::Profile::kExternal);
  options.allow_suffix = true;
  if (c.is("embeddings")) {
    return c.provider->embeddings.to_wire(parse_embedding_request(body, options), c.context());
  }
  if (c.is("completions")) {
    return c.provider->completions.to_wire(parse_completion_request(body, options), c.context());
  }
  return c.provider->chat.to_wire(parse_chat_request(body, options), c.context());
}

// Of the case's own request, where it has one.
Memo memo_of_case(const Case& c) {
  if (c.has("client.json")) return to_wire(c).memo;
  return {.model = c.model.name, .seed = c.seed, .now_s = c.now_s};
}

void read_head(const json::object& head, WireResponse& wire) {
  wire.status = static_cast<int>(get_int(head, "status").value_or(wire.status));
  if (const json::object* headers = get_object(head, "headers")) {
    for (const auto& [name, value] : *headers) {
      wire.headers.emplace_back(to_lower(name), std::string(value.as_string()));
    }
  }
}

std::string from_wire(const Case& c) {
  WireResponse wire{.body = c.text("upstream.json")};
  if (c.has("upstream_head.json")) read_head(c.tree("upstream_head.json").as_object(), wire);
  const Memo memo = memo_of_case(c);
  try {
    if (c.is("embeddings")) return to_json(c.provider->embeddings.from_wire(wire, memo));
    if (c.is("completions")) return to_json(c.provider->completions.from_wire(wire, memo));
    return to_json(c.provider->chat.from_wire(wire, memo));
  } catch (const Error& error) {
    return api::stream_error_json(error);
  }
}

// --- Streams ---

struct Event {
  std::string name, data;
  bool exception = false;
};

// Blocks of lines, a blank line between two of them: SSE as our goldens write it, and frames.
std::vector<Event> read_blocks(std::string_view text) {
  std::vector<Event> events;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n"), text.size());
    Event event;
    bool any = false;
    for (const std::string_view line : split(text.substr(0, end), '\n')) {
      const auto take = [&](std::string_view key, std::string& to) {
        if (!line.starts_with(key)) return false;
        if (key == "data: " && any) to += '\n';
        to += line.substr(key.size());
        return true;
      };
      if (take("exception: ", event.name)) event.exception = true;
      take("event: ", event.name);
      any |= take("data: ", event.data);
    }
    text.remove_prefix(std::min(end + 2, text.size()));
    if (any || event.exception) events.push_back(std::move(event));
  }
  return events;
}

std::optional<std::vector<Event>> upstream_events(const Case& c) {
  if (c.has("upstream.sse")) return read_blocks(c.text("upstream.sse"));
  if (c.has("upstream.frames")) return read_blocks(c.text("upstream.frames"));
  std::vector<Event> events;
  if (c.has("upstream.ndjson")) {
    const std::string text = c.text("upstream.ndjson");
    for (const std::string_view line : split(text, '\n')) {
      if (!trim(line).empty()) events.push_back({.data = std::string(trim(line))});
    }
    return events;
  }
  if (!c.has("upstream.array")) return std::nullopt;
  const json::value array = c.tree("upstream.array");
  for (const json::value& element : array.as_array()) events.push_back({.data = to_json(element)});
  return events;
}

// The first `count` events, and the end of the stream.
template <class Chunk>
std::string decode(std::unique_ptr<StreamDecoder<Chunk>> decoder, const std::vector<Event>& events,
                   std::size_t count) {
  std::string out;
  const auto write = [&](const std::vector<Chunk>& chunks) {
    for (const Chunk& chunk : chunks) out += "data: " + to_json(chunk) + "\n\n";
  };
  try {
    for (std::size_t i = 0; i < count; ++i) {
      write(decoder->feed({events[i].name, events[i].data, events[i].exception}));
    }
    write(decoder->finish());
    EXPECT_TRUE(decoder->finished());
    out += "data: [DONE]\n\n";
  } catch (const Error& error) {
    out += "data: " + api::stream_error_json(error) + "\n\n";
  }
  return out;
}

std::string decode_stream(const Case& c, const std::vector<Event>& events, std::size_t count) {
  const Memo memo = memo_of_case(c);
  if (c.is("completions")) return decode(c.provider->completions.stream(memo), events, count);
  return decode(c.provider->chat.stream(memo), events, count);
}

// A stream that was cut anywhere must not look whole.
void expect_cuts_to_show(const Case& c, const std::vector<Event>& events) {
  const std::string whole = decode_stream(c, events, events.size());
  for (std::size_t count = 0; count < events.size(); ++count) {
    const std::string cut = decode_stream(c, events, count);
    if (!cut.ends_with("data: [DONE]\n\n")) continue;
    // What comes after the finish reason (usage, the mark of the end) may be missing.
    EXPECT_NE(cut.find(R"("finish_reason":")"), std::string::npos) << count << ": " << cut;
  }
}

// --- Comparing ---

std::string_view name_of(Auth::Kind kind) {
  switch (kind) {
    case Auth::Kind::kNone:
      return "none";
    case Auth::Kind::kHeader:
      return "header";
    case Auth::Kind::kAwsSigV4:
      return "aws_sigv4";
    case Auth::Kind::kEntraId:
      return "entra_id";
    case Auth::Kind::kGoogleServiceAccount:
      break;
  }
  return "google_service_account";
}

void expect_head(const Case& c, const WireRequest& wire) {
  const json::object wanted = c.tree("wire_head.json").as_object();
  const Auth auth = c.provider->auth(c.model);
  if (const auto url = get_string(wanted, "url")) {
    EXPECT_EQ(c.provider->base_url(c.model) + wire.path, *url);
  }
  if (const auto kind = get_string(wanted, "auth")) {
    EXPECT_EQ(name_of(auth.kind), *kind);
  }
  if (const json::object* headers = get_object(wanted, "headers")) {
    json::object got;
    for (const auto& [name, value] : wire.headers) got[name] = value;
    if (auth.kind == Auth::Kind::kHeader) got[auth.header] = auth.value;
    EXPECT_EQ(to_json(got), to_json(*headers));
  }
  if (const json::array* dropped = get_array(wanted, "dropped")) {
    EXPECT_EQ(to_json(json::value_from(wire.dropped)), to_json(*dropped));
  }
}

void expect_error(const Case& c) {
  const json::object given = c.tree("error.json").as_object();
  WireResponse wire;
  read_head(given, wire);
  const json::value& body = given.at("body");
  wire.body = body.is_string() ? std::string(body.get_string()) : to_json(body);
  const Error error = c.provider->from_error(wire);
  const std::string object = error_json(error, api::ErrorStyle::kOpenAi);
  const json::object made = {{"status", http_status(error.kind)},
                             {"error", parse_json(object).at("error")}};
  const json::object wanted = parse_json(c.wanted("error_reply.json", to_json(made))).as_object();
  EXPECT_EQ(http_status(error.kind), wanted.at("status").as_int64());
  const std::string told = error_json(error, api::ErrorStyle::kOpenAi);
  EXPECT_EQ(to_json(parse_json(told).at("error")), to_json(wanted.at("error")));
  if (const json::object* headers = get_object(wanted, "headers")) {
    json::object got;
    for (const auto& [name, value] : api::retry_headers(error)) got[name] = value;
    EXPECT_EQ(to_json(got), to_json(*headers));
  }
  const std::string native = error_json(error, api::ErrorStyle::kDatabricks);
  for (const auto& [name, secret] : c.model.secrets) {
    EXPECT_EQ((told + native).find(secret.value), std::string::npos) << name << " is told";
  }
}

int run(const Case& c) {
  int pairs = 0;
  const bool writes = writes_missing() && c.has("client.json") && !c.has("refused.json");
  if (c.has("wire.json") || c.has("wire_head.json") || writes) {
    ++pairs;
    const WireRequest wire = to_wire(c);
    if (c.has("wire.json") || writes) {
      EXPECT_EQ(to_json(parse_json(wire.body)),
                to_json(parse_json(c.wanted("wire.json", wire.body))));
    }
    if (c.has("wire_head.json")) expect_head(c, wire);
  }
  if (c.has("refused.json")) {
    ++pairs;
    const json::value wanted = c.tree("refused.json");
    try {
      to_wire(c);
      ADD_FAILURE() << "was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code.empty() ? wire_form(error.kind).openai_code : error.code,
                wanted.at("code").as_string());
      EXPECT_EQ(error.param, wanted.at("param").as_string());
      if (const auto text = get_string(wanted.as_object(), "message")) {
        EXPECT_NE(error.message.find(*text), std::string::npos) << error.message;
      }
    }
  }
  if (c.has("upstream.json")) {
    ++pairs;
    const std::string reply = from_wire(c);
    EXPECT_EQ(to_json(parse_json(reply)), to_json(parse_json(c.wanted("reply.json", reply))));
  }
  if (const auto events = upstream_events(c)) {
    ++pairs;
    const std::string reply = decode_stream(c, *events, events->size());
    EXPECT_EQ(reply, c.wanted("reply.sse", reply));
    expect_cuts_to_show(c, *events);
  }
  if (c.has("error.json")) {
    ++pairs;
    expect_error(c);
  }
  return pairs;
}

TEST(Golden, Cases) {
  const std::vector<Case> all = cases();
  ASSERT_FALSE(all.empty());
  for (const Case& c : all) {
    SCOPED_TRACE(c.folder.string());
    ASSERT_NE(c.provider, nullptr) << c.model.provider << " is no dialect";
    try {
      EXPECT_GT(run(c), 0) << "no pair of files in this folder";
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
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

// Whatever an upstream sends, it is read or refused with an Error; nothing else may leave a
// dialect. The goldens' upstream answers, cut and damaged with a fixed seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

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

void read_config(const fs::path& file, catalog::ExternalModel& model) {
  if (!fs::exists(file)) return;
  const json::object config = parse_json_object(read_file(file));
  if (const auto provider = get_string(config, "provider")) model.provider = *provider;
  if (const auto name = get_string(config, "name")) model.name = *name;
  if (const json::object* options = get_object(config, "config")) {
    for (const auto& [key, value] : *options) {
      model.config[std::string(key)] = std::string(value.as_string());
    }
  }
}

struct Sample {
  const Provider* provider;
  bool completions, embeddings;
  Memo memo;
  std::string text;  // a body, or the data of events, one per line
  bool stream;
};

std::vector<Sample> samples() {
  std::vector<Sample> found;
  for (const auto& dialect : fs::directory_iterator(TESSERA_SOURCE_DIR "/tests/golden")) {
    if (!dialect.is_directory()) continue;
    for (const auto& entry : fs::directory_iterator(dialect.path())) {
      const std::string name = entry.path().filename().string();
      const bool completions = name.starts_with("completions_");
      const bool embeddings = name.starts_with("embeddings_");
      if (!completions && !embeddings && !name.starts_with("chat_")) continue;
      catalog::ExternalModel model{.provider = dialect.path().filename().string()};
      read_config(dialect.path() / "config.json", model);
      read_config(entry.path() / "config.json", model);
      const Provider* provider =
          model.provider == "worker" ? &worker_provider() : find_provider(model);
      if (provider == nullptr) continue;
      for (const char* note : {"", "v1", "v2", "chat", "gemini", "bison"}) {
        Memo memo{.model = model.name, .seed = 1};
        if (*note != '\0') memo.notes["api"] = note;
        for (const char* file : {"upstream.json", "upstream.sse", "upstream.ndjson",
                                 "upstream.frames", "upstream.array"}) {
          if (!fs::exists(entry.path() / file)) continue;
          std::string text = read_file(entry.path() / file);
          const bool stream = file != std::string_view("upstream.json");
          if (stream) {
            std::string data;
            for (std::string_view line : split(text, '\n')) {
              if (line.starts_with("event: ")) continue;
              if (line.starts_with("data: ")) line.remove_prefix(6);
              data.append(line).append("\n");
            }
            text = std::move(data);
          }
          found.push_back({provider, completions, embeddings, memo, std::move(text), stream});
        }
      }
    }
  }
  return found;
}

template <class Act>
void only_errors(Act act, const std::string& text) {
  try {
    act();
  } catch (const Error&) {
    // as it should be
  } catch (const std::exception& other) {
    ADD_FAILURE() << other.what() << " for " << text;
  }
}

template <class Decoder>
void feed(const Decoder& make, const Sample& sample, const std::string& text) {
  if (make == nullptr) return;
  only_errors(
      [&] {
        auto decoder = make(sample.memo);
        for (const std::string_view line : split(text, '\n')) {
          if (!line.empty()) decoder->feed({{}, line});
        }
        decoder->finish();
      },
      text);
}

void read(const Sample& sample, const std::string& text) {
  const Provider& provider = *sample.provider;
  only_errors([&] { provider.from_error({.status = 500, .body = text}); }, text);
  if (sample.stream) {
    if (sample.completions) return feed(provider.completions.stream, sample, text);
    return feed(provider.chat.stream, sample, text);
  }
  const WireResponse wire{.body = text};
  only_errors(
      [&] {
        if (sample.embeddings) {
          provider.embeddings.from_wire(wire, sample.memo);
        } else if (sample.completions) {
          provider.completions.from_wire(wire, sample.memo);
        } else {
          provider.chat.from_wire(wire, sample.memo);
        }
      },
      text);
}

// JSON values of every kind, put where another stood.
constexpr std::string_view kValues[] = {"null", "true",     "-1", "1e300", "0.5",  "\"\"",
                                        "[]",   "[[1,[]]]", "{}", "\"x\"", "[{}]", "9999999999999"};

std::string with_other_value(const std::string& text, std::mt19937& random) {
  const std::size_t colon = text.find(':', random() % text.size());
  if (colon == std::string::npos) return text;
  std::size_t end = text.find_first_of(",}\n", colon);
  if (end == std::string::npos) end = text.size();
  std::string changed = text.substr(0, colon + 1);
  changed += kValues[random() % std::size(kValues)];
  return changed + text.substr(end);
}

TEST(ForeignBytes, AreReadOrRefused) {
  std::mt19937 random(7);
  const std::vector<Sample> all = samples();
  ASSERT_GT(all.size(), 100u);
  for (const Sample& sample : all) {
    read(sample, sample.text);
    if (sample.text.empty()) continue;
    read(sample, sample.text.substr(0, random() % sample.text.size()));
    std::string flipped = sample.text;
    flipped[random() % flipped.size()] = static_cast<char>(random());
    read(sample, flipped);
    for (int i = 0; i < 4; ++i) read(sample, with_other_value(sample.text, random));
    // Structure kept, so that it is read more often than not.
    std::string many = sample.text;
    for (int i = 0; i < 3; ++i) many = with_other_value(many, random);
    read(sample, many);
  }
}

TEST(ForeignBytes, AnswersThatAreNone) {
  for (const Sample& sample : samples()) {
    for (const char* text : {"", "null", "[]", "{}", "1", "<html>", "[1]", "{\"error\":{}}",
                             "{\"choices\":1}", "\xff\xfe"}) {
      read(sample, text);
    }
  }
}

}  // namespace
}  // namespace tessera::providers

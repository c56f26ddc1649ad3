// The same conversation through every dialect ends in the same answer: what differs is the
// provider's ids, times, names and counts only. Goldens of one name tell the same story.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "api/stream_fold.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::providers {
namespace {

namespace fs = std::filesystem;

// Without what may differ; the ids of calls in the order of their coming.
json::value common_part(const json::value& value) {
  if (const json::array* list = value.if_array()) {
    json::array out;
    for (const json::value& one : *list) out.push_back(common_part(one));
    return out;
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return value;
  json::object out;
  for (const auto& [key, member] : *object) {
    const std::string_view name = key;
    if (name == "id" || name == "created" || name == "model" || name == "usage" ||
        name == "reasoning_content" || name == "system_fingerprint" || name == "service_tier" ||
        name == "annotations") {
      continue;
    }
    out[key] = common_part(member);
  }
  return out;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string folded(const std::string& sse) {
  api::ChatFold fold;
  for (std::string_view line : split(sse, '\n')) {
    if (!line.starts_with("data: {")) continue;
    fold.add(api::parse_chat_chunk(line.substr(6)));
  }
  return to_json(fold.finish());
}

std::map<std::string, std::vector<std::string>> answers(const std::string& case_name) {
  std::map<std::string, std::vector<std::string>> by_text;
  for (const auto& dialect : fs::directory_iterator(TESSERA_SOURCE_DIR "/tests/golden")) {
    const fs::path folder = dialect.path() / case_name;
    std::string answer;
    if (fs::exists(folder / "reply.json")) {
      answer = read_file(folder / "reply.json");
    } else if (fs::exists(folder / "reply.sse")) {
      answer = folded(read_file(folder / "reply.sse"));
    } else {
      continue;
    }
    by_text[to_json(common_part(parse_json(answer)))].push_back(dialect.path().filename());
  }
  return by_text;
}

void expect_one(const std::string& case_name, std::size_t at_least) {
  const auto by_text = answers(case_name);
  std::size_t dialects = 0;
  for (const auto& [text, names] : by_text) dialects += names.size();
  EXPECT_GE(dialects, at_least) << case_name;
  if (by_text.size() == 1) return;
  for (const auto& [text, names] : by_text) {
    for (const std::string& name : names) ADD_FAILURE() << name << ": " << text;
  }
}

TEST(SameAnswers, Plain) { expect_one("chat_plain", 11); }
TEST(SameAnswers, TwoTools) { expect_one("chat_two_tools", 10); }
TEST(SameAnswers, TwoToolsStreamed) { expect_one("chat_two_tools_stream", 10); }

// What a dialect streams adds up to its plain answer.
TEST(SameAnswers, AStreamFoldsIntoThePlainAnswer) {
  const auto plain = answers("chat_two_tools"), streamed = answers("chat_two_tools_stream");
  ASSERT_EQ(plain.size(), 1u);
  ASSERT_EQ(streamed.size(), 1u);
  EXPECT_EQ(plain.begin()->first, streamed.begin()->first);
}

}  // namespace
}  // namespace tessera::providers

// Parity with the reference library on small tokenizers of every family; the data and how it was
// made are in tests/golden/tokenizers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/json.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(TESSERA_SOURCE_DIR) / "tests/golden/tokenizers";

json::array read_array(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return parse_json(std::string(std::istreambuf_iterator<char>(file), {})).as_array();
}

std::vector<std::int32_t> ids_of(const json::value& value) {
  std::vector<std::int32_t> ids;
  for (const json::value& id : value.as_array()) ids.push_back(id.to_number<std::int32_t>());
  return ids;
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGoldens)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Family : public testing::TestWithParam<std::string> {};

TEST_P(Family, EqualsTheReference) {
  const auto tokenizer = load_tokenizer(kGoldens / GetParam());
  const json::array texts = read_array(kGoldens / "texts.json");
  const json::array expected = read_array(kGoldens / GetParam() / "expected.json");
  ASSERT_EQ(texts.size(), expected.size());
  ASSERT_GT(texts.size(), 300u);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string text(texts[i].as_string());
    const json::object& row = expected[i].as_object();
    SCOPED_TRACE(std::to_string(i) + ": " + to_json(texts[i]));
    const std::vector<std::int32_t> ids = ids_of(row.at("ids"));
    EXPECT_EQ(tokenizer->encode(text, {.add_special_tokens = true, .parse_special = true}), ids);
    EXPECT_EQ(tokenizer->encode(text, {.add_special_tokens = false, .parse_special = false}),
              row.contains("as_text") ? ids_of(row.at("as_text")) : ids);
    const std::string decoded(row.at("decode").as_string());
    EXPECT_EQ(tokenizer->decode(ids, false), decoded);
    EXPECT_EQ(tokenizer->decode(ids, true),
              row.contains("skip") ? std::string(row.at("skip").as_string()) : decoded);
  }
}

TEST_P(Family, DecodesAnyIds) {
  const auto tokenizer = load_tokenizer(kGoldens / GetParam());
  for (const json::value& value : read_array(kGoldens / GetParam() / "decodes.json")) {
    const json::object& row = value.as_object();
    const std::vector<std::int32_t> ids = ids_of(row.at("ids"));
    EXPECT_EQ(tokenizer->decode(ids, false), row.at("decode").as_string()) << to_json(value);
    EXPECT_EQ(tokenizer->decode(ids, true), row.at("skip").as_string()) << to_json(value);
  }
}

// Concatenated pieces equal the whole decode wherever the bytes are valid UTF-8.
TEST_P(Family, StreamsWhatItDecodes) {
  const auto tokenizer = load_tokenizer(kGoldens / GetParam());
  for (const json::value& text : read_array(kGoldens / "texts.json")) {
    for (const bool skip_special : {false, true}) {
      const auto ids = tokenizer->encode(text.as_string(), {});
      Detokenizer detokenizer(*tokenizer, skip_special, tokenizer->strips_leading_space());
      std::string streamed;
      for (const std::int32_t id : ids) streamed += detokenizer.push(id);
      streamed += detokenizer.finish();
      EXPECT_EQ(streamed, tokenizer->decode(ids, skip_special)) << to_json(text);
    }
  }
}

// One span is the text itself; cutting a text into trusted spans changes nothing.
TEST_P(Family, SpansAreOneText) {
  const auto tokenizer = load_tokenizer(kGoldens / GetParam());
  for (const json::value& value : read_array(kGoldens / "texts.json")) {
    const std::string_view text = value.as_string();
    std::vector<TextSpan> trusted, untrusted;
    std::size_t begin = 0;
    for (std::size_t i = 1; i <= text.size(); ++i) {
      const bool border = i == text.size() || (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
      if (!border || (i < text.size() && i - begin < 3)) continue;
      trusted.push_back({text.substr(begin, i - begin), true});
      untrusted.push_back({text.substr(begin, i - begin), false});
      begin = i;
    }
    EXPECT_EQ(tokenizer->encode_spans(trusted),
              tokenizer->encode(text, {.add_special_tokens = false, .parse_special = true}));
    EXPECT_EQ(tokenizer->encode_spans(untrusted),
              tokenizer->encode(text, {.add_special_tokens = false, .parse_special = false}));
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Family, testing::ValuesIn(families()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tessera

// Parity with the reference libraries over 1.3 MB of mixed text and random ids, by hash; see
// tests/golden/tokenizers/parity_text.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/json.h"
#include "text/detokenizer.h"
#include "text/parity_text.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(TESSERA_SOURCE_DIR) / "tests/golden/tokenizers";

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGoldens)) {
    if (fs::exists(entry.path() / "parity.json")) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

const ParityText& text() {
  static const ParityText parity_text(kGoldens / "parity.json");
  return parity_text;
}

class Parity : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::ifstream file(kGoldens / GetParam() / "parity.json");
    expected_ = parse_json_object(std::string(std::istreambuf_iterator<char>(file), {}));
    tokenizer_ = load_tokenizer(kGoldens / GetParam());
  }
  std::string_view expected(const char* what, int k) const {
    return std::string_view(expected_.at(what).as_string())
        .substr(8 * static_cast<std::size_t>(k), 8);
  }
  std::string stream(std::span<const std::int32_t> ids) const {
    Detokenizer detokenizer(*tokenizer_, false, tokenizer_->strips_leading_space());
    std::string out;
    for (const std::int32_t id : ids) out += detokenizer.push(id);
    return out + detokenizer.finish();
  }
  bool has_byte_tokens() const {
    for (int id = 0; id < tokenizer_->vocab_size(); ++id) {
      if (tokenizer_->token_text(id) == "<0x80>") return true;
    }
    return false;
  }
  json::object expected_;
  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_P(Parity, EncodesDecodesAndStreamsEveryChunk) {
  std::size_t bytes = 0;
  for (int k = 0; k < ParityText::kChunks; ++k) {
    const std::string chunk = text().chunk(k);
    bytes += chunk.size();
    const std::vector<std::int32_t> ids =
        tokenizer_->encode(chunk, {.add_special_tokens = false, .parse_special = false});
    EXPECT_EQ(ParityText::hash(ids), expected("encode", k)) << "chunk " << k;
    const std::string decoded = tokenizer_->decode(ids, false);
    EXPECT_EQ(ParityText::hash(decoded), expected("decode", k)) << "chunk " << k;
    EXPECT_EQ(stream(ids) == decoded, true) << "chunk " << k;
  }
  EXPECT_GT(bytes, 1'000'000u);
}

TEST_P(Parity, DecodesRandomIds) {
  const int vocab_size = expected_.at("vocab_size").to_number<int>();
  for (int k = 0; k < 64; ++k) {
    const std::vector<std::int32_t> ids = ParityText::random_ids(k, vocab_size);
    const std::string decoded = tokenizer_->decode(ids, false);
    EXPECT_EQ(ParityText::hash(decoded), expected("random", k)) << "sequence " << k;
    // Runs of byte tokens that are no text stream character by character, by design; and a text
    // never starts with the continuation of a word.
    const auto first = std::find_if(ids.begin(), ids.end(), [&](std::int32_t id) {
      return !tokenizer_->token_text(id).empty();
    });
    if (!has_byte_tokens() && !tokenizer_->token_text(*first).starts_with("##")) {
      EXPECT_EQ(stream(ids) == decoded, true) << "sequence " << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Parity, testing::ValuesIn(families()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tessera

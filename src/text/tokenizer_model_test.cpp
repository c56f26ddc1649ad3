// tokenizer.model by hand: what the goldens, made by the reference libraries, do not show.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/strings.h"
#include "text/charsmap.h"
#include "text/protobuf_reader.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

// ---- Writing protocol buffers

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number(int field, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(value);
}
std::string bytes(int field, const std::string& value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) + value;
}
std::string single(int field, float value) {
  char raw[4];
  std::memcpy(raw, &value, 4);
  return varint(static_cast<std::uint64_t>(field) << 3 | 5) + std::string(raw, 4);
}
std::string piece(const std::string& text, float score = 0, int type = 1) {
  return bytes(1, bytes(1, text) + single(2, score) + number(3, static_cast<std::uint64_t>(type)));
}

enum { kUnigram = 1, kBpe = 2 };

// <unk> <s> </s>, then ▁ a b ▁a ab aab with falling scores.
std::string pieces() {
  std::string out = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
  float score = 0;
  for (const char* text : {"\u2581", "a", "b", "\u2581a", "ab", "aab"}) out += piece(text, --score);
  return out;
}
std::string trainer(int algorithm, const std::string& more = {}) {
  return bytes(2, number(3, static_cast<std::uint64_t>(algorithm)) + more);
}
std::string normalizer(bool dummy_prefix = true, bool remove_extra = false) {
  return bytes(3, bytes(1, "identity") + number(3, dummy_prefix) + number(4, remove_extra));
}

std::string error_of(const std::string& model, const std::string& config = {},
                     ErrorKind kind = ErrorKind::kBadModelFile) {
  try {
    make_tokenizer_from_model(model, config);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, kind) << error.message;
    return error.message;
  }
  return "(no error)";
}
testing::AssertionResult has(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << '"' << text << "\" lacks \"" << part << '"';
}

// ---- SentencePiece

TEST(TokenizerModel, BpeMergesByScoreAndStartsWithBos) {
  const auto t = make_tokenizer_from_model(pieces() + trainer(kBpe) + normalizer());
  EXPECT_EQ(t->encode("ab", {}), (Ids{1, 6, 5}));  // ▁a scores above ab
  EXPECT_EQ(t->encode("bab", {}), (Ids{1, 3, 5, 7}));
  EXPECT_EQ(t->encode("", {}), Ids{1});
  EXPECT_EQ(t->encode("x\u00e9", {.add_special_tokens = false}), (Ids{3, 0}));  // one unknown
  EXPECT_EQ(t->encode("a<s>b", {.add_special_tokens = false}), (Ids{6, 1, 3, 5}));
  EXPECT_EQ(t->decode(Ids{1, 6, 5}, true), "ab");
  EXPECT_TRUE(t->strips_leading_space());
  EXPECT_EQ(t->bos_id(), 1);
  EXPECT_EQ(t->eos_id(), 2);
  EXPECT_TRUE(t->is_special(1));
  EXPECT_FALSE(t->is_special(4));
  const auto& names = t->special_tokens();
  EXPECT_EQ((std::map<std::string, std::string>(names.begin(), names.end())),
            (std::map<std::string, std::string>{
                {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}));
}

TEST(TokenizerModel, UnigramTakesTheBestSum) {
  const auto t = make_tokenizer_from_model(pieces() + trainer(kUnigram) + normalizer());
  // aab = -6, a + ab = -7, a + a + b = -7; the prefix ▁ = -1, ▁a = -4.
  EXPECT_EQ(t->encode("aab", {.add_special_tokens = false}), (Ids{3, 8}));
  EXPECT_EQ(t->encode("xyb", {.add_special_tokens = false}), (Ids{3, 0, 5}));
}

TEST(TokenizerModel, NormalizerSwitches) {
  const auto plain = make_tokenizer_from_model(pieces() + trainer(kBpe) + normalizer(false));
  EXPECT_EQ(plain->encode("b  a", {.add_special_tokens = false}), (Ids{5, 3, 6}));
  EXPECT_FALSE(plain->strips_leading_space());
  const auto tidy = make_tokenizer_from_model(pieces() + trainer(kBpe) + normalizer(true, true));
  EXPECT_EQ(tidy->encode("  b   a ", {.add_special_tokens = false}), (Ids{3, 5, 6}));
  EXPECT_EQ(tidy->encode("   ", {.add_special_tokens = false}), Ids{});
  // legacy false: the prefix belongs to the text, not to each stretch between special tokens.
  const auto first =
      make_tokenizer_from_model(pieces() + trainer(kBpe) + normalizer(), R"({"legacy":false})");
  EXPECT_EQ(first->encode("b<s>b", {.add_special_tokens = false}), (Ids{3, 5, 1, 5}));
}

TEST(TokenizerModel, UserDefinedPiecesComeFirstAndUnusedOnesSplitAgain) {
  const std::string model = pieces() + piece("ba", 0, 4) + trainer(kBpe) + normalizer(false);
  EXPECT_EQ(make_tokenizer_from_model(model)->encode("aba", {.add_special_tokens = false}),
            (Ids{4, 9}));
  const std::string unused = pieces() + piece("abab", 0, 5) + trainer(kBpe) + normalizer(false);
  EXPECT_EQ(make_tokenizer_from_model(unused)->encode("abab", {.add_special_tokens = false}),
            (Ids{7, 7}));
}

TEST(TokenizerModel, ConfigurationOverridesBosAndEosAndAddsTokens) {
  const std::string model = pieces() + trainer(kBpe) + normalizer();
  EXPECT_EQ(make_tokenizer_from_model(model, R"({"add_bos_token":false,"add_eos_token":true})")
                ->encode("b", {}),
            (Ids{3, 5, 2}));
  const auto t = make_tokenizer_from_model(
      model, R"({"added_tokens_decoder":{"9":{"content":"<|im_end|>","special":true}},
                 "eos_token":{"content":"<|im_end|>"}})");
  EXPECT_EQ(t->encode("b<|im_end|>", {}), (Ids{1, 3, 5, 9}));
  EXPECT_EQ(t->eos_id(), 9);
  EXPECT_EQ(t->vocab_size(), 10);
  EXPECT_TRUE(has(error_of(model, R"({"added_tokens_decoder":{"x":{"content":"y"}}})"),
                  "added_tokens_decoder.x"));
  EXPECT_TRUE(has(error_of(model, R"({"added_tokens_decoder":{"900000":{"content":"y"}}})"),
                  "has the id 900000"));
  EXPECT_TRUE(has(error_of(model, "{"), "tokenizer_config.json"));
}

TEST(TokenizerModel, RefusesByNameWhatItDoesNotKnow) {
  const auto unsupported = [](const std::string& model) {
    return error_of(model, {}, ErrorKind::kUnsupportedModel);
  };
  EXPECT_TRUE(has(unsupported(pieces() + trainer(3)), "model_type is 3 (WORD)"));
  EXPECT_TRUE(has(unsupported(pieces() + trainer(4)), "model_type is 4 (CHAR)"));
  EXPECT_TRUE(has(unsupported(pieces() + trainer(kBpe) + bytes(3, number(5, 0))),
                  "escape_whitespaces is false"));
  EXPECT_TRUE(
      has(unsupported(pieces() + trainer(kBpe) + bytes(5, bytes(2, "abcd"))), "denormalizer_spec"));
  EXPECT_TRUE(has(unsupported(pieces() + piece(std::string(600, 'a')) + trainer(kUnigram)),
                  "piece 9 has 600 bytes; at most 512"));
}

TEST(TokenizerModel, BadFilesNameThePlace) {
  const std::string good = pieces() + trainer(kBpe);
  EXPECT_TRUE(has(error_of(""), "there are no pieces"));
  EXPECT_TRUE(has(error_of(good.substr(0, good.size() - 1)), "longer than the message"));
  EXPECT_TRUE(has(error_of(good + piece("a")), "piece 9 ('a') is there twice"));
  EXPECT_TRUE(has(error_of(good + piece("")), "piece 9 is empty"));
  EXPECT_TRUE(has(error_of(good + piece("\xFF")), "piece 9 is not UTF-8"));
  EXPECT_TRUE(has(error_of(good + piece("q", NAN)), "piece 9 has a score that is no number"));
  EXPECT_TRUE(has(error_of(good + piece("q", 0, 7)), "has the type 7"));
  EXPECT_TRUE(has(error_of(good + bytes(3, bytes(2, "abcdef"))), "the precompiled charsmap"));
  EXPECT_TRUE(has(error_of("\x08" + std::string(11, '\xFF')), "longer than ten bytes"));
  EXPECT_TRUE(has(error_of("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"), "longer than the message"));
  EXPECT_TRUE(has(error_of("\x0B"), "wire type 3"));
  EXPECT_TRUE(has(error_of(std::string("\x00\x01", 2)), "no possible number"));
  EXPECT_TRUE(has(error_of(number(1, 5)), "wire type 0 instead of 2"));
  for (std::size_t n = 0; n < good.size();
       ++n) {  // every truncation is an error or a smaller model
    try {
      make_tokenizer_from_model(good.substr(0, n))->encode("ab", {});
    } catch (const Error& error) {
      EXPECT_NE(error.kind, ErrorKind::kInternal);
    }
  }
}

TEST(TokenizerModel, LongTextsTakeNoQuadraticTime) {
  std::string all = pieces();
  for (int k = 4; k < 60; ++k) all += piece(std::string(static_cast<std::size_t>(k), 'a'), -10, 1);
  for (const int algorithm : {kBpe, kUnigram}) {
    const auto t = make_tokenizer_from_model(all + trainer(algorithm) + normalizer());
    for (const char c : {'a', ' ', 'x'}) {
      const std::clock_t begin = std::clock();
      t->encode(std::string(1 << 20, c), {});
      EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 20) << algorithm << c;
    }
  }
}

// ---- Ranks

std::string ranks(const std::vector<std::string>& more = {}) {
  std::string out;
  int rank = 0;
  for (int b = 0; b < 256; ++b) {
    out +=
        base64_encode(std::string(1, static_cast<char>(b))) + " " + std::to_string(rank++) + "\n";
  }
  for (const std::string& token : more) {
    out += base64_encode(token) + " " + std::to_string(rank++) + "\n";
  }
  return out;
}

TEST(TokenizerModel, RanksMergeByTheWholesRank) {
  const auto t = make_tokenizer_from_model(ranks({"ab", "bc", "abc", "xyz"}));
  EXPECT_EQ(t->encode("abc", {}), Ids{258});
  EXPECT_EQ(t->encode("xyz", {}), Ids{259});  // a whole piece counts even without halves
  EXPECT_EQ(t->encode("abcx", {}), (Ids{258, 'x'}));
  EXPECT_EQ(t->encode("\u00e9", {}), (Ids{0xC3, 0xA9}));
  EXPECT_EQ(t->decode(Ids{258, 0xC3, 0xA9}, false), "abc\u00e9");
  EXPECT_EQ(t->bos_id(), std::nullopt);
}

TEST(TokenizerModel, RanksHaveLlama3sTokensByDefault) {
  std::string out = ranks();
  for (int rank = 256; rank < 128000; ++rank) {
    const std::string token = {'z', static_cast<char>(rank), static_cast<char>(rank >> 8),
                               static_cast<char>(rank >> 16)};
    out += base64_encode(token) + " " + std::to_string(rank) + "\n";
  }
  const auto t = make_tokenizer_from_model(out);
  EXPECT_EQ(t->vocab_size(), 128256);
  EXPECT_EQ(t->token_text(128000), "<|begin_of_text|>");
  EXPECT_EQ(t->token_text(128006), "<|start_header_id|>");
  EXPECT_EQ(t->token_text(128009), "<|eot_id|>");
  EXPECT_EQ(t->token_text(128255), "<|reserved_special_token_247|>");
  EXPECT_EQ(t->encode("a<|eot_id|>", {}), (Ids{128000, 'a', 128009}));
  EXPECT_EQ(t->bos_id(), 128000);
  EXPECT_EQ(t->eos_id(), 128001);
  const auto ends = t->end_of_generation_ids();
  EXPECT_EQ(Ids(ends.begin(), ends.end()), (Ids{128001, 128009, 128008}));
}

TEST(TokenizerModel, BadRanksNameTheLine) {
  EXPECT_TRUE(has(error_of("YQ== 0\n"), "some of the 256 bytes have no token"));
  EXPECT_TRUE(has(error_of(ranks() + "YWI= 3\n"), "rank 3 is there twice"));
  EXPECT_TRUE(has(error_of(ranks() + "YWI= 99999999\n"), "rank 99999999 follows 256 tokens"));
  EXPECT_TRUE(has(error_of(ranks({std::string(2000, 'x')})), "has 2000 bytes; at most 1024"));
  std::string gpt2;
  for (int rank = 0; rank < 50256; ++rank) gpt2 += "YQ== " + std::to_string(rank) + "\n";
  EXPECT_TRUE(has(error_of(gpt2, {}, ErrorKind::kUnsupportedModel), "GPT-2 (r50k_base)"));
}

// ---- Folders

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tessera-tokenizer-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  fs::path folder_;
};

TEST_F(Folder, PrefersTokenizerJson) {
  write("tokenizer.model", pieces() + trainer(kBpe) + normalizer());
  write("added_tokens.json", R"({"<pad>": 9})");
  EXPECT_EQ(load_tokenizer(folder_)->vocab_size(), 10);
  write("tokenizer.json", R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}})");
  EXPECT_EQ(load_tokenizer(folder_)->vocab_size(), 2);
}

TEST_F(Folder, ReadsRanksUnderEitherName) {
  write("cl100k_base.tiktoken", ranks({"ab"}));
  EXPECT_EQ(load_tokenizer(folder_)->encode("ab", {}), Ids{256});
}

TEST_F(Folder, RefusesDbrxWithoutAVocabulary) {
  write("tokenizer_config.json", R"({"tokenizer_class":"TiktokenTokenizerWrapper"})");
  write("tiktoken.py", "raise SystemExit");
  try {
    load_tokenizer(folder_);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kUnsupportedModel);
    EXPECT_TRUE(has(error.message, "neither tokenizer.json nor tokenizer.model"));
    EXPECT_TRUE(has(error.message, "cl100k_base.tiktoken"));
  }
}

}  // namespace
}  // namespace tessera

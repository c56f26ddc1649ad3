#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <thread>

#include "base/error.h"
#include "base/strings.h"
#include "text/byte_alphabet.h"
#include "text/detokenizer.h"
#include "text/gguf_vocabulary.h"
#include "text/utf8.h"

namespace tessera {
namespace {

using Ids = std::vector<std::int32_t>;

// Byte-level vocabulary: two specials, 256 bytes, then merges.
GgufVocabulary byte_level_vocabulary(std::string pre) {
  GgufVocabulary v;
  v.model = "gpt2";
  v.pre = std::move(pre);
  v.tokens = {"<|endoftext|>", "<|im_end|>"};
  v.token_types = {3, 3};
  for (int b = 0; b < 256; ++b) {
    v.tokens.push_back(to_utf8(byte_alphabet()[b]));
    v.token_types.push_back(1);
  }
  const auto merge = [&](const std::string& left, const std::string& right) {
    v.merges.push_back(left + " " + right);
    v.tokens.push_back(left + right);
    v.token_types.push_back(1);
  };
  merge("h", "e");
  merge("l", "l");
  merge("he", "ll");
  merge("hell", "o");
  merge("Ġ", "w");
  merge("a", "a");
  merge("aa", "aa");
  merge("Ġ", "Ġ");
  v.bos = v.eos = 0;
  return v;
}

std::int32_t id(const Tokenizer& t, std::string_view text) { return t.token_id(text).value(); }

TEST(Tokenizer, ByteLevelFromGguf) {
  const auto t = make_tokenizer(byte_level_vocabulary("smollm"));
  EXPECT_EQ(t->encode("hello", {}), Ids{id(*t, "hello")});
  EXPECT_EQ(t->encode("hello wo<|im_end|>", {}),
            (Ids{id(*t, "hello"), id(*t, "Ġw"), id(*t, "o"), 1}));
  EXPECT_EQ(t->encode("12", {}), (Ids{id(*t, "1"), id(*t, "2")}));
  EXPECT_EQ(t->encode("", {}), Ids{});
  EXPECT_EQ(t->decode(t->encode("hello wörld", {}), false), "hello wörld");
  EXPECT_TRUE(t->is_special(1));
  EXPECT_FALSE(t->is_special(2));
  EXPECT_EQ(t->token_bytes(id(*t, "Ġw")), " w");
  EXPECT_EQ(t->token_text(id(*t, "Ġw")), "Ġw");
  EXPECT_EQ(t->vocab_size(), 2 + 256 + 8);
  EXPECT_EQ(t->eos_id(), 0);
  EXPECT_FALSE(t->strips_leading_space());
  EXPECT_EQ(Ids(t->end_of_generation_ids().begin(), t->end_of_generation_ids().end()), (Ids{0, 1}));
  // Ids outside of the vocabulary.
  EXPECT_EQ(t->decode(Ids{-1, 1 << 30, id(*t, "hello")}, false), "hello");
  EXPECT_EQ(t->token_bytes(-1), "");
  EXPECT_EQ(t->token_text(99999), "");
  EXPECT_FALSE(t->is_special(99999));
}

TEST(Tokenizer, PreDecidesOnBosAndMerges) {
  const auto llama3 = make_tokenizer(byte_level_vocabulary("llama-bpe"));
  EXPECT_EQ(llama3->encode("hello", {}), (Ids{0, id(*llama3, "hello")}));
  auto v = byte_level_vocabulary("llama-bpe");
  v.add_bos = false;
  EXPECT_EQ(make_tokenizer(v)->encode("hello", {}), Ids{id(*llama3, "hello")});
  // A token no merge leads to, found only when merges are ignored.
  for (const auto& [pre, count] : {std::pair("llama-bpe", 1u), std::pair("dbrx", 3u)}) {
    v = byte_level_vocabulary(pre);
    v.tokens.push_back("xyz");
    v.token_types.push_back(1);
    EXPECT_EQ(make_tokenizer(v)->encode("xyz", {.add_special_tokens = false}).size(), count) << pre;
  }
  v = byte_level_vocabulary("");
  EXPECT_THROW(make_tokenizer(v), Error);
  v.pre = "zebra";
  try {
    make_tokenizer(v);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kUnsupportedModel);
    EXPECT_NE(error.message.find("'zebra'"), std::string::npos);
  }
}

TEST(Tokenizer, SpecialTokensOnlyInTrustedSpans) {
  const auto t = make_tokenizer(byte_level_vocabulary("smollm"));
  const Ids spelled = t->encode("<|im_end|>", {.parse_special = false});
  EXPECT_EQ(spelled.size(), 10u);
  const auto spans = [&](std::vector<TextSpan> s) { return t->encode_spans(s); };
  EXPECT_EQ(spans({{"<|im_end|>", true}}), Ids{1});
  EXPECT_EQ(spans({{"<|im_end|>", false}}), spelled);
  EXPECT_EQ(spans({{"<|im_", true}, {"end|>", true}}), Ids{1});
  EXPECT_EQ(spans({{"<|im_", false}, {"end|>", true}}), spelled);
  EXPECT_EQ(spans({{"<|im_", true}, {"end|>", false}}), spelled);
  EXPECT_EQ(spans({{"<|im_end|>", false}, {"<|im_end|>", true}}).back(), 1);
  EXPECT_EQ(spans({{"<|im_end|>", false}, {"<|im_end|>", true}}).size(), spelled.size() + 1);
  // Half a character of one span does not complete in the next.
  EXPECT_EQ(t->decode(spans({{"\xC3", false}, {"\xA9", true}}), false), "\uFFFD\uFFFD");
  // Words run across spans.
  EXPECT_EQ(spans({{"hel", true}, {"lo", false}}), Ids{id(*t, "hello")});
}

TEST(Tokenizer, UserDefinedTokensAlwaysMatchAndPlaceholdersNever) {
  auto v = byte_level_vocabulary("gpt-2");
  v.tokens.push_back("<tool>");
  v.token_types.push_back(4);
  const std::string placeholder = "[PAD" + std::to_string(v.tokens.size()) + "]";
  v.tokens.push_back(placeholder);
  v.token_types.push_back(4);
  const auto t = make_tokenizer(v);
  EXPECT_EQ(t->encode("<tool>", {.parse_special = false}), Ids{id(*t, "<tool>")});
  EXPECT_FALSE(t->is_special(id(*t, "<tool>")));
  EXPECT_GT(t->encode(placeholder, {}).size(), 1u);
}

GgufVocabulary sentence_piece_vocabulary() {
  GgufVocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>"};
  v.token_types = {2, 3, 3};
  v.scores = {0, 0, 0};
  for (int b = 0; b < 256; ++b) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", b);
    v.tokens.push_back(text);
    v.token_types.push_back(6);
    v.scores.push_back(0);
  }
  float score = -1;
  for (const char* piece :
       {"▁t", "he", "▁the", "▁▁", "ab", "abc", "▁", "t", "h", "e", "a", "b", "c"}) {
    v.tokens.push_back(piece);
    v.token_types.push_back(1);
    v.scores.push_back(score--);
  }
  return v;
}

TEST(Tokenizer, SentencePieceFromGguf) {
  const auto t = make_tokenizer(sentence_piece_vocabulary());
  const auto plain = [&](std::string_view text) {
    return t->encode(text, {.add_special_tokens = false});
  };
  EXPECT_EQ(t->encode("the", {}), (Ids{1, id(*t, "▁the")}));
  EXPECT_EQ(plain("the the"), (Ids{id(*t, "▁the"), id(*t, "▁the")}));
  EXPECT_EQ(plain(" the"), (Ids{id(*t, "▁"), id(*t, "▁the")}));
  EXPECT_EQ(plain("  "), (Ids{id(*t, "▁▁"), id(*t, "▁")}));
  EXPECT_EQ(plain("abc"), (Ids{id(*t, "▁"), id(*t, "abc")}));
  EXPECT_EQ(plain("é"), (Ids{id(*t, "▁"), 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(plain("</s>the"), (Ids{2, id(*t, "▁the")}));
  EXPECT_EQ(plain(""), Ids{});
  EXPECT_EQ(t->decode(t->encode("the é the", {}), true), "the é the");
  EXPECT_EQ(t->token_bytes(3 + 0xC3), "\xC3");
  EXPECT_EQ(t->token_bytes(id(*t, "▁the")), " the");
  EXPECT_TRUE(t->strips_leading_space());
  EXPECT_EQ(t->bos_id(), 1);
  EXPECT_EQ(t->eos_id(), 2);

  auto v = sentence_piece_vocabulary();
  v.token_types[3 + 256 + 4] = 5;  // "ab" unused: formed on the way to "abc", never emitted
  const auto unused = make_tokenizer(v);
  EXPECT_EQ(unused->encode("abc", {.add_special_tokens = false}), plain("abc"));
  EXPECT_EQ(unused->encode("ab", {.add_special_tokens = false}),
            (Ids{id(*t, "▁"), id(*t, "a"), id(*t, "b")}));
}

GgufVocabulary bert_vocabulary() {
  GgufVocabulary v;
  v.model = "bert";
  v.tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁hello", "▁wor", "ld", "▁,", "▁a", "a", "▁["};
  return v;
}

TEST(Tokenizer, WordPieceFromGgufIsRebuilt) {
  const auto t = make_tokenizer(bert_vocabulary());
  EXPECT_EQ(t->encode("Hello, wORLD [SEP]", {}), (Ids{2, 4, 7, 5, 6, 3, 3}));
  EXPECT_EQ(t->encode("Hello xyz", {.add_special_tokens = false}), (Ids{4, 1}));
  EXPECT_EQ(t->token_text(6), "##ld");
  EXPECT_EQ(t->decode(Ids{2, 4, 7, 5, 6, 3}, true), "hello, world");
  // The rule of 100 characters.
  EXPECT_EQ(t->encode(std::string(100, 'a'), {.add_special_tokens = false}).size(), 100u);
  EXPECT_EQ(t->encode(std::string(101, 'a'), {.add_special_tokens = false}), Ids{1});
}

TEST(Tokenizer, GgufErrorsNameTheKey) {
  const auto fails = [](GgufVocabulary v, std::string_view expected) {
    try {
      make_tokenizer(v);
      ADD_FAILURE() << expected;
    } catch (const Error& error) {
      EXPECT_NE(error.message.find(expected), std::string::npos) << error.message;
    }
  };
  auto v = byte_level_vocabulary("gpt-2");
  v.model = "t5";
  fails(v, "'t5'");
  v = byte_level_vocabulary("gpt-2");
  v.tokens.clear();
  fails(v, "tokenizer.ggml.tokens");
  v = byte_level_vocabulary("gpt-2");
  v.token_types.pop_back();
  fails(v, "tokenizer.ggml.token_type");
  v = byte_level_vocabulary("gpt-2");
  v.eos = 100000;
  fails(v, "eos_token_id");
  v = byte_level_vocabulary("gpt-2");
  v.merges.push_back("he zz");
  fails(v, "'zz'");
  v.merges.back() = "hezz";
  fails(v, "tokenizer.ggml.merges");
  v.merges.back() = "";
  fails(v, "tokenizer.ggml.merges");
  v = sentence_piece_vocabulary();
  v.scores.clear();
  fails(v, "tokenizer.ggml.scores");
  v = bert_vocabulary();
  v.tokens[1] = "x";
  fails(v, "[UNK]");
}

TEST(Tokenizer, JsonErrorsNameTheComponent) {
  const auto fails = [](std::string json, std::string_view expected) {
    for (char& c : json) {
      if (c == '\'') c = '"';
    }
    try {
      make_tokenizer(json);
      ADD_FAILURE() << expected;
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind == ErrorKind::kBadModelFile ||
                  error.kind == ErrorKind::kUnsupportedModel);
      EXPECT_NE(error.message.find(expected), std::string::npos) << error.message;
    }
  };
  const std::string bpe = "'model':{'type':'BPE','vocab':{'a':0,'b':1,'ab':2},'merges':['a b']}";
  fails("", "tokenizer.json");
  fails("[1]", "tokenizer.json");
  fails("{'model':{'type':'WordLevel','vocab':{'a':0}}}", "WordLevel");
  fails("{'model':{'type':'Unigram','vocab':[]}}", "model.vocab is empty");
  fails("{'model':{'type':'Unigram','vocab':[['a']]}}", "model.vocab[0] is not [text, score]");
  fails("{'model':{'type':'Unigram','vocab':[['a',-1.5]],'unk_id':1}}", "model.unk_id is 1");
  fails("{}", "model");
  fails("{'model':{'type':'BPE','vocab':{'a':-1},'merges':[]}}", "-1");
  fails("{'model':{'type':'BPE','vocab':{'a':4000000000},'merges':[]}}", "4000000000");
  fails("{'model':{'type':'BPE','vocab':{'a':2000000},'merges':[]}}", "1 entries");
  fails("{'model':{'type':'BPE','vocab':{'a':0.5},'merges':[]}}", "model.vocab.a");
  fails("{'model':{'type':'BPE','vocab':{},'merges':[]}}", "model.vocab");
  fails("{'model':{'type':'BPE','vocab':{'a':0},'merges':['a c']}}", "'c'");
  fails("{'model':{'type':'BPE','vocab':{'a':0},'merges':['a a']}}", "result");
  fails("{'model':{'type':'BPE','vocab':{'a':0},'merges':['aa']}}", "merges[0]");
  fails("{'model':{'type':'BPE','vocab':{'a':0},'merges':[['a']]}}", "merges[0]");
  fails("{'model':{'type':'BPE','vocab':{'a':0},'merges':[],'dropout':0.1}}", "dropout");
  fails("{'model':{'type':'BPE','vocab':{'a':0},'merges':[],'unk_token':'u'}}", "unk_token");
  fails("{'model':{'type':'WordPiece','vocab':{'a':0}}}", "[UNK]");
  fails("{'normalizer':{'type':'Nmt'}," + bpe + "}", "Nmt");
  fails("{'normalizer':{'type':'Precompiled','precompiled_charsmap':'AAAA'}," + bpe + "}",
        "the precompiled charsmap has 3 bytes");
  fails("{'pre_tokenizer':{'type':'UnicodeScripts'}," + bpe + "}", "UnicodeScripts");
  fails("{'decoder':{'type':'CTC'}," + bpe + "}", "CTC");
  fails("{'post_processor':{'type':'Magic'}," + bpe + "}", "Magic");
  fails(
      "{'pre_tokenizer':{'type':'Metaspace','add_prefix_space':false,"
      "'prepend_scheme':'always'}," +
          bpe + "}",
      "add_prefix_space");
  fails("{'added_tokens':[{'id':0}]," + bpe + "}", "added_tokens[0].content");
  fails("{'post_processor':{'type':'BertProcessing','cls':['x',9],'sep':['x',9]}," + bpe + "}",
        "9");
  std::string nested = "{'type':'Sequence','normalizers':[]}";
  for (int i = 0; i < 40; ++i) nested = "{'type':'Sequence','normalizers':[" + nested + "]}";
  fails("{'normalizer':" + nested + "," + bpe + "}", "16 sequences");
  fails("{'normalizer':" + std::string(5000, '[') + "", "tokenizer.json");
}

TEST(Tokenizer, ConfigRulesBosForLlamaClasses) {
  const std::string json = R"({"added_tokens":[{"id":3,"content":"<s>","special":true},
    {"id":4,"content":"</s>","special":true}],
    "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]},
    "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
      {"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[3],
      "tokens":["<s>"]}}}})";
  const auto config = [](std::string cls, std::string rest) {
    return R"({"tokenizer_class":")" + cls +
           R"(","bos_token":{"content":"<s>"},"eos_token":"</s>")" + rest + "}";
  };
  EXPECT_EQ(make_tokenizer(json)->encode("ab", {}), (Ids{3, 2}));
  const auto t = make_tokenizer(
      json, config("LlamaTokenizer", R"(,"add_bos_token":false,"add_eos_token":true)"));
  EXPECT_EQ(t->encode("ab", {}), (Ids{2, 4}));
  EXPECT_EQ(t->bos_id(), 3);
  EXPECT_EQ(t->eos_id(), 4);
  EXPECT_EQ(t->special_tokens(), (std::vector<std::pair<std::string, std::string>>{
                                     {"bos_token", "<s>"}, {"eos_token", "</s>"}}));
  EXPECT_EQ(make_tokenizer(json, config("LlamaTokenizerFast", ""))->encode("ab", {}), (Ids{3, 2}));
  EXPECT_EQ(make_tokenizer(json, config("PreTrainedTokenizerFast", R"(,"add_bos_token":false)"))
                ->encode("ab", {}),
            (Ids{3, 2}));
}

TEST(Tokenizer, ReplacementsCannotExplode) {
  std::string steps;
  for (int i = 0; i < 40; ++i) {
    steps += std::string(i ? "," : "") +
             R"({"type":"Replace","pattern":{"String":"a"},"content":"aaaa"})";
  }
  const std::string rest = R"("model":{"type":"BPE","vocab":{"a":0},"merges":[]}})";
  const auto t =
      make_tokenizer(R"({"normalizer":{"type":"Sequence","normalizers":[)" + steps + "]}," + rest);
  EXPECT_THROW(t->encode("a", {}), Error);
  EXPECT_EQ(t->encode("b", {}), Ids{});
  EXPECT_THROW(
      make_tokenizer(R"({"decoder":{"type":"Sequence","decoders":[)" + steps + "]}," + rest),
      Error);
}

TEST(Tokenizer, LoadSaysWhatIsMissing) {
  try {
    load_tokenizer("/nonexistent/folder");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(error.message.find("tokenizer.json"), std::string::npos);
  }
}

// Foreign bytes: anything may come in, and byte-level vocabularies give back what was valid.
TEST(Tokenizer, RandomBytesNeverCrash) {
  std::vector<std::unique_ptr<const Tokenizer>> all;
  all.push_back(make_tokenizer(byte_level_vocabulary("smollm")));
  all.push_back(make_tokenizer(byte_level_vocabulary("llama3")));
  all.push_back(make_tokenizer(byte_level_vocabulary("tekken")));
  all.push_back(make_tokenizer(sentence_piece_vocabulary()));
  all.push_back(make_tokenizer(bert_vocabulary()));
  unsigned seed = 42;
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = 0; i < 1 + round % 60; ++i) {
      seed = seed * 1664525u + 1013904223u;
      text += static_cast<char>(seed >> 24);
    }
    for (std::size_t k = 0; k < all.size(); ++k) {
      const auto ids = all[k]->encode(text, {.add_special_tokens = false});
      const std::string decoded = all[k]->decode(ids, false);
      EXPECT_TRUE(utf8_valid(decoded));
      if (k < 3) {
        EXPECT_EQ(decoded, utf8_sanitize(text));
      }
    }
  }
}

TEST(Tokenizer, LongRunsTakeNoQuadraticTime) {
  std::vector<GgufVocabulary> vocabularies = {sentence_piece_vocabulary(), bert_vocabulary()};
  for (const char* pre : {"smollm", "llama3", "tekken"}) {
    vocabularies.push_back(byte_level_vocabulary(pre));
  }
  for (const GgufVocabulary& v : vocabularies) {
    const auto t = make_tokenizer(v);
    for (const char c : {'a', ' ', '\n', '1', '.'}) {
      const std::string text(c == 'a' || c == ' ' ? 1 << 20 : 1 << 17, c);
      // Processor time, since other processes may have the machine.
      const std::clock_t begin = std::clock();
      const Ids ids = t->encode(text, {.add_special_tokens = false});
      const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
      EXPECT_LT(seconds, 5.0) << v.model << " " << v.pre << " " << c;  // hours if quadratic
      if (v.model == "gpt2") {
        EXPECT_EQ(t->decode(ids, false), text);
      }
    }
  }
}

// The heap for long pieces and the scan for short ones are the same algorithm.
TEST(Tokenizer, LongAndShortPiecesMergeAlike) {
  const auto t = make_tokenizer(byte_level_vocabulary("gpt-2"));
  const Ids eight = t->encode(std::string(8, 'a'), {});
  EXPECT_EQ(eight, (Ids{id(*t, "aaaa"), id(*t, "aaaa")}));
  const Ids many = t->encode(std::string(803, 'a'), {});
  ASSERT_EQ(many.size(), 202u);
  EXPECT_EQ(many[199], id(*t, "aaaa"));
  EXPECT_EQ(many[200], id(*t, "aa"));
  EXPECT_EQ(many[201], id(*t, "a"));
}

TEST(Tokenizer, ManyThreadsAgree) {
  const auto t = make_tokenizer(byte_level_vocabulary("gpt-2"));
  const std::string text = "hello world aaaa hello hella woe  aaaaa hello";
  const Ids expected = t->encode(text, {});
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) wrong += t->encode(text, {}) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Detokenizer, NeverEmitsHalfACharacter) {
  const auto t = make_tokenizer(byte_level_vocabulary("gpt-2"));
  const std::string text = "a😀é€hello";
  Detokenizer detokenizer(*t, true, false);
  std::string streamed;
  for (const std::int32_t id : t->encode(text, {})) {
    const std::string piece = detokenizer.push(id);
    EXPECT_TRUE(utf8_valid(piece));
    streamed += piece;
    EXPECT_TRUE(text.starts_with(streamed));
  }
  EXPECT_EQ(streamed + detokenizer.finish(), text);
}

TEST(Detokenizer, InvalidBytesBecomeOneReplacementPerPart) {
  const auto t = make_tokenizer(byte_level_vocabulary("gpt-2"));
  const auto byte = [&](unsigned char b) { return id(*t, to_utf8(byte_alphabet()[b])); };
  Detokenizer detokenizer(*t, true, false);
  EXPECT_EQ(detokenizer.push(byte(0xF0)), "");
  EXPECT_EQ(detokenizer.push(byte(0x9F)), "");
  EXPECT_EQ(detokenizer.push(byte('x')), "\uFFFDx");
  EXPECT_EQ(detokenizer.push(byte(0x80)), "\uFFFD");
  EXPECT_EQ(detokenizer.push(byte(0xE2)), "");
  EXPECT_EQ(detokenizer.push(0), "");  // a special token in between is not text
  EXPECT_EQ(detokenizer.push(byte(0x82)), "");
  EXPECT_EQ(detokenizer.push(byte(0xAC)), "€");
  EXPECT_EQ(detokenizer.push(byte(0xF0)), "");
  EXPECT_EQ(detokenizer.push(byte(0x9F)), "");
  EXPECT_EQ(detokenizer.finish(), "\uFFFD");
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, LeadingSpaceAndSpecials) {
  const auto t = make_tokenizer(sentence_piece_vocabulary());
  const std::int32_t the = id(*t, "▁the");
  Detokenizer chat(*t, true, true);
  EXPECT_EQ(chat.push(1), "");  // <s>
  EXPECT_EQ(chat.push(the), "the");
  EXPECT_EQ(chat.push(the), " the");
  EXPECT_EQ(chat.push(2), "");
  Detokenizer completion(*t, false, false);
  EXPECT_EQ(completion.push(the), " the");
  EXPECT_EQ(completion.push(2), "</s>");
  EXPECT_EQ(completion.push(1 << 29), "");
}

}  // namespace
}  // namespace tessera

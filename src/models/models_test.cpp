// Whole models against transformers (tests/golden/models), and against themselves: chunked,
// batched, with other threads and other instruction sets (ctest runs the binary once per
// TESSERA_ISA).
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "models/golden_models.h"

namespace tessera {
namespace {

constexpr const char* kLlamas[] = {"llama-a",   "llama-b",    "llama-c",   "llama-31",
                                   "llama-lin", "llama-yarn", "llama-dyn", "llama-a-bf16"};

TEST_F(Goldens, LlamaEqualsTransformersElementByElement) {
  for (const char* name : kLlamas) {
    SCOPED_TRACE(name);
    const Folder folder(name);
    Session session(folder.path(), WeightFormat::kF32, KvType::kF32, 2);
    expect_close(session.run(golden_tokens(), 48), read_floats(kGoldens / name / "logits.f32"),
                 2e-5);
  }
}

// Permuted q and k rows, and the scaling of Llama 3.1 as a tensor.
TEST_F(Goldens, LlamaFromGgufEqualsTransformersElementByElement) {
  Session session(kGoldens / "llama-gguf/model.gguf", WeightFormat::kF32, KvType::kF32, 2);
  expect_close(session.run(golden_tokens(), 48), read_floats(kGoldens / "llama-gguf/logits.f32"),
               2e-5);
}

TEST_F(Goldens, LlamaInBf16IsNear) {
  const Folder folder("llama-a-bf16");
  Session session(folder.path(), WeightFormat::kStored, KvType::kBF16, 2);
  const std::vector<float> got = session.run(golden_tokens(), 48);
  const std::vector<float> want = read_floats(kGoldens / "llama-a-bf16" / "logits.f32");
  ASSERT_EQ(got.size(), want.size());
  double worst = 0, squares = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::fabs(got[i] - want[i]);
    worst = std::max(worst, difference);
    squares += difference * difference;
  }
  // The reference's own bf16 forward pass is 0.103 (rms 0.0152) away from its f32 one here.
  EXPECT_LE(worst, 0.103);
  EXPECT_LE(std::sqrt(squares / static_cast<double>(got.size())), 0.015);
}

TEST_F(Goldens, LlamaGivesTheSameBitsForEveryChunkingAndThreadCount) {
  for (const WeightFormat format : kFormats) {
    for (const char* name : {"llama-a", "llama-c", "llama-dyn"}) {
      SCOPED_TRACE(testing::Message() << name << " format " << static_cast<int>(format));
      const Folder folder(name);
      Session one(folder.path(), format, KvType::kF16, 1),
          two(folder.path(), format, KvType::kF16, 2);
      const std::vector<float> whole = one.run(golden_tokens(), 48);
      for (const std::size_t chunk : {1, 2, 5, 16, 17, 47, 48}) {
        EXPECT_EQ(one.run(golden_tokens(), chunk), whole) << "chunk " << chunk;
        EXPECT_EQ(two.run(golden_tokens(), chunk), whole) << "chunk " << chunk << ", 2 threads";
      }
    }
  }
}

TEST_F(Goldens, ALlamaRowInABatchEqualsTheRowAlone) {
  const std::vector<std::int32_t> tokens = golden_tokens();
  const auto part = [&](int begin, int end) {
    return std::vector<std::int32_t>(tokens.begin() + begin, tokens.begin() + end);
  };
  for (const WeightFormat format : kFormats) {
    SCOPED_TRACE(testing::Message() << "format " << static_cast<int>(format));
    const Folder folder("llama-a");
    Session session(folder.path(), format, KvType::kF16, 2);
    std::vector<std::vector<float>> alone;
    for (const auto& [begin, end] : {std::pair{0, 30}, {30, 31}, {4, 41}}) {
      alone.push_back(session.run(part(begin, end), 64));
    }
    // First tokens of two sequences, then a mixed step: prefill, decode and a chunk together.
    Session::Sequence a, b, c;
    session.forget();
    session.step({{&a, part(0, 29)}, {&c, part(4, 20)}});
    const Tensor& logits =
        session.step({{&a, part(29, 30)}, {&b, part(30, 31)}, {&c, part(20, 41)}});
    const std::int64_t vocab = logits.cols();
    ASSERT_EQ(logits.rows(), 1 + 1 + 21);
    const auto expect_row = [&](std::int64_t r, std::size_t sequence, std::int64_t alone_row) {
      const float* want = alone[sequence].data() + alone_row * vocab;
      EXPECT_TRUE(std::equal(want, want + vocab, logits.row(r))) << "row " << r;
    };
    expect_row(0, 0, 29);
    expect_row(1, 1, 0);
    for (int r = 0; r < 21; ++r) expect_row(2 + r, 2, 16 + r);
  }
}

TEST_F(Goldens, LlamaComputesOnlyTheLogitsAskedFor) {
  const Folder folder("llama-b");
  Session session(folder.path(), WeightFormat::kF32, KvType::kF32, 2);
  const std::vector<std::int32_t> tokens = golden_tokens();
  const std::vector<float> all = session.run(tokens, 48);
  std::vector<std::int32_t> positions(48), table{5, 1, 9};
  std::iota(positions.begin(), positions.end(), 0);
  std::vector<std::int64_t> slots;
  for (int t = 0; t < 48; ++t) slots.push_back(table[t / 16] * 16 + t % 16);
  const std::int32_t cu[] = {0, 48}, rows[] = {3, 47};
  const std::span<const std::int32_t> view(table);
  Tensor logits;
  session.model().forward({tokens, positions, cu, slots, {&view, 1}, rows}, session.kv(), logits);
  ASSERT_EQ(logits.rows(), 2);
  for (std::int64_t v = 0; v < 257; ++v) {
    EXPECT_EQ(logits.row(0)[v], all[3 * 257 + v]);
    EXPECT_EQ(logits.row(1)[v], all[47 * 257 + v]);
  }
  session.model().forward({tokens, positions, cu, slots, {&view, 1}, {}}, session.kv(), logits);
  EXPECT_EQ(logits.rows(), 0);
}

TEST_F(Goldens, LlamaRefusesTokensOutsideOfTheVocabulary) {
  const Folder folder("llama-a");
  Session session(folder.path(), WeightFormat::kStored, KvType::kF32, 1);
  for (const std::int32_t token : {-1, 257, 1 << 30}) {
    session.forget();
    try {
      session.run({1, token}, 2);
      FAIL() << token;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kBadTokenId);
      EXPECT_NE(error.message.find(std::to_string(token)), std::string::npos);
    }
  }
}

TEST_F(Goldens, InspectReadsTheSameFactsAsLoad) {
  const Folder folder("llama-c");
  const ModelInfo info = inspect_model(folder.path());
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.vocab_size, 257);
  EXPECT_EQ(info.hidden_size, 64);
  EXPECT_EQ(info.num_hidden_layers, 3);
  EXPECT_EQ(info.num_kv_heads, 2);
  EXPECT_EQ(info.head_dim, 16);
  EXPECT_EQ(info.context_length, 64);
  EXPECT_EQ(info.parameters, 151616);
  EXPECT_FALSE(info.is_embedding);
  EXPECT_EQ(info.eos_token_ids, std::vector<std::int32_t>{2});
  EXPECT_TRUE(inspect_model(Folder("bert-a").path()).is_embedding);
}

ErrorKind kind_of_failure(const Folder& folder, std::string* message) {
  ThreadPool pool(1);
  try {
    load_model(folder.path(), {}, pool);
  } catch (const Error& error) {
    *message = error.message;
    return error.kind;
  }
  return ErrorKind::kInternal;
}

TEST_F(Goldens, LoadRefusesWhatItCannotRun) {
  std::string message;
  const Folder falcon("llama-a");
  falcon.change_config("model_type", "falcon");
  EXPECT_EQ(kind_of_failure(falcon, &message), ErrorKind::kUnsupportedModel);
  EXPECT_NE(message.find("falcon"), std::string::npos) << message;

  const Folder deeper("llama-a");
  deeper.change_config("num_hidden_layers", 4);
  EXPECT_EQ(kind_of_failure(deeper, &message), ErrorKind::kBadModelFile);
  EXPECT_NE(message.find("model.layers.3.input_layernorm.weight"), std::string::npos) << message;

  const Folder wider("llama-a");
  wider.change_config("intermediate_size", 97);
  EXPECT_EQ(kind_of_failure(wider, &message), ErrorKind::kBadModelFile);
  EXPECT_NE(message.find("97"), std::string::npos) << message;

  const Folder gelu("llama-a");
  gelu.change_config("hidden_act", "gelu");
  EXPECT_EQ(kind_of_failure(gelu, &message), ErrorKind::kUnsupportedModel);

  const Folder biased("bert-a");
  biased.change_config("hidden_act", "silu");
  EXPECT_EQ(kind_of_failure(biased, &message), ErrorKind::kUnsupportedModel);
}

}  // namespace
}  // namespace tessera

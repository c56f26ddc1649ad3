#include "models/gguf.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "models/test_files.h"

namespace tessera {
namespace {

GgufWriter small() {
  GgufWriter writer;
  writer.text("general.architecture", "llama")
      .u32("llama.block_count", 2)
      .f32("llama.rope.freq_base", 1e5f)
      .flag("flag", true)
      .texts("tokens", {"a", "", "ccc"})
      .pair("heads", 9,
            raw_bytes<std::uint32_t>(5) + raw_bytes<std::uint64_t>(2) + raw_bytes<std::int32_t>(4) +
                raw_bytes<std::int32_t>(4))
      .pair("big", 10, raw_bytes<std::uint64_t>(~0ull))
      .tensor("a.weight", 0, {2, 3}, raw_floats({1, 2, 3, 4, 5, 6}))
      .tensor("q.weight", 2, {32}, std::string(18, '\1'));
  return writer;
}

TEST(Gguf, ReadsMetadata) {
  const std::string file = small().bytes();
  const Gguf gguf = Gguf::parse(as_bytes(file), "m.gguf");
  EXPECT_EQ(gguf.version(), 3u);
  EXPECT_EQ(gguf.text("general.architecture"), "llama");
  EXPECT_EQ(gguf.integer("llama.block_count"), 2);
  EXPECT_EQ(gguf.number("llama.block_count"), 2.0);
  EXPECT_FLOAT_EQ(static_cast<float>(*gguf.number("llama.rope.freq_base")), 1e5f);
  EXPECT_EQ(gguf.boolean("flag"), true);
  EXPECT_EQ(gguf.texts("tokens"), (std::vector<std::string>{"a", "", "ccc"}));
  EXPECT_EQ(gguf.integers("heads"), (std::vector<std::int64_t>{4, 4}));
  EXPECT_EQ(gguf.numbers("heads"), (std::vector<float>{4, 4}));
  EXPECT_EQ(gguf.uniform_integer("heads"), 4);
  EXPECT_EQ(gguf.uniform_integer("llama.block_count"), 2);
  EXPECT_EQ(gguf.text("absent"), std::nullopt);
  EXPECT_TRUE(contains(error_message([&] { gguf.integer("general.architecture"); }),
                       "key 'general.architecture' is the string 'llama', wanted an integer"));
  EXPECT_TRUE(contains(error_message([&] { gguf.text("flag"); }), "wanted a string"));
  EXPECT_TRUE(contains(error_message([&] { gguf.integer("big"); }), "18446744073709551615"));
  EXPECT_TRUE(contains(error_message([&] { gguf.integers("tokens"); }), "array of 3 string"));
}

TEST(Gguf, ReadsTensorsOutermostFirst) {
  for (const std::uint32_t version : {2u, 3u}) {
    const std::string file = small().bytes(version);
    const Gguf gguf = Gguf::parse(as_bytes(file), "m.gguf");
    const RawTensor& a = gguf.tensors().at("a.weight");
    EXPECT_EQ(a.shape, (std::vector<std::int64_t>{3, 2}));
    float row[2];
    dequantize_row(a, 2, row);
    EXPECT_EQ(row[1], 6.0f);
    EXPECT_EQ(gguf.tensors().at("q.weight").dtype, DType::kQ4_0);
    EXPECT_EQ(gguf.tensors().at("q.weight").bytes(), 18);
  }
}

TEST(Gguf, AcceptsTensorsInAnyOrder) {
  std::string file = GgufWriter()
                         .tensor("a", 0, {8}, std::string(32, '\1'))
                         .tensor("b", 0, {8}, std::string(32, '\2'))
                         .bytes();
  // Swap the two offsets: the last eight bytes of each tensor info.
  const std::size_t info = 8 + 1 + 4 + 8 + 4;  // up to the offset
  const std::size_t a = 24 + info, b = a + 8 + info;
  std::swap_ranges(file.begin() + static_cast<long>(a), file.begin() + static_cast<long>(a + 8),
                   file.begin() + static_cast<long>(b));
  const Gguf gguf = Gguf::parse(as_bytes(file), "m.gguf");
  EXPECT_EQ(static_cast<int>(gguf.tensors().at("a").data[0]), 2);
}

TEST(Gguf, NamesUnsupportedTensorTypes) {
  const std::string file = GgufWriter().tensor("x", 16, {256}, std::string(66, '\0')).bytes();
  try {
    Gguf::parse(as_bytes(file), "m.gguf");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kUnsupportedModel);
    EXPECT_TRUE(contains(error.message, "tensor 'x': type IQ2_XXS is not supported"));
  }
}

struct HostileCase {
  const char* name;
  std::string bytes;
  const char* message;
};

std::string header(std::uint32_t version, std::uint64_t tensors, std::uint64_t pairs,
                   const std::string& rest = {}) {
  return "GGUF" + raw_bytes(version) + raw_bytes(tensors) + raw_bytes(pairs) + rest;
}

std::string tensor(std::uint32_t type, const std::vector<std::uint64_t>& dims, std::size_t bytes) {
  return GgufWriter().tensor("x", type, dims, std::string(bytes, '\0')).bytes();
}

std::string with_offset(std::uint64_t offset) {
  std::string file = tensor(0, {8}, 32);
  file.replace(24 + 8 + 1 + 4 + 8 + 4, 8, raw_bytes(offset));
  return file;
}

std::string array(std::uint32_t type, std::uint64_t count) {
  return GgufWriter().pair("k", 9, raw_bytes(type) + raw_bytes(count)).bytes();
}

class GgufHostile : public ::testing::TestWithParam<HostileCase> {};

TEST_P(GgufHostile, IsRefusedWithAName) {
  try {
    Gguf::parse(as_bytes(GetParam().bytes), "dir/m.gguf");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kBadModelFile);
    EXPECT_TRUE(contains(error.message, "dir/m.gguf"));
    EXPECT_TRUE(contains(error.message, GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GgufHostile,
    ::testing::Values(
        HostileCase{"Empty", "", "has 0 bytes"},
        HostileCase{"Magic", "GGML" + std::string(20, '\0'), "does not begin with 'GGUF'"},
        HostileCase{"Version1", header(1, 0, 0), "version 1"},
        HostileCase{"Version4", header(4, 0, 0), "version 4"},
        HostileCase{"BigEndian", header(3u << 24, 0, 0), "big-endian"},
        HostileCase{"TensorCount", header(3, 1ull << 63, 0), "tensor count 9223372036854775808"},
        HostileCase{"PairCount", header(3, 0, 1ull << 63), "key count 9223372036854775808"},
        HostileCase{"PairsMissing", header(3, 0, 1, std::string(14, '\0')), "a key is empty"},
        HostileCase{"StringLength",
                    header(3, 0, 1, raw_bytes<std::uint64_t>(1ull << 40) + std::string(20, 'x')),
                    "string length 1099511627776"},
        HostileCase{"DuplicateKey", GgufWriter().u32("k", 1).u32("k", 1).bytes(),
                    "key 'k': appears twice"},
        HostileCase{"ValueType", GgufWriter().pair("k", 13, std::string(8, '\0')).bytes(),
                    "unknown value type 13"},
        HostileCase{"ArrayOfArrays", array(9, 1), "arrays of arrays"},
        HostileCase{"ArrayCount", array(4, 1ull << 62), "array count"},
        HostileCase{"StringArrayCount", array(8, 1ull << 31), "array count"},
        HostileCase{"AlignmentZero", GgufWriter().u32("general.alignment", 0).bytes(),
                    "'general.alignment' is 0"},
        HostileCase{"AlignmentThree", GgufWriter().u32("general.alignment", 3).bytes(),
                    "power of two"},
        HostileCase{"AlignmentText", GgufWriter().text("general.alignment", "x").bytes(),
                    "wanted an integer"},
        HostileCase{"ZeroDim", tensor(0, {0, 4}, 0), "dimension 0 is 0"},
        HostileCase{"NegativeDim", tensor(0, {~0ull}, 0), "dimension 0 is 18446744073709551615"},
        HostileCase{"Overflow", tensor(0, {1ull << 30, 1ull << 30, 1ull << 30}, 0), "too large"},
        HostileCase{"Rank", tensor(0, {1, 1, 1, 1, 1}, 4), "has 5 dimensions"},
        HostileCase{"Type", tensor(99, {8}, 32), "unknown type id 99"},
        HostileCase{"RemovedType", tensor(4, {32}, 32), "unknown type id 4"},
        HostileCase{"BlockMisfit", tensor(2, {33}, 36), "do not divide into blocks of 32"},
        HostileCase{"Misaligned", with_offset(8), "not a multiple of the alignment"},
        HostileCase{"OutOfFile", with_offset(32), "exceed the data of 32"},
        HostileCase{"OffsetHuge", with_offset(~0ull - 31), "exceed the data"},
        HostileCase{
            "LongName",
            GgufWriter().tensor(std::string(64, 'n'), 0, {8}, std::string(32, '\0')).bytes(),
            "has 64 bytes"},
        HostileCase{
            "DuplicateTensor",
            GgufWriter()
                .tensor("x", 0, {8}, std::string(32, '\0'))
                .tensor("x", 0, {8}, std::string(32, '\0'))
                .bytes(),
            "appears twice"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Gguf, RefusesOverlap) {
  std::string file = GgufWriter()
                         .tensor("a", 0, {16}, std::string(64, '\1'))
                         .tensor("b", 0, {8}, std::string(32, '\2'))
                         .bytes();
  const std::size_t b_offset = 24 + 33 + 25;
  file.replace(b_offset, 8, raw_bytes<std::uint64_t>(32));
  EXPECT_TRUE(contains(error_message([&] { Gguf::parse(as_bytes(file), "m"); }),
                       "tensor 'b': offset 32 overlaps"));
}

TEST(Gguf, SurvivesEveryCutAndFlip) {
  const std::string good = small().bytes();
  const auto parse = [](const std::string& bytes) {
    try {
      const Gguf gguf = Gguf::parse(as_bytes(bytes), "m");
      for (const auto& [key, value] : gguf.metadata()) {
        if (std::holds_alternative<GgufArray>(value)) {
          error_message([&] { gguf.texts(key); });
          error_message([&] { gguf.numbers(key); });
        }
      }
      return true;
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind == ErrorKind::kBadModelFile ||
                  error.kind == ErrorKind::kUnsupportedModel);
      return false;
    }
  };
  // The last tensor has 18 bytes of its padded 32.
  for (std::size_t size = 0; size < good.size() - 14; ++size) {
    EXPECT_FALSE(parse(good.substr(0, size))) << size;
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char flip : {'\x01', '\x40', '\x80'}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      parse(bad);
    }
  }
}

}  // namespace
}  // namespace tessera

#include "models/safetensors.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "models/test_files.h"

namespace tessera {
namespace {

TEST(Safetensors, ReadsTensorsMetadataAndTypes) {
  const std::string file = safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},)"
      R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},)"
      R"("scalar":{"dtype":"I64","shape":[],"data_offsets":[12,20]},)"
      R"("none":{"dtype":"F16","shape":[0,7],"data_offsets":[12,12]},)"
      R"("odd":{"dtype":"C64","shape":[1],"data_offsets":[20,28]}}   )",
      std::string(28, '\1'));
  const SafetensorsFile parsed = parse_safetensors(as_bytes(file), "m.safetensors");
  ASSERT_EQ(parsed.tensors.size(), 4u);
  const RawTensor& b = parsed.tensors.find("b")->second;
  EXPECT_EQ(b.dtype, DType::kF32);
  EXPECT_EQ(b.shape, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(b.data - parsed.tensors.find("a")->second.data, 4);
  EXPECT_EQ(parsed.tensors.find("scalar")->second.elements(), 1);
  EXPECT_EQ(parsed.tensors.find("none")->second.elements(), 0);
  EXPECT_EQ(parsed.unknown_types.find("odd")->second, "C64");
  EXPECT_EQ(parsed.metadata.find("format")->second, "pt");
}

TEST(Safetensors, AllowsNoTensors) {
  EXPECT_TRUE(parse_safetensors(as_bytes(safetensors_bytes("{}")), "m").tensors.empty());
}

struct HostileCase {
  const char* name;
  std::string bytes;
  const char* message;
};

std::string one(const std::string& fields, std::size_t data = 8) {
  return safetensors_bytes("{\"t\":{" + fields + "}}", std::string(data, '\0'));
}

class SafetensorsHostile : public ::testing::TestWithParam<HostileCase> {};

TEST_P(SafetensorsHostile, IsRefusedWithAName) {
  try {
    parse_safetensors(as_bytes(GetParam().bytes), "dir/m.safetensors");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kBadModelFile);
    EXPECT_TRUE(contains(error.message, "dir/m.safetensors"));
    EXPECT_TRUE(contains(error.message, GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SafetensorsHostile,
    ::testing::Values(
        HostileCase{"Empty", "", "has 0 bytes"},
        HostileCase{"SevenBytes", "1234567", "has 7 bytes"},
        HostileCase{"HeaderLengthZero", raw_bytes<std::uint64_t>(0), "does not begin with '{'"},
        HostileCase{"HeaderLengthHuge", raw_bytes<std::uint64_t>(1ull << 63), "exceeds 100000000"},
        HostileCase{"HeaderLengthAboveLimit", raw_bytes<std::uint64_t>(100'000'001), "exceeds"},
        HostileCase{"HeaderBeyondFile", raw_bytes<std::uint64_t>(10) + "{}", "exceeds the file"},
        HostileCase{"InvalidUtf8", safetensors_bytes("{\"\xff\":{}}"), "not valid JSON"},
        HostileCase{"NotAnObject", safetensors_bytes("[]"), "does not begin with '{'"},
        HostileCase{"LeadingSpace", safetensors_bytes(" {}"), "does not begin with '{'"},
        HostileCase{"Unfinished", safetensors_bytes("{\"t\":"), "not valid JSON"},
        HostileCase{"Trailing", safetensors_bytes("{}{}"), "follows the header"},
        HostileCase{"Deep", safetensors_bytes("{\"t\":{\"shape\":[[[[[1]]]]]}}"), "an array"},
        HostileCase{"EntryNotObject", safetensors_bytes("{\"t\":7}"), "wanted an object"},
        HostileCase{"EntryArray", safetensors_bytes("{\"t\":[]}"), "wanted an object"},
        HostileCase{"MetadataNumber", safetensors_bytes(R"({"__metadata__":{"a":1}})"),
                    "wanted a string"},
        HostileCase{"MetadataTwice", safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})"),
                    "twice"},
        HostileCase{"NoDtype", one(R"("shape":[2],"data_offsets":[0,8])"), "'dtype' is missing"},
        HostileCase{"NoShape", one(R"("dtype":"F32","data_offsets":[0,8])"), "'shape' is missing"},
        HostileCase{"NoOffsets", one(R"("dtype":"F32","shape":[2])"), "data_offsets"},
        HostileCase{"OneOffset", one(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), "two"},
        HostileCase{"ThreeOffsets", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"),
                    "more than two"},
        HostileCase{"UnknownDtype", one(R"("dtype":"Q9","shape":[2],"data_offsets":[0,8])"),
                    "unknown dtype 'Q9'"},
        HostileCase{"DtypeNumber", one(R"("dtype":3,"shape":[2],"data_offsets":[0,8])"),
                    "wanted a string"},
        HostileCase{"UnknownField",
                    one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":{}})"), "an object"},
        HostileCase{"NegativeDim", one(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), "-2"},
        HostileCase{"FractionDim", one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,8])"),
                    "1.5"},
        HostileCase{"HugeDim",
                    one(R"("dtype":"F32","shape":[18446744073709551617],"data_offsets":[0,8])"),
                    "not an integer of 64 bits"},
        HostileCase{"TooManyDims",
                    one(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,8],"data_offsets":[0,8])"),
                    "more than 8 dimensions"},
        HostileCase{"ProductOverflow",
                    one(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8])"),
                    "do not fit shape"},
        HostileCase{"WrongSize", one(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
                    "do not fit shape [3]"},
        HostileCase{"Reversed", one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
                    "reversed"},
        HostileCase{"OneByteShort", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 7),
                    "exceed the data of 7"},
        HostileCase{"OneByteLong", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 9),
                    "which has 9"},
        HostileCase{"Hole", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), "hole"},
        HostileCase{"HalfByte", one(R"("dtype":"F4","shape":[3],"data_offsets":[0,8])"),
                    "do not fit shape"},
        HostileCase{"Overlap",
                    safetensors_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                      R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
                                      std::string(7, '\0')),
                    "overlap"},
        HostileCase{"DuplicateTensor",
                    safetensors_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                      R"("a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                                      std::string(8, '\0')),
                    "appears twice"},
        HostileCase{"DuplicateField",
                    one(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
                    "'dtype' appears twice"},
        HostileCase{"LongName", safetensors_bytes("{\"" + std::string(5000, 'x') + "\":{}}"),
                    "longer than 4096"}),
    [](const auto& info) { return std::string(info.param.name); });

// Cutting a good file anywhere, or flipping any byte, gives a result or a typed error.
TEST(Safetensors, SurvivesEveryCutAndFlip) {
  const std::string good =
      safetensors_bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                        R"("b":{"dtype":"BF16","shape":[1,2],"data_offsets":[8,12]}})",
                        std::string(12, '\2'));
  const auto survives = [](const std::string& bytes) {
    try {
      parse_safetensors(as_bytes(bytes), "m");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kBadModelFile);
    }
  };
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(error_message([&] { parse_safetensors(as_bytes(good.substr(0, size)), "m"); }),
              "(no error)");
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char flip : {'\x01', '\x80', '\x7f'}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      survives(bad);
    }
  }
}

TEST(Safetensors, ReadsAMillionTinyTensorsAndRefusesMore) {
  std::string header = "{";
  constexpr int kCount = (1 << 20) + 1;
  header.reserve(kCount * 60u);
  for (int i = 0; i < kCount; ++i) {
    header += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],)" +
              R"("data_offsets":[0,0]})";
  }
  header += "}";
  EXPECT_TRUE(
      contains(error_message([&] { parse_safetensors(as_bytes(safetensors_bytes(header)), "m"); }),
               "more than 1048576 tensors"));
}

}  // namespace
}  // namespace tessera

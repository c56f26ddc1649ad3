#include "compute/quantize.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace tessera {
namespace {

DType type_named(std::string_view name) {
  for (int t = 0; t < kDTypes; ++t) {
    if (dtype_info(static_cast<DType>(t)).name == name) return static_cast<DType>(t);
  }
  ADD_FAILURE() << "no type " << name;
  return DType::kF32;
}

// tests/golden/quantize/make_goldens.py: what the gguf package of ggml reads and writes.
boost::json::object goldens() {
  std::ifstream file(TESSERA_SOURCE_DIR "/tests/golden/quantize/blocks.json");
  std::stringstream text;
  text << file.rdbuf();
  return boost::json::parse(text.str()).as_object();
}

std::string bytes_of(const boost::json::value& hex) {
  return *hex_decode(std::string_view(hex.as_string()));
}

std::vector<float> floats_of(const boost::json::value& hex) {
  const std::string bytes = bytes_of(hex);
  std::vector<float> out(bytes.size() / 4);
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

TEST(Quantize, ReadsBlocksBitForBitLikeTheReference) {
  const boost::json::object golden = goldens();
  std::map<std::string, int> seen;
  for (const auto& item : golden.at("dequantize").as_array()) {
    const std::string name(item.at("type").as_string());
    const std::string block = bytes_of(item.at("block"));
    const std::vector<float> wanted = floats_of(item.at("values"));
    std::vector<float> got(wanted.size());
    dequantize(type_named(name), reinterpret_cast<const std::byte*>(block.data()),
               static_cast<std::int64_t>(got.size()), got.data());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i] + 0.0f),
                std::bit_cast<std::uint32_t>(wanted[i] + 0.0f))
          << name << " element " << i << ": " << got[i] << " wanted " << wanted[i];
    }
    ++seen[name];
  }
  EXPECT_EQ(seen.size(), 14u);
}

TEST(Quantize, WritesBlocksLikeTheReference) {
  const boost::json::object golden = goldens();
  for (const auto& item : golden.at("quantize").as_array()) {
    const std::string name(item.at("type").as_string());
    const std::vector<float> values = floats_of(item.at("values"));
    const std::string wanted = bytes_of(item.at("block"));
    std::string got(wanted.size(), '\x55');
    quantize(type_named(name), values.data(), static_cast<std::int64_t>(values.size()),
             reinterpret_cast<std::byte*>(got.data()));
    EXPECT_EQ(hex_encode(got), hex_encode(wanted)) << name;
  }
}

TEST(Quantize, HalfRoundTripsEveryBitPattern) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float value = f16_to_f32(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    } else {
      ASSERT_EQ(f32_to_f16(value), bits);
    }
  }
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24f);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0f);
}

TEST(Quantize, HalfRoundsToNearestEven) {
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3c00);             // tie, to even
  EXPECT_EQ(f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);         // tie, to even
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);  // above the tie
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000);                    // half the least subnormal: to even
  EXPECT_EQ(f32_to_f16(0x1.8p-25f), 0x0001);
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
}

TEST(Quantize, BrainFloatRoundsToNearestEven) {
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float value = bf16_to_f32(static_cast<std::uint16_t>(bits));
    if (!std::isnan(value)) {
      ASSERT_EQ(f32_to_bf16(value), bits);
    }
  }
}

TEST(Quantize, ReadsEightBitFloats) {
  EXPECT_EQ(f8_e4m3_to_f32(0x38), 1.0f);
  EXPECT_EQ(f8_e4m3_to_f32(0x7e), 448.0f);
  EXPECT_EQ(f8_e4m3_to_f32(0x01), 0x1p-9f);
  EXPECT_EQ(f8_e4m3_to_f32(0xb8), -1.0f);
  EXPECT_TRUE(std::isnan(f8_e4m3_to_f32(0x7f)));
}

TEST(Quantize, ReadsPlainTypes) {
  const double wide[] = {1.5, -2.25};
  float out[2];
  dequantize(DType::kF64, reinterpret_cast<const std::byte*>(wide), 2, out);
  EXPECT_EQ(out[1], -2.25f);
  const std::int16_t shorts[] = {-7, 300};
  dequantize(DType::kI16, reinterpret_cast<const std::byte*>(shorts), 2, out);
  EXPECT_EQ(out[0], -7.0f);
}

TEST(Quantize, RowsOfAnUnalignedTensor) {
  std::vector<std::byte> storage(1 + 4 * 4);
  const float values[] = {1, 2, 3, 4};
  std::memcpy(storage.data() + 1, values, sizeof values);
  const RawTensor tensor{DType::kF32, {2, 2}, storage.data() + 1};
  float row[2];
  dequantize_row(tensor, 1, row);
  EXPECT_EQ(row[0], 3.0f);
  EXPECT_EQ(row[1], 4.0f);
}

// Half a step of the format for values spread over [-1, 1], with room for the 6-bit scales.
TEST(Quantize, RoundTripErrorIsAboutHalfAStep) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(2048), back(values.size());
  for (float& value : values) value = uniform(random);
  const std::pair<DType, float> kBounds[] = {
      {DType::kQ4_0, 0.13f},  {DType::kQ4_1, 0.07f},  {DType::kQ5_0, 0.065f},
      {DType::kQ5_1, 0.035f}, {DType::kQ8_0, 0.005f}, {DType::kQ4_K, 0.09f},
      {DType::kQ5_K, 0.05f},  {DType::kQ6_K, 0.035f}, {DType::kF16, 0.0003f},
      {DType::kBF16, 0.002f}, {DType::kF32, 0.0f},    {DType::kF64, 0.0f},
  };
  for (const auto& [type, bound] : kBounds) {
    ASSERT_TRUE(can_quantize(type));
    const DTypeInfo& info = dtype_info(type);
    std::vector<std::byte> bytes(values.size() / info.block_elements * info.block_bytes);
    quantize(type, values.data(), static_cast<std::int64_t>(values.size()), bytes.data());
    dequantize(type, bytes.data(), static_cast<std::int64_t>(values.size()), back.data());
    float worst = 0.0f;
    for (std::size_t i = 0; i < values.size(); ++i) {
      worst = std::max(worst, std::fabs(values[i] - back[i]));
    }
    EXPECT_LE(worst, bound) << info.name;
  }
  EXPECT_FALSE(can_quantize(DType::kI32));
  EXPECT_THROW(quantize(DType::kI32, values.data(), 1, nullptr), Error);
}

TEST(Quantize, SurvivesOddValues) {
  std::vector<float> odd(256, 0.0f);
  odd[3] = std::numeric_limits<float>::quiet_NaN();
  odd[40] = std::numeric_limits<float>::infinity();
  odd[80] = 1e-44f;
  odd[120] = -3e38f;
  std::vector<std::byte> bytes(1024);
  std::vector<float> back(256);
  for (int t = 0; t < kDTypes; ++t) {
    const auto type = static_cast<DType>(t);
    if (!can_quantize(type) || type == DType::kF64) continue;
    quantize(type, odd.data(), 256, bytes.data());
    dequantize(type, bytes.data(), 256, back.data());
    // An infinity spoils its own block only; a super-block is the whole row here.
    if (dtype_info(type).block_elements <= 32) {
      EXPECT_EQ(back[200], 0.0f) << dtype_info(type).name;
    }
  }
}

}  // namespace
}  // namespace tessera

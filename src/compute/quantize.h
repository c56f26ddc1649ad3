// Numbers as files store them: 16-bit floats and the block formats of GGUF, in both directions.
//
// dequantize() and dequantize_row() (declared in compute/tensor.h) are defined here as well. Every
// formula equals the reference dequantiser of ggml bit for bit (tests/golden/quantize).
// Encoders: F32, F16, BF16, F64, Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 follow the reference quantisers;
// those of Q4_K, Q5_K and Q6_K are plain min-max fits, valid but not error-optimal.
#pragma once

#include <bit>
#include <cstdint>

#include "compute/tensor.h"

namespace tessera {

inline float bf16_to_f32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// Round to nearest even; NaN stays a (quiet) NaN.
inline std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// IEEE binary16 with subnormals, infinities and NaN; rounding to nearest even.
float f16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_f16(float value);

// FP8 E4M3 ("fn": no infinities, 0x7f and 0xff are NaN).
float f8_e4m3_to_f32(std::uint8_t bits);

// Parts of ggml's blocks that packing reads too. The values that the nibbles of IQ4_NL and IQ4_XS
// stand for; scale of 16 elements (0 to 15) and quant of an element of Q3_K, both signed; scale of
// 32 elements (0 to 7) of IQ4_XS.
extern const std::int8_t kIq4Values[16];
int q3_k_scale(const std::uint8_t* packed, int i);
int q3_k_quant(const std::uint8_t* block, int e);
int iq4_xs_scale(const std::uint8_t* block, int b);

// True for the types that dequantize() reads: all floats, integers and block formats of DType.
bool can_dequantize(DType dtype);
// True for the types that quantize() writes.
bool can_quantize(DType dtype);

// Encodes a run of whole blocks into `out` (elements / block_elements * block_bytes bytes).
// Throws Error(kUnsupportedValue) for a type it cannot write.
void quantize(DType dtype, const float* values, std::int64_t elements, std::byte* out);

}  // namespace tessera

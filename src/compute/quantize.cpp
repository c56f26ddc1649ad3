#include "compute/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"

namespace tessera {

namespace {

using Byte = std::uint8_t;

// Files are little-endian and need not align their data.
template <class T>
T load(const Byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <class T>
void store(Byte* bytes, T value) {
  std::memcpy(bytes, &value, sizeof value);
}

float half(const Byte* bytes) { return f16_to_f32(load<std::uint16_t>(bytes)); }

void store_half(Byte* bytes, float value) { store(bytes, f32_to_f16(value)); }

constexpr int kBlock = 32;
constexpr int kSuperBlock = 256;

// --- Plain types -------------------------------------------------------------------------------

template <class T>
void widen(const Byte* in, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(load<T>(in + i * sizeof(T)));
  }
}

template <class T>
void narrow(const float* in, std::int64_t count, Byte* out) {
  for (std::int64_t i = 0; i < count; ++i) store(out + i * sizeof(T), static_cast<T>(in[i]));
}

// --- Blocks of 32 ------------------------------------------------------------------------------
// Each takes one block; the comment lists "offset field". d and m are halves, little-endian.

void read_q4_0(const Byte* in, float* out) {  // 0 d; 2 nibbles[16]
  const float d = half(in);
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((in[2 + j] & 15) - 8) * d;
    out[j + 16] = static_cast<float>((in[2 + j] >> 4) - 8) * d;
  }
}

void read_q4_1(const Byte* in, float* out) {  // 0 d; 2 m; 4 nibbles[16]
  const float d = half(in), m = half(in + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(in[4 + j] & 15) * d + m;
    out[j + 16] = static_cast<float>(in[4 + j] >> 4) * d + m;
  }
}

void read_q5_0(const Byte* in, float* out) {  // 0 d; 2 high bits u32; 6 nibbles[16]
  const float d = half(in);
  const auto high = load<std::uint32_t>(in + 2);
  for (int j = 0; j < 16; ++j) {
    const int low_q = (in[6 + j] & 15) | static_cast<int>((high >> j & 1u) << 4);
    const int high_q = (in[6 + j] >> 4) | static_cast<int>((high >> (j + 16) & 1u) << 4);
    out[j] = static_cast<float>(low_q - 16) * d;
    out[j + 16] = static_cast<float>(high_q - 16) * d;
  }
}

void read_q5_1(const Byte* in, float* out) {  // 0 d; 2 m; 4 high bits u32; 8 nibbles[16]
  const float d = half(in), m = half(in + 2);
  const auto high = load<std::uint32_t>(in + 4);
  for (int j = 0; j < 16; ++j) {
    const int low_q = (in[8 + j] & 15) | static_cast<int>((high >> j & 1u) << 4);
    const int high_q = (in[8 + j] >> 4) | static_cast<int>((high >> (j + 16) & 1u) << 4);
    out[j] = static_cast<float>(low_q) * d + m;
    out[j + 16] = static_cast<float>(high_q) * d + m;
  }
}

void read_q8_0(const Byte* in, float* out) {  // 0 d; 2 i8[32]
  const float d = half(in);
  for (int j = 0; j < kBlock; ++j)
    out[j] = static_cast<float>(static_cast<std::int8_t>(in[2 + j])) * d;
}

// Quotients that the format stores as unsigned integers: clamped before the cast, because a
// subnormal d can make them infinite and an out-of-range cast is undefined.
int quant(float value, int limit) {
  if (!(value > 0.0f)) return 0;
  return value >= static_cast<float>(limit) ? limit : static_cast<int>(value);
}

std::int8_t signed_quant(float value) {  // half away from zero; NaN becomes 0
  if (std::isnan(value)) return 0;
  return static_cast<std::int8_t>(std::clamp(std::round(value), -128.0f, 127.0f));
}

float largest_magnitude(const float* in, int count) {  // the element itself, sign kept
  float best = 0.0f;
  for (int j = 0; j < count; ++j) {
    if (std::fabs(in[j]) > std::fabs(best)) best = in[j];
  }
  return best;
}

float inverse(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

void write_q4_0(const float* in, Byte* out) {
  const float d = largest_magnitude(in, kBlock) / -8.0f, id = inverse(d);
  store_half(out, d);
  for (int j = 0; j < 16; ++j) {
    const int low = quant(in[j] * id + 8.5f, 15), high = quant(in[j + 16] * id + 8.5f, 15);
    out[2 + j] = static_cast<Byte>(low | high << 4);
  }
}

void write_q4_1(const float* in, Byte* out) {
  const auto [min, max] = std::minmax_element(in, in + kBlock);
  const float d = (*max - *min) / 15.0f, id = inverse(d), m = *min;
  store_half(out, d);
  store_half(out + 2, m);
  for (int j = 0; j < 16; ++j) {
    const int low = quant((in[j] - m) * id + 0.5f, 15);
    const int high = quant((in[j + 16] - m) * id + 0.5f, 15);
    out[4 + j] = static_cast<Byte>(low | high << 4);
  }
}

void write_q5_0(const float* in, Byte* out) {
  const float d = largest_magnitude(in, kBlock) / -16.0f, id = inverse(d);
  store_half(out, d);
  std::uint32_t bits = 0;
  for (int j = 0; j < 16; ++j) {
    const int low = quant(in[j] * id + 16.5f, 31), high = quant(in[j + 16] * id + 16.5f, 31);
    out[6 + j] = static_cast<Byte>((low & 15) | (high & 15) << 4);
    bits |= static_cast<std::uint32_t>(low >> 4) << j;
    bits |= static_cast<std::uint32_t>(high >> 4) << (j + 16);
  }
  store(out + 2, bits);
}

void write_q5_1(const float* in, Byte* out) {
  const auto [min, max] = std::minmax_element(in, in + kBlock);
  const float d = (*max - *min) / 31.0f, id = inverse(d), m = *min;
  store_half(out, d);
  store_half(out + 2, m);
  std::uint32_t bits = 0;
  for (int j = 0; j < 16; ++j) {
    const int low = quant((in[j] - m) * id + 0.5f, 31);
    const int high = quant((in[j + 16] - m) * id + 0.5f, 31);
    out[8 + j] = static_cast<Byte>((low & 15) | (high & 15) << 4);
    bits |= static_cast<std::uint32_t>(low >> 4) << j;
    bits |= static_cast<std::uint32_t>(high >> 4) << (j + 16);
  }
  store(out + 4, bits);
}

void write_q8_0(const float* in, Byte* out) {
  const float d = std::fabs(largest_magnitude(in, kBlock)) / 127.0f, id = inverse(d);
  store_half(out, d);
  for (int j = 0; j < kBlock; ++j) {
    out[2 + j] = static_cast<Byte>(signed_quant(in[j] * id));
  }
}

// --- Super-blocks of 256 -----------------------------------------------------------------------

// Eight pairs of 6-bit (scale, min) in 12 bytes, shared by Q4_K and Q5_K.
struct ScaleMin {
  int scale, min;
};

ScaleMin read_scale_min(const Byte* packed, int i) {
  if (i < 4) return {packed[i] & 63, packed[i + 4] & 63};
  return {(packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4, (packed[i + 4] >> 4) | (packed[i] >> 6)
                                                                                       << 4};
}

void write_scale_min(const ScaleMin* pairs, Byte* packed) {
  for (int i = 0; i < 4; ++i) {
    const ScaleMin &low = pairs[i], &high = pairs[i + 4];
    packed[i] = static_cast<Byte>(low.scale | (high.scale >> 4) << 6);
    packed[i + 4] = static_cast<Byte>(low.min | (high.min >> 4) << 6);
    packed[i + 8] = static_cast<Byte>((high.scale & 15) | (high.min & 15) << 4);
  }
}

// Q4_K: 0 d; 2 dmin; 4 scales[12]; 16 nibbles[128]. Q5_K: high bits[32] at 16, nibbles at 48.
template <bool kFiveBits>
void read_q45_k(const Byte* in, float* out) {
  const float d = half(in), dmin = half(in + 2);
  const Byte* high = in + 16;
  const Byte* nibbles = in + (kFiveBits ? 48 : 16);
  for (int i = 0; i < 8; ++i) {
    const ScaleMin pair = read_scale_min(in + 4, i);
    const float scale = d * static_cast<float>(pair.scale);
    const float min = dmin * static_cast<float>(pair.min);
    for (int l = 0; l < 32; ++l) {
      int q = nibbles[32 * (i / 2) + l] >> 4 * (i & 1) & 15;
      if constexpr (kFiveBits) q |= (high[l] >> i & 1) << 4;
      out[32 * i + l] = scale * static_cast<float>(q) - min;
    }
  }
}

void read_q6_k(const Byte* in, float* out) {  // 0 low[128]; 128 high[64]; 192 i8 scales[16]; 208 d
  const float d = half(in + 208);
  for (int e = 0; e < kSuperBlock; ++e) {
    const int n = e / 128, g = e % 128 / 32, l = e % 32;
    const int low = in[64 * n + 32 * (g & 1) + l] >> 4 * (g >> 1) & 15;
    const int q = (low | (in[128 + 32 * n + l] >> 2 * g & 3) << 4) - 32;
    const auto scale = static_cast<std::int8_t>(in[192 + 8 * n + 2 * g + l / 16]);
    out[e] = d * static_cast<float>(scale) * static_cast<float>(q);
  }
}

void read_q2_k(const Byte* in, float* out) {  // 0 scales[16]; 16 quants[64]; 80 d; 82 dmin
  const float d = half(in + 80), dmin = half(in + 82);
  for (int e = 0; e < kSuperBlock; ++e) {
    const int n = e / 128, j = e % 128 / 32, l = e % 32;
    const int pair = in[8 * n + e % 128 / 16], q = in[16 + 32 * n + l] >> 2 * j & 3;
    out[e] = d * static_cast<float>(pair & 15) * static_cast<float>(q) -
             dmin * static_cast<float>(pair >> 4);
  }
}

void read_q3_k(const Byte* in, float* out) {  // 0 high[32]; 32 quants[64]; 96 scales[12]; 108 d
  const float d = half(in + 108);
  for (int e = 0; e < kSuperBlock; ++e) {
    const float scale = d * static_cast<float>(q3_k_scale(in + 96, e / 16));
    out[e] = scale * static_cast<float>(q3_k_quant(in, e));
  }
}

void read_iq4_nl(const Byte* in, float* out) {  // 0 d; 2 nibbles[16]
  const float d = half(in);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(kIq4Values[in[2 + j] & 15]);
    out[j + 16] = d * static_cast<float>(kIq4Values[in[2 + j] >> 4]);
  }
}

void read_iq4_xs(const Byte* in, float* out) {  // 0 d; 2 high u16; 4 low[4]; 8 nibbles[128]
  const float d = half(in);
  for (int b = 0; b < 8; ++b) {
    const float scale = d * static_cast<float>(iq4_xs_scale(in, b));
    for (int j = 0; j < 16; ++j) {
      const Byte pair = in[8 + 16 * b + j];
      out[32 * b + j] = scale * static_cast<float>(kIq4Values[pair & 15]);
      out[32 * b + j + 16] = scale * static_cast<float>(kIq4Values[pair >> 4]);
    }
  }
}

void read_u4_zero(const Byte* in, float* out) {  // 0 d; 2 z; 4 nibbles[16]
  const float d = half(in), z = half(in + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * (static_cast<float>(in[4 + j] & 15) + z);
    out[j + 16] = d * (static_cast<float>(in[4 + j] >> 4) + z);
  }
}

template <bool kFiveBits>
void write_q45_k(const float* in, Byte* out) {
  constexpr int kLimit = kFiveBits ? 31 : 15;
  float scales[8], mins[8];  // mins: what is subtracted, never negative
  for (int i = 0; i < 8; ++i) {
    const auto [min, max] = std::minmax_element(in + 32 * i, in + 32 * i + 32);
    mins[i] = std::max(0.0f, -*min);
    scales[i] = std::max(0.0f, *max + mins[i]) / kLimit;
  }
  const float d = *std::max_element(scales, scales + 8) / 63.0f;
  const float dmin = *std::max_element(mins, mins + 8) / 63.0f;
  store_half(out, d);
  store_half(out + 2, dmin);
  // Fit to what the reader will see: the rounded halves.
  const float stored_d = half(out), stored_dmin = half(out + 2);
  const float id = inverse(stored_d), idmin = inverse(stored_dmin);
  ScaleMin pairs[8];
  for (int i = 0; i < 8; ++i) {
    pairs[i] = {quant(scales[i] * id + 0.5f, 63), quant(mins[i] * idmin + 0.5f, 63)};
  }
  write_scale_min(pairs, out + 4);
  Byte* high = out + 16;
  Byte* nibbles = out + (kFiveBits ? 48 : 16);
  std::memset(high, 0, (kFiveBits ? 32 : 0) + 128);
  for (int i = 0; i < 8; ++i) {
    const float is = inverse(stored_d * static_cast<float>(pairs[i].scale));
    const float min = stored_dmin * static_cast<float>(pairs[i].min);
    for (int l = 0; l < 32; ++l) {
      const int q = quant((in[32 * i + l] + min) * is + 0.5f, kLimit);
      nibbles[32 * (i / 2) + l] |= static_cast<Byte>((q & 15) << 4 * (i & 1));
      if constexpr (kFiveBits) high[l] |= static_cast<Byte>((q >> 4) << i);
    }
  }
}

void write_q6_k(const float* in, Byte* out) {
  std::memset(out, 0, 210);
  float scales[16];  // signed so that the largest element becomes exactly -32
  for (int s = 0; s < 16; ++s) scales[s] = largest_magnitude(in + 16 * s, 16) / -32.0f;
  const float d = largest_magnitude(scales, 16) / -128.0f;
  store_half(out + 208, d);
  const float stored_d = half(out + 208), id = inverse(stored_d);
  for (int s = 0; s < 16; ++s) {
    const std::int8_t scale = signed_quant(scales[s] * id);
    const float is = inverse(stored_d * static_cast<float>(scale));
    for (int k = 0; k < 16; ++k) {
      const int e = 16 * s + k, n = e / 128, g = e % 128 / 32, l = e % 32;
      const int q = quant(in[e] * is + 32.5f, 63);
      out[64 * n + 32 * (g & 1) + l] |= static_cast<Byte>((q & 15) << 4 * (g >> 1));
      out[128 + 32 * n + l] |= static_cast<Byte>((q >> 4) << 2 * g);
    }
    // Element 16 s lies in group (n, g) at l = 0 or 16, so scale s of the file is scale s here.
    out[192 + s] = static_cast<Byte>(scale);
  }
}

using ReadBlock = void (*)(const Byte*, float*);
using WriteBlock = void (*)(const float*, Byte*);

ReadBlock block_reader(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return read_q4_0;
    case DType::kQ4_1:
      return read_q4_1;
    case DType::kQ5_0:
      return read_q5_0;
    case DType::kQ5_1:
      return read_q5_1;
    case DType::kQ8_0:
      return read_q8_0;
    case DType::kQ4_K:
      return read_q45_k<false>;
    case DType::kQ5_K:
      return read_q45_k<true>;
    case DType::kQ6_K:
      return read_q6_k;
    case DType::kQ2_K:
      return read_q2_k;
    case DType::kQ3_K:
      return read_q3_k;
    case DType::kIQ4_NL:
      return read_iq4_nl;
    case DType::kIQ4_XS:
      return read_iq4_xs;
    case DType::kU4Zero:
      return read_u4_zero;
    default:
      return nullptr;
  }
}

WriteBlock block_writer(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return write_q4_0;
    case DType::kQ4_1:
      return write_q4_1;
    case DType::kQ5_0:
      return write_q5_0;
    case DType::kQ5_1:
      return write_q5_1;
    case DType::kQ8_0:
      return write_q8_0;
    case DType::kQ4_K:
      return write_q45_k<false>;
    case DType::kQ5_K:
      return write_q45_k<true>;
    case DType::kQ6_K:
      return write_q6_k;
    default:
      return nullptr;
  }
}

}  // namespace

const std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};

int q3_k_scale(const std::uint8_t* packed, int i) {
  const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
  return (low | (packed[8 + i % 4] >> 2 * (i / 4) & 3) << 4) - 32;
}

int q3_k_quant(const std::uint8_t* block, int e) {
  const int n = e / 128, j = e % 128 / 32, l = e % 32;
  return (block[32 + 32 * n + l] >> 2 * j & 3) - ((block[l] >> (4 * n + j) & 1) != 0 ? 0 : 4);
}

int iq4_xs_scale(const std::uint8_t* block, int b) {
  const int high = load<std::uint16_t>(block + 2) >> 2 * b & 3;
  return ((block[4 + b / 2] >> 4 * (b % 2) & 15) | high << 4) - 32;
}

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = bits >> 10 & 31u, mantissa = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  // Zero or subnormal: mantissa * 2^-24, exact in f32.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u | (magnitude >> 13 & 0x3ffu);  // NaN, quiet
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {  // below 2^-14: subnormal; the f32 adder rounds at 2^-24 for us
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u);
  }
  const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u) - (112u << 23);
  return sign | static_cast<std::uint16_t>(rounded >> 13);
}

float f8_e4m3_to_f32(std::uint8_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x80u) << 24;
  const std::uint32_t exponent = bits >> 3 & 15u, mantissa = bits & 7u;
  if ((bits & 0x7fu) == 0x7fu) return std::numeric_limits<float>::quiet_NaN();
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 120) << 23 | mantissa << 20);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

bool can_dequantize(DType dtype) { return static_cast<int>(dtype) < kDTypes; }

bool can_quantize(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kF64:
      return true;
    default:
      return block_writer(dtype) != nullptr;
  }
}

void dequantize(DType dtype, const std::byte* data, std::int64_t elements, float* out) {
  if (elements == 0) return;
  const Byte* in = reinterpret_cast<const Byte*>(data);
  if (const ReadBlock read = block_reader(dtype)) {
    const DTypeInfo& info = dtype_info(dtype);
    for (std::int64_t e = 0; e < elements; e += info.block_elements) {
      read(in, out + e);
      in += info.block_bytes;
    }
    return;
  }
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, data, static_cast<std::size_t>(elements) * 4);
      return;
    case DType::kF16:
      for (std::int64_t i = 0; i < elements; ++i) out[i] = half(in + 2 * i);
      return;
    case DType::kBF16:
      for (std::int64_t i = 0; i < elements; ++i) {
        out[i] = bf16_to_f32(load<std::uint16_t>(in + 2 * i));
      }
      return;
    case DType::kF8E4M3:
      for (std::int64_t i = 0; i < elements; ++i) out[i] = f8_e4m3_to_f32(in[i]);
      return;
    case DType::kF64:
      return widen<double>(in, elements, out);
    case DType::kI8:
      return widen<std::int8_t>(in, elements, out);
    case DType::kU8:
      return widen<std::uint8_t>(in, elements, out);
    case DType::kI16:
      return widen<std::int16_t>(in, elements, out);
    case DType::kI32:
      return widen<std::int32_t>(in, elements, out);
    case DType::kI64:
      return widen<std::int64_t>(in, elements, out);
    case DType::kBool:
      for (std::int64_t i = 0; i < elements; ++i) out[i] = in[i] != 0 ? 1.0f : 0.0f;
      return;
    default:
      break;
  }
  throw Error(ErrorKind::kUnsupportedModel,
              "cannot read weights of type " + std::string(dtype_info(dtype).name));
}

void dequantize_row(const RawTensor& tensor, std::int64_t row, float* out) {
  if (tensor.source != nullptr) return tensor.source->read(row, 1, out);
  dequantize(tensor.dtype, tensor.row(row), tensor.row_elements(), out);
}

void quantize(DType dtype, const float* values, std::int64_t elements, std::byte* out) {
  Byte* bytes = reinterpret_cast<Byte*>(out);
  if (const WriteBlock write = block_writer(dtype)) {
    const DTypeInfo& info = dtype_info(dtype);
    for (std::int64_t e = 0; e < elements; e += info.block_elements) {
      write(values + e, bytes);
      bytes += info.block_bytes;
    }
    return;
  }
  switch (dtype) {
    case DType::kF32:
      return narrow<float>(values, elements, bytes);
    case DType::kF64:
      return narrow<double>(values, elements, bytes);
    case DType::kF16:
      for (std::int64_t i = 0; i < elements; ++i) store(bytes + 2 * i, f32_to_f16(values[i]));
      return;
    case DType::kBF16:
      for (std::int64_t i = 0; i < elements; ++i) store(bytes + 2 * i, f32_to_bf16(values[i]));
      return;
    default:
      break;
  }
  throw Error(ErrorKind::kUnsupportedValue,
              "cannot write weights of type " + std::string(dtype_info(dtype).name));
}

}  // namespace tessera

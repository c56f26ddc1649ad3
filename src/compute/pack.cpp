#include "compute/pack.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "base/error.h"
#include "compute/quantize.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tessera {
namespace {

using Byte = std::uint8_t;

Byte* bytes(std::byte* p) { return reinterpret_cast<Byte*>(p); }
const Byte* bytes(const std::byte* p) { return reinterpret_cast<const Byte*>(p); }

std::uint16_t read_u16(const Byte* p) {
  std::uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void write_u16(Byte* p, std::uint16_t value) { std::memcpy(p, &value, sizeof value); }

// One stored group of 32: unsigned quants as the panel wants them (any bias included), the f16
// scales of its halves (equal unless the type has one per 16) and the f16 minimum.
struct Group {
  Byte quants[kGroup];
  std::uint16_t scale[2];
  std::uint16_t minimum;
};

// Sub-block i of the packed 6-bit scales and minima of Q4_K and Q5_K.
void unpack_k_scales(const Byte* sc, int i, int& scale, int& minimum) {
  if (i < 4) {
    scale = sc[i] & 63;
    minimum = sc[i + 4] & 63;
  } else {
    scale = (sc[i + 4] & 15) | (sc[i - 4] >> 6) << 4;
    minimum = (sc[i + 4] >> 4) | (sc[i] >> 6) << 4;
  }
}

// Block layouts: ggml's (docs/formats/packed-weights.md, "Sources").
void read_group(DType dtype, const Byte* row, int g, Group& out) {
  const int block_bytes = dtype_info(dtype).block_bytes;
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ4_1: {
      const Byte* block = row + static_cast<std::int64_t>(g) * block_bytes;
      const bool has_minimum = dtype == DType::kQ4_1;
      const Byte* qs = block + (has_minimum ? 4 : 2);
      for (int e = 0; e < 16; ++e) {
        out.quants[e] = qs[e] & 15;
        out.quants[e + 16] = qs[e] >> 4;
      }
      out.scale[0] = out.scale[1] = read_u16(block);
      out.minimum = has_minimum ? read_u16(block + 2) : 0;
      return;
    }
    case DType::kQ5_0:
    case DType::kQ5_1: {
      const Byte* block = row + static_cast<std::int64_t>(g) * block_bytes;
      const bool has_minimum = dtype == DType::kQ5_1;
      const Byte* high = block + (has_minimum ? 4 : 2);
      const Byte* qs = high + 4;
      std::uint32_t fifth;
      std::memcpy(&fifth, high, 4);
      const int bias = has_minimum ? 0 : 128 - 16;
      for (int e = 0; e < kGroup; ++e) {
        const int nibble = (qs[e % 16] >> (4 * (e / 16))) & 15;
        out.quants[e] = static_cast<Byte>((nibble | ((fifth >> e) & 1) << 4) + bias);
      }
      out.scale[0] = out.scale[1] = read_u16(block);
      out.minimum = has_minimum ? read_u16(block + 2) : 0;
      return;
    }
    case DType::kQ8_0: {
      const Byte* block = row + static_cast<std::int64_t>(g) * block_bytes;
      for (int e = 0; e < kGroup; ++e) out.quants[e] = block[2 + e] ^ 0x80;
      out.scale[0] = out.scale[1] = read_u16(block);
      out.minimum = 0;
      return;
    }
    case DType::kQ4_K:
    case DType::kQ5_K: {
      const Byte* block = row + static_cast<std::int64_t>(g / 8) * block_bytes;
      const bool five = dtype == DType::kQ5_K;
      const int i = g % 8;
      const Byte* high = block + 16;
      const Byte* qs = block + (five ? 48 : 16) + 32 * (i / 2);
      for (int e = 0; e < kGroup; ++e) {
        int q = (qs[e] >> (4 * (i % 2))) & 15;
        if (five) q |= ((high[e] >> i) & 1) << 4;
        out.quants[e] = static_cast<Byte>(q);
      }
      int scale, minimum;
      unpack_k_scales(block + 4, i, scale, minimum);
      const float d = f16_to_f32(read_u16(block)), dmin = f16_to_f32(read_u16(block + 2));
      out.scale[0] = out.scale[1] = f32_to_f16(d * static_cast<float>(scale));
      out.minimum = f32_to_f16(-dmin * static_cast<float>(minimum));
      return;
    }
    case DType::kQ6_K: {
      const Byte* block = row + static_cast<std::int64_t>(g / 8) * block_bytes;
      const int n = (g % 8) / 4, part = g % 4;
      const Byte* low = block + 64 * n + 32 * (part & 1);
      const Byte* high = block + 128 + 32 * n;
      for (int e = 0; e < kGroup; ++e) {
        const int q = ((low[e] >> (4 * (part >> 1))) & 15) | ((high[e] >> (2 * part)) & 3) << 4;
        out.quants[e] = static_cast<Byte>(q - 32 + 128);
      }
      const float d = f16_to_f32(read_u16(block + 208));
      const auto* sc = reinterpret_cast<const std::int8_t*>(block + 192) + 8 * n + 2 * part;
      out.scale[0] = f32_to_f16(d * static_cast<float>(sc[0]));
      out.scale[1] = f32_to_f16(d * static_cast<float>(sc[1]));
      out.minimum = 0;
      return;
    }
    default:
      return;  // panel_kind() lets no other type come here
  }
}

// Steps of 8 bits: the scale is rounded to f16 first, so the quants fit the scale that is kept.
void quantize_i8(const float* x, Group& out) {
  float peak = 0;
  for (int e = 0; e < kGroup; ++e) peak = std::max(peak, std::fabs(x[e]));
  const std::uint16_t bits = f32_to_f16(peak / 127.0f);
  const float d = f16_to_f32(bits), inverse = d > 0 ? 1.0f / d : 0.0f;
  for (int e = 0; e < kGroup; ++e) {
    const float q = std::clamp(std::nearbyint(x[e] * inverse), -127.0f, 127.0f);
    out.quants[e] = static_cast<Byte>(static_cast<int>(q) + 128);
  }
  out.scale[0] = out.scale[1] = bits;
  out.minimum = 0;
}

// Steps of 4 bits, d * (q - 8). The element of largest magnitude lands near q = 0; of a few scales
// around that one, the one with the least squared error is kept.
void quantize_u4(const float* x, Group& out) {
  float peak = 0;
  for (int e = 0; e < kGroup; ++e) {
    if (std::fabs(x[e]) > std::fabs(peak)) peak = x[e];
  }
  float best_error = -1;
  std::uint16_t best = 0;
  const auto quant = [](float v) { return std::clamp(std::nearbyint(v) + 8.0f, 0.0f, 15.0f); };
  for (const float divisor : {-8.6f, -8.0f, -7.4f, 7.0f, 7.6f}) {
    const std::uint16_t bits = f32_to_f16(peak / divisor);
    const float d = f16_to_f32(bits);
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    float error = 0;
    for (int e = 0; e < kGroup; ++e) {
      const float difference = x[e] - d * (quant(x[e] * inverse) - 8.0f);
      error += difference * difference;
    }
    if (best_error < 0 || error < best_error) {
      best_error = error;
      best = bits;
    }
  }
  const float d = f16_to_f32(best), inverse = d != 0 ? 1.0f / d : 0.0f;
  for (int e = 0; e < kGroup; ++e) out.quants[e] = static_cast<Byte>(quant(x[e] * inverse));
  out.scale[0] = out.scale[1] = best;
  out.minimum = 0;
}

bool is_quantized(DType dtype) { return dtype >= DType::kQ4_0; }

bool has_nibbles(PanelKind kind) { return kind == PanelKind::kU4 || kind == PanelKind::kU4Min; }

// Row r of group block `block`.
void write_group(PanelKind kind, const Group& group, int r, Byte* block) {
  if (has_nibbles(kind)) {
    for (int e = 0; e < 16; ++e) {
      block[e / 4 * 64 + r * 4 + e % 4] =
          static_cast<Byte>(group.quants[e] | group.quants[e + 16] << 4);
    }
    write_u16(block + 256 + 2 * r, group.scale[0]);
    if (kind == PanelKind::kU4Min) write_u16(block + 288 + 2 * r, group.minimum);
    return;
  }
  for (int j = 0; j < 8; ++j) std::memcpy(block + j * 64 + r * 4, group.quants + 4 * j, 4);
  write_u16(block + 512 + 2 * r, group.scale[0]);
  if (kind == PanelKind::kI8x16) write_u16(block + 544 + 2 * r, group.scale[1]);
  if (kind == PanelKind::kU7Min) write_u16(block + 544 + 2 * r, group.minimum);
}

// Nibbles of Q4_0 and Q4_1 pair inputs as panels do: four bytes move as they are.
void pack_q4_row(const Byte* row, bool has_minimum, int r, int groups, Byte* panel) {
  const int head = has_minimum ? 4 : 2, from_bytes = head + 16;
  const int to_bytes = has_minimum ? 320 : 288;
  for (int g = 0; g < groups; ++g, row += from_bytes, panel += to_bytes) {
    for (int j = 0; j < 4; ++j) std::memcpy(panel + j * 64 + r * 4, row + head + 4 * j, 4);
    std::memcpy(panel + 256 + 2 * r, row, 2);
    if (has_minimum) std::memcpy(panel + 288 + 2 * r, row + 2, 2);
  }
}

void pack_quantized(const RawTensor& tensor, std::int64_t first_row, int count, PanelKind kind,
                    int groups, Byte* panel) {
  const int block = kPanelGroupBytes[static_cast<int>(kind)];
  for (int r = 0; r < count; ++r) {
    const Byte* row = bytes(tensor.row(first_row + r));
    if (has_nibbles(kind) && (tensor.dtype == DType::kQ4_0 || tensor.dtype == DType::kQ4_1)) {
      pack_q4_row(row, kind == PanelKind::kU4Min, r, groups, panel);
      continue;
    }
    Group group;
    for (int g = 0; g < groups; ++g) {
      read_group(tensor.dtype, row, g, group);
      write_group(kind, group, r, panel + static_cast<std::int64_t>(g) * block);
    }
  }
}

// 16-bit floats as stored. Columns beyond `in` are already zero.
void pack_halves(const RawTensor& tensor, std::int64_t first_row, int count, bool pairs,
                 Byte* panel) {
  const std::int64_t in = tensor.row_elements();
  for (int r = 0; r < count; ++r) {
    const Byte* row = bytes(tensor.row(first_row + r));
    if (pairs) {
      for (std::int64_t k = 0; k < in; ++k) {
        std::memcpy(panel + k / 2 * 64 + r * 4 + k % 2 * 2, row + 2 * k, 2);
      }
    } else {
      for (std::int64_t k = 0; k < in; ++k) std::memcpy(panel + k * 32 + r * 2, row + 2 * k, 2);
    }
  }
}

// From f32 values: any plain kind, and kI8 or kU4 by quantising.
void pack_values(const RawTensor& tensor, std::int64_t first_row, int count, PanelKind kind,
                 int groups, Byte* panel, float* scratch) {
  const std::int64_t in = tensor.row_elements(),
                     padded = static_cast<std::int64_t>(groups) * kGroup;
  for (int r = 0; r < count; ++r) {
    dequantize_row(tensor, first_row + r, scratch);
    std::fill(scratch + in, scratch + padded, 0.0f);
    switch (kind) {
      case PanelKind::kF32:
        for (std::int64_t k = 0; k < padded; ++k) {
          std::memcpy(panel + (k * kPanelRows + r) * 4, scratch + k, 4);
        }
        break;
      case PanelKind::kF16:
        for (std::int64_t k = 0; k < padded; ++k) {
          write_u16(panel + (k * kPanelRows + r) * 2, f32_to_f16(scratch[k]));
        }
        break;
      case PanelKind::kBF16:
        for (std::int64_t k = 0; k < padded; ++k) {
          write_u16(panel + k / 2 * 64 + r * 4 + k % 2 * 2, f32_to_bf16(scratch[k]));
        }
        break;
      default: {
        const int block = kPanelGroupBytes[static_cast<int>(kind)];
        Group group;
        for (int g = 0; g < groups; ++g) {
          if (kind == PanelKind::kU4) {
            quantize_u4(scratch + g * kGroup, group);
          } else {
            quantize_i8(scratch + g * kGroup, group);
          }
          write_group(kind, group, r, panel + static_cast<std::int64_t>(g) * block);
        }
      }
    }
  }
}

constexpr std::int64_t kHugePage = 2 << 20;

}  // namespace

PackedBytes::PackedBytes(std::int64_t size) : size_(size) {
  // Only large buffers: rounding a small one up to 2 MiB would cost more memory than it saves time.
  const bool huge = size >= 8 * kHugePage;
  const auto alignment = static_cast<std::size_t>(huge ? kHugePage : 64);
  const std::size_t rounded = (static_cast<std::size_t>(size) + 63) / 64 * 64;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, std::max<std::size_t>(rounded, 64)) != 0) {
    throw std::bad_alloc();
  }
  data_.reset(static_cast<std::byte*>(memory));
#if defined(__linux__)
  if (huge) madvise(memory, static_cast<std::size_t>(size / kHugePage * kHugePage), MADV_HUGEPAGE);
#endif
}

void PackedBytes::Free::operator()(std::byte* p) const { std::free(p); }

PanelKind panel_kind(DType dtype, WeightFormat format) {
  PanelKind stored;
  switch (dtype) {
    case DType::kF32:
    case DType::kF64:
      stored = PanelKind::kF32;
      break;
    case DType::kF16:
      stored = PanelKind::kF16;
      break;
    case DType::kBF16:
    case DType::kF8E4M3:
      stored = PanelKind::kBF16;
      break;  // every E4M3 value is a bf16
    case DType::kQ4_0:
      stored = PanelKind::kU4;
      break;
    case DType::kQ4_1:
    case DType::kQ4_K:
      stored = PanelKind::kU4Min;
      break;
    case DType::kQ5_0:
    case DType::kQ8_0:
      stored = PanelKind::kI8;
      break;
    case DType::kQ5_1:
    case DType::kQ5_K:
      stored = PanelKind::kU7Min;
      break;
    case DType::kQ6_K:
      stored = PanelKind::kI8x16;
      break;
    default:
      throw Error(ErrorKind::kBadModelFile, "A weight matrix has type " +
                                                std::string(dtype_info(dtype).name) +
                                                "; wanted a float type or a block format.");
  }
  switch (format) {
    case WeightFormat::kStored:
      return stored;
    case WeightFormat::kF32:
      return PanelKind::kF32;
    case WeightFormat::kBF16:
      return PanelKind::kBF16;
    case WeightFormat::kInt8:
      return is_quantized(dtype) ? stored : PanelKind::kI8;
    case WeightFormat::kInt4:
      return is_quantized(dtype) && has_nibbles(stored) ? stored : PanelKind::kU4;
  }
  return stored;
}

void pack_panel(const RawTensor& tensor, std::int64_t first_row, int count, PanelKind kind,
                int groups, std::byte* panel, float* scratch) {
  const std::int64_t size = panel_bytes(kind, groups);
  if (count < kPanelRows || tensor.row_elements() != static_cast<std::int64_t>(groups) * kGroup) {
    std::memset(panel, 0, static_cast<std::size_t>(size));
  }
  const DType dtype = tensor.dtype;
  if (is_quantized(dtype) && panel_kind(dtype, WeightFormat::kStored) == kind) {
    pack_quantized(tensor, first_row, count, kind, groups, bytes(panel));
  } else if ((dtype == DType::kF16 && kind == PanelKind::kF16) ||
             (dtype == DType::kBF16 && kind == PanelKind::kBF16)) {
    pack_halves(tensor, first_row, count, kind == PanelKind::kBF16, bytes(panel));
  } else {
    pack_values(tensor, first_row, count, kind, groups, bytes(panel), scratch);
  }
}

}  // namespace tessera

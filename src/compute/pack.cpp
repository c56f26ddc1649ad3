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

// The bytes of one panel, group by group (see MatmulJob in kernels.h).
struct PanelWriter {
  PanelWriter(const PanelPlace& place, PanelKind kind)
      : slab(bytes(place.slab)),
        ways(place.ways),
        which(place.which),
        line_bytes(kPanelLineBytes[static_cast<int>(kind)]),
        lines(kPanelLines[static_cast<int>(kind)]),
        group_bytes(kPanelGroupBytes[static_cast<int>(kind)]) {}

  Byte* line(std::int64_t g, std::int64_t j) const {
    return slab + g * group_bytes * ways + (j * ways + which) * line_bytes;
  }
  // The first or second f16[16] after the lines.
  Byte* scales(std::int64_t g, int i) const {
    return slab + g * group_bytes * ways + lines * line_bytes * ways +
           (i * ways + which) * 2 * kPanelRows;
  }

  Byte* slab;
  int ways, which, line_bytes, lines, group_bytes;
};

void write_group(PanelKind kind, const Group& group, int r, int g, const PanelWriter& to) {
  if (has_nibbles(kind)) {
    for (int j = 0; j < 4; ++j) {
      Byte* quad = to.line(g, j) + 4 * r;
      for (int i = 0; i < 4; ++i) {
        quad[i] = static_cast<Byte>(group.quants[4 * j + i] | group.quants[16 + 4 * j + i] << 4);
      }
    }
  } else {
    for (int j = 0; j < 8; ++j) std::memcpy(to.line(g, j) + 4 * r, group.quants + 4 * j, 4);
  }
  write_u16(to.scales(g, 0) + 2 * r, group.scale[0]);
  if (kind == PanelKind::kI8x16) write_u16(to.scales(g, 1) + 2 * r, group.scale[1]);
  if (kind == PanelKind::kU4Min || kind == PanelKind::kU7Min) {
    write_u16(to.scales(g, 1) + 2 * r, group.minimum);
  }
}

// Nibbles of Q4_0 and Q4_1 pair inputs as panels do: four bytes move as they are.
void pack_q4_row(const Byte* row, bool has_minimum, int r, int groups, const PanelWriter& to) {
  const int head = has_minimum ? 4 : 2, stored_bytes = head + 16;
  for (int g = 0; g < groups; ++g, row += stored_bytes) {
    for (int j = 0; j < 4; ++j) std::memcpy(to.line(g, j) + 4 * r, row + head + 4 * j, 4);
    std::memcpy(to.scales(g, 0) + 2 * r, row, 2);
    if (has_minimum) std::memcpy(to.scales(g, 1) + 2 * r, row + 2, 2);
  }
}

void pack_quantized_row(DType dtype, const Byte* row, PanelKind kind, int r, int groups,
                        const PanelWriter& to) {
  if (dtype == DType::kQ4_0 || dtype == DType::kQ4_1) {
    pack_q4_row(row, dtype == DType::kQ4_1, r, groups, to);
    return;
  }
  Group group;
  for (int g = 0; g < groups; ++g) {
    read_group(dtype, row, g, group);
    write_group(kind, group, r, g, to);
  }
}

// Where input k of row r lies in a panel of 16-bit floats; pairs of bf16 share a dword.
Byte* half_place(PanelKind kind, std::int64_t k, int r, const PanelWriter& to) {
  const std::int64_t g = k / kGroup, e = k % kGroup;
  if (kind == PanelKind::kBF16) return to.line(g, e / 2) + 4 * r + e % 2 * 2;
  return to.line(g, e) + 2 * r;
}

// F16 and BF16 as stored. Columns beyond `in` are already zero.
void pack_half_row(const Byte* row, std::int64_t in, PanelKind kind, int r, const PanelWriter& to) {
  for (std::int64_t k = 0; k < in; ++k) std::memcpy(half_place(kind, k, r, to), row + 2 * k, 2);
}

// From groups * 32 values: any plain kind, and kI8 or kU4 by quantising.
void pack_values(const float* x, PanelKind kind, int r, int groups, const PanelWriter& to) {
  const std::int64_t count = static_cast<std::int64_t>(groups) * kGroup;
  switch (kind) {
    case PanelKind::kF32:
      for (std::int64_t k = 0; k < count; ++k) {
        std::memcpy(to.line(k / kGroup, k % kGroup) + 4 * r, x + k, 4);
      }
      return;
    case PanelKind::kF16:
      for (std::int64_t k = 0; k < count; ++k) {
        write_u16(half_place(kind, k, r, to), f32_to_f16(x[k]));
      }
      return;
    case PanelKind::kBF16:
      for (std::int64_t k = 0; k < count; ++k) {
        write_u16(half_place(kind, k, r, to), f32_to_bf16(x[k]));
      }
      return;
    default:
      break;
  }
  Group group;
  for (int g = 0; g < groups; ++g) {
    if (kind == PanelKind::kU4) {
      quantize_u4(x + g * kGroup, group);
    } else {
      quantize_i8(x + g * kGroup, group);
    }
    write_group(kind, group, r, g, to);
  }
}

void clear_panel(PanelKind kind, int groups, const PanelWriter& to) {
  const int sets =
      kind == PanelKind::kI8x16 || kind == PanelKind::kU4Min || kind == PanelKind::kU7Min ? 2
      : kind == PanelKind::kI8 || kind == PanelKind::kU4                                  ? 1
                                                                                          : 0;
  for (int g = 0; g < groups; ++g) {
    for (int j = 0; j < to.lines; ++j) {
      std::memset(to.line(g, j), 0, static_cast<std::size_t>(to.line_bytes));
    }
    for (int i = 0; i < sets; ++i) std::memset(to.scales(g, i), 0, 2 * kPanelRows);
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
                int groups, const PanelPlace& place, float* scratch) {
  const PanelWriter to(place, kind);
  const std::int64_t in = tensor.row_elements(),
                     padded = static_cast<std::int64_t>(groups) * kGroup;
  if (count < kPanelRows || in != padded) clear_panel(kind, groups, to);
  const DType dtype = tensor.dtype;
  const bool as_stored = panel_kind(dtype, WeightFormat::kStored) == kind;
  const bool half = dtype == DType::kF16 || dtype == DType::kBF16;
  for (int r = 0; r < count; ++r) {
    const Byte* row = bytes(tensor.row(first_row + r));
    if (as_stored && is_quantized(dtype)) {
      pack_quantized_row(dtype, row, kind, r, groups, to);
    } else if (as_stored && half) {
      pack_half_row(row, in, kind, r, to);
    } else {
      dequantize_row(tensor, first_row + r, scratch);
      std::fill(scratch + in, scratch + padded, 0.0f);
      pack_values(scratch, kind, r, groups, to);
    }
  }
}

}  // namespace tessera

#include "compute/pack.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>

#include "base/error.h"
#include "compute/quantize.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
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

// One stored group of 32: unsigned quants as the panel wants them (any bias included), and the
// numbers beside them: f16 bits, or in K kinds the bytes of the group and f16 bits for its header.
struct Group {
  Byte quants[kGroup];
  std::uint16_t set[2];
  std::uint16_t header[2];
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

void read_iq4_nibbles(const Byte* qs, Group& out) {
  for (int e = 0; e < kGroup; ++e) {
    const int value = kIq4Values[qs[e % 16] >> (4 * (e / 16)) & 15];
    out.quants[e] = static_cast<Byte>(value + 128);
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
      out.set[0] = read_u16(block);
      out.set[1] = has_minimum ? read_u16(block + 2) : 0;
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
      for (int e = 0; e < kGroup; ++e) {
        const int nibble = (qs[e % 16] >> (4 * (e / 16))) & 15;
        out.quants[e] = static_cast<Byte>(nibble | ((fifth >> e) & 1) << 4);
      }
      out.set[0] = read_u16(block);
      // Q5_0 is d * (q - 16).
      out.set[1] =
          has_minimum ? read_u16(block + 2) : f32_to_f16(-16.0f * f16_to_f32(read_u16(block)));
      return;
    }
    case DType::kQ8_0: {
      const Byte* block = row + static_cast<std::int64_t>(g) * block_bytes;
      for (int e = 0; e < kGroup; ++e) out.quants[e] = block[2 + e] ^ 0x80;
      out.set[0] = read_u16(block);
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
      out.set[0] = static_cast<std::uint16_t>(scale);
      out.set[1] = static_cast<std::uint16_t>(minimum);
      out.header[0] = read_u16(block);
      out.header[1] = read_u16(block + 2) ^ 0x8000;  // the minimum is taken off
      return;
    }
    case DType::kQ6_K: {
      const Byte* block = row + static_cast<std::int64_t>(g / 8) * block_bytes;
      const int n = (g % 8) / 4, part = g % 4;
      const Byte* low = block + 64 * n + 32 * (part & 1);
      const Byte* high = block + 128 + 32 * n;
      for (int e = 0; e < kGroup; ++e) {
        const int q = ((low[e] >> (4 * (part >> 1))) & 15) | ((high[e] >> (2 * part)) & 3) << 4;
        out.quants[e] = static_cast<Byte>(q);
      }
      const Byte* sc = block + 192 + 8 * n + 2 * part;
      out.set[0] = sc[0];
      out.set[1] = sc[1];
      out.header[0] = read_u16(block + 208);
      return;
    }
    case DType::kQ3_K: {  // as Q6_K with the quants -4 … 3
      const Byte* block = row + static_cast<std::int64_t>(g / 8) * block_bytes;
      for (int e = 0; e < kGroup; ++e) {
        out.quants[e] = static_cast<Byte>(q3_k_quant(block, g % 8 * kGroup + e) + 32);
      }
      for (int half = 0; half < 2; ++half) {
        out.set[half] = static_cast<Byte>(q3_k_scale(block + 96, g % 8 * 2 + half));
      }
      out.header[0] = read_u16(block + 108);
      return;
    }
    case DType::kIQ4_NL: {
      const Byte* block = row + static_cast<std::int64_t>(g) * block_bytes;
      read_iq4_nibbles(block + 2, out);
      out.set[0] = read_u16(block);
      return;
    }
    case DType::kIQ4_XS: {
      const Byte* block = row + static_cast<std::int64_t>(g / 8) * block_bytes;
      read_iq4_nibbles(block + 8 + g % 8 * 16, out);
      out.set[0] =
          f32_to_f16(f16_to_f32(read_u16(block)) * static_cast<float>(iq4_xs_scale(block, g % 8)));
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
  out.set[0] = bits;
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
  out.set[0] = best;
}

bool is_quantized(DType dtype) { return dtype >= DType::kQ4_0; }

// Its groups of 32 can be taken over as they are. Q2_K has scale and minimum per 16, which no panel
// has.
bool has_groups(DType dtype) { return is_quantized(dtype) && dtype != DType::kQ2_K; }

bool is_float(PanelKind kind) { return kPanelSets[static_cast<int>(kind)] == 0; }

// The bytes of one panel (see MatmulJob and docs/formats/packed-weights.md).
struct PanelWriter {
  PanelWriter(const PanelPlace& place, PanelKind panel_kind)
      : slab(bytes(place.slab)),
        ways(place.ways),
        which(place.which),
        kind(panel_kind),
        line_bytes(kPanelLineBytes[index()]),
        lines(kPanelLines[index()]),
        set_bytes(kPanelSetBytes[index()]),
        sets(kPanelSets[index()]),
        header_sets(kPanelHeaderSets[index()]) {}

  int index() const { return static_cast<int>(kind); }
  Byte* header(std::int64_t g, int i) const {
    return slab + g / kSuperGroups * kSuperGroups * kPanelGroupBytes[index()] * ways +
           (i * ways + which) * 2 * kPanelRows;
  }
  Byte* group(std::int64_t g) const {
    const int bytes = lines * line_bytes + sets * set_bytes;
    return slab + g / kSuperGroups * kSuperGroups * kPanelGroupBytes[index()] * ways +
           (header_sets * 2 * kPanelRows + g % kSuperGroups * bytes) * ways;
  }
  Byte* line(std::int64_t g, std::int64_t j) const {
    return group(g) + (j * ways + which) * line_bytes;
  }
  Byte* set(std::int64_t g, int i) const {
    return group(g) + lines * line_bytes * ways + (i * ways + which) * set_bytes;
  }

  Byte* slab;
  int ways, which;
  PanelKind kind;
  int line_bytes, lines, set_bytes, sets, header_sets;
};

// Low four bits of the quants, then what the kind has of higher ones.
void write_quants(const Group& group, int r, int g, const PanelWriter& to) {
  const Byte* q = group.quants;
  if (to.kind == PanelKind::kI8) {
    for (int j = 0; j < 8; ++j) std::memcpy(to.line(g, j) + 4 * r, q + 4 * j, 4);
    return;
  }
  Byte fifth[4] = {}, top[2][4] = {};
  for (int j = 0; j < 4; ++j) {
    Byte* quad = to.line(g, j) + 4 * r;
    for (int i = 0; i < 4; ++i) {
      const int low = q[4 * j + i], high = q[16 + 4 * j + i];
      quad[i] = static_cast<Byte>((low & 15) | (high & 15) << 4);
      fifth[i] = static_cast<Byte>(fifth[i] | (low >> 4 & 1) << j | (high >> 4 & 1) << (4 + j));
      top[0][i] = static_cast<Byte>(top[0][i] | (low >> 4 & 3) << 2 * j);
      top[1][i] = static_cast<Byte>(top[1][i] | (high >> 4 & 3) << 2 * j);
    }
  }
  if (to.lines == 5) std::memcpy(to.line(g, 4) + 4 * r, fifth, 4);
  if (to.lines == 6) {
    std::memcpy(to.line(g, 4) + 4 * r, top[0], 4);
    std::memcpy(to.line(g, 5) + 4 * r, top[1], 4);
  }
}

void write_group(const Group& group, int r, int g, const PanelWriter& to) {
  write_quants(group, r, g, to);
  for (int i = 0; i < to.sets; ++i) {
    if (to.set_bytes == kPanelRows) {
      to.set(g, i)[r] = static_cast<Byte>(group.set[i]);
    } else {
      write_u16(to.set(g, i) + 2 * r, group.set[i]);
    }
  }
  if (g % kSuperGroups == 0) {
    for (int i = 0; i < to.header_sets; ++i) write_u16(to.header(g, i) + 2 * r, group.header[i]);
  }
}

// Nibbles of Q4_0 and Q4_1 pair inputs as panels do: four bytes move as they are.
void pack_q4_row(const Byte* row, bool has_minimum, int r, int groups, const PanelWriter& to) {
  const int head = has_minimum ? 4 : 2, stored_bytes = head + 16;
  for (int g = 0; g < groups; ++g, row += stored_bytes) {
    for (int j = 0; j < 4; ++j) std::memcpy(to.line(g, j) + 4 * r, row + head + 4 * j, 4);
    std::memcpy(to.set(g, 0) + 2 * r, row, 2);
    if (has_minimum) std::memcpy(to.set(g, 1) + 2 * r, row + 2, 2);
  }
}

void pack_quantized_row(DType dtype, const Byte* row, int r, int groups, const PanelWriter& to) {
  if (dtype == DType::kQ4_0 || dtype == DType::kQ4_1 || dtype == DType::kU4Zero) {
    pack_q4_row(row, dtype != DType::kQ4_0, r, groups, to);
    return;
  }
  Group group;
  for (int g = 0; g < groups; ++g) {
    read_group(dtype, row, g, group);
    write_group(group, r, g, to);
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
    write_group(group, r, g, to);
  }
}

void clear_panel(int groups, const PanelWriter& to) {
  for (int g = 0; g < groups; ++g) {
    for (int j = 0; j < to.lines; ++j) {
      std::memset(to.line(g, j), 0, static_cast<std::size_t>(to.line_bytes));
    }
    for (int i = 0; i < to.sets; ++i) {
      std::memset(to.set(g, i), 0, static_cast<std::size_t>(to.set_bytes));
    }
    for (int i = 0; g % kSuperGroups == 0 && i < to.header_sets; ++i) {
      std::memset(to.header(g, i), 0, 2 * kPanelRows);
    }
  }
}

constexpr std::int64_t kLargePage = 2 << 20;
// Address space, not memory: pages appear when they are first written.
constexpr std::int64_t kChunkBytes = 64 << 20;

std::shared_ptr<std::byte> allocate(std::int64_t size, std::int64_t alignment) {
  void* memory = nullptr;
  const auto bytes = static_cast<std::size_t>(std::max<std::int64_t>(size, 64));
  if (posix_memalign(&memory, static_cast<std::size_t>(alignment), bytes) != 0) {
    throw std::bad_alloc();
  }
#if defined(__linux__)
  if (alignment == kLargePage) {
    madvise(memory, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);  // a wish, may be refused
  }
#endif
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

// The chunk being filled. Weak, so that it goes when the model goes.
struct FillingChunk {
  std::mutex mutex;  // guards the rest; models may be loaded on several threads
  std::weak_ptr<std::byte> memory;
  std::int64_t used = 0;

  // With the mutex held. Nothing was ever written behind `used`, but the large page that `used`
  // lies in is resident as a whole.
  void release_unfilled() {
    const std::shared_ptr<std::byte> chunk = memory.lock();
#if defined(__linux__)
    const auto page = static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
    const std::int64_t begin = (used + page - 1) / page * page;
    if (chunk == nullptr || begin >= kChunkBytes) return;
    madvise(chunk.get() + begin, static_cast<std::size_t>(kChunkBytes - begin), MADV_DONTNEED);
#endif
  }
};

FillingChunk& filling_chunk() {
  static FillingChunk filling;
  return filling;
}

}  // namespace

PackedBytes::PackedBytes(std::int64_t size) : data_(allocate(size, 64)), size_(size) {}

PackedBytes PackedBytes::on_large_pages(std::int64_t size) {
  PackedBytes bytes;
  bytes.size_ = size;
  if (size > kChunkBytes / 4) {
    bytes.data_ = allocate(size, kLargePage);
    return bytes;
  }
  FillingChunk& filling = filling_chunk();
  const std::lock_guard lock(filling.mutex);
  std::shared_ptr<std::byte> chunk = filling.memory.lock();
  if (chunk == nullptr || filling.used + size > kChunkBytes) {
    filling.release_unfilled();
    chunk = allocate(kChunkBytes, kLargePage);
    filling.memory = chunk;
    filling.used = 0;
  }
  bytes.data_ = std::shared_ptr<std::byte>(chunk, chunk.get() + filling.used);
  filling.used += (size + 63) / 64 * 64;
  return bytes;
}

void PackedBytes::release_unfilled() {
  FillingChunk& filling = filling_chunk();
  const std::lock_guard lock(filling.mutex);
  filling.release_unfilled();
}

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
      stored = PanelKind::kU4Min;
      break;
    case DType::kQ5_0:
    case DType::kQ5_1:
      stored = PanelKind::kU5Min;
      break;
    case DType::kQ8_0:
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
    case DType::kQ2_K:
      stored = PanelKind::kI8;
      break;
    case DType::kQ4_K:
      stored = PanelKind::kU4K;
      break;
    case DType::kQ5_K:
      stored = PanelKind::kU5K;
      break;
    case DType::kQ6_K:
    case DType::kQ3_K:
      stored = PanelKind::kU6K;
      break;
    case DType::kU4Zero:
      stored = PanelKind::kU4Zero;
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
      return !is_float(stored) && kPanelLines[static_cast<int>(stored)] == 4 ? stored
                                                                             : PanelKind::kU4;
  }
  return stored;
}

namespace {

// A matrix in pieces: all rows of the panel at once, as its pieces may lie column by column.
void pack_from_source(const RawTensor& tensor, std::int64_t first_row, int count, PanelKind kind,
                      int groups, const PanelWriter& to, std::vector<float>& scratch) {
  const std::int64_t in = tensor.row_elements(),
                     padded = static_cast<std::int64_t>(groups) * kGroup;
  scratch.resize(static_cast<std::size_t>(count * in + padded));
  if (has_groups(tensor.dtype) && panel_kind(tensor.dtype, WeightFormat::kStored) == kind) {
    const DTypeInfo& info = dtype_info(tensor.dtype);
    const std::int64_t row_bytes = in / info.block_elements * info.block_bytes;
    auto* blocks = reinterpret_cast<std::byte*>(scratch.data());
    tensor.source->read_blocks(tensor.dtype, first_row, count, blocks);
    for (int r = 0; r < count; ++r) {
      pack_quantized_row(tensor.dtype, bytes(blocks) + r * row_bytes, r, groups, to);
    }
    return;
  }
  float* values = scratch.data() + padded;
  tensor.source->read(first_row, count, values);
  for (int r = 0; r < count; ++r) {
    std::copy_n(values + r * in, in, scratch.data());
    std::fill(scratch.data() + in, scratch.data() + padded, 0.0f);
    pack_values(scratch.data(), kind, r, groups, to);
  }
}

}  // namespace

void pack_panel(const RawTensor& tensor, std::int64_t first_row, int count, PanelKind kind,
                int groups, const PanelPlace& place, std::vector<float>& scratch_memory) {
  const PanelWriter to(place, kind);
  const std::int64_t in = tensor.row_elements(),
                     padded = static_cast<std::int64_t>(groups) * kGroup;
  if (count < kPanelRows || in != padded) clear_panel(groups, to);
  if (tensor.source != nullptr) {
    pack_from_source(tensor, first_row, count, kind, groups, to, scratch_memory);
    return;
  }
  scratch_memory.resize(static_cast<std::size_t>(padded));
  float* scratch = scratch_memory.data();
  const DType dtype = tensor.dtype;
  const bool as_stored = panel_kind(dtype, WeightFormat::kStored) == kind;
  const bool half = dtype == DType::kF16 || dtype == DType::kBF16;
  for (int r = 0; r < count; ++r) {
    const Byte* row = bytes(tensor.row(first_row + r));
    if (as_stored && has_groups(dtype)) {
      pack_quantized_row(dtype, row, r, groups, to);
    } else if (as_stored && half) {
      pack_half_row(row, in, kind, r, to);
    } else {
      dequantize_row(tensor, first_row + r, scratch);
      std::fill(scratch + in, scratch + padded, 0.0f);
      pack_values(scratch, kind, r, groups, to);
    }
  }
}

namespace {

// The quants of a group, whatever the kind.
void read_quants(const PanelWriter& from, int g, int r, int* out) {
  if (from.kind == PanelKind::kI8) {
    for (int e = 0; e < kGroup; ++e) out[e] = from.line(g, e / 4)[4 * r + e % 4] - 128;
    return;
  }
  for (int e = 0; e < kGroup; ++e) {
    const int j = e % 16 / 4, i = 4 * r + e % 4, upper = e / 16;
    out[e] = from.line(g, j)[i] >> (4 * upper) & 15;
    if (from.lines == 5) out[e] |= (from.line(g, 4)[i] >> (4 * upper + j) & 1) << 4;
    if (from.lines == 6) out[e] |= (from.line(g, 4 + upper)[i] >> (2 * j) & 3) << 4;
  }
}

void unpack_group(const PanelWriter& from, int g, int r, float* out) {
  const auto half = [&](const Byte* set) { return f16_to_f32(read_u16(set + 2 * r)); };
  int q[kGroup];
  read_quants(from, g, r, q);
  const auto affine = [&](float scale, float minimum, int bias) {
    for (int e = 0; e < kGroup; ++e) out[e] = scale * static_cast<float>(q[e] - bias) + minimum;
  };
  switch (from.kind) {
    case PanelKind::kI8:
      return affine(half(from.set(g, 0)), 0.0f, 0);
    case PanelKind::kU4:
      return affine(half(from.set(g, 0)), 0.0f, 8);
    case PanelKind::kU4Min:
    case PanelKind::kU5Min:
      return affine(half(from.set(g, 0)), half(from.set(g, 1)), 0);
    case PanelKind::kU4Zero:
      return affine(half(from.set(g, 0)), half(from.set(g, 0)) * half(from.set(g, 1)), 0);
    case PanelKind::kU4K:
    case PanelKind::kU5K:
      return affine(half(from.header(g, 0)) * static_cast<float>(from.set(g, 0)[r]),
                    half(from.header(g, 1)) * static_cast<float>(from.set(g, 1)[r]), 0);
    default:
      break;
  }
  for (int e = 0; e < kGroup; ++e) {  // kU6K
    const auto scale = static_cast<std::int8_t>(from.set(g, e / 16)[r]);
    out[e] = half(from.header(g, 0)) * static_cast<float>(scale) * static_cast<float>(q[e] - 32);
  }
}

}  // namespace

void unpack_row(const PanelPlace& place, PanelKind kind, int groups, int r, float* out) {
  const PanelWriter from(place, kind);
  for (int g = 0; g < groups; ++g, out += kGroup) {
    if (!is_float(kind)) {
      unpack_group(from, g, r, out);
      continue;
    }
    for (int e = 0; e < kGroup; ++e) {
      if (kind == PanelKind::kF32) {
        std::memcpy(out + e, from.line(g, e) + 4 * r, 4);
      } else {
        const std::uint16_t bits =
            read_u16(half_place(kind, static_cast<std::int64_t>(g) * kGroup + e, r, from));
        out[e] = kind == PanelKind::kBF16 ? bf16_to_f32(bits) : f16_to_f32(bits);
      }
    }
  }
}

}  // namespace tessera

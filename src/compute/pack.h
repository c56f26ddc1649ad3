// Weights from a file's layout into panels (docs/formats/packed-weights.md). Used by linear.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "compute/kernels.h"
#include "compute/linear.h"

namespace tessera {

// Bytes aligned to 64.
class PackedBytes {
 public:
  PackedBytes() = default;
  explicit PackedBytes(std::int64_t size);  // throws std::bad_alloc
  // Memory for weights, on large pages where the system has them: read through 4 KiB pages, a
  // stream of weights takes a third longer. Small matrices share chunks, each freed with the last
  // matrix in it.
  static PackedBytes on_large_pages(std::int64_t size);
  // What the last large page of the chunk being filled holds beyond its matrices goes back to the
  // system; a matrix that comes later makes it resident again. Any thread.
  static void release_unfilled();

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }

 private:
  std::shared_ptr<std::byte> data_;  // shared by the matrices of a chunk
  std::int64_t size_ = 0;
};

// Consecutive output rows of one kind, in slabs (see MatmulJob). Gated: gate and up rows.
struct PanelRun {
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t slabs = 0;
  PanelKind kind = PanelKind::kF32;
  PanelKind up_kind = PanelKind::kF32;
  std::int64_t slab_bytes = 0;  // of every slab but a last one with a single panel
  std::int64_t offset = 0;      // of the first slab in Packed::data
};

struct Linear::Packed {
  std::int64_t in = 0, out = 0;
  int groups = 0;
  bool gated = false;
  ActivationFormat activations = ActivationFormat::kF32;
  std::vector<PanelRun> runs;
  std::vector<float> bias;
  PackedBytes data;
};

// How a tensor of this type is held under `format`. 4-bit files stay 4-bit, and so on; kInt8 and
// kInt4 leave alone what is already quantised as far. Throws Error(kBadModelFile) for types that
// no matrix product takes (integers, BOOL).
PanelKind panel_kind(DType dtype, WeightFormat format);

// A panel to be: number `which` of the `ways` (1 or 2) that share a slab.
struct PanelPlace {
  std::byte* slab;
  int ways;
  int which;
};

// Packs rows [first_row, first_row + count) of `tensor` as one panel; rows beyond `count` become
// zero. Calls for different panels may run at the same time, each with a scratch of its own.
void pack_panel(const RawTensor& tensor, std::int64_t first_row, int count, PanelKind kind,
                int groups, const PanelPlace& place, std::vector<float>& scratch);

// Writes row `row` (0 to 15) of a panel: groups * 32 values, what the kernels compute with.
void unpack_row(const PanelPlace& place, PanelKind kind, int groups, int row, float* out);

inline int panel_group_bytes(PanelKind kind) { return kPanelGroupBytes[static_cast<int>(kind)]; }

}  // namespace tessera

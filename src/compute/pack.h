// Weights from a file's layout into panels (docs/formats/packed-weights.md). Used by linear.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "compute/kernels.h"
#include "compute/linear.h"

namespace tessera {

// Aligned bytes that large pages may back.
class PackedBytes {
 public:
  PackedBytes() = default;
  explicit PackedBytes(std::int64_t size);  // throws std::bad_alloc
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte[], Free> data_;
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
// zero. scratch: groups * 32 floats. Calls for different panels may run at the same time.
void pack_panel(const RawTensor& tensor, std::int64_t first_row, int count, PanelKind kind,
                int groups, const PanelPlace& place, float* scratch);

inline int panel_group_bytes(PanelKind kind) { return kPanelGroupBytes[static_cast<int>(kind)]; }

}  // namespace tessera

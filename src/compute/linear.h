// A weight matrix repacked for the machine's kernels, and its product with activations.
//
// The packed layout is canonical for all instruction sets (panels of 16 output rows; see
// docs/formats/packed-weights.md); files in any stored type are repacked at load, so the forward
// pass never touches the mapped file. The result of a row does not depend on the other rows in the
// call, nor on the number of threads: every path accumulates in the same order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "compute/parallel.h"
#include "compute/tensor.h"

namespace tessera {

// How weights are held at run time. kStored keeps the precision of the file (4-bit files stay
// 4-bit, Q8_0 and the K-quants of more than 4 bits become 8-bit, BF16 stays BF16, F16 and F32
// stay).
enum class WeightFormat : std::uint8_t { kStored, kF32, kBF16, kInt8, kInt4 };

// What the kernels want to read: f32 as is, bf16, int8 with one scale per 32 elements, or that and
// the same of what is left over in groups that an outlier has made coarse (at most two of a row).
enum class ActivationFormat : std::uint8_t { kF32, kBF16, kInt8, kInt8Outliers };

// Rows of activations prepared once for one or several Linears of the same format.
// Reused between calls; grows, never shrinks. Not thread-safe.
class Activation {
 public:
  Activation();
  ~Activation();
  Activation(Activation&&) noexcept;
  Activation& operator=(Activation&&) noexcept;

  // x: [rows, cols]. Quantises or rounds as `format` says.
  void prepare(const Tensor& x, ActivationFormat format, ThreadPool& pool);
  // The same for rms_norm(x) * weight without writing the normalised rows to memory. weight:
  // [cols].
  void prepare_rms_norm(const Tensor& x, std::span<const float> weight, float epsilon,
                        ActivationFormat format, ThreadPool& pool);

  // The same for layer_norm(x) * weight + bias; bias: [cols] or empty.
  void prepare_layer_norm(const Tensor& x, std::span<const float> weight,
                          std::span<const float> bias, float epsilon, ActivationFormat format,
                          ThreadPool& pool);

  std::int64_t rows() const;
  std::int64_t cols() const;
  ActivationFormat format() const;

  struct Storage;  // kernels only
  const Storage& storage() const { return *storage_; }

 private:
  std::unique_ptr<Storage> storage_;
};

enum class Gate : std::uint8_t { kSilu, kGelu };

class Linear {
 public:
  Linear();
  ~Linear();
  Linear(Linear&&) noexcept;
  Linear& operator=(Linear&&) noexcept;

  // Stacks `parts` ([out_i, in] each, same in) along the output; bias is empty or [sum of out_i].
  // Throws Error(kBadModelFile) when the shapes disagree.
  static Linear pack(std::span<const RawTensor> parts, std::span<const float> bias,
                     WeightFormat format, ThreadPool& pool);
  // Quantised kinds take kInt8Outliers from now on: what comes out of a norm has outliers, and they
  // make more than half of the noise.
  Linear& expect_outliers();
  // Gate and up projections of a gated MLP, interleaved panel by panel: [intermediate, in] each.
  static Linear pack_gated(const RawTensor& gate, const RawTensor& up, WeightFormat format,
                           ThreadPool& pool);

  std::int64_t in_features() const;
  std::int64_t out_features() const;  // of pack_gated: intermediate
  std::int64_t bytes() const;         // resident size of the packed weights
  ActivationFormat activation_format() const;

  // Row `index` of W as the products see it: in_features() values. Not after pack_gated.
  void read_row(std::int64_t index, float* out) const;

  // y = x W^T + b. x: [rows, in]; y is resized to [rows, out].
  void forward(const Activation& x, Tensor& y, ThreadPool& pool) const;
  // y += x W^T + b. y: [rows, out].
  void forward_add(const Activation& x, Tensor& y, ThreadPool& pool) const;
  // y = gate(x W_gate^T) * (x W_up^T); only after pack_gated. y is resized to [rows, intermediate].
  void forward_gated(const Activation& x, Gate gate, Tensor& y, ThreadPool& pool) const;

  struct Packed;  // kernels only

 private:
  std::unique_ptr<Packed> packed_;
};

}  // namespace tessera

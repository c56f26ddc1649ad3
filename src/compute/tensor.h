// The two shapes of numbers that compute/ knows: RawTensor, a view of weights as a file stores
// them, and Tensor, an owned f32 matrix of activations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace tessera {

// Element and block types of safetensors and GGUF files.
enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kU8,
  kI16,
  kI32,
  kI64,
  kBool,
  kF8E4M3,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kQ2_K,
  kQ3_K,
  kIQ4_NL,
  kIQ4_XS,
  // As Q4_1, but the second number is the zero point: d * (q + z), z = 0, -1, …. In no file; rows
  // of GPTQ, AWQ and packed int4 weights are turned into it.
  kU4Zero,
};
inline constexpr int kDTypes = static_cast<int>(DType::kU4Zero) + 1;

struct DTypeInfo {
  std::string_view name;  // "F32", "BF16", "Q4_K"
  int block_elements;     // 1 for plain types
  int block_bytes;
};
const DTypeInfo& dtype_info(DType dtype);

// A matrix that its files hold in pieces (packed integers, scales, zero points), read row by row.
// Immutable, safe from any thread.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // The type in which the rows are held best: a block type that read_blocks() writes, or a float
  // type. May look at all scales and zero points, which RawTensor::dtype, a guess, has not done.
  virtual DType best_type() const = 0;
  // The exact values of rows [first, first + count): [count, row_elements].
  virtual void read(std::int64_t first, std::int64_t count, float* out) const = 0;
  // The same rows as rows of `type`, a block type that best_type() has named.
  virtual void read_blocks(DType type, std::int64_t first, std::int64_t count,
                           std::byte* out) const = 0;
  // Gives back the file pages that reading made resident.
  virtual void release_pages() const = 0;
};

// A read-only view of a tensor in a mapped file. Row-major; shape is outermost first ([out, in] for
// a Linear). `data` stays valid as long as the Checkpoint it came from. Views of parts are made
// from a copy of the whole, so that they keep `file`.
struct RawTensor {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
  // The mapping that data lies in; empty when it is other memory. Packing gives pages of it back.
  std::span<const std::byte> file;
  // Set: the rows come from here, `data` is null and `dtype` what best_type() is expected to be.
  std::shared_ptr<const RowSource> source;

  std::int64_t elements() const;
  std::int64_t bytes() const;
  std::int64_t rows() const { return shape.size() < 2 ? 1 : shape[0]; }
  std::int64_t row_elements() const { return rows() == 0 ? 0 : elements() / rows(); }
  const std::byte* row(std::int64_t index) const;
};

// Writes row_elements() floats: the exact values that the stored row stands for.
void dequantize_row(const RawTensor& tensor, std::int64_t row, float* out);
// Any run of whole blocks, e.g. a whole vector.
void dequantize(DType dtype, const std::byte* data, std::int64_t elements, float* out);

// Activations: f32, row-major [rows, cols], 64-byte aligned, rows padded to nothing.
// resize() keeps the allocation when it suffices, so one Tensor serves batches of any size.
class Tensor {
 public:
  Tensor() = default;
  Tensor(std::int64_t rows, std::int64_t cols) { resize(rows, cols); }
  void resize(std::int64_t rows, std::int64_t cols);  // contents are unspecified afterwards

  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  float* row(std::int64_t r) { return data_.get() + r * cols_; }
  const float* row(std::int64_t r) const { return data_.get() + r * cols_; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  std::int64_t rows_ = 0, cols_ = 0, capacity_ = 0;
  std::unique_ptr<float[], Free> data_;
};

}  // namespace tessera

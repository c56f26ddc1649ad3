#include "compute/tensor.h"

#include <cstdlib>
#include <new>

namespace tessera {

const DTypeInfo& dtype_info(DType dtype) {
  // In the order of the enumeration.
  static constexpr DTypeInfo kInfo[] = {
      {"F32", 1, 4},      {"F16", 1, 2},      {"BF16", 1, 2},       {"F64", 1, 8},
      {"I8", 1, 1},       {"U8", 1, 1},       {"I16", 1, 2},        {"I32", 1, 4},
      {"I64", 1, 8},      {"BOOL", 1, 1},     {"F8_E4M3", 1, 1},    {"Q4_0", 32, 18},
      {"Q4_1", 32, 20},   {"Q5_0", 32, 22},   {"Q5_1", 32, 24},     {"Q8_0", 32, 34},
      {"Q4_K", 256, 144}, {"Q5_K", 256, 176}, {"Q6_K", 256, 210},   {"Q2_K", 256, 84},
      {"Q3_K", 256, 110}, {"IQ4_NL", 32, 18}, {"IQ4_XS", 256, 136}, {"U4_ZERO", 32, 20},
  };
  static_assert(sizeof(kInfo) / sizeof(kInfo[0]) == kDTypes);
  return kInfo[static_cast<int>(dtype)];
}

std::int64_t RawTensor::elements() const {
  std::int64_t n = 1;
  for (std::int64_t extent : shape) n *= extent;
  return n;
}

std::int64_t RawTensor::bytes() const {
  const DTypeInfo& info = dtype_info(dtype);
  return elements() / info.block_elements * info.block_bytes;
}

const std::byte* RawTensor::row(std::int64_t index) const {
  const DTypeInfo& info = dtype_info(dtype);
  return data + index * (row_elements() / info.block_elements * info.block_bytes);
}

void Tensor::Free::operator()(float* p) const { std::free(p); }

void Tensor::resize(std::int64_t rows, std::int64_t cols) {
  const std::int64_t needed = rows * cols;
  if (needed > capacity_) {
    const std::size_t bytes = (static_cast<std::size_t>(needed) * sizeof(float) + 63) / 64 * 64;
    data_.reset();
    capacity_ = 0;
    data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (data_ == nullptr) throw std::bad_alloc();
    capacity_ = needed;
  }
  rows_ = rows;
  cols_ = cols;
}

}  // namespace tessera

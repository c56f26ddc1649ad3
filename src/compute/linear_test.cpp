#include "compute/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "compute/kernels.h"
#include "compute/norm.h"
#include "compute/quantize.h"

namespace tessera {
namespace {

using Floats = std::vector<float>;

Floats random_floats(std::size_t count, unsigned seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  Floats values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

// Blocks of the types that quantize() does not write: random bytes, but finite halves.
std::vector<std::byte> random_blocks(DType dtype, std::size_t count, unsigned seed) {
  const DTypeInfo& info = dtype_info(dtype);
  std::mt19937 generator(seed);
  std::vector<std::byte> bytes(count * static_cast<std::size_t>(info.block_bytes));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(generator());
  std::uniform_real_distribution<float> scale(0.001f, 0.01f);
  const auto set = [&](std::size_t block, int offset, float value) {
    const std::uint16_t half = f32_to_f16(value);
    std::memcpy(bytes.data() + block * static_cast<std::size_t>(info.block_bytes) + offset, &half,
                2);
  };
  for (std::size_t b = 0; b < count; ++b) {
    switch (dtype) {
      case DType::kQ2_K:
        set(b, 80, scale(generator));
        set(b, 82, scale(generator));
        break;
      case DType::kQ3_K:
        set(b, 108, scale(generator));
        break;
      case DType::kU4Zero:
        set(b, 2, -static_cast<float>(generator() % 17));
        [[fallthrough]];
      default:
        set(b, 0, scale(generator));
        break;
    }
  }
  return bytes;
}

// A matrix as a file would hold it, and the values it stands for.
struct Stored {
  std::vector<std::byte> bytes;
  Floats values;
  RawTensor tensor;

  Stored(DType dtype, int out, int in, unsigned seed) {
    const DTypeInfo& info = dtype_info(dtype);
    const Floats source = random_floats(static_cast<std::size_t>(out) * in, seed, 0.05f);
    if (can_quantize(dtype)) {
      bytes.resize(source.size() / info.block_elements * info.block_bytes);
      quantize(dtype, source.data(), static_cast<std::int64_t>(source.size()), bytes.data());
    } else {
      bytes = random_blocks(dtype, source.size() / info.block_elements, seed);
    }
    tensor = {dtype, {out, in}, bytes.data()};
    values.resize(source.size());
    for (int r = 0; r < out; ++r) dequantize_row(tensor, r, values.data() + std::size_t(r) * in);
  }
  Stored(const Stored&) = delete;
};

// The activations as the kernels see them: rounded to what `format` keeps.
Floats rounded_row(const float* x, int cols, ActivationFormat format) {
  Floats row(x, x + cols);
  if (format == ActivationFormat::kInt8Outliers) {
    row = rounded_row(x, cols, ActivationFormat::kInt8);
    double total = 0, largest = 0;
    int outlier = 0;
    for (int g = 0; g < cols; g += 32) {
      double peak = 0;
      for (int k = g; k < std::min(g + 32, cols); ++k)
        peak = std::max<double>(peak, std::fabs(x[k]));
      total += peak * peak;
      if (peak > largest) {
        largest = peak;
        outlier = g;
      }
    }
    if (largest * largest <= kOutlierShare * total) return row;
    const int end = std::min(outlier + 32, cols);
    Floats rest(x + outlier, x + end);
    for (int k = outlier; k < end; ++k) rest[k - outlier] -= row[k];
    rest = rounded_row(rest.data(), end - outlier, ActivationFormat::kInt8);
    for (int k = outlier; k < end; ++k) row[k] += rest[k - outlier];
    return row;
  }
  if (format == ActivationFormat::kBF16) {
    for (float& v : row) v = bf16_to_f32(f32_to_bf16(v));
  } else if (format == ActivationFormat::kInt8) {
    for (int g = 0; g < cols; g += 32) {
      const int end = std::min(g + 32, cols);
      float peak = 0;
      for (int k = g; k < end; ++k) peak = std::max(peak, std::fabs(row[k]));
      const float inverse = peak > 1e-30f ? 127.0f / peak : 0.0f, step = peak * (1.0f / 127.0f);
      for (int k = g; k < end; ++k) row[k] = std::nearbyint(row[k] * inverse) * step;
    }
  }
  return row;
}

struct Exact {
  double value = 0;
  double magnitude = 0;  // sum of |w * a|, the yardstick of rounding errors
};

Exact exact_dot(const float* w, const Floats& a) {
  Exact sum;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double term = static_cast<double>(w[k]) * a[k];
    sum.value += term;
    sum.magnitude += std::fabs(term);
  }
  return sum;
}

// Relative to the sum of magnitudes. In f32 n additions err by at most n 2^-24; quantised kinds add
// two roundings per group, but keep the stored weights exactly. Quants and minimum have opposite
// signs, so the yardstick is smaller than the parts: factor 8.
double tolerance(DType dtype, ActivationFormat format, int in) {
  const bool integer =
      format == ActivationFormat::kInt8 || format == ActivationFormat::kInt8Outliers;
  const double steps = integer ? 3.0 * in / 16 + 4 : in + 4;
  const bool minima = dtype == DType::kQ4_1 || dtype == DType::kQ5_0 || dtype == DType::kQ5_1 ||
                      dtype == DType::kQ4_K || dtype == DType::kQ5_K || dtype == DType::kU4Zero;
  return (minima ? 8 : 1) * steps * 0x1p-24 + 0x1p-22;
}

Tensor to_tensor(const Floats& values, int rows, int cols) {
  Tensor tensor(rows, cols);
  std::memcpy(tensor.data(), values.data(), values.size() * sizeof(float));
  return tensor;
}

struct Case {
  std::string isa;
  DType dtype;
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.isa + "_" + std::string(dtype_info(info.param.dtype).name);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* isa : {"generic", "avx2", "avx512vnni", "avx512"}) {
    if (find_kernels(isa) == nullptr) continue;  // this machine has no such instructions
    for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                        DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ4_K, DType::kQ5_K,
                        DType::kQ6_K, DType::kQ3_K, DType::kIQ4_NL, DType::kU4Zero}) {
      cases.push_back({isa, dtype});
    }
  }
  return cases;
}

class LinearKinds : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { force_kernels(find_kernels(GetParam().isa.c_str())); }
  void TearDown() override { force_kernels(nullptr); }

  std::vector<int> input_sizes() const {
    const int block = dtype_info(GetParam().dtype).block_elements;
    if (block == 1) return {64, 100, 33, 576};
    return block == 32 ? std::vector<int>{32, 64, 576, 1536} : std::vector<int>{256, 1536};
  }
  ThreadPool one_{1}, two_{2};
};

TEST_P(LinearKinds, MatchesTheReferenceForEveryNumberOfRows) {
  unsigned seed = 1;
  for (int in : input_sizes()) {
    for (int out : {16, 37, 5}) {
      const Stored weight(GetParam().dtype, out, in, ++seed);
      const Floats bias = random_floats(out, ++seed);
      const Linear linear = Linear::pack({&weight.tensor, 1}, bias, WeightFormat::kStored, two_);
      ASSERT_EQ(linear.in_features(), in);
      ASSERT_EQ(linear.out_features(), out);
      const std::vector<int> all_rows = {1, 2, 3, 5, 7, 8, 9, 12, 13, 16, 17, 33, 100};
      for (int rows : out == 37 ? all_rows : std::vector<int>{1, 17}) {
        const Floats x = random_floats(std::size_t(rows) * in, ++seed);
        Activation activation;
        activation.prepare(to_tensor(x, rows, in), linear.activation_format(), two_);
        Tensor y;
        linear.forward(activation, y, two_);
        ASSERT_EQ(y.rows(), rows);
        ASSERT_EQ(y.cols(), out);
        for (int t = 0; t < rows; ++t) {
          const Floats a =
              rounded_row(x.data() + std::size_t(t) * in, in, linear.activation_format());
          for (int r = 0; r < out; ++r) {
            const Exact exact = exact_dot(weight.values.data() + std::size_t(r) * in, a);
            const double bound =
                exact.magnitude * tolerance(GetParam().dtype, linear.activation_format(), in) +
                std::fabs(bias[r]) * 0x1p-22 + 1e-12;
            ASSERT_NEAR(y.row(t)[r], exact.value + bias[r], bound)
                << "in " << in << " out " << out << " rows " << rows << " at " << t << ", " << r;
          }
        }
      }
    }
  }
}

// Rows whose outliers lie in different groups, or nowhere, share a tile.
TEST_P(LinearKinds, AnOutlierIsRoundedTwice) {
  const int in = input_sizes().back(), out = 37, groups = in / 32;
  const Stored weight(GetParam().dtype, out, in, 21), other(GetParam().dtype, out, in, 22);
  Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kStored, two_);
  Linear gated = Linear::pack_gated(weight.tensor, other.tensor, WeightFormat::kStored, two_);
  const ActivationFormat plain = linear.activation_format();
  linear.expect_outliers();
  gated.expect_outliers();
  const ActivationFormat format = linear.activation_format();
  ASSERT_EQ(format, plain == ActivationFormat::kInt8 ? ActivationFormat::kInt8Outliers : plain);
  ASSERT_EQ(gated.activation_format(), format);
  for (int rows : {1, 2, 3, 4, 7, 20}) {
    Floats x = random_floats(std::size_t(rows) * in, 22 + rows);
    for (int t = 0; t < rows; ++t) {
      if (t % 4 != 3) x[std::size_t(t) * in + t * 7 % groups * 32 + t % 32] = t % 2 ? 60 : -60;
    }
    Activation activation, single;
    activation.prepare(to_tensor(x, rows, in), format, two_);
    Tensor y, y_gated, alone;
    linear.forward(activation, y, two_);
    gated.forward_gated(activation, Gate::kSilu, y_gated, two_);
    for (int t = 0; t < rows; ++t) {
      const Floats row(x.begin() + std::size_t(t) * in, x.begin() + std::size_t(t + 1) * in);
      single.prepare(to_tensor(row, 1, in), format, one_);
      linear.forward(single, alone, one_);
      ASSERT_EQ(std::memcmp(y.row(t), alone.data(), sizeof(float) * out), 0) << rows << " " << t;
      gated.forward_gated(single, Gate::kSilu, alone, one_);
      ASSERT_EQ(std::memcmp(y_gated.row(t), alone.data(), sizeof(float) * out), 0) << t;
      const Floats a = rounded_row(row.data(), in, format);
      for (int r = 0; r < out; ++r) {
        const Exact exact = exact_dot(weight.values.data() + std::size_t(r) * in, a);
        ASSERT_NEAR(y.row(t)[r], exact.value,
                    exact.magnitude * tolerance(GetParam().dtype, format, in) + 1e-12)
            << rows << " " << t << " " << r;
      }
    }
  }
}

TEST_P(LinearKinds, ARowInABatchEqualsTheRowAloneWithAnyNumberOfThreads) {
  const int in = input_sizes().back(), out = 160;
  const Stored weight(GetParam().dtype, out, in, 7), up(GetParam().dtype, out, in, 8);
  const Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kStored, one_);
  const Linear gated = Linear::pack_gated(weight.tensor, up.tensor, WeightFormat::kStored, two_);
  const Floats norm = random_floats(in, 11);
  for (int rows : {1, 2, 3, 7, 8, 9, 16, 17, 33, 100}) {
    const Floats x = random_floats(std::size_t(rows) * in, 9 + rows);
    const Tensor batch = to_tensor(x, rows, in);
    Activation activation, serial, single;
    activation.prepare_rms_norm(batch, norm, 1e-5f, linear.activation_format(), two_);
    serial.prepare_rms_norm(batch, norm, 1e-5f, linear.activation_format(), one_);
    Tensor y, y_serial, y_gated, y_single;
    linear.forward(activation, y, two_);
    linear.forward(serial, y_serial, one_);
    gated.forward_gated(activation, Gate::kSilu, y_gated, two_);
    ASSERT_EQ(std::memcmp(y.data(), y_serial.data(), sizeof(float) * rows * out), 0);
    for (int t = 0; t < rows; ++t) {
      const Floats row(x.begin() + std::size_t(t) * in, x.begin() + std::size_t(t + 1) * in);
      single.prepare_rms_norm(to_tensor(row, 1, in), norm, 1e-5f, linear.activation_format(), one_);
      linear.forward(single, y_single, one_);
      ASSERT_EQ(std::memcmp(y.row(t), y_single.data(), sizeof(float) * out), 0) << rows << " " << t;
      gated.forward_gated(single, Gate::kSilu, y_single, one_);
      ASSERT_EQ(std::memcmp(y_gated.row(t), y_single.data(), sizeof(float) * out), 0);
    }
  }
}

TEST_P(LinearKinds, GatedAndAddAgreeWithPlainProducts) {
  const int in = input_sizes().back(), out = 53;  // not a multiple of a panel
  const Stored gate(GetParam().dtype, out, in, 3), up(GetParam().dtype, out, in, 4);
  const RawTensor parts[] = {gate.tensor, up.tensor};
  const Linear plain = Linear::pack(parts, {}, WeightFormat::kStored, two_);
  const Linear gated = Linear::pack_gated(gate.tensor, up.tensor, WeightFormat::kStored, two_);
  ASSERT_EQ(plain.out_features(), 2 * out);
  ASSERT_EQ(gated.out_features(), out);
  for (int rows : {1, 6, 30}) {
    const Tensor x = to_tensor(random_floats(std::size_t(rows) * in, 5), rows, in);
    Activation activation;
    activation.prepare(x, plain.activation_format(), two_);
    Tensor both, silu, gelu;
    plain.forward(activation, both, two_);
    gated.forward_gated(activation, Gate::kSilu, silu, two_);
    gated.forward_gated(activation, Gate::kGelu, gelu, two_);
    Tensor sum(rows, 2 * out);
    for (int i = 0; i < rows * 2 * out; ++i) sum.data()[i] = static_cast<float>(i);
    plain.forward_add(activation, sum, two_);
    for (int t = 0; t < rows; ++t) {
      for (int r = 0; r < out; ++r) {
        const double g = both.row(t)[r], u = both.row(t)[out + r];
        const double wanted_silu = g / (1 + std::exp(-g)) * u;
        const double wanted_gelu = 0.5 * g * (1 + std::erf(g / std::sqrt(2.0))) * u;
        ASSERT_NEAR(silu.row(t)[r], wanted_silu, 1e-6 * (std::fabs(wanted_silu) + 1e-3));
        ASSERT_NEAR(gelu.row(t)[r], wanted_gelu, 1e-6 * std::fabs(g * u) + 1e-9);
        ASSERT_EQ(sum.row(t)[r], static_cast<float>(t * 2 * out + r) + both.row(t)[r]);
      }
    }
  }
}

TEST_P(LinearKinds, NormalisesWhilePreparing) {
  const int in = input_sizes()[1], rows = 5;
  const Stored weight(GetParam().dtype, 32, in, 3);
  const Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kF32, two_);
  const Floats x = random_floats(std::size_t(rows) * in, 5, 3.0f), norm = random_floats(in, 6);
  Activation activation;
  activation.prepare_rms_norm(to_tensor(x, rows, in), norm, 1e-5f, ActivationFormat::kF32, two_);
  Tensor y;
  linear.forward(activation, y, two_);
  for (int t = 0; t < rows; ++t) {
    double squares = 0;
    for (int k = 0; k < in; ++k) squares += double(x[t * in + k]) * x[t * in + k];
    const double scale = 1 / std::sqrt(squares / in + 1e-5);
    Floats a(in);
    for (int k = 0; k < in; ++k) a[k] = static_cast<float>(x[t * in + k] * scale * norm[k]);
    for (int r = 0; r < 32; ++r) {
      const Exact exact = exact_dot(weight.values.data() + std::size_t(r) * in, a);
      ASSERT_NEAR(y.row(t)[r], exact.value, exact.magnitude * (in + 16) * 0x1p-24);
    }
  }
}

// The same bits as normalising first, in every format of activations.
TEST_P(LinearKinds, PreparesLayerNormAsIfNormalisedBefore) {
  const int in = input_sizes()[1], rows = 5;
  const Stored weight(GetParam().dtype, 32, in, 3);
  const Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kStored, two_);
  const Tensor x = to_tensor(random_floats(std::size_t(rows) * in, 5, 3.0f), rows, in);
  const Floats norm = random_floats(in, 6), bias = random_floats(in, 7);
  for (const std::span<const float> b : {std::span<const float>(bias), std::span<const float>()}) {
    Tensor normalized, want, got;
    layer_norm(x, norm, b, 1e-5f, normalized, two_);
    Activation before, fused;
    before.prepare(normalized, linear.activation_format(), two_);
    linear.forward(before, want, two_);
    for (ThreadPool* pool : {&one_, &two_}) {
      fused.prepare_layer_norm(x, norm, b, 1e-5f, linear.activation_format(), *pool);
      linear.forward(fused, got, *pool);
      for (int t = 0; t < rows; ++t) {
        for (int r = 0; r < 32; ++r) ASSERT_EQ(got.row(t)[r], want.row(t)[r]);
      }
    }
  }
}

TEST_P(LinearKinds, ConvertsToOtherFormatsAtLoad) {
  const int in = input_sizes()[1], out = 40, rows = 9;
  const Stored weight(GetParam().dtype, out, in, 21);
  const Tensor x = to_tensor(random_floats(std::size_t(rows) * in, 22), rows, in);
  for (WeightFormat format :
       {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kInt8, WeightFormat::kInt4}) {
    const Linear linear = Linear::pack({&weight.tensor, 1}, {}, format, two_);
    Activation activation;
    activation.prepare(x, linear.activation_format(), two_);
    Tensor y;
    linear.forward(activation, y, two_);
    // Half a step of the format, relative to the largest weight of a group.
    const double step = format == WeightFormat::kF32    ? 1e-9
                        : format == WeightFormat::kBF16 ? 0x1p-9
                        : format == WeightFormat::kInt8 ? 0.51 / 127
                                                        : 1.1 / 8;
    for (int t = 0; t < rows; ++t) {
      const Floats a = rounded_row(x.row(t), in, linear.activation_format());
      for (int r = 0; r < out; ++r) {
        const float* w = weight.values.data() + std::size_t(r) * in;
        const Exact exact = exact_dot(w, a);
        double bound = exact.magnitude * (in * 0x1p-23) + 1e-12;
        for (int g = 0; g < in; g += 32) {
          const int end = std::min(g + 32, in);
          double peak = 0, inputs = 0;
          for (int k = g; k < end; ++k) {
            peak = std::max<double>(peak, std::fabs(w[k]));
            inputs += std::fabs(a[k]);
          }
          bound += step * peak * inputs;
        }
        ASSERT_NEAR(y.row(t)[r], exact.value, bound);
      }
    }
  }
}

TEST_P(LinearKinds, RowsReadBackAreTheStoredOnes) {
  const DType dtype = GetParam().dtype;
  ThreadPool pool(2);
  for (const int out : {16, 40, 75}) {
    const Stored first(dtype, out, 256, 71), second(dtype, 5, 256, 72);
    const RawTensor parts[] = {first.tensor, second.tensor};
    for (const WeightFormat format : {WeightFormat::kStored, WeightFormat::kF32}) {
      const Linear linear = Linear::pack(parts, {}, format, pool);
      for (int r = 0; r < out + 5; ++r) {
        Floats row(256);
        linear.read_row(r, row.data());
        const float* wanted = r < out ? first.values.data() + std::size_t{256} * r
                                      : second.values.data() + std::size_t{256} * (r - out);
        for (int k = 0; k < 256; ++k) ASSERT_EQ(row[k], wanted[k]) << out << " " << r << " " << k;
      }
      EXPECT_THROW(linear.read_row(out + 5, nullptr), Error);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, LinearKinds, testing::ValuesIn(all_cases()), case_name);

class LinearOnEach : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { force_kernels(find_kernels(GetParam().c_str())); }
  void TearDown() override { force_kernels(nullptr); }
  ThreadPool pool_{2};
};

TEST_P(LinearOnEach, StacksPartsOfDifferentTypes) {
  // As in Q4_K_M files: q and k in one type, v in another; 24 rows do not fill their panels.
  const Stored q(DType::kQ4_K, 48, 256, 1), k(DType::kQ4_K, 24, 256, 2),
      v(DType::kQ6_K, 24, 256, 3);
  const RawTensor parts[] = {q.tensor, k.tensor, v.tensor};
  const Floats bias = random_floats(96, 4);
  const Linear all = Linear::pack(parts, bias, WeightFormat::kStored, pool_);
  const Tensor x = to_tensor(random_floats(3 * 256, 5), 3, 256);
  Activation activation;
  activation.prepare(x, all.activation_format(), pool_);
  Tensor y;
  all.forward(activation, y, pool_);
  int row = 0;
  for (const RawTensor& part : parts) {
    const auto rows = static_cast<int>(part.rows());
    const Linear alone =
        Linear::pack({&part, 1}, std::span(bias).subspan(row, rows), WeightFormat::kStored, pool_);
    Tensor wanted;
    alone.forward(activation, wanted, pool_);
    for (int t = 0; t < 3; ++t) {
      ASSERT_EQ(std::memcmp(y.row(t) + row, wanted.row(t), sizeof(float) * rows), 0);
    }
    row += rows;
  }
}

TEST_P(LinearOnEach, ExtremeQuantsDoNotSaturate) {
  // Every weight -128 or 127 times d = 1, every activation at its limit.
  for (const int extreme : {-128, 127}) {
    for (const float sign : {-1.0f, 1.0f}) {
      const int in = 64;
      std::vector<std::byte> bytes(16 * in / 32 * 34);
      for (std::size_t block = 0; block < bytes.size(); block += 34) {
        const std::uint16_t one = f32_to_f16(1.0f);
        std::memcpy(&bytes[block], &one, 2);
        std::memset(&bytes[block + 2], extreme, 32);
      }
      const RawTensor tensor = {DType::kQ8_0, {16, in}, bytes.data()};
      const Linear linear = Linear::pack({&tensor, 1}, {}, WeightFormat::kStored, pool_);
      Activation activation;
      activation.prepare(to_tensor(Floats(in, 127.0f * sign), 1, in), linear.activation_format(),
                         pool_);
      Tensor y;
      linear.forward(activation, y, pool_);
      for (int r = 0; r < 16; ++r) EXPECT_FLOAT_EQ(y.row(0)[r], in * 127.0f * sign * extreme);
    }
  }
}

TEST_P(LinearOnEach, ZerosTinyAndHugeActivationsStayFinite) {
  const Stored weight(DType::kQ4_0, 16, 64, 1);
  const Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kStored, pool_);
  for (float value : {0.0f, 1e-38f, 1e-44f, 1e30f}) {
    Activation activation;
    activation.prepare(to_tensor(Floats(64, value), 1, 64), linear.activation_format(), pool_);
    Tensor y;
    linear.forward(activation, y, pool_);
    for (int r = 0; r < 16; ++r) EXPECT_TRUE(std::isfinite(y.row(0)[r])) << value;
  }
}

INSTANTIATE_TEST_SUITE_P(All, LinearOnEach, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const char* isa : {"generic", "avx2", "avx512vnni", "avx512"}) {
                             if (find_kernels(isa) != nullptr) names.push_back(isa);
                           }
                           return names;
                         }()),
                         [](const auto& info) { return info.param; });

ErrorKind kind_of_failure(const auto& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_FALSE(error.message.empty());
    return error.kind;
  }
  return ErrorKind::kNotImplemented;
}

// Two types that no panel holds exactly: the scales of IQ4_XS are rounded to f16, Q2_K becomes
// int8.
TEST(Linear, HoldsNearlyWhatNoPanelHas) {
  ThreadPool pool(2);
  for (const auto& [dtype, relative] :
       {std::pair{DType::kIQ4_XS, 0x1p-11}, {DType::kQ2_K, 0.51 / 127}}) {
    const Stored weight(dtype, 20, 512, 5);
    const Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kStored, pool);
    EXPECT_EQ(linear.bytes(), 32 * 512 / 32 * 34);  // int8 and an f16 scale per 32, two panels
    for (int r = 0; r < 20; ++r) {
      Floats row(512);
      linear.read_row(r, row.data());
      for (int g = 0; g < 512; g += 32) {
        const float* wanted = weight.values.data() + r * 512 + g;
        float peak = 0;
        for (int k = 0; k < 32; ++k) peak = std::max(peak, std::fabs(wanted[k]));
        for (int k = 0; k < 32; ++k) {
          ASSERT_NEAR(row[static_cast<std::size_t>(g + k)], wanted[k], peak * relative);
        }
      }
    }
  }
}

// A matrix in pieces, as quantised Hugging Face folders have them.
class Pieces final : public RowSource {
 public:
  explicit Pieces(const Stored& whole) : whole_(whole) {}
  DType best_type() const override { return whole_.tensor.dtype; }
  void read(std::int64_t first, std::int64_t count, float* out) const override {
    const std::int64_t cols = whole_.tensor.row_elements();
    std::copy_n(whole_.values.data() + first * cols, count * cols, out);
  }
  void read_blocks(DType type, std::int64_t first, std::int64_t count,
                   std::byte* out) const override {
    EXPECT_EQ(type, whole_.tensor.dtype);
    const auto bytes = whole_.tensor.row(1) - whole_.tensor.row(0);
    std::memcpy(out, whole_.tensor.row(first), static_cast<std::size_t>(count * bytes));
  }
  void release_pages() const override {}

 private:
  const Stored& whole_;
};

TEST(Linear, PacksAMatrixInPiecesLikeOneInAPiece) {
  ThreadPool pool(2);
  for (const DType dtype : {DType::kU4Zero, DType::kQ8_0, DType::kBF16, DType::kF32}) {
    const Stored whole(dtype, 41, 96, 6);
    RawTensor pieces{DType::kF32, {41, 96}, nullptr};  // a guess until best_type() is asked
    pieces.source = std::make_shared<Pieces>(whole);
    Floats first(96);
    dequantize_row(pieces, 40, first.data());
    EXPECT_EQ(first, Floats(whole.values.end() - 96, whole.values.end()));
    for (const WeightFormat format :
         {WeightFormat::kStored, WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kInt8,
          WeightFormat::kInt4}) {
      const Linear a = Linear::pack({&whole.tensor, 1}, {}, format, pool);
      const Linear b = Linear::pack({&pieces, 1}, {}, format, pool);
      ASSERT_EQ(a.bytes(), b.bytes());
      for (int r = 0; r < 41; ++r) {
        Floats left(96), right(96);
        a.read_row(r, left.data());
        b.read_row(r, right.data());
        ASSERT_EQ(left, right) << dtype_info(dtype).name << " row " << r;
      }
    }
  }
}

TEST(Linear, WrongShapesAreErrorsOfTheModelFile) {
  ThreadPool pool(1);
  const Stored a(DType::kF32, 8, 64, 1), b(DType::kF32, 8, 32, 2), c(DType::kF32, 9, 64, 3);
  const RawTensor mixed[] = {a.tensor, b.tensor};
  const Floats bias(7);
  RawTensor vector = a.tensor;
  vector.shape = {512};
  RawTensor broken_blocks = {DType::kQ4_K, {1, 128}, a.bytes.data()};
  RawTensor integers = {DType::kI32, {8, 64}, a.bytes.data()};
  RawTensor negative = {DType::kF32, {-8, 64}, a.bytes.data()};
  const auto pack = [&](std::span<const RawTensor> parts, std::span<const float> bias = {}) {
    return kind_of_failure([&] { Linear::pack(parts, bias, WeightFormat::kStored, pool); });
  };
  EXPECT_EQ(pack(mixed), ErrorKind::kBadModelFile);
  EXPECT_EQ(pack({&a.tensor, 1}, bias), ErrorKind::kBadModelFile);
  EXPECT_EQ(pack({&vector, 1}), ErrorKind::kBadModelFile);
  EXPECT_EQ(pack({&broken_blocks, 1}), ErrorKind::kBadModelFile);
  EXPECT_EQ(pack({&integers, 1}), ErrorKind::kBadModelFile);
  EXPECT_EQ(pack({&negative, 1}), ErrorKind::kBadModelFile);
  EXPECT_EQ(
      kind_of_failure([&] { Linear::pack_gated(a.tensor, c.tensor, WeightFormat::kStored, pool); }),
      ErrorKind::kBadModelFile);
}

TEST(Linear, ActivationsThatDoNotFitAreRefused) {
  ThreadPool pool(1);
  const Stored weight(DType::kF32, 8, 64, 1);
  const Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kStored, pool);
  Activation wide, rounded;
  wide.prepare(to_tensor(Floats(96), 1, 96), ActivationFormat::kF32, pool);
  rounded.prepare(to_tensor(Floats(64), 1, 64), ActivationFormat::kInt8, pool);
  Tensor y;
  EXPECT_THROW(linear.forward(wide, y, pool), Error);
  EXPECT_THROW(linear.forward(rounded, y, pool), Error);
  EXPECT_THROW(linear.forward_gated(wide, Gate::kSilu, y, pool), Error);
  EXPECT_THROW(Linear().forward(wide, y, pool), Error);
}

TEST(Linear, NoRowsGiveNoOutput) {
  ThreadPool pool(2);
  const Stored weight(DType::kQ8_0, 32, 64, 1);
  const Linear linear = Linear::pack({&weight.tensor, 1}, {}, WeightFormat::kStored, pool);
  Activation activation;
  activation.prepare(Tensor(0, 64), linear.activation_format(), pool);
  Tensor y;
  linear.forward(activation, y, pool);
  EXPECT_EQ(y.rows(), 0);
}

TEST(Tensor, KeepsItsAllocationWhenItSuffices) {
  Tensor tensor(4, 8);
  const float* before = tensor.data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(before) % 64, 0u);
  tensor.resize(2, 16);
  EXPECT_EQ(tensor.data(), before);
  EXPECT_EQ(tensor.row(1), before + 16);
  tensor.resize(64, 64);
  EXPECT_EQ(tensor.rows() * tensor.cols(), 4096);
}

}  // namespace
}  // namespace tessera

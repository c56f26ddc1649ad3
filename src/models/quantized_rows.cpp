#include "models/quantized_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "compute/quantize.h"

namespace tessera {
namespace {

constexpr int kBlock = 32;  // elements of Q4_0, U4_ZERO and Q8_0

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

[[noreturn]] void fail(const std::string& tensor, const std::string& what) {
  throw Error(ErrorKind::kBadModelFile, "tensor '" + tensor + "' " + what);
}

void want_type(const std::string& name, const RawTensor& tensor,
               std::initializer_list<DType> types) {
  if (std::find(types.begin(), types.end(), tensor.dtype) != types.end()) return;
  std::string wanted;
  for (const DType type : types) {
    wanted += (wanted.empty() ? "" : " or ") + std::string(dtype_info(type).name);
  }
  fail(name, "has type " + std::string(dtype_info(tensor.dtype).name) + ", wanted " + wanted);
}

void want_shape(const std::string& name, const RawTensor& tensor,
                const std::vector<std::int64_t>& shape) {
  if (tensor.shape == shape) return;
  fail(name, "has shape " + shape_text(tensor.shape) + ", wanted " + shape_text(shape));
}

void want_matrix(const std::string& name, const RawTensor& tensor) {
  if (tensor.shape.size() == 2 && tensor.shape[0] > 0 && tensor.shape[1] > 0) return;
  fail(name, "has shape " + shape_text(tensor.shape) + ", wanted two dimensions");
}

constexpr std::initializer_list<DType> kFloats = {DType::kF16, DType::kBF16, DType::kF32};

std::uint32_t word_at(const RawTensor& tensor, std::int64_t index) {
  std::uint32_t word;
  std::memcpy(&word, tensor.data + 4 * index, sizeof word);
  return word;
}

float float_at(const RawTensor& tensor, std::int64_t index) {
  float value;
  const DTypeInfo& info = dtype_info(tensor.dtype);
  dequantize(tensor.dtype, tensor.data + index * info.block_bytes, 1, &value);
  return value;
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Scales as f16 keep their value to 2^-12, unless they are too small or too large for it.
bool fits_f16(float scale) {
  const float size = std::fabs(scale);
  return size == 0 || (size >= 0x1p-14f && size <= 65504.0f);
}

void release(const std::vector<RawTensor>& pieces) {
  for (const RawTensor& piece : pieces) {
    if (!piece.file.empty()) {
      release_pages(piece.file, {piece.data, static_cast<std::size_t>(piece.bytes())});
    }
  }
}

// --- Integers of 2, 4 or 8 bits ----------------------------------------------------------------

// W[o, i] = scale(o, g) * (q(o, i) - zero(o, g)) with g the group of input i.
class AffineRows : public RowSource {
 public:
  DType best_type() const final;
  void read(std::int64_t first, std::int64_t count, float* out) const final;
  void read_blocks(DType type, std::int64_t first, std::int64_t count, std::byte* out) const final;
  void release_pages() const final { release(pieces_); }

 protected:
  // The integers of rows [first, first + count): [count, in]; never negative below 8 bits.
  virtual void quants(std::int64_t first, std::int64_t count, std::int16_t* out) const = 0;
  virtual float scale(std::int64_t row, std::int64_t group) const = 0;
  virtual int zero(std::int64_t row, std::int64_t group) const = 0;

  std::int64_t out_ = 0, in_ = 0, groups_ = 1;
  std::int64_t group_size_ = 0;
  std::string g_idx_name_;
  std::optional<RawTensor> g_idx_;  // I32 [in]
  int bits_ = 4;
  int middle_ = 8;           // the zero point of symmetric integers
  bool f16_scales_ = false;  // they are f16 already, subnormals and all
  std::vector<RawTensor> pieces_;

 private:
  std::vector<std::int32_t> group_index() const;
};

// Group of each input.
std::vector<std::int32_t> AffineRows::group_index() const {
  std::vector<std::int32_t> index(static_cast<std::size_t>(in_));
  for (std::int64_t i = 0; i < in_; ++i) {
    const auto group = g_idx_ ? static_cast<std::int32_t>(word_at(*g_idx_, i))
                              : static_cast<std::int32_t>(i / group_size_);
    if (group < 0 || group >= groups_) {
      fail(g_idx_name_, "has group " + std::to_string(group) + " at input " + std::to_string(i) +
                            ", wanted 0 to " + std::to_string(groups_ - 1));
    }
    index[static_cast<std::size_t>(i)] = group;
  }
  return index;
}

DType AffineRows::best_type() const {
  const std::vector<std::int32_t> index = group_index();
  if (in_ % kBlock != 0) return DType::kBF16;
  // Inputs that are not in the order of their groups have several scales within a block: weights of
  // 4 bits are then quantised again, to 8.
  for (std::int64_t i = 0; i < in_; ++i) {
    if (index[static_cast<std::size_t>(i)] !=
        index[static_cast<std::size_t>(i / kBlock * kBlock)]) {
      return bits_ == 8 ? DType::kBF16 : DType::kQ8_0;
    }
  }
  bool symmetric = true;
  for (std::int64_t row = 0; row < out_; ++row) {
    for (std::int64_t group = 0; group < groups_; ++group) {
      if (!f16_scales_ && !fits_f16(scale(row, group))) return DType::kBF16;
      symmetric = symmetric && zero(row, group) == middle_;
    }
  }
  if (bits_ == 8) return symmetric ? DType::kQ8_0 : DType::kBF16;
  return symmetric && bits_ == 4 ? DType::kQ4_0 : DType::kU4Zero;
}

void AffineRows::read(std::int64_t first, std::int64_t count, float* out) const {
  std::vector<std::int16_t> q(static_cast<std::size_t>(count * in_));
  quants(first, count, q.data());
  const std::vector<std::int32_t> index = group_index();
  std::vector<float> scales(static_cast<std::size_t>(groups_));
  std::vector<int> zeros(static_cast<std::size_t>(groups_));
  const std::int16_t* next = q.data();
  for (std::int64_t row = first; row < first + count; ++row) {
    for (std::int64_t g = 0; g < groups_; ++g) {
      scales[static_cast<std::size_t>(g)] = scale(row, g);
      zeros[static_cast<std::size_t>(g)] = zero(row, g);
    }
    for (const std::int32_t group : index) {
      const auto g = static_cast<std::size_t>(group);
      *out++ = scales[g] * static_cast<float>(*next++ - zeros[g]);
    }
  }
}

void store_half(std::byte* out, float value) {
  const std::uint16_t half = f32_to_f16(value);
  std::memcpy(out, &half, sizeof half);
}

// 32 integers as a block of Q4_0, U4_ZERO or Q8_0.
void write_block(DType type, const std::int16_t* q, float scale, int zero, std::byte* out) {
  store_half(out, scale);
  if (type == DType::kQ8_0) {
    for (int e = 0; e < kBlock; ++e) {
      out[2 + e] = static_cast<std::byte>(static_cast<std::int8_t>(q[e] - zero));
    }
    return;
  }
  if (type == DType::kU4Zero) store_half(out + 2, static_cast<float>(-zero));
  std::byte* nibbles = out + (type == DType::kU4Zero ? 4 : 2);
  for (int e = 0; e < kBlock / 2; ++e) {
    nibbles[e] = static_cast<std::byte>(q[e] | q[e + kBlock / 2] << 4);
  }
}

void AffineRows::read_blocks(DType type, std::int64_t first, std::int64_t count,
                             std::byte* out) const {
  const std::vector<std::int32_t> index = group_index();
  const int block_bytes = dtype_info(type).block_bytes;
  if (bits_ != 8 && type == DType::kQ8_0) {
    std::vector<float> values(static_cast<std::size_t>(count * in_));
    read(first, count, values.data());
    quantize(type, values.data(), count * in_, out);
    return;
  }
  std::vector<std::int16_t> q(static_cast<std::size_t>(count * in_));
  quants(first, count, q.data());
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t i = 0; i < in_; i += kBlock, out += block_bytes) {
      const std::int32_t g = index[static_cast<std::size_t>(i)];
      write_block(type, q.data() + r * in_ + i, scale(first + r, g), zero(first + r, g), out);
    }
  }
}

RawTensor matrix(std::shared_ptr<const RowSource> source, std::int64_t out, std::int64_t in,
                 DType guess) {
  RawTensor tensor;
  tensor.dtype = in % kBlock == 0 ? guess : DType::kBF16;
  tensor.shape = {out, in};
  tensor.source = std::move(source);
  return tensor;
}

std::int64_t group_count(std::int64_t in, std::int64_t group_size) {
  return group_size <= 0 ? 1 : divide_up(in, group_size);
}

// --- GPTQ ----------------------------------------------------------------------------------------

class GptqRows final : public AffineRows {
 public:
  GptqRows(const std::string& name, GptqPieces pieces);
  std::int64_t out() const { return out_; }
  std::int64_t in() const { return in_; }

 private:
  void quants(std::int64_t first, std::int64_t count, std::int16_t* out) const override {
    const std::uint32_t mask = (1u << bits_) - 1;
    const int per_word = 32 / bits_;
    for (std::int64_t w = 0; w < in_ / per_word; ++w) {
      for (std::int64_t r = 0; r < count; ++r) {
        const std::uint32_t word = word_at(p_.qweight, w * out_ + first + r);
        std::int16_t* to = out + r * in_ + w * per_word;
        for (int k = 0; k < per_word; ++k) {
          to[k] = static_cast<std::int16_t>(word >> (bits_ * k) & mask);
        }
      }
    }
  }
  float scale(std::int64_t row, std::int64_t group) const override {
    return float_at(p_.scales, group * out_ + row);
  }
  int zero(std::int64_t row, std::int64_t group) const override {
    const int per_word = 32 / bits_;
    const std::uint32_t word = word_at(p_.qzeros, group * (out_ / per_word) + row / per_word);
    const auto stored = static_cast<int>(word >> (bits_ * (row % per_word)) & ((1u << bits_) - 1));
    return stored + (p_.zero_is_one_less ? 1 : 0);  // 16 is a zero point of four bits, too
  }

  GptqPieces p_;
};

GptqRows::GptqRows(const std::string& name, GptqPieces pieces) : p_(std::move(pieces)) {
  bits_ = p_.bits;
  middle_ = 1 << (bits_ - 1);
  const int per_word = 32 / bits_;
  want_type(name + ".qweight", p_.qweight, {DType::kI32});
  want_matrix(name + ".qweight", p_.qweight);
  in_ = p_.qweight.shape[0] * per_word;
  out_ = p_.qweight.shape[1];
  if (out_ % per_word != 0) {
    fail(name + ".qweight", "has " + std::to_string(out_) + " columns, wanted a multiple of " +
                                std::to_string(per_word));
  }
  group_size_ = p_.group_size <= 0 ? in_ : p_.group_size;
  groups_ = group_count(in_, p_.group_size);
  want_type(name + ".qzeros", p_.qzeros, {DType::kI32});
  want_shape(name + ".qzeros", p_.qzeros, {groups_, out_ / per_word});
  want_type(name + ".scales", p_.scales, kFloats);
  want_shape(name + ".scales", p_.scales, {groups_, out_});
  f16_scales_ = p_.scales.dtype == DType::kF16;
  pieces_ = {p_.qweight, p_.qzeros, p_.scales};
  if (p_.g_idx) {
    g_idx_name_ = name + ".g_idx";
    want_type(g_idx_name_, *p_.g_idx, {DType::kI32});
    want_shape(g_idx_name_, *p_.g_idx, {in_});
    g_idx_ = p_.g_idx;
    pieces_.push_back(*p_.g_idx);
  }
}

// --- AWQ -----------------------------------------------------------------------------------------

class AwqRows final : public AffineRows {
 public:
  AwqRows(const std::string& name, AwqPieces pieces);
  std::int64_t out() const { return out_; }
  std::int64_t in() const { return in_; }

 private:
  // Where the nibble of column o is in its word: the columns are stored as 0 2 4 6 1 3 5 7.
  static int shift(std::int64_t o) {
    const auto column = static_cast<int>(o % 8);
    return 4 * (column % 2 == 0 ? column / 2 : 4 + column / 2);
  }
  int nibble(const RawTensor& words, std::int64_t row, std::int64_t o) const {
    return static_cast<int>(word_at(words, row * (out_ / 8) + o / 8) >> shift(o) & 15);
  }
  void quants(std::int64_t first, std::int64_t count, std::int16_t* out) const override {
    for (std::int64_t i = 0; i < in_; ++i) {
      for (std::int64_t r = 0; r < count; ++r) {
        out[r * in_ + i] = static_cast<std::int16_t>(nibble(p_.qweight, i, first + r));
      }
    }
  }
  float scale(std::int64_t row, std::int64_t group) const override {
    return float_at(p_.scales, group * out_ + row);
  }
  int zero(std::int64_t row, std::int64_t group) const override {
    return nibble(p_.qzeros, group, row);
  }

  AwqPieces p_;
};

AwqRows::AwqRows(const std::string& name, AwqPieces pieces) : p_(std::move(pieces)) {
  want_type(name + ".qweight", p_.qweight, {DType::kI32});
  want_matrix(name + ".qweight", p_.qweight);
  in_ = p_.qweight.shape[0];
  out_ = p_.qweight.shape[1] * 8;
  group_size_ = p_.group_size <= 0 ? in_ : p_.group_size;
  groups_ = group_count(in_, p_.group_size);
  want_type(name + ".qzeros", p_.qzeros, {DType::kI32});
  want_shape(name + ".qzeros", p_.qzeros, {groups_, out_ / 8});
  want_type(name + ".scales", p_.scales, kFloats);
  want_shape(name + ".scales", p_.scales, {groups_, out_});
  f16_scales_ = p_.scales.dtype == DType::kF16;
  pieces_ = {p_.qweight, p_.qzeros, p_.scales};
}

// --- compressed-tensors, pack-quantized ----------------------------------------------------------

class PackedRows final : public AffineRows {
 public:
  PackedRows(const std::string& name, PackedPieces pieces);
  int bits() const { return bits_; }
  bool symmetric() const { return !p_.zero_point; }

 private:
  void quants(std::int64_t first, std::int64_t count, std::int16_t* out) const override {
    const std::uint32_t mask = (1u << bits_) - 1;
    const int per_word = 32 / bits_;
    const std::int64_t words = divide_up(in_, per_word);
    for (std::int64_t r = 0; r < count; ++r) {
      for (std::int64_t i = 0; i < in_; ++i) {
        const std::uint32_t word = word_at(p_.packed, (first + r) * words + i / per_word);
        *out++ = static_cast<std::int16_t>(word >> (bits_ * (i % per_word)) & mask);
      }
    }
  }
  float scale(std::int64_t row, std::int64_t group) const override {
    return float_at(p_.scale, one_scale_ ? 0 : row * groups_ + group);
  }
  // Stored with the same offset as the integers, so both are taken as they are.
  int zero(std::int64_t row, std::int64_t group) const override {
    if (!p_.zero_point) return middle_;
    const int per_word = 32 / bits_;
    const std::uint32_t word = word_at(*p_.zero_point, row / per_word * groups_ + group);
    return static_cast<int>(word >> (bits_ * (row % per_word)) & ((1u << bits_) - 1));
  }

  PackedPieces p_;
  bool one_scale_ = false;
};

PackedRows::PackedRows(const std::string& name, PackedPieces pieces) : p_(std::move(pieces)) {
  out_ = p_.out;
  in_ = p_.in;
  want_type(name + ".weight_packed", p_.packed, {DType::kI32});
  bits_ = p_.packed.shape == std::vector<std::int64_t>{out_, divide_up(in_, 4)} ? 8 : 4;
  const int per_word = 32 / bits_;
  want_shape(name + ".weight_packed", p_.packed, {out_, divide_up(in_, per_word)});
  middle_ = 1 << (bits_ - 1);
  want_type(name + ".weight_scale", p_.scale, kFloats);
  one_scale_ = p_.scale.elements() == 1;
  groups_ = p_.scale.shape.size() == 2 && !one_scale_ ? p_.scale.shape[1] : 1;
  if (!one_scale_) {
    if (groups_ < 1 || in_ % groups_ != 0) {
      fail(name + ".weight_scale", "has shape " + shape_text(p_.scale.shape) +
                                       "; wanted columns that divide " + std::to_string(in_));
    }
    want_shape(name + ".weight_scale", p_.scale, {out_, groups_});
  }
  group_size_ = in_ / groups_;
  f16_scales_ = p_.scale.dtype == DType::kF16;
  pieces_ = {p_.packed, p_.scale};
  if (p_.zero_point) {
    want_type(name + ".weight_zero_point", *p_.zero_point, {DType::kI32});
    want_shape(name + ".weight_zero_point", *p_.zero_point, {divide_up(out_, per_word), groups_});
    pieces_.push_back(*p_.zero_point);
  }
  if (p_.g_idx) {
    g_idx_name_ = name + ".weight_g_idx";
    want_type(g_idx_name_, *p_.g_idx, {DType::kI32});
    want_shape(g_idx_name_, *p_.g_idx, {in_});
    g_idx_ = p_.g_idx;
    pieces_.push_back(*p_.g_idx);
  }
}

// --- FP8 and INT8 with scales --------------------------------------------------------------------

// The scale of (row, column) is in cell (row / rows, column / cols) of a grid.
struct ScaleGrid {
  std::int64_t rows = 0, cols = 0, width = 0;
  std::int64_t cell(std::int64_t row, std::int64_t col) const {
    return row / rows * width + col / cols;
  }
};

ScaleGrid scale_grid(const std::string& name, const ScaledPieces& p, std::int64_t out,
                     std::int64_t in) {
  const std::vector<std::int64_t>& shape = p.scale.shape;
  if (p.scale.elements() == 1) return {out, in, 1};
  if (p.block_rows > 0 && p.block_cols > 0) {
    const std::vector<std::int64_t> wanted = {divide_up(out, p.block_rows),
                                              divide_up(in, p.block_cols)};
    want_shape(name, p.scale, wanted);
    return {p.block_rows, p.block_cols, wanted[1]};
  }
  if (shape.size() == 1 && shape[0] == out) return {1, in, 1};
  if (shape.size() == 2 && shape[0] == out && shape[1] > 0 && in % shape[1] == 0) {
    return {1, in / shape[1], shape[1]};
  }
  fail(name, "has shape " + shape_text(shape) + "; wanted one number or [" + std::to_string(out) +
                 ", groups]");
}

class ScaledInt8Rows final : public AffineRows {
 public:
  ScaledInt8Rows(const std::string& name, ScaledPieces pieces) : p_(std::move(pieces)) {
    bits_ = 8;
    middle_ = 0;
    out_ = p_.weight.shape[0];
    in_ = p_.weight.shape[1];
    grid_ = scale_grid(name + ".weight_scale", p_, out_, in_);
    groups_ = grid_.width;
    group_size_ = grid_.cols;
    f16_scales_ = p_.scale.dtype == DType::kF16;
    pieces_ = {p_.weight, p_.scale};
    if (p_.zero_point) {
      want_type(name + ".weight_zero_point", *p_.zero_point, {DType::kI8});
      if (p_.zero_point->elements() != p_.scale.elements()) {
        fail(name + ".weight_zero_point", "has shape " + shape_text(p_.zero_point->shape) +
                                              ", wanted that of the scales, " +
                                              shape_text(p_.scale.shape));
      }
      pieces_.push_back(*p_.zero_point);
    }
  }

 private:
  void quants(std::int64_t first, std::int64_t count, std::int16_t* out) const override {
    const std::byte* from = p_.weight.data + first * in_;
    for (std::int64_t k = 0; k < count * in_; ++k) {
      out[k] = static_cast<std::int8_t>(from[k]);
    }
  }
  float scale(std::int64_t row, std::int64_t group) const override {
    return float_at(p_.scale, row / grid_.rows * grid_.width + group);
  }
  int zero(std::int64_t row, std::int64_t group) const override {
    if (!p_.zero_point) return 0;
    return static_cast<std::int8_t>(p_.zero_point->data[row / grid_.rows * grid_.width + group]);
  }

  ScaledPieces p_;
  ScaleGrid grid_;
};

// The product of an E4M3 number and a scale has no short form; it is rounded to bf16.
class ScaledFp8Rows final : public RowSource {
 public:
  ScaledFp8Rows(const std::string& name, ScaledPieces pieces) : p_(std::move(pieces)) {
    out_ = p_.weight.shape[0];
    in_ = p_.weight.shape[1];
    grid_ = scale_grid(name + ".weight_scale", p_, out_, in_);
    pieces_ = {p_.weight, p_.scale};
  }
  DType best_type() const override { return DType::kBF16; }
  void read(std::int64_t first, std::int64_t count, float* out) const override {
    for (std::int64_t row = first; row < first + count; ++row, out += in_) {
      dequantize(DType::kF8E4M3, p_.weight.data + row * in_, in_, out);
      for (std::int64_t col = 0; col < in_; col += grid_.cols) {
        const float scale = float_at(p_.scale, grid_.cell(row, col));
        const std::int64_t end = std::min(in_, col + grid_.cols);
        for (std::int64_t c = col; c < end; ++c) out[c] *= scale;
      }
    }
  }
  void read_blocks(DType, std::int64_t, std::int64_t, std::byte*) const override {
    throw Error(ErrorKind::kInternal, "FP8 weights have no blocks.");
  }
  void release_pages() const override { release(pieces_); }

 private:
  ScaledPieces p_;
  std::int64_t out_ = 0, in_ = 0;
  ScaleGrid grid_;
  std::vector<RawTensor> pieces_;
};

}  // namespace

RawTensor gptq_matrix(const std::string& name, GptqPieces pieces) {
  const int bits = pieces.bits;
  const auto rows = std::make_shared<GptqRows>(name, std::move(pieces));
  return matrix(rows, rows->out(), rows->in(), bits == 8 ? DType::kQ8_0 : DType::kU4Zero);
}

RawTensor awq_matrix(const std::string& name, AwqPieces pieces) {
  const auto rows = std::make_shared<AwqRows>(name, std::move(pieces));
  return matrix(rows, rows->out(), rows->in(), DType::kU4Zero);
}

RawTensor packed_matrix(const std::string& name, PackedPieces pieces) {
  const std::int64_t out = pieces.out, in = pieces.in;
  const auto rows = std::make_shared<PackedRows>(name, std::move(pieces));
  const DType guess = rows->bits() == 8   ? DType::kQ8_0
                      : rows->symmetric() ? DType::kQ4_0
                                          : DType::kU4Zero;
  return matrix(rows, out, in, guess);
}

RawTensor scaled_matrix(const std::string& name, ScaledPieces pieces) {
  want_type(name + ".weight", pieces.weight, {DType::kF8E4M3, DType::kI8});
  want_matrix(name + ".weight", pieces.weight);
  want_type(name + ".weight_scale", pieces.scale, kFloats);
  const std::int64_t out = pieces.weight.shape[0], in = pieces.weight.shape[1];
  if (pieces.weight.dtype == DType::kI8) {
    const bool symmetric = !pieces.zero_point;
    return matrix(std::make_shared<ScaledInt8Rows>(name, std::move(pieces)), out, in,
                  symmetric ? DType::kQ8_0 : DType::kBF16);
  }
  return matrix(std::make_shared<ScaledFp8Rows>(name, std::move(pieces)), out, in, DType::kBF16);
}

}  // namespace tessera

#include "compute/linear.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string>

#include "base/error.h"
#include "base/mapped_file.h"
#include "compute/cpu/attention_kernels.h"
#include "compute/kernels.h"
#include "compute/pack.h"
#include "compute/quantize.h"

namespace tessera {
namespace {

std::string shape_text(const RawTensor& tensor) {
  std::string text = "[";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(tensor.shape[i]);
  }
  return text + "]";
}

void check_weight(const RawTensor& tensor, std::int64_t in) {
  const int block = dtype_info(tensor.dtype).block_elements;
  if (tensor.shape.size() != 2 || tensor.shape[0] <= 0 || tensor.shape[1] <= 0) {
    throw Error(ErrorKind::kBadModelFile, "A weight matrix has shape " + shape_text(tensor) +
                                              "; wanted [out, in], both positive.");
  }
  if (tensor.shape[1] != in) {
    throw Error(ErrorKind::kBadModelFile, "A weight matrix has shape " + shape_text(tensor) +
                                              "; wanted " + std::to_string(in) + " columns.");
  }
  if (tensor.shape[1] % block != 0) {
    throw Error(ErrorKind::kBadModelFile,
                "A weight matrix of type " + std::string(dtype_info(tensor.dtype).name) +
                    " has shape " + shape_text(tensor) + "; wanted columns in multiples of " +
                    std::to_string(block) + ".");
  }
  if (tensor.shape[0] > (std::int64_t{1} << 30) || tensor.shape[1] > (std::int64_t{1} << 30)) {
    throw Error(ErrorKind::kBadModelFile, "A weight matrix has shape " + shape_text(tensor) +
                                              "; wanted at most 2^30 rows and columns.");
  }
}

ActivationFormat activation_format_of(PanelKind kind) {
  switch (kind) {
    case PanelKind::kF32:
    case PanelKind::kF16:
      return ActivationFormat::kF32;
    case PanelKind::kBF16:
      return kernels().bf16_dot ? ActivationFormat::kBF16 : ActivationFormat::kF32;
    default:
      return ActivationFormat::kInt8;
  }
}

// Matrices that share a Linear share its activations. Should a file mix floats and blocks (none
// known does), everything is held in f32, which is exact.
std::vector<PanelKind> choose_kinds(std::span<const RawTensor> parts, WeightFormat format) {
  std::vector<PanelKind> kinds;
  for (const RawTensor& part : parts) kinds.push_back(panel_kind(part.dtype, format));
  const ActivationFormat first = activation_format_of(kinds[0]);
  const bool mixed = std::any_of(kinds.begin(), kinds.end(), [&](PanelKind kind) {
    return activation_format_of(kind) != first;
  });
  if (mixed) std::fill(kinds.begin(), kinds.end(), PanelKind::kF32);
  return kinds;
}

// Copies of the views, with the type in which each is to be held.
std::vector<RawTensor> resolve(std::span<const RawTensor> parts) {
  std::vector<RawTensor> resolved(parts.begin(), parts.end());
  for (RawTensor& part : resolved) {
    if (part.source != nullptr) part.dtype = part.source->best_type();
  }
  return resolved;
}

// Which stored rows a panel holds.
struct PanelSource {
  const RawTensor* tensor;
  std::int64_t row;
  int count;
  PanelKind kind;
  std::int64_t slab_offset;
  int ways, which;
};

// Stored bytes that are packed between two releases of the pages they lie in.
constexpr std::int64_t kWindowBytes = 1 << 20;

// The file's pages are given back on the way, so that a matrix is never in memory twice.
void give_back(std::span<const PanelSource> packed) {
  struct Rows {
    const RawTensor* tensor;
    std::int64_t begin, end;
  };
  std::vector<Rows> runs;  // of the one or two tensors that take turns
  for (const PanelSource& source : packed) {
    if (source.tensor->file.empty()) continue;
    const std::int64_t end = source.row + source.count;
    const auto run = std::find_if(runs.begin(), runs.end(),
                                  [&](const Rows& r) { return r.tensor == source.tensor; });
    if (run == runs.end()) {
      runs.push_back({source.tensor, source.row, end});
    } else {
      run->end = end;
    }
  }
  for (const Rows& rows : runs) {
    release_pages(rows.tensor->file, {rows.tensor->row(rows.begin), rows.tensor->row(rows.end)});
  }
}

void pack_all(std::span<const PanelSource> sources, int groups, std::byte* data, ThreadPool& pool) {
  std::vector<std::vector<float>> scratch(static_cast<std::size_t>(pool.threads()));
  for (std::size_t begin = 0, end = 0; begin < sources.size(); begin = end) {
    for (std::int64_t bytes = 0; end < sources.size() && bytes < kWindowBytes; ++end) {
      bytes += sources[end].tensor->bytes() / sources[end].tensor->rows() * sources[end].count;
    }
    pool.run(static_cast<int>(end - begin), [&](int chunk, int thread) {
      const PanelSource& source = sources[begin + static_cast<std::size_t>(chunk)];
      pack_panel(*source.tensor, source.row, source.count, source.kind, groups,
                 {data + source.slab_offset, source.ways, source.which},
                 scratch[static_cast<std::size_t>(thread)]);
    });
    give_back(sources.subspan(begin, end - begin));
  }
  const RawTensor* last = nullptr;
  for (const PanelSource& source : sources) {
    if (source.tensor != last && source.tensor->source) source.tensor->source->release_pages();
    last = source.tensor;
  }
}

int group_count(std::int64_t in) { return static_cast<int>((in + kGroup - 1) / kGroup); }

}  // namespace

// --- Activation --------------------------------------------------------------------------------

struct Activation::Storage {
  std::int64_t rows = 0, cols = 0;
  int groups = 0;
  ActivationFormat format = ActivationFormat::kF32;
  PackedBytes bytes;
  std::vector<std::int32_t> extra_numbers;
  ActivationSink sink{};
  Tensor normalized;  // [threads, cols] of prepare_layer_norm

  // One allocation: values, then the six per-group arrays.
  void shape(const Tensor& x, ActivationFormat wanted) {
    rows = x.rows();
    cols = x.cols();
    groups = group_count(cols);
    format = wanted;
    const KernelTable& table = kernels();
    const bool outliers = format == ActivationFormat::kInt8Outliers;
    const int extras = outliers ? std::min(groups, table.int8_block_rows) : 0;
    const std::int64_t cells = rows * (groups + extras + (outliers ? 1 : 0));
    const int element = format == ActivationFormat::kF32    ? 4
                        : format == ActivationFormat::kBF16 ? 2
                                                            : 1;
    const std::int64_t value_bytes = cells * kGroup * element;
    const std::int64_t array_bytes = (cells * 4 + 63) / 64 * 64;
    const std::int64_t needed = value_bytes + 6 * array_bytes;
    extra_numbers.resize(static_cast<std::size_t>(rows * (2 + extras)));
    if (needed > bytes.size()) bytes = PackedBytes(needed);
    const auto array = [&](int i) { return bytes.data() + value_bytes + i * array_bytes; };
    sink = {static_cast<int>(rows),
            groups,
            element == 1 ? table.int8_block_rows : table.float_block_rows,
            extras,
            extra_numbers.data(),
            extra_numbers.data() + rows,
            extra_numbers.data() + rows * (1 + extras),
            bytes.data(),
            reinterpret_cast<float*>(array(0)),
            reinterpret_cast<float*>(array(1)),
            reinterpret_cast<std::int32_t*>(array(2)),
            reinterpret_cast<std::int32_t*>(array(3)),
            reinterpret_cast<std::int32_t*>(array(4)),
            reinterpret_cast<std::int32_t*>(array(5))};
  }

  // source(row, thread): where the row to be prepared lies.
  template <class Source>
  void fill(const Source& source, const float* norm_weight, float epsilon, ThreadPool& pool) {
    const KernelTable& table = kernels();
    const auto kind = format == ActivationFormat::kF32    ? ActivationKind::kF32
                      : format == ActivationFormat::kBF16 ? ActivationKind::kBF16
                                                          : ActivationKind::kInt8;
    // About 1 ns per 16 elements: below this many, waking a thread costs more than it brings.
    constexpr std::int64_t kElementsPerChunk = 16 * 1024;
    const std::int64_t chunks = std::clamp<std::int64_t>(
        rows * cols / kElementsPerChunk, 1, std::min<std::int64_t>(rows, pool.threads() * 4));
    // Rows that share extras are prepared by one thread.
    const std::int64_t units =
        sink.extra_capacity == 0 ? rows : (rows + sink.block_rows - 1) / sink.block_rows;
    const auto prepare = [&](int chunk, int thread) {
      const std::int64_t last = units * (chunk + 1) / chunks;
      for (std::int64_t unit = units * chunk / chunks; unit < last; ++unit) {
        const std::int64_t end = rows * (unit + 1) / units;
        for (std::int64_t row = rows * unit / units; row < end; ++row) {
          table.prepare_row(source(row, thread), cols, norm_weight, epsilon, kind,
                            static_cast<int>(row), sink);
        }
        if (sink.extra_capacity > 0) table.gather_extras(static_cast<int>(unit), sink);
      }
    };
    pool.run(static_cast<int>(chunks), prepare);
  }

  ActivationView view() const {
    return {sink.rows,         sink.groups,       sink.block_rows, sink.extra_capacity,
            sink.extra_counts, sink.extra_groups, sink.values,     sink.scale,
            sink.scaled_sum,   sink.start_u4,     sink.start_i8,   sink.start_u6_low,
            sink.start_u6_high};
  }
};

Activation::Activation() : storage_(std::make_unique<Storage>()) {}
Activation::~Activation() = default;
Activation::Activation(Activation&&) noexcept = default;
Activation& Activation::operator=(Activation&&) noexcept = default;

std::int64_t Activation::rows() const { return storage_->rows; }
std::int64_t Activation::cols() const { return storage_->cols; }
ActivationFormat Activation::format() const { return storage_->format; }

void Activation::prepare(const Tensor& x, ActivationFormat format, ThreadPool& pool) {
  storage_->shape(x, format);
  const auto row_of = [&](std::int64_t row, int) { return x.row(row); };
  if (x.rows() > 0) storage_->fill(row_of, nullptr, 0, pool);
}

void Activation::prepare_rms_norm(const Tensor& x, std::span<const float> weight, float epsilon,
                                  ActivationFormat format, ThreadPool& pool) {
  if (static_cast<std::int64_t>(weight.size()) != x.cols()) {
    throw Error(ErrorKind::kInternal, "rms_norm has " + std::to_string(weight.size()) +
                                          " weights; wanted " + std::to_string(x.cols()) + ".");
  }
  storage_->shape(x, format);
  const auto row_of = [&](std::int64_t row, int) { return x.row(row); };
  if (x.rows() > 0) storage_->fill(row_of, weight.data(), epsilon, pool);
}

void Activation::prepare_layer_norm(const Tensor& x, std::span<const float> weight,
                                    std::span<const float> bias, float epsilon,
                                    ActivationFormat format, ThreadPool& pool) {
  const auto cols = static_cast<std::size_t>(x.cols());
  if (weight.size() != cols || (!bias.empty() && bias.size() != cols)) {
    throw Error(ErrorKind::kInternal, "layer_norm has " + std::to_string(weight.size()) +
                                          " weights and " + std::to_string(bias.size()) +
                                          " biases; wanted " + std::to_string(cols) + ".");
  }
  storage_->shape(x, format);
  if (x.rows() == 0) return;
  // A row is normalised into memory of its thread, where it is still in the cache when prepared.
  storage_->normalized.resize(pool.threads(), x.cols());
  const auto layer_norm = cpu::attention_kernels().layer_norm;
  const auto row_of = [&](std::int64_t row, int thread) {
    float* to = storage_->normalized.row(thread);
    layer_norm(x.row(row), weight.data(), bias.empty() ? nullptr : bias.data(), epsilon, to,
               static_cast<int>(x.cols()));
    return static_cast<const float*>(to);
  };
  storage_->fill(row_of, nullptr, 0, pool);
}

// --- Linear ------------------------------------------------------------------------------------

Linear::Linear() = default;
Linear::~Linear() = default;
Linear::Linear(Linear&&) noexcept = default;
Linear& Linear::operator=(Linear&&) noexcept = default;

Linear Linear::pack(std::span<const RawTensor> given, std::span<const float> bias,
                    WeightFormat format, ThreadPool& pool) {
  if (given.empty()) throw Error(ErrorKind::kInternal, "A Linear needs at least one matrix.");
  const std::vector<RawTensor> parts = resolve(given);
  auto packed = std::make_unique<Packed>();
  check_weight(parts[0], parts[0].row_elements());
  packed->in = parts[0].row_elements();
  packed->groups = group_count(packed->in);
  for (const RawTensor& part : parts) {
    check_weight(part, packed->in);
    packed->out += part.rows();
  }
  if (!bias.empty() && static_cast<std::int64_t>(bias.size()) != packed->out) {
    throw Error(ErrorKind::kBadModelFile, "A bias has " + std::to_string(bias.size()) +
                                              " elements; wanted " + std::to_string(packed->out) +
                                              ", the rows of its matrix.");
  }
  packed->bias.assign(bias.begin(), bias.end());

  // Each part has panels of its own, so one part may be stored otherwise than the next.
  const std::vector<PanelKind> kinds = choose_kinds(parts, format);
  packed->activations = activation_format_of(kinds[0]);
  std::vector<PanelSource> sources;
  std::int64_t offset = 0, row = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::int64_t rows = parts[i].rows(), panels = (rows + kPanelRows - 1) / kPanelRows;
    const int bytes = panel_group_bytes(kinds[i]);
    PanelRun run;
    run.first_row = row;
    run.rows = rows;
    run.slabs = (panels + 1) / 2;
    run.kind = run.up_kind = kinds[i];
    run.slab_bytes = std::int64_t{2} * bytes * packed->groups;
    run.offset = offset;
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      const std::int64_t first = panel * kPanelRows;
      const int count = static_cast<int>(std::min<std::int64_t>(kPanelRows, rows - first));
      const bool alone = panel % 2 == 0 && panel + 1 == panels;
      sources.push_back({&parts[i], first, count, kinds[i], offset + panel / 2 * run.slab_bytes,
                         alone ? 1 : 2, static_cast<int>(panel % 2)});
    }
    offset += panels * bytes * packed->groups;
    row += rows;
    packed->runs.push_back(run);
  }
  packed->data = PackedBytes::on_large_pages(offset);
  pack_all(sources, packed->groups, packed->data.data(), pool);

  Linear linear;
  linear.packed_ = std::move(packed);
  return linear;
}

Linear& Linear::expect_outliers() {
  if (packed_->activations == ActivationFormat::kInt8) {
    packed_->activations = ActivationFormat::kInt8Outliers;
  }
  return *this;
}

Linear Linear::pack_gated(const RawTensor& given_gate, const RawTensor& given_up,
                          WeightFormat format, ThreadPool& pool) {
  const RawTensor given[] = {given_gate, given_up};
  const std::vector<RawTensor> both = resolve(given);
  const RawTensor &gate = both[0], &up = both[1];
  check_weight(gate, gate.row_elements());
  check_weight(up, gate.row_elements());
  if (gate.rows() != up.rows()) {
    throw Error(ErrorKind::kBadModelFile, "gate_proj has shape " + shape_text(gate) +
                                              " and up_proj " + shape_text(up) +
                                              "; wanted equal shapes.");
  }
  auto packed = std::make_unique<Packed>();
  packed->in = gate.row_elements();
  packed->out = gate.rows();
  packed->groups = group_count(packed->in);
  packed->gated = true;
  const std::vector<PanelKind> kinds = choose_kinds(both, format);
  packed->activations = activation_format_of(kinds[0]);
  const int gate_bytes = panel_group_bytes(kinds[0]), up_bytes = panel_group_bytes(kinds[1]);
  PanelRun run;
  run.rows = packed->out;
  run.slabs = (run.rows + kPanelRows - 1) / kPanelRows;
  run.kind = kinds[0];
  run.up_kind = kinds[1];
  run.slab_bytes = std::int64_t{gate_bytes + up_bytes} * packed->groups;
  std::vector<PanelSource> sources;
  for (std::int64_t slab = 0; slab < run.slabs; ++slab) {
    const std::int64_t first = slab * kPanelRows, offset = slab * run.slab_bytes;
    const int count = static_cast<int>(std::min<std::int64_t>(kPanelRows, run.rows - first));
    if (kinds[0] == kinds[1]) {
      sources.push_back({&gate, first, count, kinds[0], offset, 2, 0});
      sources.push_back({&up, first, count, kinds[1], offset, 2, 1});
    } else {
      const std::int64_t gate_size = std::int64_t{gate_bytes} * packed->groups;
      sources.push_back({&gate, first, count, kinds[0], offset, 1, 0});
      sources.push_back({&up, first, count, kinds[1], offset + gate_size, 1, 0});
    }
  }
  packed->data = PackedBytes::on_large_pages(run.slabs * run.slab_bytes);
  packed->runs.push_back(run);
  pack_all(sources, packed->groups, packed->data.data(), pool);

  Linear linear;
  linear.packed_ = std::move(packed);
  return linear;
}

std::int64_t Linear::in_features() const { return packed_ ? packed_->in : 0; }
std::int64_t Linear::out_features() const { return packed_ ? packed_->out : 0; }
std::int64_t Linear::bytes() const {
  if (!packed_) return 0;
  return packed_->data.size() + static_cast<std::int64_t>(packed_->bias.size() * sizeof(float));
}
void Linear::read_row(std::int64_t index, float* out) const {
  if (!packed_ || packed_->gated || index < 0 || index >= packed_->out) {
    throw Error(ErrorKind::kInternal, "Linear::read_row: no row " + std::to_string(index) + ".");
  }
  const auto run =
      std::find_if(packed_->runs.begin(), packed_->runs.end(),
                   [&](const PanelRun& each) { return index < each.first_row + each.rows; });
  const std::int64_t row = index - run->first_row, panel = row / kPanelRows;
  const bool alone = panel % 2 == 0 && (panel + 1) * kPanelRows >= run->rows;
  // Panels read and write through the same addresses.
  std::byte* slab =
      const_cast<std::byte*>(packed_->data.data()) + run->offset + panel / 2 * run->slab_bytes;
  std::vector<float> padded(static_cast<std::size_t>(packed_->groups) * kGroup);
  unpack_row({slab, alone ? 1 : 2, static_cast<int>(panel % 2)}, run->kind, packed_->groups,
             static_cast<int>(row % kPanelRows), padded.data());
  std::copy_n(padded.data(), packed_->in, out);
}

ActivationFormat Linear::activation_format() const {
  return packed_ ? packed_->activations : ActivationFormat::kF32;
}

namespace {

void multiply(const Linear::Packed& w, const Activation& x, Epilogue epilogue, Tensor& y,
              ThreadPool& pool) {
  const ActivationView view = x.storage().view();
  if (view.rows == 0) return;
  const KernelTable& table = kernels();
  std::int64_t slabs = 0;
  for (const PanelRun& run : w.runs) slabs += run.slabs;

  // Work in bytes of weights; beyond about eight rows the arithmetic counts, not the bytes.
  constexpr std::int64_t kBytesPerChunk = 32 * 1024;
  const std::int64_t work = w.data.size() * std::max(1, view.rows / 8);
  const std::int64_t most = std::min<std::int64_t>(slabs, pool.threads() * 4);
  const std::int64_t chunks = std::clamp<std::int64_t>(work / kBytesPerChunk, 1, most);

  pool.run(static_cast<int>(chunks), [&](int chunk, int) {
    std::int64_t begin = slabs * chunk / chunks, end = slabs * (chunk + 1) / chunks;
    for (const PanelRun& run : w.runs) {
      const std::int64_t from = std::clamp<std::int64_t>(begin, 0, run.slabs);
      const std::int64_t to = std::clamp<std::int64_t>(end, 0, run.slabs);
      begin -= run.slabs;
      end -= run.slabs;
      if (from == to) continue;
      const MatmulJob job = {w.data.data() + run.offset,
                             run.slab_bytes,
                             run.kind,
                             run.up_kind,
                             epilogue,
                             static_cast<int>(run.rows),
                             w.bias.empty() ? nullptr : w.bias.data() + run.first_row,
                             y.data() + run.first_row,
                             y.cols()};
      table.matmul(job, view, static_cast<int>(from), static_cast<int>(to));
    }
  });
}

// A mistake of the caller, never of a file: pack() and prepare() have seen to those.
void check_activation(const Linear::Packed* w, const Activation& x, bool gated) {
  if (w == nullptr || w->gated != gated || x.cols() != w->in || x.format() != w->activations) {
    throw Error(ErrorKind::kInternal,
                "Linear::forward: activations of " + std::to_string(x.cols()) +
                    " columns, format " + std::to_string(static_cast<int>(x.format())) +
                    " do not fit this Linear (" +
                    (w == nullptr ? std::string("empty")
                                  : std::to_string(w->in) + " columns, format " +
                                        std::to_string(static_cast<int>(w->activations)) +
                                        (w->gated ? ", gated" : "")) +
                    ").");
  }
}

}  // namespace

void Linear::forward(const Activation& x, Tensor& y, ThreadPool& pool) const {
  check_activation(packed_.get(), x, false);
  y.resize(x.rows(), packed_->out);
  multiply(*packed_, x, Epilogue::kStore, y, pool);
}

void Linear::forward_add(const Activation& x, Tensor& y, ThreadPool& pool) const {
  check_activation(packed_.get(), x, false);
  if (y.rows() != x.rows() || y.cols() != packed_->out) {
    throw Error(ErrorKind::kInternal, "Linear::forward_add: y is [" + std::to_string(y.rows()) +
                                          ", " + std::to_string(y.cols()) + "]; wanted [" +
                                          std::to_string(x.rows()) + ", " +
                                          std::to_string(packed_->out) + "].");
  }
  multiply(*packed_, x, Epilogue::kAdd, y, pool);
}

void Linear::forward_gated(const Activation& x, Gate gate, Tensor& y, ThreadPool& pool) const {
  check_activation(packed_.get(), x, true);
  y.resize(x.rows(), packed_->out);
  multiply(*packed_, x, gate == Gate::kSilu ? Epilogue::kSilu : Epilogue::kGelu, y, pool);
}

}  // namespace tessera

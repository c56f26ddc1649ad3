#include "compute/attention.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "compute/cpu/attention_kernels.h"
#include "compute/row_chunks.h"

namespace tessera {
namespace {

constexpr int kPartition = cpu::kAttentionPartition;
constexpr int kKeyStride = cpu::kAttentionKeyStride;
constexpr float kLog2E = 1.44269504088896341f;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Query rows (tokens x heads of the group) that share one widened partition of keys.
constexpr int kTileRows = 48;
// With no more rows than this, keys and values are widened on the fly.
constexpr int kDirectRows = 2 * cpu::kAttentionRows;
// States of partitions computed apart take at most 16 MiB.
constexpr std::int64_t kMaxPartialFloats = 1 << 22;
// Multiply-adds below which waking the other threads costs more than they save.
constexpr std::int64_t kInlineWork = 1 << 16;

int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

// A zeroed, 64-byte aligned array that only grows.
class Buffer {
 public:
  float* ensure(std::int64_t count) {
    if (tensor_.rows() * tensor_.cols() < count) {
      tensor_.resize(1, count);
      std::memset(tensor_.data(), 0, static_cast<std::size_t>(count) * sizeof(float));
    }
    return tensor_.data();
  }

 private:
  Tensor tensor_;
};

// Running softmax of some query rows.
struct State {
  float* maximum;  // [rows]
  float* sum;      // [rows]
  float* output;   // [rows][width]
};

std::int64_t state_floats(int rows, int width) {
  return 2 * round_up(rows, 16) + static_cast<std::int64_t>(rows) * width;
}

State state_at(float* memory, int rows) {
  const int padded = round_up(rows, 16);
  return {memory, memory + padded, memory + 2 * padded};
}

void reset(const State& state, int rows) {
  std::fill_n(state.maximum, rows, kMinusInfinity);
  std::fill_n(state.sum, rows, 0.0f);
}

// What one thread works with.
struct ThreadScratch {
  Buffer queries, keys, values, scores, partial, state, query_pairs, key_rows;
  std::vector<int> first, last, origin;
  std::vector<float> slopes;
};

// Consecutive tokens of one sequence, and the query heads of one KV head.
struct Tile {
  int sequence, kv_head;
  int first_token, tokens;              // rows of the batch
  int first_partition, last_partition;  // of keys, [first, last)
  std::int64_t partials = -1;           // offset of its states when partitions run apart
  int pending = -1;                     // index of its counter then
};

struct Item {
  int tile;
  int partition;  // -1: all
};

void gather_queries(const Tensor& qkv, const AttentionShape& shape, const Tile& tile, int width,
                    float* queries) {
  const int group = shape.heads / shape.kv_heads;
  const float scale = shape.scale * kLog2E;
  for (int t = 0; t < tile.tokens; ++t) {
    const float* from = qkv.row(tile.first_token + t) +
                        static_cast<std::int64_t>(tile.kv_head) * group * shape.head_dim;
    for (int g = 0; g < group; ++g, from += shape.head_dim, queries += width) {
      for (int d = 0; d < shape.head_dim; ++d) queries[d] = from[d] * scale;
    }
  }
}

// The slope of every query row, for scores that are powers of two.
void gather_slopes(const AttentionShape& shape, const Tile& tile, std::vector<float>& slopes) {
  const int group = shape.heads / shape.kv_heads;
  slopes.clear();
  for (int t = 0; t < tile.tokens; ++t) {
    for (int g = 0; g < group; ++g) {
      slopes.push_back(shape.alibi_slopes[static_cast<std::size_t>(tile.kv_head * group + g)] *
                       kLog2E);
    }
  }
}

void scatter_output(const State& state, const AttentionShape& shape, const Tile& tile, int width,
                    Tensor& out) {
  const int group = shape.heads / shape.kv_heads;
  int row = 0;
  for (int t = 0; t < tile.tokens; ++t) {
    float* to = out.row(tile.first_token + t) +
                static_cast<std::int64_t>(tile.kv_head) * group * shape.head_dim;
    for (int g = 0; g < group; ++g, ++row, to += shape.head_dim) {
      const float inverse = 1.0f / state.sum[row];
      const float* from = state.output + static_cast<std::int64_t>(row) * width;
      for (int d = 0; d < shape.head_dim; ++d) to[d] = from[d] * inverse;
    }
  }
}

// Widens the keys and values of one partition of a paged sequence.
void load_paged(const KvLayer& layer, int kv_head, std::span<const std::int32_t> block_table,
                int partition, int count, int width, float* keys, float* values,
                const cpu::AttentionKernels& kernels) {
  const int d = layer.head_dim, size = layer.block_size;
  const bool is_bf16 = layer.type == KvType::kBF16;
  for (int k = 0; k < count;) {
    const int position = partition * kPartition + k;
    const int offset = position % size;
    const int run = std::min(size - offset, kPartition - k);
    const auto block = block_table[static_cast<std::size_t>(position / size)];
    const int columns = std::min(run, round_up(count - k, 16));
    const int rows = std::min(run, count - k);
    if (layer.type == KvType::kF32) {
      const auto* from_k = reinterpret_cast<const float*>(layer.keys(block, kv_head)) + offset;
      const auto* from_v =
          reinterpret_cast<const float*>(layer.values(block, kv_head)) + offset * d;
      for (int i = 0; i < d; ++i) {
        std::memcpy(keys + i * kKeyStride + k, from_k + i * size, columns * sizeof(float));
      }
      for (int r = 0; r < rows; ++r) {
        std::memcpy(values + (k + r) * width, from_v + r * d, d * sizeof(float));
      }
    } else {
      const auto* from_k =
          reinterpret_cast<const std::uint16_t*>(layer.keys(block, kv_head)) + offset;
      const auto* from_v =
          reinterpret_cast<const std::uint16_t*>(layer.values(block, kv_head)) + offset * d;
      kernels.widen(is_bf16, from_k, size, keys + k, kKeyStride, d, columns);
      kernels.widen(is_bf16, from_v, d, values + k * width, width, rows, d);
    }
    k += run;
  }
}

// Finds the same keys and values where they are stored, in slices of 16 tokens.
void find_slices(const KvLayer& layer, int kv_head, std::span<const std::int32_t> block_table,
                 int partition, int count, const void** keys, const void** values) {
  const int bytes = kv_element_bytes(layer.type);
  for (int k = 0; k < count; k += 16, ++keys, ++values) {
    const int position = partition * kPartition + k;
    const int offset = position % layer.block_size;
    const auto block = block_table[static_cast<std::size_t>(position / layer.block_size)];
    *keys = layer.keys(block, kv_head) + offset * bytes;
    *values = layer.values(block, kv_head) + offset * layer.head_dim * bytes;
  }
}

cpu::StoredType stored_type(KvType type) {
  switch (type) {
    case KvType::kF16:
      return cpu::StoredType::kF16;
    case KvType::kBF16:
      return cpu::StoredType::kBF16;
    case KvType::kF32:
      break;
  }
  return cpu::StoredType::kF32;
}

}  // namespace

struct Attention::Scratch {
  const cpu::AttentionKernels& kernels;
  std::vector<ThreadScratch> threads;
  std::vector<Tile> tiles;
  std::vector<Item> items;
  Buffer partials;
  std::unique_ptr<std::atomic<int>[]> pending;
  int pending_capacity = 0;
  int head_dim = 0;

  void start(const AttentionShape& shape, int thread_count) {
    assert(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0);
    assert(shape.alibi_slopes.empty() ||
           static_cast<int>(shape.alibi_slopes.size()) == shape.heads);
    // The zeros that pad head_dim to the width survive as long as head_dim does.
    if (head_dim != shape.head_dim) threads.clear();
    head_dim = shape.head_dim;
    threads.resize(static_cast<std::size_t>(thread_count));
    tiles.clear();
    items.clear();
  }
};

std::vector<float> alibi_slopes(int heads, double bias_max) {
  int power = 1;  // of two, at least `heads`
  while (power < heads) power *= 2;
  const auto t = [&](int i) { return static_cast<float>(std::exp2(-bias_max * i / power)); };
  std::vector<float> slopes;
  if (power == heads) {
    for (int i = 1; i <= power; ++i) slopes.push_back(t(i));
    return slopes;
  }
  for (int i = 2; i <= power; i += 2) slopes.push_back(t(i));
  for (int i = 1; i <= power; i += 2) slopes.push_back(t(i));
  slopes.resize(static_cast<std::size_t>(heads));
  return slopes;
}

Attention::Attention() : Attention(cpu::attention_kernels()) {}
Attention::Attention(const cpu::AttentionKernels& kernels)
    : scratch_(new Scratch{.kernels = kernels}) {}
Attention::~Attention() = default;
Attention::Attention(Attention&&) noexcept = default;
Attention& Attention::operator=(Attention&&) noexcept = default;

void rotate(Tensor& qkv, std::int64_t first_row, const AttentionShape& shape,
            std::span<const std::int32_t> positions, const RotaryTable& table, RopePairing pairing,
            ThreadPool& pool) {
  const auto& kernels = cpu::attention_kernels();
  const bool interleaved = pairing == RopePairing::kInterleaved;
  const int half = shape.head_dim / 2;
  const auto rotate_rows = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const float* angles = table.row(positions[static_cast<std::size_t>(i)]);
      float* head = qkv.row(first_row + i);
      for (int h = 0; h < shape.heads + shape.kv_heads; ++h, head += shape.head_dim) {
        kernels.rotate(head, angles, angles + half, half, interleaved);
      }
    }
  };
  for_row_ranges(static_cast<std::int64_t>(positions.size()), qkv.cols(), pool, rotate_rows);
}

void store_kv(const Tensor& qkv, const AttentionShape& shape,
              std::span<const std::int64_t> slot_mapping, const KvLayer& layer, ThreadPool& pool) {
  const auto& kernels = cpu::attention_kernels();
  const int d = shape.head_dim, size = layer.block_size;
  const auto store_row = [&](std::int64_t token) {
    const std::int64_t slot = slot_mapping[static_cast<std::size_t>(token)];
    const std::int64_t block = slot / size, offset = slot % size;
    const float* key = qkv.row(token) + shape.q_size();
    const float* value = key + shape.kv_size();
    for (int h = 0; h < shape.kv_heads; ++h, key += d, value += d) {
      if (layer.type == KvType::kF32) {
        auto* keys = reinterpret_cast<float*>(layer.keys(block, h)) + offset;
        auto* values = reinterpret_cast<float*>(layer.values(block, h)) + offset * d;
        for (int i = 0; i < d; ++i) keys[i * size] = key[i];
        std::memcpy(values, value, static_cast<std::size_t>(d) * sizeof(float));
        continue;
      }
      const bool is_bf16 = layer.type == KvType::kBF16;
      auto* keys = reinterpret_cast<std::uint16_t*>(layer.keys(block, h)) + offset;
      auto* values = reinterpret_cast<std::uint16_t*>(layer.values(block, h)) + offset * d;
      constexpr int kPiece = 128;
      std::uint16_t narrowed[kPiece];
      for (int begin = 0; begin < d; begin += kPiece) {
        const int count = std::min(kPiece, d - begin);
        kernels.narrow(is_bf16, key + begin, narrowed, count);
        for (int i = 0; i < count; ++i) keys[(begin + i) * size] = narrowed[i];
      }
      kernels.narrow(is_bf16, value, values, d);
    }
  };
  for_row_ranges(qkv.rows(), 2 * shape.kv_size(), pool, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t token = first; token < last; ++token) store_row(token);
  });
}

void Attention::paged(const Tensor& qkv, const AttentionShape& shape,
                      const PackedSequences& sequences, const KvLayer& layer, Tensor& out,
                      ThreadPool& pool) {
  Scratch& s = *scratch_;
  const cpu::AttentionKernels& kernels = s.kernels;
  s.start(shape, pool.threads());
  out.resize(qkv.rows(), shape.q_size());

  const int group = shape.heads / shape.kv_heads;
  const int width = round_up(shape.head_dim, 16);
  const int tile_tokens = std::max(1, kTileRows / group);
  const int count = static_cast<int>(sequences.cu_seqlens.size()) - 1;
  std::int64_t work = 0;
  for (int i = 0; i < count; ++i) {
    const int begin = sequences.cu_seqlens[i], end = sequences.cu_seqlens[i + 1];
    // The longest tiles first, so that no thread is left with one at the end.
    for (int tile_end = end; tile_end > begin;) {
      const int first = std::max(begin, tile_end - tile_tokens);
      const int keys = sequences.positions[tile_end - 1] + 1;
      const int oldest = sequences.positions[first] + 1 - shape.sliding_window;
      const int first_partition = shape.sliding_window > 0 ? std::max(0, oldest) / kPartition : 0;
      for (int h = 0; h < shape.kv_heads; ++h) {
        s.tiles.push_back(
            {i, h, first, tile_end - first, first_partition, (keys + kPartition - 1) / kPartition});
      }
      work += static_cast<std::int64_t>(tile_end - first) * shape.heads * shape.head_dim * 2 *
              (keys - first_partition * kPartition);
      tile_end = first;
    }
  }

  // With few tiles (one long sequence being decoded), their partitions are shared out as well.
  const bool apart = static_cast<int>(s.tiles.size()) < 4 * pool.threads() && pool.threads() > 1;
  std::int64_t partial_floats = 0;
  int counters = 0;
  for (int i = 0; i < static_cast<int>(s.tiles.size()); ++i) {
    Tile& tile = s.tiles[static_cast<std::size_t>(i)];
    const int partitions = tile.last_partition - tile.first_partition;
    const std::int64_t needed = state_floats(tile.tokens * group, width) * partitions;
    if (!apart || partitions < 2 || partial_floats + needed > kMaxPartialFloats) {
      s.items.push_back({i, -1});
      continue;
    }
    tile.partials = partial_floats;
    tile.pending = counters++;
    partial_floats += needed;
    for (int p = tile.first_partition; p < tile.last_partition; ++p) s.items.push_back({i, p});
  }
  float* partials = s.partials.ensure(partial_floats);
  if (counters > s.pending_capacity) {
    s.pending = std::make_unique<std::atomic<int>[]>(static_cast<std::size_t>(counters));
    s.pending_capacity = counters;
  }
  for (const Tile& tile : s.tiles) {
    if (tile.pending >= 0) {
      s.pending[static_cast<std::size_t>(tile.pending)].store(
          tile.last_partition - tile.first_partition, std::memory_order_relaxed);
    }
  }

  const bool alibi = !shape.alibi_slopes.empty();
  const auto attend = [&](int item_index, int thread) {
    const Item item = s.items[static_cast<std::size_t>(item_index)];
    const Tile& tile = s.tiles[static_cast<std::size_t>(item.tile)];
    ThreadScratch& t = s.threads[static_cast<std::size_t>(thread)];
    const int rows = tile.tokens * group;
    t.first.resize(static_cast<std::size_t>(rows));
    t.last.resize(static_cast<std::size_t>(rows));
    t.origin.resize(static_cast<std::size_t>(rows));
    if (alibi) gather_slopes(shape, tile, t.slopes);
    float* queries = t.queries.ensure(static_cast<std::int64_t>(rows) * width);
    float* keys = t.keys.ensure(static_cast<std::int64_t>(shape.head_dim) * kKeyStride);
    float* values = t.values.ensure(static_cast<std::int64_t>(kPartition) * width);
    float* scores = t.scores.ensure(cpu::kAttentionRows * kPartition);
    float* partial = t.partial.ensure(cpu::kAttentionRows * width);
    gather_queries(qkv, shape, tile, width, queries);

    const bool whole = item.partition < 0;
    const std::int64_t floats = state_floats(rows, width);
    float* memory =
        whole ? t.state.ensure(floats)
              : partials + tile.partials + floats * (item.partition - tile.first_partition);
    const State state = state_at(memory, rows);
    reset(state, rows);

    const int first_partition = whole ? tile.first_partition : item.partition;
    const int last_partition = whole ? tile.last_partition : item.partition + 1;
    const int tile_keys = sequences.positions[tile.first_token + tile.tokens - 1] + 1;
    const bool direct = rows <= kDirectRows && shape.head_dim % 16 == 0;
    const void* key_slices[kPartition / 16];
    const void* value_slices[kPartition / 16];
    for (int p = first_partition; p < last_partition; ++p) {
      const int base = p * kPartition;
      const auto& block_table = sequences.block_tables[static_cast<std::size_t>(tile.sequence)];
      const int key_count = std::min(kPartition, tile_keys - base);
      if (direct) {
        find_slices(layer, tile.kv_head, block_table, p, key_count, key_slices, value_slices);
      } else {
        load_paged(layer, tile.kv_head, block_table, p, key_count, width, keys, values, kernels);
      }
      for (int row = 0; row < rows; ++row) {
        const int position = sequences.positions[tile.first_token + row / group];
        const int oldest = shape.sliding_window > 0 ? position + 1 - shape.sliding_window : 0;
        t.first[static_cast<std::size_t>(row)] = std::clamp(oldest - base, 0, kPartition);
        t.last[static_cast<std::size_t>(row)] = std::clamp(position + 1 - base, 0, kPartition);
        t.origin[static_cast<std::size_t>(row)] = position - base;
      }
      kernels.attend({queries, direct ? nullptr : keys, direct ? nullptr : values, key_slices,
                      value_slices, layer.block_size, stored_type(layer.type), t.first.data(),
                      t.last.data(), alibi ? t.slopes.data() : nullptr, t.origin.data(), rows,
                      shape.head_dim, width, scores, partial, state.maximum, state.sum,
                      state.output});
    }
    if (whole) {
      scatter_output(state, shape, tile, width, out);
      return;
    }
    // Whoever finishes last merges all partitions, in order.
    auto& pending = s.pending[static_cast<std::size_t>(tile.pending)];
    if (pending.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    float* first_state = partials + tile.partials;
    const State into = state_at(first_state, rows);
    for (int p = 1; p < tile.last_partition - tile.first_partition; ++p) {
      const State from = state_at(first_state + floats * p, rows);
      for (int row = 0; row < rows; ++row) {
        kernels.merge(from.maximum[row], from.sum[row], from.output + row * width,
                      &into.maximum[row], &into.sum[row], into.output + row * width, width);
      }
    }
    scatter_output(into, shape, tile, width, out);
  };

  const int items = static_cast<int>(s.items.size());
  if (work < kInlineWork || items == 1) {
    for (int i = 0; i < items; ++i) attend(i, 0);
  } else {
    pool.run(items, attend);
  }
}

void Attention::bidirectional(const Tensor& qkv, const AttentionShape& shape,
                              std::span<const std::int32_t> cu_seqlens, bool allow_bf16,
                              Tensor& out, ThreadPool& pool) {
  Scratch& s = *scratch_;
  const cpu::AttentionKernels& kernels = s.kernels;
  s.start(shape, pool.threads());
  out.resize(qkv.rows(), shape.q_size());

  const int group = shape.heads / shape.kv_heads;
  const int width = round_up(shape.head_dim, 16);
  const int count = static_cast<int>(cu_seqlens.size()) - 1;
  // A tile per sequence and head reads the keys once; more tiles where threads would be idle.
  constexpr int kMaxTokens = 512;
  const int parts = std::max(1, 4 * pool.threads() / std::max(1, count * shape.kv_heads));
  for (int i = 0; i < count; ++i) {
    const int begin = cu_seqlens[i], end = cu_seqlens[i + 1];
    const int tokens =
        std::clamp(round_up((end - begin + parts - 1) / parts, kTileRows), 1, kMaxTokens);
    for (int first = begin; first < end; first += tokens) {
      for (int h = 0; h < shape.kv_heads; ++h) {
        s.tiles.push_back({i, h, first, std::min(tokens, end - first), 0,
                           (end - begin + kPartition - 1) / kPartition});
      }
    }
  }

  pool.run(static_cast<int>(s.tiles.size()), [&](int index, int thread) {
    const Tile& tile = s.tiles[static_cast<std::size_t>(index)];
    ThreadScratch& t = s.threads[static_cast<std::size_t>(thread)];
    const int rows = tile.tokens * group;
    t.first.assign(static_cast<std::size_t>(rows), 0);
    float* queries = t.queries.ensure(static_cast<std::int64_t>(rows) * width);
    float* keys = t.keys.ensure(static_cast<std::int64_t>(shape.head_dim) * kKeyStride);
    float* values = t.values.ensure(static_cast<std::int64_t>(kPartition) * width);
    float* scores = t.scores.ensure(cpu::kAttentionRows * kPartition);
    float* partial = t.partial.ensure(cpu::kAttentionRows * width);
    gather_queries(qkv, shape, tile, width, queries);
    const State state = state_at(t.state.ensure(state_floats(rows, width)), rows);
    reset(state, rows);

    const int begin = cu_seqlens[tile.sequence], end = cu_seqlens[tile.sequence + 1];
    const int key_offset = shape.q_size() + tile.kv_head * shape.head_dim;
    const bool bf16 = allow_bf16 && kernels.attend_bf16 != nullptr;
    for (int p = 0; p < tile.last_partition; ++p) {
      const int first_key = begin + p * kPartition;
      const int n = std::min(kPartition, end - first_key);
      const float* from = qkv.row(first_key) + key_offset;
      if (bf16) {
        const auto pairs = [](Buffer& buffer, std::int64_t count) {
          return reinterpret_cast<std::uint32_t*>(buffer.ensure(count));
        };
        kernels.attend_bf16(
            {queries, pairs(t.query_pairs, cpu::kAttentionRows * width / 2), from,
             from + shape.kv_size(), qkv.cols(), pairs(t.key_rows, kPartition * width / 2),
             pairs(t.keys, std::int64_t{width} / 2 * kKeyStride),
             pairs(t.values, std::int64_t{kPartition} / 2 * width), rows, shape.head_dim, width, n,
             scores, partial, state.maximum, state.sum, state.output});
        continue;
      }
      kernels.transpose(from, qkv.cols(), keys, kKeyStride, n, shape.head_dim);
      from += shape.kv_size();
      for (int k = 0; k < n; ++k) {
        std::memcpy(values + k * width, from + k * qkv.cols(), shape.head_dim * sizeof(float));
      }
      t.last.assign(static_cast<std::size_t>(rows), n);
      kernels.attend({queries, keys, values, nullptr, nullptr, 0, cpu::StoredType::kF32,
                      t.first.data(), t.last.data(), nullptr, nullptr, rows, shape.head_dim, width,
                      scores, partial, state.maximum, state.sum, state.output});
    }
    scatter_output(state, shape, tile, width, out);
  });
}

}  // namespace tessera

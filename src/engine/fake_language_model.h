// For tests: a model whose logits depend on every token of a sequence's history, read back from the
// KV cache through the block table. A block shared, copied, reused or left out by mistake changes
// the output; so does a wrong position, slot or row.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <vector>

#include "models/model.h"

namespace tessera {

class FakeLanguageModel : public LanguageModel {
 public:
  static constexpr int kVocab = 97;
  static constexpr std::int32_t kEos = 1;

  explicit FakeLanguageModel(int context = 512) {
    info_.architecture = "fake";
    info_.vocab_size = kVocab;
    info_.hidden_size = 1;
    info_.num_hidden_layers = 1;
    info_.num_kv_heads = 1;
    info_.head_dim = 1;
    info_.context_length = context;
    info_.eos_token_ids = {kEos};
  }

  const ModelInfo& info() const override { return info_; }

  void forward(const Batch& batch, KvCache& kv, Tensor& logits) override {
    if (before_forward) before_forward(batch);
    ++steps;
    tokens += batch.tokens();
    for (int s = 0; s < batch.sequences(); ++s) {
      for (int t = batch.cu_seqlens[s]; t < batch.cu_seqlens[s + 1]; ++t) {
        const int position = batch.positions[t];
        const int block = batch.block_tables[s][position / kv.block_size()];
        const int offset = position % kv.block_size();
        if (batch.slot_mapping[t] != std::int64_t{block} * kv.block_size() + offset) {
          throw std::logic_error("slot_mapping and block_table disagree");
        }
        write(kv.layer(0).keys(block, 0), offset, static_cast<float>(batch.token_ids[t]));
        write(kv.layer(0).values(block, 0), offset, static_cast<float>(position));
      }
    }
    logits.resize(static_cast<std::int64_t>(batch.logit_rows.size()), kVocab);
    int s = 0;
    for (std::size_t r = 0; r < batch.logit_rows.size(); ++r) {
      const int t = batch.logit_rows[r];
      while (batch.cu_seqlens[s + 1] <= t) ++s;
      std::vector<std::int32_t> history;
      for (int p = 0; p <= batch.positions[t]; ++p) {
        const int block = batch.block_tables[s][p / kv.block_size()];
        if (read(kv.layer(0).values(block, 0), p % kv.block_size()) != static_cast<float>(p)) {
          throw std::logic_error("the KV cache holds another position");
        }
        history.push_back(
            static_cast<std::int32_t>(read(kv.layer(0).keys(block, 0), p % kv.block_size())));
      }
      logits_of(history, logits.row(static_cast<std::int64_t>(r)));
    }
  }

  static void logits_of(const std::vector<std::int32_t>& history, float* logits) {
    std::uint64_t hash = 14695981039346656037u;
    for (std::int32_t token : history)
      hash = (hash ^ static_cast<std::uint64_t>(token)) * 1099511628211u;
    for (int v = 0; v < kVocab; ++v) {
      std::uint64_t x = (hash + static_cast<std::uint64_t>(v)) * 0x9E3779B97F4A7C15u;
      x ^= x >> 29;
      x *= 0xBF58476D1CE4E5B9u;
      x ^= x >> 32;
      logits[v] = static_cast<float>(x % 10007) / 1000.0f;
    }
    logits[kEos] = -30.0f;  // lengths are chosen by the tests
  }

  // Greedy continuation, token by token, without any engine.
  static std::vector<std::int32_t> greedy(std::vector<std::int32_t> history, int count) {
    std::vector<std::int32_t> out;
    for (int i = 0; i < count; ++i) {
      float logits[kVocab];
      logits_of(history, logits);
      std::int32_t best = 0;
      for (int v = 1; v < kVocab; ++v) {
        if (logits[v] > logits[best]) best = v;
      }
      history.push_back(best);
      out.push_back(best);
    }
    return out;
  }

  std::function<void(const Batch&)> before_forward;  // set before the engine starts
  std::atomic<std::int64_t> steps{0}, tokens{0};

 private:
  static void write(std::byte* matrix, int row, float value) {
    std::memcpy(matrix + row * sizeof(float), &value, sizeof value);
  }
  static float read(const std::byte* matrix, int row) {
    float value;
    std::memcpy(&value, matrix + row * sizeof(float), sizeof value);
    return value;
  }

  ModelInfo info_;
};

// Embeds an input as (sum of its tokens, its length).
class FakeEmbeddingModel : public EmbeddingModel {
 public:
  FakeEmbeddingModel() {
    info_.architecture = "fake";
    info_.vocab_size = 1000;
    info_.hidden_size = 2;
    info_.context_length = 64;
    info_.is_embedding = true;
  }
  const ModelInfo& info() const override { return info_; }
  bool normalizes() const override { return false; }
  void forward(const Batch& batch, Tensor& embeddings) override {
    if (before_forward) before_forward(batch);
    embeddings.resize(batch.sequences(), 2);
    for (int s = 0; s < batch.sequences(); ++s) {
      float sum = 0;
      for (int t = batch.cu_seqlens[s]; t < batch.cu_seqlens[s + 1]; ++t) sum += batch.token_ids[t];
      embeddings.row(s)[0] = sum;
      embeddings.row(s)[1] = static_cast<float>(batch.cu_seqlens[s + 1] - batch.cu_seqlens[s]);
    }
  }

  std::function<void(const Batch&)> before_forward;

 private:
  ModelInfo info_;
};

}  // namespace tessera

#include "app/quality.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <span>

#include "app/worker_process.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "engine/model_assets.h"
#include "engine/model_path.h"
#include "models/model.h"

namespace tessera::app {
namespace {

constexpr int kBlockSize = 16;

// Logits of all tokens of a window that stands alone.
class Scorer {
 public:
  Scorer(const QualityOptions& options, WeightFormat format, ThreadPool& pool)
      : model_(load_model(resolve_model_path(options.path), {.weight_format = format}, pool)) {
    if (!model_.language) {
      throw Error(ErrorKind::kWrongTask,
                  options.path + ": makes embeddings, wanted a language model");
    }
    const ModelInfo& info = model_.language->info();
    const int blocks = (options.window + kBlockSize - 1) / kBlockSize;
    kv_ = std::make_unique<KvCache>(info.num_hidden_layers, info.num_kv_heads, info.head_dim,
                                    blocks, kBlockSize, KvType::kF32);
    table_.resize(static_cast<std::size_t>(blocks));
    std::iota(table_.begin(), table_.end(), 0);
  }
  const ModelInfo& info() const { return model_.language->info(); }

  const Tensor& score(std::span<const std::int32_t> tokens) {
    const auto n = static_cast<std::int32_t>(tokens.size());
    std::vector<std::int32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), 0);
    const std::vector<std::int64_t> slots(positions.begin(), positions.end());
    const std::int32_t cu[] = {0, n}, lengths[] = {n};
    const std::span<const std::int32_t> tables[] = {table_};
    model_.language->forward({tokens, positions, cu, slots, tables, positions, lengths}, *kv_,
                             logits_);
    return logits_;
  }

 private:
  LoadedModel model_;
  std::unique_ptr<KvCache> kv_;
  std::vector<std::int32_t> table_;
  Tensor logits_;
};

double log_sum_exp(const float* row, std::int64_t n) {
  const double peak = *std::max_element(row, row + n);
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(row[i] - peak);
  return peak + std::log(sum);
}

struct Sums {
  double divergence = 0, loss = 0;
  std::int64_t positions = 0, agreed = 0;
};

// Position t predicts token t + 1.
void compare(const Tensor& exact, const Tensor& got, std::span<const std::int32_t> tokens,
             Sums& sums) {
  const std::int64_t vocab = exact.cols();
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
    const float* p = exact.row(static_cast<std::int64_t>(t));
    const float* q = got.row(static_cast<std::int64_t>(t));
    const double p_total = log_sum_exp(p, vocab), q_total = log_sum_exp(q, vocab);
    for (std::int64_t i = 0; i < vocab; ++i) {
      const double log_p = p[i] - p_total;
      sums.divergence += std::exp(log_p) * (log_p - (q[i] - q_total));
    }
    sums.loss += q_total - q[tokens[t + 1]];
    sums.agreed += std::max_element(p, p + vocab) - p == std::max_element(q, q + vocab) - q;
    ++sums.positions;
  }
}

}  // namespace

int measure_quality(const QualityOptions& options) {
  const ModelAssets assets = load_assets(options.path);
  const MappedFile text(options.text_path);
  std::vector<std::int32_t> tokens =
      assets.tokenizer->encode({reinterpret_cast<const char*>(text.data()), text.size()}, {});
  if (tokens.size() > static_cast<std::size_t>(options.max_tokens)) {
    tokens.resize(static_cast<std::size_t>(options.max_tokens));
  }
  if (tokens.size() < 2) {
    throw Error(
        ErrorKind::kBadConfiguration,
        options.text_path + ": has " + std::to_string(tokens.size()) + " tokens, wanted 2 or more");
  }
  ThreadPool pool(options.threads);
  Scorer exact(options, WeightFormat::kF32, pool);
  std::cout << "| weights | MiB | mean KL, nats | same likeliest token | perplexity |\n"
            << "|---|---|---|---|---|\n";
  for (const std::string& name : options.formats) {
    Scorer scorer(options, parse_weight_format(name), pool);
    Sums sums;
    const auto window = static_cast<std::size_t>(options.window);
    for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += window) {
      const auto part = std::span(tokens).subspan(begin, std::min(window, tokens.size() - begin));
      if (part.size() > 1) compare(exact.score(part), scorer.score(part), part, sums);
    }
    const auto n = static_cast<double>(sums.positions);
    std::cout << "| " << name << " | " << std::fixed << std::setprecision(1)
              << static_cast<double>(scorer.info().weight_bytes) / (1 << 20) << " | "
              << std::setprecision(6) << sums.divergence / n << " | " << std::setprecision(2)
              << 100.0 * static_cast<double>(sums.agreed) / n << " % | " << std::setprecision(3)
              << std::exp(sums.loss / n) << " |" << std::endl;
  }
  std::cout << "\n" << tokens.size() << " tokens in windows of " << options.window << "\n";
  return 0;
}

}  // namespace tessera::app

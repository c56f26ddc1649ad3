#include "compute/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tessera {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

// theta^(2n/D) as torch computes it: exponent and power in f32.
float wave_base(float theta, int n, int head_dim) {
  const float exponent = static_cast<float>(2 * n) / static_cast<float>(head_dim);
  return std::pow(theta, exponent);
}

// YaRN (arXiv:2309.00071): dimensions that turn often keep their frequency, slow ones are
// interpolated, with a ramp between.
void scale_yarn(std::vector<float>& f, double theta, const RopeScaling& s, int head_dim) {
  const auto correction_dim = [&](double rotations) {
    return head_dim * std::log(s.original_max_position_embeddings / (rotations * kTwoPi)) /
           (2.0 * std::log(theta));
  };
  double low = correction_dim(s.beta_fast), high = correction_dim(s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, head_dim - 1.0);
  if (low == high) high += 0.001;
  for (std::size_t n = 0; n < f.size(); ++n) {
    const auto ramp =
        static_cast<float>(std::clamp((static_cast<double>(n) - low) / (high - low), 0.0, 1.0));
    f[n] = f[n] / static_cast<float>(s.factor) * ramp + f[n] * (1.0f - ramp);
  }
}

// Llama 3.1: long waves are interpolated, short ones kept, a blend between.
void scale_llama3(std::vector<float>& f, const RopeScaling& s) {
  const auto factor = static_cast<float>(s.factor);
  const auto low = static_cast<float>(s.low_freq_factor);
  const auto high = static_cast<float>(s.high_freq_factor);
  const auto original = static_cast<float>(s.original_max_position_embeddings);
  for (float& frequency : f) {
    const float wavelength = static_cast<float>(kTwoPi) / frequency;
    if (wavelength > original / low) {
      frequency /= factor;
    } else if (wavelength >= original / high) {
      const float smooth = (original / wavelength - low) / (high - low);
      frequency = (1.0f - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

}  // namespace

std::vector<float> rope_frequencies(double theta, const RopeScaling& scaling, int head_dim,
                                    int length, int max_position_embeddings) {
  double base = theta;
  if (scaling.type == RopeType::kDynamic && length > max_position_embeddings) {
    const double stretch =
        scaling.factor * length / max_position_embeddings - (scaling.factor - 1.0);
    base = theta * std::pow(stretch, head_dim / (head_dim - 2.0));
  } else if (scaling.type == RopeType::kNtk && !scaling.mixed_b) {
    base = theta * scaling.factor;
  }
  std::vector<float> f(static_cast<std::size_t>(head_dim / 2));
  for (int n = 0; n < head_dim / 2; ++n) {
    f[n] = 1.0f / wave_base(static_cast<float>(base), n, head_dim);
  }
  switch (scaling.type) {
    case RopeType::kDefault:
    case RopeType::kDynamic:
      break;
    case RopeType::kLinear:
      for (float& frequency : f) frequency /= static_cast<float>(scaling.factor);
      break;
    case RopeType::kYarn:
      scale_yarn(f, theta, scaling, head_dim);
      break;
    case RopeType::kLlama3:
      scale_llama3(f, scaling);
      break;
    case RopeType::kNtk: {
      // GTE's fixed NTK: the whole spectrum is shrunk as well, so f_0 is not 1.
      const double half = head_dim / 2.0;
      for (std::size_t n = 0; n < f.size(); ++n) {
        const double shrink =
            scaling.mixed_b
                ? std::exp(-std::log(scaling.factor) / std::pow(half, *scaling.mixed_b) *
                           std::pow(static_cast<double>(n) + 1.0, *scaling.mixed_b))
                : std::pow(scaling.factor, -2.0 / head_dim);
        f[n] = static_cast<float>(f[n] * shrink);
      }
      break;
    }
  }
  return f;
}

float rope_attention_factor(const RopeScaling& scaling) {
  if (scaling.type != RopeType::kYarn) return 1.0f;
  if (scaling.attention_factor) return static_cast<float>(*scaling.attention_factor);
  const auto m = [&](double scale) {
    return scaling.factor <= 1.0 ? 1.0 : 0.1 * scale * std::log(scaling.factor) + 1.0;
  };
  if (scaling.mscale != 0.0 && scaling.mscale_all_dim != 0.0) {
    return static_cast<float>(m(scaling.mscale) / m(scaling.mscale_all_dim));
  }
  return static_cast<float>(m(1.0));
}

RotaryTable::RotaryTable(std::vector<float> frequencies, float attention_factor)
    : frequencies_(std::move(frequencies)), attention_factor_(attention_factor) {}

void RotaryTable::ensure(std::int64_t positions) {
  const std::size_t half = frequencies_.size();
  while (static_cast<std::int64_t>(chunks_.size()) * kChunk < positions) {
    const auto first = static_cast<std::int64_t>(chunks_.size()) * kChunk;
    auto chunk = std::make_unique<float[]>(static_cast<std::size_t>(kChunk) * 2 * half);
    for (std::int64_t p = 0; p < kChunk; ++p) {
      float* row = chunk.get() + static_cast<std::size_t>(p) * 2 * half;
      for (std::size_t n = 0; n < half; ++n) {
        // The reference's f32 product, then an accurate reduction of that angle.
        const double angle = static_cast<float>(first + p) * frequencies_[n];
        row[n] = static_cast<float>(std::cos(angle)) * attention_factor_;
        row[half + n] = static_cast<float>(std::sin(angle)) * attention_factor_;
      }
    }
    chunks_.push_back(std::move(chunk));
  }
}

}  // namespace tessera

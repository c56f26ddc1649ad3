// For tests: the golden models of tests/golden/models, and the bookkeeping that the engine would do
// for them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "compute/kernels.h"
#include "models/golden_files.h"
#include "models/model.h"

namespace tessera {

namespace fs = std::filesystem;
namespace json = boost::json;

inline const fs::path kGoldens = fs::path(TESSERA_SOURCE_DIR) / "tests/golden/models";

class Goldens : public testing::Test {
 protected:
  void SetUp() override {
    const char* isa = std::getenv("TESSERA_ISA");
    if (isa != nullptr && *isa != '\0' && find_kernels(isa) == nullptr) {
      GTEST_SKIP() << "this CPU cannot run " << isa;
    }
  }
};

inline std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  EXPECT_TRUE(in) << file;
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::vector<float> read_floats(const fs::path& file) {
  const std::string bytes = read_text(file);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::copy_n(bytes.data(), values.size() * sizeof(float), reinterpret_cast<char*>(values.data()));
  return values;
}

// A writable copy of a case's folder, with the weights it borrows.
class Folder {
 public:
  explicit Folder(const std::string& name) {
    static int count = 0;
    path_ = fs::path(testing::TempDir()) /
            ("tessera_models_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    fs::create_directories(path_);
    const json::object test = json::parse(read_text(kGoldens / name / "case.json")).as_object();
    const std::string weights =
        test.contains("weights") ? std::string(test.at("weights").as_string()) : name;
    for (const char* file : {"config.json", "modules.json", "1_Pooling/config.json"}) {
      if (fs::exists(kGoldens / name / file)) write(file, read_text(kGoldens / name / file));
    }
    if (test.contains("tensors")) {
      const auto* bf16 = test.if_contains("bf16");
      write("model.safetensors",
            safetensors_of(generate_tensors(test), bf16 != nullptr && bf16->as_bool()));
    } else {
      write("model.safetensors", read_text(kGoldens / weights / "model.safetensors"));
    }
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const fs::path& path() const { return path_; }
  void write(const fs::path& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  json::object config() const { return json::parse(read_text(path_ / "config.json")).as_object(); }
  void change_config(const std::string& key, json::value value) const {
    json::object config = this->config();
    config[key] = std::move(value);
    write("config.json", json::serialize(config));
  }

 private:
  fs::path path_;
};

inline std::vector<std::int32_t> tokens_of(const json::value& list) {
  return json::value_to<std::vector<std::int32_t>>(list);
}

inline std::vector<std::int32_t> golden_tokens() {
  return tokens_of(json::parse(read_text(kGoldens / "llama-a/case.json")).at("tokens"));
}

// A model, its memory and the bookkeeping that the engine would do.
class Session {
 public:
  Session(const fs::path& path, WeightFormat format, KvType kv_type, int threads)
      : pool_(threads),
        model_(load_model(path, {.weight_format = format}, pool_)),
        info_(model_.language->info()),
        kv_(info_.num_hidden_layers, info_.num_kv_heads, info_.head_dim, 64, 16, kv_type) {}

  struct Sequence {
    std::vector<std::int32_t> block_table;
    int length = 0, prompt_length = 0;
  };

  // One forward pass over the next tokens of some sequences; logits of all rows.
  const Tensor& step(const std::vector<std::pair<Sequence*, std::vector<std::int32_t>>>& work) {
    std::vector<std::int32_t> tokens, positions, cu{0}, rows, prompts;
    std::vector<std::int64_t> slots;
    std::vector<std::span<const std::int32_t>> tables;
    for (const auto& [sequence, fresh] : work) {
      for (const std::int32_t token : fresh) {
        if (sequence->length % 16 == 0) sequence->block_table.push_back(next_block_++ * 7 % 64);
        tokens.push_back(token);
        positions.push_back(sequence->length);
        slots.push_back(sequence->block_table.back() * std::int64_t{16} + sequence->length % 16);
        ++sequence->length;
      }
      cu.push_back(static_cast<std::int32_t>(tokens.size()));
      tables.emplace_back(sequence->block_table);
      prompts.push_back(sequence->prompt_length);
    }
    rows.resize(tokens.size());
    std::iota(rows.begin(), rows.end(), 0);
    model_.language->forward({tokens, positions, cu, slots, tables, rows, prompts}, kv_, logits_);
    return logits_;
  }

  // Logits of all tokens of one new sequence that arrives in chunks.
  std::vector<float> run(const std::vector<std::int32_t>& tokens, std::size_t chunk) {
    Sequence sequence;
    sequence.prompt_length = static_cast<int>(tokens.size());
    std::vector<float> all;
    for (std::size_t begin = 0; begin < tokens.size(); begin += chunk) {
      const std::size_t end = std::min(tokens.size(), begin + chunk);
      const Tensor& logits = step({{&sequence, {tokens.begin() + begin, tokens.begin() + end}}});
      all.insert(all.end(), logits.data(), logits.data() + logits.rows() * logits.cols());
    }
    next_block_ = 0;
    return all;
  }

  LanguageModel& model() { return *model_.language; }
  KvCache& kv() { return kv_; }
  void forget() { next_block_ = 0; }

 private:
  ThreadPool pool_;
  LoadedModel model_;
  ModelInfo info_;
  KvCache kv_;
  Tensor logits_;
  int next_block_ = 0;
};

inline void expect_close(const std::vector<float>& got, const std::vector<float>& want,
                         double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::fabs(got[i] - want[i]), tolerance + tolerance * std::fabs(want[i]))
        << "element " << i << ": " << got[i] << ", reference " << want[i];
  }
}

inline double rms(const std::vector<float>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares / static_cast<double>(values.size()));
}

// The rms of what `got` differs from `want` by, as a part of the rms of `want`.
inline double rms_error(const std::vector<float>& got, const std::vector<float>& want) {
  EXPECT_EQ(got.size(), want.size());
  std::vector<float> difference(std::min(got.size(), want.size()));
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] = got[i] - want[i];
  return rms(difference) / rms(want);
}

constexpr WeightFormat kFormats[] = {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kInt8,
                                     WeightFormat::kInt4};

class Encoder {
 public:
  Encoder(const fs::path& path, WeightFormat format, int threads)
      : pool_(threads), model_(load_model(path, {.weight_format = format}, pool_)) {}

  std::vector<float> embed(const std::vector<std::vector<std::int32_t>>& sequences) {
    std::vector<std::int32_t> tokens, positions, cu{0};
    for (const auto& sequence : sequences) {
      for (std::size_t t = 0; t < sequence.size(); ++t) {
        tokens.push_back(sequence[t]);
        positions.push_back(static_cast<std::int32_t>(t));
      }
      cu.push_back(static_cast<std::int32_t>(tokens.size()));
    }
    Tensor out;
    model_.embedding->forward({tokens, positions, cu, {}, {}, {}}, out);
    return {out.data(), out.data() + out.rows() * out.cols()};
  }
  EmbeddingModel& model() { return *model_.embedding; }

 private:
  ThreadPool pool_;
  LoadedModel model_;
};

constexpr const char* kMeanModules =
    R"([{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
        {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}])";

}  // namespace tessera

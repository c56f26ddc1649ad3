// The encoders against their references: every folder of tests/golden/models whose case.json is of
// kind "encoder".
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "compute/pooling.h"
#include "models/config.h"
#include "models/golden_models.h"

namespace tessera {
namespace {

struct EncoderCase {
  explicit EncoderCase(const std::string& case_name) : name(case_name) {
    const json::object object = json::parse(read_text(kGoldens / name / "case.json")).as_object();
    for (const json::value& list : object.at("sequences").as_array()) {
      sequences.push_back(tokens_of(list));
    }
    config = json::parse(read_text(kGoldens / name / "config.json")).as_object();
    layers = static_cast<int>(config.at("num_hidden_layers").as_int64());
    hidden = static_cast<std::size_t>(config.at("hidden_size").as_int64());
  }
  std::vector<float> floats(const char* file) const { return read_floats(kGoldens / name / file); }

  std::string name;
  std::vector<std::vector<std::int32_t>> sequences;
  json::object config;
  int layers;
  std::size_t hidden;
};

std::vector<std::string> encoder_names() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(kGoldens)) {
    if (!fs::exists(entry.path() / "case.json")) continue;
    const json::object test = json::parse(read_text(entry.path() / "case.json")).as_object();
    const auto* kind = test.if_contains("kind");
    if (kind != nullptr && *kind == "encoder") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST_F(Goldens, ThereAreThreeEncodersOfEachFamily) {
  std::map<std::string, int> count;
  for (const std::string& name : encoder_names()) ++count[name.substr(0, name.find('-'))];
  EXPECT_GE(count["gte"], 3);
  EXPECT_GE(count["bert"] + count["bge"], 3);
}

TEST_F(Goldens, EncodersEqualTheirReferenceElementByElement) {
  for (const std::string& name : encoder_names()) {
    SCOPED_TRACE(name);
    const EncoderCase test(name);
    const Folder folder(name);
    Encoder encoder(folder.path(), WeightFormat::kF32, 2);
    const std::vector<float> want = test.floats("embeddings.f32");
    std::vector<float> got = encoder.embed(test.sequences);
    expect_close(got, want, 2e-5);

    // Normalised, as most clients want them.
    std::vector<float> unit = want;
    for (std::size_t s = 0; s < test.sequences.size(); ++s) {
      double squares = 0;
      for (std::size_t c = 0; c < test.hidden; ++c) {
        squares += static_cast<double>(want[s * test.hidden + c]) * want[s * test.hidden + c];
      }
      for (std::size_t c = 0; c < test.hidden; ++c) {
        unit[s * test.hidden + c] =
            static_cast<float>(want[s * test.hidden + c] / std::sqrt(squares));
      }
      l2_normalize({got.data() + s * test.hidden, test.hidden});
    }
    expect_close(got, unit, 2e-5);
  }
}

// Of a model cut off after each layer: tells where an error begins.
TEST_F(Goldens, EncodersEqualTheirReferenceAfterEveryLayer) {
  for (const std::string& name : encoder_names()) {
    const EncoderCase test(name);
    const std::vector<float> states = test.floats("layers.f32");
    const std::size_t size = test.sequences.size() * test.hidden;
    ASSERT_EQ(states.size(), size * static_cast<std::size_t>(test.layers - 1));
    for (int layers = 1; layers < test.layers; ++layers) {
      SCOPED_TRACE(name + " after layer " + std::to_string(layers));
      const Folder folder(name);
      folder.change_config("num_hidden_layers", layers);
      Encoder encoder(folder.path(), WeightFormat::kF32, 1);
      const auto from = states.begin() + static_cast<std::ptrdiff_t>(size) * (layers - 1);
      expect_close(encoder.embed(test.sequences), {from, from + static_cast<std::ptrdiff_t>(size)},
                   2e-5);
    }
  }
}

TEST_F(Goldens, AnEncodersSequenceInABatchEqualsItAlone) {
  for (const std::string& name : encoder_names()) {
    const EncoderCase test(name);
    const Folder folder(name);
    for (const WeightFormat format : kFormats) {
      SCOPED_TRACE(testing::Message() << name << " format " << static_cast<int>(format));
      Encoder one(folder.path(), format, 1), two(folder.path(), format, 2);
      std::vector<float> alone;
      for (const auto& sequence : test.sequences) {
        const std::vector<float> vector = one.embed({sequence});
        alone.insert(alone.end(), vector.begin(), vector.end());
      }
      EXPECT_EQ(one.embed(test.sequences), alone);
      EXPECT_EQ(two.embed(test.sequences), alone);
    }
  }
}

// The weights are exact in bf16; activations are rounded where the CPU multiplies bf16.
TEST_F(Goldens, EncodersInBf16AreNear) {
  for (const char* name : {"bert-mean", "gte-c"}) {
    SCOPED_TRACE(name);
    const EncoderCase test(name);
    const Folder folder(name);
    Encoder encoder(folder.path(), WeightFormat::kBF16, 2);
    const std::vector<float> got = encoder.embed(test.sequences);
    const std::vector<float> want = test.floats("embeddings.f32");
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 0.06);
  }
}

// modules.json decides; without it BERT is normalised, GTE is not.
TEST_F(Goldens, EncodersAreNormalisedAsTheirFolderSays) {
  const std::set<std::string> normalised = {"bert-a", "bge-a", "bge-b", "gte-c"};
  for (const std::string& name : encoder_names()) {
    const Folder folder(name);
    Encoder encoder(folder.path(), WeightFormat::kF32, 1);
    EXPECT_EQ(encoder.model().normalizes(), normalised.contains(name)) << name;
  }
  const Folder folder("gte-a");
  folder.write("modules.json", kMeanModules);
  folder.write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true})");
  EXPECT_FALSE(Encoder(folder.path(), WeightFormat::kF32, 1).model().normalizes());
}

TEST_F(Goldens, EncodersRefuseLongAndEmptyInput) {
  for (const std::string& name : encoder_names()) {
    SCOPED_TRACE(name);
    const Folder folder(name);
    folder.write("sentence_bert_config.json", R"({"max_seq_length": 40})");
    Encoder encoder(folder.path(), WeightFormat::kStored, 1);
    EXPECT_EQ(encoder.model().info().context_length, 40);
    EXPECT_NO_THROW(encoder.embed({std::vector<std::int32_t>(40, 1)}));
    EXPECT_THROW(encoder.embed({{1, 2}, {}}), Error);
    EXPECT_THROW(encoder.embed({{131}}), Error);
    try {
      encoder.embed({std::vector<std::int32_t>(41, 1)});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kContextLengthExceeded);
    }
  }
}

TEST_F(Goldens, GteRefusesWhatItCannotRun) {
  const std::tuple<const char*, json::value, const char*> cases[] = {
      {"logn_attention_scale", true, "logn_attention_scale"},
      {"logn_attention_clip1", true, "logn_attention_clip1"},
      {"layer_norm_type", "batch_norm", "batch_norm"},
      {"hidden_act", "gelu_new", "gelu_new"},
      {"hidden_act", "relu", "relu"},
      {"position_embedding_type", "absolute", "absolute"},
      {"rope_scaling", {{"type", "yarn"}, {"factor", 2.0}}, "rope_scaling.type"},
      {"rope_scaling", {{"type", "ntk"}}, "rope_scaling.factor"},
      {"rope_scaling", {{"type", "ntk"}, {"factor", -1.0}}, "rope_scaling.factor"},
      {"num_attention_heads", 16, "num_attention_heads"},  // a head of 3
      {"intermediate_size", 79, "up_gate_proj"},
      {"type_vocab_size", 2, "token_type_embeddings"},
      {"pack_qkv", false, ""},  // a hint: the tensors decide
      {"rope_scaling", nullptr, ""},
  };
  for (const auto& [key, value, part] : cases) {
    SCOPED_TRACE(key);
    const Folder folder("gte-a");
    folder.change_config(key, value);
    ThreadPool pool(1);
    try {
      load_model(folder.path(), {}, pool);
      EXPECT_STREQ(part, "");
    } catch (const Error& error) {
      EXPECT_STRNE(part, "") << error.message;
      EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
    }
  }
}

TEST_F(Goldens, GteReadsItsConfig) {
  const Folder folder("gte-b");
  const ModelConfig config = read_config(folder.path());
  EXPECT_EQ(config.architecture, Architecture::kGte);
  EXPECT_EQ(config.rope_scaling.type, RopeType::kNtk);
  EXPECT_EQ(config.rope_scaling.factor, 4.0);
  EXPECT_EQ(config.rope_scaling.mixed_b, 0.9);
  EXPECT_TRUE(config.rms_norm);
  EXPECT_EQ(config.type_vocab_size, 2);
  EXPECT_EQ(config.context_length, 1024);
  EXPECT_EQ(config.pooling, Pooling::kCls);
  // A factor of 1 or less scales nothing, as in the original code.
  folder.change_config("rope_scaling", {{"type", "ntk"}, {"factor", 1.0}});
  EXPECT_EQ(read_config(folder.path()).rope_scaling.type, RopeType::kDefault);
}

// gte-large-en-v1.5 as published.
TEST(GteConfig, ReadsThePublishedOne) {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"architectures": ["NewModel", "NewForTokenClassification"],
      "attention_probs_dropout_prob": 0.0,
      "auto_map": {"AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel"},
      "classifier_dropout": null, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
      "hidden_size": 1024, "id2label": {"0": "LABEL_0"}, "initializer_range": 0.02,
      "intermediate_size": 4096, "layer_norm_eps": 1e-12, "layer_norm_type": "layer_norm",
      "logn_attention_clip1": false, "logn_attention_scale": false,
      "max_position_embeddings": 8192, "model_type": "new", "num_attention_heads": 16,
      "num_hidden_layers": 24, "pack_qkv": true, "pad_token_id": 0,
      "position_embedding_type": "rope", "rope_scaling": {"factor": 2.0, "type": "ntk"},
      "rope_theta": 160000, "torch_dtype": "float32", "type_vocab_size": 2,
      "unpad_inputs": false, "use_memory_efficient_attention": false, "vocab_size": 30528})");
  const ModelConfig config = read_config(folder.path());
  EXPECT_EQ(config.architecture, Architecture::kGte);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.context_length, 8192);
  EXPECT_EQ(config.rope_theta, 160000.0);
  EXPECT_EQ(config.rope_scaling.type, RopeType::kNtk);
  EXPECT_EQ(config.rope_scaling.factor, 2.0);
  EXPECT_FALSE(config.rope_scaling.mixed_b);
  EXPECT_EQ(config.type_vocab_size, 2);
  EXPECT_EQ(config.pooling, Pooling::kCls);
  EXPECT_FALSE(config.normalize);
}

}  // namespace
}  // namespace tessera

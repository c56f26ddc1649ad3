#include "models/config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "models/checkpoint.h"
#include "models/test_files.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

// A folder with this config.json, read without weights.
ModelConfig read(std::string_view config, std::string_view generation = {}) {
  const TemporaryFolder folder;
  folder.write("config.json", config);
  if (!generation.empty()) folder.write("generation_config.json", generation);
  return read_config(folder.path());
}

std::string read_error(std::string_view config, std::string_view generation = {}) {
  return error_message([&] { read(config, generation); });
}

// A small llama with one more or one overriding member.
std::string llama(std::string_view more = {}) {
  return R"({"model_type":"llama","vocab_size":100,"hidden_size":64,"intermediate_size":96,)"
         R"("num_hidden_layers":2,"num_attention_heads":8,"num_key_value_heads":2,)"
         R"("max_position_embeddings":128)" +
         std::string(more.empty() ? "" : ",") + std::string(more) + "}";
}

TEST(Config, ReadsLlama) {
  const ModelConfig config = read(
      llama(R"("rms_norm_eps":1e-5,"rope_theta":500000,"tie_word_embeddings":true,)"
            R"("bos_token_id":1,"eos_token_id":[5,3],"attention_bias":true,"hidden_act":"silu")"),
      R"({"eos_token_id":[3,9]})");
  EXPECT_EQ(config.architecture, Architecture::kLlama);
  EXPECT_EQ(config.vocab_size, 100);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.norm_eps, 1e-5);
  EXPECT_EQ(config.rope_theta, 500000.0);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_TRUE(config.attention_bias);
  EXPECT_FALSE(config.mlp_bias);
  EXPECT_FALSE(config.rope_interleaved);
  EXPECT_EQ(config.context_length, 128);
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_EQ(config.eos_token_ids, (std::vector<std::int32_t>{3, 5, 9}));
  EXPECT_FALSE(config.is_encoder());
}

TEST(Config, FillsDefaultsForMissingAndNull) {
  const ModelConfig config =
      read(R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"num_attention_heads":4,)"
           R"("num_key_value_heads":null,"rope_scaling":null,"rms_norm_eps":null,)"
           R"("head_dim":null,"eos_token_id":null})");
  EXPECT_EQ(config.vocab_size, 32000);
  EXPECT_EQ(config.num_key_value_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.norm_eps, 1e-6);
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_EQ(config.max_position_embeddings, 2048);
  EXPECT_TRUE(config.eos_token_ids.empty());
}

TEST(Config, HeadDimWins) {
  EXPECT_EQ(read(llama(R"("head_dim":32.0)")).head_dim, 32);
  EXPECT_EQ(read(llama(R"("hidden_size":60,"head_dim":16)")).head_dim, 16);
}

TEST(Config, MistralHasItsOwnDefaults) {
  const std::string shape = R"("model_type":"mistral","hidden_size":64,"num_attention_heads":8)";
  const ModelConfig config = read("{" + shape + "}");
  EXPECT_EQ(config.architecture, Architecture::kMistral);
  EXPECT_EQ(config.num_key_value_heads, 8);
  EXPECT_EQ(config.intermediate_size, 14336);
  EXPECT_EQ(config.max_position_embeddings, 131072);
  EXPECT_EQ(config.norm_eps, 1e-6);
  EXPECT_EQ(config.rope_theta, 1e4);
  EXPECT_EQ(config.sliding_window, 4096);  // the class's own, when the key is missing
  EXPECT_EQ(read("{" + shape + R"(,"sliding_window":null})").sliding_window, std::nullopt);
  EXPECT_EQ(read("{" + shape + R"(,"sliding_window":5})").sliding_window, 5);
  EXPECT_TRUE(
      contains(read_error("{" + shape + R"(,"sliding_window":0})"), "'sliding_window' is 0"));
}

TEST(Config, MixtralHasItsOwnDefaults) {
  const std::string shape = R"("model_type":"mixtral","hidden_size":64,"num_attention_heads":8)";
  const ModelConfig config = read("{" + shape + "}");
  EXPECT_EQ(config.architecture, Architecture::kMixtral);
  EXPECT_EQ(config.num_key_value_heads, 8);
  EXPECT_EQ(config.norm_eps, 1e-5);
  EXPECT_EQ(config.rope_theta, 1e6);
  EXPECT_EQ(config.sliding_window, std::nullopt);
  EXPECT_EQ(config.num_local_experts, 8);
  EXPECT_EQ(config.num_experts_per_tok, 2);
  EXPECT_EQ(config.moe_normalize_expert_weights, 1.0);
  EXPECT_EQ(read("{" + shape + R"(,"sliding_window":7})").sliding_window, 7);
}

TEST(Config, DbrxKeepsRopeAndExpertsInInnerObjects) {
  const ModelConfig defaults = read(R"({"model_type":"dbrx"})");
  EXPECT_EQ(defaults.hidden_size, 2048);
  EXPECT_EQ(defaults.num_attention_heads, 16);
  EXPECT_EQ(defaults.num_key_value_heads, 1);
  EXPECT_EQ(defaults.num_hidden_layers, 24);
  EXPECT_EQ(defaults.intermediate_size, 3584);
  EXPECT_EQ(defaults.num_local_experts, 4);
  EXPECT_EQ(defaults.num_experts_per_tok, 1);
  EXPECT_EQ(defaults.clip_qkv, std::nullopt);
  EXPECT_EQ(defaults.moe_normalize_expert_weights, 1.0);
  EXPECT_EQ(defaults.norm_eps, 1e-5);
  EXPECT_EQ(defaults.rope_theta, 1e4);

  const ModelConfig config =
      read(R"({"model_type":"dbrx","d_model":64,"n_heads":8,"n_layers":2,"max_seq_len":99,)"
           R"("rope_theta":7,"attn_config":{"clip_qkv":8,"kv_n_heads":2,"rope_theta":500000},)"
           R"("ffn_config":{"ffn_hidden_size":48,"moe_num_experts":16,"moe_top_k":4,)"
           R"("moe_normalize_expert_weights":null,"ffn_act_fn":{"name":"silu"}}})");
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.context_length, 99);
  EXPECT_EQ(config.rope_theta, 5e5);
  EXPECT_EQ(config.clip_qkv, 8.0);
  EXPECT_EQ(config.num_local_experts, 16);
  EXPECT_EQ(config.num_experts_per_tok, 4);
  EXPECT_EQ(config.moe_normalize_expert_weights, std::nullopt);
}

TEST(Config, ReadsRopeScalingOldAndNew) {
  const char* fields = R"("factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
                       R"("original_max_position_embeddings":8192)";
  for (const std::string& text :
       {llama(std::string(R"("rope_theta":5e5,"rope_scaling":{"rope_type":"llama3",)") + fields +
              "}"),
        llama(std::string(R"("rope_theta":5e5,"rope_scaling":{"type":"llama3",)") + fields + "}"),
        llama(std::string(R"("rope_parameters":{"rope_theta":500000,"rope_type":"llama3",)") +
              fields + "}")}) {
    const ModelConfig config = read(text);
    EXPECT_EQ(config.rope_theta, 500000.0);
    EXPECT_EQ(config.rope_scaling.type, RopeType::kLlama3);
    EXPECT_EQ(config.rope_scaling.factor, 32.0);
    EXPECT_EQ(config.rope_scaling.original_max_position_embeddings, 8192);
    EXPECT_EQ(config.context_length, 128);
  }
  // rope_type wins over type; a top-level original length over the inner one.
  const ModelConfig both =
      read(llama(R"("original_max_position_embeddings":64,"rope_scaling":{"rope_type":"yarn",)"
                 R"("type":"linear","factor":4,"original_max_position_embeddings":32})"));
  EXPECT_EQ(both.rope_scaling.type, RopeType::kYarn);
  EXPECT_EQ(both.rope_scaling.original_max_position_embeddings, 64);
  EXPECT_EQ(both.context_length, 256);
  EXPECT_EQ(read(llama(R"("rope_scaling":{"type":"linear","factor":2})")).context_length, 256);
  EXPECT_EQ(read(llama(R"("rope_scaling":{"type":"dynamic","factor":2.5})")).context_length, 320);
  EXPECT_EQ(read(llama(R"("rope_scaling":{"rope_type":"default"})")).rope_scaling.type,
            RopeType::kDefault);
}

struct Refusal {
  const char* name;
  std::string config;
  const char* message;
};

class ConfigRefuses : public ::testing::TestWithParam<Refusal> {};

TEST_P(ConfigRefuses, NamingFileKeyAndValue) {
  const std::string message = read_error(GetParam().config);
  EXPECT_TRUE(contains(message, "config.json"));
  EXPECT_TRUE(contains(message, GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ConfigRefuses,
    ::testing::Values(
        Refusal{"NotJson", "{", "not valid JSON"},
        Refusal{"NotAnObject", "[1]", "must be a JSON object"},
        Refusal{"Nan", llama(R"("rope_theta":NaN)"), "not valid JSON"},
        Refusal{"Deep", "{\"a\":" + std::string(5000, '['), "not valid JSON"},
        Refusal{"NoType", "{}", "'model_type' is missing"},
        Refusal{"OtherType", R"({"model_type":"gpt5"})", "'gpt5'"},
        Refusal{"TypeNotText", R"({"model_type":5})", "wanted a string"},
        Refusal{"DbrxTied", R"({"model_type":"dbrx","tie_word_embeddings":true})",
                "'tie_word_embeddings' is true"},
        Refusal{"DbrxHeads", R"({"model_type":"dbrx","attn_config":{"kv_n_heads":3}})",
                "'n_heads' is 16, not a multiple of attn_config.kv_n_heads 3"},
        Refusal{"DbrxWidth", R"({"model_type":"dbrx","d_model":2049})", "'d_model' is 2049"},
        Refusal{"DbrxOddHead", R"({"model_type":"dbrx","d_model":48})", "'d_model' makes"},
        Refusal{"DbrxTopK", R"({"model_type":"dbrx","ffn_config":{"moe_top_k":5}})",
                "'ffn_config.moe_top_k' is 5, wanted 1 to 4"},
        Refusal{"DbrxNorm",
                R"({"model_type":"dbrx","ffn_config":{"moe_normalize_expert_weights":0}})",
                "'ffn_config.moe_normalize_expert_weights' is '0'"},
        Refusal{"DbrxActivation",
                R"({"model_type":"dbrx","ffn_config":{"ffn_act_fn":{"name":"gelu"}}})",
                "'ffn_config.ffn_act_fn.name' is 'gelu'"},
        Refusal{"DbrxClip", R"({"model_type":"dbrx","attn_config":{"clip_qkv":-1}})",
                "'attn_config.clip_qkv' is"},
        Refusal{"MixtralTopK",
                R"({"model_type":"mixtral","hidden_size":64,"num_attention_heads":8,)"
                R"("num_local_experts":4,"num_experts_per_tok":5})",
                "'num_experts_per_tok' is 5, wanted 1 to 4"},
        Refusal{"MixtralManyExperts",
                R"({"model_type":"mixtral","hidden_size":64,"num_attention_heads":8,)"
                R"("num_local_experts":1025})",
                "'num_local_experts' is 1025, wanted 1 to 1024"},
        Refusal{"HeadsDoNotDivide", llama(R"("num_attention_heads":7,"num_key_value_heads":7)"),
                "'hidden_size' is 64, not a multiple of num_attention_heads 7"},
        Refusal{"KvHeadsDoNotDivide", llama(R"("num_key_value_heads":3)"),
                "'num_attention_heads' is 8, not a multiple of num_key_value_heads 3"},
        Refusal{"OddHeadDim", llama(R"("head_dim":7)"), "'head_dim' is 7"},
        Refusal{"ZeroHeads", llama(R"("num_attention_heads":0)"), "'num_attention_heads' is 0"},
        Refusal{"NegativeLayers", llama(R"("num_hidden_layers":-1)"), "'num_hidden_layers' is -1"},
        Refusal{"TooManyLayers", llama(R"("num_hidden_layers":1025)"), "wanted 1 to 1024"},
        Refusal{"HugeHidden", llama(R"("hidden_size":16777217)"), "wanted 1 to 16777216"},
        Refusal{"HugeNumber", llama(R"("hidden_size":1e300)"), "wanted an integer"},
        Refusal{"Fraction", llama(R"("hidden_size":64.5)"), "wanted an integer"},
        Refusal{"Text", llama(R"("hidden_size":"64")"), "'hidden_size' is '\"64\"'"},
        Refusal{"Activation", llama(R"("hidden_act":"tanh")"), "'hidden_act' is 'tanh'"},
        Refusal{"ThetaZero", llama(R"("rope_theta":0)"), "'rope_theta' is '0'"},
        Refusal{"EpsZero", llama(R"("rms_norm_eps":0)"), "'rms_norm_eps'"},
        Refusal{"PartialRotary", llama(R"("partial_rotary_factor":0.5)"),
                "'partial_rotary_factor' is 0.5"},
        Refusal{"PartialRotaryInside",
                llama(R"("rope_parameters":{"rope_type":"default","partial_rotary_factor":0.5})"),
                "'rope_parameters.partial_rotary_factor'"},
        Refusal{"RopeType", llama(R"("rope_scaling":{"rope_type":"longrope","factor":2})"),
                "'rope_scaling.rope_type' is 'longrope'"},
        Refusal{"RopePerLayerType",
                llama(R"("rope_parameters":{"full_attention":{"rope_type":"default"}})"),
                "rope per layer type"},
        Refusal{"NoFactor", llama(R"("rope_scaling":{"type":"linear"})"),
                "'rope_scaling.factor' is missing"},
        Refusal{"Llama3Order",
                llama(R"("rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":4,)"
                      R"("high_freq_factor":4})"),
                "must be above low_freq_factor"},
        Refusal{"Quantised", llama(R"("quantization_config":{"quant_method":"quip"})"), "'quip'"},
        Refusal{"EosText", llama(R"("eos_token_id":"</s>")"), "'eos_token_id'"},
        Refusal{"EosNegative", llama(R"("eos_token_id":[-1])"), "'eos_token_id'"},
        Refusal{"BertPositions",
                R"({"model_type":"bert","hidden_size":8,"num_attention_heads":2,)"
                R"("position_embedding_type":"relative_key"})",
                "'relative_key'"},
        Refusal{"BertDecoder",
                R"({"model_type":"bert","hidden_size":8,"num_attention_heads":2,)"
                R"("is_decoder":true})",
                "'is_decoder' is true"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Config, RefusesABadGenerationConfig) {
  EXPECT_TRUE(contains(read_error(llama(), "{"), "generation_config.json"));
  EXPECT_TRUE(contains(read_error(llama(), R"({"eos_token_id":1.5})"), "generation_config.json"));
}

constexpr std::string_view kBert =
    R"({"model_type":"bert","vocab_size":50,"hidden_size":8,"num_attention_heads":2,)"
    R"("num_hidden_layers":1,"intermediate_size":16,"max_position_embeddings":64})";
constexpr std::string_view kModules =
    R"([{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},)"
    R"({"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},)"
    R"({"idx":2,"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}])";

TEST(Config, BertWithoutModulesIsClsAndNormalised) {
  const TemporaryFolder folder;
  folder.write("config.json", kBert);
  const ModelConfig config = read_config(folder.path());
  EXPECT_TRUE(config.is_encoder());
  EXPECT_EQ(config.pooling, Pooling::kCls);
  EXPECT_TRUE(config.normalize);
  EXPECT_EQ(config.max_seq_length, 64);
  EXPECT_EQ(config.hidden_act, HiddenActivation::kGelu);
  EXPECT_EQ(config.norm_eps, 1e-12);
  EXPECT_EQ(config.type_vocab_size, 2);
}

TEST(Config, ModulesDecidePoolingAndNormalisation) {
  const TemporaryFolder folder;
  folder.write("config.json", kBert);
  folder.write("modules.json", kModules);
  folder.write("sentence_bert_config.json", R"({"max_seq_length":32})");
  folder.write("1_Pooling/config.json",
               R"({"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true})");
  ModelConfig config = read_config(folder.path());
  EXPECT_EQ(config.pooling, Pooling::kMean);
  EXPECT_TRUE(config.normalize);
  EXPECT_EQ(config.max_seq_length, 32);
  EXPECT_EQ(config.context_length, 32);

  folder.write("modules.json", std::string(kModules.substr(0, kModules.find(",{\"idx\":2"))) + "]");
  folder.write("sentence_bert_config.json", R"({"max_seq_length":4096})");
  folder.write("1_Pooling/config.json", R"({"pooling_mode_cls_token":true})");
  config = read_config(folder.path());
  EXPECT_EQ(config.pooling, Pooling::kCls);
  EXPECT_FALSE(config.normalize);
  EXPECT_EQ(config.max_seq_length, 64);
}

TEST(Config, RefusesUnknownModulesAndPoolings) {
  const TemporaryFolder folder;
  folder.write("config.json", kBert);
  folder.write("modules.json", kModules);
  const auto pooling = [&](std::string_view text) {
    folder.write("1_Pooling/config.json", text);
    return error_message([&] { read_config(folder.path()); });
  };
  EXPECT_TRUE(contains(error_message([&] { read_config(folder.path()); }), "is missing"));
  EXPECT_TRUE(contains(pooling(R"({"pooling_mode_max_tokens":true})"), "pooling_mode_max_tokens"));
  EXPECT_TRUE(
      contains(pooling(R"({"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true})"),
               "beside another"));
  EXPECT_TRUE(contains(pooling("{}"), "off"));
  EXPECT_TRUE(contains(pooling(R"({"pooling_mode_mean_tokens":1})"), "wanted true or false"));
  const auto modules = [&](std::string_view text) {
    folder.write("modules.json", text);
    return error_message([&] { read_config(folder.path()); });
  };
  EXPECT_TRUE(contains(modules("{}"), "must be an array"));
  EXPECT_TRUE(contains(modules("[]"), "no Pooling module"));
  EXPECT_TRUE(contains(modules(R"([{"type":"x.Dense","path":"2_Dense"}])"), "'x.Dense'"));
  EXPECT_TRUE(contains(modules(R"([{"type":"x.Pooling","path":"../up"}])"), "plain folder name"));
  EXPECT_TRUE(contains(modules(R"([{"type":"x.Transformer","path":"0_T"}])"), "'0_T'"));
}

GgufWriter gguf_llama() {
  GgufWriter writer;
  writer.text("general.architecture", "llama")
      .u32("llama.block_count", 2)
      .u32("llama.context_length", 256)
      .u32("llama.embedding_length", 64)
      .u32("llama.feed_forward_length", 96)
      .u32("llama.attention.head_count", 8)
      .u32("llama.attention.head_count_kv", 2)
      .f32("llama.attention.layer_norm_rms_epsilon", 1e-5f)
      .u32("tokenizer.ggml.eos_token_id", 7)
      .u32("tokenizer.ggml.eot_token_id", 3)
      .u32("tokenizer.ggml.bos_token_id", 1)
      .tensor("token_embd.weight", 0, {64, 10}, std::string(64 * 10 * 4, '\0'));
  return writer;
}

ModelConfig read_gguf(const GgufWriter& writer) {
  const TemporaryFolder folder;
  return read_config(Checkpoint::open(folder.write("m.gguf", writer.bytes())));
}

TEST(Config, ReadsGgufLlama) {
  const ModelConfig config = read_gguf(gguf_llama());
  EXPECT_EQ(config.architecture, Architecture::kLlama);
  EXPECT_EQ(config.vocab_size, 10);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.context_length, 256);
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_NEAR(config.norm_eps, 1e-5, 1e-11);
  EXPECT_TRUE(config.rope_interleaved);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_EQ(config.eos_token_ids, (std::vector<std::int32_t>{3, 7}));
  EXPECT_FALSE(
      read_gguf(gguf_llama().tensor("output.weight", 0, {64, 10}, std::string(64 * 10 * 4, '\0')))
          .tie_word_embeddings);
}

TEST(Config, ReadsGgufRopeScaling) {
  const ModelConfig linear = read_gguf(gguf_llama().f32("llama.rope.scaling.factor", 4));
  EXPECT_EQ(linear.rope_scaling.type, RopeType::kLinear);
  EXPECT_EQ(linear.rope_scaling.factor, 4.0);
  EXPECT_EQ(read_gguf(gguf_llama().f32("llama.rope.scale_linear", 2)).rope_scaling.factor, 2.0);
  const ModelConfig yarn = read_gguf(gguf_llama()
                                         .text("llama.rope.scaling.type", "yarn")
                                         .f32("llama.rope.scaling.factor", 2)
                                         .u32("llama.rope.scaling.original_context_length", 128));
  EXPECT_EQ(yarn.rope_scaling.type, RopeType::kYarn);
  EXPECT_EQ(yarn.rope_scaling.original_max_position_embeddings, 128);
  const ModelConfig divisors =
      read_gguf(gguf_llama()
                    .f32("llama.rope.scaling.factor", 4)
                    .tensor("rope_freqs.weight", 0, {4}, raw_floats({1, 1, 2, 2})));
  EXPECT_EQ(divisors.rope_scaling.type, RopeType::kDefault);
}

TEST(Config, RefusesBadGgufMetadata) {
  const auto message = [](const GgufWriter& writer) {
    return error_message([&] { read_gguf(writer); });
  };
  GgufWriter no_blocks;
  no_blocks.text("general.architecture", "llama");
  EXPECT_TRUE(contains(message(no_blocks), "key 'llama.block_count' is missing"));
  EXPECT_TRUE(contains(message(GgufWriter()), "'general.architecture' is missing"));
  GgufWriter other;
  other.text("general.architecture", "qwen9");
  EXPECT_TRUE(contains(message(other), "'qwen9'"));
  EXPECT_TRUE(contains(message(gguf_llama().u32("llama.rope.dimension_count", 4)),
                       "'llama.rope.dimension_count' is 4"));
  EXPECT_TRUE(
      contains(message(gguf_llama().text("llama.rope.scaling.type", "longrope")), "'longrope'"));
  EXPECT_TRUE(contains(message(gguf_llama().u32("llama.expert_count", 8)),
                       "'llama.expert_used_count' is missing"));
  EXPECT_TRUE(
      contains(message(gguf_llama().u32("llama.expert_count", 8).u32("llama.expert_used_count", 9)),
               "'llama.expert_used_count' is 9, wanted 1 to 8"));
  EXPECT_TRUE(contains(message(gguf_llama().f32("llama.rope.freq_base", 0)), "rope.freq_base"));
  EXPECT_TRUE(contains(message(gguf_llama().u32("llama.attention.key_length", 7)), "key_length"));
}

TEST(Config, ReadsGgufBert) {
  const auto bert = [] {
    GgufWriter writer;
    writer.text("general.architecture", "bert")
        .u32("bert.block_count", 1)
        .u32("bert.context_length", 64)
        .u32("bert.embedding_length", 8)
        .u32("bert.feed_forward_length", 16)
        .u32("bert.attention.head_count", 2)
        .f32("bert.attention.layer_norm_epsilon", 1e-12f)
        .flag("bert.attention.causal", false)
        .tensor("token_embd.weight", 0, {8, 4}, std::string(8 * 4 * 4, '\0'));
    return writer;
  };
  const ModelConfig mean = read_gguf(bert().u32("bert.pooling_type", 1));
  EXPECT_TRUE(mean.is_encoder());
  EXPECT_EQ(mean.pooling, Pooling::kMean);
  EXPECT_EQ(mean.max_seq_length, 64);
  EXPECT_FALSE(mean.rope_interleaved);
  EXPECT_EQ(read_gguf(bert()).pooling, Pooling::kCls);
  EXPECT_TRUE(contains(error_message([&] { read_gguf(bert().u32("bert.pooling_type", 4)); }),
                       "pooling_type"));
}

TEST(Config, ReadsGgufExperts) {
  const ModelConfig mixtral =
      read_gguf(gguf_llama().u32("llama.expert_count", 8).u32("llama.expert_used_count", 2));
  EXPECT_EQ(mixtral.architecture, Architecture::kMixtral);
  EXPECT_EQ(mixtral.num_local_experts, 8);
  EXPECT_EQ(mixtral.num_experts_per_tok, 2);
  EXPECT_TRUE(mixtral.rope_interleaved);

  EXPECT_TRUE(contains(error_message([] {
                         read_gguf(gguf_llama()
                                       .u32("llama.expert_count", 8)
                                       .u32("llama.expert_used_count", 2)
                                       .f32("llama.expert_weights_scale", 2.5f));
                       }),
                       "'llama.expert_weights_scale' is 2.5"));

  const auto dbrx = [] {
    GgufWriter writer;
    writer.text("general.architecture", "dbrx")
        .u32("dbrx.block_count", 1)
        .u32("dbrx.context_length", 64)
        .u32("dbrx.embedding_length", 16)
        .u32("dbrx.feed_forward_length", 24)
        .u32("dbrx.attention.head_count", 4)
        .u32("dbrx.attention.head_count_kv", 2)
        .f32("dbrx.attention.layer_norm_epsilon", 1e-5f)
        .f32("dbrx.attention.clamp_kqv", 8.0f)
        .u32("dbrx.expert_count", 4)
        .u32("dbrx.expert_used_count", 3)
        .tensor("token_embd.weight", 0, {16, 4}, std::string(16 * 4 * 4, '\0'));
    return writer;
  };
  const ModelConfig config = read_gguf(dbrx().f32("dbrx.rope.freq_base", 5e5f));
  EXPECT_EQ(config.architecture, Architecture::kDbrx);
  EXPECT_EQ(config.clip_qkv, 8.0);
  EXPECT_EQ(config.rope_theta, 5e5);
  EXPECT_EQ(config.num_experts_per_tok, 3);
  EXPECT_EQ(config.moe_normalize_expert_weights, 1.0);
  EXPECT_FALSE(config.rope_interleaved);
  EXPECT_TRUE(contains(error_message([&] { read_gguf(dbrx()); }), "rope.freq_base"));
}

}  // namespace
}  // namespace tessera

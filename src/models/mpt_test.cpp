// What the goldens of MPT (decoder_goldens_test.cpp runs them) do not say: GGUF, refusals,
// defaults.
#include <gtest/gtest.h>

#include <tuple>

#include "base/error.h"
#include "models/config.h"
#include "models/golden_files.h"
#include "models/golden_models.h"

namespace tessera {
namespace {

json::object golden_case(const std::string& name) {
  return json::parse(read_text(kGoldens / name / "case.json")).as_object();
}

std::vector<float> rows_of(const std::vector<float>& logits, const json::object& test) {
  const std::size_t vocab = logits.size() / test.at("tokens").as_array().size();
  std::vector<float> rows;
  for (const std::int32_t row : tokens_of(test.at("rows"))) {
    const auto from = logits.begin() + static_cast<std::ptrdiff_t>(row * vocab);
    rows.insert(rows.end(), from, from + static_cast<std::ptrdiff_t>(vocab));
  }
  return rows;
}

// A golden as a converter would write it.
std::string as_gguf(const std::string& name, float alibi_bias, float clamp) {
  const json::object config = json::parse(read_text(kGoldens / name / "config.json")).as_object();
  const auto number = [&](const char* key) { return config.at(key).to_number<std::uint32_t>(); };
  GgufWriter gguf;
  gguf.text("general.architecture", "mpt")
      .u32("mpt.block_count", number("n_layers"))
      .u32("mpt.context_length", number("max_seq_len"))
      .u32("mpt.embedding_length", number("d_model"))
      .u32("mpt.feed_forward_length", number("expansion_ratio") * number("d_model"))
      .u32("mpt.attention.head_count", number("n_heads"))
      .u32("mpt.attention.head_count_kv",
           static_cast<std::uint32_t>(read_config(kGoldens / name).num_key_value_heads))
      .f32("mpt.attention.layer_norm_epsilon", 1e-5f)
      .f32("mpt.attention.max_alibi_bias", alibi_bias)
      .f32("mpt.attention.clamp_kqv", clamp);
  const std::pair<const char*, const char*> names[] = {
      {"norm_1", "attn_norm"},          {"norm_2", "ffn_norm"},      {"attn.Wqkv", "attn_qkv"},
      {"attn.out_proj", "attn_output"}, {"ffn.up_proj", "ffn_up"},   {"ffn.down_proj", "ffn_down"},
      {"attn.q_ln", "attn_q_norm"},     {"attn.k_ln", "attn_k_norm"}};
  for (const auto& [full, tensor] : generate_tensors(golden_case(name))) {
    std::string own = full;
    if (full.starts_with("transformer.blocks.")) {
      const std::size_t dot = full.find('.', 19), suffix = full.rfind('.');
      for (const auto& [hugging_face, stored] : names) {
        if (full.substr(dot + 1, suffix - dot - 1) == hugging_face) {
          own = "blk." + full.substr(19, dot - 19) + "." + stored + full.substr(suffix);
        }
      }
    } else {
      const std::pair<const char*, const char*> tops[] = {{"transformer.wte", "token_embd"},
                                                          {"transformer.wpe", "position_embd"},
                                                          {"transformer.norm_f", "output_norm"}};
      for (const auto& [hugging_face, stored] : tops) {
        const std::size_t suffix = full.rfind('.');
        if (full.substr(0, suffix) == hugging_face) own = stored + full.substr(suffix);
      }
    }
    std::vector<std::uint64_t> dims(tensor.shape.rbegin(), tensor.shape.rend());
    gguf.tensor(own, 0, dims, raw_floats(tensor.values));
  }
  return gguf.bytes();
}

TEST_F(Goldens, MptFromGgufEqualsTheReference) {
  for (const auto& [name, alibi, clamp] :
       {std::tuple{"mpt-6-clip", 8.0f, 0.3f}, {"mpt-6-bias16", 16.0f, 0.0f}}) {
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    const fs::path file = folder.write("model.gguf", as_gguf(name, alibi, clamp));
    Session session(file, WeightFormat::kF32, KvType::kF32, 2);
    const json::object test = golden_case(name);
    const std::vector<std::int32_t> tokens = tokens_of(test.at("tokens"));
    expect_close(rows_of(session.run(tokens, tokens.size()), test),
                 read_floats(kGoldens / name / "logits.f32"), 2e-5);
  }
}

// Learned positions, normalised queries and keys, biases, heads in groups. GGUF has no logit_scale.
TEST_F(Goldens, MptWithLearnedPositionsFromGgufEqualsTheReference) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("model.gguf", as_gguf("mpt-bias", 0.0f, 0.0f));
  Session session(file, WeightFormat::kF32, KvType::kF32, 2);
  const json::object test = golden_case("mpt-bias");
  const std::vector<std::int32_t> tokens = tokens_of(test.at("tokens"));
  std::vector<float> got = rows_of(session.run(tokens, tokens.size()), test);
  for (float& logit : got) logit *= 0.5f;
  expect_close(got, read_floats(kGoldens / "mpt-bias/logits.f32"), 2e-5);
}

TEST_F(Goldens, MptRefusesPositionsBeyondItsTable) {
  const Folder folder("mpt-bias");
  Session session(folder.path(), WeightFormat::kStored, KvType::kF32, 1);
  EXPECT_EQ(session.model().info().context_length, 64);
  EXPECT_NO_THROW(session.run(std::vector<std::int32_t>(64, 1), 64));
  try {
    session.run(std::vector<std::int32_t>(65, 1), 65);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kContextLengthExceeded);
  }
}

// Error messages name what is wrong; an empty part: it loads.
TEST_F(Goldens, MptRefusesWhatItCannotRun) {
  using Change = std::tuple<const char*, json::value, const char*>;
  const Change top[] = {
      {"norm_type", "rmsnorm", "norm_type"},
      {"norm_type", "layernorm", ""},
      {"logit_scale", "sqrt_d_model", "logit_scale"},
      {"logit_scale", 0.5, ""},
      {"expansion_ratio", 0, "expansion_ratio"},
      {"expansion_ratio", 1.01, "expansion_ratio"},
      {"expansion_ratio", 2, "ffn.up_proj"},
      {"n_heads", 5, "n_heads"},
      {"n_heads", nullptr, "n_heads"},
      {"d_model", nullptr, "d_model"},
      {"n_layers", 4, "transformer.blocks.3.norm_1.weight"},
      {"block_overrides", json::object(), "block_overrides"},
      {"final_logit_softcapping", 30.0, "final_logit_softcapping"},
      {"tie_word_embeddings", false, "lm_head.weight"},
      {"ffn_config", {{"ffn_type", "mptglu"}}, "ffn_config.ffn_type"},
      {"ffn_config", {{"ffn_act_fn", {{"name", "relu"}}}}, "ffn_config.ffn_act_fn.name"},
      {"ffn_config", {{"ffn_act_fn", {{"name", "gelu"}, {"approximate", "tanh"}}}}, ""},
      {"ffn_config", {{"ffn_type", "mptmlp"}}, ""},
      {"no_bias", false, ""},  // the tensors decide
      {"learned_pos_emb", false, ""},
  };
  const Change attention[] = {
      {"prefix_lm", true, "attn_config.prefix_lm"},
      {"attn_uses_sequence_id", true, ""},  // one request is one sequence
      {"rope", true, "attn_config.rope"},
      {"qk_gn", true, "attn_config.qk_gn"},
      {"qk_ln", true, "attn.q_ln.weight"},
      {"attn_logit_softcapping", 10.0, "attn_config.attn_logit_softcapping"},
      {"sliding_window_size", 16, "attn_config.sliding_window_size"},
      {"sliding_window_size", -1, ""},
      {"attn_type", "local_attention", "local_attention"},
      {"attn_type", "multiquery_attention", "Wqkv"},
      {"attn_type", "grouped_query_attention", "attn_config.kv_n_heads"},
      {"clip_qkv", -1, "attn_config.clip_qkv"},
      {"clip_qkv", 0, ""},
      {"softmax_scale", 0, "attn_config.softmax_scale"},
      {"alibi", false, "transformer.wpe.weight"},
      {"alibi", nullptr, ""},
      {"alibi_bias_max", 0, "attn_config.alibi_bias_max"},
      {"attn_impl", "flash", ""},
  };
  const auto check = [](const Folder& folder, const char* key, const char* part) {
    SCOPED_TRACE(key);
    ThreadPool pool(1);
    try {
      load_model(folder.path(), {}, pool);
      EXPECT_STREQ(part, "");
    } catch (const Error& error) {
      EXPECT_STRNE(part, "") << error.message;
      EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
    }
  };
  for (const auto& [key, value, part] : top) {
    const Folder folder("mpt-6");
    folder.change_config(key, value);
    check(folder, key, part);
  }
  for (const auto& [key, value, part] : attention) {
    const Folder folder("mpt-6");
    json::value changed = folder.config().at("attn_config");
    changed.as_object()[key] = value;
    folder.change_config("attn_config", changed);
    check(folder, key, part);
  }
}

TEST_F(Goldens, MptReadsItsConfig) {
  const ModelConfig grouped = read_config(kGoldens / "mpt-bias");
  EXPECT_EQ(grouped.num_key_value_heads, 2);
  EXPECT_EQ(grouped.intermediate_size, 48);
  EXPECT_EQ(grouped.logit_scale, 0.5);
  EXPECT_TRUE(grouped.qk_ln);
  EXPECT_TRUE(grouped.alibi_is_assumed);
  EXPECT_TRUE(grouped.tie_word_embeddings);
  const ModelConfig single = read_config(kGoldens / "mpt-mqa");
  EXPECT_EQ(single.num_key_value_heads, 1);
  EXPECT_EQ(single.head_dim, 11);
  EXPECT_FALSE(single.tie_word_embeddings);
  EXPECT_FALSE(single.alibi_is_assumed);
  EXPECT_EQ(single.alibi_bias_max, 8.0);
  EXPECT_EQ(read_config(kGoldens / "mpt-6-logits").logit_scale, 1.0 / 6.0);
  EXPECT_EQ(read_config(kGoldens / "mpt-6-bias16").alibi_bias_max, 16.0);
  EXPECT_EQ(read_config(kGoldens / "mpt-6-scale").softmax_scale, 0.2);
  EXPECT_EQ(read_config(kGoldens / "mpt-6-clip").clip_qkv, 0.3);
}

// As published: learned_pos_emb beside alibi, keys that only training reads.
TEST(MptConfig, ReadsThePublishedOnes) {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"architectures": ["MPTForCausalLM"], "attn_config": {
      "alibi": true, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0,
      "attn_type": "multihead_attention", "attn_uses_sequence_id": false, "clip_qkv": null,
      "prefix_lm": false, "qk_ln": false, "softmax_scale": null},
      "auto_map": {"AutoConfig": "configuration_mpt.MPTConfig"}, "d_model": 7168, "emb_pdrop": 0,
      "embedding_fraction": 1.0, "expansion_ratio": 4, "init_config": {"name": "kaiming_normal_"},
      "init_device": "cpu", "learned_pos_emb": true, "logit_scale": null, "max_seq_len": 8192,
      "model_type": "mpt", "n_heads": 64, "n_layers": 48, "no_bias": true,
      "norm_type": "low_precision_layernorm", "resid_pdrop": 0,
      "tokenizer_name": "EleutherAI/gpt-neox-20b", "torch_dtype": "bfloat16", "use_cache": false,
      "verbose": 0, "vocab_size": 50432})");
  const ModelConfig config = read_config(folder.path());
  EXPECT_EQ(config.architecture, Architecture::kMpt);
  EXPECT_EQ(config.head_dim, 112);
  EXPECT_EQ(config.intermediate_size, 28672);
  EXPECT_EQ(config.context_length, 8192);
  EXPECT_EQ(config.alibi_bias_max, 8.0);
  EXPECT_FALSE(config.learned_positions);
  EXPECT_FALSE(config.clip_qkv);
  EXPECT_FALSE(config.logit_scale);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.norm_eps, 1e-5);
}

}  // namespace
}  // namespace tessera

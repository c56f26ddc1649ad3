// Models of GGUF files: the goldens that have a GGUF form, rewritten as a converter would do it.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "compute/quantize.h"
#include "models/golden_files.h"
#include "models/golden_models.h"

namespace tessera {
namespace {

constexpr std::uint32_t kGgufF32 = 0;

std::uint32_t gguf_type(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return 2;
    case DType::kQ8_0:
      return 8;
    default:
      return kGgufF32;
  }
}

// Rows s * D/2 + j of each head go to 2 j + s.
GoldenTensor permuted(const GoldenTensor& weight, std::int64_t heads) {
  GoldenTensor out = weight;
  const std::int64_t cols = weight.row_elements(), dim = weight.shape[0] / heads;
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t r = 0; r < dim; ++r) {
      const std::int64_t to = r % (dim / 2) * 2 + r / (dim / 2);
      std::copy_n(weight.values.data() + (h * dim + r) * cols, cols,
                  out.values.data() + (h * dim + to) * cols);
    }
  }
  return out;
}

// [rows, cols] matrices one after the other.
GoldenTensor stacked(const std::vector<const GoldenTensor*>& parts) {
  GoldenTensor out;
  out.shape = {static_cast<std::int64_t>(parts.size()), parts[0]->shape[0], parts[0]->shape[1]};
  for (const GoldenTensor* part : parts) {
    out.values.insert(out.values.end(), part->values.begin(), part->values.end());
  }
  return out;
}

void add(GgufWriter& writer, const std::string& name, const GoldenTensor& tensor,
         DType dtype = DType::kF32) {
  std::vector<std::uint64_t> dims(tensor.shape.rbegin(), tensor.shape.rend());
  const DTypeInfo& info = dtype_info(dtype);
  std::string bytes(tensor.values.size() / info.block_elements * info.block_bytes, '\0');
  if (dtype == DType::kF32) {
    bytes = raw_floats(tensor.values);
  } else {
    quantize(dtype, tensor.values.data(), static_cast<std::int64_t>(tensor.values.size()),
             reinterpret_cast<std::byte*>(bytes.data()));
  }
  writer.tensor(name, gguf_type(dtype), dims, bytes);
}

json::object golden_case(const std::string& name) {
  return json::parse(read_text(kGoldens / name / "case.json")).as_object();
}
json::object golden_config(const std::string& name) {
  return json::parse(read_text(kGoldens / name / "config.json")).as_object();
}

std::uint32_t u32(const json::object& config, const char* key) {
  return config.at(key).to_number<std::uint32_t>();
}

enum class ExpertLayout { kStacked, kSplit };

// A llama, mistral or mixtral case as a file of architecture "llama".
GgufWriter llama_gguf(const json::object& config, const GoldenTensors& tensors, ExpertLayout layout,
                      DType expert_type = DType::kF32) {
  const std::uint32_t heads = u32(config, "num_attention_heads"),
                      kv_heads = u32(config, "num_key_value_heads");
  const auto q_rows = tensors.at("model.layers.0.self_attn.q_proj.weight").shape[0];
  GgufWriter writer;
  writer.text("general.architecture", "llama")
      .u32("llama.block_count", u32(config, "num_hidden_layers"))
      .u32("llama.context_length", u32(config, "max_position_embeddings"))
      .u32("llama.embedding_length", u32(config, "hidden_size"))
      .u32("llama.feed_forward_length", u32(config, "intermediate_size"))
      .u32("llama.attention.head_count", heads)
      .u32("llama.attention.head_count_kv", kv_heads)
      .u32("llama.attention.key_length", static_cast<std::uint32_t>(q_rows / heads))
      .u32("llama.attention.value_length", static_cast<std::uint32_t>(q_rows / heads))
      .f32("llama.attention.layer_norm_rms_epsilon", config.at("rms_norm_eps").to_number<float>())
      .f32("llama.rope.freq_base", config.at("rope_theta").to_number<float>());
  const auto* window = config.if_contains("sliding_window");
  if (window != nullptr && !window->is_null()) {
    writer.u32("llama.attention.sliding_window", window->to_number<std::uint32_t>());
  }
  add(writer, "token_embd.weight", tensors.at("model.embed_tokens.weight"));
  add(writer, "output_norm.weight", tensors.at("model.norm.weight"));
  if (tensors.contains("lm_head.weight")) {
    add(writer, "output.weight", tensors.at("lm_head.weight"));
  }
  const auto* experts = config.if_contains("num_local_experts");
  if (experts != nullptr) {
    writer.u32("llama.expert_count", u32(config, "num_local_experts"))
        .u32("llama.expert_used_count", u32(config, "num_experts_per_tok"));
  }
  for (std::uint32_t l = 0; l < u32(config, "num_hidden_layers"); ++l) {
    const std::string from = "model.layers." + std::to_string(l) + ".",
                      to = "blk." + std::to_string(l) + ".";
    const auto copy = [&](const char* gguf, const std::string& name) {
      add(writer, to + gguf + ".weight", tensors.at(from + name + ".weight"));
    };
    copy("attn_norm", "input_layernorm");
    copy("ffn_norm", "post_attention_layernorm");
    copy("attn_v", "self_attn.v_proj");
    copy("attn_output", "self_attn.o_proj");
    add(writer, to + "attn_q.weight",
        permuted(tensors.at(from + "self_attn.q_proj.weight"), heads));
    add(writer, to + "attn_k.weight",
        permuted(tensors.at(from + "self_attn.k_proj.weight"), kv_heads));
    if (experts == nullptr) {
      copy("ffn_gate", "mlp.gate_proj");
      copy("ffn_up", "mlp.up_proj");
      copy("ffn_down", "mlp.down_proj");
      continue;
    }
    copy("ffn_gate_inp", "block_sparse_moe.gate");
    for (const auto& [gguf, w] :
         {std::pair{"ffn_gate", "w1"}, {"ffn_up", "w3"}, {"ffn_down", "w2"}}) {
      std::vector<const GoldenTensor*> parts;
      for (std::uint32_t e = 0; e < u32(config, "num_local_experts"); ++e) {
        const std::string expert = "block_sparse_moe.experts." + std::to_string(e) + ".";
        parts.push_back(&tensors.at(from + expert + w + ".weight"));
        if (layout == ExpertLayout::kSplit) {
          add(writer, to + gguf + "." + std::to_string(e) + ".weight", *parts.back(), expert_type);
        }
      }
      if (layout == ExpertLayout::kStacked) {
        add(writer, to + gguf + "_exps.weight", stacked(parts), expert_type);
      }
    }
  }
  return writer;
}

std::vector<float> logits_of(const GgufWriter& writer, const std::vector<std::int32_t>& tokens) {
  const TemporaryFolder folder;
  Session session(folder.write("model.gguf", writer.bytes()), WeightFormat::kF32, KvType::kF32, 2);
  return session.run(tokens, tokens.size());
}

TEST_F(Goldens, DecodersFromGgufEqualTheReferenceElementByElement) {
  for (const char* name : {"llama-2-mqa", "llama-3-gqa", "mistral-w", "mistral-w16", "mistral-full",
                           "mixtral", "mixtral-mqa-w6", "mixtral-one", "mixtral-all"}) {
    SCOPED_TRACE(name);
    const json::object test = golden_case(name);
    const std::vector<std::int32_t> tokens = tokens_of(test.at("tokens"));
    const std::vector<float> want = read_floats(kGoldens / name / "logits.f32");
    for (const ExpertLayout layout : {ExpertLayout::kStacked, ExpertLayout::kSplit}) {
      expect_close(
          logits_of(llama_gguf(golden_config(name), generate_tensors(test), layout), tokens), want,
          2e-5);
    }
  }
}

// dbrx keeps the half-split pairing, and its converter transposes w2 expert by expert.
TEST_F(Goldens, DbrxFromGgufEqualsTheReferenceElementByElement) {
  const char* name = "dbrx";
  const json::object config = golden_config(name), test = golden_case(name);
  const json::object &attn = config.at("attn_config").as_object(),
                     &ffn = config.at("ffn_config").as_object();
  const GoldenTensors tensors = generate_tensors(test);
  const std::int64_t experts = u32(ffn, "moe_num_experts"), inner = u32(ffn, "ffn_hidden_size"),
                     hidden = u32(config, "d_model");
  GgufWriter writer;
  writer.text("general.architecture", "dbrx")
      .u32("dbrx.block_count", u32(config, "n_layers"))
      .u32("dbrx.context_length", u32(config, "max_seq_len"))
      .u32("dbrx.embedding_length", u32(config, "d_model"))
      .u32("dbrx.feed_forward_length", u32(ffn, "ffn_hidden_size"))
      .u32("dbrx.attention.head_count", u32(config, "n_heads"))
      .u32("dbrx.attention.head_count_kv", u32(attn, "kv_n_heads"))
      .f32("dbrx.attention.layer_norm_epsilon", 1e-5f)
      .f32("dbrx.attention.clamp_kqv", attn.at("clip_qkv").to_number<float>())
      .f32("dbrx.rope.freq_base", attn.at("rope_theta").to_number<float>())
      .u32("dbrx.expert_count", u32(ffn, "moe_num_experts"))
      .u32("dbrx.expert_used_count", u32(ffn, "moe_top_k"));
  add(writer, "token_embd.weight", tensors.at("transformer.wte.weight"));
  add(writer, "output_norm.weight", tensors.at("transformer.norm_f.weight"));
  add(writer, "output.weight", tensors.at("lm_head.weight"));
  for (std::uint32_t l = 0; l < u32(config, "n_layers"); ++l) {
    const std::string from = "transformer.blocks." + std::to_string(l) + ".",
                      to = "blk." + std::to_string(l) + ".";
    const auto copy = [&](const char* gguf, const std::string& part) {
      add(writer, to + gguf + ".weight", tensors.at(from + part));
    };
    copy("attn_norm", "norm_attn_norm.norm_1.weight");
    copy("attn_output_norm", "norm_attn_norm.norm_2.weight");
    copy("attn_qkv", "norm_attn_norm.attn.Wqkv.weight");
    copy("attn_output", "norm_attn_norm.attn.out_proj.weight");
    copy("ffn_gate_inp", "ffn.router.layer.weight");
    for (const auto& [gguf, w] : {std::pair{"ffn_gate_exps", "w1"}, {"ffn_up_exps", "v1"}}) {
      GoldenTensor stack = tensors.at(from + "ffn.experts.mlp." + w);
      stack.shape = {experts, inner, hidden};
      add(writer, to + gguf + ".weight", stack);
    }
    const GoldenTensor& w2 = tensors.at(from + "ffn.experts.mlp.w2");
    GoldenTensor down{{experts, hidden, inner}, std::vector<float>(w2.values.size())};
    for (std::int64_t e = 0; e < experts; ++e) {
      for (std::int64_t i = 0; i < inner; ++i) {
        for (std::int64_t h = 0; h < hidden; ++h) {
          down.values[(e * hidden + h) * inner + i] = w2.values[(e * inner + i) * hidden + h];
        }
      }
    }
    add(writer, to + "ffn_down_exps.weight", down);
  }
  expect_close(logits_of(writer, tokens_of(test.at("tokens"))),
               read_floats(kGoldens / name / "logits.f32"), 2e-5);
}

// Experts in blocks: the file gives what a folder of the dequantised values gives.
TEST_F(Goldens, QuantisedExpertsOfGgufEqualTheirDequantisedValues) {
  json::object config = golden_config("mixtral-all"), test = golden_case("mixtral-all");
  config["intermediate_size"] = 64;  // blocks are of 32
  for (auto& [name, spec] : test.at("tensors").as_object()) {
    if (name.find(".experts.") == std::string_view::npos) continue;
    spec.at("shape") = json::array{64, 64};
  }
  const std::vector<std::int32_t> tokens = tokens_of(test.at("tokens"));
  for (const DType dtype : {DType::kQ8_0, DType::kQ4_0}) {
    SCOPED_TRACE(dtype_info(dtype).name);
    GoldenTensors tensors = generate_tensors(test);
    const GgufWriter stacked_file = llama_gguf(config, tensors, ExpertLayout::kStacked, dtype);
    const GgufWriter split_file = llama_gguf(config, tensors, ExpertLayout::kSplit, dtype);
    for (auto& [name, tensor] : tensors) {
      if (name.find(".experts.") == std::string::npos) continue;
      const auto count = static_cast<std::int64_t>(tensor.values.size());
      const DTypeInfo& info = dtype_info(dtype);
      std::vector<std::byte> blocks(count / info.block_elements * info.block_bytes);
      quantize(dtype, tensor.values.data(), count, blocks.data());
      dequantize(dtype, blocks.data(), count, tensor.values.data());
    }
    const TemporaryFolder folder;
    folder.write("config.json", json::serialize(config));
    folder.write("model.safetensors", safetensors_of(tensors, false));
    Session session(folder.path(), WeightFormat::kF32, KvType::kF32, 2);
    const std::vector<float> want = session.run(tokens, tokens.size());
    expect_close(logits_of(stacked_file, tokens), want, 1e-5);
    expect_close(logits_of(split_file, tokens), want, 1e-5);
    // And as they are held: 4 bits stay 4 bits.
    const TemporaryFolder held;
    Session stored(held.write("model.gguf", stacked_file.bytes()), WeightFormat::kStored,
                   KvType::kF32, 2);
    EXPECT_LE(rms_error(stored.run(tokens, tokens.size()), want), 0.01);  // int8 activations
  }
}

ErrorKind kind_of(const std::function<void()>& action, std::string* message) {
  try {
    action();
  } catch (const Error& error) {
    *message = error.message;
    return error.kind;
  }
  return ErrorKind::kInternal;
}

TEST_F(Goldens, ExpertsOfAnotherShapeAreRefused) {
  std::string message;
  const auto load = [&](const Folder& folder) {
    return kind_of(
        [&] {
          ThreadPool pool(1);
          load_model(folder.path(), {}, pool);
        },
        &message);
  };
  const Folder more("mixtral");
  more.change_config("num_local_experts", 9);
  EXPECT_EQ(load(more), ErrorKind::kBadModelFile);
  EXPECT_TRUE(contains(message, "block_sparse_moe.gate.weight")) << message;
  const Folder wide("mixtral-fused");
  wide.change_config("intermediate_size", 49);
  EXPECT_EQ(load(wide), ErrorKind::kBadModelFile);
  EXPECT_TRUE(contains(message, "gate_up_proj")) << message;
  const Folder dbrx("dbrx");
  json::object ffn = dbrx.config().at("ffn_config").as_object();
  ffn["ffn_hidden_size"] = 47;
  dbrx.change_config("ffn_config", ffn);
  EXPECT_EQ(load(dbrx), ErrorKind::kBadModelFile);
  EXPECT_TRUE(contains(message, "mlp.w1")) << message;
  const Folder gelu("mistral-w");
  gelu.change_config("hidden_act", "gelu");
  EXPECT_EQ(load(gelu), ErrorKind::kUnsupportedModel);
  EXPECT_TRUE(contains(message, "mistral")) << message;
}

}  // namespace
}  // namespace tessera

#include "engine/model_assets.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/fake_tokenizer.h"
#include "engine/model_path.h"
#include "models/test_files.h"

namespace tessera {
namespace {

constexpr std::string_view kTemplate = "{% for m in messages %}{{ m['content'] }}{% endfor %}";

// A byte-level vocabulary of the letters a, b, ab and an end token.
GgufWriter small_vocabulary() {
  GgufWriter gguf;
  gguf.text("general.architecture", "llama");
  gguf.text("tokenizer.ggml.model", "gpt2");
  gguf.text("tokenizer.ggml.pre", "smollm");
  gguf.texts("tokenizer.ggml.tokens", {"<end>", "a", "b", "ab"});
  gguf.texts("tokenizer.ggml.merges", {"a b"});
  gguf.u32("tokenizer.ggml.eos_token_id", 0);
  return gguf;
}

TEST(ModelAssets, ReadsAFolder) {
  TemporaryFolder folder;
  folder.write("config.json", "{}");
  folder.write("tokenizer.json", fake_tokenizer_json());
  folder.write("chat_template.jinja", kTemplate);
  folder.write("generation_config.json",
               R"({"do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": 40})");
  folder.write("model.safetensors", "weights");
  const ModelAssets assets = load_assets(folder.path());
  EXPECT_EQ(assets.tokenizer->vocab_size(), 97);
  EXPECT_EQ(assets.chat_template_source, kTemplate);
  ASSERT_NE(assets.chat_template, nullptr);
  EXPECT_FLOAT_EQ(*assets.defaults.temperature, 0.6f);
  EXPECT_FLOAT_EQ(*assets.defaults.top_p, 0.9f);
  EXPECT_EQ(assets.defaults.top_k, 40);
  // Other weights, another digest.
  folder.write("model.safetensors", "weighty");
  EXPECT_NE(load_assets(folder.path()).digest, assets.digest);
}

TEST(ModelAssets, DefaultsOnlyWhereTheModelSamples) {
  TemporaryFolder folder;
  folder.write("config.json", "{}");
  folder.write("tokenizer.json", fake_tokenizer_json());
  EXPECT_FALSE(load_assets(folder.path()).defaults.temperature);
  EXPECT_EQ(load_assets(folder.path()).chat_template, nullptr);
  folder.write("generation_config.json", R"({"do_sample": false, "temperature": 0.6})");
  EXPECT_FALSE(load_assets(folder.path()).defaults.temperature);
  folder.write("generation_config.json", R"({"do_sample": true, "temperature": 1e9, "top_k": 5})");
  EXPECT_FALSE(load_assets(folder.path()).defaults.temperature);
  EXPECT_EQ(load_assets(folder.path()).defaults.top_k, 5);
  folder.write("generation_config.json", R"({"do_sample": "yes"})");
  EXPECT_TRUE(
      contains(error_message([&] { load_assets(folder.path()); }), "generation_config.json"));
}

TEST(ModelAssets, ReadsAGgufFile) {
  TemporaryFolder folder;
  const auto file = folder.write("model.gguf", small_vocabulary()
                                                   .text("tokenizer.chat_template", kTemplate)
                                                   .f32("general.sampling.temp", 0.7f)
                                                   .bytes());
  const ModelAssets assets = load_assets(file);
  EXPECT_EQ(assets.tokenizer->encode("ab", {.add_special_tokens = false}),
            std::vector<std::int32_t>{3});
  EXPECT_EQ(assets.tokenizer->eos_id(), 0);
  EXPECT_NE(assets.chat_template, nullptr);
  EXPECT_FLOAT_EQ(*assets.defaults.temperature, 0.7f);
  EXPECT_EQ(load_assets(folder.path()).digest, assets.digest);  // the folder's only model
}

TEST(ModelAssets, FindsTheModelInAFolder) {
  TemporaryFolder folder;
  EXPECT_EQ(resolve_model_path(folder.path()), folder.path());
  const auto first = folder.write("a.gguf", "");
  EXPECT_EQ(resolve_model_path(folder.path()), first);
  EXPECT_EQ(resolve_model_path(first), first);
  folder.write("b.gguf", "");
  EXPECT_TRUE(contains(error_message([&] { resolve_model_path(folder.path()); }), "2 .gguf files"));
  folder.write("config.json", "{}");
  EXPECT_EQ(resolve_model_path(folder.path()), folder.path());
}

TEST(ModelAssets, NamesWhatIsMissing) {
  TemporaryFolder folder;
  EXPECT_TRUE(contains(error_message([&] { load_assets(folder.path() / "none"); }), "none"));
  EXPECT_THROW(load_assets(folder.path()), Error);
  const auto broken = folder.write("broken.gguf", small_vocabulary().bytes().substr(0, 100));
  EXPECT_TRUE(contains(error_message([&] { load_assets(broken); }), "broken.gguf"));
}

}  // namespace
}  // namespace tessera

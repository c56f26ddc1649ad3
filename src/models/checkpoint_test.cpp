#include "models/checkpoint.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "models/test_files.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::string one_tensor(const std::string& name, float value) {
  return safetensors_bytes(
      "{\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}",
      raw_floats({value}));
}

float value_of(const Checkpoint& checkpoint, std::string_view name) {
  float value;
  dequantize_row(checkpoint.get(name, {1, 1}), 0, &value);
  return value;
}

std::string open_error(const fs::path& path) {
  return error_message([&] { Checkpoint::open(path); });
}

TEST(Checkpoint, OpensOneFile) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", one_tensor("a", 3));
  folder.write("stray.safetensors", "broken, and not looked at");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(value_of(checkpoint, "a"), 3.0f);
  EXPECT_EQ(checkpoint.find("b"), nullptr);
  EXPECT_FALSE(checkpoint.is_gguf());
  EXPECT_EQ(checkpoint.parameters(), 1);
  EXPECT_EQ(checkpoint.bytes(), 4);
  EXPECT_TRUE(contains(error_message([&] { checkpoint.get("b"); }), "tensor 'b' is missing"));
  EXPECT_TRUE(contains(error_message([&] { checkpoint.get("a", {2}); }),
                       "tensor 'a' has shape [1, 1], wanted [2]"));
}

TEST(Checkpoint, StaysValidAfterMoving) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", one_tensor("a", 3));
  Checkpoint first = Checkpoint::open(folder.path());
  const RawTensor* tensor = first.find("a");
  const Checkpoint second = std::move(first);
  EXPECT_EQ(second.find("a"), tensor);
  EXPECT_EQ(value_of(second, "a"), 3.0f);
}

TEST(Checkpoint, OpensAllFilesWithoutAnIndex) {
  const TemporaryFolder folder;
  folder.write("x1.safetensors", one_tensor("a", 1));
  folder.write("x2.safetensors", one_tensor("b", 2));
  EXPECT_EQ(value_of(Checkpoint::open(folder.path()), "b"), 2.0f);
  folder.write("x3.safetensors", one_tensor("a", 3));
  EXPECT_TRUE(contains(open_error(folder.path()), "tensor 'a' is already in another weight file"));
}

TEST(Checkpoint, OpensShards) {
  const TemporaryFolder folder;
  folder.write("s1.safetensors", one_tensor("a", 1));
  folder.write("s2.safetensors", one_tensor("b", 2));
  folder.write("model.safetensors.index.json",
               R"({"metadata":{"total_size":8},"weight_map":{"a":"s1.safetensors",)"
               R"("b":"s2.safetensors"}})");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(value_of(checkpoint, "a"), 1.0f);
  EXPECT_EQ(value_of(checkpoint, "b"), 2.0f);
  EXPECT_EQ(checkpoint.parameters(), 2);
}

TEST(Checkpoint, RefusesBadIndexes) {
  const TemporaryFolder folder;
  const TemporaryFolder elsewhere;
  folder.write("s1.safetensors", one_tensor("a", 1));
  folder.write("s2.safetensors", one_tensor("b", 2));
  folder.write("again.safetensors",
               safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("d":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                 "xy"));
  fs::create_symlink(elsewhere.write("out.safetensors", one_tensor("c", 1)),
                     folder.path() / "link.safetensors");
  const auto with_index = [&](std::string_view index) {
    folder.write("model.safetensors.index.json", index);
    return open_error(folder.path());
  };
  EXPECT_TRUE(contains(with_index("{"), "not valid JSON"));
  EXPECT_TRUE(contains(with_index("[]"), "'weight_map' must be an object"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"a":1}})"), "must be a string"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"a":"../x"}})"), "not a plain file name"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"a":"/etc/x"}})"), "not a plain file name"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"a":".."}})"), "not a plain file name"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"a":"no"}})"), "which is missing"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"c":"link.safetensors"}})"), "leaves"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"z":"s1.safetensors"}})"),
                       "maps tensor 'z' to 's1.safetensors', which lacks it"));
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"a":"s1.safetensors","b":"s1.safetensors"}})"),
                       "lacks it"));
  // Both lie in s1 or s2, but each is mapped to the other one.
  EXPECT_TRUE(contains(with_index(R"({"weight_map":{"b":"s1.safetensors","a":"s2.safetensors"}})"),
                       "lacks it"));
  EXPECT_TRUE(contains(
      with_index(R"({"weight_map":{"a":"s1.safetensors","d":"again.safetensors"}})"), "already"));
  std::string deep = R"({"weight_map":)";
  for (int i = 0; i < 1000; ++i) deep += '[';
  EXPECT_TRUE(contains(with_index(deep), "not valid JSON"));
}

TEST(Checkpoint, FollowsLinksIntoTheBlobsOfTheCache) {
  const TemporaryFolder cache;
  cache.write("blobs/abc", one_tensor("a", 5));
  fs::create_directories(cache.path() / "snapshots/main");
  fs::create_symlink("../../blobs/abc", cache.path() / "snapshots/main/model.safetensors");
  EXPECT_EQ(value_of(Checkpoint::open(cache.path() / "snapshots/main"), "a"), 5.0f);
}

TEST(Checkpoint, GivesOldBertTensorsTheirModernNames) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", one_tensor("bert.embeddings.LayerNorm.gamma", 2));
  EXPECT_EQ(value_of(Checkpoint::open(folder.path()), "embeddings.LayerNorm.weight"), 2.0f);
}

TEST(Checkpoint, RefusesTensorsOfUnreadableType) {
  const TemporaryFolder folder;
  folder.write("model.safetensors",
               safetensors_bytes(R"({"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}})",
                                 std::string(8, '\0')));
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_TRUE(contains(error_message([&] { checkpoint.get("a"); }), "has type C64"));
}

TEST(Checkpoint, RefusesWhatIsNoModel) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(open_error(folder.path()), "holds no .safetensors file"));
  EXPECT_TRUE(contains(open_error(folder.path() / "absent"), "does not exist"));
  EXPECT_TRUE(contains(open_error(folder.write("a.bin", "xyz")), "neither a folder nor a GGUF"));
  EXPECT_TRUE(contains(open_error(folder.write("empty.gguf", "")), "neither a folder nor a GGUF"));
  EXPECT_TRUE(contains(open_error(folder.write("cut.gguf", "GGUF")), "has 4 bytes"));
}

GgufWriter llama_part(std::string_view tensor, float value) {
  GgufWriter writer;
  writer.text("general.architecture", "llama").tensor(tensor, 0, {1, 1}, raw_floats({value}));
  return writer;
}

TEST(Checkpoint, OpensGgufUnderHuggingFaceNames) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("m.gguf", llama_part("blk.3.attn_q.weight", 7).bytes());
  const Checkpoint checkpoint = Checkpoint::open(file);
  ASSERT_TRUE(checkpoint.is_gguf());
  EXPECT_EQ(checkpoint.gguf()->text("general.architecture"), "llama");
  EXPECT_EQ(value_of(checkpoint, "model.layers.3.self_attn.q_proj.weight"), 7.0f);
}

TEST(Checkpoint, OpensSplitGguf) {
  const TemporaryFolder folder;
  const fs::path first = folder.write("m-00001-of-00002.gguf", llama_part("a.weight", 1)
                                                                   .u32("split.no", 0)
                                                                   .u32("split.count", 2)
                                                                   .u32("split.tensors.count", 2)
                                                                   .bytes());
  EXPECT_TRUE(
      contains(open_error(first), "names weight file 'm-00002-of-00002.gguf', which is missing"));
  const fs::path second =
      folder.write("m-00002-of-00002.gguf",
                   llama_part("b.weight", 2).u32("split.no", 1).u32("split.count", 2).bytes());
  EXPECT_EQ(value_of(Checkpoint::open(first), "b.weight"), 2.0f);
  EXPECT_TRUE(contains(open_error(second), "open the first, 'm-00001-of-00002.gguf'"));
  folder.write("m-00002-of-00002.gguf", llama_part("a.weight", 2).u32("split.no", 1).bytes());
  EXPECT_TRUE(contains(open_error(first), "tensor 'a.weight' is already"));
  const fs::path odd = folder.write("odd.gguf", llama_part("a", 1).u32("split.count", 2).bytes());
  EXPECT_TRUE(contains(open_error(odd), "is not named like"));
}

TEST(Checkpoint, TranslatesGgufNames) {
  const auto llama = [](std::string_view name) { return huggingface_tensor_name("llama", name); };
  EXPECT_EQ(llama("token_embd.weight"), "model.embed_tokens.weight");
  EXPECT_EQ(llama("output_norm.weight"), "model.norm.weight");
  EXPECT_EQ(llama("output.weight"), "lm_head.weight");
  EXPECT_EQ(llama("rope_freqs.weight"), "rope_freqs.weight");
  EXPECT_EQ(llama("blk.12.ffn_down.weight"), "model.layers.12.mlp.down_proj.weight");
  EXPECT_EQ(llama("blk.0.ffn_norm.weight"), "model.layers.0.post_attention_layernorm.weight");
  EXPECT_EQ(llama("blk.x"), "blk.x");
  EXPECT_EQ(llama("blk..weight"), "blk..weight");
  const auto bert = [](std::string_view name) { return huggingface_tensor_name("bert", name); };
  EXPECT_EQ(bert("token_embd_norm.bias"), "embeddings.LayerNorm.bias");
  EXPECT_EQ(bert("blk.1.attn_k.bias"), "encoder.layer.1.attention.self.key.bias");
  EXPECT_EQ(bert("blk.1.attn_output_norm.weight"),
            "encoder.layer.1.attention.output.LayerNorm.weight");
  EXPECT_EQ(bert("blk.1.layer_output_norm.weight"), "encoder.layer.1.output.LayerNorm.weight");
}

}  // namespace
}  // namespace tessera

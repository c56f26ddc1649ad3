// Parameters and keys and values of published models, from their config.json alone.
#include "models/plan.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "models/model.h"
#include "models/test_files.h"

namespace tessera {
namespace {

namespace json = boost::json;

json::array published() {
  std::ifstream file(TESSERA_SOURCE_DIR "/tests/golden/plans/published.json");
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str()).as_array();
}

TEST(Plan, PublishedModelsHaveTheirPublishedSizes) {
  int models = 0;
  for (const json::value& item : published()) {
    const json::object& model = item.as_object();
    const std::string name(model.at("name").as_string());
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    folder.write("config.json", json::serialize(model.at("config")));
    const ModelPlan plan = plan_model(folder.path());
    const auto parameters = model.at("parameters").to_number<std::int64_t>();
    EXPECT_EQ(plan.parameters, parameters);
    EXPECT_EQ(plan.active_parameters,
              model.contains("active") ? model.at("active").to_number<std::int64_t>() : parameters);
    EXPECT_EQ(plan.kv_bytes_per_token(KvType::kF16), model.at("kv").to_number<std::int64_t>());
    EXPECT_FALSE(plan.has_weights);
    // BF16 as stored: two bytes, plus what panels round up and the f32 of norms.
    const std::int64_t bytes = plan.weight_bytes(WeightFormat::kStored);
    EXPECT_GE(bytes, 2 * parameters);
    EXPECT_LE(bytes, 2 * parameters + parameters / 50);
    EXPECT_LT(plan.weight_bytes(WeightFormat::kInt4), plan.weight_bytes(WeightFormat::kInt8));
    EXPECT_EQ(plan_model(folder.path() / "config.json").parameters, parameters);
    ++models;
  }
  EXPECT_EQ(models, 25);
}

TEST(Plan, OfFilesIsWhatLoadingTakes) {
  const std::string goldens = TESSERA_SOURCE_DIR "/tests/golden/";
  ThreadPool pool(1);
  for (const char* folder : {"models/llama-a", "models/llama-b", "models/llama-c",
                             "models/llama-a-bf16", "quantized/gptq-4-asym", "quantized/awq"}) {
    SCOPED_TRACE(folder);
    const ModelPlan plan = plan_model(std::filesystem::path(goldens + folder));
    EXPECT_TRUE(plan.has_weights);
    for (const WeightFormat format :
         {WeightFormat::kStored, WeightFormat::kF32, WeightFormat::kInt8, WeightFormat::kInt4}) {
      const LoadedModel model = load_model(goldens + folder, {.weight_format = format}, pool);
      const std::int64_t loaded = model.language->info().weight_bytes;
      // Norms are not in it; biases are in both.
      EXPECT_NEAR(plan.weight_bytes(format), loaded, 4 * plan.vector_parameters);
    }
  }
  EXPECT_EQ(plan_model(std::filesystem::path(goldens + "quantized/awq")).quantization, "awq");
}

TEST(Plan, RefusesNamingKeyAndValue) {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"model_type":"llama","torch_dtype":"float64"})");
  try {
    plan_model(folder.path());
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kUnsupportedModel);
    EXPECT_NE(error.message.find("torch_dtype' is 'float64'"), std::string::npos) << error.message;
  }
  EXPECT_THROW(plan_model(folder.path() / "other.json"), Error);
}

}  // namespace
}  // namespace tessera

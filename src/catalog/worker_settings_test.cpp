#include "catalog/worker_settings.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace tessera::catalog {
namespace {

std::string refusal(std::string_view name, std::string_view value) {
  try {
    check_worker_setting(name, value, "vars." + std::string(name));
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kInvalidParameterValue);
    EXPECT_EQ(error.param, "vars." + std::string(name));
    return error.message;
  }
}

TEST(WorkerSettings, TakesWhatAWorkerTakes) {
  const std::pair<const char*, const char*> good[] = {
      {"TESSERA_WEIGHTS", "stored"},   {"TESSERA_WEIGHTS", "int4"},
      {"TESSERA_KV_TYPE", "bf16"},     {"TESSERA_KV_MEMORY", "1.5 GiB"},
      {"TESSERA_MAX_MODEL_LEN", "0"},  {"TESSERA_MAX_NUM_SEQS", "1"},
      {"TESSERA_MAX_WAITING", "0"},    {"TESSERA_MAX_STEP_TOKENS", "512"},
      {"TESSERA_WORKER_THREADS", "2"}, {"TESSERA_ISA", "avx2"},
      {"TESSERA_LOG", "debug"},        {"HOME", "anything"},
      {"tessera_weights", "int3"},     {"", ""}};
  for (const auto& [name, value] : good) EXPECT_EQ(refusal(name, value), "") << name;
}

TEST(WorkerSettings, NamesTheValueAndWhatWasWanted) {
  EXPECT_EQ(refusal("TESSERA_WEIGHTS", "int3"),
            "vars.TESSERA_WEIGHTS: got 'int3', want stored, f32, bf16, int8 or int4.");
  EXPECT_EQ(refusal("TESSERA_MAX_NUM_SEQS", "0"),
            "vars.TESSERA_MAX_NUM_SEQS: got '0', want an integer from 1.");
  const std::pair<const char*, const char*> bad[] = {{"TESSERA_WEIGHTS", ""},
                                                     {"TESSERA_WEIGHTS", "INT8"},
                                                     {"TESSERA_KV_TYPE", "int8"},
                                                     {"TESSERA_KV_MEMORY", "much"},
                                                     {"TESSERA_KV_MEMORY", "0"},
                                                     {"TESSERA_KV_MEMORY", "-1GiB"},
                                                     {"TESSERA_MAX_MODEL_LEN", "-1"},
                                                     {"TESSERA_MAX_WAITING", "1e3"},
                                                     {"TESSERA_MAX_STEP_TOKENS", "99999999999"},
                                                     {"TESSERA_WORKER_THREADS", "two"},
                                                     {"TESSERA_ISA", "sse"},
                                                     {"TESSERA_LOG", "loud"}};
  for (const auto& [name, value] : bad) EXPECT_NE(refusal(name, value), "") << name << value;
}

TEST(WorkerSettings, UnknownOnesAreSlipsOfThePen) {
  const std::string told = refusal("TESSERA_WEIGTHS", "int8");
  EXPECT_TRUE(
      told.starts_with("vars.TESSERA_WEIGTHS: 'TESSERA_WEIGTHS' is no setting of a worker, "
                       "want one of TESSERA_WEIGHTS, "))
      << told;
}

}  // namespace
}  // namespace tessera::catalog

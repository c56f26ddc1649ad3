// The exploit shapes of the fuzz corpora: each is a typed Error, found without a large allocation.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "models/checkpoint.h"
#include "models/plan.h"
#include "models/test_files.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

// Loads every file "exploit_*" of a corpus by `load` from a folder that holds it under `name`.
template <class Load>
void refuse_all(const char* corpus, const char* name, int least, const Load& load) {
  int files = 0;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(TESSERA_SOURCE_DIR) / "tests/fuzz/corpus" / corpus)) {
    if (!entry.path().filename().string().starts_with("exploit_")) continue;
    SCOPED_TRACE(entry.path().filename());
    std::ifstream in(entry.path(), std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    const TemporaryFolder folder;
    const fs::path file = folder.write(name, bytes.str());
    const std::int64_t before = peak_bytes();
    try {
      load(folder.path(), file);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind == ErrorKind::kBadModelFile ||
                  error.kind == ErrorKind::kUnsupportedModel)
          << error.message;
      EXPECT_TRUE(contains(error.message, file.filename().string())) << "names the file";
    }
    EXPECT_LT(peak_bytes() - before, 16 << 20);
    ++files;
  }
  EXPECT_GE(files, least);
}

TEST(HostileFiles, Gguf) {
  refuse_all("gguf", "model.gguf", 26,
             [](const fs::path&, const fs::path& file) { Checkpoint::open(file); });
}

TEST(HostileFiles, Safetensors) {
  refuse_all("safetensors", "model.safetensors", 19,
             [](const fs::path& folder, const fs::path&) { Checkpoint::open(folder); });
}

TEST(HostileFiles, Config) {
  refuse_all("config", "config.json", 22,
             [](const fs::path& folder, const fs::path&) { plan_model(folder); });
}

}  // namespace
}  // namespace tessera

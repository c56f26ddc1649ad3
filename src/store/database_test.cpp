#include "store/database.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "store/migrations.h"
#include "store/principal_store.h"

namespace tessera::store {
namespace {

namespace fs = std::filesystem;

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tessera_store_XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ / "tessera.db";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string refusal(ErrorKind kind) {
    try {
      Database database({path_, 50});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, kind) << error.message;
      return error.message;
    }
    return {};
  }

  fs::path folder_, path_;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(DatabaseTest, MigratesFromEmptyOnceAndReopens) {
  {
    Database database({path_});
    EXPECT_EQ(database.schema_version(), migrations().back().version);
    database.set_setting("workspace_id", "1");
    database.set_setting("workspace_id", "42");
  }
  Database database({path_});
  EXPECT_EQ(database.setting("workspace_id"), "42");
  EXPECT_EQ(database.setting("nothing"), std::nullopt);
  EXPECT_EQ(database.schema_version(), migrations().back().version);
}

TEST_F(DatabaseTest, MigrationsAreNumberedUpwards) {
  int last = 0;
  for (const Migration& migration : migrations()) {
    EXPECT_EQ(migration.version, last + 1) << migration.name;
    EXPECT_FALSE(migration.sql.empty());
    last = migration.version;
  }
}

TEST_F(DatabaseTest, OnlyTheOwnerCanRead) {
  Database database({path_});
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info;
    ASSERT_EQ(::stat((path_.string() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(DatabaseTest, ForeignFileIsNamed) {
  std::ofstream(path_) << std::string(8192, 'x');
  const std::string message = refusal(ErrorKind::kBadConfiguration);
  EXPECT_TRUE(contains(message, path_.string())) << message;
  EXPECT_TRUE(contains(message, "damaged or not a Tessera database")) << message;
}

TEST_F(DatabaseTest, DamagedPagesAreNamed) {
  { Database database({path_}); }
  {
    // The header stays, the schema page is overwritten.
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file << std::string(4096 * 3, '\xff');
  }
  EXPECT_TRUE(contains(refusal(ErrorKind::kBadConfiguration), path_.string()));
}

TEST_F(DatabaseTest, TruncatedHeaderIsNamed) {
  { Database database({path_}); }
  fs::resize_file(path_, 50);
  EXPECT_TRUE(contains(refusal(ErrorKind::kBadConfiguration), path_.string()));
}

TEST_F(DatabaseTest, LockedFileIsNamed) {
  Database first({path_});
  Database::Transaction held(first);
  const std::string message = refusal(ErrorKind::kIo);
  EXPECT_TRUE(contains(message, "locked by another process")) << message;
}

TEST_F(DatabaseTest, MissingFolderIsNamed) {
  path_ = folder_ / "missing" / "tessera.db";
  EXPECT_TRUE(contains(refusal(ErrorKind::kIo), path_.string()));
}

TEST_F(DatabaseTest, NewerSchemaIsRefused) {
  {
    Database database({path_});
    Database::Session session(database);
    session->prepare("INSERT INTO schema_migrations VALUES ($1, $2, $3)")
        .bind(9999, "from_the_future", 0)
        .run();
  }
  EXPECT_TRUE(contains(refusal(ErrorKind::kBadConfiguration), "9999"));
}

TEST_F(DatabaseTest, TransactionRollsBack) {
  Database database({path_});
  {
    Database::Transaction transaction(database);
    transaction->prepare("INSERT INTO settings VALUES ($1, $2)").bind("a", "b").run();
  }
  EXPECT_EQ(database.setting("a"), std::nullopt);
}

TEST_F(DatabaseTest, StatementsOfOneTextMayNest) {
  Database database({path_});
  database.set_setting("a", "1");
  database.set_setting("b", "2");
  Database::Session session(database);
  int pairs = 0;
  auto outer = session->prepare("SELECT value FROM settings");
  while (outer.step()) {
    auto inner = session->prepare("SELECT value FROM settings");
    while (inner.step()) ++pairs;
  }
  EXPECT_EQ(pairs, 4);
}

// What was acknowledged before SIGKILL is there afterwards; what was not committed is not.
TEST_F(DatabaseTest, SurvivesSigkill) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Database database({path_});
    database.set_setting("acknowledged", "yes");
    Database::Transaction transaction(database);
    transaction->prepare("INSERT INTO settings VALUES ($1, $2)").bind("unfinished", "x").run();
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(child, SIGKILL);
  int status;
  ::waitpid(child, &status, 0);
  ::close(ready[0]);
  ::close(ready[1]);

  Database database({path_});
  EXPECT_EQ(database.setting("acknowledged"), "yes");
  EXPECT_EQ(database.setting("unfinished"), std::nullopt);
}

}  // namespace
}  // namespace tessera::store

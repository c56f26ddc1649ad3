#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/error.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tessera-map-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const char* name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static std::string text(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.data()), file.size()};
  }
  static std::string error(const fs::path& path) {
    try {
      MappedFile file(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kIo);
      return error.message;
    }
    return "(no error)";
  }

  fs::path folder_;
};

TEST_F(MappedFileTest, MapsBytes) {
  const MappedFile file(write("a", "hello"));
  EXPECT_EQ(text(file), "hello");
  file.release_pages();
  EXPECT_EQ(text(file), "hello");
}

TEST_F(MappedFileTest, ReleasesAPart) {
  std::string bytes(5 << 20, 'x');
  for (std::size_t i = 0; i < bytes.size(); i += 4096) bytes[i] = static_cast<char>('a' + i % 26);
  const MappedFile file(write("big", bytes));
  const auto resident_pages = [&] {
    std::ifstream smaps("/proc/self/smaps");
    std::ostringstream address;
    address << std::hex << reinterpret_cast<std::uintptr_t>(file.data()) << '-';
    std::string line;
    while (std::getline(smaps, line) && line.rfind(address.str(), 0) != 0) {
    }
    while (std::getline(smaps, line)) {
      if (line.rfind("Rss:", 0) == 0) return std::stol(line.substr(4)) / 4;
    }
    return -1L;
  };
  EXPECT_EQ(text(file), bytes);
  const long all = resident_pages();
  ASSERT_GE(all, static_cast<long>(bytes.size() / 4096));
  release_pages(file.bytes(), file.bytes().subspan(100, 4 << 20));
  EXPECT_LE(resident_pages(), all - (4 << 20) / 4096);
  EXPECT_EQ(text(file), bytes);
  for (const std::size_t offset : {std::size_t{0}, bytes.size() - 1, bytes.size()}) {
    release_pages(file.bytes(), file.bytes().subspan(offset));
    EXPECT_EQ(text(file), bytes);
  }
}

TEST_F(MappedFileTest, AnEmptyFileHasNoBytes) {
  const MappedFile file(write("empty", ""));
  EXPECT_EQ(file.size(), 0u);
  EXPECT_TRUE(file.bytes().empty());
  file.release_pages();
}

TEST_F(MappedFileTest, MovingKeepsTheAddress) {
  MappedFile first(write("a", "one"));
  const std::byte* address = first.data();
  MappedFile second(std::move(first));
  EXPECT_EQ(second.data(), address);
  EXPECT_EQ(first.size(), 0u);
  MappedFile third(write("b", "two"));
  third = std::move(second);
  EXPECT_EQ(text(third), "one");
}

TEST_F(MappedFileTest, NamesWhatCannotBeMapped) {
  EXPECT_NE(error(folder_ / "absent").find("absent': No such file"), std::string::npos);
  EXPECT_NE(error(folder_).find("not a regular file"), std::string::npos);
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_NE(error(folder_ / "fifo").find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace tessera

#include "control/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace tessera::control {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestSocketFolder = 70;  // leaves room for "/<entity>-<start>.sock"

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw Error(ErrorKind::kIo, what + " '" + path.string() + "': " + std::strerror(errno) + ".");
}

void make_private_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail("Cannot make folder", path);
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) fail("Cannot look at folder", path);
  if (!S_ISDIR(info.st_mode)) {
    errno = ENOTDIR;
    fail("Cannot use", path);
  }
  if ((info.st_mode & 0077) != 0 && ::chmod(path.c_str(), 0700) != 0) {
    fail("Cannot keep others out of folder", path);
  }
}

}  // namespace

DataFolder::DataFolder(fs::path path) : path_(fs::absolute(std::move(path)).lexically_normal()) {
  if (!path_.has_filename()) path_ = path_.parent_path();
  make_private_folder(path_);
  const fs::path lock = path_ / "lock";
  lock_fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) fail("Cannot open", lock);
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_fd_);
    throw Error(ErrorKind::kBadConfiguration,
                "Data folder '" + path_.string() +
                    "' is in use by another tessera. Stop that one, or give another data folder.");
  }
}

DataFolder::~DataFolder() { ::close(lock_fd_); }

void write_private_file(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".new";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fail("Cannot write", fresh);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  if (!written || ::rename(fresh.c_str(), path.c_str()) != 0) fail("Cannot write", path);
}

fs::path prepare_socket_folder(const fs::path& wanted, const fs::path& data_folder) {
  fs::path folder = wanted.empty() ? data_folder / "run" : wanted;
  if (wanted.empty() && folder.string().size() > kLongestSocketFolder) {
    std::string name = (fs::temp_directory_path() / "tessera-XXXXXX").string();
    if (!::mkdtemp(name.data())) fail("Cannot make folder", name);
    folder = name;
  }
  if (folder.string().size() > kLongestSocketFolder) {
    throw Error(ErrorKind::kBadConfiguration, "Socket folder '" + folder.string() + "' has " +
                                                  std::to_string(folder.string().size()) +
                                                  " characters; Unix sockets allow at most " +
                                                  std::to_string(kLongestSocketFolder) +
                                                  " here. Give a shorter one.");
  }
  make_private_folder(folder);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".sock") fs::remove(entry.path(), ignored);
  }
  return folder;
}

}  // namespace tessera::control

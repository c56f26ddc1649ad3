// The folder where one installation keeps its things: made on first use, readable by its owner
// only, and used by one process at a time.
#pragma once

#include <filesystem>
#include <string>

namespace tessera::control {

class DataFolder {
 public:
  // Throws Error(kIo) when it cannot be made or read by others though we own it, and
  // Error(kBadConfiguration) while another process holds it.
  explicit DataFolder(std::filesystem::path path);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path database() const { return path_ / "tessera.db"; }
  std::filesystem::path admin_token_file() const { return path_ / "admin-token"; }

 private:
  std::filesystem::path path_;
  int lock_fd_ = -1;
};

// Replaces the file in one step; mode 0600. Throws Error(kIo).
void write_private_file(const std::filesystem::path& path, const std::string& text);

// Where the workers' sockets go: `wanted`, or `data_folder`/run, or, as Unix sockets have paths of
// at most 107 bytes, a new folder below the temporary one. Left-over sockets are removed.
std::filesystem::path prepare_socket_folder(const std::filesystem::path& wanted,
                                            const std::filesystem::path& data_folder);

}  // namespace tessera::control

// A file mapped read-only into memory. The bytes stay valid and at the same address until the
// object dies (moving it keeps the address). Safe to read from any thread.
//
// The file must not be truncated while mapped: the kernel answers reads beyond its end with SIGBUS.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace tessera {

class MappedFile {
 public:
  // Throws Error(kIo) naming the path when it cannot be opened, is no regular file or cannot be
  // mapped. An empty file is allowed: no bytes.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Gives the resident pages back to the kernel; a later read faults them in again.
  void release_pages() const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Gives back the pages of `part`, some bytes of the mapping `file`, and the few around them that
// the kernel brings along with a fault. Of memory that is no MappedFile the contents would be lost.
void release_pages(std::span<const std::byte> file, std::span<const std::byte> part);

}  // namespace tessera

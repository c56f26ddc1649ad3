#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace tessera {

namespace {

[[noreturn]] void fail(const char* action, const std::filesystem::path& path, const char* why) {
  throw Error(ErrorKind::kIo, std::string("cannot ") + action + " '" + path.string() + "': " + why);
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; it changes nothing for regular files.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail("open", path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail("inspect", path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail("map", path, "not a regular file");
  if (status.st_size == 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) fail("map", path, std::strerror(errno));
  data_ = static_cast<const std::byte*>(address);
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::release_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

void release_pages(std::span<const std::byte> file, std::span<const std::byte> part) {
  // A fault maps the whole folio it hits, of up to 2 MiB in the page cache (Linux 6.18).
  constexpr std::ptrdiff_t kFaultAround = 2 << 20;
  if (part.empty()) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::byte* begin = part.data() - std::min(kFaultAround, part.data() - file.data());
  const std::byte* part_end = part.data() + part.size();
  const std::byte* end = part_end + std::min(kFaultAround, file.data() + file.size() - part_end);
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(begin) / page * page;
  ::madvise(reinterpret_cast<void*>(first), reinterpret_cast<std::uintptr_t>(end) - first,
            MADV_DONTNEED);
}

}  // namespace tessera

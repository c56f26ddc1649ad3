#include "base/zero_pages.h"

#include <sys/mman.h>

#include <new>

namespace tessera {

ZeroPages::ZeroPages(std::size_t bytes) : data_(nullptr, Unmap{bytes}) {
  if (bytes == 0) return;
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_.reset(static_cast<std::byte*>(memory));
}

void ZeroPages::Unmap::operator()(std::byte* data) const { munmap(data, bytes); }

}  // namespace tessera

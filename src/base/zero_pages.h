// Memory that is zero and takes no room before it is written to.
//
// A page of it becomes resident by its first write, whatever the allocator: calloc() promises zeros
// but may have to write them. Moving keeps the address.
#pragma once

#include <cstddef>
#include <memory>

namespace tessera {

class ZeroPages {
 public:
  // Throws std::bad_alloc.
  explicit ZeroPages(std::size_t bytes);

  std::byte* data() const { return data_.get(); }  // at the start of a page

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Unmap> data_;
};

}  // namespace tessera

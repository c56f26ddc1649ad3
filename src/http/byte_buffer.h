// A flat buffer that is written at the end and consumed from the front. What prepare() returned
// stays where it is until commit(): a read may be under way while other bytes are consumed.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>

namespace tessera::http {

class ByteBuffer {
 public:
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  void consume(std::size_t count) { begin_ += count; }
  void commit(std::size_t count) { end_ += count; }
  void clear() { begin_ = end_; }

  // Room for `count` bytes after the end.
  char* prepare(std::size_t count) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity_ - end_ < count) {
      std::size_t used = size();
      if (capacity_ - used >= count && begin_ > 0) {
        std::memmove(data_.get(), data_.get() + begin_, used);
      } else {
        reallocate(used + count);
      }
      begin_ = 0;
      end_ = used;
    }
    return data_.get() + end_;
  }

  // Gives memory back after a large message; not while a read is under way.
  void shrink(std::size_t keep) {
    if (capacity_ > keep && size() < keep) {
      std::size_t used = size();
      reallocate(keep);
      begin_ = 0;
      end_ = used;
    }
  }

 private:
  void reallocate(std::size_t capacity) {
    std::unique_ptr<char[]> bigger(new char[capacity]);  // not cleared
    std::memcpy(bigger.get(), data_.get() + begin_, size());
    data_ = std::move(bigger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_ = std::make_unique<char[]>(1);
  std::size_t capacity_ = 1, begin_ = 0, end_ = 0;
};

}  // namespace tessera::http

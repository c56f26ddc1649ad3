#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"
#include "models/model.h"

namespace tessera {
namespace {

void require(bool holds, const char* name, int value, const char* wanted) {
  if (holds) return;
  throw Error(
      ErrorKind::kOutOfRange,
      std::string("KV cache: ") + name + " is " + std::to_string(value) + ", wanted " + wanted,
      name);
}

}  // namespace

KvCache::KvCache(int layers, int kv_heads, int head_dim, int blocks, int block_size, KvType type)
    : layers_(layers), blocks_(blocks) {
  require(layers > 0, "layers", layers, "at least 1");
  require(kv_heads > 0, "kv_heads", kv_heads, "at least 1");
  require(head_dim > 0, "head_dim", head_dim, "at least 1");
  require(blocks > 0, "blocks", blocks, "at least 1");
  require(block_size > 0 && block_size % 16 == 0, "block_size", block_size, "a multiple of 16");
  first_ = {nullptr, kv_heads, head_dim, block_size, type};

  std::int64_t bytes = bytes_per_token(1, kv_heads, head_dim, type);
  if (__builtin_mul_overflow(bytes, static_cast<std::int64_t>(block_size), &bytes) ||
      __builtin_mul_overflow(bytes, static_cast<std::int64_t>(blocks), &bytes) ||
      __builtin_mul_overflow(bytes, static_cast<std::int64_t>(layers), &bytes)) {
    require(false, "blocks", blocks, "fewer: the size overflows");
  }
  // Pages of zeros that exist once they are written to.
  void* memory = mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(ErrorKind::kIo, "KV cache: cannot reserve " + std::to_string(bytes) +
                                    " bytes: " + std::strerror(errno));
  }
  first_.data = static_cast<std::byte*>(memory);
}

KvCache::~KvCache() { munmap(first_.data, static_cast<std::size_t>(bytes())); }

void KvCache::copy_block(int from, int to) {
  const std::int64_t size = first_.block_bytes();
  for (int l = 0; l < layers_; ++l) {
    std::byte* data = layer(l).data;
    std::memcpy(data + to * size, data + from * size, static_cast<std::size_t>(size));
  }
}

std::int64_t KvCache::bytes_per_token(int layers, int kv_heads, int head_dim, KvType type) {
  return std::int64_t{2} * layers * kv_heads * head_dim * kv_element_bytes(type);
}

}  // namespace tessera

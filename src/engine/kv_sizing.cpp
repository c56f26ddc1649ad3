#include "engine/kv_sizing.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <vector>

namespace tessera {
namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

std::optional<std::int64_t> read_number(const std::string& path) {
  std::ifstream in(path);
  std::int64_t value;
  if (in >> value) return value;
  return std::nullopt;  // absent, or "max"
}

// "Name:   123 kB" or "name 123".
std::optional<std::int64_t> read_entry(const std::string& path, const std::string& name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    std::int64_t value;
    if (words >> key >> value && key == name) return value;
  }
  return std::nullopt;
}

// Control groups v2: limit minus use, file pages that can be dropped not counted as used. The group
// of this process and every one above it may limit.
std::int64_t left_in_cgroups(const std::string& root) {
  std::int64_t left = kUnlimited;
  const auto look = [&](const std::string& folder, const char* limit_file, const char* use_file,
                        const char* file_pages) {
    const auto limit = read_number(folder + limit_file);
    const auto use = read_number(folder + use_file);
    if (!limit || !use || *limit >= kUnlimited / 2) return;
    const std::int64_t droppable = read_entry(folder + "/memory.stat", file_pages).value_or(0);
    left = std::min(left, std::max<std::int64_t>(0, *limit - *use + droppable));
  };
  std::ifstream in(root + "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const bool is_v2 = line.rfind("0::", 0) == 0;
    const auto memory = line.find(":memory:");
    std::string path;
    if (is_v2) {
      path = line.substr(3);
    } else if (memory != std::string::npos) {
      path = line.substr(memory + 8);
    } else {
      continue;
    }
    while (true) {
      if (path == "/") path.clear();
      if (is_v2) {
        look(root + "sys/fs/cgroup" + path, "/memory.max", "/memory.current", "inactive_file");
      } else {
        look(root + "sys/fs/cgroup/memory" + path, "/memory.limit_in_bytes",
             "/memory.usage_in_bytes", "total_inactive_file");
      }
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
  return left;
}

std::string mebibytes(std::int64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

std::int64_t available_memory(const std::string& root) {
  const auto free_kib = read_entry(root + "proc/meminfo", "MemAvailable:");
  return std::min(free_kib ? *free_kib * 1024 : kUnlimited, left_in_cgroups(root));
}

KvSize size_kv(const EngineOptions& options, const ModelInfo& info, std::int64_t available) {
  const std::int64_t block_bytes =
      KvCache::bytes_per_token(info.num_hidden_layers, info.num_kv_heads, info.head_dim,
                               options.kv_type) *
      options.block_size;
  int max_len = info.context_length;
  if (options.max_model_len > 0) {
    if (options.max_model_len > info.context_length) {
      throw Error(ErrorKind::kBadConfiguration,
                  "max_model_len is " + std::to_string(options.max_model_len) +
                      ", but the model's context is " + std::to_string(info.context_length) +
                      " tokens");
    }
    max_len = options.max_model_len;
  }
  const auto blocks_for = [&](std::int64_t tokens) {
    return (tokens + options.block_size - 1) / options.block_size;
  };
  const std::int64_t one_context = blocks_for(max_len);
  // More than every sequence at its longest can use would be waste.
  const std::int64_t most = one_context * std::max(1, options.max_num_seqs);

  std::int64_t blocks;
  if (options.kv_bytes > 0) {
    blocks = std::min(options.kv_bytes / block_bytes, most);
  } else {
    blocks = std::min({one_context * kDefaultContexts, available / 2 / block_bytes, most});
  }
  blocks = std::min<std::int64_t>(blocks, std::numeric_limits<int>::max() / options.block_size);
  if (blocks < one_context) {
    if (blocks < 1 || options.max_model_len > 0) {
      throw Error(
          ErrorKind::kBadConfiguration,
          "one sequence of " + std::to_string(max_len) + " tokens needs " +
              mebibytes(one_context * block_bytes) + " of KV cache, but " +
              (options.kv_bytes > 0 ? "kv_bytes is " + mebibytes(options.kv_bytes)
                                    : "half of the free memory is " + mebibytes(available / 2)) +
              "; give it more memory or a smaller max_model_len");
    }
    max_len = static_cast<int>(blocks) * options.block_size;
  }
  return {static_cast<int>(blocks), max_len};
}

}  // namespace tessera

// For tests: builds model files byte by byte, right or wrong on purpose.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera {

template <class T>
std::string raw_bytes(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

inline std::string raw_floats(const std::vector<float>& values) {
  std::string out;
  for (const float value : values) out += raw_bytes(value);
  return out;
}

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string safetensors_bytes(std::string_view header, std::string_view data = {}) {
  return raw_bytes<std::uint64_t>(header.size()) + std::string(header) + std::string(data);
}

// GGUF pieces. A writer for well-formed files; tests break them by editing the bytes.
class GgufWriter {
 public:
  static std::string string(std::string_view text) {
    return raw_bytes<std::uint64_t>(text.size()) + std::string(text);
  }
  GgufWriter& pair(std::string_view key, std::uint32_t type, const std::string& value) {
    pairs_ += string(key) + raw_bytes(type) + value;
    ++pair_count_;
    return *this;
  }
  GgufWriter& text(std::string_view key, std::string_view value) {
    return pair(key, 8, string(value));
  }
  GgufWriter& u32(std::string_view key, std::uint32_t value) {
    return pair(key, 4, raw_bytes(value));
  }
  GgufWriter& f32(std::string_view key, float value) { return pair(key, 6, raw_bytes(value)); }
  GgufWriter& flag(std::string_view key, bool value) {
    return pair(key, 7, std::string(1, value ? '\1' : '\0'));
  }
  GgufWriter& texts(std::string_view key, const std::vector<std::string>& values) {
    std::string array = raw_bytes<std::uint32_t>(8) + raw_bytes<std::uint64_t>(values.size());
    for (const std::string& value : values) array += string(value);
    return pair(key, 9, array);
  }
  // `dims` as in the file: innermost first. The data is appended, padded to 32 bytes.
  GgufWriter& tensor(std::string_view name, std::uint32_t type,
                     const std::vector<std::uint64_t>& dims, const std::string& data) {
    infos_ += string(name) + raw_bytes<std::uint32_t>(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) infos_ += raw_bytes(dim);
    infos_ += raw_bytes(type) + raw_bytes<std::uint64_t>(data_.size());
    data_ += data;
    data_.resize((data_.size() + 31) / 32 * 32, '\0');
    ++tensor_count_;
    return *this;
  }
  std::string bytes(std::uint32_t version = 3) const {
    std::string out = "GGUF" + raw_bytes(version) + raw_bytes<std::uint64_t>(tensor_count_) +
                      raw_bytes<std::uint64_t>(pair_count_) + pairs_ + infos_;
    out.resize((out.size() + 31) / 32 * 32, '\0');
    return out + data_;
  }

 private:
  std::string pairs_, infos_, data_;
  std::uint64_t pair_count_ = 0, tensor_count_ = 0;
};

// A folder that disappears with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tessera-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::filesystem::path& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary).write(text.data(), static_cast<long>(text.size()));
    return file;
  }

 private:
  std::filesystem::path path_;
};

inline ::testing::AssertionResult contains(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << '"' << text << "\" lacks \"" << part << '"';
}

// The message of the Error that `action` throws, or a text that says it threw none.
template <class Action>
std::string error_message(const Action& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "(no error)";
}

}  // namespace tessera

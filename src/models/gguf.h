// Reader of GGUF v2 and v3 files (the ggml repository's docs/gguf.md): typed metadata and tensors,
// all of them views into the file's bytes.
//
// Everything is validated before it is stored, and nothing is allocated that is not backed by bytes
// of the file. Immutable after parse, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compute/tensor.h"

namespace tessera {

enum class GgufType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

// Elements stay in the file; strings are length-prefixed and already checked.
struct GgufArray {
  GgufType type = GgufType::kU8;
  std::uint64_t count = 0;
  std::span<const std::byte> bytes;
};

using GgufValue =
    std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, GgufArray>;

class Gguf {
 public:
  // `bytes`: the whole file, which must outlive the object. `name` is used in messages only.
  // Throws Error(kBadModelFile) naming file, key or tensor and value; Error(kUnsupportedModel) for
  // a known tensor type that compute/ cannot read.
  static Gguf parse(std::span<const std::byte> bytes, std::string name);

  const std::string& name() const { return name_; }
  std::uint32_t version() const { return version_; }
  const std::map<std::string_view, GgufValue>& metadata() const { return metadata_; }
  const std::map<std::string_view, RawTensor>& tensors() const { return tensors_; }

  // Metadata by key. Absent: nullopt. Present with a type that does not convert without loss:
  // Error(kBadModelFile) naming key, type and the type wanted. Integers of every width, and floats
  // of both, are interchangeable.
  bool has(std::string_view key) const { return metadata_.contains(key); }
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;  // floats and integers
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::vector<std::string>> texts(std::string_view key) const;
  std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;
  std::optional<std::vector<float>> numbers(std::string_view key) const;

  // A key that may be one integer or an array with one per layer: accepted when all are equal.
  std::optional<std::int64_t> uniform_integer(std::string_view key) const;

 private:
  friend class GgufParser;
  std::string name_;
  std::uint32_t version_ = 0;
  std::map<std::string_view, GgufValue> metadata_;
  std::map<std::string_view, RawTensor> tensors_;
};

}  // namespace tessera

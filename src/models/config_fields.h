// config.json and its neighbours, read with the file's and the key's name in every error.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tessera {

constexpr std::int64_t kMaxDimension = 1 << 24;
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxExperts = 1024;
constexpr std::int64_t kMaxTokenId = std::numeric_limits<std::int32_t>::max();

// An object of a side file. Missing and null are the same; numbers may be written as floats.
// Errors are kBadModelFile, or kUnsupportedModel for what is well-formed but cannot be run.
class Fields {
 public:
  Fields(const boost::json::object& object, std::string file, std::string prefix = {})
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

  [[noreturn]] void fail(std::string_view key, const std::string& what,
                         ErrorKind kind = ErrorKind::kBadModelFile) const;
  [[noreturn]] void unsupported(std::string_view key, const std::string& what) const {
    fail(key, what, ErrorKind::kUnsupportedModel);
  }
  [[noreturn]] void wrong(std::string_view key, const boost::json::value& got,
                          std::string_view wanted) const;

  const boost::json::value* find(std::string_view key) const;  // nullptr: missing or null
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // True when the key is written down, even as null.
  bool mentions(std::string_view key) const { return object_.contains(key); }

  std::optional<double> number(std::string_view key) const;  // finite
  double positive(std::string_view key, double otherwise) const;
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::int64_t as_integer(std::string_view key, const boost::json::value& value) const;
  // A size: lowest … highest. Without `otherwise` the key must be there.
  int size(std::string_view key, std::optional<std::int64_t> otherwise = std::nullopt,
           std::int64_t highest = kMaxDimension, std::int64_t lowest = 1) const;
  bool boolean(std::string_view key, bool otherwise) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<Fields> object(std::string_view key) const;
  const boost::json::object& raw() const { return object_; }

  // Adds the ids of a key that holds nothing, an integer or a list of integers.
  void collect_ids(std::string_view key, std::vector<std::int32_t>& ids) const;

 private:
  const boost::json::object& object_;
  std::string file_, prefix_;
};

// A side file that must be an object, kept alive beside its Fields.
struct JsonObjectFile {
  boost::json::value root;
  std::string file;
  Fields fields() const;
};

// nullopt when there is no such file.
std::optional<JsonObjectFile> read_object(const std::filesystem::path& file);

}  // namespace tessera

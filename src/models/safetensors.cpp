#include "models/safetensors.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace tessera {

namespace {

namespace json = boost::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxTensors = 1 << 20;
constexpr std::size_t kMaxRank = 8;
constexpr std::size_t kMaxNameBytes = 4096;

struct StoredType {
  std::string_view name;
  int bits;
  std::optional<DType> dtype;  // absent: well-formed, but nothing in Tessera reads it
};

constexpr StoredType kStoredTypes[] = {
    {"F32", 32, DType::kF32},
    {"F16", 16, DType::kF16},
    {"BF16", 16, DType::kBF16},
    {"F64", 64, DType::kF64},
    {"F8_E4M3", 8, DType::kF8E4M3},
    {"I8", 8, DType::kI8},
    {"U8", 8, DType::kU8},
    {"I16", 16, DType::kI16},
    {"I32", 32, DType::kI32},
    {"I64", 64, DType::kI64},
    {"BOOL", 8, DType::kBool},
    {"U16", 16, std::nullopt},
    {"U32", 32, std::nullopt},
    {"U64", 64, std::nullopt},
    {"F8_E5M2", 8, std::nullopt},
    {"F8_E8M0", 8, std::nullopt},
    {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F8_E5M2FNUZ", 8, std::nullopt},
    {"C64", 64, std::nullopt},
    {"F4", 4, std::nullopt},
    {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},
};

// One entry of the header while its fields come in.
struct Entry {
  std::string name;
  const StoredType* type = nullptr;
  std::vector<std::int64_t> shape;
  std::vector<std::uint64_t> offsets;
  bool has_shape = false, has_offsets = false;
};

// Receives the JSON events of the header. boost::json's own tree would keep the last of two equal
// keys in silence, and build values for fields of the wrong type first.
class Handler {
 public:
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();

  Handler(std::string_view file, SafetensorsFile& out) : file_(file), out_(out) {}

  std::vector<Entry> entries;

  [[noreturn]] void fail(const std::string& what) const {
    std::string where(file_);
    if (!top_key_.empty()) where += ": tensor " + quote_for_message(top_key_);
    throw Error(ErrorKind::kBadModelFile, where + ": " + what);
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }

  bool on_object_begin(json::error_code&) {
    if (depth_ == 2) wrong("an object");
    if (depth_ == 1) begin_entry();
    ++depth_;
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    if (--depth_ == 1) end_entry();
    return true;
  }
  bool on_array_begin(json::error_code&) {
    if (depth_ == 0) fail("the header is an array, wanted an object");
    if (depth_ == 1) fail("is an array, wanted an object");
    if (in_array_ || (field_ != "shape" && field_ != "data_offsets")) wrong("an array");
    in_array_ = true;
    return true;
  }
  bool on_array_end(std::size_t, json::error_code&) {
    in_array_ = false;
    (field_ == "shape" ? entry_.has_shape : entry_.has_offsets) = true;
    return true;
  }

  bool on_key_part(json::string_view text, std::size_t size, json::error_code&) {
    if (size > kMaxNameBytes) {
      fail("a key is longer than " + std::to_string(kMaxNameBytes) + " bytes");
    }
    key_.append(text.data(), text.size());
    return true;
  }
  bool on_key(json::string_view text, std::size_t size, json::error_code& ec) {
    on_key_part(text, size, ec);
    if (depth_ == 1) {
      top_key_ = std::move(key_);
    } else {
      field_ = std::move(key_);
    }
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view text, std::size_t, json::error_code&) {
    string_.append(text.data(), text.size());
    return true;
  }
  bool on_string(json::string_view text, std::size_t, json::error_code&) {
    string_.append(text.data(), text.size());
    if (depth_ == 0) fail("the header is a string, wanted an object");
    if (depth_ == 1) fail("is a string, wanted an object");
    if (in_metadata_) {
      if (!out_.metadata.emplace(field_, std::move(string_)).second) {
        fail("key " + quote_for_message(field_) + " appears twice");
      }
    } else if (field_ == "dtype" && !in_array_) {
      if (entry_.type != nullptr) fail("field 'dtype' appears twice");
      const auto* type =
          std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes),
                       [&](const StoredType& candidate) { return candidate.name == string_; });
      if (type == std::end(kStoredTypes)) fail("unknown dtype " + quote_for_message(string_));
      entry_.type = type;
    } else {
      wrong("a string");
    }
    string_.clear();
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) {
    if (value < 0) wrong("the negative number " + std::to_string(value));
    return number(static_cast<std::uint64_t>(value));
  }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) {
    return number(value);
  }
  bool on_double(double, json::string_view text, json::error_code&) {
    wrong("the number " + quote_for_message(std::string_view(text.data(), text.size())) +
          ", which is not an integer of 64 bits");
  }
  bool on_bool(bool, json::error_code&) { wrong("a boolean"); }
  bool on_null(json::error_code&) { wrong("null"); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  [[noreturn]] void wrong(const std::string& got) const {
    if (depth_ == 0) fail("the header is " + got + ", wanted an object");
    if (depth_ == 1) fail("is " + got + ", wanted an object");
    if (in_metadata_)
      fail("value of " + quote_for_message(field_) + " is " + got + ", wanted a string");
    std::string wanted = "no such field";
    if (field_ == "dtype") wanted = "wanted a string";
    if (field_ == "shape") wanted = "wanted an array of non-negative integers";
    if (field_ == "data_offsets") wanted = "wanted an array of two non-negative integers";
    fail("field " + quote_for_message(field_) + " is or holds " + got + "; " + wanted);
  }

  bool number(std::uint64_t value) {
    if (!in_array_) wrong("the number " + std::to_string(value));
    if (field_ == "shape") {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        wrong("the dimension " + std::to_string(value));
      }
      if (entry_.has_shape) fail("field 'shape' appears twice");
      if (entry_.shape.size() == kMaxRank) {
        fail("has more than " + std::to_string(kMaxRank) + " dimensions");
      }
      entry_.shape.push_back(static_cast<std::int64_t>(value));
    } else {
      if (entry_.has_offsets) fail("field 'data_offsets' appears twice");
      if (entry_.offsets.size() == 2) fail("field 'data_offsets' has more than two numbers");
      entry_.offsets.push_back(value);
    }
    return true;
  }

  void begin_entry() {
    in_metadata_ = top_key_ == "__metadata__";
    if (in_metadata_ && std::exchange(has_metadata_, true)) fail("appears twice");
    entry_ = Entry{top_key_};
  }

  void end_entry() {
    if (!std::exchange(in_metadata_, false)) {
      if (entry_.type == nullptr) fail("field 'dtype' is missing");
      if (!entry_.has_shape) fail("field 'shape' is missing");
      if (!entry_.has_offsets || entry_.offsets.size() != 2) {
        fail("field 'data_offsets' must hold two numbers");
      }
      if (entries.size() == kMaxTensors) {
        fail("the file has more than " + std::to_string(kMaxTensors) + " tensors");
      }
      entries.push_back(std::move(entry_));
    }
    top_key_.clear();
  }

  std::string_view file_;
  SafetensorsFile& out_;
  int depth_ = 0;  // 0: before the header object, 1: its keys, 2: fields of one entry
  bool in_array_ = false, in_metadata_ = false, has_metadata_ = false;
  std::string key_, top_key_, field_, string_;
  Entry entry_;
};

// Bytes of the tensor, or nullopt when they overflow 63 bits or are no whole number.
std::optional<std::uint64_t> stored_bytes(const Entry& entry) {
  std::uint64_t bits = static_cast<std::uint64_t>(entry.type->bits);
  for (const std::int64_t dimension : entry.shape) {
    if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(dimension), &bits)) return {};
  }
  if (bits % 8 != 0) return {};
  return bits / 8;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(dimension);
  }
  return text + "]";
}

}  // namespace

SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, std::string_view name) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kBadModelFile, std::string(name) + ": " + what);
  };
  if (bytes.size() < 8) {
    fail("has " + std::to_string(bytes.size()) + " bytes; a safetensors file has at least 8");
  }
  std::uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes) {
    fail("header length " + std::to_string(header_bytes) + " exceeds " +
         std::to_string(kMaxHeaderBytes));
  }
  if (header_bytes > bytes.size() - 8) {
    fail("header length " + std::to_string(header_bytes) + " exceeds the file of " +
         std::to_string(bytes.size()) + " bytes; is the download complete?");
  }
  const char* header = reinterpret_cast<const char*>(bytes.data()) + 8;
  if (header_bytes == 0 || header[0] != '{') fail("the header does not begin with '{'");

  SafetensorsFile result;
  json::parse_options options;
  options.max_depth = 4;  // one object of objects of arrays; deeper is refused below anyway
  json::basic_parser<Handler> parser(options, name, result);
  json::error_code error;
  const std::size_t used =
      parser.write_some(false, header, static_cast<std::size_t>(header_bytes), error);
  if (error) {
    fail("the header is not valid JSON at byte " + std::to_string(8 + used) + ": " +
         error.message());
  }
  for (std::size_t i = used; i < header_bytes; ++i) {
    if (header[i] != ' ' && header[i] != '\n' && header[i] != '\r' && header[i] != '\t') {
      fail("something follows the header object at byte " + std::to_string(8 + i));
    }
  }

  auto& entries = parser.handler().entries;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.offsets < b.offsets;  // ties only between empty tensors
  });
  const std::span<const std::byte> buffer = bytes.subspan(8 + header_bytes);
  std::uint64_t end = 0;
  for (Entry& entry : entries) {
    const auto fail_tensor = [&](const std::string& what) {
      fail("tensor " + quote_for_message(entry.name) + ": " + what);
    };
    const std::uint64_t first = entry.offsets[0], last = entry.offsets[1];
    const std::string range = "[" + std::to_string(first) + ", " + std::to_string(last) + "]";
    if (last < first) fail_tensor("data_offsets " + range + " are reversed");
    if (last > buffer.size()) {
      fail_tensor("data_offsets " + range + " exceed the data of " + std::to_string(buffer.size()) +
                  " bytes; is the download complete?");
    }
    if (first != end) {
      fail_tensor("data_offsets " + range + " leave a hole or overlap: the tensor before ends at " +
                  std::to_string(end));
    }
    end = last;
    const std::optional<std::uint64_t> wanted = stored_bytes(entry);
    if (!wanted || *wanted != last - first) {
      fail_tensor("data_offsets " + range + " do not fit shape " + shape_text(entry.shape) +
                  " of type " + std::string(entry.type->name));
    }
    bool added;
    if (entry.type->dtype) {
      added = !result.unknown_types.contains(entry.name) &&
              result.tensors
                  .try_emplace(entry.name, RawTensor{*entry.type->dtype, std::move(entry.shape),
                                                     buffer.data() + first})
                  .second;
    } else {
      added = !result.tensors.contains(entry.name) &&
              result.unknown_types.try_emplace(entry.name, entry.type->name).second;
    }
    if (!added) fail_tensor("appears twice");
  }
  if (end != buffer.size()) {
    fail("the tensors end at byte " + std::to_string(end) + " of the data, which has " +
         std::to_string(buffer.size()));
  }
  return result;
}

}  // namespace tessera

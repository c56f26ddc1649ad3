#include "models/gguf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/strings.h"

namespace tessera {

namespace {

constexpr std::uint64_t kMaxStringBytes = 1ull << 30;
constexpr std::uint64_t kMaxArrayCount = 1ull << 30;
constexpr std::uint64_t kMaxDimension = 1ull << 40;
constexpr std::uint64_t kMaxTensorNameBytes = 63;
constexpr std::uint32_t kMaxRank = 4;

constexpr std::string_view kTypeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                           "bool", "string", "array", "u64", "i64", "f64"};
// Bytes of one value; of strings and arrays the least they can take.
constexpr std::uint64_t kTypeBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

std::string_view type_name(GgufType type) { return kTypeNames[static_cast<std::uint32_t>(type)]; }
std::uint64_t type_bytes(GgufType type) { return kTypeBytes[static_cast<std::uint32_t>(type)]; }

struct TensorType {
  std::uint32_t id;
  std::string_view name;
  std::optional<DType> dtype;  // absent: exists, but compute/ cannot read it
};

// Ids of ggml. 4, 5, 31-33 and 36-38 were removed from the format.
constexpr TensorType kTensorTypes[] = {
    {0, "F32", DType::kF32},        {1, "F16", DType::kF16},       {2, "Q4_0", DType::kQ4_0},
    {3, "Q4_1", DType::kQ4_1},      {6, "Q5_0", DType::kQ5_0},     {7, "Q5_1", DType::kQ5_1},
    {8, "Q8_0", DType::kQ8_0},      {9, "Q8_1", std::nullopt},     {10, "Q2_K", DType::kQ2_K},
    {11, "Q3_K", DType::kQ3_K},     {12, "Q4_K", DType::kQ4_K},    {13, "Q5_K", DType::kQ5_K},
    {14, "Q6_K", DType::kQ6_K},     {15, "Q8_K", std::nullopt},    {16, "IQ2_XXS", std::nullopt},
    {17, "IQ2_XS", std::nullopt},   {18, "IQ3_XXS", std::nullopt}, {19, "IQ1_S", std::nullopt},
    {20, "IQ4_NL", DType::kIQ4_NL}, {21, "IQ3_S", std::nullopt},   {22, "IQ2_S", std::nullopt},
    {23, "IQ4_XS", DType::kIQ4_XS}, {24, "I8", DType::kI8},        {25, "I16", DType::kI16},
    {26, "I32", DType::kI32},       {27, "I64", DType::kI64},      {28, "F64", DType::kF64},
    {29, "IQ1_M", std::nullopt},    {30, "BF16", DType::kBF16},    {34, "TQ1_0", std::nullopt},
    {35, "TQ2_0", std::nullopt},    {39, "MXFP4", std::nullopt},   {40, "NVFP4", std::nullopt},
};

template <class T>
T read_at(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// A scalar of the file as the widest of its kind.
GgufValue read_scalar(GgufType type, const std::byte* p) {
  switch (type) {
    case GgufType::kU8:
      return std::uint64_t{read_at<std::uint8_t>(p)};
    case GgufType::kI8:
      return std::int64_t{read_at<std::int8_t>(p)};
    case GgufType::kU16:
      return std::uint64_t{read_at<std::uint16_t>(p)};
    case GgufType::kI16:
      return std::int64_t{read_at<std::int16_t>(p)};
    case GgufType::kU32:
      return std::uint64_t{read_at<std::uint32_t>(p)};
    case GgufType::kI32:
      return std::int64_t{read_at<std::int32_t>(p)};
    case GgufType::kF32:
      return double{read_at<float>(p)};
    case GgufType::kBool:
      return read_at<std::uint8_t>(p) != 0;
    case GgufType::kU64:
      return read_at<std::uint64_t>(p);
    case GgufType::kI64:
      return read_at<std::int64_t>(p);
    case GgufType::kF64:
      return read_at<double>(p);
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return false;  // unreachable: callers exclude strings and arrays
}

std::string describe(const GgufValue& value) {
  struct Visitor {
    std::string operator()(std::uint64_t v) const { return "the integer " + std::to_string(v); }
    std::string operator()(std::int64_t v) const { return "the integer " + std::to_string(v); }
    std::string operator()(double v) const { return "the number " + std::to_string(v); }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::string_view v) const {
      return "the string " + quote_for_message(v);
    }
    std::string operator()(const GgufArray& v) const {
      return "an array of " + std::to_string(v.count) + " " + std::string(type_name(v.type));
    }
  };
  return std::visit(Visitor{}, value);
}

std::optional<std::int64_t> as_integer(const GgufValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return *i;
  if (const auto* u = std::get_if<std::uint64_t>(&value)) {
    if (*u <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return static_cast<std::int64_t>(*u);
    }
  }
  return std::nullopt;
}

std::optional<double> as_number(const GgufValue& value) {
  if (const auto* d = std::get_if<double>(&value)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  if (const auto* u = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*u);
  return std::nullopt;
}

}  // namespace

class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, std::string name) : bytes_(bytes) {
    gguf_.name_ = std::move(name);
  }

  Gguf parse() {
    const std::uint64_t tensors = read_header();
    for (std::uint64_t i = 0; i < pairs_; ++i) read_pair();
    const std::uint64_t alignment = read_alignment();
    std::vector<Info> infos;
    for (std::uint64_t i = 0; i < tensors; ++i) infos.push_back(read_info(alignment));
    place(infos, alignment);
    return std::move(gguf_);
  }

 private:
  struct Info {
    std::string_view name;
    RawTensor tensor;
    std::uint64_t offset, bytes;
  };

  [[noreturn]] void fail(const std::string& what) const {
    std::string where = gguf_.name_;
    if (!subject_.empty()) where += ": " + subject_;
    throw Error(ErrorKind::kBadModelFile, where + ": " + what);
  }

  std::uint64_t remaining() const { return bytes_.size() - position_; }

  const std::byte* take(std::uint64_t count) {
    if (count > remaining()) {
      fail("the file ends at byte " + std::to_string(bytes_.size()) + ", " + std::to_string(count) +
           " bytes were wanted at " + std::to_string(position_) + "; is the download complete?");
    }
    const std::byte* at = bytes_.data() + position_;
    position_ += count;
    return at;
  }

  template <class T>
  T take() {
    return read_at<T>(take(sizeof(T)));
  }

  std::string_view take_string() {
    const auto length = take<std::uint64_t>();
    if (length > kMaxStringBytes || length > remaining()) {
      fail("string length " + std::to_string(length) + " exceeds the " +
           std::to_string(remaining()) + " bytes left in the file");
    }
    return {reinterpret_cast<const char*>(take(length)), static_cast<std::size_t>(length)};
  }

  GgufType take_type() {
    const auto type = take<std::uint32_t>();
    if (type >= std::size(kTypeNames)) fail("unknown value type " + std::to_string(type));
    return static_cast<GgufType>(type);
  }

  std::uint64_t read_header() {
    if (bytes_.size() < 24) {
      fail("has " + std::to_string(bytes_.size()) + " bytes; a GGUF file has at least 24");
    }
    if (std::memcmp(take(4), "GGUF", 4) != 0) fail("does not begin with 'GGUF'");
    const auto version = take<std::uint32_t>();
    if ((version & 0xffffu) == 0) fail("is a big-endian GGUF file; little-endian ones are read");
    if (version != 2 && version != 3) {
      fail("GGUF version " + std::to_string(version) + "; versions 2 and 3 are read");
    }
    gguf_.version_ = version;
    const auto tensors = take<std::uint64_t>();
    pairs_ = take<std::uint64_t>();
    // The least a pair takes: key length and one byte, type, one byte of value. The least a tensor
    // takes: name length and one byte, rank, type, offset.
    if (pairs_ > remaining() / 14) {
      fail("key count " + std::to_string(pairs_) + " cannot fit the file");
    }
    if (tensors > remaining() / 25) {
      fail("tensor count " + std::to_string(tensors) + " cannot fit the file");
    }
    return tensors;
  }

  void read_pair() {
    subject_ = "metadata";
    const std::string_view key = take_string();
    if (key.empty()) fail("a key is empty");
    subject_ = "key " + quote_for_message(key);
    const GgufType type = take_type();
    GgufValue value;
    if (type == GgufType::kString) {
      value = take_string();
    } else if (type == GgufType::kArray) {
      value = take_array();
    } else {
      value = read_scalar(type, take(type_bytes(type)));
    }
    if (!gguf_.metadata_.emplace(key, value).second) fail("appears twice");
    subject_.clear();
  }

  GgufArray take_array() {
    GgufArray array;
    array.type = take_type();
    array.count = take<std::uint64_t>();
    if (array.type == GgufType::kArray) fail("arrays of arrays are not read");
    if (array.count > kMaxArrayCount || array.count > remaining() / type_bytes(array.type)) {
      fail("array count " + std::to_string(array.count) + " exceeds the " +
           std::to_string(remaining()) + " bytes left in the file");
    }
    const std::uint64_t begin = position_;
    if (array.type == GgufType::kString) {
      for (std::uint64_t i = 0; i < array.count; ++i) take_string();
    } else {
      take(array.count * type_bytes(array.type));
    }
    array.bytes = bytes_.subspan(begin, position_ - begin);
    return array;
  }

  std::uint64_t read_alignment() const {
    const auto value = gguf_.integer("general.alignment");
    if (!value) return 32;
    if (*value <= 0 || (*value & (*value - 1)) != 0 || *value > (1 << 30)) {
      fail("key 'general.alignment' is " + std::to_string(*value) + ", wanted a power of two");
    }
    return static_cast<std::uint64_t>(*value);
  }

  Info read_info(std::uint64_t alignment) {
    subject_ = "tensor table";
    const std::string_view name = take_string();
    if (name.empty() || name.size() > kMaxTensorNameBytes) {
      fail("tensor name " + quote_for_message(name) + " has " + std::to_string(name.size()) +
           " bytes, wanted 1 to " + std::to_string(kMaxTensorNameBytes));
    }
    subject_ = "tensor " + quote_for_message(name);
    const auto rank = take<std::uint32_t>();
    if (rank > kMaxRank) fail("has " + std::to_string(rank) + " dimensions, at most 4 are allowed");
    Info info{name, {}, 0, 0};
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < rank; ++d) {
      const auto dimension = take<std::uint64_t>();
      if (dimension == 0 || dimension > kMaxDimension) {
        fail("dimension " + std::to_string(d) + " is " + std::to_string(dimension) +
             ", wanted 1 to 2^40");
      }
      if (__builtin_mul_overflow(elements, dimension, &elements) ||
          elements > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 16) {
        fail("the product of the dimensions is too large");
      }
      info.tensor.shape.push_back(static_cast<std::int64_t>(dimension));
    }
    // The file lists the contiguous dimension first, RawTensor last.
    const std::uint64_t row = rank == 0 ? 1 : static_cast<std::uint64_t>(info.tensor.shape[0]);
    std::reverse(info.tensor.shape.begin(), info.tensor.shape.end());

    const auto type_id = take<std::uint32_t>();
    const auto* type = std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes),
                                    [&](const TensorType& t) { return t.id == type_id; });
    if (type == std::end(kTensorTypes)) fail("unknown type id " + std::to_string(type_id));
    if (!type->dtype) {
      throw Error(ErrorKind::kUnsupportedModel,
                  gguf_.name_ + ": " + subject_ + ": type " + std::string(type->name) +
                      " is not supported; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, "
                      "Q5_K and Q6_K are");
    }
    info.tensor.dtype = *type->dtype;
    const DTypeInfo& dtype = dtype_info(*type->dtype);
    const auto block = static_cast<std::uint64_t>(dtype.block_elements);
    if (row % block != 0) {
      fail("rows of " + std::to_string(row) + " elements do not divide into blocks of " +
           std::to_string(block) + " (" + std::string(type->name) + ")");
    }
    info.bytes = elements / block * static_cast<std::uint64_t>(dtype.block_bytes);
    info.offset = take<std::uint64_t>();
    if (info.offset % alignment != 0) {
      fail("offset " + std::to_string(info.offset) + " is not a multiple of the alignment " +
           std::to_string(alignment));
    }
    subject_.clear();
    return info;
  }

  void place(std::vector<Info>& infos, std::uint64_t alignment) {
    const std::uint64_t data = (position_ + alignment - 1) / alignment * alignment;
    const std::uint64_t available = data < bytes_.size() ? bytes_.size() - data : 0;
    std::sort(infos.begin(), infos.end(),
              [](const Info& a, const Info& b) { return a.offset < b.offset; });
    std::uint64_t end = 0;
    for (Info& info : infos) {
      subject_ = "tensor " + quote_for_message(info.name);
      if (info.offset < end) {
        fail("offset " + std::to_string(info.offset) +
             " overlaps the tensor before, which ends at " + std::to_string(end));
      }
      if (info.offset > available || info.bytes > available - info.offset) {
        fail(std::to_string(info.bytes) + " bytes at offset " + std::to_string(info.offset) +
             " exceed the data of " + std::to_string(available) +
             " bytes; is the download complete?");
      }
      end = info.offset + info.bytes;
      info.tensor.data = bytes_.data() + data + info.offset;
      if (!gguf_.tensors_.emplace(info.name, std::move(info.tensor)).second) fail("appears twice");
    }
    subject_.clear();
  }

  std::span<const std::byte> bytes_;
  std::uint64_t position_ = 0;
  std::uint64_t pairs_ = 0;
  std::string subject_;  // what is being read, for messages
  Gguf gguf_;
};

Gguf Gguf::parse(std::span<const std::byte> bytes, std::string name) {
  return GgufParser(bytes, std::move(name)).parse();
}

namespace {

[[noreturn]] void wrong_type(const Gguf& gguf, std::string_view key, const GgufValue& value,
                             std::string_view wanted) {
  throw Error(ErrorKind::kBadModelFile, gguf.name() + ": key " + quote_for_message(key) + " is " +
                                            describe(value) + ", wanted " + std::string(wanted));
}

const GgufValue* lookup(const Gguf& gguf, std::string_view key) {
  const auto found = gguf.metadata().find(key);
  return found == gguf.metadata().end() ? nullptr : &found->second;
}

const GgufArray* lookup_array(const Gguf& gguf, std::string_view key, std::string_view wanted) {
  const GgufValue* value = lookup(gguf, key);
  if (value == nullptr) return nullptr;
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr) wrong_type(gguf, key, *value, wanted);
  return array;
}

// Elements of a numeric array, converted one by one.
template <class T, class Convert>
std::optional<std::vector<T>> convert_array(const Gguf& gguf, std::string_view key,
                                            std::string_view wanted, Convert convert) {
  const GgufArray* array = lookup_array(gguf, key, wanted);
  if (array == nullptr) return std::nullopt;
  if (array->type == GgufType::kString) wrong_type(gguf, key, *array, wanted);
  std::vector<T> out;
  out.reserve(array->count);
  const std::uint64_t size = type_bytes(array->type);
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto element = convert(read_scalar(array->type, array->bytes.data() + i * size));
    if (!element) wrong_type(gguf, key, *array, wanted);
    out.push_back(static_cast<T>(*element));
  }
  return out;
}

}  // namespace

std::optional<std::string_view> Gguf::text(std::string_view key) const {
  const GgufValue* value = lookup(*this, key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string_view>(value)) return *text;
  wrong_type(*this, key, *value, "a string");
}

std::optional<std::int64_t> Gguf::integer(std::string_view key) const {
  const GgufValue* value = lookup(*this, key);
  if (value == nullptr) return std::nullopt;
  if (const auto integer = as_integer(*value)) return integer;
  wrong_type(*this, key, *value, "an integer");
}

std::optional<double> Gguf::number(std::string_view key) const {
  const GgufValue* value = lookup(*this, key);
  if (value == nullptr) return std::nullopt;
  if (const auto number = as_number(*value)) return number;
  wrong_type(*this, key, *value, "a number");
}

std::optional<bool> Gguf::boolean(std::string_view key) const {
  const GgufValue* value = lookup(*this, key);
  if (value == nullptr) return std::nullopt;
  if (const auto* boolean = std::get_if<bool>(value)) return *boolean;
  if (const auto integer = as_integer(*value)) return *integer != 0;
  wrong_type(*this, key, *value, "a boolean");
}

std::optional<std::vector<std::string>> Gguf::texts(std::string_view key) const {
  const GgufArray* array = lookup_array(*this, key, "an array of strings");
  if (array == nullptr) return std::nullopt;
  if (array->type != GgufType::kString) wrong_type(*this, key, *array, "an array of strings");
  std::vector<std::string> out;
  out.reserve(array->count);
  const std::byte* at = array->bytes.data();
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto length = read_at<std::uint64_t>(at);
    out.emplace_back(reinterpret_cast<const char*>(at + 8), static_cast<std::size_t>(length));
    at += 8 + length;
  }
  return out;
}

std::optional<std::vector<std::int64_t>> Gguf::integers(std::string_view key) const {
  return convert_array<std::int64_t>(*this, key, "an array of integers", as_integer);
}

std::optional<std::vector<float>> Gguf::numbers(std::string_view key) const {
  return convert_array<float>(*this, key, "an array of numbers", as_number);
}

std::optional<std::int64_t> Gguf::uniform_integer(std::string_view key) const {
  const GgufValue* value = lookup(*this, key);
  if (value == nullptr || !std::holds_alternative<GgufArray>(*value)) return integer(key);
  const auto values = integers(key);
  if (values->empty()) wrong_type(*this, key, *value, "an integer, or one per layer");
  for (const std::int64_t element : *values) {
    if (element != values->front()) {
      throw Error(ErrorKind::kUnsupportedModel,
                  name_ + ": key " + quote_for_message(key) + " differs between layers (" +
                      std::to_string(values->front()) + ", " + std::to_string(element) +
                      "), which is not supported");
    }
  }
  return values->front();
}

}  // namespace tessera

#include "text/protobuf_reader.h"

#include <bit>
#include <string>

#include "base/error.h"

namespace tessera {

void ProtobufReader::bad(std::string_view what) const {
  throw Error(ErrorKind::kBadModelFile, std::string(name_) + ": " + std::string(what) +
                                            " at byte " + std::to_string(at_) +
                                            "; this is no protocol-buffers message of its kind.");
}

std::uint64_t ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ >= message_.size()) bad("the message ends inside a number");
    const auto byte = static_cast<unsigned char>(message_[at_++]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  bad("a number is longer than ten bytes");
}

std::uint64_t ProtobufReader::fixed(std::size_t bytes) {
  if (message_.size() - at_ < bytes) bad("the message ends inside a number");
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(message_[at_++])) << (8 * i);
  }
  return value;
}

bool ProtobufReader::next(Field& field) {
  if (at_ >= message_.size()) return false;
  const std::uint64_t tag = varint();
  if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) bad("a field has no possible number");
  field = {};
  field.number = static_cast<std::uint32_t>(tag >> 3);
  switch (tag & 7) {
    case Field::kVarint:
      field.wire = Field::kVarint;
      field.value = varint();
      return true;
    case Field::kFixed64:
      field.wire = Field::kFixed64;
      field.value = fixed(8);
      return true;
    case Field::kBytes: {
      field.wire = Field::kBytes;
      const std::uint64_t length = varint();
      if (length > message_.size() - at_) bad("a field is longer than the message");
      field.bytes = message_.substr(at_, length);
      at_ += length;
      return true;
    }
    case Field::kFixed32:
      field.wire = Field::kFixed32;
      field.value = fixed(4);
      return true;
    default:
      bad("a field has the wire type " + std::to_string(tag & 7));
  }
}

void ProtobufReader::expect(const Field& field, Field::Wire wire) const {
  if (field.wire != wire) {
    bad("field " + std::to_string(field.number) + " has the wire type " +
        std::to_string(field.wire) + " instead of " + std::to_string(wire));
  }
}

std::string_view ProtobufReader::as_bytes(const Field& field) const {
  expect(field, Field::kBytes);
  return field.bytes;
}

std::int32_t ProtobufReader::as_int32(const Field& field) const {
  expect(field, Field::kVarint);
  return static_cast<std::int32_t>(field.value);  // negative numbers come as 64 bits
}

bool ProtobufReader::as_bool(const Field& field) const {
  expect(field, Field::kVarint);
  return field.value != 0;
}

float ProtobufReader::as_float(const Field& field) const {
  expect(field, Field::kFixed32);
  return std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
}

}  // namespace tessera

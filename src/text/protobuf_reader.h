// Fields of a protocol-buffers message, one after the other
// (https://protobuf.dev/programming-guides/encoding/). Checks every length against the message, so
// that foreign bytes give an Error and nothing worse.
#pragma once

#include <cstdint>
#include <string_view>

namespace tessera {

class ProtobufReader {
 public:
  struct Field {
    std::uint32_t number = 0;
    enum Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 } wire = kVarint;
    std::uint64_t value = 0;  // of a number, its raw bits
    std::string_view bytes;   // of kBytes; points into the message
  };

  // `name` of the message for errors ("tokenizer.model"); both views must outlive the reader.
  ProtobufReader(std::string_view message, std::string_view name)
      : message_(message), name_(name) {}

  // False at the end of the message. Throws Error(kBadModelFile) naming the message and the byte.
  bool next(Field& field);

  // The field as what its schema says; Error(kBadModelFile) when the wire type is another.
  std::string_view as_bytes(const Field& field) const;
  std::int32_t as_int32(const Field& field) const;
  bool as_bool(const Field& field) const;
  float as_float(const Field& field) const;

 private:
  [[noreturn]] void bad(std::string_view what) const;
  std::uint64_t varint();
  std::uint64_t fixed(std::size_t bytes);
  void expect(const Field& field, Field::Wire wire) const;

  std::string_view message_, name_;
  std::size_t at_ = 0;
};

}  // namespace tessera

#include "http/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <new>

#include "base/error.h"

namespace tessera::http {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for the gzip format

}  // namespace

std::string gunzip(std::string_view compressed, std::size_t max_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
  std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string out;
  for (;;) {
    constexpr std::size_t kStep = 64u << 10;
    std::size_t before = out.size();
    // One byte beyond the cap tells "too large" from "just fits".
    out.resize(before + std::min(kStep, max_bytes + 1 - before));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = static_cast<uInt>(out.size() - before);
    int result = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (out.size() > max_bytes) {
      throw Error(ErrorKind::kPayloadTooLarge, "The request body is larger than " +
                                                   std::to_string(max_bytes) +
                                                   " bytes after decompression.");
    }
    if (result == Z_STREAM_END) {
      if (stream.avail_in == 0) return out;
      result = inflateReset(&stream);  // another member follows (RFC 1952, 2.2)
    }
    bool stuck = result == Z_BUF_ERROR && stream.avail_in == 0;
    if ((result != Z_OK && result != Z_BUF_ERROR) || stuck) {
      Error error(ErrorKind::kBadJson, "Bad request: the gzip body is damaged or cut off");
      error.code = "bad_http_request";
      throw error;
    }
  }
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  std::unique_ptr<z_stream, decltype(&deflateEnd)> guard(&stream, deflateEnd);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  return out;
}

}  // namespace tessera::http

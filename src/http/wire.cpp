#include "http/wire.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/byte_scan.h"
#include "base/error.h"
#include "base/strings.h"

namespace tessera::http {
namespace {

constexpr std::size_t kMaxChunkLine = 16u << 10;

enum class Side { kRequest, kResponse };

[[noreturn]] void refuse(Side side, std::string_view reason) {
  if (side == Side::kResponse) {
    throw Error(ErrorKind::kUpstreamBadGateway,
                "The upstream sent an invalid HTTP response: " + std::string(reason));
  }
  Error error(ErrorKind::kBadJson, "Bad request: " + std::string(reason));
  error.code = "bad_http_request";
  throw error;
}

// RFC 9110, 5.6.2.
constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto kTokenChar = make_token_table();

bool is_token(std::string_view text) {
  for (char c : text) {
    if (!kTokenChar[static_cast<unsigned char>(c)]) return false;
  }
  return !text.empty();
}

// Of the control characters.
bool only_tabs(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return is_control(c) && c != '\t'; });
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The line at the start of `head` without its CRLF, removed from it.
std::string_view take_line(std::string_view& head) {
  std::size_t end = head.find("\r\n");
  std::string_view line = head.substr(0, end);
  head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
  return line;
}

int parse_version(std::string_view text, Side side) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  refuse(side, "only HTTP/1.0 and HTTP/1.1 are spoken here");
}

bool has_token(std::string_view list, std::string_view token) {
  for (std::string_view part : split(list, ',')) {
    if (iequals(trim_blanks(part), token)) return true;
  }
  return false;
}

void read_content_length(std::string_view value, MessageHead& head, Side side) {
  constexpr std::size_t kMaxDigits = 18;  // fits into 64 bits
  if (value.empty() || value.size() > kMaxDigits ||
      value.find_first_not_of("0123456789") != std::string_view::npos) {
    refuse(side, "invalid Content-Length");
  }
  auto length = static_cast<std::uint64_t>(*parse_int(value));
  if (head.content_length && (side == Side::kRequest || *head.content_length != length)) {
    refuse(side, "more than one Content-Length");
  }
  head.content_length = length;
}

void read_transfer_encoding(std::string_view value, MessageHead& head, Side side) {
  if (head.chunked) refuse(side, "more than one Transfer-Encoding");
  if (!iequals(value, "chunked")) {
    if (side == Side::kResponse) refuse(side, "unknown Transfer-Encoding");
    throw Error(ErrorKind::kNotImplemented, "Transfer-Encoding " + quote_for_message(value) +
                                                " is not supported; use 'chunked'.");
  }
  head.chunked = true;
}

void parse_fields(std::string_view lines, MessageHead& head, Side side) {
  head.keep_alive = head.minor_version == 1;
  int hosts = 0;
  for (std::string_view line = take_line(lines); !line.empty(); line = take_line(lines)) {
    std::size_t colon = line.find(':');
    std::string_view name = line.substr(0, colon);
    // Also refuses folded lines and white space before the colon.
    if (colon == std::string_view::npos || !is_token(name)) {
      refuse(side, "invalid header field name");
    }
    std::string_view value = trim_blanks(line.substr(colon + 1));
    if (has_control(value) && !only_tabs(value)) {
      refuse(side, "control character in a header field");
    }
    if (iequals(name, "content-length")) {
      read_content_length(value, head, side);
    } else if (iequals(name, "transfer-encoding")) {
      read_transfer_encoding(value, head, side);
    } else if (iequals(name, "connection")) {
      if (has_token(value, "close")) head.keep_alive = false;
      if (head.minor_version == 0 && has_token(value, "keep-alive")) head.keep_alive = true;
    } else if (iequals(name, "host")) {
      ++hosts;
    }
    head.headers.add(name, std::string(value));
  }
  if (head.chunked && head.content_length) {
    refuse(side, "both Transfer-Encoding and Content-Length");
  }
  if (side == Side::kRequest) {
    if (head.chunked && head.minor_version == 0) refuse(side, "Transfer-Encoding in HTTP/1.0");
    if (hosts > 1 || (hosts == 0 && head.minor_version == 1)) {
      refuse(side, "exactly one Host header is needed");
    }
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::size_t> find_head_end(std::string_view buffer, std::size_t& scanned) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  std::size_t at = buffer.find(kEnd, scanned);
  if (at != std::string_view::npos) return at + kEnd.size();
  scanned = buffer.size() < kEnd.size() ? 0 : buffer.size() - (kEnd.size() - 1);
  return std::nullopt;
}

bool can_begin_request(char c) { return c == '\r' || kTokenChar[static_cast<unsigned char>(c)]; }

MessageHead parse_request_head(std::string_view text) {
  MessageHead head;
  std::string_view line = take_line(text);
  std::size_t first = line.find(' ');
  std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    refuse(Side::kRequest, "invalid request line");
  }
  std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(method)) refuse(Side::kRequest, "invalid method");
  if (has_control(target) || target.find(' ') != std::string_view::npos) {
    refuse(Side::kRequest, "invalid request target");
  }
  bool known_form = target.starts_with('/') || target == "*" || target.starts_with("http://") ||
                    target.starts_with("https://");
  if (!known_form) refuse(Side::kRequest, "invalid request target");
  head.minor_version = parse_version(line.substr(last + 1), Side::kRequest);
  head.method = method;
  head.target = target;
  parse_fields(text, head, Side::kRequest);
  return head;
}

MessageHead parse_response_head(std::string_view text) {
  MessageHead head;
  std::string_view line = take_line(text);
  constexpr std::size_t kVersionBytes = 8, kStatusEnd = 12;
  if (line.size() < kStatusEnd || line[kVersionBytes] != ' ' ||
      (line.size() > kStatusEnd && line[kStatusEnd] != ' ')) {
    refuse(Side::kResponse, "invalid status line");
  }
  head.minor_version = parse_version(line.substr(0, kVersionBytes), Side::kResponse);
  for (char c : line.substr(kVersionBytes + 1, 3)) {
    if (c < '0' || c > '9') refuse(Side::kResponse, "invalid status code");
    head.status = head.status * 10 + (c - '0');
  }
  if (head.status < 100) refuse(Side::kResponse, "invalid status code");
  parse_fields(text, head, Side::kResponse);
  return head;
}

std::pair<std::string_view, std::string_view> split_target(std::string_view target) {
  if (!target.starts_with('/')) {
    if (std::size_t scheme = target.find("://"); scheme != std::string_view::npos) {
      std::size_t slash = target.find_first_of("/?", scheme + 3);
      if (slash == std::string_view::npos) return {"/", {}};
      target.remove_prefix(slash);
    }
  }
  std::size_t question = target.find('?');
  std::string_view path = target.substr(0, question);
  if (path.empty()) path = "/";
  return {path,
          question == std::string_view::npos ? std::string_view{} : target.substr(question + 1)};
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (query.empty()) return pairs;
  for (std::string_view part : split(query, '&')) {
    if (part.empty()) continue;
    std::size_t equals = part.find('=');
    auto name = url_decode(part.substr(0, equals), true);
    auto value = url_decode(equals == std::string_view::npos ? "" : part.substr(equals + 1), true);
    if (!name || !value) {
      throw Error(ErrorKind::kBadValue,
                  "Invalid percent-encoding in the query: " + quote_for_message(part));
    }
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

std::size_t ChunkDecoder::feed(std::string_view bytes, std::string& out) {
  constexpr int kMaxSizeDigits = 15;
  std::size_t i = 0;
  auto fail = [](const char* reason) { throw std::invalid_argument(reason); };
  auto count_line = [&] {
    if (++line_bytes_ > kMaxChunkLine) fail("chunk extensions or trailers are too long");
  };
  while (i < bytes.size() && state_ != State::kDone) {
    char c = bytes[i];
    switch (state_) {
      case State::kSize:
        if (int digit = hex_digit(c); digit >= 0) {
          if (++digits_ > kMaxSizeDigits) fail("chunk size is too large");
          left_ = left_ << 4 | static_cast<unsigned>(digit);
        } else if (digits_ == 0) {
          fail("invalid chunk size");
        } else if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (c == ';' || c == ' ' || c == '\t') {
          state_ = State::kExtension;
        } else {
          fail("invalid chunk size");
        }
        ++i;
        break;
      case State::kExtension:
        count_line();
        if (c == '\n') fail("bare line feed in a chunk extension");
        if (c == '\r') state_ = State::kSizeLf;
        ++i;
        break;
      case State::kSizeLf:
        if (c != '\n') fail("invalid end of a chunk size");
        state_ = left_ > 0 ? State::kData : State::kTrailer;
        line_empty_ = true;
        ++i;
        break;
      case State::kData: {
        std::size_t take = std::min<std::uint64_t>(left_, bytes.size() - i);
        out.append(bytes, i, take);
        i += take;
        if ((left_ -= take) == 0) state_ = State::kDataCr;
        break;
      }
      case State::kDataCr:
        if (c != '\r') fail("invalid end of a chunk");
        state_ = State::kDataLf;
        ++i;
        break;
      case State::kDataLf:
        if (c != '\n') fail("invalid end of a chunk");
        state_ = State::kSize;
        digits_ = 0;
        line_bytes_ = 0;
        ++i;
        break;
      case State::kTrailer:
        count_line();
        if (c == '\r') {
          state_ = State::kTrailerLf;
        } else if (c == '\n') {
          fail("bare line feed in a trailer");
        } else {
          line_empty_ = false;
        }
        ++i;
        break;
      case State::kTrailerLf:
        if (c != '\n') fail("invalid end of a trailer");
        state_ = line_empty_ ? State::kDone : State::kTrailer;
        line_empty_ = true;
        ++i;
        break;
      case State::kDone:
        break;
    }
  }
  return i;
}

}  // namespace tessera::http

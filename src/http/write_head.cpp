#include "http/write_head.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "base/byte_scan.h"
#include "base/strings.h"

namespace tessera::http {
namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Unknown";
  }
}

// IMF-fixdate of now, renewed once per second and thread.
std::string_view http_date() {
  thread_local std::time_t written = 0;
  thread_local char text[32];
  std::time_t now = std::time(nullptr);
  if (now != written) {
    constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm tm{};
    gmtime_r(&now, &tm);
    std::snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[tm.tm_wday],
                  tm.tm_mday % 100, kMonths[tm.tm_mon], (tm.tm_year + 1900) % 10000,
                  tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
    written = now;
  }
  return text;
}

}  // namespace

void append_header(std::string& out, std::string_view name, std::string_view value) {
  constexpr std::string_view kColon = ": ", kEnd = "\r\n";
  const std::size_t start = out.size();
  out.resize(start + name.size() + kColon.size() + value.size() + kEnd.size());
  char* to = out.data() + start;
  const auto put = [&](std::string_view part) { to = std::copy(part.begin(), part.end(), to); };
  put(name);
  put(kColon);
  put(value);
  if (has_control(value)) {
    std::replace_if(
        to - value.size(), to, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  }
  put(kEnd);
}

void append_response_head(std::string& out, const ResponseHead& head, const Headers& headers) {
  out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ");
  out.append(reason_phrase(head.status)).append("\r\n");
  for (const auto& [name, value] : headers) {
    if (iequals(name, "content-length") || iequals(name, "transfer-encoding") ||
        iequals(name, "connection") || iequals(name, "x-request-id") || iequals(name, "date")) {
      continue;
    }
    append_header(out, name, value);
  }
  append_header(out, "x-request-id", head.request_id);
  append_header(out, "date", http_date());
  if (!head.keep_alive) {
    out.append("connection: close\r\n");
  } else if (head.minor_version == 0) {
    out.append("connection: keep-alive\r\n");
  }
  if (head.body == ResponseHead::Body::kChunked) {
    out.append("transfer-encoding: chunked\r\n");
  } else if (head.body == ResponseHead::Body::kLength) {
    out.append("content-length: ").append(std::to_string(head.content_length)).append("\r\n");
  }
  out.append("\r\n");
}

}  // namespace tessera::http

// Lists in pages: the query parameters max_results and page_token, the member next_page_token.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/crypto.h"
#include "http/message.h"

namespace tessera::control {

namespace json = boost::json;

inline constexpr int kMaxPage = 1'000;

// What the request wants, at most kMaxPage; the default for 0 or nothing. Throws
// Error(kInvalidParameterValue).
int page_size(const http::Request& request, int default_size);

// The key after which the page starts; empty: at the beginning. Throws
// Error(kInvalidParameterValue).
std::string page_start(const http::Request& request);

// `rows` holds up to one more than the page, which tells that another follows. `write` makes a
// row's JSON, `key` what page_start() gives for the next page.
template <class T, class Write, class Key>
json::object page(std::vector<T> rows, int size, std::string_view field, Write write, Key key) {
  json::object o;
  std::string next;
  if (rows.size() > static_cast<std::size_t>(size)) {
    rows.resize(size);
    next = base64url_encode(key(rows.back()));
  }
  json::array list;
  for (const T& row : rows) list.push_back(write(row));
  o[field] = std::move(list);
  if (!next.empty()) o["next_page_token"] = next;
  return o;
}

}  // namespace tessera::control

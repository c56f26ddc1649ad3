// Test support: a field, what it is given, and what must come of it. One row per rule.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "api/body.h"
#include "base/error.h"

namespace tessera::api {

struct Row {
  std::string members;             // JSON members beside the required ones
  std::optional<ErrorKind> error;  // none: accepted
  std::string param = {};          // of the error; empty: not looked at
};

// `parse` takes a whole body.
template <class Parse>
void expect_rows(const std::string& required, const std::vector<Row>& rows, Parse parse) {
  for (const Row& row : rows) {
    const std::string body =
        "{" + required + (required.empty() || row.members.empty() ? "" : ", ") + row.members + "}";
    SCOPED_TRACE(body.substr(0, 300));
    try {
      parse(Body(body));
      EXPECT_FALSE(row.error) << "was accepted";
    } catch (const Error& error) {
      ASSERT_TRUE(row.error) << "refused: " << error.message;
      EXPECT_EQ(static_cast<int>(error.kind), static_cast<int>(*row.error)) << error.message;
      if (!row.param.empty()) {
        EXPECT_EQ(error.param, row.param);
      }
      EXPECT_FALSE(error.message.empty());
    }
  }
}

inline std::string repeated(std::string_view item, int count, std::string_view separator = ",") {
  std::string out;
  for (int i = 0; i < count; ++i) {
    if (i > 0) out += separator;
    out += item;
  }
  return out;
}

}  // namespace tessera::api

#include "gateway/retry.h"

#include <gtest/gtest.h>

namespace tessera::gateway {
namespace {

using std::chrono::milliseconds;

Error failed(int status, ErrorKind kind = ErrorKind::kProviderError,
             std::optional<bool> should_retry = std::nullopt) {
  Error error(kind, "as told");
  error.provider = std::make_shared<const ProviderFailure>(
      ProviderFailure{.provider = "p", .status = status, .should_retry = should_retry});
  return error;
}

TEST(Retry, Statuses) {
  for (const int status : {408, 409, 429, 500, 502, 503, 504, 529}) {
    EXPECT_TRUE(retry_delay(failed(status), 1, 0)) << status;
  }
  for (const int status : {301, 400, 401, 402, 403, 404, 413, 422, 424, 501}) {
    EXPECT_FALSE(retry_delay(failed(status), 1, 0)) << status;
  }
}

TEST(Retry, WithoutAStatusTheKindDecides) {
  using enum ErrorKind;
  for (const ErrorKind kind : {kProviderUnreachable, kProviderOverloaded, kProviderRateLimited,
                               kProviderError, kProviderTimeout}) {
    EXPECT_TRUE(retry_delay(failed(0, kind), 1, 0));
    EXPECT_TRUE(retry_delay(failed(200, kind), 1, 0));
  }
  for (const ErrorKind kind : {kProviderBadResponse, kProviderAuthentication, kProviderRejected,
                               kProviderQuotaExhausted, kUnsupportedParameter}) {
    EXPECT_FALSE(retry_delay(failed(0, kind), 1, 0));
  }
  EXPECT_FALSE(retry_delay(failed(429, kProviderQuotaExhausted), 1, 0));
}

TEST(Retry, TheProvidersWord) {
  EXPECT_FALSE(retry_delay(failed(503, ErrorKind::kProviderOverloaded, false), 1, 0));
  EXPECT_EQ(retry_delay(failed(400, ErrorKind::kProviderRejected, true), 1, 0), milliseconds(500));
}

TEST(Retry, Delays) {
  const Error error = failed(503);
  EXPECT_EQ(retry_delay(error, 1, 0), milliseconds(500));
  EXPECT_EQ(retry_delay(error, 1, 1), milliseconds(375));
  EXPECT_EQ(retry_delay(error, 3, 0), milliseconds(2'000));
  EXPECT_EQ(retry_delay(error, 5, 0), milliseconds(8'000));
  EXPECT_EQ(retry_delay(error, 50, 0), milliseconds(8'000));
  Error told = error;
  told.retry_after_s = 2;
  EXPECT_EQ(retry_delay(told, 1, 1), milliseconds(2'000));
  told.retry_after_ms = 250;
  EXPECT_EQ(retry_delay(told, 1, 1), milliseconds(250));
  told.retry_after_ms = 60'000;
  EXPECT_TRUE(retry_delay(told, 1, 0));
  told.retry_after_ms = 60'001;
  EXPECT_FALSE(retry_delay(told, 1, 0));
}

}  // namespace
}  // namespace tessera::gateway

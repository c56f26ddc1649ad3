// How we show providers who we are: headers, signatures, and tokens that are fetched first
// (external-providers 3, 9.1, 9.2, 10.2). One object per gateway; any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "catalog/served_entity.h"
#include "gateway/token_cache.h"
#include "http/client.h"
#include "providers/provider.h"

namespace tessera::gateway {

// What a request was authorised with.
struct Grant {
  std::string identity;
  MintedPtr minted;  // null: nothing that could be renewed
};

class Credentials {
 public:
  explicit Credentials(http::Client& client, std::function<std::int64_t()> now_s = tessera::now_s)
      : client_(client), now_s_(now_s), tokens_(std::move(now_s)) {}

  // Adds what `auth` asks for to a request that is complete otherwise: its headers and body are
  // what is signed. `label` tells endpoints apart in AWS's logs. The caller runs on a strand and
  // keeps the references alive. Throws Error(kProviderAuthentication) when the identity provider
  // refuses us, kProviderUnreachable, kProviderTimeout or kProviderError when it does not answer.
  asio::awaitable<Grant> authorize(const providers::Auth& auth, const catalog::ExternalModel& model,
                                   const std::string& label, http::ClientRequest& request);

  // The provider refused the grant: true when the next authorize() brings another one.
  bool renew(const Grant& grant);
  // The provider's clock, where it differs so much that signatures fail: true when that was news.
  bool correct_clock(const std::string& host, std::string_view date_header);

 private:
  asio::awaitable<Grant> sign(const catalog::ExternalModel& model, const std::string& label,
                              http::ClientRequest& request);
  asio::awaitable<Grant> aws_identity(const catalog::ExternalModel& model,
                                      const std::string& label);
  asio::awaitable<Minted> assume_role(const catalog::ExternalModel& model, std::string role_arn,
                                      std::string label, providers::AwsCredentials base);
  asio::awaitable<Minted> fetch_entra(const catalog::ExternalModel& model);
  asio::awaitable<Minted> fetch_google(const catalog::ExternalModel& model);
  std::int64_t skew_s(const std::string& host);

  http::Client& client_;
  std::function<std::int64_t()> now_s_;
  TokenCache tokens_;
  std::mutex mutex_;                            // guards skew_s_
  std::map<std::string, std::int64_t> skew_s_;  // their clock less ours, by host
};

// What a failure of the transport means when the provider `name` was called.
Error transport_error(const Error& cause, const std::string& provider);

}  // namespace tessera::gateway

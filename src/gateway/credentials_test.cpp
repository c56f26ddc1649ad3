#include "gateway/credentials.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <boost/asio/bind_cancellation_slot.hpp>

#include "gateway/external_fixture.h"

namespace tessera::gateway {
namespace {

// --- The cache alone ---

class TokenCacheTest : public testing::Test {
 protected:
  void TearDown() override { pool_.join(); }

  asio::awaitable<Minted> mint(std::chrono::milliseconds takes) {
    ++started_;
    if (takes > 0ms) {
      asio::steady_timer timer(co_await asio::this_coro::executor, takes);
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (failing_) throw Error(ErrorKind::kProviderAuthentication, "refused");
    Minted minted;
    minted.token = "t" + std::to_string(++minted_);
    minted.refresh_at_s = now_ + 100;
    minted.expires_at_s = now_ + 200;
    co_return minted;
  }
  // The token, or the error's message. (No exception may cross a future.)
  asio::awaitable<std::string> get(std::string identity, std::chrono::milliseconds takes) {
    try {
      TokenCache::Fetch fetch = [this, takes] { return mint(takes); };
      const MintedPtr minted = co_await cache_.get(std::move(identity), std::move(fetch));
      co_return minted->token;
    } catch (const Error& error) {
      co_return error.message;
    }
  }
  std::string token(const std::string& identity = "a", std::chrono::milliseconds takes = 0ms) {
    return asio::co_spawn(asio::make_strand(pool_), get(identity, takes), asio::use_future).get();
  }

  std::atomic<std::int64_t> now_{1000};
  std::atomic<int> started_{0}, minted_{0};
  std::atomic<bool> failing_{false};
  asio::thread_pool pool_{4};
  TokenCache cache_{[this] { return now_.load(); }};
};

TEST_F(TokenCacheTest, KeepsAndRenewsEarly) {
  EXPECT_EQ(token(), "t1");
  EXPECT_EQ(token(), "t1");
  EXPECT_EQ(token("b"), "t2");
  now_ += 99;
  EXPECT_EQ(token(), "t1");
  now_ += 1;
  EXPECT_EQ(token(), "t3");
  EXPECT_EQ(token(), "t3");
  EXPECT_EQ(started_, 3);
}

TEST_F(TokenCacheTest, TheOldOneServesWhileItIsValid) {
  EXPECT_EQ(token(), "t1");
  failing_ = true;
  now_ += 150;
  EXPECT_EQ(token(), "t1");
  EXPECT_EQ(token(), "t1");  // not asked again at once
  EXPECT_EQ(started_, 2);
  now_ += 31;
  EXPECT_EQ(token(), "t1");
  EXPECT_EQ(started_, 3);
  now_ += 20;  // expired
  EXPECT_EQ(token(), "refused");
  failing_ = false;
  EXPECT_EQ(token(), "t2");
}

TEST_F(TokenCacheTest, ManyAtOnceFetchOnce) {
  std::vector<std::future<std::string>> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.push_back(asio::co_spawn(asio::make_strand(pool_), get("a", 50ms), asio::use_future));
  }
  for (auto& one : waiting) EXPECT_EQ(one.get(), "t1");
  EXPECT_EQ(started_, 1);
}

TEST_F(TokenCacheTest, ManyAtOnceFailOnce) {
  failing_ = true;
  std::vector<std::future<std::string>> waiting;
  for (int i = 0; i < 50; ++i) {
    waiting.push_back(asio::co_spawn(asio::make_strand(pool_), get("a", 200ms), asio::use_future));
  }
  for (auto& one : waiting) EXPECT_EQ(one.get(), "refused");
  EXPECT_EQ(started_, 1);
}

TEST_F(TokenCacheTest, WhoeverFetchedMayLeave) {
  asio::cancellation_signal leave;
  const auto strand = asio::make_strand(pool_);
  std::promise<void> left;
  asio::co_spawn(strand, get("a", 10s),
                 asio::bind_cancellation_slot(
                     leave.slot(), [&](std::exception_ptr, std::string) { left.set_value(); }));
  while (started_ == 0) std::this_thread::sleep_for(1ms);
  auto waiting = asio::co_spawn(asio::make_strand(pool_), get("a", 1ms), asio::use_future);
  std::this_thread::sleep_for(20ms);
  asio::post(strand, [&] { leave.emit(asio::cancellation_type::terminal); });
  left.get_future().wait();
  EXPECT_EQ(waiting.get(), "t1");
  EXPECT_EQ(started_, 2);
}

TEST_F(TokenCacheTest, Forget) {
  const auto fetch = [&]() -> MintedPtr {
    return asio::co_spawn(asio::make_strand(pool_), cache_.get("a", [this] { return mint(0ms); }),
                          asio::use_future)
        .get();
  };
  const MintedPtr first = fetch();
  cache_.forget("a", first);
  const MintedPtr second = fetch();
  EXPECT_EQ(second->token, "t2");
  cache_.forget("a", first);  // somebody was late
  EXPECT_EQ(fetch()->token, "t2");
}

// --- With identity providers ---

class CredentialsTest : public ExternalTest {
 protected:
  void SetUp() override {
    ExternalTest::SetUp();
    credentials_.emplace(*client_, [this] { return now_.load(); });
  }
  void TearDown() override {
    credentials_.reset();
    ExternalTest::TearDown();
  }

  // The authorization header, or the error's message.
  asio::awaitable<std::string> authorize(providers::Auth auth, catalog::ExternalModel model) {
    http::ClientRequest request;
    request.method = "POST";
    request.origin.host = "bedrock-runtime.us-east-1.amazonaws.com";
    request.origin.scheme = "https";
    request.origin.port = 443;
    request.target = "/model/m/invoke";
    request.body = "{}";
    const std::string label = "entity";
    try {
      grant_ = co_await credentials_->authorize(auth, model, label, request);
      session_token_ = request.headers.get("x-amz-security-token").value_or("");
      co_return std::string(request.headers.get("authorization").value_or(""));
    } catch (const Error& error) {
      kind_ = error.kind;
      co_return error.message;
    }
  }
  std::string header(providers::Auth::Kind kind, const catalog::ExternalModel& model) {
    providers::Auth auth;
    auth.kind = kind;
    return asio::co_spawn(asio::make_strand(pool_), authorize(auth, model), asio::use_future).get();
  }

  catalog::ExternalModel entra() const {
    catalog::ExternalModel model;
    model.provider = "openai";
    model.config = {{"openai_api_base", "https://x.openai.azure.com"},
                    {"microsoft_entra_tenant_id", "tenant"},
                    {"microsoft_entra_client_id", "client"},
                    {"token_url_override", provider_->url() + "/token"}};
    model.secrets["microsoft_entra_client_secret"].value = "s3cret&";
    return model;
  }
  catalog::ExternalModel bedrock() const {
    catalog::ExternalModel model;
    model.provider = "amazon-bedrock";
    model.config = {{"aws_region", "us-east-1"}, {"sts_endpoint_override", provider_->url()}};
    model.secrets["aws_access_key_id"].value = "AKTESSERAEXAMPLE";
    model.secrets["aws_secret_access_key"].value = "tessera-not-a-real-secret";
    return model;
  }
  void tokens() {
    provider_->answer([this](const http::Request&) {
      return FakeProvider::Told{
          FakeProvider::json(R"({"token_type":"Bearer","expires_in":3599,"access_token":"t)" +
                             std::to_string(++minted_) + R"("})")};
    });
  }

  std::atomic<std::int64_t> now_{1'767'323'045};
  std::atomic<int> minted_{0};
  std::optional<Credentials> credentials_;
  Grant grant_;
  std::string session_token_;
  ErrorKind kind_ = ErrorKind::kInternal;
};

using enum providers::Auth::Kind;

TEST_F(CredentialsTest, EntraId) {
  tokens();
  EXPECT_EQ(header(kEntraId, entra()), "Bearer t1");
  EXPECT_EQ(header(kEntraId, entra()), "Bearer t1");
  EXPECT_EQ(provider_->last().body,
            "client_id=client&client_secret=s3cret%26&scope=https%3A%2F%2Fcognitiveservices.azure."
            "com%2F.default&grant_type=client_credentials");
  catalog::ExternalModel other = entra();
  other.secrets["microsoft_entra_client_secret"].value = "another";
  EXPECT_EQ(header(kEntraId, other), "Bearer t2");
  now_ += 3599 - 300;
  EXPECT_EQ(header(kEntraId, entra()), "Bearer t3");
  EXPECT_TRUE(credentials_->renew(grant_));
  EXPECT_EQ(header(kEntraId, entra()), "Bearer t4");
  EXPECT_EQ(provider_->calls(), 4);
}

TEST_F(CredentialsTest, IdentityProvidersThatRefuse) {
  in_turn({[] {
    return FakeProvider::json(
        R"({"error":"invalid_client","error_description":"AADSTS7000215: Invalid secret s3cret&."})",
        401);
  }});
  const std::string message = header(kEntraId, entra());
  EXPECT_EQ(kind_, ErrorKind::kProviderAuthentication);
  EXPECT_NE(message.find("AADSTS7000215"), std::string::npos) << message;
  EXPECT_EQ(message.find("s3cret"), std::string::npos) << message;
  in_turn({[] { return FakeProvider::json("<html>", 503); }});
  header(kEntraId, entra());
  EXPECT_EQ(kind_, ErrorKind::kProviderError);
  in_turn({[] { return FakeProvider::json("{}"); }});
  header(kEntraId, entra());
  EXPECT_EQ(kind_, ErrorKind::kProviderAuthentication);
  catalog::ExternalModel away = entra();
  away.config["token_url_override"] = "http://192.168.0.1/token";
  header(kEntraId, away);
  EXPECT_EQ(kind_, ErrorKind::kProviderUnreachable);
}

std::string pem_of_new_key() {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  EVP_PKEY_free(key);
  return pem;
}

TEST_F(CredentialsTest, GoogleServiceAccountsDoNotShareTokens) {
  tokens();
  const std::string pem = pem_of_new_key();
  const auto account = [&](const std::string& email) {
    catalog::ExternalModel model;
    model.provider = "google-cloud-vertex-ai";
    model.config = {{"token_url_override", provider_->url() + "/token"}};
    const json::object key{{"type", "service_account"},
                           {"client_email", email},
                           {"private_key", pem},
                           {"private_key_id", "k1"}};
    model.secrets["private_key"].value = to_json(json::value(key));
    return model;
  };
  EXPECT_EQ(header(kGoogleServiceAccount, account("a@p")), "Bearer t1");
  EXPECT_EQ(header(kGoogleServiceAccount, account("b@p")), "Bearer t2");
  EXPECT_EQ(header(kGoogleServiceAccount, account("a@p")), "Bearer t1");
  EXPECT_TRUE(provider_->last().body.starts_with(
      "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="));
  now_ += 3599 - 225;
  EXPECT_EQ(header(kGoogleServiceAccount, account("a@p")), "Bearer t3");
  catalog::ExternalModel bare = account("a@p");
  bare.secrets["private_key"].value = pem;
  header(kGoogleServiceAccount, bare);
  EXPECT_EQ(kind_, ErrorKind::kProviderAuthentication);
}

TEST_F(CredentialsTest, AwsKeysSign) {
  const std::string signature = header(kAwsSigV4, bedrock());
  EXPECT_TRUE(
      signature.starts_with("AWS4-HMAC-SHA256 Credential=AKTESSERAEXAMPLE/20260102/"
                            "us-east-1/bedrock/aws4_request, SignedHeaders="))
      << signature;
  EXPECT_FALSE(grant_.minted);
  // The provider's clock is an hour ahead: once corrected, requests carry its date.
  const std::string host = "bedrock-runtime.us-east-1.amazonaws.com";
  EXPECT_TRUE(credentials_->correct_clock(host, "Sat, 03 Jan 2026 03:04:05 GMT"));
  EXPECT_FALSE(credentials_->correct_clock(host, "Sat, 03 Jan 2026 03:04:05 GMT"));
  EXPECT_FALSE(credentials_->correct_clock(host, "nonsense"));
  EXPECT_NE(header(kAwsSigV4, bedrock()).find("/20260103/"), std::string::npos);
}

TEST_F(CredentialsTest, OneRoleIsTakenOnOnce) {
  provider_->answer([this](const http::Request&) {
    const std::string number = std::to_string(++minted_);
    http::Response response;
    response.body =
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA" + number +
        "</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>TOK" + number +
        "</SessionToken><Expiration>2026-01-02T04:04:05Z</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>";
    return FakeProvider::Told{std::move(response)};
  });
  catalog::ExternalModel model = bedrock();
  model.config["aws_role_arn"] = "arn:aws:iam::123456789012:role/Infer";
  model.config["aws_external_id"] = "ext";
  const std::string signature = header(kAwsSigV4, model);
  EXPECT_NE(signature.find("Credential=ASIA1/"), std::string::npos) << signature;
  EXPECT_EQ(session_token_, "TOK1");
  EXPECT_NE(header(kAwsSigV4, model).find("Credential=ASIA1/"), std::string::npos);
  EXPECT_EQ(provider_->calls(), 1);
  const http::Request sts = provider_->last();
  EXPECT_NE(sts.headers.get("authorization").value_or("").find("/us-east-1/sts/aws4_request"),
            std::string_view::npos);
  EXPECT_NE(sts.body.find("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FInfer"),
            std::string::npos);
  EXPECT_NE(sts.body.find("ExternalId=ext"), std::string::npos);
  model.config["aws_external_id"] = "other";  // another session
  EXPECT_NE(header(kAwsSigV4, model).find("Credential=ASIA2/"), std::string::npos);
  now_ += 3600 - 300;
  EXPECT_NE(header(kAwsSigV4, model).find("Credential=ASIA3/"), std::string::npos);
  in_turn({[] {
    return FakeProvider::json(
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
        "<Message>no</Message></Error></ErrorResponse>",
        403);
  }});
  model.config["aws_role_arn"] = "arn:aws:iam::123456789012:role/Other";
  EXPECT_NE(header(kAwsSigV4, model).find("AccessDenied"), std::string::npos);
  EXPECT_EQ(kind_, ErrorKind::kProviderAuthentication);
  model.config["aws_role_arn"] = "Infer";
  EXPECT_NE(header(kAwsSigV4, model).find("not the ARN of a role"), std::string::npos);
}

}  // namespace
}  // namespace tessera::gateway

#include "providers/google_token.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::providers {
namespace {

struct KeyPair {
  std::string secret, known;
};

KeyPair new_key() {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  const auto text = [](auto write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string pem(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return pem;
  };
  KeyPair pair{text([&](BIO* bio) {
                 PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
               }),
               text([&](BIO* bio) { PEM_write_bio_PUBKEY(bio, key); })};
  EVP_PKEY_free(key);
  return pair;
}

std::string key_file(const std::string& pem) {
  return to_json(json::object{{"type", "service_account"},
                              {"private_key_id", "kid-1"},
                              {"private_key", pem},
                              {"client_email", "svc@proj-1.iam.gserviceaccount.com"},
                              {"token_uri", "https://oauth2.googleapis.com/token"}});
}

TEST(GoogleToken, AssertionIsSignedByTheAccount) {
  const KeyPair key = new_key();
  const ServiceAccount account = parse_service_account(key_file(key.secret));
  EXPECT_EQ(account.client_email, "svc@proj-1.iam.gserviceaccount.com");
  EXPECT_EQ(account.token_uri, kGoogleTokenUrl);
  const std::string jwt = google_jwt(account, 1767323055);
  const std::vector<std::string_view> parts = split(jwt, '.');
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(base64_decode(parts[0]), R"({"alg":"RS256","typ":"JWT","kid":"kid-1"})");
  EXPECT_EQ(base64_decode(parts[1]),
            R"({"iss":"svc@proj-1.iam.gserviceaccount.com",)"
            R"("scope":"https://www.googleapis.com/auth/cloud-platform",)"
            R"("aud":"https://oauth2.googleapis.com/token","iat":1767323045,"exp":1767326645})");
  const std::string_view signed_part(jwt.data(), parts[0].size() + 1 + parts[1].size());
  EXPECT_TRUE(verify_rs256(key.known, signed_part, *base64_decode(parts[2])));
  EXPECT_EQ(google_token_body("a.b-c_d"),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b-c_d");
}

TEST(GoogleToken, KeyFilesAsBase64) {
  const KeyPair key = new_key();
  std::string text = base64_encode(key_file(key.secret));
  text.insert(76, "\n");
  EXPECT_EQ(parse_service_account(text).private_key_pem, key.secret);
  EXPECT_EQ(parse_service_account("  " + key_file(key.secret) + "\n").private_key_id, "kid-1");
}

TEST(GoogleToken, WhatIsNoKeyFile) {
  for (const std::string& text :
       {std::string(), std::string("-----BEGIN PRIVATE KEY-----\nMIIE"), std::string("{not json"),
        std::string("!!!"), std::string("{}"), std::string(R"({"client_email": "a@b"})"),
        std::string(R"({"client_email": 1, "private_key": "x"})"), base64_encode("[1]")}) {
    try {
      parse_service_account(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::kBadConfiguration);
      EXPECT_EQ(error.param, "private_key");
      EXPECT_EQ(error.message.find("MIIE"), std::string::npos);  // keys are never told
    }
  }
  const ServiceAccount broken = parse_service_account(key_file("no key"));
  EXPECT_THROW(google_jwt(broken, 0), Error);
}

}  // namespace
}  // namespace tessera::providers

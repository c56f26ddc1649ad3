#include "base/crypto.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <set>

#include "base/error.h"
#include "base/strings.h"

namespace tessera {
namespace {

TEST(Sha256, PublishedVectors) {
  // FIPS 180-2, appendix B.
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 hash;
  for (char c : std::string("abc")) hash.update({&c, 1});
  EXPECT_EQ(hash.finish(), sha256("abc"));
}

TEST(Hmac, Rfc4231) {
  // Test case 2.
  EXPECT_EQ(hex_encode(as_bytes(hmac_sha256("Jefe", "what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_encode(as_bytes(hmac_sha256({}, {}))),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Random, UuidsAreDistinctAndWellFormed) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string id = uuid_v4();
    ASSERT_TRUE(is_uuid(id)) << id;
    EXPECT_EQ(id[14], '4');
    EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos);
    EXPECT_TRUE(seen.insert(id).second);
  }
  EXPECT_FALSE(is_uuid("x"));
  EXPECT_FALSE(is_uuid("00000000-0000-0000-0000-00000000000g"));
}

TEST(Compare, ConstantTime) {
  EXPECT_TRUE(constant_time_equal("abc", "abc"));
  EXPECT_FALSE(constant_time_equal("abc", "abd"));
  EXPECT_FALSE(constant_time_equal("abc", "abcd"));
  EXPECT_TRUE(constant_time_equal("", ""));
}

TEST(Seal, OpensOnlyWithTheSameKeyContextAndBytes) {
  std::string key = random_bytes(32);
  for (std::string plaintext : {std::string(), std::string("secret"), std::string(5000, 'x')}) {
    std::string sealed = seal(key, plaintext, "row 1");
    EXPECT_EQ(open_sealed(key, sealed, "row 1"), plaintext);
    EXPECT_EQ(open_sealed(key, sealed, "row 2"), std::nullopt);
    EXPECT_EQ(open_sealed(random_bytes(32), sealed, "row 1"), std::nullopt);
    EXPECT_NE(seal(key, plaintext, "row 1"), sealed);
    for (std::size_t i = 0; i < sealed.size(); i += 7) {
      std::string changed = sealed;
      changed[i] ^= 1;
      EXPECT_EQ(open_sealed(key, changed, "row 1"), std::nullopt);
    }
    EXPECT_EQ(open_sealed(key, sealed.substr(0, 20), "row 1"), std::nullopt);
  }
  EXPECT_THROW(seal("short", "x", ""), Error);
}

TEST(Seal, NistVector) {
  // NIST GCM test vector, 256-bit key of zeros, 96-bit nonce of zeros, 128 bits of zeros.
  std::string sealed = std::string(12, '\0') + *hex_decode("cea7403d4d606b6e074ec5d3baf39d18") +
                       *hex_decode("d0d1c8a799996bf0265b98b5d48ab919");
  EXPECT_EQ(open_sealed(std::string(32, '\0'), sealed, ""), std::string(16, '\0'));
}

std::string pem_of(EVP_PKEY* key, bool is_private) {
  BIO* bio = BIO_new(BIO_s_mem());
  if (is_private) {
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  } else {
    PEM_write_bio_PUBKEY(bio, key);
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return pem;
}

TEST(Rs256, SignsWhatItsKeyVerifies) {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  const std::string secret = pem_of(key, true), known = pem_of(key, false);
  EVP_PKEY_free(key);
  const std::optional<std::string> signature = sign_rs256(secret, "header.claims");
  ASSERT_TRUE(signature);
  EXPECT_EQ(signature->size(), 256u);
  EXPECT_EQ(sign_rs256(secret, "header.claims"), signature);  // PKCS1-v1_5 has no salt
  EXPECT_TRUE(verify_rs256(known, "header.claims", *signature));
  EXPECT_FALSE(verify_rs256(known, "header.other", *signature));
  EXPECT_FALSE(verify_rs256(known, "header.claims", "short"));
}

TEST(Rs256, KeysThatAreNone) {
  EVP_PKEY* small = EVP_RSA_gen(1024);
  EXPECT_EQ(sign_rs256(pem_of(small, true), "x"), std::nullopt);
  EVP_PKEY_free(small);
  EVP_PKEY* curve = EVP_EC_gen("P-256");
  EXPECT_EQ(sign_rs256(pem_of(curve, true), "x"), std::nullopt);
  EVP_PKEY_free(curve);
  for (const char* pem : {"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}) {
    EXPECT_EQ(sign_rs256(pem, "x"), std::nullopt);
    EXPECT_FALSE(verify_rs256(pem, "x", "y"));
  }
}

}  // namespace
}  // namespace tessera

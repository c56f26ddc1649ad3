// Hashes, randomness and sealing, over OpenSSL. All functions are thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

using Digest256 = std::array<unsigned char, 32>;

Digest256 sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);
Digest256 hmac_sha256(std::string_view key, std::string_view bytes);
inline std::string_view as_bytes(const Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// For files: update() any number of times, then finish() once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(std::string_view bytes);
  Digest256 finish();

 private:
  friend Digest256 sha256(std::string_view bytes);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string random_bytes(std::size_t count);  // from the system's generator
std::string uuid_v4();                        // RFC 9562, lower case with hyphens
bool is_uuid(std::string_view text);          // 8-4-4-4-12 hexadecimal digits

// The time depends on the lengths only.
bool constant_time_equal(std::string_view a, std::string_view b);

// AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce: nonce | ciphertext | 128-bit tag.
// key: 32 bytes, else Error(kBadConfiguration). `context` is authenticated, not stored: a value
// sealed for one row cannot be moved to another.
std::string seal(std::string_view key, std::string_view plaintext, std::string_view context);
// nullopt when the key or the context is another or a byte was changed.
std::optional<std::string> open_sealed(std::string_view key, std::string_view sealed,
                                       std::string_view context);

// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017; "RS256" of RFC 7518). key: PEM, PKCS #8 or PKCS #1.
// nullopt when it is no RSA private key of at least 2048 bits.
std::optional<std::string> sign_rs256(std::string_view private_key_pem, std::string_view bytes);
// key: PEM of the public key.
bool verify_rs256(std::string_view public_key_pem, std::string_view bytes,
                  std::string_view signature);

}  // namespace tessera

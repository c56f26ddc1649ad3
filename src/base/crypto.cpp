#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <sys/random.h>

#include <cerrno>
#include <new>

#include "base/error.h"
#include "base/strings.h"

namespace tessera {
namespace {

constexpr int kNonceBytes = 12, kTagBytes = 16;
constexpr std::size_t kKeyBytes = 32;

const unsigned char* in(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

CipherContext new_cipher(std::string_view key) {
  if (key.size() != kKeyBytes) {
    throw Error(ErrorKind::kBadConfiguration, "The sealing key has " + std::to_string(key.size()) +
                                                  " bytes, but it must have 32.");
  }
  CipherContext context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  if (!context) throw std::bad_alloc();
  return context;
}

void check(int result, const char* what) {
  if (result != 1) throw Error(ErrorKind::kInternal, std::string(what) + " failed in OpenSSL");
}

}  // namespace

namespace {

// EVP_sha256() would look its implementation up anew in each use, which costs more than hashing a
// token does.
const EVP_MD* sha256_implementation() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched;
}

}  // namespace

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  check(EVP_DigestInit_ex2(impl_->context, sha256_implementation(), nullptr), "SHA-256");
}
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  check(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()), "SHA-256");
}

Digest256 Sha256::finish() {
  Digest256 digest;
  check(EVP_DigestFinal_ex(impl_->context, digest.data(), nullptr), "SHA-256");
  return digest;
}

Digest256 sha256(std::string_view bytes) {
  thread_local Sha256 hash;  // its context is used again, with the digest that it has
  check(EVP_DigestInit_ex2(hash.impl_->context, nullptr, nullptr), "SHA-256");
  hash.update(bytes);
  return hash.finish();
}

std::string sha256_hex(std::string_view bytes) { return hex_encode(as_bytes(sha256(bytes))); }

Digest256 hmac_sha256(std::string_view key, std::string_view bytes) {
  Digest256 digest;
  unsigned length = 0;
  // HMAC() reads a null key as "the previous key"; an empty view may hold null.
  const char* key_data = key.empty() ? "" : key.data();
  if (HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()), in(bytes), bytes.size(),
           digest.data(), &length) == nullptr) {
    throw Error(ErrorKind::kInternal, "HMAC failed in OpenSSL");
  }
  return digest;
}

// The kernel's generator itself: OpenSSL's, which is seeded from it, takes 200 kB of tables and
// more than 1 MB of code into memory, in each worker, for the identifiers of its requests.
std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  for (std::size_t done = 0; done < count;) {
    const ssize_t got = getrandom(out.data() + done, count - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorKind::kInternal, "the system's random generator failed");
    done += static_cast<std::size_t>(got);
  }
  return out;
}

std::string uuid_v4() {
  // A pool per thread: one call to the generator serves 64 identifiers.
  constexpr std::size_t kUuidBytes = 16, kPoolBytes = 64 * kUuidBytes;
  thread_local std::string pool;
  thread_local std::size_t used = kPoolBytes;
  if (used == kPoolBytes) {
    pool = random_bytes(kPoolBytes);
    used = 0;
  }
  unsigned char bytes[kUuidBytes];
  for (std::size_t i = 0; i < kUuidBytes; ++i) bytes[i] = static_cast<unsigned char>(pool[used++]);
  bytes[6] = (bytes[6] & 0x0F) | 0x40;  // version 4
  bytes[8] = (bytes[8] & 0x3F) | 0x80;  // variant 10
  std::string out(36, '-');
  char* next = out.data();
  for (std::size_t i = 0; i < kUuidBytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++next;
    *next++ = "0123456789abcdef"[bytes[i] >> 4];
    *next++ = "0123456789abcdef"[bytes[i] & 15];
  }
  return out;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (hyphen ? c != '-' : !hex) return false;
  }
  return true;
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string seal(std::string_view key, std::string_view plaintext, std::string_view context) {
  CipherContext cipher = new_cipher(key);
  std::string out = random_bytes(kNonceBytes);
  out.resize(kNonceBytes + plaintext.size() + kTagBytes);
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  int length = 0;
  check(EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, in(key), bytes), "Sealing");
  check(EVP_EncryptUpdate(cipher.get(), nullptr, &length, in(context),
                          static_cast<int>(context.size())),
        "Sealing");
  check(EVP_EncryptUpdate(cipher.get(), bytes + kNonceBytes, &length, in(plaintext),
                          static_cast<int>(plaintext.size())),
        "Sealing");
  unsigned char* tag = bytes + kNonceBytes + plaintext.size();
  check(EVP_EncryptFinal_ex(cipher.get(), tag, &length), "Sealing");
  check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag), "Sealing");
  return out;
}

std::optional<std::string> open_sealed(std::string_view key, std::string_view sealed,
                                       std::string_view context) {
  CipherContext cipher = new_cipher(key);
  if (sealed.size() < kNonceBytes + kTagBytes) return std::nullopt;
  std::size_t size = sealed.size() - kNonceBytes - kTagBytes;
  std::string out(size, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  std::string tag(sealed.substr(kNonceBytes + size));
  int length = 0;
  check(EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, in(key), in(sealed)),
        "Opening");
  check(EVP_DecryptUpdate(cipher.get(), nullptr, &length, in(context),
                          static_cast<int>(context.size())),
        "Opening");
  check(EVP_DecryptUpdate(cipher.get(), bytes, &length, in(sealed.substr(kNonceBytes)),
                          static_cast<int>(size)),
        "Opening");
  check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()), "Opening");
  if (EVP_DecryptFinal_ex(cipher.get(), bytes + size, &length) != 1) return std::nullopt;
  return out;
}

namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Key read_key(std::string_view pem, bool is_private) {
  using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  // No pass phrase is asked for on the terminal: an encrypted key is none.
  const auto no_phrase = [](char*, int, int, void*) { return 0; };
  EVP_PKEY* key = is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_phrase, nullptr)
                             : PEM_read_bio_PUBKEY(bio.get(), nullptr, no_phrase, nullptr);
  ERR_clear_error();
  return {key, EVP_PKEY_free};
}

bool is_good_rsa(const Key& key) {
  constexpr int kFewestBits = 2048;  // RFC 7518, 3.3
  return key && EVP_PKEY_base_id(key.get()) == EVP_PKEY_RSA &&
         EVP_PKEY_bits(key.get()) >= kFewestBits;
}

}  // namespace

std::optional<std::string> sign_rs256(std::string_view private_key_pem, std::string_view bytes) {
  const Key key = read_key(private_key_pem, true);
  if (!is_good_rsa(key)) return std::nullopt;
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  check(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()), "Signing");
  std::size_t size = 0;
  check(EVP_DigestSign(context.get(), nullptr, &size, in(bytes), bytes.size()), "Signing");
  std::string signature(size, '\0');
  check(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       in(bytes), bytes.size()),
        "Signing");
  signature.resize(size);
  return signature;
}

bool verify_rs256(std::string_view public_key_pem, std::string_view bytes,
                  std::string_view signature) {
  const Key key = read_key(public_key_pem, false);
  if (!is_good_rsa(key)) return false;
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  check(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()),
        "Verifying");
  const bool valid = EVP_DigestVerify(context.get(), in(signature), signature.size(), in(bytes),
                                      bytes.size()) == 1;
  ERR_clear_error();
  return valid;
}

}  // namespace tessera

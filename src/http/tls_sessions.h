// TLS sessions of the client by origin, so that the next connection there needs no full handshake.
// Any thread.
#pragma once

#include <openssl/ssl.h>

#include <mutex>
#include <string>
#include <unordered_map>

namespace tessera::http {

class TlsSessions {
 public:
  TlsSessions() = default;
  TlsSessions(const TlsSessions&) = delete;
  ~TlsSessions();

  // Once per context, before its first connection: new sessions go where resume() said.
  static void collect_from(SSL_CTX* context);
  // Before the handshake of `tls`: offers what is kept under `key`, and has later sessions kept
  // there. Both this and `key` outlive the last use of `tls`.
  void resume(SSL* tls, const std::string& key);

 private:
  void keep(const std::string& key, SSL_SESSION* session);  // takes the reference

  static constexpr std::size_t kMostSessions = 1024;
  std::mutex mutex_;  // guards sessions_
  std::unordered_map<std::string, SSL_SESSION*> sessions_;
};

}  // namespace tessera::http

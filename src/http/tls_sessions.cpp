#include "http/tls_sessions.h"

namespace tessera::http {
namespace {

// Where an SSL keeps what resume() was told; its application data belongs to Asio.
int sessions_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int key_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

TlsSessions::~TlsSessions() {
  for (auto& [key, session] : sessions_) SSL_SESSION_free(session);
}

void TlsSessions::collect_from(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, [](SSL* tls, SSL_SESSION* session) {
    auto* sessions = static_cast<TlsSessions*>(SSL_get_ex_data(tls, sessions_index()));
    if (sessions == nullptr) return 0;
    sessions->keep(*static_cast<const std::string*>(SSL_get_ex_data(tls, key_index())), session);
    return 1;
  });
}

void TlsSessions::resume(SSL* tls, const std::string& key) {
  SSL_set_ex_data(tls, sessions_index(), this);
  SSL_set_ex_data(tls, key_index(), const_cast<std::string*>(&key));
  std::lock_guard lock(mutex_);
  const auto found = sessions_.find(key);
  if (found != sessions_.end()) SSL_set_session(tls, found->second);
}

void TlsSessions::keep(const std::string& key, SSL_SESSION* session) {
  std::lock_guard lock(mutex_);
  if (sessions_.size() >= kMostSessions && !sessions_.contains(key)) {
    SSL_SESSION_free(sessions_.begin()->second);
    sessions_.erase(sessions_.begin());
  }
  SSL_SESSION*& place = sessions_[key];
  if (place != nullptr) SSL_SESSION_free(place);
  place = session;
}

}  // namespace tessera::http

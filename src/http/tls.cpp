#include "http/tls.h"

#include <cstring>

#include "base/error.h"

namespace tessera::http {
namespace {

namespace ssl = asio::ssl;

ssl::context make(ssl::context::method method) {
  ssl::context context(method);
  context.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                      ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  // Idle connections give their 32 KiB of record buffers back.
  SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

void check(const boost::system::error_code& error, const std::string& what,
           const std::string& path) {
  if (!error) return;
  throw Error(ErrorKind::kBadConfiguration,
              "Cannot use the " + what + " '" + path + "': " + error.message());
}

// We speak HTTP/1.1 only; a client that offers it gets it, another one no ALPN answer.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned offered_length, void*) {
  constexpr char kHttp11[] = "http/1.1";
  constexpr unsigned kLength = sizeof(kHttp11) - 1;
  for (unsigned i = 0; i < offered_length; i += offered[i] + 1u) {
    if (offered[i] == kLength && i + kLength < offered_length &&
        std::memcmp(offered + i + 1, kHttp11, kLength) == 0) {
      *out = offered + i + 1;
      *out_length = kLength;
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

ssl::context make_server_tls(const TlsFiles& files) {
  ssl::context context = make(ssl::context::tls_server);
  boost::system::error_code error;
  context.use_certificate_chain_file(files.certificate_pem_path, error);
  check(error, "TLS certificate", files.certificate_pem_path);
  context.use_private_key_file(files.private_key_pem_path, ssl::context::pem, error);
  check(error, "TLS private key", files.private_key_pem_path);
  if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
    throw Error(ErrorKind::kBadConfiguration, "The TLS private key '" + files.private_key_pem_path +
                                                  "' does not belong to the certificate '" +
                                                  files.certificate_pem_path + "'.");
  }
  SSL_CTX_set_alpn_select_cb(context.native_handle(), choose_protocol, nullptr);
  return context;
}

ssl::context make_client_tls(const std::string& ca_file) {
  ssl::context context = make(ssl::context::tls_client);
  boost::system::error_code error;
  context.set_default_verify_paths(error);  // absent on some machines: then nothing verifies
  if (!ca_file.empty()) {
    context.load_verify_file(ca_file, error);
    check(error, "file of certificate authorities", ca_file);
  }
  context.set_verify_mode(ssl::verify_peer);
  constexpr unsigned char kHttp11[] = "\x08http/1.1";  // ALPN: length, name
  SSL_CTX_set_alpn_protos(context.native_handle(), kHttp11, sizeof(kHttp11) - 1);
  return context;
}

}  // namespace tessera::http

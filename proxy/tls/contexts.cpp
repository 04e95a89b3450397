#include "proxy/tls/contexts.hpp"

#include "proxy/tls/x509.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <string_view>

namespace hubgate::proxy {

namespace {

constexpr long k_life_days = 825; // what clients accept at most
constexpr long k_renew_days = 30;
constexpr long k_day = 24L * 3600;

// The server's wire form of "http/1.1".
constexpr std::array<unsigned char, 9> k_alpn = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_length,
                const unsigned char* offered, unsigned offered_length, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, k_alpn.data(), k_alpn.size(), offered,
                            offered_length) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

void common_options(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

Certificate make_certificate(EVP_PKEY* key, const std::string& host) {
  Certificate certificate = blank_certificate(key, k_life_days * k_day);
  if (!certificate) return nullptr;
  X509_NAME* name = X509_get_subject_name(certificate.get());
  set_common_name(name, "hubgate");
  X509_set_issuer_name(certificate.get(), name);
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  const std::unique_ptr<ASN1_OCTET_STRING, Deleter<ASN1_OCTET_STRING_free>> address(
      a2i_IPADDRESS(host.c_str()));
  if (!host.empty() && host != "localhost" && host != "127.0.0.1" && host != "::1" &&
      host != "0.0.0.0" && host != "::")
    names += (address ? ",IP:" : ",DNS:") + host;
  // It is its own authority: clients that trust the file trust exactly this certificate.
  const bool extended =
      add_extension(certificate.get(), nullptr, NID_basic_constraints, "critical,CA:TRUE") &&
      add_extension(certificate.get(), nullptr, NID_key_usage,
                    "critical,digitalSignature,keyCertSign") &&
      add_extension(certificate.get(), nullptr, NID_ext_key_usage, "serverAuth") &&
      add_extension(certificate.get(), nullptr, NID_subject_key_identifier, "hash") &&
      add_extension(certificate.get(), nullptr, NID_subject_alt_name, names);
  if (!extended || X509_sign(certificate.get(), key, EVP_sha256()) == 0) return nullptr;
  return certificate;
}

// Whether a certificate made earlier still does.
bool usable(X509* certificate, const std::string& host) {
  const time_t soon = time(nullptr) + k_renew_days * k_day;
  time_t when = soon;
  if (X509_cmp_time(X509_get0_notAfter(certificate), &when) <= 0) return false;
  if (host.empty() || host == "0.0.0.0" || host == "::") return true;
  return X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1 ||
         X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
}

} // namespace

void ContextDeleter::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

Result<TlsContext> server_context(const std::string& cert_file, const std::string& key_file) {
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  if (!context) return Error{"TLS: " + openssl_error()};
  common_options(context.get());
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1)
    return Error{cert_file + ": no certificate in PEM form: " + openssl_error()};
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return Error{key_file + ": no private key in PEM form: " + openssl_error()};
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return Error{key_file + ": is not the key of " + cert_file};
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

Result<TlsContext> asking_context(const std::string& cert_file, const std::string& key_file,
                                  const std::string& client_ca, const std::string& crl) {
  TlsContext context = HUBGATE_TRY(server_context(cert_file, key_file));
  SSL_CTX* const asking = context.get();
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(client_ca.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(asking, client_ca.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return Error{client_ca + ": no certificates in PEM form: " + openssl_error()};
  }
  SSL_CTX_set_client_CA_list(asking, names);
  SSL_CTX_set_verify(asking, SSL_VERIFY_PEER, nullptr);
  // Nobody resumes: a certificate that was withdrawn is not let in by an old session.
  SSL_CTX_set_options(asking, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(asking, 0);
  if (crl.empty()) return context;
  X509_STORE* store = SSL_CTX_get_cert_store(asking);
  X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, crl.c_str(), X509_FILETYPE_PEM) < 1)
    return Error{crl + ": no revocation lists in PEM form: " + openssl_error()};
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return context;
}

Result<TlsContext> leaf_context(x509_st* leaf, evp_pkey_st* key,
                                const std::vector<x509_st*>& chain) {
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  if (!context) return Error{"TLS: " + openssl_error()};
  common_options(context.get());
  bool set = SSL_CTX_use_certificate(context.get(), leaf) == 1 &&
             SSL_CTX_use_PrivateKey(context.get(), key) == 1;
  for (x509_st* above: chain)
    set = set && SSL_CTX_add1_chain_cert(context.get(), above) == 1;
  if (!set) return Error{"TLS: " + openssl_error()};
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

Result<TlsContext> client_context(const std::string& ca_file) {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) return Error{"TLS: " + openssl_error()};
  common_options(context.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), k_alpn.data(), k_alpn.size());
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1)
      return Error{"the system's certificate store can't be read: " + openssl_error()};
  } else if (SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) != 1) {
    return Error{ca_file + ": no certificates in PEM form: " + openssl_error()};
  }
  return context;
}

Result<OwnCertificate> own_certificate(const std::filesystem::path& dir, const std::string& host) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (failed) return Error{dir.string() + ": " + failed.message()};
  std::filesystem::permissions(dir, std::filesystem::perms::owner_all, failed);
  OwnCertificate out;
  out.cert_file = dir / "gate.pem";
  out.key_file = dir / "gate.key";
  if (const auto old = read_certificate(out.cert_file);
      old && usable(old.get(), host) && std::filesystem::exists(out.key_file)) {
    out.fingerprint = fingerprint_of(old.get());
    return out;
  }
  Key key(EVP_EC_gen("P-256"));
  if (!key) return Error{"no key could be made: " + openssl_error()};
  const Certificate certificate = make_certificate(key.get(), host);
  if (!certificate) return Error{"no certificate could be made: " + openssl_error()};
  auto stored = write_private(out.key_file, 0600, [&](FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (!stored) return stored.error();
  stored = write_private(out.cert_file, 0644,
                         [&](FILE* file) { return PEM_write_X509(file, certificate.get()); });
  if (!stored) return stored.error();
  out.fingerprint = fingerprint_of(certificate.get());
  out.made_now = true;
  return out;
}

} // namespace hubgate::proxy

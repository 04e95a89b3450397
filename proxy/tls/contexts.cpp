#include "proxy/tls/contexts.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

constexpr long k_life_days = 825; // what clients accept at most
constexpr long k_renew_days = 30;
constexpr long k_day = 24L * 3600;

template <auto Free> struct Deleter {
  template <typename T> void operator()(T* value) const { Free(value); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using File = std::unique_ptr<FILE, Deleter<fclose>>;

std::string why() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = code ? ERR_reason_error_string(code) : nullptr;
  return text ? text : "unknown error";
}

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

bool add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Certificate make_certificate(EVP_PKEY* key, const std::string& host) {
  Certificate certificate(X509_new());
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), serial.size()) != 1) return nullptr;
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -k_day);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), k_life_days * k_day);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const std::string_view common = "hubgate";
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common.data()),
                             static_cast<int>(common.size()), -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  const std::unique_ptr<ASN1_OCTET_STRING, Deleter<ASN1_OCTET_STRING_free>> address(
      a2i_IPADDRESS(host.c_str()));
  if (!host.empty() && host != "localhost" && host != "127.0.0.1" && host != "::1" &&
      host != "0.0.0.0" && host != "::")
    names += (address ? ",IP:" : ",DNS:") + host;
  // It is its own authority: clients that trust the file trust exactly this certificate.
  const bool extended =
      add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE") &&
      add_extension(certificate.get(), NID_key_usage, "critical,digitalSignature,keyCertSign") &&
      add_extension(certificate.get(), NID_ext_key_usage, "serverAuth") &&
      add_extension(certificate.get(), NID_subject_key_identifier, "hash") &&
      add_extension(certificate.get(), NID_subject_alt_name, names);
  if (!extended || X509_sign(certificate.get(), key, EVP_sha256()) == 0) return nullptr;
  return certificate;
}

// Written under another name first, so that a killed process leaves no half file.
template <typename Write>
Result<void> write_private(const std::filesystem::path& path, mode_t mode, Write write) {
  const std::string temporary = path.string() + ".new";
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return Error{temporary + ": " + std::strerror(errno)};
  File file(::fdopen(fd, "w"));
  const bool written = write(file.get()) == 1 && std::fflush(file.get()) == 0 && ::fsync(fd) == 0;
  file.reset();
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    ::unlink(temporary.c_str());
    return Error{path.string() + ": can't be written"};
  }
  return {};
}

Certificate read_certificate(const std::filesystem::path& path) {
  File file(std::fopen(path.c_str(), "re"));
  if (!file) return nullptr;
  return Certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
}

std::string fingerprint_of(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &length);
  std::string out;
  char pair[4];
  for (unsigned i = 0; i < length; ++i) {
    std::snprintf(pair, sizeof pair, "%s%02X", i ? ":" : "", digest[i]);
    out += pair;
  }
  return out;
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
  if (!context) return Error{"TLS: " + why()};
  common_options(context.get());
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1)
    return Error{cert_file + ": no certificate in PEM form: " + why()};
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return Error{key_file + ": no private key in PEM form: " + why()};
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return Error{key_file + ": is not the key of " + cert_file};
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

Result<TlsContext> client_context(const std::string& ca_file) {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) return Error{"TLS: " + why()};
  common_options(context.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), k_alpn.data(), k_alpn.size());
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1)
      return Error{"the system's certificate store can't be read: " + why()};
  } else if (SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) != 1) {
    return Error{ca_file + ": no certificates in PEM form: " + why()};
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
  if (!key) return Error{"no key could be made: " + why()};
  const Certificate certificate = make_certificate(key.get(), host);
  if (!certificate) return Error{"no certificate could be made: " + why()};
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

#pragma once
// TLS contexts of the gate: as a server (a certificate from files, or one of its own making that
// stays in the data directory), and as a client of the upstream (system store, names checked).
// ALPN offers http/1.1 only; TLS 1.2 is the oldest.
#include "scanner/core/result.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct evp_pkey_st;
struct ssl_ctx_st;
struct x509_st;

namespace hubgate::proxy {

struct ContextDeleter {
  void operator()(ssl_ctx_st* context) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, ContextDeleter>;

Result<TlsContext> server_context(const std::string& cert_file, const std::string& key_file);
/// The same, and clients are asked for a certificate by `client_ca` (PEM file), which is not in
/// `crl` (PEM file; "": none). Those who have none get in: whether they may is for the caller to
/// say.
Result<TlsContext> asking_context(const std::string& cert_file, const std::string& key_file,
                                  const std::string& client_ca, const std::string& crl);
/// For a certificate that was minted; `chain`: what lies between it and a root. Takes references.
Result<TlsContext> leaf_context(x509_st* leaf, evp_pkey_st* key,
                                const std::vector<x509_st*>& chain);
/// `ca_file`: trusted beside nothing else; empty: the system's store (and SSL_CERT_FILE).
Result<TlsContext> client_context(const std::string& ca_file);

struct OwnCertificate {
  std::string cert_file, key_file;
  std::string fingerprint; ///< sha256 of the DER form, hex with colons
  bool made_now = false;
};

/// The gate's own P-256 certificate in `dir`, made when there is none or it ends within 30 days.
/// It names `host`, localhost and the loopback addresses; the key is readable by the owner only.
Result<OwnCertificate> own_certificate(const std::filesystem::path& dir, const std::string& host);

} // namespace hubgate::proxy

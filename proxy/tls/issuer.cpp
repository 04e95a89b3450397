#include "proxy/tls/issuer.hpp"

#include <openssl/x509v3.h>

namespace hubgate::proxy {

Result<Issuer> Issuer::open(const CaFiles& files, const std::string& pin) {
  Issuer out(HUBGATE_TRY(CaKey::open(files, pin)));
  out.root_ = read_certificate(files.cert());
  if (!out.root_) return Error{files.cert().string() + ": no certificate in PEM form"};
  if (EVP_PKEY_eq(X509_get0_pubkey(out.root_.get()), out.key_.key()) != 1)
    return Error{(out.key_.token() ? files.token() : files.key()).string() +
                 ": is not the key of " + files.cert().string()};
  return out;
}

Result<std::string> Issuer::issue(const std::string& host, std::string_view spki) const {
  const auto* at = reinterpret_cast<const unsigned char*>(spki.data());
  const Key key(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  if (!key) return Error{"no public key"};
  const Certificate leaf = blank_certificate(key.get(), k_leaf_seconds);
  if (!leaf) return Error{"no certificate could be made: " + openssl_error()};
  set_common_name(X509_get_subject_name(leaf.get()), host.substr(0, k_max_common_name));
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(root_.get()));
  const bool extended =
      add_extension(leaf.get(), root_.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(leaf.get(), root_.get(), NID_key_usage, "critical,digitalSignature") &&
      add_extension(leaf.get(), root_.get(), NID_ext_key_usage, "serverAuth") &&
      add_extension(leaf.get(), root_.get(), NID_authority_key_identifier, "keyid") &&
      add_extension(leaf.get(), root_.get(), NID_subject_alt_name, "DNS:" + host);
  if (!extended) return Error{"no certificate could be made: " + openssl_error()};
  if (auto signed_ = key_.sign(leaf.get()); !signed_) return signed_.error();
  unsigned char* der = nullptr;
  const int length = i2d_X509(leaf.get(), &der);
  if (length <= 0) return Error{"no certificate could be made: " + openssl_error()};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

} // namespace hubgate::proxy

#pragma once
// Issuer: holds the authority's key, or the way to it, and makes leaves. Lives in the signer's
// process.
#include "proxy/tls/ca_key.hpp"

#include <string_view>

namespace hubgate::proxy {

class Issuer {
public:
  /// `pin`: what stood in HUBGATE_PKCS11_PIN.
  static Result<Issuer> open(const CaFiles& files, const std::string& pin);
  /// DER of a certificate for `host` with the public key `spki` (DER).
  Result<std::string> issue(const std::string& host, std::string_view spki) const;

private:
  explicit Issuer(CaKey key) : key_(std::move(key)) {}
  CaKey key_;
  Certificate root_;
};

} // namespace hubgate::proxy

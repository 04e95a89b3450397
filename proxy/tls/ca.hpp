#pragma once
// The organisation's authority for intercepted hosts: its files, and the certificates that it
// signs. The root is constrained (RFC 5280, 4.2.1.10) to the hosts that it was made for, so that
// even its stolen key is good for nothing else.
#include "proxy/tls/x509.hpp"

#include <vector>

namespace hubgate::proxy {

/// DIR/ca.pem, ca.key (0600) or ca.token (where its key is instead), and after a rotation
/// previous.pem and cross.pem: the new root, signed by the one before, so that machines which trust
/// that one still do.
struct CaFiles {
  explicit CaFiles(const std::filesystem::path& dir_) : dir(dir_) {}
  std::filesystem::path dir;
  std::filesystem::path cert() const { return dir / "ca.pem"; }
  std::filesystem::path key() const { return dir / "ca.key"; }
  std::filesystem::path token() const { return dir / "ca.token"; }
  std::filesystem::path cross() const { return dir / "cross.pem"; }
  std::filesystem::path previous() const { return dir / "previous.pem"; }
};

struct CaFacts {
  std::string fingerprint; ///< sha256, hex with colons
  std::string ends;        ///< "2036-11-21"
  bool expired = false;
  std::vector<std::string> hosts; ///< it may sign for them and what is below them
};

struct TokenPlace; // proxy/tls/ca_key.hpp

/// Where the key of a new root shall be. Without a token: in a file; at a rotation: where it is.
struct KeyWish {
  const TokenPlace* token = nullptr; ///< its key is made when it is not there
  bool another = false;              ///< it is made even if there is one of that name
  std::string pin;                   ///< what stood in HUBGATE_PKCS11_PIN
};

/// Makes the root in `files.dir` for `hosts` (patterns). An error when there is one already.
Result<void> make_ca(const CaFiles& files, const std::vector<std::string>& hosts,
                     const KeyWish& wish = {});
/// Makes a new root and a certificate for it by the old one, whose key is deleted if it was made
/// here.
Result<void> rotate_ca(const CaFiles& files, const std::vector<std::string>& hosts,
                       const KeyWish& wish = {});
Result<CaFacts> ca_facts(const std::filesystem::path& cert);
/// What people install, PEM: the root, and the one before as long as machines may need it.
Result<std::string> ca_bundle(const CaFiles& files);
/// Hosts of `hosts` that the root may not sign for.
std::vector<std::string> not_covered(const CaFacts& facts, const std::vector<std::string>& hosts);

/// How long a leaf is good, and how long before its end another one is made.
inline constexpr long k_leaf_seconds = 24L * 3600;
inline constexpr long k_leaf_renewal = 6L * 3600;
/// ub-common-name (RFC 5280, appendix A).
inline constexpr std::size_t k_max_common_name = 64;

} // namespace hubgate::proxy

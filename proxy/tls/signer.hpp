#pragma once
// Signer: the process that holds the authority's key, or the way to the token with it, and does
// nothing else. It signs for the hosts that are intercepted, for the one public key that it was
// started with, and for nothing else; what it may still do then: proxy/tls/signer_sandbox.hpp.
#include "proxy/tls/ca.hpp"
#include "scanner/worker/spool.hpp"

#include <mutex>

namespace hubgate::proxy {

class Signer {
public:
  /// Forks: before threads are started. `hosts`: patterns. `pin`: see hide_pin(). The error names
  /// what is wrong with the key, the token, or the sandbox.
  static Result<std::unique_ptr<Signer>> start(const CaFiles& files, std::vector<std::string> hosts,
                                               Fd pin = {});
  /// Takes HUBGATE_PKCS11_PIN out of the environment, into a pipe that the signer empties: no other
  /// process of the gate, and none that it starts, has it in memory. Nothing: it is not set.
  static Fd hide_pin();
  ~Signer();
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  /// A certificate for `host` and key(). Blocks for a millisecond; thread-safe.
  Result<Certificate> sign(const std::string& host);
  EVP_PKEY* key() const { return key_.get(); }
  pid_t pid() const { return pid_; }

private:
  Signer() = default;
  Key key_; ///< of the leaves, all of them
  Fd socket_;
  pid_t pid_ = -1;
  std::mutex mutex_;
};

} // namespace hubgate::proxy

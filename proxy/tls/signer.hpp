#pragma once
// Signer: the process that holds the authority's key, and does nothing else. It signs for the hosts
// that are intercepted, for the one public key that it was started with, and for nothing else; it
// opens no file once it has read the key and can call next to nothing.
#include "proxy/tls/ca.hpp"
#include "scanner/worker/spool.hpp"

#include <mutex>

namespace hubgate::proxy {

class Signer {
public:
  /// Forks: before threads are started. `hosts`: patterns. The error names what is wrong with the
  /// key, or with the sandbox.
  static Result<std::unique_ptr<Signer>> start(const CaFiles& files,
                                               std::vector<std::string> hosts);
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

#pragma once
// Leaves: a TLS context for each intercepted host that somebody asks for, with a certificate that
// the signer makes then. The last ones are kept until they are about to end.
#include "proxy/net/loop.hpp"
#include "proxy/relay/recent.hpp"
#include "proxy/tls/contexts.hpp"
#include "proxy/tls/signer.hpp"

namespace hubgate::proxy {

class Leaves {
public:
  /// `chain`: certificates between leaf and root, perhaps none. Borrows the signer.
  Leaves(Loop& loop, Signer& signer, std::vector<Certificate> chain)
      : loop_(loop), signer_(signer), chain_(std::move(chain)) {}

  /// Null with a line in `error`.
  Task<std::shared_ptr<ssl_ctx_st>> context_for(std::string host, std::string& error);

private:
  struct Leaf {
    std::shared_ptr<ssl_ctx_st> context;
    TimePoint until;
  };
  Loop& loop_;
  Signer& signer_;
  std::vector<Certificate> chain_;
  Recent<Leaf> leaves_{1024};
};

} // namespace hubgate::proxy

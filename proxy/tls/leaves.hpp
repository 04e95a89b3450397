#pragma once
// Leaves: a TLS context for each intercepted host that somebody asks for, with a certificate that
// the signer makes then. The last ones are kept until they are about to end.
#include "proxy/relay/pace.hpp"
#include "proxy/tls/contexts.hpp"
#include "proxy/tls/signer.hpp"

namespace hubgate::proxy {

class Leaves {
public:
  /// New names that one client may ask for at once, and after which time for one more: a wildcard
  /// has as many as somebody makes up, and each costs a signature and a place among the kept.
  static constexpr unsigned k_names = 64;
  static constexpr auto k_name_each = std::chrono::seconds(2);

  /// `chain`: certificates between leaf and root, perhaps none. Borrows the signer.
  Leaves(Loop& loop, Signer& signer, std::vector<Certificate> chain)
      : loop_(loop), signer_(signer), chain_(std::move(chain)), names_(k_names, k_name_each),
        minted_(loop) {}

  struct Answer {
    std::shared_ptr<ssl_ctx_st> context; ///< null: `error` says why
    std::string error;
    bool too_many = false; ///< `who` has asked for too many new names
  };
  /// `who`: the one that new names are counted for. They are made one after the other.
  Task<Answer> context_for(std::string host, std::string who);

private:
  Task<Answer> mint(std::string host);

  struct Leaf {
    std::shared_ptr<ssl_ctx_st> context;
    TimePoint until;
  };
  Loop& loop_;
  Signer& signer_;
  std::vector<Certificate> chain_;
  Recent<Leaf> leaves_{1024};
  Pace names_;
  bool minting_ = false;
  Event minted_;
};

} // namespace hubgate::proxy

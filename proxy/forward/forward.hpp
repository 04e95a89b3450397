#pragma once
// Forward: the gate as HTTPS_PROXY. CONNECT to a hub, or to a host with its files, is opened with a
// certificate of the gate's authority, and what is asked inside takes the same roads as at the
// endpoint; other hosts are tunnelled untouched, or refused. CONNECT, the TLS server name and the
// Host field must agree.
#include "proxy/forward/auth.hpp"
#include "proxy/relay/gate.hpp"
#include "proxy/tls/leaves.hpp"

namespace hubgate::proxy {

class Forward {
public:
  /// Speaks HTTP on a connection that was opened, to its end.
  using Talk = std::function<Task<void>(Connection&, const Guest&)>;

  Forward(Gate& gate, const ForwardConfig& config, Signer& signer, std::vector<Certificate> chain,
          Talk talk);

  Result<void> open() { return door_.open(); }
  /// One client's connection, from its first byte.
  Task<void> serve(Connection& connection, Guest guest);

private:
  /// What is done with a host.
  struct Way {
    enum class Kind { open, tunnel, refuse } kind = Kind::refuse;
    const Hub* hub = nullptr; ///< of an opened one
    bool files = false;       ///< it has files of the hub, and no API
    std::string rule, reason; ///< of a refusal
  };
  Way way_to(const Authority& where) const;
  /// True: another request may follow on this connection.
  Task<bool> serve_one(Connection& connection, Guest& guest);
  Task<bool> let_in(Visit& visit, Guest& guest);
  Task<void> open_host(Visit& visit, Guest guest, Authority where, Way way);
  Task<void> tunnel(Visit& visit, Authority where);
  /// The client's first bytes, to the end of its ClientHello. False: there is none that names
  /// `where`, and the connection has been ended.
  Task<bool> read_first(Visit& visit, const Authority& where, std::vector<std::uint8_t>& first);

  Gate& gate_;
  const ForwardConfig& config_;
  Leaves leaves_;
  Doorkeeper door_;
  Talk talk_;
};

/// Patterns of all hosts that are opened: what the authority must be good for.
std::vector<std::string> intercepted_hosts(const ServeConfig& config);

} // namespace hubgate::proxy

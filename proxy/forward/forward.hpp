#pragma once
// Forward: the gate as HTTPS_PROXY, and as the router that connections are redirected to. What
// leads to a hub, or to a host with its files, is opened with a certificate of the gate's
// authority, and what is asked inside takes the same roads as at the endpoint; other hosts are
// tunnelled untouched, or refused. CONNECT, the TLS server name and the Host field must agree.
#include "proxy/forward/auth.hpp"
#include "proxy/forward/hello.hpp"
#include "proxy/forward/original.hpp"
#include "proxy/relay/gate.hpp"
#include "proxy/relay/pace.hpp"
#include "proxy/tls/leaves.hpp"

namespace hubgate::proxy {

/// A connection that was meant for somebody else.
struct Captured {
  Captured(Endpoint peer_, Endpoint original_) : peer(peer_), original(original_) {}
  Endpoint peer, original;
};

class Forward {
public:
  /// Speaks HTTP on a connection that was opened, to its end. False: the client asked nothing.
  using Talk = std::function<Task<bool>(Connection&, const Guest&)>;

  Forward(Gate& gate, const ForwardConfig& config, Signer& signer, std::vector<Certificate> chain,
          Talk talk);

  Result<void> open() { return door_.open(); }
  /// One client's connection, from its first byte.
  Task<void> serve(Connection& connection, Guest guest);
  /// The proxy's own TLS did not come about.
  Task<void> note_no_tls(std::string from, std::string reason);
  /// One that the network redirected.
  Task<void> capture(Connection& connection, Guest guest, Captured captured);

private:
  /// What is done with a host.
  struct Way {
    enum class Kind { open, tunnel, refuse } kind = Kind::refuse;
    const Hub* hub = nullptr; ///< of an opened one
    bool files = false;       ///< it has files of the hub, and no API
    std::string rule, reason; ///< of a refusal
  };
  /// Why something is not done; `rule` is empty when it merely failed.
  struct Refusal {
    std::string rule, reason;
  };
  bool passes(std::uint16_t port) const;
  /// By the host, and by the port too.
  Way way_of(const Authority& where) const;
  Way way_to(const Authority& where) const;
  /// True: another request may follow on this connection.
  /// `unnamed`: why a certificate that was shown names nobody.
  Task<bool> serve_one(Connection& connection, Guest& guest, const std::string& unnamed);
  Task<bool> let_in(Visit& visit, Guest& guest, const std::string& unnamed);
  Task<void> note_distrust(Visit& visit, std::string host, std::string why);
  Task<void> open_host(Visit& visit, Guest guest, Authority where, Way way);
  Task<void> tunnel(Visit& visit, Authority where);
  /// The client's first bytes, to the end of its ClientHello; an incomplete one when it ended.
  Task<Hello> read_hello_from(Visit& visit, std::vector<std::uint8_t>& first);
  /// The same. False: it does not name `where`, and the connection has been ended.
  Task<bool> read_first(Visit& visit, const Authority& where, std::vector<std::uint8_t>& first);
  /// Null with a line in `error`, which has been told to the administrator. `too_many`: this client
  /// has asked for too many names.
  Task<std::shared_ptr<ssl_ctx_st>> leaf_for(Visit& visit, const Authority& where,
                                             std::string& error, bool& too_many);
  /// TLS as `where`, and HTTP inside. `first`: what the client has sent of it.
  Task<void> speak(Visit& visit, Guest guest, Authority where, Way way,
                   std::shared_ptr<ssl_ctx_st> context, std::vector<std::uint8_t> first);
  /// A connection for a tunnel. Null: `refusal` says why.
  Task<std::unique_ptr<Stream>> dial_out(Visit& visit, const Authority& where, Refusal& refusal);
  /// Both directions, to the end. `first`: what the client has sent.
  Task<void> carry_both(Visit& visit, std::unique_ptr<Stream> server,
                        std::vector<std::uint8_t> first);
  Task<void> note_refusal(Visit& visit, std::string rule, std::string reason);
  Task<void> capture_tls(Visit& visit, Guest guest, Captured captured, Authority original);
  Task<void> capture_http(Visit& visit, Captured captured, Authority original);
  Task<std::unique_ptr<Stream>> dial_original(Visit& visit, const Authority& original,
                                              Refusal& refusal);

  Gate& gate_;
  const ForwardConfig& config_;
  Leaves leaves_;
  Doorkeeper door_;
  Talk talk_;
  Pace told_{1, std::chrono::minutes(1)}; ///< of names, to the audit log, by address
};

/// Patterns of all hosts that are opened: what the authority must be good for.
std::vector<std::string> intercepted_hosts(const ServeConfig& config);

} // namespace hubgate::proxy

#pragma once
// Dialer: connections out of the gate. A name leads to the address that the configuration gives
// it, or to what it resolves to if the caller allows that address, or through the gate's own proxy.
#include "proxy/forward/config.hpp"
#include "proxy/tls/stream.hpp"

#include <functional>
#include <memory>
#include <set>

namespace hubgate::proxy {

class Dialer {
public:
  /// Borrows both.
  Dialer(Loop& loop, const OutwardConfig& config) : loop_(loop), config_(config) {}

  /// Asked of every address that a name resolved to, after it was resolved and before it is
  /// connected to; not of addresses from the configuration.
  using Allowed = std::function<bool(const asio::ip::address&)>;

  struct Dialed {
    std::unique_ptr<Stream> stream; ///< null: `error` says why
    /// Of a resolved name; nothing when the configuration or the proxy chose the way.
    std::optional<asio::ip::address> address;
    std::string error;
    bool forbidden = false; ///< only addresses that are not allowed were found
  };
  /// TCP, without TLS yet.
  Task<Dialed> dial(std::string host, std::uint16_t port, const Allowed& allowed);

  /// Whether a connection of the gate's own comes from there: then it was led back to the gate.
  bool is_own(const asio::ip::tcp::endpoint& from) const { return own_->contains(from); }

private:
  Task<void> connect(Dialed& out, std::string host, std::uint16_t port, const Allowed* allowed);
  Task<void> ask_proxy(Dialed& out, std::string host, std::uint16_t port);

  Loop& loop_;
  const OutwardConfig& config_;
  using Own = std::multiset<asio::ip::tcp::endpoint>;
  std::shared_ptr<Own> own_ = std::make_shared<Own>(); ///< our ends of what is connected
};

} // namespace hubgate::proxy

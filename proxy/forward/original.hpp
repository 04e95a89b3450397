#pragma once
// Connections that the network sends here though they were meant for somebody else: REDIRECT
// rewrites their destination and remembers it (SO_ORIGINAL_DST, linux/netfilter_ipv4.h), TPROXY
// leaves it as it is, so that it is the socket's own address (Documentation/networking/tproxy.rst).
#include "proxy/config.hpp"
#include "proxy/net/loop.hpp"
#include "scanner/worker/spool.hpp"

#include <optional>

namespace hubgate::proxy {

using Endpoint = asio::ip::tcp::endpoint;

struct CaptureSocket {
  Fd fd;               ///< bound, not listening yet
  bool tproxy = false; ///< may take connections to foreign addresses (IP_TRANSPARENT)
};

/// Binds `address` ("[::]:PORT" takes IPv4 too). Where CAP_NET_ADMIN is missing there is no TPROXY.
Result<CaptureSocket> bind_captured(const Address& address);

/// Gives up CAP_NET_ADMIN and CAP_NET_RAW for good, of this thread and those that it starts.
void drop_network_capabilities();

/// Where a captured connection was going. Nothing: it is no longer connected.
std::optional<Endpoint> original_destination(asio::ip::tcp::socket& socket);

/// IPv4 addresses in IPv6 form as what they are.
Endpoint unmapped(const Endpoint& endpoint);

/// Whether an interface of this machine has the address.
bool is_own_address(const asio::ip::address& address);

} // namespace hubgate::proxy

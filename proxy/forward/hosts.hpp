#pragma once
// Which hosts the forward proxy opens, tunnels or refuses, and which addresses it connects to.
// Everything here is about names and numbers; nothing is resolved.
#include "proxy/hub/follow.hpp"

#include <boost/asio/ip/address.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace hubgate::proxy {

/// "HOST:PORT" of a CONNECT request (RFC 9112, 3.2.3).
struct Authority {
  std::string host; ///< lower case, no brackets, no final dot
  std::uint16_t port = 0;
  bool is_address = false; ///< a literal IPv4 or IPv6 address

  std::string text() const;
};
/// Names of letters, digits, '.', '-' and '_', IPv4 and bracketed IPv6; a port from 1 to 65535.
/// Names whose last label is a number (other spellings of addresses) are refused.
Result<Authority> parse_authority(std::string_view text);

/// Addresses with a common beginning: "10.0.0.0/8", "fd00::/8", or a single one.
class Network {
public:
  static Result<Network> parse(std::string_view text);
  bool contains(const boost::asio::ip::address& address) const;

private:
  boost::asio::ip::address first_;
  unsigned bits_ = 0;
};
bool contains(const std::vector<Network>& networks, const boost::asio::ip::address& address);

/// Whether `host` is `pattern` or, for "*.example.org", below it (not example.org itself).
bool host_matches(std::string_view host, std::string_view pattern);
bool host_matches(std::string_view host, const std::vector<std::string>& patterns);

/// Hosts with files of huggingface.co beside the hub itself: CDN, Xet and upload storage.
std::vector<std::string> default_intercept_hosts(const Origin& hub);
/// Other names under which the hub answers with the same content.
std::vector<std::string> aliases_of(const Origin& hub);

} // namespace hubgate::proxy

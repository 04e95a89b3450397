#pragma once
// Whom the gate follows: redirects and LFS links of the upstream, to configured hosts only, and the
// addresses that their names may lead to.
#include "proxy/hub/url.hpp"

#include <boost/asio/ip/address.hpp>

namespace hubgate::proxy {

/// The kinds of address that a name may lead to, from the widest reachable to the nearest.
enum class Reachability { global, local, loopback };
Reachability reachability(const boost::asio::ip::address& address);

struct FollowRules {
  Origin upstream;
  /// "cdn.example.org", or "*.example.org" for everything below it (not itself).
  std::vector<std::string> hosts;

  /// Why `url` is not followed, or nothing when it is. Never from TLS to plain HTTP.
  std::optional<std::string> refusal(const Url& url) const;
};

/// A hub that the gate stands in front of.
struct Hub {
  Hub(Url base_, std::vector<std::string> follow);
  Url base;          ///< its target is "/"
  FollowRules rules; ///< whom its redirects and links may lead to
  std::string name;  ///< as policies match it: its host
  /// How near its address was when it was last connected to; nothing else of it may be nearer.
  mutable Reachability at = Reachability::global;
};

/// Whether a connection for `origin` may go to `address`: the upstream itself anywhere, the others
/// not nearer than the upstream's own address is (`upstream_at`).
bool address_allowed(const FollowRules& rules, const Origin& origin,
                     const boost::asio::ip::address& address, Reachability upstream_at);

/// The hosts that huggingface.co redirects to.
std::vector<std::string> default_follow_hosts(const Origin& upstream);

} // namespace hubgate::proxy

#include "proxy/hub/follow.hpp"

namespace hubgate::proxy {

namespace ip = boost::asio::ip;

Reachability reachability(const ip::address& address) {
  if (address.is_v6()) {
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return reachability(ip::make_address_v4(ip::v4_mapped, v6));
    if (v6.is_loopback() || v6.is_unspecified()) return Reachability::loopback;
    const auto bytes = v6.to_bytes();
    const bool unique_local = (bytes[0] & 0xfe) == 0xfc;
    // 64:ff9b::/96 and 2002::/16 carry an IPv4 address that would have to be judged in turn.
    const bool carries_v4 =
        (bytes[0] == 0x00 && bytes[1] == 0x64) || (bytes[0] == 0x20 && bytes[1] == 0x02);
    const bool global = !unique_local && !carries_v4 && !v6.is_link_local() &&
                        !v6.is_site_local() && !v6.is_multicast();
    return global ? Reachability::global : Reachability::local;
  }
  const auto bytes = address.to_v4().to_bytes();
  if (bytes[0] == 127 || bytes[0] == 0) return Reachability::loopback;
  const bool local = bytes[0] == 10 || (bytes[0] == 172 && (bytes[1] & 0xf0) == 16) ||
                     (bytes[0] == 192 && bytes[1] == 168) || (bytes[0] == 169 && bytes[1] == 254) ||
                     (bytes[0] == 100 && (bytes[1] & 0xc0) == 64) ||
                     (bytes[0] == 198 && (bytes[1] & 0xfe) == 18) || bytes[0] >= 224;
  return local ? Reachability::local : Reachability::global;
}

Hub::Hub(Url base_, std::vector<std::string> follow) : base(std::move(base_)) {
  base.target = "/";
  name = base.origin.host;
  rules.upstream = base.origin;
  rules.hosts = std::move(follow);
  if (is_loopback_host(name)) at = Reachability::loopback;
}

std::optional<std::string> FollowRules::refusal(const Url& url) const {
  if (url.origin == upstream) return std::nullopt;
  if (upstream.tls && !url.origin.tls)
    return "the upstream redirects from https to http (" + url.origin.text() + ")";
  if (is_loopback_host(upstream.host) && is_loopback_host(url.origin.host)) return std::nullopt;
  for (const std::string& host: hosts) {
    if (url.origin.host == host) return std::nullopt;
    if (host.rfind("*.", 0) != 0) continue;
    const std::string_view suffix = std::string_view(host).substr(1);
    if (url.origin.host.size() > suffix.size() && url.origin.host.ends_with(suffix))
      return std::nullopt;
  }
  return "the upstream redirects to " + url.origin.text() +
         ", which is not in the configuration's follow list";
}

bool address_allowed(const FollowRules& rules, const Origin& origin, const ip::address& address,
                     Reachability upstream_at) {
  if (origin == rules.upstream) return true;
  return reachability(address) <= upstream_at;
}

std::vector<std::string> default_follow_hosts(const Origin& upstream) {
  if (upstream.host != "huggingface.co") return {};
  return {"cdn-lfs.huggingface.co", "cdn-lfs.hf.co", "cdn-lfs-us-1.hf.co",
          "cdn-lfs-us-1.huggingface.co", "cdn-lfs-eu-1.hf.co", "cdn-lfs-eu-1.huggingface.co",
          "cas-bridge.xethub.hf.co",
          // Xet: the CAS and where it keeps its xorbs.
          "cas-server.xethub.hf.co", "cas-server.xethub-eu.hf.co", "transfer.xethub.hf.co",
          "transfer.xethub-eu.hf.co", "us.aws.cdn.hf.co", "us.gcp.cdn.hf.co"};
}

} // namespace hubgate::proxy

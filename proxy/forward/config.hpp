#pragma once
// What `hubgate.yaml` says about standing as a forward proxy, and about the ways out of the gate:
// names with fixed addresses, the gate's own proxy, load balancers in front of it.
#include "proxy/forward/hosts.hpp"

#include <map>
#include <optional>

namespace hubgate::yaml {
class Mapping;
}

namespace hubgate::proxy {

/// How a certificate of a client names its person.
struct CertificateRules {
  std::string ca;  ///< PEM file: who may issue them; "": none are asked for
  std::string crl; ///< PEM file of revocation lists; "": none
  enum class User { cn, email, upn, uri, dns } user = User::cn;
  enum class Groups { none, ou, o } groups = Groups::ou;
};

struct ForwardConfig {
  std::string listen;      ///< 127.0.0.1:3128 unless it is `transparent` alone; "": no CONNECT
  std::string transparent; ///< HOST:PORT of connections that the network redirects; "": none
  std::vector<Url> hubs;   ///< beside the upstream
  std::vector<std::string> intercept; ///< hosts with files; patterns
  std::vector<std::string> tunnel;    ///< exceptions from them
  bool refuse_others = false;
  std::vector<std::uint16_t> ports = {443}; ///< that CONNECT may name
  std::vector<Network> reach;      ///< addresses in networks of one's own that tunnels may lead to
  std::string users;               ///< file of NAME:HASH[:GROUP,…] lines
  std::vector<std::string> helper; ///< a program that is asked instead, with its arguments
  std::string tls_cert, tls_key;   ///< PEM files: `listen` speaks TLS; "": it does not
  CertificateRules certificates;
};

/// A proxy between the gate and the hubs.
struct OutwardProxy {
  std::string host;
  std::uint16_t port = 0;
  std::string authorization; ///< value of Proxy-Authorization, or ""
};

struct OutwardConfig {
  struct Place {
    std::string host;       ///< address or name to go to instead
    std::uint16_t port = 0; ///< 0: the one that was asked for
  };
  std::map<std::string, Place> resolve; ///< by host
  std::optional<OutwardProxy> proxy;
  std::vector<std::string> direct; ///< hosts that the proxy is not asked for; patterns
};

void read_forward(yaml::Mapping& map, ForwardConfig& config);
/// "http://[USER:PASSWORD@]HOST:PORT".
Result<OutwardProxy> parse_outward_proxy(std::string_view text);
/// `resolve:` and `upstream_proxy:`; what they leave open is taken from HTTPS_PROXY and NO_PROXY.
void read_outward(yaml::Mapping& top, OutwardConfig& config);
/// A list of host patterns; "example.org" and "*.example.org".
void read_hosts(yaml::Mapping& map, const char* key, std::vector<std::string>& into);
void read_networks(yaml::Mapping& map, const char* key, std::vector<Network>& into);

/// Whether the gate's own proxy is asked for this host. Never for this machine.
bool goes_through(const OutwardConfig& config, std::string_view host);

} // namespace hubgate::proxy

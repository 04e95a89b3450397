#pragma once
// The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt): what a
// load balancer writes before the first byte of its client, so that the gate knows whose it is.
// Only read from configured addresses.
#include "scanner/core/bytes.hpp"

#include <string>

namespace hubgate::proxy {

/// Longer headers (version 2 with much beside the addresses) are taken for broken.
inline constexpr std::size_t k_max_proxy_header = 536;

struct ProxyHeader {
  enum class Kind { incomplete, broken, complete };
  Kind kind = Kind::incomplete;
  std::size_t size = 0; ///< bytes of the header, when complete
  std::string client;   ///< address as text; "" when the balancer speaks for itself
};

ProxyHeader read_proxy_header(Bytes bytes);

} // namespace hubgate::proxy

#pragma once
// ICAP (RFC 3507): a proxy that stands elsewhere (squid, another gateway) hands over what passes
// through it and asks. RESPMOD for what is pulled, REQMOD for what is pushed; the objects take the
// way of all objects (relay/), only the answers are wrapped. What no upstream of ours can be asked
// about (who may read it, whether a range belongs to a judged object) is the other proxy's.
#include "proxy/relay/gate.hpp"

namespace hubgate::proxy {

/// Serves one client until it ends.
Task<void> serve_icap(Gate& gate, std::shared_ptr<asio::ip::tcp::socket> socket);

} // namespace hubgate::proxy

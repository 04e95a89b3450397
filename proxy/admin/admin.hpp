#pragma once
// Admin pages: /healthz (the process answers), /readyz (it takes requests), /metrics (Prometheus
// text). Plain HTTP on an address of their own, which belongs on loopback or a management network.
#include "proxy/relay/gate.hpp"

namespace hubgate::proxy {

/// Answers one request on an accepted connection.
Task<void> serve_admin(Gate& gate, std::shared_ptr<asio::ip::tcp::socket> socket);

/// The text of /metrics.
std::string metrics_text(const Gate& gate);

} // namespace hubgate::proxy

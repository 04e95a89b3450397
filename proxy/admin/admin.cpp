#include "proxy/admin/admin.hpp"

#include "proxy/cache/cache.hpp"

namespace hubgate::proxy {

namespace {

constexpr auto k_limit = std::chrono::seconds(10);

class Text {
public:
  void family(std::string_view name, std::string_view kind, std::string_view help) {
    name_ = "hubgate_" + std::string(name);
    out += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
           std::string(kind) + "\n";
  }
  void value(std::uint64_t number, std::string_view label = {}, std::string_view of = {}) {
    out += name_;
    if (!label.empty()) out += "{" + std::string(label) + "=\"" + std::string(of) + "\"}";
    out += " " + std::to_string(number) + "\n";
  }
  std::string out;

private:
  std::string name_;
};

} // namespace

std::string metrics_text(const Gate& gate) {
  const Metrics& m = gate.metrics;
  Text text;
  const auto one = [&](std::string_view name, std::string_view kind, std::string_view help,
                       std::uint64_t number) {
    text.family(name, kind, help);
    text.value(number);
  };
  one("connections", "gauge", "Open client connections.", m.connections);
  one("connections_total", "counter", "Client connections accepted.", m.connections_total);
  one("connections_refused_total", "counter", "Client connections over the limit.",
      m.connections_refused);
  one("tls_failures_total", "counter", "TLS handshakes that failed.", m.tls_failures);
  one("bad_requests_total", "counter", "Requests that are no well-formed HTTP.", m.bad_requests);
  one("upstream_connections_idle", "gauge", "Kept connections to upstreams.",
      gate.upstream.pooled());
  one("scans", "gauge", "Objects being fetched and scanned.", m.scans);
  one("scans_total", "counter", "Scans started.", m.scans_total);
  one("scans_failed_total", "counter", "Fetches that ended without a report.", m.scans_failed);
  one("waiting", "gauge", "Requests waiting for a scan.", m.waiting);
  one("spool_bytes", "gauge", "Bytes held on disk for scans.", m.spool_bytes);
  one("received_bytes_total", "counter", "Body bytes from upstreams.", m.bytes_in);
  one("sent_bytes_total", "counter", "Body bytes to clients.", m.bytes_out);
  one("cut_transfers_total", "counter", "Transfers ended before their last byte.", m.cut_transfers);
  one("block_mismatches_total", "counter", "Blocks that differ from what was scanned.",
      m.block_mismatches);
  if (gate.cache) {
    const Cache::Counts& counts = gate.cache->counts();
    one("cache_hits_total", "counter", "Answers whose bytes came from the cache.", m.cache_hits);
    one("cache_misses_total", "counter", "Judged objects that were not in the cache.",
        m.cache_misses);
    one("cache_sent_bytes_total", "counter", "Body bytes from the cache.", m.cache_bytes);
    one("cache_offline_total", "counter", "Answers given while the hub could not be asked.",
        m.cache_offline);
    one("cache_kept_total", "counter", "Objects taken into the cache.", counts.kept);
    one("cache_given_up_total", "counter", "Objects that could not be written to it.",
        counts.given_up);
    one("cache_evicted_total", "counter", "Objects removed to make room.", counts.evicted);
    one("cache_withdrawn_total", "counter", "Objects removed because of their verdict.",
        counts.withdrawn);
    one("cache_damaged_total", "counter", "Objects removed because the disk gave other bytes.",
        counts.damaged);
    one("cache_bytes", "gauge", "Bytes of objects in the cache.", gate.cache->bytes());
  }
  text.family("requests_total", "counter", "Requests by route.");
  for (const auto& [route, number]: m.requests)
    text.value(number, "route", route);
  text.family("responses_total", "counter", "Responses by status.");
  for (const auto& [status, number]: m.statuses)
    text.value(number, "status", std::to_string(status));
  text.family("decisions_total", "counter", "Decisions on objects by action.");
  for (const auto& [action, number]: m.decisions)
    text.value(number, "action", action);
  text.family("refused_total", "counter", "Requests refused without a scan, by rule.");
  for (const auto& [rule, number]: m.refused)
    text.value(number, "rule", rule);
  return text.out;
}

Task<void> serve_admin(Gate& gate, std::shared_ptr<asio::ip::tcp::socket> socket) {
  Connection connection(std::make_unique<Stream>(gate.loop, std::move(*socket), nullptr));
  connection.stream().set_deadline(Clock::now() + k_limit);
  std::string text;
  const auto got = co_await connection.read_head(text);
  if (got != Connection::Got::head) co_return;
  const auto request = parse_request(text);
  int status = 404;
  std::string body = "not found\n";
  std::string type = "text/plain; charset=utf-8";
  if (!request || (request->method != "GET" && request->method != "HEAD")) {
    status = 400;
    body = "bad request\n";
  } else if (request->target == "/healthz") {
    status = 200;
    body = "ok\n";
  } else if (request->target == "/readyz") {
    status = gate.draining ? 503 : 200;
    body = gate.draining ? "draining\n" : "ready\n";
  } else if (request->target == "/metrics") {
    status = 200;
    body = metrics_text(gate);
    type = "text/plain; version=0.0.4; charset=utf-8";
  }
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " + std::string(status_text(status)) +
                     "\r\nContent-Type: " + type +
                     "\r\nContent-Length: " + std::to_string(body.size()) +
                     "\r\nConnection: close\r\n\r\n";
  if (request && request->method == "HEAD") body.clear();
  co_await connection.stream().write(as_bytes(head), as_bytes(body));
  co_await connection.stream().shutdown();
}

} // namespace hubgate::proxy

// Forward, for connections that never asked for a proxy: the network sent them here, and the name
// of their destination is read from their first bytes.
#include "proxy/forward/forward.hpp"
#include "proxy/forward/hello.hpp"
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

namespace {

constexpr std::uint16_t k_http = 80;
constexpr std::uint16_t k_https = 443;
constexpr std::uint8_t k_access_denied = 49;
constexpr std::uint8_t k_internal_error = 80;
constexpr std::uint8_t k_unrecognized_name = 112;

Authority authority_of(const Endpoint& endpoint) {
  Authority out;
  out.host = endpoint.address().to_string();
  out.port = endpoint.port();
  out.is_address = true;
  return out;
}

// A refusal that only TLS can carry to the client.
Task<void> end_with_alert(Stream& stream, std::uint8_t code) {
  const std::vector<std::uint8_t> alert = {21, 3, 3, 0, 2, 2, code};
  co_await stream.write(alert);
  co_await stream.shutdown();
}

// What the Host field of plain HTTP means; the error is for the client.
Result<Authority> host_of(const RequestHead& request, const Authority& original) {
  if (!request.target.starts_with('/') && request.target != "*")
    return Error{"a request to a server, not to a proxy, is wanted here"};
  const auto host = request.headers.get("host");
  if (!host || host->empty()) return original; // HTTP/1.0
  auto said = parse_authority(*host);
  if (!said) said = parse_authority(std::string(*host) + ":" + std::to_string(original.port));
  if (!said) return said.error();
  if (said->port != original.port) return Error{"the Host field names another port"};
  return said;
}

} // namespace

Task<void> Forward::capture(Connection& connection, Guest guest, Captured captured) {
  Visit visit(gate_, connection);
  visit.id = random_id();
  visit.from = guest.from;
  visit.keep_alive = false;
  visit.user = "anonymous";
  const Authority original = authority_of(captured.original);
  visit.asked.path = original.text();
  ++gate_.metrics.requests["captured"];
  const bool http = original.port == k_http;
  if (!http && !passes(original.port)) {
    co_await note_refusal(visit, "capture-port",
                          "connections to port " + std::to_string(original.port) +
                              " are not captured here");
    connection.stream().close();
    co_return;
  }
  if (http)
    co_await capture_http(visit, captured, original);
  else
    co_await capture_tls(visit, std::move(guest), captured, original);
}

Task<std::unique_ptr<Stream>> Forward::dial_original(Visit& visit, const Authority& original,
                                                     Refusal& refusal) {
  boost::system::error_code ignored;
  const auto address = asio::ip::make_address(original.host, ignored);
  if (is_own_address(address)) {
    refusal.rule = "loop";
    refusal.reason = original.text() + " is the gate itself";
    co_return nullptr;
  }
  auto stream = co_await dial_out(visit, original, refusal);
  co_return stream;
}

Task<void> Forward::capture_tls(Visit& visit, Guest guest, Captured captured, Authority original) {
  Stream& stream = visit.connection.stream();
  std::vector<std::uint8_t> first;
  const Hello hello = co_await read_hello_from(visit, first);
  if (hello.kind == Hello::Kind::incomplete) co_return; // a client that only tried
  Refusal refusal;
  std::uint8_t alert = k_access_denied;
  Way way;
  Authority where = original;
  if (hello.kind == Hello::Kind::none) {
    refusal.rule = "no-tls";
    refusal.reason = "what came for " + original.text() + " begins no TLS connection";
    alert = 0;
  } else if (gate_.upstream.dialer().is_own(captured.peer)) {
    refusal.rule = "loop";
    refusal.reason = "a connection of the gate's own was sent back to it";
  } else {
    if (!hello.server_name.empty()) {
      auto named = parse_authority(hello.server_name + ":" + std::to_string(original.port));
      if (!named || (named->is_address && named->text() != original.text())) {
        refusal.rule = "server-name";
        refusal.reason = "TLS names a host that is none";
        alert = k_unrecognized_name;
      } else {
        where = std::move(*named);
      }
    }
    visit.asked.path = where.text();
    way = way_to(where);
    if (refusal.rule.empty() && way.kind == Way::Kind::refuse) {
      refusal.rule = way.rule;
      refusal.reason = way.reason;
    }
  }
  std::unique_ptr<Stream> server;
  if (refusal.rule.empty() && way.kind == Way::Kind::tunnel) {
    server = co_await dial_original(visit, original, refusal);
    if (!server && refusal.rule.empty()) { // nothing of the gate's: the way there is broken
      co_await end_with_alert(stream, k_internal_error);
      co_return;
    }
  }
  if (!refusal.rule.empty()) {
    co_await note_refusal(visit, std::move(refusal.rule), std::move(refusal.reason));
    if (alert == 0)
      stream.close();
    else
      co_await end_with_alert(stream, alert);
    co_return;
  }
  if (server) {
    co_await carry_both(visit, std::move(server), std::move(first));
    co_return;
  }
  std::string error;
  bool too_many = false;
  const std::shared_ptr<ssl_ctx_st> context = co_await leaf_for(visit, where, error, too_many);
  if (!context) {
    co_await end_with_alert(stream, k_internal_error);
    co_return;
  }
  co_await speak(visit, std::move(guest), std::move(where), std::move(way), context,
                 std::move(first));
}

Task<void> Forward::capture_http(Visit& visit, Captured captured, Authority original) {
  visit.connection.stream().set_deadline(Clock::now() + gate_.config.limits.head);
  std::string text;
  const auto got = co_await visit.connection.read_head(text);
  if (got == Connection::Got::nothing || got == Connection::Got::failed) co_return;
  int status = got == Connection::Got::too_large ? 431 : 0;
  std::string wrong = "the head of the request is too large";
  auto parsed = parse_request(text);
  Result<Authority> host = original;
  if (status == 0) {
    if (parsed) host = host_of(*parsed, original);
    if (!parsed) wrong = "bad request: " + parsed.error().message;
    if (!host) wrong = "bad request: " + host.error().message;
    if (!parsed || !host) status = 400;
  }
  if (status != 0) {
    ++gate_.metrics.bad_requests;
    co_await reply_error(visit, status, std::move(wrong));
    co_return;
  }
  visit.request = std::move(*parsed);
  visit.agent = std::string(visit.request.headers.get("user-agent").value_or("")).substr(0, 300);
  visit.client = client_of(visit.agent);
  visit.asked.path = host->text();
  if (gate_.upstream.dialer().is_own(captured.peer)) {
    co_await refuse(visit, Road::hub, "loop", "a connection of the gate's own was sent back to it");
    co_return;
  }
  // Whoever is opened is opened where the hubs answer: over TLS.
  Authority secure = *host;
  secure.port = k_https;
  Way way = way_of(secure);
  if (way.kind == Way::Kind::refuse) {
    co_await refuse(visit, Road::hub, way.rule, way.reason);
    co_return;
  }
  if (way.kind == Way::Kind::open) {
    if (visit.request.method != "GET" && visit.request.method != "HEAD") {
      co_await refuse(visit, Road::hub, "plain-http", host->host + " is reached over https only");
      co_return;
    }
    Headers headers;
    headers.set("Location", "https://" + host->host + visit.request.target);
    headers.set("Content-Type", "text/plain; charset=utf-8");
    std::string body = "hubgate: " + host->host + " is reached over https\n";
    co_await reply(visit, 301, std::move(headers), std::move(body));
    co_return;
  }
  Refusal refusal;
  auto server = co_await dial_original(visit, original, refusal);
  if (!server) {
    if (refusal.rule.empty())
      co_await reply_error(visit, 502, std::move(refusal.reason));
    else
      co_await refuse(visit, Road::hub, refusal.rule, refusal.reason);
    co_return;
  }
  std::vector<std::uint8_t> first(text.begin(), text.end());
  const std::vector<std::uint8_t> rest = visit.connection.take_rest();
  first.insert(first.end(), rest.begin(), rest.end());
  co_await carry_both(visit, std::move(server), std::move(first));
}

} // namespace hubgate::proxy

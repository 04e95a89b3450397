#include "proxy/forward/forward.hpp"

#include "proxy/forward/certificates.hpp"
#include "proxy/relay/reply.hpp"
#include "scanner/core/evidence.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr auto k_tunnel_idle = std::chrono::minutes(10);
constexpr auto k_look = std::chrono::seconds(5);
/// Browsers open connections that they never use, and keep them for longer than this.
constexpr auto k_at_once = std::chrono::seconds(5);
constexpr std::size_t k_tunnel_buffer = std::size_t{32} << 10;
constexpr std::size_t k_first_read = std::size_t{4} << 10;
constexpr std::size_t k_max_first = k_max_hello + (std::size_t{4} << 10);
constexpr std::uint8_t k_unrecognized_name = 112;

bool is_on(const Hub& hub, const Authority& where) {
  if (!hub.base.origin.tls || hub.base.origin.port != where.port) return false;
  if (hub.base.origin.host == where.host) return true;
  const auto aliases = aliases_of(hub.base.origin);
  return std::find(aliases.begin(), aliases.end(), where.host) != aliases.end();
}

// Whether a Host field means `where`; some clients leave the port out.
bool names(std::string_view host, const Authority& where) {
  auto said = parse_authority(host);
  if (!said) said = parse_authority(std::string(host) + ":" + std::to_string(where.port));
  return said && said->text() == where.text();
}

// Both directions of a tunnel.
struct Tunnel {
  Tunnel(Loop& loop, Stream& client_, std::unique_ptr<Stream> server_)
      : client(client_), server(std::move(server_)), changed(loop) {}
  Stream& client;
  std::unique_ptr<Stream> server;
  std::vector<std::uint8_t> first;
  std::uint64_t up = 0, down = 0; ///< bytes
  std::size_t running = 0;
  Event changed;

  void moved() {
    const TimePoint until = Clock::now() + k_tunnel_idle;
    client.set_deadline(until);
    server->set_deadline(until);
  }
};

Task<void> carry(std::shared_ptr<Tunnel> tunnel, bool up) {
  Stream& from = up ? tunnel->client : *tunnel->server;
  Stream& to = up ? *tunnel->server : tunnel->client;
  std::uint64_t& count = up ? tunnel->up : tunnel->down;
  bool open = true;
  if (up && !tunnel->first.empty()) {
    open = co_await to.write(tunnel->first);
    count += tunnel->first.size();
    tunnel->first = {};
  }
  std::vector<std::uint8_t> buffer(k_tunnel_buffer);
  while (open) {
    tunnel->moved();
    const std::int64_t n = co_await from.read(buffer);
    if (n < 0) {
      // Broken: neither side may take it for an end.
      from.close();
      to.close();
    }
    if (n <= 0) break;
    count += static_cast<std::uint64_t>(n);
    tunnel->moved();
    open = co_await to.write(Bytes(buffer).first(static_cast<std::size_t>(n)));
  }
  if (open)
    co_await to.shutdown();
  else
    from.close();
  --tunnel->running;
  tunnel->changed.notify();
}

} // namespace

std::vector<std::string> intercepted_hosts(const ServeConfig& config) {
  std::vector<std::string> out = config.proxy->intercept;
  const auto add = [&](const Origin& hub) {
    boost::system::error_code no_address;
    asio::ip::make_address(hub.host, no_address);
    if (!hub.tls || !no_address) return; // no certificate could be made for it
    out.push_back(hub.host);
    for (auto& alias: aliases_of(hub))
      out.push_back(std::move(alias));
  };
  add(config.upstream.origin);
  for (const Url& hub: config.proxy->hubs)
    add(hub.origin);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Forward::Forward(Gate& gate, const ForwardConfig& config, Signer& signer,
                 std::vector<Certificate> chain, Talk talk)
    : gate_(gate), config_(config), leaves_(gate.loop, signer, std::move(chain)),
      door_(gate.loop, config), talk_(std::move(talk)) {}

// Records what can't be said over HTTP.
Task<void> Forward::note_refusal(Visit& visit, std::string rule, std::string reason) {
  ++gate_.metrics.refused[rule];
  const Context context = visit.context(Road::hub);
  Gatekeeper& keeper = gate_.keeper;
  co_await gate_.loop.offload([&] { return keeper.refuse(rule, reason, context); });
}

bool Forward::passes(std::uint16_t port) const {
  return std::find(config_.ports.begin(), config_.ports.end(), port) != config_.ports.end();
}

Forward::Way Forward::way_to(const Authority& where) const {
  if (passes(where.port)) return way_of(where);
  Way way;
  way.rule = "connect-port";
  way.reason = "CONNECT to port " + std::to_string(where.port) + " does not pass this gate";
  return way;
}

Forward::Way Forward::way_of(const Authority& where) const {
  Way way;
  const auto& hubs = gate_.upstream.hubs();
  const auto hub =
      std::find_if(hubs.begin(), hubs.end(), [&](const Hub& one) { return is_on(one, where); });
  if (hub != hubs.end()) {
    way.kind = Way::Kind::open;
    way.hub = &*hub;
    return way;
  }
  if (host_matches(where.host, config_.intercept) && !host_matches(where.host, config_.tunnel)) {
    way.kind = Way::Kind::open;
    way.files = true;
    // Whose files they are shows in the hub's own follow list; else the first hub's rules count.
    const auto owner = std::find_if(hubs.begin(), hubs.end(), [&](const Hub& one) {
      return host_matches(where.host, one.rules.hosts);
    });
    way.hub = owner == hubs.end() ? &hubs.front() : &*owner;
    return way;
  }
  if (!config_.refuse_others || host_matches(where.host, config_.tunnel)) {
    way.kind = Way::Kind::tunnel;
    return way;
  }
  way.rule = "connect-host";
  way.reason = "this gate lets nobody through to " + where.host;
  return way;
}

Task<void> Forward::serve(Connection& connection, Guest guest) {
  std::string unnamed;
  if (x509_st* shown = connection.stream().peer_certificate()) {
    auto person = person_of(shown, config_.certificates);
    if (person) {
      guest.user = std::move(person->name);
      guest.groups = std::move(person->groups);
    } else {
      unnamed = person.error().message;
    }
  }
  bool more = true;
  while (more) {
    connection.stream().set_deadline(Clock::now() + gate_.config.limits.idle);
    more = co_await serve_one(connection, guest, unnamed);
  }
}

Task<void> Forward::note_no_tls(std::string from, std::string reason) {
  boost::json::object fields;
  fields["from"] = from;
  fields["reason"] = printable(reason);
  Gatekeeper& keeper = gate_.keeper;
  co_await gate_.loop.offload([&] { return keeper.event("proxy-tls-failed", fields).ok(); });
}

Task<bool> Forward::serve_one(Connection& connection, Guest& guest, const std::string& unnamed) {
  std::string text;
  const auto got = co_await connection.read_head(text);
  if (got == Connection::Got::nothing || got == Connection::Got::failed) co_return false;
  connection.stream().set_deadline(TimePoint::max());
  Visit visit(gate_, connection);
  visit.id = random_id();
  visit.from = guest.from;
  visit.keep_alive = false;
  if (got == Connection::Got::too_large) {
    ++gate_.metrics.bad_requests;
    co_await reply_error(visit, 431, "the head of the request is too large");
    co_return false;
  }
  auto parsed = parse_request(text);
  if (!parsed) {
    ++gate_.metrics.bad_requests;
    std::string why = "bad request: " + parsed.error().message;
    co_await reply_error(visit, 400, std::move(why));
    co_return false;
  }
  visit.request = std::move(*parsed);
  visit.agent = std::string(visit.request.headers.get("user-agent").value_or("")).substr(0, 300);
  visit.client = client_of(visit.agent);
  visit.user = "anonymous";
  ++gate_.metrics.requests["connect"];
  const bool known = co_await let_in(visit, guest, unnamed);
  if (!known) co_return visit.keep_alive;
  if (visit.request.method != "CONNECT") {
    co_await refuse(visit, Road::hub, "plain-http",
                    "this proxy carries https only (CONNECT); plain http does not pass");
    co_return false;
  }
  auto where = parse_authority(visit.request.target);
  const std::string_view host = visit.request.headers.get("host").value_or("");
  std::string wrong;
  if (!where)
    wrong = where.error().message;
  else if (visit.request.framing != Framing::none)
    wrong = "CONNECT has no body";
  else if (!host.empty() && !names(host, *where))
    wrong = "CONNECT and its Host field name different hosts";
  if (!wrong.empty()) {
    ++gate_.metrics.bad_requests;
    std::string why = "bad request: " + wrong;
    co_await reply_error(visit, 400, std::move(why));
    co_return false;
  }
  visit.asked.path = where->text();
  Way way = way_to(*where);
  if (way.kind == Way::Kind::refuse)
    co_await refuse(visit, Road::hub, way.rule, way.reason);
  else if (way.kind == Way::Kind::tunnel)
    co_await tunnel(visit, std::move(*where));
  else
    co_await open_host(visit, guest, std::move(*where), std::move(way));
  co_return false;
}

// Whether the client is somebody who may use the proxy. False: it has been told what is missing.
Task<bool> Forward::let_in(Visit& visit, Guest& guest, const std::string& unnamed) {
  const std::string field(visit.request.headers.get("proxy-authorization").value_or(""));
  visit.request.headers.remove("proxy-authorization");
  Admission admission;
  if (!guest.user.empty()) { // by certificate
    admission.person = Person{guest.user, guest.groups};
  } else if (door_.asks()) {
    if (!field.empty()) admission = co_await door_.ask(field, guest.from);
  } else if (config_.certificates.ca.empty()) {
    co_return true;
  } else {
    const std::string why = unnamed.empty() ? "none was shown" : unnamed;
    co_await refuse(visit, Road::hub, "proxy-certificate",
                    "this proxy wants to know its clients by certificate: " + why);
    visit.keep_alive = false;
    co_return false;
  }
  if (admission.person) {
    guest.user = admission.person->name;
    guest.groups = admission.person->groups;
    visit.user = guest.user;
    visit.groups = guest.groups;
    co_return true;
  }
  const bool held_up = admission.retry_after.count() > 0;
  if (admission.tell)
    co_await note_refusal(visit, "proxy-authentication",
                          held_up ? "too many wrong credentials" : "wrong credentials");
  // git asks without credentials first, and again on the same connection.
  visit.keep_alive = visit.request.keep_alive && visit.request.framing == Framing::none;
  Headers headers;
  headers.set("Proxy-Authenticate", "Basic realm=\"hubgate\", charset=\"UTF-8\"");
  headers.set("Content-Type", "text/plain; charset=utf-8");
  std::string body = "hubgate: this proxy wants a user name and a password\n";
  if (held_up) {
    const std::string seconds = std::to_string(admission.retry_after.count());
    headers.set("Retry-After", seconds);
    body = "hubgate: too many wrong passwords from this address; again in " + seconds + " s\n";
  }
  co_await reply(visit, 407, std::move(headers), std::move(body));
  co_return false;
}

Task<Hello> Forward::read_hello_from(Visit& visit, std::vector<std::uint8_t>& first) {
  Stream& stream = visit.connection.stream();
  stream.set_deadline(Clock::now() + gate_.config.limits.head);
  first = visit.connection.take_rest();
  Hello hello = read_hello(first);
  while (hello.kind == Hello::Kind::incomplete && first.size() < k_max_first) {
    const std::size_t before = first.size();
    first.resize(before + k_first_read);
    const std::int64_t n = co_await stream.read(std::span(first).subspan(before));
    first.resize(before + (n > 0 ? static_cast<std::size_t>(n) : 0));
    if (n <= 0) co_return hello;
    hello = read_hello(first);
  }
  if (hello.kind == Hello::Kind::incomplete) hello.kind = Hello::Kind::none; // longer than any
  co_return hello;
}

Task<bool> Forward::read_first(Visit& visit, const Authority& where,
                               std::vector<std::uint8_t>& first) {
  Stream& stream = visit.connection.stream();
  const Hello hello = co_await read_hello_from(visit, first);
  if (hello.kind == Hello::Kind::incomplete) co_return false; // a client that only tried
  if (hello.kind == Hello::Kind::none) {
    co_await note_refusal(visit, "no-tls", "what came through CONNECT begins no TLS connection");
    stream.close();
    co_return false;
  }
  // An address has no name to agree with, but must not be a way to a host that is opened.
  Authority named;
  named.host = hello.server_name;
  named.port = where.port;
  bool agrees = hello.server_name == where.host;
  if (where.is_address)
    agrees = hello.server_name.empty() || way_to(named).kind == Way::Kind::tunnel;
  if (agrees) co_return true;
  std::string reason = "CONNECT names " + where.host + ", and TLS names ";
  reason += hello.server_name.empty() ? "no host" : hello.server_name;
  co_await note_refusal(visit, "server-name", std::move(reason));
  const std::vector<std::uint8_t> alert = {21, 3, 3, 0, 2, 2, k_unrecognized_name};
  co_await stream.write(alert);
  co_await stream.shutdown();
  co_return false;
}

namespace {

Task<bool> say_established(Visit& visit) {
  static constexpr std::string_view k_established = "HTTP/1.1 200 Connection established\r\n\r\n";
  visit.answered = true;
  ++visit.gate.metrics.statuses[200];
  Stream& stream = visit.connection.stream();
  stream.set_deadline(Clock::now() + visit.gate.config.limits.stall);
  const bool sent = co_await stream.write(as_bytes(k_established));
  co_return sent;
}

} // namespace

Task<std::shared_ptr<ssl_ctx_st>> Forward::leaf_for(Visit& visit, const Authority& where,
                                                    std::string& error, bool& too_many) {
  Leaves::Answer answer = co_await leaves_.context_for(where.host, neighbourhood(visit.from));
  too_many = answer.too_many;
  if (!answer.context) error = "no certificate for " + where.host + ": " + answer.error;
  if (answer.too_many) {
    ++gate_.metrics.refused["too-many-names"];
    if (told_.take(neighbourhood(visit.from), Clock::now()))
      co_await note_refusal(visit, "too-many-names", error);
  } else if (!answer.context && gate_.loop.on_error) {
    gate_.loop.on_error(error);
  }
  co_return answer.context;
}

// A client that does not accept what the gate's authority has signed.
Task<void> Forward::note_distrust(Visit& visit, std::string host, std::string why) {
  ++gate_.metrics.tls_failures;
  boost::json::object fields;
  fields["host"] = host;
  fields["from"] = visit.from;
  fields["user"] = visit.user;
  fields["client"] = visit.agent;
  fields["reason"] = printable(why);
  fields["advice"] =
      "the client may not trust the gate's authority, or pins another one: hubgate ca check";
  Gatekeeper& keeper = gate_.keeper;
  co_await gate_.loop.offload([&] { return keeper.event("client-tls-failed", fields).ok(); });
}

Task<void> Forward::open_host(Visit& visit, Guest guest, Authority where, Way way) {
  std::string error;
  bool too_many = false;
  const std::shared_ptr<ssl_ctx_st> context = co_await leaf_for(visit, where, error, too_many);
  if (!context) {
    const int status = too_many ? 429 : 502;
    co_await reply_error(visit, status, std::move(error));
    co_return;
  }
  const bool said = co_await say_established(visit);
  if (!said) co_return;
  std::vector<std::uint8_t> first;
  const bool agrees = co_await read_first(visit, where, first);
  if (!agrees) co_return;
  co_await speak(visit, std::move(guest), std::move(where), std::move(way), context,
                 std::move(first));
}

Task<void> Forward::speak(Visit& visit, Guest guest, Authority where, Way way,
                          std::shared_ptr<ssl_ctx_st> context, std::vector<std::uint8_t> first) {
  Stream& stream = visit.connection.stream();
  stream.secure(context.get(), first);
  first = {};
  const bool shaken = co_await stream.accept();
  if (!shaken) {
    std::string why = stream.error();
    co_await note_distrust(visit, where.host, std::move(why));
    co_return;
  }
  guest.hub = way.hub;
  Origin origin;
  origin.host = where.host;
  origin.port = where.port;
  guest.host = origin.host_field();
  if (way.files) guest.files = std::move(origin);
  const TimePoint opened = Clock::now();
  const bool asked = co_await talk_(visit.connection, guest);
  // Whoever compares certificates by himself (Node, pinned keys) sends no alert: he just goes.
  if (!asked && Clock::now() - opened < k_at_once)
    co_await note_distrust(
        visit, where.host,
        "the client ended the connection after the handshake, and asked nothing");
}

Task<std::unique_ptr<Stream>> Forward::dial_out(Visit& visit, const Authority& where,
                                                Refusal& refusal) {
  const Dialer::Allowed allowed = [&](const asio::ip::address& address) {
    return reachability(address) == Reachability::global || contains(config_.reach, address);
  };
  boost::system::error_code no_address;
  const auto literal = asio::ip::make_address(where.host, no_address);
  if (!no_address && !allowed(literal)) { // whoever would connect to it for the gate
    refusal.rule = "internal-address";
    refusal.reason = where.host + " is an internal address, which is not followed";
    co_return nullptr;
  }
  auto dialed = co_await visit.gate.upstream.dialer().dial(where.host, where.port, allowed);
  if (!dialed.stream) {
    refusal.reason = where.host + " " + dialed.error;
    if (dialed.forbidden) refusal.rule = "internal-address";
  }
  co_return std::move(dialed.stream);
}

Task<void> Forward::tunnel(Visit& visit, Authority where) {
  Refusal refusal;
  auto server = co_await dial_out(visit, where, refusal);
  if (!server) {
    if (refusal.rule.empty())
      co_await reply_error(visit, 502, std::move(refusal.reason));
    else
      co_await refuse(visit, Road::hub, refusal.rule, refusal.reason);
    co_return;
  }
  const bool said = co_await say_established(visit);
  if (!said) co_return;
  std::vector<std::uint8_t> first;
  const bool agrees = co_await read_first(visit, where, first);
  if (!agrees) co_return;
  co_await carry_both(visit, std::move(server), std::move(first));
}

Task<void> Forward::carry_both(Visit& visit, std::unique_ptr<Stream> server,
                               std::vector<std::uint8_t> first) {
  auto tunnel = std::make_shared<Tunnel>(gate_.loop, visit.connection.stream(), std::move(server));
  tunnel->first = std::move(first);
  tunnel->running = 2;
  gate_.loop.spawn([tunnel] { return carry(tunnel, true); });
  gate_.loop.spawn([tunnel] { return carry(tunnel, false); });
  while (tunnel->running > 0) { // to the end: the client's stream is not the tunnel's
    co_await tunnel->changed.wait(k_look);
    if (!gate_.draining) continue;
    tunnel->client.set_deadline(Clock::now());
    tunnel->server->set_deadline(Clock::now());
  }
  gate_.metrics.tunnelled_bytes += tunnel->up + tunnel->down;
}

} // namespace hubgate::proxy

#include "proxy/server.hpp"

#include "proxy/admin/admin.hpp"
#include "proxy/cas/cas.hpp"
#include "proxy/cas/read.hpp"
#include "proxy/forward/forward.hpp"
#include "proxy/forward/proxy_protocol.hpp"
#include "proxy/git/git.hpp"
#include "proxy/hub/change.hpp"
#include "proxy/hub/commit.hpp"
#include "proxy/hub/listing.hpp"
#include "proxy/hub/tree.hpp"
#include "proxy/icap/icap.hpp"
#include "proxy/lfs/lfs.hpp"
#include "proxy/lfs/locks.hpp"
#include "proxy/relay/object.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hubgate::proxy {

namespace {

constexpr int k_backlog = 511;
/// How much of an unwanted request body is read, and for how long, so that the client gets to see
/// the answer before the connection ends.
constexpr std::uint64_t k_discard = std::uint64_t{64} << 20;
constexpr auto k_discard_time = std::chrono::seconds(10);

bool is_host(std::string_view text) {
  return !text.empty() && text.size() < 256 &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") ==
             std::string_view::npos;
}

const char* route_name(Route route) {
  switch (route) {
  case Route::object:
    return "object";
  case Route::listing:
    return "listing";
  case Route::paths_info:
    return "paths-info";
  case Route::json_post:
    return "json-post";
  case Route::change:
    return "change";
  case Route::preupload:
    return "preupload";
  case Route::commit:
    return "commit";
  case Route::xet_token:
    return "xet-token";
  case Route::cas:
    return "cas";
  case Route::telemetry:
    return "telemetry";
  case Route::lfs_batch:
    return "lfs-batch";
  case Route::lfs_object:
    return "lfs-object";
  case Route::lfs_upload:
    return "lfs-upload";
  case Route::lfs_part:
    return "lfs-part";
  case Route::lfs_completion:
    return "lfs-completion";
  case Route::lfs_verify:
    return "lfs-verify";
  case Route::lfs_locks:
    return "lfs-locks";
  case Route::git_refs:
    return "git-refs";
  case Route::git_pack:
    return "git-pack";
  case Route::git_push:
    return "git-push";
  case Route::page:
    return "page";
  case Route::file_host:
    return "file-host";
  case Route::refused:
    return "refused";
  }
  return "refused";
}

// Reads away what the client still sends, within bounds.
Task<void> discard(Connection& connection) {
  connection.stream().set_deadline(Clock::now() + k_discard_time);
  std::vector<std::uint8_t> scratch(std::size_t{64} << 10);
  for (std::uint64_t left = k_discard; left > 0;) {
    const std::int64_t n = co_await connection.stream().read(scratch);
    if (n <= 0) co_return;
    left -= std::min<std::uint64_t>(left, static_cast<std::uint64_t>(n));
  }
}

Task<void> reply_bad_request(Gate& gate, Connection& connection, int status, std::string why) {
  ++gate.metrics.bad_requests;
  Visit visit(gate, connection);
  visit.id = random_id();
  visit.keep_alive = false;
  co_await reply_error(visit, status, std::move(why));
}

// Nothing is known of a host with files: what can be read is an object of its own.
Asked on_file_host(const RequestHead& request, Target target) {
  Asked asked;
  asked.path = target.path();
  // Signed links say under which name the file is to be saved; what it does depends on that.
  const auto disposition = query_value(target.query, "response-content-disposition").value_or("");
  if (const std::size_t at = disposition.find("filename=\""); at != std::string::npos) {
    const std::size_t begin = at + std::string_view("filename=\"").size();
    asked.path += "/" + disposition.substr(begin, disposition.find('"', begin) - begin);
  }
  asked.target = std::move(target);
  if (request.method == "GET" || request.method == "HEAD") asked.route = Route::file_host;
  return asked;
}

bool agrees(std::string_view host, const Guest& guest) {
  const auto said = parse_url("https://" + std::string(host));
  return said && said->target == "/" && said->origin.host_field() == guest.host;
}

// WebSocket and its like. h2c is an offer that may be left unanswered.
bool upgrades(const Headers& headers) {
  const auto wanted = headers.get("upgrade");
  return wanted && !equals_ignoring_case(*wanted, "h2c") &&
         !equals_ignoring_case(*wanted, "TLS/1.2");
}

Task<void> note_misdirected(Visit& visit, std::string why) {
  ++visit.gate.metrics.refused["host-mismatch"];
  const Context context = visit.context(Road::hub);
  Gatekeeper& keeper = visit.gate.keeper;
  co_await visit.gate.loop.offload([&] { return keeper.refuse("host-mismatch", why, context); });
  co_await reply_error(visit, 421, std::move(why));
}

Task<void> serve_file(Visit& visit) {
  Url url;
  url.origin = *visit.files;
  url.target = visit.request.target;
  Headers fields = forwarded_fields(visit);
  Fetch fetch("GET", std::move(url), std::move(fields));
  fetch.hub = visit.hub;
  Ask ask(std::move(fetch), Road::hub);
  ask.trusts_etag = false;
  ask.signed_link = true;
  co_await serve_object(visit, std::move(ask));
}

Task<bool> permit_hub_object(Visit& visit, Described& what) {
  const bool permitted = co_await tree_permits(visit, what);
  if (permitted) offer_xet(visit, what);
  co_return permitted;
}

Task<void> serve_hub_object(Visit& visit) {
  Url url = visit.hub->base;
  url.target = visit.request.target;
  Ask ask(Fetch("GET", std::move(url), forwarded_fields(visit)), Road::hub);
  ask.permit = permit_hub_object;
  co_await serve_object(visit, std::move(ask));
}

} // namespace

struct Server::Listener {
  explicit Listener(Loop& loop)
      : clients(loop.context()), proxied(loop.context()), captured(loop.context()),
        admins(loop.context()), icap(loop.context()) {}
  asio::ip::tcp::acceptor clients;
  asio::ip::tcp::acceptor proxied;
  asio::ip::tcp::acceptor captured;
  asio::ip::tcp::acceptor admins;
  asio::ip::tcp::acceptor icap;
};

Server::Server(Gate& gate, TlsContext tls)
    : gate_(gate), tls_(std::move(tls)), listener_(std::make_unique<Listener>(gate.loop)) {}
Server::~Server() = default;

namespace {

Result<void> bind_to(Loop& loop, asio::ip::tcp::acceptor& acceptor, const Address& address) {
  const std::string text = address.host + ":" + std::to_string(address.port);
  asio::ip::tcp::resolver resolver(loop.context());
  boost::system::error_code failed;
  const auto found = resolver.resolve(address.host, std::to_string(address.port),
                                      asio::ip::tcp::resolver::passive, failed);
  if (failed || found.empty()) return Error{text + ": can't be resolved: " + failed.message()};
  const auto endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), failed);
  if (!failed) acceptor.set_option(asio::socket_base::reuse_address(true), failed);
  if (!failed) acceptor.bind(endpoint, failed);
  if (!failed) acceptor.listen(k_backlog, failed);
  if (failed) return Error{text + ": can't listen there: " + failed.message()};
  return {};
}

std::string shown(const asio::ip::tcp::acceptor& acceptor) {
  boost::system::error_code failed;
  const auto endpoint = acceptor.local_endpoint(failed);
  if (failed) return {};
  const auto address = endpoint.address();
  return (address.is_v6() ? "[" + address.to_string() + "]" : address.to_string()) + ":" +
         std::to_string(endpoint.port());
}

} // namespace

Result<void> Server::bind() {
  const ServeConfig& config = gate_.config;
  if (config.endpoint)
    if (auto bound = bind_to(gate_.loop, listener_->clients, config.listen); !bound) return bound;
  if (config.proxy_listen)
    if (auto bound = bind_to(gate_.loop, listener_->proxied, *config.proxy_listen); !bound)
      return bound;
  if (capture_.fd) {
    const auto v6 = asio::ip::make_address(config.transparent_listen->host).is_v6();
    boost::system::error_code failed;
    listener_->captured.assign(v6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(),
                               capture_.fd.release(), failed);
    if (!failed) listener_->captured.listen(k_backlog, failed);
    if (failed) return Error{"--transparent: can't listen: " + failed.message()};
  }
  if (config.admin)
    if (auto bound = bind_to(gate_.loop, listener_->admins, *config.admin); !bound) return bound;
  if (config.icap) return bind_to(gate_.loop, listener_->icap, *config.icap);
  return {};
}

std::string Server::address() const {
  return shown(listener_->clients);
}
std::string Server::proxy_address() const {
  return shown(listener_->proxied);
}
std::string Server::transparent_address() const {
  return shown(listener_->captured);
}
std::string Server::admin_address() const {
  return shown(listener_->admins);
}
std::string Server::icap_address() const {
  return shown(listener_->icap);
}

Result<void> Server::intercept(Signer& signer, std::vector<Certificate> chain) {
  forward_ = std::make_unique<Forward>(
      gate_, *gate_.config.proxy, signer, std::move(chain),
      [this](Connection& connection, const Guest& guest) { return talk(connection, guest); });
  return forward_->open();
}

void Server::start() {
  if (gate_.config.endpoint)
    gate_.loop.spawn([this] { return accept_clients(listener_->clients, Kind::endpoint); });
  if (listener_->proxied.is_open())
    gate_.loop.spawn([this] { return accept_clients(listener_->proxied, Kind::proxy); });
  if (listener_->captured.is_open())
    gate_.loop.spawn([this] { return accept_clients(listener_->captured, Kind::captured); });
  if (gate_.config.admin) gate_.loop.spawn([this] { return accept_admins(); });
  if (gate_.config.icap) gate_.loop.spawn([this] { return accept_icap(); });
}

void Server::drain(Duration grace) {
  if (gate_.draining) return;
  gate_.draining = true;
  boost::system::error_code ignored;
  listener_->clients.close(ignored);
  listener_->proxied.close(ignored);
  listener_->captured.close(ignored);
  listener_->icap.close(ignored);
  for (Stream* stream: idle_)
    stream->set_deadline(Clock::now());
  gate_.loop.spawn([this, grace] { return wait_for_end(grace); });
}

Task<void> Server::wait_for_end(Duration grace) {
  const TimePoint until = Clock::now() + grace;
  while (gate_.metrics.connections > 0 && Clock::now() < until)
    co_await gate_.loop.sleep(std::chrono::milliseconds(100));
  gate_.loop.stop();
}

Task<void> Server::accept_clients(asio::ip::tcp::acceptor& acceptor, Kind kind) {
  while (acceptor.is_open()) {
    auto socket = std::make_shared<asio::ip::tcp::socket>(gate_.loop.context());
    auto [failed] = co_await acceptor.async_accept(*socket, asio::as_tuple(asio::use_awaitable));
    if (failed == asio::error::operation_aborted) continue;
    if (failed) { // out of descriptors, perhaps: not for ever
      co_await gate_.loop.sleep(std::chrono::milliseconds(100));
      continue;
    }
    ++gate_.metrics.connections_total;
    if (gate_.metrics.connections >= gate_.config.limits.connections) {
      ++gate_.metrics.connections_refused;
      continue;
    }
    if (kind == Kind::captured)
      gate_.loop.spawn([this, socket] { return converse_captured(socket); });
    else
      gate_.loop.spawn([this, socket, kind] { return converse(socket, kind); });
  }
}

Task<void> Server::accept_admins() {
  while (listener_->admins.is_open()) {
    auto socket = std::make_shared<asio::ip::tcp::socket>(gate_.loop.context());
    auto [failed] =
        co_await listener_->admins.async_accept(*socket, asio::as_tuple(asio::use_awaitable));
    if (failed) {
      co_await gate_.loop.sleep(std::chrono::milliseconds(100));
      continue;
    }
    gate_.loop.spawn([this, socket] { return serve_admin(gate_, socket); });
  }
}

Task<void> Server::accept_icap() {
  while (listener_->icap.is_open()) {
    auto socket = std::make_shared<asio::ip::tcp::socket>(gate_.loop.context());
    auto [failed] =
        co_await listener_->icap.async_accept(*socket, asio::as_tuple(asio::use_awaitable));
    if (failed == asio::error::operation_aborted) continue;
    if (failed) {
      co_await gate_.loop.sleep(std::chrono::milliseconds(100));
      continue;
    }
    gate_.loop.spawn([this, socket] { return serve_icap(gate_, socket); });
  }
}

namespace {

// The client that a load balancer speaks for. False: what came is no header of the PROXY protocol.
Task<bool> read_balancer(Stream& stream, std::string& from, std::vector<std::uint8_t>& rest) {
  ProxyHeader header;
  while (header.kind == ProxyHeader::Kind::incomplete) {
    const std::size_t before = rest.size();
    rest.resize(before + k_max_proxy_header);
    const std::int64_t n = co_await stream.read(std::span(rest).subspan(before));
    if (n <= 0) co_return false;
    rest.resize(before + static_cast<std::size_t>(n));
    header = read_proxy_header(rest);
  }
  if (header.kind == ProxyHeader::Kind::broken) co_return false;
  if (!header.client.empty()) from = header.client;
  rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(header.size));
  co_return true;
}

} // namespace

namespace {

struct Count {
  explicit Count(Metrics& metrics_) : metrics(metrics_) { ++metrics.connections; }
  ~Count() { --metrics.connections; }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;
  Metrics& metrics;
};

} // namespace

Task<void> Server::converse_captured(std::shared_ptr<asio::ip::tcp::socket> socket) {
  const Count count(gate_.metrics);
  boost::system::error_code gone;
  const Endpoint peer = unmapped(socket->remote_endpoint(gone));
  const auto original = original_destination(*socket);
  if (gone || !original) co_return;
  Guest guest;
  guest.from = peer.address().to_string();
  auto plain = std::make_unique<Stream>(gate_.loop, std::move(*socket), nullptr);
  Connection connection(std::move(plain));
  const Captured captured(peer, *original);
  co_await forward_->capture(connection, guest, captured);
  co_await connection.stream().shutdown();
  co_await discard(connection);
}

Task<void> Server::converse(std::shared_ptr<asio::ip::tcp::socket> socket, Kind kind) {
  const bool proxied = kind == Kind::proxy;
  const Count count(gate_.metrics);
  auto plain = std::make_unique<Stream>(gate_.loop, std::move(*socket), nullptr);
  Guest guest;
  guest.from = plain->peer_address();
  plain->set_deadline(Clock::now() + gate_.config.limits.head);
  std::vector<std::uint8_t> early;
  if (contains(gate_.config.balancers, plain->peer_ip())) {
    const bool understood = co_await read_balancer(*plain, guest.from, early);
    if (!understood) {
      ++gate_.metrics.bad_requests;
      co_return;
    }
  }
  ssl_ctx_st* const tls = proxied ? proxy_tls_.get() : tls_.get();
  if (tls != nullptr) {
    plain->secure(tls, early);
    early = {};
  }
  Connection connection(std::move(plain), std::move(early));
  Stream& stream = connection.stream();
  const bool shaken = co_await stream.accept();
  if (!shaken) {
    ++gate_.metrics.tls_failures;
    if (proxied) co_await forward_->note_no_tls(guest.from, stream.error());
    co_return;
  }
  if (proxied)
    co_await forward_->serve(connection, guest);
  else
    co_await talk(connection, guest);
  // A body that is cut must end as a cut: no close_notify pretends that it was whole, but FIN,
  // for on RST clients don't ask again.
  co_await stream.shutdown();
  co_await discard(connection);
}

Task<bool> Server::talk(Connection& connection, const Guest& guest) {
  Stream& stream = connection.stream();
  stream.set_deadline(Clock::now() + gate_.config.limits.head);
  bool more = true;
  bool asked = false;
  while (more) {
    more = co_await handle_one(connection, guest, asked);
    if (more) stream.set_deadline(Clock::now() + gate_.config.limits.idle);
  }
  co_return asked;
}

// False when the connection ends.
Task<bool> Server::handle_one(Connection& connection, const Guest& guest, bool& asked) {
  Stream& stream = connection.stream();
  if (!connection.has_more()) connection.relax();
  std::string text;
  idle_.insert(&stream);
  if (gate_.draining) stream.set_deadline(Clock::now());
  const auto got = co_await connection.read_head(text);
  idle_.erase(&stream);
  asked = asked || got != Connection::Got::nothing;
  if (got == Connection::Got::nothing || stream.expired()) co_return false;
  if (got == Connection::Got::failed) co_return false;
  stream.set_deadline(TimePoint::max());
  if (got == Connection::Got::too_large) {
    co_await reply_bad_request(gate_, connection, 431, "the head of the request is too large");
    co_return false;
  }
  auto parsed = parse_request(text);
  if (!parsed) {
    std::string why = "bad request: " + parsed.error().message;
    co_await reply_bad_request(gate_, connection, 400, std::move(why));
    co_return false;
  }
  Visit visit(gate_, connection);
  visit.request = std::move(*parsed);
  visit.id = random_id();
  visit.from = guest.from;
  visit.groups = guest.groups;
  visit.files = guest.files;
  if (guest.hub) visit.hub = guest.hub;
  visit.keep_alive = visit.request.keep_alive && !gate_.draining;
  auto target = parse_target(visit.request.target);
  const std::string host(visit.request.headers.get("host").value_or("localhost"));
  if (!target || !is_host(host)) {
    std::string why = "bad request: a Host field that is no host";
    if (!target) why = "bad request: " + target.error().message;
    co_await reply_bad_request(gate_, connection, 400, std::move(why));
    co_return false;
  }
  connection.expect_body(visit.request.framing, visit.request.length);
  visit.agent = std::string(visit.request.headers.get("user-agent").value_or("")).substr(0, 300);
  visit.client = client_of(visit.agent);
  visit.user = guest.user.empty() ? user_of(visit.request.headers) : guest.user;
  visit.gate_url = !gate_.config.public_url.empty()
                       ? gate_.config.public_url
                       : (stream.is_tls() ? "https://" : "http://") + host;
  if (guest.hub) visit.gate_url = "https://" + guest.host;
  visit.asked = classify(visit.request.method, std::move(*target));
  if (guest.files) visit.asked = on_file_host(visit.request, std::move(visit.asked.target));
  ++gate_.metrics.requests[route_name(visit.asked.route)];
  if (guest.hub && !agrees(host, guest)) {
    visit.keep_alive = false;
    co_await note_misdirected(visit, "this connection is for " + guest.host);
  } else if (guest.hub && upgrades(visit.request.headers)) {
    co_await refuse(visit, Road::hub, "upgrade-refused",
                    "other protocols than HTTP/1.1 do not pass on this host");
  } else {
    co_await dispatch(visit);
  }
  const bool again = visit.keep_alive && visit.answered && connection.body_complete();
  co_return again;
}

Task<void> Server::dispatch(Visit& visit) {
  const bool git = visit.asked.route == Route::git_refs || visit.asked.route == Route::git_pack ||
                   visit.asked.route == Route::git_push;
  const auto coding = visit.request.headers.get("content-encoding");
  if (!git && coding && !equals_ignoring_case(*coding, "identity")) {
    // What the hub would decode is not what was read here.
    visit.keep_alive = false;
    co_await reply_error(visit, 415, "a request's body must come without Content-Encoding");
    co_return;
  }
  switch (visit.asked.route) {
  case Route::object:
    co_await serve_hub_object(visit);
    break;
  case Route::listing:
  case Route::paths_info:
  case Route::page:
    co_await serve_listing(visit);
    break;
  case Route::xet_token:
    if (gate_.config.xet == ServeConfig::Xet::terminate) {
      co_await serve_cas_token(visit);
      break;
    }
    co_await refuse(
        visit, Road::xet, "xet-refused",
        "Xet transfers do not pass through this gate; set HF_HUB_DISABLE_XET=1, or clear "
        "the cached tree listings of this repository");
    break;
  case Route::cas:
    co_await serve_cas(visit);
    break;
  case Route::telemetry:
    co_await serve_cas_telemetry(visit);
    break;
  case Route::lfs_batch:
    co_await serve_lfs_batch(visit);
    break;
  case Route::lfs_object:
    co_await serve_lfs_object(visit);
    break;
  case Route::lfs_upload:
    co_await serve_lfs_upload(visit);
    break;
  case Route::lfs_part:
    co_await serve_lfs_part(visit);
    break;
  case Route::lfs_completion:
    co_await serve_lfs_completion(visit);
    break;
  case Route::lfs_verify:
    co_await serve_lfs_verify(visit);
    break;
  case Route::json_post:
    co_await serve_json_post(visit);
    break;
  case Route::change:
    co_await serve_change(visit);
    break;
  case Route::preupload:
    co_await serve_preupload(visit);
    break;
  case Route::commit:
    co_await serve_commit(visit);
    break;
  case Route::git_refs:
  case Route::git_pack:
  case Route::git_push:
    co_await serve_git(visit);
    break;
  case Route::file_host:
    co_await serve_file(visit);
    break;
  case Route::lfs_locks:
    co_await serve_lfs_locks(visit);
    break;
  case Route::refused:
    co_await refuse(visit, Road::hub, "upload-refused",
                    "uploads and changes do not pass through this gate");
    break;
  }
}

} // namespace hubgate::proxy

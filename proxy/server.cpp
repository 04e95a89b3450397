#include "proxy/server.hpp"

#include "proxy/admin/admin.hpp"
#include "proxy/cas/cas.hpp"
#include "proxy/git/git.hpp"
#include "proxy/hub/commit.hpp"
#include "proxy/hub/listing.hpp"
#include "proxy/hub/tree.hpp"
#include "proxy/lfs/lfs.hpp"
#include "proxy/relay/object.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/rand.h>

#include <array>

namespace hubgate::proxy {

namespace {

constexpr int k_backlog = 511;
/// How much of an unwanted request body is read, and for how long, so that the client gets to see
/// the answer before the connection ends.
constexpr std::uint64_t k_discard = std::uint64_t{64} << 20;
constexpr auto k_discard_time = std::chrono::seconds(10);

std::string random_id() {
  // Drawn many at a time: a request must not cost a round of the generator.
  thread_local std::array<unsigned char, 512> pool{};
  thread_local std::size_t left = 0;
  constexpr std::size_t k_bytes = 8;
  if (left == 0) {
    RAND_bytes(pool.data(), pool.size());
    left = pool.size();
  }
  left -= k_bytes;
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte: std::span(pool).subspan(left, k_bytes)) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

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

Task<void> serve_hub_object(Visit& visit) {
  Url url = visit.hub->base;
  url.target = visit.request.target;
  Ask ask(Fetch("GET", std::move(url), forwarded_fields(visit)), Road::hub);
  ask.permit = tree_permits;
  co_await serve_object(visit, std::move(ask));
}

} // namespace

struct Server::Listener {
  explicit Listener(Loop& loop) : clients(loop.context()), admins(loop.context()) {}
  asio::ip::tcp::acceptor clients;
  asio::ip::tcp::acceptor admins;
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
  if (auto bound = bind_to(gate_.loop, listener_->clients, gate_.config.listen); !bound)
    return bound;
  if (gate_.config.admin) return bind_to(gate_.loop, listener_->admins, *gate_.config.admin);
  return {};
}

std::string Server::address() const {
  return shown(listener_->clients);
}
std::string Server::admin_address() const {
  return shown(listener_->admins);
}

void Server::start() {
  gate_.loop.spawn([this] { return accept_clients(); });
  if (gate_.config.admin) gate_.loop.spawn([this] { return accept_admins(); });
}

void Server::drain(Duration grace) {
  if (gate_.draining) return;
  gate_.draining = true;
  boost::system::error_code ignored;
  listener_->clients.close(ignored);
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

Task<void> Server::accept_clients() {
  while (listener_->clients.is_open()) {
    auto socket = std::make_shared<asio::ip::tcp::socket>(gate_.loop.context());
    auto [failed] =
        co_await listener_->clients.async_accept(*socket, asio::as_tuple(asio::use_awaitable));
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
    gate_.loop.spawn([this, socket] { return converse(socket); });
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

Task<void> Server::converse(std::shared_ptr<asio::ip::tcp::socket> socket) {
  struct Count {
    explicit Count(Metrics& metrics_) : metrics(metrics_) { ++metrics.connections; }
    ~Count() { --metrics.connections; }
    Metrics& metrics;
  } const count(gate_.metrics);
  Connection connection(std::make_unique<Stream>(gate_.loop, std::move(*socket), tls_.get()));
  Stream& stream = connection.stream();
  const std::string from = stream.peer_address();
  stream.set_deadline(Clock::now() + gate_.config.limits.head);
  const bool shaken = co_await stream.accept();
  if (!shaken) {
    ++gate_.metrics.tls_failures;
    co_return;
  }
  bool more = true;
  while (more) {
    more = co_await handle_one(connection, from);
    if (more) stream.set_deadline(Clock::now() + gate_.config.limits.idle);
  }
  // A body that is cut must end as a cut: no close_notify pretends that it was whole, but FIN, for
  // on RST clients don't ask again.
  co_await stream.shutdown();
  co_await discard(connection);
}

// False when the connection ends.
Task<bool> Server::handle_one(Connection& connection, const std::string& from) {
  Stream& stream = connection.stream();
  if (!connection.has_more()) connection.relax();
  std::string text;
  idle_.insert(&stream);
  if (gate_.draining) stream.set_deadline(Clock::now());
  const auto got = co_await connection.read_head(text);
  idle_.erase(&stream);
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
  visit.from = from;
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
  visit.user = user_of(visit.request.headers);
  visit.gate_url = !gate_.config.public_url.empty()
                       ? gate_.config.public_url
                       : (stream.is_tls() ? "https://" : "http://") + host;
  visit.asked = classify(visit.request.method, std::move(*target));
  ++gate_.metrics.requests[route_name(visit.asked.route)];
  co_await dispatch(visit);
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
  case Route::lfs_verify:
    co_await serve_lfs_verify(visit);
    break;
  case Route::json_post:
    co_await serve_json_post(visit);
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
  case Route::lfs_locks:
    co_await refuse(visit, Road::lfs, "upload-refused",
                    "locks and pushes do not pass through this gate");
    break;
  case Route::refused:
    co_await refuse(visit, Road::hub, "upload-refused",
                    "uploads and changes do not pass through this gate");
    break;
  }
}

} // namespace hubgate::proxy

#include "proxy/relay/upstream.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {
constexpr std::size_t k_pool_per_origin = 64;
constexpr auto k_pool_age = std::chrono::seconds(20); // below most servers' own idle limits
constexpr auto k_connect_limit = std::chrono::seconds(10);
constexpr int k_max_redirects = 6;
constexpr int k_max_interim = 8;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void drop_credentials(Headers& headers) {
  for (const char* name: {"Authorization", "Cookie", "Proxy-Authorization"})
    headers.remove(name);
}

} // namespace

Exchange::~Exchange() {
  const bool answered = head.status != 0;
  if (connection_ && answered && connection_->body_complete() && head.keep_alive &&
      !connection_->has_more())
    upstream_.give_back(url.origin, *hub_, std::move(connection_));
}

std::optional<std::uint64_t> Exchange::length() const {
  if (head.framing == Framing::length) return head.length;
  if (head.framing == Framing::none) return 0;
  return std::nullopt;
}

Task<std::int64_t> Exchange::read(std::span<std::uint8_t> out) {
  connection_->stream().set_deadline(Clock::now() + upstream_.config_.limits.stall);
  const std::int64_t n = co_await connection_->read_body(out);
  connection_->stream().set_deadline(TimePoint::max()); // a pause of ours is not the peer's
  co_return n;
}

Task<std::optional<std::string>> Exchange::read_all(std::uint64_t most) {
  connection_->stream().set_deadline(Clock::now() + upstream_.config_.limits.stall);
  auto body = co_await connection_->read_all(most);
  co_return body;
}

Upstream::Upstream(Loop& loop, const ServeConfig& config, ssl_ctx_st* tls)
    : config_(config), tls_(tls), dialer_(loop, config.outward) {
  hubs_.emplace_back(config.upstream, config.follow);
  if (!config.proxy) return;
  for (const Url& url: config.proxy->hubs) {
    std::vector<std::string> follow = config.follow;
    for (std::string& host: default_follow_hosts(url.origin))
      follow.push_back(std::move(host));
    hubs_.emplace_back(url, std::move(follow));
  }
}

Upstream::~Upstream() = default;

std::size_t Upstream::pooled() const {
  std::size_t total = 0;
  for (const auto& [origin, connections]: pool_)
    total += connections.size();
  return total;
}

const Hub& Upstream::hub_of(const Fetch& fetch) const {
  if (fetch.hub) return *fetch.hub;
  const auto at = std::find_if(hubs_.begin(), hubs_.end(),
                               [&](const Hub& hub) { return hub.base.origin == fetch.url.origin; });
  return at == hubs_.end() ? hubs_.front() : *at;
}

// Where one hub may connect to another may not: what they have open is kept apart.
Upstream::Key Upstream::key_of(const Origin& origin, const Hub& hub) {
  return hub.name + " " + origin.text();
}

std::unique_ptr<Connection> Upstream::take(const Origin& origin, const Hub& hub) {
  const auto at = pool_.find(key_of(origin, hub));
  if (at == pool_.end()) return nullptr;
  auto& connections = at->second;
  const TimePoint oldest = Clock::now() - k_pool_age;
  while (!connections.empty()) {
    auto [since, connection] = std::move(connections.back());
    connections.pop_back();
    if (since < oldest) {
      connections.clear(); // the others have waited for even longer
      return nullptr;
    }
    if (!connection->stream().stale()) return std::move(connection);
  }
  return nullptr;
}

void Upstream::give_back(const Origin& origin, const Hub& hub,
                         std::unique_ptr<Connection> connection) {
  auto& connections = pool_[key_of(origin, hub)];
  if (connections.size() >= k_pool_per_origin) connections.pop_front();
  connection->stream().set_deadline(TimePoint::max());
  connection->relax();
  connections.emplace_back(Clock::now(), std::move(connection));
}

Task<std::unique_ptr<Connection>> Upstream::connect(Origin origin, const Hub& hub,
                                                    std::string& error) {
  const Dialer::Allowed allowed = [&](const asio::ip::address& address) {
    return address_allowed(hub.rules, origin, address, hub.at);
  };
  auto dialed = co_await dialer_.dial(origin.host, origin.port, allowed);
  if (!dialed.stream) {
    error = origin.text() + ": " + dialed.error;
    co_return nullptr;
  }
  if (origin.tls) dialed.stream->secure(tls_);
  dialed.stream->set_deadline(Clock::now() + k_connect_limit);
  const bool shaken = co_await dialed.stream->connect(origin.host);
  if (!shaken) {
    error = origin.text() + ": " + dialed.stream->error();
    co_return nullptr;
  }
  if (origin == hub.base.origin && dialed.address) hub.at = reachability(*dialed.address);
  error.clear();
  co_return std::make_unique<Connection>(std::move(dialed.stream));
}

Task<bool> Upstream::try_request(Exchange& exchange, const Fetch& fetch, bool& nothing_came) {
  Connection& connection = *exchange.connection_;
  nothing_came = false;
  std::string head = fetch.method + " " + fetch.url.target +
                     " HTTP/1.1\r\nHost: " + fetch.url.origin.host_field() + "\r\n";
  fetch.headers.write(head);
  if (fetch.has_body) head += "Content-Length: " + std::to_string(fetch.body.size()) + "\r\n";
  head += "\r\n";
  connection.stream().set_deadline(Clock::now() + config_.limits.stall);
  const bool sent = co_await connection.stream().write(as_bytes(head), as_bytes(fetch.body));
  if (!sent) {
    nothing_came = true;
    co_return false;
  }
  const bool answered = co_await read_answer(exchange, fetch.method == "HEAD", nothing_came);
  co_return answered;
}

Task<bool> Upstream::read_answer(Exchange& exchange, bool to_head, bool& nothing_came) {
  Connection& connection = *exchange.connection_;
  std::string text;
  for (int i = 0; i < k_max_interim; ++i) {
    const auto got = co_await connection.read_head(text);
    nothing_came = got == Connection::Got::nothing && i == 0;
    if (got != Connection::Got::head) co_return false;
    auto parsed = parse_response(text, to_head);
    if (!parsed) co_return false;
    exchange.head = std::move(*parsed);
    if (exchange.head.status == 101) co_return false;
    if (exchange.head.status >= 200) {
      connection.stream().set_deadline(TimePoint::max());
      connection.expect_body(exchange.head.framing, exchange.head.length);
      co_return true;
    }
  }
  co_return false;
}

Task<std::unique_ptr<Upload>> Upload::begin(Upstream& upstream, Fetch fetch, std::uint64_t length,
                                            std::string& error) {
  const Hub& hub = upstream.hub_of(fetch);
  auto connection = co_await upstream.connect(fetch.url.origin, hub, error);
  if (!connection) co_return nullptr;
  std::string head = fetch.method + " " + fetch.url.target +
                     " HTTP/1.1\r\nHost: " + fetch.url.origin.host_field() + "\r\n";
  fetch.headers.write(head);
  head += "Content-Length: " + std::to_string(length) + "\r\n\r\n";
  std::unique_ptr<Exchange> exchange(new Exchange(upstream, std::move(connection)));
  exchange->url = fetch.url;
  exchange->hub_ = &hub;
  std::unique_ptr<Upload> upload(new Upload(std::move(exchange)));
  upload->left_ = head.size() + length;
  const bool sent = co_await upload->send(as_bytes(head));
  if (sent) co_return upload;
  error = fetch.url.origin.text() + ": " + upload->exchange_->error();
  co_return nullptr;
}

Task<bool> Upload::send(Bytes bytes) {
  Stream& stream = exchange_->connection_->stream();
  stream.set_deadline(Clock::now() + exchange_->upstream_.config_.limits.stall);
  const bool sent = co_await stream.write(bytes, {});
  stream.set_deadline(TimePoint::max()); // the scan may take its time
  if (sent) left_ -= bytes.size();
  co_return sent;
}

Task<std::unique_ptr<Exchange>> Upload::finish(std::string& error) {
  Stream& stream = exchange_->connection_->stream();
  stream.set_deadline(Clock::now() + exchange_->upstream_.config_.limits.stall);
  bool nothing_came = false;
  const bool answered = co_await exchange_->upstream_.read_answer(*exchange_, false, nothing_came);
  // After an answer to half a body the other half would be read as a request.
  if (left_ != 0) exchange_->head.keep_alive = false;
  if (answered) co_return std::move(exchange_);
  const std::string why = exchange_->error();
  error = exchange_->url.origin.text() + ": " +
          (why.empty() ? "no well-formed HTTP answer" : "no answer: " + why);
  exchange_->connection_.reset();
  co_return nullptr;
}

Task<std::unique_ptr<Exchange>> Upstream::request(Fetch fetch, std::string& error) {
  const bool idempotent = fetch.method == "GET" || fetch.method == "HEAD";
  const Hub& hub = hub_of(fetch);
  auto connection = take(fetch.url.origin, hub);
  const bool reused = connection != nullptr;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!connection) {
      connection = co_await connect(fetch.url.origin, hub, error);
      if (!connection) co_return nullptr;
    }
    std::unique_ptr<Exchange> exchange(new Exchange(*this, std::move(connection)));
    exchange->url = fetch.url;
    exchange->hub_ = &hub;
    bool nothing_came = false;
    const bool done = co_await try_request(*exchange, fetch, nothing_came);
    if (done) co_return exchange;
    const std::string why = exchange->error();
    error = fetch.url.origin.text() + ": " +
            (why.empty() ? "no well-formed HTTP answer" : "no answer: " + why);
    // Whatever is left on this connection must not be read as another answer.
    exchange->connection_.reset();
    // A kept connection may have been closed by the peer just when we used it.
    if (!reused || attempt > 0 || !nothing_came || !idempotent) break;
  }
  co_return nullptr;
}

Task<Fetched> Upstream::follow(Fetch fetch) {
  Fetched out;
  const Origin asked = fetch.url.origin;
  fetch.hub = &hub_of(fetch); // it stays the same when another host is asked
  for (int hop = 0; hop < k_max_redirects; ++hop) {
    auto exchange = co_await request(fetch, out.error);
    if (!exchange) co_return out;
    const bool at_home = fetch.url.origin == asked;
    if (at_home) {
      out.meta = exchange->head;
      out.meta_url = fetch.url;
    }
    const auto location = exchange->head.headers.get("location");
    if (!is_redirect(exchange->head.status) || !location) {
      out.last = std::move(exchange);
      co_return out;
    }
    auto next = resolve(fetch.url, *location);
    if (!next) {
      out.error = next.error().message;
      out.refused = true;
      co_return out;
    }
    if (const auto refusal = fetch.hub->rules.refusal(*next)) {
      out.error = *refusal;
      out.refused = true;
      co_return out;
    }
    if (!(next->origin == fetch.url.origin)) {
      out.left_origin = true;
      if (fetch.method == "HEAD") {
        out.last = std::move(exchange);
        co_return out;
      }
      drop_credentials(fetch.headers);
    }
    const bool stops = fetch.stop_at_border && out.left_origin;
    fetch.url = std::move(*next);
    // A short answer is read, so that its connection can be used again.
    co_await exchange->read_all(std::uint64_t{64} << 10);
    if (stops) {
      fetch.stop_at_border = false;
      out.last = std::move(exchange);
      out.next = std::move(fetch);
      co_return out;
    }
  }
  out.error = "the upstream redirects in a circle";
  co_return out;
}

} // namespace hubgate::proxy

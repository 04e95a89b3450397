#include "proxy/relay/dial.hpp"

#include "proxy/http/connection.hpp"
#include "scanner/core/evidence.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hubgate::proxy {

namespace {

constexpr auto k_connect_limit = std::chrono::seconds(10);

/// Closes the socket of a connection attempt that takes too long.
class ConnectLimit final : public Expiring {
public:
  ConnectLimit(Loop& loop, asio::ip::tcp::socket& socket)
      : loop_(loop), socket_(socket), deadline_(Clock::now() + k_connect_limit) {
    loop_.watch(*this);
  }
  ~ConnectLimit() override { loop_.forget(*this); }
  void expire(TimePoint now) override {
    if (now < deadline_) return;
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

private:
  Loop& loop_;
  asio::ip::tcp::socket& socket_;
  TimePoint deadline_;
};

} // namespace

Task<void> Dialer::connect(Dialed& out, std::string host, std::uint16_t port,
                           const Allowed* allowed) {
  asio::ip::tcp::resolver resolver(loop_.context());
  const std::string service = std::to_string(port);
  auto [failed, found] =
      co_await resolver.async_resolve(host, service, asio::as_tuple(asio::use_awaitable));
  if (failed) {
    out.error = "the name can't be resolved: " + failed.message();
    co_return;
  }
  out.error = "the name leads to no address";
  for (const auto& entry: found) {
    const auto endpoint = entry.endpoint();
    if (allowed != nullptr && !(*allowed)(endpoint.address())) {
      out.error = "leads to an internal address (" + endpoint.address().to_string() +
                  "), which is not followed";
      out.forbidden = true;
      continue;
    }
    asio::ip::tcp::socket socket(loop_.context());
    boost::system::error_code refused;
    {
      const ConnectLimit limit(loop_, socket);
      auto [result] = co_await socket.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
      refused = result;
    }
    out.forbidden = false;
    if (refused) {
      out.error = "can't be reached: " + refused.message();
      continue;
    }
    if (allowed != nullptr) out.address = endpoint.address();
    const auto local = socket.local_endpoint(refused);
    out.stream = std::make_unique<Stream>(loop_, std::move(socket), nullptr);
    own_->insert(local);
    out.stream->hold(std::shared_ptr<const void>(nullptr, [own = own_, local](const void*) {
      if (const auto at = own->find(local); at != own->end()) own->erase(at);
    }));
    out.error.clear();
    co_return;
  }
}

Task<void> Dialer::ask_proxy(Dialed& out, std::string host, std::uint16_t port) {
  const OutwardProxy& proxy = *config_.proxy;
  const std::string name = "the proxy " + proxy.host + ":" + std::to_string(proxy.port);
  co_await connect(out, proxy.host, proxy.port, nullptr);
  if (!out.stream) {
    out.error = name + ": " + out.error;
    co_return;
  }
  Authority authority;
  authority.host = host;
  authority.port = port;
  std::string head =
      "CONNECT " + authority.text() + " HTTP/1.1\r\nHost: " + authority.text() + "\r\n";
  if (!proxy.authorization.empty()) head += "Proxy-Authorization: " + proxy.authorization + "\r\n";
  head += "\r\n";
  // The connection borrows the stream for one head and gives it back.
  Connection connection(std::move(out.stream));
  connection.stream().set_deadline(Clock::now() + k_connect_limit);
  std::string answer;
  const bool sent = co_await connection.stream().write(as_bytes(head));
  auto got = Connection::Got::failed;
  if (sent) got = co_await connection.read_head(answer);
  if (got != Connection::Got::head) {
    out.error = name + " gives no answer";
    co_return;
  }
  const auto parsed = parse_response(answer, true);
  if (!parsed || parsed->status / 100 != 2) {
    out.error = name + " refuses";
    if (parsed) {
      const std::string_view status = status_text(parsed->status);
      out.error += ": " + std::to_string(parsed->status) + " " + std::string(status);
    }
    co_return;
  }
  if (connection.has_more()) {
    out.error = name + " sends more than its answer";
    co_return;
  }
  out.stream = connection.release();
}

Task<Dialer::Dialed> Dialer::dial(std::string host, std::uint16_t port, const Allowed& allowed) {
  Dialed out;
  if (const auto fixed = config_.resolve.find(host); fixed != config_.resolve.end()) {
    const std::string place = fixed->second.host;
    std::uint16_t there = port;
    if (fixed->second.port != 0) there = fixed->second.port;
    co_await connect(out, place, there, nullptr);
  } else if (goes_through(config_, host)) {
    co_await ask_proxy(out, host, port);
  } else {
    co_await connect(out, host, port, &allowed);
  }
  co_return out;
}

} // namespace hubgate::proxy

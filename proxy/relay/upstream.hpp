#pragma once
// Upstream: requests to the hub and to the hosts that it redirects to. Connections are kept per
// origin and used again; redirects are followed here, to configured hosts only, and a credential
// never crosses an origin.
#include "proxy/config.hpp"
#include "proxy/http/connection.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/relay/dial.hpp"

#include <deque>
#include <map>
#include <memory>

struct ssl_ctx_st;

namespace hubgate::proxy {

class Upstream;

/// A response that is being read. When it is destroyed its connection goes back to be used again,
/// if the body was read to its end, and is closed otherwise.
class Exchange final : public BodySource {
public:
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  Url url; ///< what was asked
  ResponseHead head;

  Task<std::int64_t> read(std::span<std::uint8_t> out) override;
  Task<std::optional<std::string>> read_all(std::uint64_t most);
  std::string error() const override { return connection_->error(); }
  std::optional<std::uint64_t> length() const override;

private:
  friend class Upstream;
  friend class Upload;
  Exchange(Upstream& upstream, std::unique_ptr<Connection> connection)
      : upstream_(upstream), connection_(std::move(connection)) {}
  Upstream& upstream_;
  const Hub* hub_ = nullptr;
  std::unique_ptr<Connection> connection_;
};

/// What is asked of the upstream.
struct Fetch {
  Fetch(std::string method_, Url url_, Headers headers_)
      : method(std::move(method_)), url(std::move(url_)), headers(std::move(headers_)) {}
  std::string method;
  Url url;
  Headers headers; ///< without Host and framing
  std::string body;
  bool has_body = false;
  bool stop_at_border = false; ///< return a redirect to another host instead of following it
  const Hub* hub = nullptr;    ///< whose request it is; null: the hub at `url`, or the first one
};

/// A request whose body is sent piece by piece. Given up by destroying it: the upstream sees a body
/// that ends early.
class Upload {
public:
  /// Null on failure, with a line in `error`. Always a new connection: one that was kept could end
  /// under a body that can't be sent twice.
  static Task<std::unique_ptr<Upload>> begin(Upstream& upstream, Fetch fetch, std::uint64_t length,
                                             std::string& error);
  /// False when the upstream takes no more; finish() may still have its answer.
  Task<bool> send(Bytes bytes);
  /// The answer, once everything was sent or refused. Null with a line in `error`.
  Task<std::unique_ptr<Exchange>> finish(std::string& error);
  bool is_tls() const { return exchange_->url.origin.tls; }

private:
  explicit Upload(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  std::unique_ptr<Exchange> exchange_;
  std::uint64_t left_ = 0; ///< bytes of head and body that were not sent yet
};

/// The end of a chain of redirects.
struct Fetched {
  std::unique_ptr<Exchange> last; ///< null when `error` is set
  /// The last answer of the origin that was asked: repository, ETag and size are in its fields.
  ResponseHead meta;
  Url meta_url;
  bool left_origin = false;  ///< `last` (or the place where it stopped) is another host's
  std::optional<Fetch> next; ///< what stop_at_border kept from being asked
  std::string error;         ///< one line for a person
  bool refused = false;      ///< `error` is about what we don't follow, not about a failure
};

class Upstream {
public:
  Upstream(Loop& loop, const ServeConfig& config, ssl_ctx_st* tls);
  ~Upstream();

  /// One request, no redirects. Null on failure, with a line in `error`.
  Task<std::unique_ptr<Exchange>> request(Fetch fetch, std::string& error);

  /// Follows redirects: within the origin always, to other hosts only for a GET (a signed link to a
  /// GET answers no HEAD).
  Task<Fetched> follow(Fetch fetch);

  /// The first hub: the one behind the endpoint.
  const Hub& hub() const { return hubs_.front(); }
  const std::deque<Hub>& hubs() const { return hubs_; }
  Dialer& dialer() { return dialer_; }
  std::size_t pooled() const;

private:
  friend class Exchange;
  friend class Upload;
  using Key = std::string;
  const Hub& hub_of(const Fetch& fetch) const;
  Task<std::unique_ptr<Connection>> connect(Origin origin, const Hub& hub, std::string& error);
  Task<bool> try_request(Exchange& exchange, const Fetch& fetch, bool& nothing_came);
  Task<bool> read_answer(Exchange& exchange, bool to_head, bool& nothing_came);
  static Key key_of(const Origin& origin, const Hub& hub);
  std::unique_ptr<Connection> take(const Origin& origin, const Hub& hub);
  void give_back(const Origin& origin, const Hub& hub, std::unique_ptr<Connection> connection);

  const ServeConfig& config_;
  std::deque<Hub> hubs_; ///< their addresses stay
  ssl_ctx_st* tls_;
  Dialer dialer_;
  std::map<Key, std::deque<std::pair<TimePoint, std::unique_ptr<Connection>>>> pool_;
};

} // namespace hubgate::proxy

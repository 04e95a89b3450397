#include "proxy/icap/icap.hpp"

#include "proxy/icap/message.hpp"
#include "proxy/relay/live.hpp"
#include "scanner/core/evidence.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace {

using icap::Head;
using icap::Method;

/// What of a body is asked for before the rest: small objects are answered with 204 then.
constexpr std::size_t k_preview = 4096;
/// RFC 3507, 4.7: at most 32 bytes.
constexpr std::size_t k_istag = 24;
/// How long a refusal is repeated at the head of an answer that says nothing of its version.
constexpr auto k_retry = std::chrono::minutes(1);

std::string istag(const Gate& gate) {
  return hex(sha256(as_bytes(gate.rules + gate.keeper.policy().digest()))).substr(0, k_istag);
}

std::string common_fields(const Gate& gate) {
  return "ISTag: \"" + istag(gate) + "\"\r\n";
}

/// The body of a message: what came as its preview, then the rest.
class WrappedBody final : public BodySource {
public:
  WrappedBody(Connection& connection, std::string preview, bool more,
              std::optional<std::uint64_t> length, Duration stall)
      : connection_(connection), preview_(std::move(preview)), more_(more), length_(length),
        stall_(stall) {}

  Task<std::int64_t> read(std::span<std::uint8_t> out) override {
    if (at_ < preview_.size()) {
      const std::size_t n = std::min(out.size(), preview_.size() - at_);
      std::copy_n(preview_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
      at_ += n;
      co_return static_cast<std::int64_t>(n);
    }
    if (!more_) co_return 0;
    connection_.stream().set_deadline(Clock::now() + stall_);
    const std::int64_t n = co_await connection_.read_body(out);
    connection_.stream().set_deadline(TimePoint::max());
    co_return n;
  }
  std::string error() const override { return connection_.error(); }
  std::optional<std::uint64_t> length() const override { return length_; }

private:
  Connection& connection_;
  std::string preview_;
  std::size_t at_ = 0;
  bool more_;
  std::optional<std::uint64_t> length_;
  Duration stall_;
};

/// One question, from its head on.
struct Question {
  explicit Question(Visit& visit_) : visit(visit_) {}
  Visit& visit;
  Head head;
  std::optional<Hub> hub;
  Envelope envelope;
  std::optional<ResponseHead> response;
  std::string url; ///< without its query
  std::string preview;
  bool more = true; ///< the body does not end with the preview
};

Task<void> say(Connection& connection, std::string text) {
  co_await connection.stream().write(as_bytes(text));
}

Task<void> say_bad(Gate& gate, Connection& connection, std::string why) {
  ++gate.metrics.bad_requests;
  std::string text = "ICAP/1.0 400 Bad Request\r\n" + common_fields(gate) +
                     "X-Error-Message: hubgate: bad request: " + printable(why, 200) +
                     "\r\nConnection: close\r\nEncapsulated: null-body=0\r\n\r\n";
  co_await say(connection, std::move(text));
}

Task<void> say_options(Gate& gate, Connection& connection, const Head& head) {
  const bool push = head.service.find("reqmod") != std::string::npos;
  std::string text = "ICAP/1.0 200 OK\r\n" + common_fields(gate) +
                     "Methods: " + (push ? "REQMOD" : "RESPMOD") +
                     "\r\nService: hubgate\r\nAllow: 204\r\nPreview: " + std::to_string(k_preview) +
                     "\r\nTransfer-Preview: *\r\nMax-Connections: " +
                     std::to_string(gate.config.limits.connections) +
                     "\r\nOptions-TTL: 300\r\nEncapsulated: null-body=0\r\n\r\n";
  co_await say(connection, std::move(text));
}

std::string base64_decoded(std::string_view text) {
  if (text.empty() || text.size() > 1024) return {};
  std::string out(text.size(), '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(text.data()),
                                static_cast<int>(text.size()));
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  for (std::size_t i = text.size(); i-- > 0 && text[i] == '=' && !out.empty();)
    out.pop_back();
  return out;
}

// Who asks, as the other proxy knows them: X-Authenticated-User is base64 of "Local://name".
void identify(Visit& visit, const Head& head) {
  if (const auto ip = head.headers.get("x-client-ip")) visit.from = printable(*ip, 64);
  visit.user = user_of(visit.request.headers);
  if (const auto field = head.headers.get("x-authenticated-user")) {
    std::string name = base64_decoded(*field);
    if (const std::size_t slashes = name.find("://"); slashes != std::string::npos)
      name.erase(0, slashes + 3);
    if (!name.empty()) visit.user = printable(name, 200);
  }
}

// The name that storage gives to a download, for its own URL is a hash: filename="a.bin".
std::string download_name(const Headers& headers) {
  const std::string_view field = headers.get("content-disposition").value_or("");
  constexpr std::string_view k_name = "filename=\"";
  const std::size_t at = field.find(k_name);
  if (at == std::string_view::npos) return {};
  const std::string_view name = field.substr(at + k_name.size());
  return printable(name.substr(0, name.find('"')), 400);
}

// The request that the message belongs to. It names the object; RESPMOD may come without one.
Result<void> read_request(Question& question, std::string_view text) {
  Visit& visit = question.visit;
  if (text.empty()) {
    visit.request.method = "GET";
    visit.request.target = "/";
    question.hub = *visit.hub;
    return {};
  }
  auto request = HUBGATE_TRY(parse_request(text));
  std::string target = request.target;
  if (target.starts_with('/')) {
    target.insert(0, "http://" + std::string(request.headers.get("host").value_or("localhost")));
  } else if (request.method == "CONNECT") {
    target = "http://" + target + "/";
  }
  Url url = HUBGATE_TRY(parse_url(target));
  request.target = url.target;
  visit.request = std::move(request);
  question.url = url.without_query();
  question.hub.emplace(std::move(url), std::vector<std::string>{});
  return {};
}

Result<void> read_heads(Question& question, const std::string& heads) {
  const std::string_view text = heads;
  const Head& head = question.head;
  Visit& visit = question.visit;
  if (auto read = read_request(question, text.substr(0, head.request_head)); !read) return read;
  visit.hub = &*question.hub;
  visit.agent = std::string(visit.request.headers.get("user-agent").value_or("")).substr(0, 300);
  visit.asked.path = "";
  if (auto target = parse_target(visit.request.target)) {
    visit.asked = classify(visit.request.method, std::move(*target));
    if (visit.asked.path.empty()) visit.asked.path = visit.asked.target.path(0);
  }
  visit.asked.route = Route::object;
  question.envelope.request = head.method == Method::request;
  visit.direction = question.envelope.request ? Direction::push : Direction::pull;
  const std::string_view own = question.envelope.request ? text : text.substr(head.request_head);
  if (!question.envelope.request)
    question.response = HUBGATE_TRY(parse_response(own, visit.request.method == "HEAD"));
  question.envelope.message = std::string(own);
  if (question.response && visit.asked.repo.empty())
    if (std::string name = download_name(question.response->headers); !name.empty())
      visit.asked.path = std::move(name);
  question.envelope.fields = common_fields(visit.gate);
  identify(visit, head);
  return {};
}

// The body up to where the client waits for a word.
Task<bool> read_preview(Question& question) {
  Connection& connection = question.visit.connection;
  connection.expect_body(Framing::chunked, 0);
  if (!question.head.preview) co_return true;
  connection.stream().set_deadline(Clock::now() + question.visit.gate.config.limits.stall);
  auto got = co_await connection.read_all(*question.head.preview);
  connection.stream().set_deadline(TimePoint::max());
  if (!got) co_return false;
  question.preview = std::move(*got);
  question.more = trimmed(connection.chunk_extension()) != "ieof";
  co_return true;
}

// Which record of earlier answers this one may be: the claims of the hub.
Described describe(const Question& question) {
  Described out;
  out.key = "icap\n" + question.url;
  if (question.response) {
    const Headers& fields = question.response->headers;
    for (const char* name: {"etag", "x-linked-etag", "last-modified", "content-encoding"})
      out.key += "\n" + std::string(fields.get(name).value_or(""));
    if (question.response->framing == Framing::length) out.size = question.response->length;
    out.key += "\n" + std::to_string(out.size.value_or(0));
  } else if (question.visit.request.framing == Framing::length) {
    out.size = question.visit.request.length;
  }
  out.key = question.visit.gate.with_rules(std::move(out.key));
  return out;
}

// What was refused in the middle of its body is refused at its head when it is asked for again.
Task<bool> refuse_known(Question& question, const Described& what) {
  Visit& visit = question.visit;
  if (!question.response) co_return false;
  const auto outcome = co_await known_outcome(visit, what);
  if (!outcome) co_return false;
  const Headers& fields = question.response->headers;
  const bool versioned = fields.has("etag") || fields.has("last-modified");
  if (!versioned && Clock::now() - outcome->made > k_retry) co_return false;
  Context context = visit.context(Road::hub);
  context.sha256 = outcome->digest.sha256;
  context.size = outcome->digest.size;
  if (visit.gate.keeper.preview(outcome->report, context).passes()) co_return false;
  Decision decision = co_await decide(visit.gate, outcome, context);
  if (decision.passes()) co_return false;
  co_await reply_refusal(visit, std::move(decision), std::move(context));
  co_return true;
}

Task<void> judge(Question& question) {
  Visit& visit = question.visit;
  Gate& gate = visit.gate;
  Described what = describe(question);
  const bool refused = co_await refuse_known(question, what);
  if (refused) co_return;
  if (question.response && question.response->status == 206) {
    co_await refuse(visit, Road::hub, "partial-content",
                    "a part of an object can't be judged alone; ask for all of it");
    co_return;
  }
  if (question.head.preview && question.more) {
    co_await say(visit.connection, "ICAP/1.0 100 Continue\r\n\r\n");
    visit.connection.expect_body(Framing::chunked, 0);
  }
  question.envelope.may_say_204 = question.head.allows_204 || !question.more;
  auto body = std::make_unique<WrappedBody>(visit.connection, std::move(question.preview),
                                            question.more, what.size, gate.config.limits.stall);
  // Each client brings bytes of its own, so nobody shares a flight; what was found is shared.
  const std::string shared = what.key;
  what.key += "\n" + visit.id;
  std::string error;
  bool busy = false;
  auto flight = flight_for(visit, what, std::move(body), error, busy);
  if (!flight) {
    co_await reply_error(visit, busy ? 429 : 502, error);
    co_return;
  }
  const Release release =
      question.envelope.may_say_204 ? Release::with_verdict : Release::behind_scan;
  Ask ask(Fetch("GET", visit.hub->base, Headers()), Road::hub);
  co_await relay_live(visit, std::move(ask), flight, Headers(), release);
  if (flight->outcome() && question.response) gate.outcomes.put(shared, flight->outcome());
}

Task<void> answer(Question& question, const std::string& heads) {
  Visit& visit = question.visit;
  const Result<void> read = read_heads(question, heads);
  if (!read) {
    visit.keep_alive = false;
    std::string why = read.error().message;
    co_await say_bad(visit.gate, visit.connection, std::move(why));
    co_return;
  }
  visit.envelope = &question.envelope;
  if (!question.head.has_body) {
    if (question.head.allows_204) {
      co_await reply_unchanged(visit);
      co_return;
    }
    const char* const part = question.envelope.request ? "req" : "res";
    const std::string& message = question.envelope.message;
    std::string text = "ICAP/1.0 200 OK\r\n" + question.envelope.fields + "Encapsulated: " + part +
                       "-hdr=0, null-body=" + std::to_string(message.size()) + "\r\n\r\n" + message;
    co_await say(visit.connection, std::move(text));
    co_return;
  }
  const bool begun = co_await read_preview(question);
  if (!begun) {
    visit.keep_alive = false;
    std::string why = visit.connection.error();
    co_await say_bad(visit.gate, visit.connection, std::move(why));
    co_return;
  }
  co_await judge(question);
}

// False when the connection ends.
Task<bool> serve_one(Gate& gate, Connection& connection, const std::string& from) {
  std::string text;
  const auto got = co_await connection.read_head(text);
  if (got == Connection::Got::nothing || got == Connection::Got::failed) co_return false;
  connection.stream().set_deadline(Clock::now() + gate.config.limits.stall);
  Result<Head> head =
      got == Connection::Got::too_large ? Error{"the head is too large"} : icap::parse_head(text);
  if (!head) {
    std::string why = head.error().message;
    co_await say_bad(gate, connection, std::move(why));
    co_return false;
  }
  ++gate.metrics.requests["icap"];
  if (head->method == Method::options) {
    co_await say_options(gate, connection, *head);
    co_return head->keep_alive && !gate.draining;
  }
  connection.expect_body(Framing::length, head->request_head + head->response_head);
  auto heads = co_await connection.read_all(icap::k_max_heads);
  if (!heads) co_return false;
  connection.stream().set_deadline(TimePoint::max());
  Visit visit(gate, connection);
  visit.id = random_id();
  visit.from = from;
  visit.keep_alive = head->keep_alive && !gate.draining;
  Question question(visit);
  question.head = std::move(*head);
  co_await answer(question, *heads);
  co_return visit.keep_alive&& connection.body_complete();
}

} // namespace

Task<void> serve_icap(Gate& gate, std::shared_ptr<asio::ip::tcp::socket> socket) {
  struct Count {
    explicit Count(Metrics& metrics_) : metrics(metrics_) { ++metrics.connections; }
    ~Count() { --metrics.connections; }
    Metrics& metrics;
  } const count(gate.metrics);
  Connection connection(std::make_unique<Stream>(gate.loop, std::move(*socket), nullptr));
  const std::string from = connection.stream().peer_address();
  bool more = true;
  while (more) {
    connection.stream().set_deadline(Clock::now() + gate.config.limits.idle);
    more = co_await serve_one(gate, connection, from);
  }
  co_await connection.stream().shutdown();
}

} // namespace hubgate::proxy

#include "proxy/relay/put.hpp"

#include "proxy/relay/object.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;
constexpr auto k_look = std::chrono::milliseconds(500);

/// The body of a client's request. The connection outlives the flight that reads it.
class RequestBody final : public BodySource {
public:
  RequestBody(Connection& connection, std::uint64_t length, Duration stall)
      : connection_(connection), length_(length), stall_(stall) {}

  Task<std::int64_t> read(std::span<std::uint8_t> out) override {
    connection_.stream().set_deadline(Clock::now() + stall_);
    const std::int64_t n = co_await connection_.read_body(out);
    connection_.stream().set_deadline(TimePoint::max());
    co_return n;
  }
  std::string error() const override { return connection_.error(); }
  std::optional<std::uint64_t> length() const override { return length_; }

private:
  Connection& connection_;
  std::uint64_t length_;
  Duration stall_;
};

struct Put {
  Put(Visit& visit_, Fetch fetch_, std::shared_ptr<Flight> flight_)
      : visit(visit_), fetch(std::move(fetch_)), flight(std::move(flight_)),
        context(visit_.context(Road::lfs)) {}
  Visit& visit;
  Fetch fetch;
  std::shared_ptr<Flight> flight;
  Reader reader;
  Context context;
  std::unique_ptr<Upload> upload; ///< opened when the first bytes may leave
  std::uint64_t size = 0;
  std::uint64_t judged_revision = ~std::uint64_t{0};
  bool stopped = false; ///< nothing more is sent
  std::string error;    ///< of the upstream
};

void stop(Put& put) {
  put.stopped = true;
  put.reader.may_send = false;
  put.flight->changed().notify();
}

// Stops at the first finding that the policy would block.
void judge_so_far(Put& put) {
  if (put.stopped || put.judged_revision == put.flight->revision()) return;
  put.judged_revision = put.flight->revision();
  if (!put.visit.gate.keeper.preview(put.flight->report(), put.context).passes()) stop(put);
}

// At most `most` bytes of what lies behind those that were sent. Stops the put when the upstream
// takes no more.
Task<void> send_some(Put& put, std::uint64_t most) {
  if (!put.upload)
    put.upload = co_await Upload::begin(put.visit.gate.upstream, put.fetch, put.size, put.error);
  if (!put.upload) {
    stop(put);
    co_return;
  }
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(most, k_batch));
  Bytes bytes = put.flight->peek(put.reader.sent, n);
  std::vector<std::uint8_t> copy;
  if (!put.upload->is_tls()) { // TLS takes the bytes before it first waits
    copy.assign(bytes.begin(), bytes.end());
    bytes = copy;
  }
  bool sent = false;
  if (!bytes.empty()) sent = co_await put.upload->send(bytes);
  if (!sent) {
    stop(put);
    co_return;
  }
  put.reader.sent += bytes.size();
  put.visit.gate.metrics.bytes_out += bytes.size();
  put.flight->changed().notify();
}

// While the bytes arrive and are scanned.
Task<void> send_behind_scan(Put& put) {
  while (put.flight->state() == Flight::State::running) {
    judge_so_far(put);
    const std::uint64_t free = put.stopped ? 0 : put.flight->sendable();
    if (free > put.reader.sent)
      co_await send_some(put, free - put.reader.sent);
    else
      co_await put.flight->changed().wait(k_look);
  }
}

Task<std::shared_ptr<Flight>> start_flight(Visit& visit, const Sha256& oid, std::uint64_t size) {
  Gate& gate = visit.gate;
  if (!visit.may_scan()) {
    co_await reply_error(visit, 429, "too many objects are being scanned at once; try again");
    co_return nullptr;
  }
  Flight::Options options;
  options.user = visit.quota_user();
  options.spool_directory = gate.spool_directory;
  options.claimed = oid;
  options.rules = gate.rules;
  options.longest_silence = gate.config.limits.scan;
  options.limits = gate.config.limits;
  auto flight =
      std::make_shared<Flight>(gate.loop, gate.pool, gate.quota, gate.metrics, std::move(options));
  auto source = std::make_unique<RequestBody>(visit.connection, size, gate.config.limits.stall);
  const Result<void> started = flight->start(std::move(source));
  if (started) co_return flight;
  std::string why = "the scan can't be started: " + started.error().message;
  co_await reply_error(visit, 503, why);
  co_return nullptr;
}

Task<void> remember(Gate& gate, std::shared_ptr<const Outcome> outcome) {
  if (outcome->mismatch) co_return;
  Gatekeeper& keeper = gate.keeper;
  const Result<void> kept = co_await gate.loop.offload(
      [&] { return keeper.remember(outcome->digest, outcome->report, outcome->rules); });
  if (!kept && gate.loop.on_error) gate.loop.on_error("store: " + kept.error().message);
}

// All is judged and may be complete.
Task<void> complete(Put& put) {
  while (!put.stopped && put.reader.sent < put.size)
    co_await send_some(put, put.size - put.reader.sent);
  std::unique_ptr<Exchange> answer;
  if (put.size == 0 && !put.upload && !put.stopped)
    put.upload = co_await Upload::begin(put.visit.gate.upstream, put.fetch, 0, put.error);
  if (put.upload) answer = co_await put.upload->finish(put.error);
  if (!answer) {
    co_await reply_error(put.visit, 502, put.error);
    co_return;
  }
  const bool taken = answer->head.status / 100 == 2;
  if (!taken || put.reader.sent < put.size) {
    // What storage says of its signed links is nothing for the client to act on.
    std::string why =
        "the upstream's storage answers " + std::to_string(answer->head.status) + " to the upload";
    co_await reply_error(put.visit, 502, why);
    co_return;
  }
  Headers headers;
  if (const auto etag = answer->head.headers.get("etag")) headers.set("ETag", *etag);
  co_await reply(put.visit, 200, std::move(headers), {});
}

} // namespace

Task<void> serve_put(Visit& visit, Fetch fetch, Sha256 oid, std::uint64_t size) {
  const RequestHead& request = visit.request;
  const bool announced = request.framing == Framing::length || request.framing == Framing::none;
  if (!announced || request.length != size) {
    co_await reply_error(visit, 400, "the upload has another length than the batch request said");
    co_return;
  }
  const bool begun = co_await send_continue(visit);
  if (!begun) co_return;
  auto flight = co_await start_flight(visit, oid, size);
  if (!flight) co_return;
  Put put(visit, std::move(fetch), flight);
  put.size = size;
  put.context.size = size;
  flight->join();
  flight->set_reader(&put.reader);
  co_await send_behind_scan(put);
  flight->set_reader(nullptr);
  flight->leave();
  if (flight->state() == Flight::State::failed) {
    visit.keep_alive = false;
    co_await reply_error(visit, flight->over_quota() ? 429 : 502, flight->failure());
    co_return;
  }
  co_await remember(visit.gate, flight->outcome());
  Decision decision = co_await decide(visit.gate, flight->outcome(), put.context);
  if (!decision.passes()) {
    put.upload.reset(); // short of what was announced: never an object there
    co_await keep_for_review(visit.gate, *flight, decision, put.context);
    co_await reply_refusal(visit, std::move(decision), put.context);
    co_return;
  }
  ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
  co_await complete(put);
}

} // namespace hubgate::proxy

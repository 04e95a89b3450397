#include "proxy/relay/live.hpp"

#include "proxy/cache/serve.hpp"
#include "proxy/relay/checked.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;
/// Settled bytes that are kept back to trickle while nothing else is settled.
constexpr std::uint64_t k_reserve = 4096;
constexpr auto k_look = std::chrono::milliseconds(500);

/// A waiter of a flight, for as long as it lives.
class Seat {
public:
  Seat(Visit& visit, Flight& flight) : metrics_(visit.gate.metrics), flight_(flight) {
    flight_.join();
    ++metrics_.waiting;
    leads_ = !flight_.has_reader();
    if (leads_) flight_.set_reader(&reader);
  }
  ~Seat() {
    if (leads_) flight_.set_reader(nullptr);
    --metrics_.waiting;
    flight_.leave();
  }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  Reader reader;

private:
  Metrics& metrics_;
  Flight& flight_;
  bool leads_ = false;
};

struct Live {
  Live(Visit& visit_, std::shared_ptr<Flight> flight_, Road road)
      : visit(visit_), flight(std::move(flight_)), seat(visit_, *flight), writer(visit_),
        context(visit_.context(road)) {}
  Visit& visit;
  std::shared_ptr<Flight> flight;
  Seat seat;
  BodyWriter writer;
  Context context;
  std::uint64_t judged_revision = ~std::uint64_t{0};
  bool blocked = false;
  TimePoint last_sign = Clock::now();
};

// Looks at what was found since the last time.
void judge_so_far(Live& live) {
  if (live.judged_revision == live.flight->revision()) return;
  live.judged_revision = live.flight->revision();
  if (!live.blocked)
    live.blocked = !live.visit.gate.keeper.preview(live.flight->report(), live.context).passes();
  if (live.blocked) {
    live.seat.reader.may_send = false;
    live.flight->changed().notify();
  }
}

// Sends what is settled, `most` bytes at most. False when the client is gone.
Task<bool> send_some(Live& live, std::size_t most) {
  Bytes bytes = live.flight->peek(live.writer.sent(), most);
  if (bytes.empty()) co_return true;
  std::vector<std::uint8_t> copy;
  if (!live.visit.connection.stream().is_tls()) { // TLS takes the bytes before it first waits
    copy.assign(bytes.begin(), bytes.end());
    bytes = copy;
  }
  const bool sent = co_await live.writer.send(bytes);
  live.seat.reader.sent = live.writer.sent();
  live.last_sign = Clock::now();
  live.flight->changed().notify();
  co_return sent;
}

// While the scan runs: sends behind it, or keeps the client waiting politely. False: client gone.
Task<bool> wait_for_outcome(Live& live, bool hold) {
  const Duration trickle = live.visit.gate.config.trickle;
  while (live.flight->state() == Flight::State::running) {
    judge_so_far(live);
    const std::uint64_t free = hold || live.blocked ? 0 : live.flight->sendable();
    const std::uint64_t sent = live.writer.sent();
    if (free > sent + k_reserve) {
      const std::uint64_t n = std::min<std::uint64_t>(free - sent - k_reserve, k_batch);
      const bool there = live.flight->peek(sent, 1).size() == 1;
      if (there) {
        const bool alive = co_await send_some(live, static_cast<std::size_t>(n));
        if (!alive) co_return false;
        continue;
      }
    }
    const bool silent = !hold && Clock::now() - live.last_sign >= trickle;
    if (silent && !live.writer.head_sent()) {
      live.last_sign = Clock::now();
      const bool alive = co_await live.writer.flush_head();
      if (!alive) co_return false;
      continue;
    }
    if (silent && free > sent) {
      const bool alive = co_await send_some(live, 1);
      if (!alive) co_return false;
    }
    co_await live.flight->changed().wait(k_look);
    if (live.visit.connection.stream().gone()) co_return false;
  }
  co_return true;
}

// Everything that has not left yet, from the flight while it has it, else from the upstream again.
Task<void> send_rest(Live& live, Ask ask) {
  const std::shared_ptr<const Outcome> outcome = live.flight->outcome();
  const std::uint64_t size = outcome->digest.size;
  while (live.writer.sent() < size) {
    if (live.flight->peek(live.writer.sent(), 1).empty()) {
      if (live.visit.envelope != nullptr) { // an ICAP client sends it once
        live.visit.keep_alive = false;
        co_return;
      }
      const ByteRange rest{live.writer.sent(), size - 1};
      co_await continue_checked(live.visit, std::move(ask), outcome, rest, live.writer, nullptr);
      co_return;
    }
    const bool alive = co_await send_some(live, k_batch);
    if (!alive) co_return;
  }
  co_await live.writer.finish();
}

} // namespace

Task<void> relay_live(Visit& visit, Ask ask, std::shared_ptr<Flight> flight, Headers headers,
                      Release release) {
  Live live(visit, flight, ask.road);
  live.context.size = flight->size().value_or(0);
  // Nothing that JavaScript's client is sent in the middle of a body reaches a person.
  const bool hold = release == Release::with_verdict || visit.client == Client::js ||
                    visit.client == Client::rust;
  live.seat.reader.may_send = !hold;
  live.writer.prepare(200, headers, flight->size());
  const bool alive = co_await wait_for_outcome(live, hold);
  if (!alive) {
    visit.keep_alive = false;
    co_return;
  }
  if (flight->state() == Flight::State::failed) {
    ++visit.gate.metrics.cut_transfers;
    visit.keep_alive = false;
    if (!live.writer.head_sent())
      co_await reply_error(visit, flight->over_quota() ? 429 : 502, flight->failure());
    co_return;
  }
  Decision decision = co_await decide(visit.gate, flight->outcome(), live.context);
  if (!decision.passes()) {
    co_await keep_for_review(live.visit.gate, *live.flight, decision, live.context);
    if (!live.writer.head_sent()) {
      co_await reply_refusal(visit, std::move(decision), live.context);
      co_return;
    }
    // Short of what was announced: the client asks again, and is told then.
    ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
    ++visit.gate.metrics.cut_transfers;
    visit.keep_alive = false;
    co_return;
  }
  ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
  const Envelope* const envelope = visit.envelope;
  if (envelope != nullptr && envelope->may_say_204 && !live.writer.head_sent() &&
      decision.action == Action::allow) {
    co_await reply_unchanged(visit);
    co_return;
  }
  if (ask.road == Road::hub && envelope == nullptr)
    co_await remember_file(visit, headers, flight->outcome());
  if (!live.writer.head_sent()) {
    add_verdict(headers, decision, live.context);
    live.writer.prepare(200, headers, flight->outcome()->digest.size);
  }
  co_await send_rest(live, std::move(ask));
}

} // namespace hubgate::proxy

#include "proxy/relay/flight.hpp"

#include "proxy/cache/serve.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {
/// One read from upstream, and one write to a client.
constexpr std::uint64_t k_batch = std::uint64_t{256} << 10;
/// The held tail, and room for what is on its way in and out.
constexpr std::uint64_t k_ring = k_held_tail + 2 * k_batch;
/// How long the first byte that would go to disk waits for "the rest is inert".
constexpr auto k_catch_up = std::chrono::milliseconds(100);
constexpr auto k_look = std::chrono::seconds(1);
} // namespace

Flight::Flight(Loop& loop, WorkerPool& pool, Quota& quota, Metrics& metrics, Options options)
    : loop_(loop), pool_(pool), quota_(quota), metrics_(metrics), options_(std::move(options)) {}

Flight::~Flight() {
  quota_.spool_now -= charged_;
  metrics_.spool_bytes = quota_.spool_now;
  if (auto at = quota_.spool_of.find(options_.user); at != quota_.spool_of.end()) {
    at->second -= charged_;
    if (at->second == 0) quota_.spool_of.erase(at);
  }
}

Result<void> Flight::start(std::unique_ptr<BodySource> source) {
  source_ = std::move(source);
  size_ = source_->length();
  Spool::Options spool;
  spool.directory = options_.spool_directory;
  auto scan = Scan::start(loop_, pool_, size_, spool, options_.longest_silence);
  if (!scan) return scan.error();
  scan_ = *scan;
  ring_.resize(
      static_cast<std::size_t>(size_ ? std::clamp<std::uint64_t>(*size_, 1, k_ring) : k_ring));
  linger(k_look); // until whoever asked for it has joined
  ++quota_.scans_now;
  ++quota_.scans_of[options_.user];
  ++metrics_.scans;
  ++metrics_.scans_total;
  loop_.spawn([self = shared_from_this()] { return self->run(self); });
  return {};
}

void Flight::leave() {
  --interested_;
  if (interested_ == 0) changed().notify();
}

void Flight::linger(Duration grace) {
  linger_until_ = std::max(linger_until_, Clock::now() + grace);
}

bool Flight::wanted() const {
  return interested_ > 0 || Clock::now() < linger_until_;
}

std::uint64_t Flight::sendable() const {
  const std::uint64_t settled = arrived_ > k_held_tail ? arrived_ - k_held_tail : 0;
  return std::min(scan_->released(), settled);
}

Bytes Flight::peek(std::uint64_t offset, std::size_t most) {
  if (offset >= arrived_) return {};
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(most, arrived_ - offset));
  const std::uint64_t kept_from = arrived_ > ring_.size() ? arrived_ - ring_.size() : 0;
  if (offset >= kept_from) {
    const auto at = static_cast<std::size_t>(offset % ring_.size());
    return {ring_.data() + at, std::min(n, ring_.size() - at)};
  }
  const auto until_ring = static_cast<std::size_t>(std::min<std::uint64_t>(n, kept_from - offset));
  read_back_ = spool().read(offset, std::min<std::size_t>(until_ring, k_batch));
  return read_back_;
}

// Whether reading n bytes more would overwrite what the reader may still send, or run ahead of a
// slow one.
bool Flight::must_wait(std::size_t n) const {
  if (!reader_ || !reader_->may_send) return false;
  if (size_ && arrived_ >= *size_) return false; // nothing comes that could overwrite
  const bool overwrites = arrived_ + n > reader_->sent + ring_.size();
  if (!overwrites) return false;
  if (scan_->spool().dropped()) return true;
  return !options_.reader_sends && sendable() > reader_->sent + k_batch;
}

std::span<std::uint8_t> Flight::room() {
  const auto at = static_cast<std::size_t>(arrived_ % ring_.size());
  return std::span(ring_).subspan(at, std::min<std::size_t>(k_batch, ring_.size() - at));
}

Task<void> Flight::let_scan_catch_up() {
  caught_up_ = true;
  const TimePoint until = Clock::now() + k_catch_up;
  while (!spool().dropped() && !scan_->done()) {
    const Duration left = until - Clock::now();
    if (left <= Duration::zero()) break;
    co_await changed().wait(left);
  }
}

// Accounts for what the spool has on disk; false when somebody has too much there.
bool Flight::charge() {
  const std::uint64_t added = spool().on_disk() - charged_;
  if (added == 0) return true;
  charged_ += added;
  quota_.spool_now += added;
  std::uint64_t& of_user = quota_.spool_of[options_.user];
  of_user += added;
  metrics_.spool_bytes = quota_.spool_now;
  return quota_.spool_now <= options_.limits.spool && of_user <= options_.limits.spool_per_user;
}

// Reads the body to its end. False: failure_ is set.
Task<bool> Flight::fetch() {
  for (;;) {
    if (!wanted()) {
      fail("nobody waits for it any more");
      co_return false;
    }
    auto out = room();
    if (must_wait(out.size())) {
      co_await changed().wait(k_look);
      continue;
    }
    const std::int64_t n = co_await source_->read(out);
    if (n < 0) {
      fail("the bytes broke off: " + source_->error());
      co_return false;
    }
    if (n == 0) break;
    const Bytes bytes = out.first(static_cast<std::size_t>(n));
    if (!caught_up_ && spool().total() + bytes.size() > Spool::Options{}.memory_bytes)
      co_await let_scan_catch_up();
    hasher_.update(bytes);
    if (options_.fill) co_await feed(loop_, options_.fill, bytes);
    const Result<void> stored = spool().append(bytes);
    if (!stored) {
      fail("the spool can't be written: " + stored.error().message);
      co_return false;
    }
    arrived_ += bytes.size();
    metrics_.bytes_in += bytes.size();
    scan_->touch();
    if (!charge()) {
      over_quota_ = true;
      fail("too many bytes are being held for scans at once");
      co_return false;
    }
    changed().notify();
  }
  if (size_ && arrived_ != *size_) {
    fail("there are more or fewer bytes than announced");
    co_return false;
  }
  co_return true;
}

void Flight::fail(std::string why) {
  failure_ = std::move(why);
}

Task<void> Flight::run(std::shared_ptr<Flight>) {
  const bool complete = co_await fetch();
  source_.reset();
  if (!complete) {
    spool().cut();
    scan_->kill(Reason::truncated);
  } else {
    size_ = arrived_;
    spool().finish();
  }
  changed().notify();
  if (complete) {
    co_await scan_->wait_done();
    auto outcome = std::make_shared<Outcome>();
    outcome->report = scan_->report();
    outcome->digest = hasher_.finish();
    outcome->mismatch = options_.claimed && *options_.claimed != outcome->digest.sha256;
    outcome->rules = options_.rules;
    outcome->made = Clock::now();
    if (outcome->mismatch && options_.own_copy)
      fail("the gate's copy is damaged; try again");
    else
      outcome_ = std::move(outcome);
  }
  if (outcome_) {
    state_ = State::done;
  } else {
    ++metrics_.scans_failed;
    state_ = State::failed;
  }
  --metrics_.scans;
  --quota_.scans_now;
  if (auto at = quota_.scans_of.find(options_.user); --at->second == 0) quota_.scans_of.erase(at);
  changed().notify();
}

} // namespace hubgate::proxy

#pragma once
// Flight: the one fetch and scan of an object that nobody has judged yet, whoever waits for it. It
// reads the upstream's body, hashes it, spools it for the worker, and keeps the last bytes for
// those who send them on. It decides nothing: its outcome is an analysis and a digest.
#include "proxy/relay/metrics.hpp"
#include "proxy/relay/scan.hpp"
#include "proxy/relay/upstream.hpp"
#include "scanner/core/digest.hpp"

#include <memory>
#include <string>

namespace hubgate::proxy {

class CacheFill;

/// What a finished flight knows of its object.
struct Outcome {
  Report report;
  ObjectDigest digest;
  /// The upstream named another sha256 than the bytes have.
  bool mismatch = false;
  std::string rules; ///< Gate::rules when it was scanned
  TimePoint made = Clock::now();
};

/// What a flight must stay below. Shared by all flights.
struct Quota {
  std::uint64_t spool_now = 0;
  std::uint32_t scans_now = 0;
  std::map<std::string, std::uint64_t> spool_of; ///< by user
  std::map<std::string, std::uint32_t> scans_of; ///< by user
};

/// A reader of a flight that the flight waits for, so that a slow client slows the upstream.
struct Reader {
  std::uint64_t sent = 0;
  bool may_send = true; ///< false: what it was sent so far is all that it gets
};

class Flight final : public std::enable_shared_from_this<Flight> {
public:
  struct Options {
    std::string key;
    std::string user;
    std::string spool_directory;
    std::optional<Sha256> claimed;
    std::string rules; ///< of Gate
    /// Its bytes are the gate's own copy of `claimed`: others than those are a failure.
    bool own_copy = false;
    std::shared_ptr<CacheFill> fill; ///< takes the bytes in; or null
    /// The reader is who sends the bytes, and may not read before all are sent: it is never waited
    /// for while they are on disk.
    bool reader_sends = false;
    Duration longest_silence{};
    ServeLimits limits;
  };
  enum class State {
    running,
    done,   ///< outcome() is there
    failed, ///< failure() says why; nothing is known of the object
  };

  Flight(Loop& loop, WorkerPool& pool, Quota& quota, Metrics& metrics, Options options);
  ~Flight();

  /// Starts the worker and the reading of `source`. An error: no worker could be started.
  Result<void> start(std::unique_ptr<BodySource> source);

  State state() const { return state_; }
  const std::string& key() const { return options_.key; }
  const std::string& failure() const { return failure_; }
  bool own_copy() const { return options_.own_copy; }
  const std::optional<Sha256>& claimed() const { return options_.claimed; }
  /// The fill, complete, once the state is done; null when it was given up.
  std::shared_ptr<CacheFill> take_fill() { return std::move(options_.fill); }
  bool over_quota() const { return over_quota_; }
  const std::shared_ptr<const Outcome>& outcome() const { return outcome_; }
  std::optional<std::uint64_t> size() const { return size_; }
  std::uint64_t arrived() const { return arrived_; }
  const Report& report() const { return scan_->report(); }
  std::uint64_t revision() const { return scan_->revision(); }
  Spool& spool() { return scan_->spool(); }
  Event& changed() { return scan_->changed(); }

  /// Bytes before this are settled and not part of the held tail.
  std::uint64_t sendable() const;

  /// The bytes from `offset` on that are still here: contiguous, at most `most`, empty when they
  /// were given up. Valid until the next await.
  Bytes peek(std::uint64_t offset, std::size_t most);

  /// Who is interested. Without any, and past the grace time, the fetch is given up.
  void join() { ++interested_; }
  void leave();
  void linger(Duration grace);
  /// The reader that the fetch waits for; null: nobody.
  void set_reader(Reader* reader) { reader_ = reader; }
  bool has_reader() const { return reader_ != nullptr; }

private:
  Task<void> run(std::shared_ptr<Flight> self);
  Task<bool> fetch();
  bool wanted() const;
  bool must_wait(std::size_t n) const;
  std::span<std::uint8_t> room();
  Task<void> let_scan_catch_up();
  bool charge();
  void fail(std::string why);

  Loop& loop_;
  WorkerPool& pool_;
  Quota& quota_;
  Metrics& metrics_;
  Options options_;
  std::unique_ptr<BodySource> source_;
  std::shared_ptr<Scan> scan_;
  BlockHasher hasher_;
  std::vector<std::uint8_t> ring_; ///< byte `o` of the object is at o % size
  std::optional<std::uint64_t> size_;
  std::uint64_t arrived_ = 0;
  std::uint64_t charged_ = 0; ///< spool bytes on disk that the quota knows of
  std::vector<std::uint8_t> read_back_;
  std::uint32_t interested_ = 0;
  TimePoint linger_until_ = TimePoint::min();
  Reader* reader_ = nullptr;
  bool caught_up_ = false;
  bool over_quota_ = false;
  State state_ = State::running;
  std::string failure_;
  std::shared_ptr<const Outcome> outcome_;
};

} // namespace hubgate::proxy

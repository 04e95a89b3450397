#pragma once
// Judge: has what a push brought analysed, as it is read. Small blobs are put together into
// batches, big ones and LFS objects go as files. Who analyses is the authority's business.
#include "policy/judge/authority.hpp"
#include "scanner/git/pointer.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace hubgate {

/// What came out for one object.
struct Judged {
  ObjectDigest digest;
  Report report;
  std::optional<git::Pointer> pointer;
  bool has_nul = false;   ///< a small blob that has NUL bytes
  std::string head;       ///< the first bytes of a small blob, for what its name may make of them
  bool absent = false;    ///< nobody had the file that was to be fetched: nothing was judged
  bool unscanned = false; ///< Ask::records: there is none, nothing was judged
};

class Judge {
public:
  /// What is asked of the authority: to analyse the bytes, or only for records of what was
  /// analysed.
  enum class Ask { analyses, records };

  struct Options {
    Ask ask = Ask::analyses;
    std::string scratch; ///< directory for unlinked files
    unsigned jobs = 1;   ///< big objects that are written aside or fetched at once
    /// Called now and then while the judge waits; false: give up.
    std::function<bool()> tick = [] { return true; };
  };
  /// Writes an object's bytes, in pieces, into `take`.
  using Pump = std::function<Result<void>(const std::function<Result<void>(Bytes)>& take)>;
  /// A complete file that nobody changes while it is read.
  struct Fetched {
    Fd file; ///< closed: there is none
    /// Of a file that was hashed while it was written; nobody else can reach it.
    std::optional<ObjectDigest> digest;
  };
  /// Called in a thread of the judge.
  using Fetch = std::function<Result<Fetched>()>;

  Judge(Authority& authority, Options options);
  /// Drops what it has not handed on yet.
  ~Judge();
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  // The results lie still; they are filled in when wait() has returned.
  Judged& small(Bytes bytes);
  Judged& big(Pump pump);
  /// A file that somebody else keeps, or that has to come from somewhere.
  Judged& fetch(Fetch fetch);

  /// Waits until all that was given is judged; the first failure, if there was one.
  Result<void> wait();
  /// Behind wait(), with Ask::records: what has none.
  std::vector<const Judged*> unscanned() const;
  std::size_t done() const { return state_->done; }
  std::size_t given() const { return given_; }

private:
  struct Batch;
  /// Outlives the judge where an answer comes late.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Judged> results;
    std::size_t tasks = 0;   ///< handed on and not answered
    std::uint64_t bytes = 0; ///< of them, in memory files
    std::optional<Error> failed;
    std::atomic<std::size_t> done{0};
  };
  using Task = std::function<Result<void>()>;

  Judged& add();
  void flush();
  void push(Task task);
  void work();
  void fail(Error error);
  bool wait_a_tick(std::unique_lock<std::mutex>& lock);
  /// Waits until that may be handed on; false: the push is at its end.
  bool make_room(std::uint64_t bytes);
  void hand_on(std::vector<Judged*> judged, std::uint64_t bytes,
               const std::function<void(Authority::Done)>& analyse);
  Result<void> judge_file(Judged& judged, Fetched file);
  Result<void> look_up(const std::vector<Judged*>& judged);

  Authority& authority_;
  Options options_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::thread::id owner_ = std::this_thread::get_id();
  std::size_t given_ = 0;
  std::unique_ptr<Batch> open_; ///< being filled

  // Of the threads, under the state's mutex.
  std::deque<Task> queue_;
  std::size_t running_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

} // namespace hubgate

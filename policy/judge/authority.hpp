#pragma once
// Authority: whom a push asks. What its bytes are, what the policy makes of them, what is on record
// already; and who keeps what came of it. Either this process (policy/judge/local_authority.hpp) or
// the daemon behind a socket (hook/daemon/client.hpp): the push can't tell. Thread safe.
#include "policy/gatekeeper.hpp"
#include "scanner/code/python/repository.hpp"
#include "scanner/gitstore/oid.hpp"
#include "scanner/worker/worker.hpp"

#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace hubgate {

/// What the scanner made of one object.
struct Analysis {
  ObjectDigest digest; ///< as the authority computed it; the blocks may be missing
  Report report;
};

class Authority {
public:
  virtual ~Authority() = default;

  /// Hears what came out, one Analysis an item, in any thread and perhaps before the call returns.
  using Done = std::function<void(Result<std::vector<Analysis>>)>;
  /// How much may be given to analyse() before something is done with it.
  struct Capacity {
    std::size_t tasks = 1;
    std::uint64_t bytes = 0; ///< of memory files
  };
  virtual Capacity capacity() const = 0;

  // Analyses are from a record where there is one, and become one.

  /// Small objects, ranges of a memory file (sealed_memory()).
  virtual void analyse_batch(Fd memory, std::vector<BatchItem> items, Done done) = 0;
  /// A whole regular file, open for reading. An error when it changes meanwhile. `computed`: its
  /// digest, where the caller has hashed the bytes on their way into a file that nobody else has.
  virtual void analyse_file(Fd file, std::optional<ObjectDigest> computed, Done done) = 0;
  /// The code of a tree together (scan_repository()), within that many seconds.
  virtual Report analyse_code(const python::BundleWriter& bundle, double seconds) = 0;
  /// The valid records of objects that somebody scanned, one an object.
  virtual Result<std::vector<std::optional<Report>>>
  known(const std::vector<ObjectKey>& objects) = 0;

  /// The policy that decides.
  virtual Policy policy() const = 0;
  /// Decides and records, all of a push; see Gatekeeper::decide_all().
  virtual Result<std::vector<Decision>> decide(const std::vector<Gatekeeper::Case>& cases) = 0;
  /// Puts the bytes of a quarantined object aside; `file` holds them and nothing else.
  virtual Result<void> quarantine(const Decision& decision, const Context& context, Fd file) = 0;
  /// A line in the audit log.
  virtual Result<void> event(std::string_view what, const boost::json::object& fields) = 0;

  // Verdicts of this repository, under the policy that decides.

  /// Whether a commit, tag, tree or blob was judged with everything behind it, and passed. `terms`:
  /// under which of the policy's terms, where it has several; any text.
  virtual bool is_judged(const git::Oid& oid, std::string_view terms) = 0;
  /// The tree verdict on record.
  virtual std::optional<Report> tree_verdict(const git::Oid& root) = 0;
  struct Judgement {
    git::Oid oid;
    std::string terms;
  };
  struct TreeVerdict {
    git::Oid root;
    const Report* report = nullptr; ///< outlives the call
  };
  /// Keeps verdicts, all or none.
  virtual Result<void> remember(const std::vector<TreeVerdict>& trees,
                                const std::vector<Judgement>& judged) = 0;

  /// Whether what was given to it is analysed to the end when we have gone.
  virtual bool goes_on() const = 0;
};

/// A file in memory that holds `bytes` and can't be changed any more.
Result<Fd> sealed_memory(Bytes bytes);
/// Whether a file is such memory: its bytes and size can't change (F_GET_SEALS, fcntl(2)).
bool is_sealed(int fd);

} // namespace hubgate

#pragma once
// Audit log: append-only JSON lines below DATA/audit, each with the sha256 of the one before, so
// that an edit, a deletion or a reordering shows. Lines go to segments audit-NNNNNN.jsonl; the
// chain runs through them. A segment that ends in a torn line (the process was killed in the
// middle of a write) is closed, and the next begins with a line that says so.
//
// A line is in the kernel before append() returns: killing the process loses nothing. Option
// `sync` adds an fsync for the loss of power. Several processes may append: a lock file orders
// them.
#include "scanner/core/result.hpp"

#include <boost/json.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

class AuditLog {
public:
  struct Line {
    std::uint64_t seq = 0;
    std::string hash; ///< sha256 of the line without its line feed, hex
  };
  struct Options {
    std::filesystem::path dir; ///< DATA/audit, created when missing, 0700
    bool sync = false;
    std::uint64_t segment_bytes = std::uint64_t{256} << 20; ///< a new segment beyond this
    /// Where the chain goes on when the folder holds no line: the store's audit head.
    Line head = {};
  };

  static Result<std::unique_ptr<AuditLog>> open(Options options);
  ~AuditLog();

  /// Appends `fields` (with "seq" and "prev" put in front), then calls `commit` while the
  /// log is still locked; when that fails the line is taken back and its error returned. Thread
  /// safe. The caller has redacted the fields.
  Result<Line> append(const boost::json::object& fields,
                      const std::function<Result<void>(const Line&)>& commit = {});
  /// The same for many lines: all are written and committed, or none is.
  Result<void> append_all(const std::vector<boost::json::object>& fields,
                          const std::function<Result<void>(const std::vector<Line>&)>& commit = {});

  Result<void> read(std::uint64_t from,
                    const std::function<bool(const Line&, const boost::json::object&)>& each) const;

private:
  struct Impl;
  explicit AuditLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Reads all complete lines from sequence number `from` on, oldest first, until `each` is false.
/// Needs no lock and no open log.
Result<void>
read_audit(const std::filesystem::path& dir, std::uint64_t from,
           const std::function<bool(const AuditLog::Line&, const boost::json::object&)>& each);

/// What audit verify found.
struct AuditCheck {
  std::uint64_t lines = 0;
  std::uint64_t first = 0; ///< sequence number of the first line
  AuditLog::Line last;
  std::vector<std::string> problems; ///< "audit-000001.jsonl:12: …": edits, deletions, reordering
  std::vector<std::string> notes;    ///< tolerated: torn lines
};

/// Checks the whole chain. An error only when the folder can't be read.
Result<AuditCheck> verify_audit(const std::filesystem::path& dir);

/// What may be logged of a URL or a header value: query and fragment cut, user information and
/// tokens masked, control characters escaped, at most `max` bytes.
std::string redacted(std::string_view text, std::size_t max = 1000);

} // namespace hubgate

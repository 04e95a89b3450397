#pragma once
// Store: what the gate remembers, in SQLite. Three kinds of record: analyses by content, tree
// verdicts, decisions as they were made; beside them waivers, quarantined objects and the back-off
// of scans that crashed. Owner-only (directory 0700, files 0600), WAL: a process killed at any
// moment leaves every committed record and no half one. Several processes may hold it open; one
// Store is used from any number of threads.
#include "policy/json.hpp"
#include "policy/policy.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/core/result.hpp"

#include <boost/json.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

/// Seconds since 1970, UTC.
using Time = std::int64_t;
Time now();
/// "2026-11-21T07:02:42Z".
std::string to_iso(Time time);
/// The reverse; also a date alone ("2026-12-31", its beginning).
std::optional<Time> from_iso(std::string_view text);

/// Content names an object: hash and length.
struct ObjectKey {
  Sha256 sha256{};
  std::uint64_t size = 0;
};

/// Hex to digest; nothing if it is not 64 hex digits.
std::optional<Sha256> sha256_from_hex(std::string_view text);

struct StoredAnalysis {
  Report report;
  std::vector<ChainingValue> blocks; ///< as in ObjectDigest
  std::string engine;
  std::string rules;
  Time made = 0;
  /// Made by this engine with these rules. A stale record says what was once found; it must not
  /// stand for a scan.
  bool current = false;
};

struct Waiver {
  std::int64_t id = 0;
  Sha256 sha256{};
  std::vector<std::string> rules; ///< finding rules, "gap:REASON", "policy:RULE", or "*"
  std::string scope = "*";        ///< glob on the canonical repository name
  std::string reason;
  std::string approver;
  Time created = 0;
  Time expires = 0;
  Time revoked = 0; ///< 0 = not revoked
  std::string revoked_by;

  bool active(Time at) const { return revoked == 0 && at < expires; }
};

/// A decision as it was made; its JSON is the audit line. `decision.finding` and `decision.gap` are
/// in the report, not here.
struct DecisionRecord {
  Time time = 0;
  Context context;
  Decision decision;                      ///< with its id
  std::vector<std::string> finding_rules; ///< every rule that found something, informational too
  std::string format;                     ///< Report::format
  std::string policy;                     ///< "NAME DIGEST"
  std::string report;                     ///< digest of the report's JSON, "" when there was none
};
boost::json::object to_json(const DecisionRecord& record);
Result<DecisionRecord> decision_from_json(const boost::json::object& fields);

struct QuarantineRecord {
  Sha256 sha256{};
  std::uint64_t size = 0;
  bool kept = false; ///< whether the bytes are there
  std::string note;  ///< why they are not
  Time made = 0;
  Time expires = 0;
  std::string decision; ///< reference number
  std::string repo;
  std::string path;
};

/// Something that was let in before it could be judged, and is to be judged when it comes.
struct OwedRecord {
  std::string key;    ///< whoever writes it makes the same key for the same debt
  Time made = 0;      ///< when it was first owed
  std::string record; ///< JSON of whoever writes it
};

/// The audit log's last line as the store knows it.
struct AuditHead {
  std::uint64_t seq = 0;
  std::string hash;
};

class Store {
public:
  struct Options {
    std::filesystem::path dir; ///< created when missing
    std::string engine;        ///< engine_version()
    std::string rules;         ///< rules_digest(all_formats())
    /// Survive power loss too, at the price of an fsync a decision. Without it a killed process
    /// loses nothing, a machine that loses power perhaps the last moments.
    bool sync = false;
    bool read_only = false; ///< nothing is created, every change is an error
  };

  static Result<std::unique_ptr<Store>> open(Options options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Analyses. Crash, timeout and out-of-memory results and unreadable sources are refused by
  // remember(): they say nothing of the bytes. They go to note_failure().
  // `rules`: those that the object was scanned with, if they may not be today's any more; then
  // nothing is kept.
  Result<void> remember(const ObjectDigest& object, const Report& report,
                        std::optional<std::string> rules = std::nullopt);
  /// The record of this engine and these rules, else the newest other one, marked as not current.
  Result<std::optional<StoredAnalysis>> analysis(const ObjectKey& key);
  static bool storable(const Report& report);

  /// Notes that a scan failed; returns from when on it may be tried again (doubling from 30 s to
  /// 1 h). A remembered analysis forgets it.
  Result<Time> note_failure(const ObjectKey& key, std::string_view reason);
  /// The time before which a new scan is not worth it, if it lies ahead.
  Result<std::optional<Time>> retry_after(const ObjectKey& key);

  // Tree verdicts, by the digest of the sorted (path, mode, sha256) list.
  Result<void> remember_tree(std::string_view tree, const Report& report,
                             std::optional<std::string> rules = std::nullopt);
  Result<std::optional<StoredAnalysis>> tree(std::string_view tree);

  // Decisions.
  /// Keeps a report by the digest of its JSON (returned, hex), so that decisions can point at it.
  Result<std::string> keep_report(const Report& report);
  Result<std::optional<Report>> report(std::string_view digest);
  /// In one transaction with the audit head. A record whose id is there already is left as it is.
  Result<void> record(const DecisionRecord& record, const AuditHead& head);
  Result<std::optional<DecisionRecord>> decision(std::string_view id);
  /// Oldest first, from `since` on, until `each` returns false.
  Result<void> decisions(Time since, const std::function<bool(const DecisionRecord&)>& each);
  Result<AuditHead> audit_head();
  Result<void> set_audit_head(const AuditHead& head);

  // Waivers.
  Result<std::int64_t> add_waiver(const Waiver& waiver);
  /// False when there is no such waiver or it is revoked already.
  Result<bool> revoke_waiver(std::int64_t id, std::string_view by);
  Result<std::vector<Waiver>> waivers();
  Result<std::vector<Waiver>> waivers_for(const Sha256& sha256);

  // Quarantine records; the bytes are the Quarantine's.
  Result<void> put_quarantine(const QuarantineRecord& record);
  Result<void> drop_quarantine(const Sha256& sha256);
  Result<std::vector<QuarantineRecord>> quarantine();
  Result<std::optional<QuarantineRecord>> quarantined(const Sha256& sha256);

  // What is owed. A debt that is there already stays as it was.
  Result<void> put_owed(std::string_view key, std::string_view record);
  Result<void> drop_owed(std::string_view key);
  /// Oldest first.
  Result<std::vector<OwedRecord>> owed();

  /// Many changes in one transaction: until commit() nobody else sees them, and without it none of
  /// them was made. Others wait (of this Store all, of other processes those who want to write), so
  /// it should not take long. For one thread, which goes on using the Store: that belongs to it.
  class Batch {
  public:
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;
    Result<void> commit();

  private:
    friend class Store;
    struct Impl;
    explicit Batch(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
  };
  Result<std::unique_ptr<Batch>> batch();

  /// Digest of the rules that records are made with: those it was opened with, or set since.
  std::string rules() const;
  void set_rules(std::string rules);

private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

} // namespace hubgate

#pragma once
// Gatekeeper: the one object that proxy, hook and scan hold. It owns store, audit log and
// quarantine under one data directory, applies the policy and its waivers, and records a decision
// before anybody acts on it. Thread safe. It fails closed: what can't be recorded is blocked.
#include "policy/audit.hpp"
#include "policy/policy.hpp"
#include "policy/quarantine.hpp"
#include "policy/store.hpp"

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace hubgate {

class WorkerPool;

/// Where the data lies when --data is not given: $HUBGATE_DATA, else $STATE_DIRECTORY (systemd),
/// else, for root, the service's /var/lib/hubgate where it is there, else $XDG_STATE_HOME/hubgate,
/// else ~/.local/state/hubgate.
std::filesystem::path default_data_dir();

class Gatekeeper {
public:
  struct Options {
    std::filesystem::path data_dir; ///< empty: default_data_dir()
    Policy policy;
    std::string engine{engine_version()};
    std::string rules; ///< rules_digest(all_formats()); the policy's YARA rules come on top
    /// Who scans for it, and gets the YARA rules of the policy: without them a policy that has some
    /// is an error. Outlives it.
    WorkerPool* workers = nullptr;
    std::uint64_t quarantine_bytes = std::uint64_t{10} << 30;
    std::chrono::hours quarantine_keep{24 * 30};
    bool sync = false; ///< survive power loss, see Store and AuditLog
  };

  /// Opens or creates the data directory and settles what a killed process left half done.
  static Result<std::unique_ptr<Gatekeeper>> open(Options options);

  /// The analysis of the object, also a stale one (see StoredAnalysis::current). Nothing when there
  /// is none or the store can't be read: then the object is scanned.
  std::optional<StoredAnalysis> lookup(const Sha256& sha256, std::uint64_t size);

  /// What the policy says of what was found so far. Records nothing, knows no waivers.
  Decision preview(const Report& report, const Context& context) const;

  /// Decides: policy, then waivers for `context.sha256`, then the record and the audit line, which
  /// are durable when this returns. A failure to record blocks (rule "not-recorded", empty id).
  Decision decide(const Report& report, const Context& context);

  /// One object of many.
  struct Case {
    const Report* report = nullptr; ///< outlives the call
    Context context;
  };
  /// decide() for the objects of one push, in one transaction: all decisions are recorded, or all
  /// objects are blocked (rule "not-recorded").
  std::vector<Decision> decide_all(const std::vector<Case>& cases);

  /// Blocks without a report: an unscanned road, a wrong hash, a fault of the gate. `rule` is
  /// kebab-case, `reason` one sentence without secrets. Recorded like decide().
  Decision refuse(std::string_view rule, std::string_view reason, const Context& context);

  /// Keeps the analysis; one that must not become a record (see Store::storable) notes the failure
  /// for the back-off instead.
  /// `rules`: store().rules() when the scan began, if the policy may have been replaced since.
  Result<void> remember(const ObjectDigest& object, const Report& report,
                        std::optional<std::string> rules = std::nullopt);

  /// Puts the bytes of an object that decide() quarantined aside. The decision stands either way;
  /// the record says whether the bytes were kept.
  Result<QuarantineRecord> quarantine(const Decision& decision, const Context& context,
                                      Source& bytes);

  /// Waivers go through here so that the audit log has them. Adding one ends the quarantine.
  Result<std::int64_t> add_waiver(Waiver waiver);
  Result<bool> revoke_waiver(std::int64_t id, std::string_view by);
  /// Removes quarantined bytes; `by` is who asked.
  Result<void> purge(const Sha256& sha256, std::string_view by);

  /// Writes an event that is no decision ("start", "policy-reloaded"); `fields` are redacted.
  Result<void> event(std::string_view what, const boost::json::object& fields);

  Policy policy() const;
  /// Objects whose scan begins from here on are scanned with the YARA rules of this policy, and
  /// records of other ones are stale. An error: nothing is changed.
  Result<void> replace_policy(Policy policy);
  Store& store() { return *store_; }
  AuditLog& audit() { return *audit_; }
  Quarantine& quarantine_space() { return *quarantine_; }

private:
  Gatekeeper() = default;
  Result<void> settle();
  Result<void> give_rules(const Policy& policy);
  Decision judge(const Report& report, const Context& context);
  DecisionRecord record_of(const Decision& decision, const Report* report, const Context& context);
  Decision record(Decision decision, const Report* report, const Context& context);

  mutable std::mutex policy_mutex_;
  std::optional<Policy> policy_;
  std::string rules_; ///< of the program alone
  WorkerPool* workers_ = nullptr;
  std::unique_ptr<Store> store_;
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<Quarantine> quarantine_;
};

/// Whether the waiver lets pass what the decision blocks: active at `at`, the repository in its
/// scope, every blocker covered, and (unless it waives "*") no finding unlisted.
bool waives(const Waiver& waiver, const Decision& decision, const Report& report,
            const Context& context, Time at);

/// One line for a person, printable ASCII of at most 400 characters, beginning with "hubgate:":
/// which file, what was found with its evidence, the rule, how to ask for a waiver, the reference.
/// Fit for a HTTP header.
std::string refusal_line(const Decision& decision, const Context& context);
/// The same for an object that passes with a warning (annotate).
std::string annotation_line(const Decision& decision, const Context& context);
/// The finding or gap that decided, with its evidence; "" when there is none. Not bounded.
std::string what_was_found(const Decision& decision);
/// Printable ASCII of at most `max` characters: everything else becomes \u{NNNN}, "…" three dots.
std::string plain_ascii(std::string_view raw, std::size_t max);

} // namespace hubgate

#include "policy/gatekeeper.hpp"

#include "policy/yara_rules.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/glob.hpp"

#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace hubgate {
namespace json = boost::json;
namespace {

// "HG-" and 12 characters that can be read out over a telephone: no I, L, O, U.
std::string new_reference() {
  static constexpr std::string_view k_digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::array<unsigned char, 12> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return {};
  std::string out = "HG-";
  for (const unsigned char byte: random)
    out += k_digits[byte & 31];
  return out;
}

// What of the context may be written down.
Context loggable(const Context& context) {
  Context out = context;
  out.hub = redacted(context.hub, 200);
  out.repo = printable(context.repo, 300);
  out.revision = printable(context.revision, 300);
  out.path = printable(context.path, 1000);
  out.user = printable(context.user, 200);
  out.from = redacted(context.from, 100);
  out.client = redacted(context.client, 300);
  constexpr std::size_t k_groups = 64;
  if (out.groups.size() > k_groups) out.groups.resize(k_groups);
  for (auto& group: out.groups)
    group = printable(group, 200);
  return out;
}

std::vector<std::string> rules_of(const Report& report, std::string_view path) {
  std::vector<std::string> out;
  for (const auto& finding: report.findings)
    if (holds_under(finding.condition, finding.where, path) &&
        std::find(out.begin(), out.end(), finding.rule) == out.end())
      out.push_back(finding.rule);
  for (const auto& gap: report.gaps) {
    if (!holds_under(gap.condition, gap.where, path)) continue;
    std::string rule = "gap:" + std::string(to_string(gap.reason));
    if (std::find(out.begin(), out.end(), rule) == out.end()) out.push_back(std::move(rule));
  }
  return out;
}

// What the decision is when nobody could write it down.
Decision not_recorded(Decision decision, const Error& error) {
  decision.action = Action::block;
  decision.would_be = Action::block;
  decision.mode = Mode::enforce;
  decision.rule = "not-recorded";
  decision.would_be_rule = "not-recorded";
  decision.reason = "the gate could not record its decision: " + printable(error.message, 200);
  decision.waiver.reset();
  decision.blockers.clear();
  decision.id.clear();
  return decision;
}

} // namespace

bool waives(const Waiver& waiver, const Decision& decision, const Report& report,
            const Context& context, Time at) {
  if (!waiver.active(at) || !repo_glob_matches(waiver.scope, context.repo)) return false;
  const auto named = [&](std::string_view rule) {
    return std::find(waiver.rules.begin(), waiver.rules.end(), rule) != waiver.rules.end();
  };
  if (named("*")) return true;
  return !decision.blockers.empty() && !unlisted_gap(report) &&
         std::all_of(decision.blockers.begin(), decision.blockers.end(), named);
}

namespace {
constexpr const char* k_service_data = "/var/lib/hubgate";
} // namespace

std::filesystem::path default_data_dir() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : value;
  };
  if (auto dir = variable("HUBGATE_DATA"); !dir.empty()) return dir;
  if (auto dir = variable("STATE_DIRECTORY"); !dir.empty()) return dir.substr(0, dir.find(':'));
  // An administrator means the service of this machine, where there is one.
  std::error_code ignored;
  if (geteuid() == 0 && std::filesystem::exists(k_service_data, ignored)) return k_service_data;
  if (auto dir = variable("XDG_STATE_HOME"); !dir.empty())
    return std::filesystem::path(dir) / "hubgate";
  if (auto home = variable("HOME"); !home.empty())
    return std::filesystem::path(home) / ".local/state/hubgate";
  return k_service_data;
}

Result<std::unique_ptr<Gatekeeper>> Gatekeeper::open(Options options) {
  if (options.data_dir.empty()) options.data_dir = default_data_dir();
  auto out = std::unique_ptr<Gatekeeper>(new Gatekeeper());
  out->rules_ = options.rules;
  out->workers_ = options.workers;
  if (const auto given = out->give_rules(options.policy); !given) return given.error();
  out->store_ =
      HUBGATE_TRY(Store::open({options.data_dir, options.engine,
                               with_yara(options.rules, options.policy), options.sync, false}));
  out->policy_ = std::move(options.policy);
  const AuditHead head = HUBGATE_TRY(out->store_->audit_head());
  AuditLog::Options audit;
  audit.dir = options.data_dir / "audit";
  audit.sync = options.sync;
  audit.head = {head.seq, head.hash};
  out->audit_ = HUBGATE_TRY(AuditLog::open(audit));
  out->quarantine_ = std::make_unique<Quarantine>(
      *out->store_, Quarantine::Options{options.data_dir / "quarantine", options.quarantine_bytes,
                                        options.quarantine_keep});
  if (auto settled = out->settle(); !settled) return settled.error();
  if (auto purged = out->quarantine_->purge_expired(); !purged) return purged.error();
  return out;
}

// The audit line comes first, its row in the store second. What a killed process left between the
// two is brought over; the line holds all that the row does.
Result<void> Gatekeeper::settle() {
  const AuditHead head = HUBGATE_TRY(store_->audit_head());
  std::optional<Error> failed;
  auto read =
      audit_->read(head.seq + 1, [&](const AuditLog::Line& line, const json::object& fields) {
        Result<void> done;
        if (const auto record = decision_from_json(fields))
          done = store_->record(*record, {line.seq, line.hash});
        else
          done = store_->set_audit_head({line.seq, line.hash});
        if (!done) failed = done.error();
        return done.ok();
      });
  if (failed) return *failed;
  return read;
}

Policy Gatekeeper::policy() const {
  const std::lock_guard lock(policy_mutex_);
  if (!policy_) std::abort(); // open() has set it
  return *policy_;
}

// Nobody must believe to have YARA rules that nobody looks with.
Result<void> Gatekeeper::give_rules(const Policy& policy) {
  if (workers_ != nullptr) return hubgate::give_rules(*workers_, policy);
  if (policy.yara()) return Error{"policy " + policy.name() + " has YARA rules and no workers"};
  return {};
}

Result<void> Gatekeeper::replace_policy(Policy policy) {
  const std::lock_guard lock(policy_mutex_);
  if (const auto given = give_rules(policy); !given) return given;
  store_->set_rules(with_yara(rules_, policy));
  policy_ = std::move(policy);
  return {};
}

std::optional<StoredAnalysis> Gatekeeper::lookup(const Sha256& sha256, std::uint64_t size) {
  auto found = store_->analysis({sha256, size});
  return found ? std::move(found).value() : std::nullopt;
}

Decision Gatekeeper::preview(const Report& report, const Context& context) const {
  return policy().decide(report, context);
}

Decision Gatekeeper::judge(const Report& report, const Context& context) {
  Decision decision = preview(report, context);
  if (!decision.passes() && context.sha256) {
    // A store that can't be read grants nothing.
    if (const auto waivers = store_->waivers_for(*context.sha256)) {
      for (const Waiver& waiver: *waivers) {
        if (!waives(waiver, decision, report, context, now())) continue;
        decision.action = Action::annotate;
        decision.waiver = waiver.id;
        break;
      }
    }
  }
  return decision;
}

Decision Gatekeeper::decide(const Report& report, const Context& context) {
  return record(judge(report, context), &report, context);
}

// The log's lock comes before the store's, as everywhere.
std::vector<Decision> Gatekeeper::decide_all(const std::vector<Case>& cases) {
  std::vector<Decision> out;
  std::vector<DecisionRecord> records;
  for (const Case& one: cases) {
    Decision decision = judge(*one.report, one.context);
    decision.id = new_reference();
    records.push_back(record_of(decision, one.report, one.context));
    out.push_back(std::move(decision));
  }
  const auto record_all = [&]() -> Result<void> {
    const auto reports = HUBGATE_TRY(store_->batch());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (out[i].id.empty()) return Error{"no random numbers"};
      records[i].report = HUBGATE_TRY(store_->keep_report(*cases[i].report));
    }
    if (auto kept = reports->commit(); !kept) return kept;
    std::vector<json::object> lines;
    for (const auto& record: records)
      lines.push_back(to_json(record));
    return audit_->append_all(
        lines, [&](const std::vector<AuditLog::Line>& written) -> Result<void> {
          const auto batch = HUBGATE_TRY(store_->batch());
          for (std::size_t i = 0; i < records.size(); ++i)
            if (auto done = store_->record(records[i], {written[i].seq, written[i].hash}); !done)
              return done;
          return batch->commit();
        });
  };
  if (const auto recorded = record_all(); !recorded)
    for (auto& decision: out)
      decision = not_recorded(std::move(decision), recorded.error());
  return out;
}

Decision Gatekeeper::refuse(std::string_view rule, std::string_view reason,
                            const Context& context) {
  Decision decision;
  decision.action = Action::block;
  decision.would_be = Action::block;
  decision.rule = rule;
  decision.would_be_rule = rule;
  decision.reason = redacted(reason, 300);
  return record(std::move(decision), nullptr, context);
}

DecisionRecord Gatekeeper::record_of(const Decision& decision, const Report* report,
                                     const Context& context) {
  DecisionRecord record;
  record.time = now();
  record.context = loggable(context);
  if (report != nullptr) {
    if (record.context.size == 0) record.context.size = report->size;
    record.finding_rules = rules_of(*report, context.path);
    record.format = report->format;
  }
  const Policy used = policy();
  record.policy = used.name() + " " + used.digest();
  record.decision = decision;
  return record;
}

Decision Gatekeeper::record(Decision decision, const Report* report, const Context& context) {
  decision.id = new_reference();
  if (decision.id.empty()) return not_recorded(std::move(decision), {"no random numbers"});
  DecisionRecord record = record_of(decision, report, context);
  if (report != nullptr) {
    auto kept = store_->keep_report(*report);
    if (!kept) return not_recorded(std::move(decision), kept.error());
    record.report = *kept;
  }
  const auto line = audit_->append(to_json(record), [&](const AuditLog::Line& written) {
    return store_->record(record, {written.seq, written.hash});
  });
  if (!line) return not_recorded(std::move(decision), line.error());
  return decision;
}

Result<void> Gatekeeper::remember(const ObjectDigest& object, const Report& report,
                                  std::optional<std::string> rules) {
  if (Store::storable(report)) return store_->remember(object, report, std::move(rules));
  const auto failed = std::find_if(report.gaps.begin(), report.gaps.end(), [](const Gap& gap) {
    Report alone;
    alone.gaps.push_back(gap);
    return !Store::storable(alone);
  });
  const auto noted = store_->note_failure({object.sha256, object.size}, to_string(failed->reason));
  if (!noted) return noted.error();
  return {};
}

Result<QuarantineRecord> Gatekeeper::quarantine(const Decision& decision, const Context& context,
                                                Source& bytes) {
  if (!context.sha256) return Error{"quarantine: the object was not hashed to its end"};
  const Context shown = loggable(context);
  QuarantineRecord record;
  record.sha256 = *context.sha256;
  record.size = context.size;
  record.decision = decision.id;
  record.repo = shown.repo;
  record.path = shown.path;
  auto kept = quarantine_->keep(std::move(record), bytes);
  if (!kept) return kept;
  json::object fields;
  fields["sha256"] = hex(kept->sha256);
  fields["size"] = kept->size;
  fields["decision_id"] = kept->decision;
  fields["kept"] = kept->kept;
  if (!kept->note.empty()) fields["note"] = kept->note;
  if (auto told = event("quarantine", fields); !told) return told.error();
  return kept;
}

Result<std::int64_t> Gatekeeper::add_waiver(Waiver waiver) {
  // The event first: a waiver that the log does not know must not exist.
  json::object fields;
  fields["who"] = printable(waiver.approver, 200);
  fields["sha256"] = hex(waiver.sha256);
  json::array rules;
  for (const auto& rule: waiver.rules)
    rules.emplace_back(printable(rule, 100));
  fields["rules"] = std::move(rules);
  fields["scope"] = printable(waiver.scope, 300);
  fields["reason"] = printable(waiver.reason, 500);
  fields["expires"] = to_iso(waiver.expires);
  if (auto told = event("waiver-add", fields); !told) return told.error();
  const std::int64_t id = HUBGATE_TRY(store_->add_waiver(waiver));
  if (HUBGATE_TRY(store_->quarantined(waiver.sha256)))
    if (auto purged = purge(waiver.sha256, waiver.approver); !purged) return purged.error();
  return id;
}

Result<bool> Gatekeeper::revoke_waiver(std::int64_t id, std::string_view by) {
  json::object fields;
  fields["who"] = printable(by, 200);
  fields["waiver"] = id;
  if (!HUBGATE_TRY(store_->revoke_waiver(id, by))) return false;
  if (auto told = event("waiver-revoke", fields); !told) return told.error();
  return true;
}

Result<void> Gatekeeper::purge(const Sha256& sha256, std::string_view by) {
  json::object fields;
  fields["who"] = printable(by, 200);
  fields["sha256"] = hex(sha256);
  if (auto purged = quarantine_->purge(sha256); !purged) return purged;
  return event("quarantine-purge", fields);
}

Result<void> Gatekeeper::event(std::string_view what, const json::object& fields) {
  json::object line;
  line["time"] = to_iso(now());
  line["event"] = what;
  for (const auto& field: fields) {
    if (field.value().is_string())
      line[field.key()] = redacted(field.value().get_string(), 1000);
    else
      line[field.key()] = field.value();
  }
  const auto written = audit_->append(line, [&](const AuditLog::Line& done) {
    return store_->set_audit_head({done.seq, done.hash});
  });
  if (!written) return written.error();
  return {};
}

} // namespace hubgate

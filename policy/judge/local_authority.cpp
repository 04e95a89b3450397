#include "policy/judge/local_authority.hpp"

#include "policy/judge/owed.hpp"
#include "scanner/tree/tree.hpp"

namespace hubgate {
namespace {

/// Bytes of small blobs that wait in memory.
constexpr std::uint64_t k_waiting_bytes = std::uint64_t{64} << 20;

// One text for several, that no other texts give.
std::string bound(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const auto part: parts)
    out += std::to_string(part.size()) + ':' + std::string(part);
  return hex(sha256(as_bytes(out)));
}

} // namespace

LocalAuthority::LocalAuthority(Gatekeeper& keeper, Analyst& analyst, Scope scope)
    : keeper_(keeper), analyst_(analyst), scope_(std::move(scope)), rules_(keeper.store().rules()),
      policy_(keeper.policy()) {}

Authority::Capacity LocalAuthority::capacity() const {
  return {std::size_t{3} * analyst_.jobs(), k_waiting_bytes};
}

void LocalAuthority::analyse_batch(Fd memory, std::vector<BatchItem> items, Done done) {
  analyst_.batch(std::move(memory), std::move(items), std::move(done));
}

void LocalAuthority::analyse_file(Fd file, std::optional<ObjectDigest> computed, Done done) {
  analyst_.file(std::move(file), std::move(computed), scope_.owner, std::move(done));
}

Report LocalAuthority::analyse_code(const python::BundleWriter& bundle, double seconds) {
  Report report;
  if (const auto memory = sealed_memory(as_bytes(bundle.bytes())))
    report = analyst_.code(memory->get(), bundle.bytes().size(), seconds);
  else
    report.gaps.push_back(Gap{Reason::crash, Reach::load, "", 0, memory.error().message});
  bundle.name_files(report);
  return report;
}

Result<std::vector<std::optional<Report>>>
LocalAuthority::known(const std::vector<ObjectKey>& objects) {
  std::vector<std::optional<Report>> out(objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i)
    if (auto stored = keeper_.lookup(objects[i].sha256, objects[i].size); stored && stored->current)
      out[i] = std::move(stored->report);
  return out;
}

Result<std::vector<Decision>> LocalAuthority::decide(const std::vector<Gatekeeper::Case>& cases) {
  auto decisions = keeper_.decide_all(cases);
  const std::lock_guard lock(mutex_);
  for (const Decision& decision: decisions)
    if (decision.waiver) leaned_on_.insert(std::to_string(*decision.waiver));
  return decisions;
}

Result<void> LocalAuthority::quarantine(const Decision& decision, const Context& context, Fd file) {
  const auto source = ArrivingSource::from_file(std::move(file), context.size);
  const auto kept = keeper_.quarantine(decision, context, *source);
  if (!kept) return kept.error();
  return {};
}

Result<void> LocalAuthority::event(std::string_view what, const boost::json::object& fields) {
  if (what == k_lfs_pending)
    if (auto kept = keep_owed(keeper_.store(), scope_.vouched_by, fields); !kept) return kept;
  return keeper_.event(what, fields);
}

std::string LocalAuthority::judged_key(const git::Oid& oid, std::string_view terms) const {
  // The verdicts that a record stands for hold for this policy and this repository.
  const std::string key = ":" + oid.hex() + ":" + policy_.digest() + ":";
  if (terms.empty() && scope_.vouched_by.empty()) return "git" + key + scope_.repo;
  return "git-of" + key + bound({scope_.repo, terms, scope_.vouched_by});
}

std::string LocalAuthority::tree_record_key(const git::Oid& root) const {
  const std::string key = ":" + root.hex() + ":" + tree_key({}, scope_.repo);
  if (scope_.vouched_by.empty()) return "git-tree" + key;
  return "git-tree-of" + key + ":" + bound({scope_.vouched_by});
}

bool LocalAuthority::is_judged(const git::Oid& oid, std::string_view terms) {
  const auto record = keeper_.store().tree(judged_key(oid, terms));
  if (!record || !*record || !(*record)->current) return false;
  // What passed by waivers is judged again when they are over.
  const auto& needed = (*record)->report.references;
  if (needed.empty()) return true;
  const std::lock_guard lock(mutex_);
  if (!waivers_) {
    waivers_.emplace();
    if (const auto all = keeper_.store().waivers())
      for (const Waiver& waiver: *all)
        if (waiver.active(now())) waivers_->insert(std::to_string(waiver.id));
  }
  for (const auto& waiver: needed)
    if (!waivers_->contains(waiver.target)) return false;
  for (const auto& waiver: needed)
    leaned_on_.insert(waiver.target);
  return true;
}

std::optional<Report> LocalAuthority::tree_verdict(const git::Oid& root) {
  auto stored = keeper_.store().tree(tree_record_key(root));
  if (!stored || !*stored || !(*stored)->current) return std::nullopt;
  return std::move((*stored)->report);
}

Result<void> LocalAuthority::remember(const std::vector<TreeVerdict>& trees,
                                      const std::vector<Judgement>& judged) {
  // A policy that came in between may have decided some of it.
  const bool same_policy = keeper_.policy().digest() == policy_.digest();
  Report record;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& waiver: leaned_on_)
      record.references.push_back({"waiver", waiver, "", 0, ""});
  }
  const auto batch = HUBGATE_TRY(keeper_.store().batch());
  for (const auto& tree: trees)
    if (auto kept = keeper_.store().remember_tree(tree_record_key(tree.root), *tree.report, rules_);
        !kept)
      return kept;
  for (const auto& one: judged)
    if (auto kept = same_policy ? keeper_.store().remember_tree(judged_key(one.oid, one.terms),
                                                                record, rules_)
                                : Result<void>();
        !kept)
      return kept;
  return batch->commit();
}

} // namespace hubgate

#include "hook/pre_receive.hpp"

#include "hook/context.hpp"
#include "hook/git_command.hpp"
#include "hook/lfs/orphans.hpp"
#include "hook/lfs/pending.hpp"
#include "hook/lfs_change.hpp"
#include "hook/lfs_store.hpp"
#include "hook/push_walk.hpp"
#include "hook/tip_trees.hpp"
#include "policy/git/cases.hpp"
#include "policy/judge/analyst.hpp"
#include "policy/judge/judge.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

namespace hubgate {
namespace json = boost::json;
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view k_too_late = "it took too long (hook.timeout)";

/// A push in work: what main parts share.
class Push {
public:
  Push(const PreReceive& hook, std::vector<git::RefUpdate> updates)
      : hook_(hook), updates_(std::move(updates)), policy_(hook.authority.policy()) {}

  Result<PushVerdict> run();

private:
  Result<PushVerdict> judge();
  Result<void> prepare();
  Result<void> want_blob(std::size_t index, const Bytes* bytes);
  Result<void> read_lfs();
  Result<void> decide();
  Result<void> remember();
  Result<void> tell_log(std::string_view outcome);
  Result<void> keep_quarantined();
  bool tick();
  RefClasses classes();
  bool late() const;
  PushVerdict too_late();
  bool all_scanned();
  Judge::Pump pump_of(const git::Oid& oid);
  const Judged* judged_blob(const git::Oid& oid);
  PushVerdict answer();

  const PreReceive& hook_;
  std::vector<git::RefUpdate> updates_;
  Policy policy_; ///< as it was when the push came
  std::vector<std::string> class_names_;
  std::vector<std::size_t> classes_; ///< of the updates
  Clock::time_point started_ = Clock::now();
  std::unique_ptr<ObjectStore> objects_;
  std::unique_ptr<LfsStore> lfs_; ///< threads of the judge use it
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<PushWalk> walk_;
  std::vector<Judged*> judged_; ///< as walk_->blobs()
  std::unique_ptr<TipTrees> trees_;
  std::vector<Item> items_; ///< what is not plainly allowed
  std::size_t allowed_ = 0;
};

RefClasses Push::classes() {
  Context context = context_of(hook_.environment);
  RefClasses out = RefClasses::one(0);
  out.first.clear();
  for (std::size_t ref = 0; ref < updates_.size(); ++ref) {
    context.revision = updates_[ref].name;
    std::string name = policy_.class_of(context);
    const auto at = std::find(class_names_.begin(), class_names_.end(), name);
    out.of.push_back(static_cast<std::size_t>(at - class_names_.begin()));
    if (at != class_names_.end()) continue;
    class_names_.push_back(std::move(name));
    out.first.push_back(ref);
  }
  // Empty: no rule asks for any of it.
  if (class_names_.size() > 1 || !class_names_.front().empty())
    out.same = [this, context](std::string_view ref, std::size_t of_class) mutable {
      context.revision = ref;
      return policy_.class_of(context) == class_names_[of_class];
    };
  return out;
}

bool Push::tick() {
  hook_.terminal.progress("hubgate: " + std::to_string(judge_->done()) + " of " +
                          std::to_string(judge_->given()) + " objects scanned\n");
  return !late();
}

bool Push::late() const {
  const std::chrono::duration<double> spent = Clock::now() - started_;
  return hook_.config.timeout != 0 && spent.count() >= hook_.config.timeout;
}

// What was handed on is scanned behind our back.
PushVerdict Push::too_late() {
  const std::size_t done = judge_ ? judge_->done() : 0;
  const std::size_t given = judge_ ? judge_->given() : 0;
  hook_.terminal.refuse("hubgate: PUSH REFUSED: scan in progress: " + std::to_string(done) +
                        " of " + std::to_string(given) +
                        " objects are scanned so far\n"
                        "hubgate: push again in a moment: the gate goes on with the others, and "
                        "the next push finds what it has done\n");
  return PushVerdict::refused;
}

// Where the hook only looks records up: says what has none.
bool Push::all_scanned() {
  constexpr std::size_t k_told = 8;
  const std::vector<const Judged*> unscanned = judge_->unscanned();
  const std::size_t count = unscanned.size();
  std::map<const Judged*, std::string> paths;
  for (std::size_t i = 0; i < judged_.size(); ++i) {
    const BlobEntry& blob = walk_->blobs()[i];
    if (blob.uses.empty()) continue;
    paths[judged_[i]] = blob.uses.front().path;
    const LfsStore::Object* object =
        judged_[i]->pointer ? lfs_->find(judged_[i]->pointer->oid) : nullptr;
    if (object != nullptr) paths[object->judged] = blob.uses.front().path;
  }
  std::string lines;
  for (std::size_t i = 0; i < std::min(count, k_told); ++i) {
    const auto path = paths.find(unscanned[i]);
    lines += "hubgate:   " +
             (path == paths.end() ? std::string("(an older file)") : printable(path->second, 300)) +
             ", " + human_size(unscanned[i]->digest.size) + ", sha256 " +
             hex(unscanned[i]->digest.sha256) + "\n";
  }
  if (count == 0) return true;
  hook_.terminal.refuse(
      "hubgate: PUSH REFUSED: " + std::to_string(count) +
      " files were never scanned, and this hook only looks verdicts up\n" + lines +
      (count > k_told ? "hubgate:   ... and " + std::to_string(count - k_told) + " more\n" : "") +
      "hubgate: have them scanned first: push them to a repository whose hook scans, or download "
      "them through the gate; then push again\n");
  return false;
}

Result<void> Push::prepare() {
  if (hook_.environment.incoming.empty())
    return Error{"Git gives no quarantine directory (GIT_OBJECT_DIRECTORY), so the objects of this "
                 "push can't be told apart: it takes Git 2.11 or newer on the server"};
  objects_ = HUBGATE_TRY(ObjectStore::open({{hook_.environment.incoming, hook_.environment.objects},
                                            hook_.pool,
                                            hook_.scratch,
                                            updates_.front().after.size}));
  Judge::Options options;
  options.scratch = hook_.scratch.string();
  if (hook_.config.mode == HookConfig::Mode::lookup) options.ask = Judge::Ask::records;
  options.jobs = std::max(1u, std::thread::hardware_concurrency());
  options.tick = [this] { return tick(); };
  judge_ = std::make_unique<Judge>(hook_.authority, options);
  lfs_ = std::make_unique<LfsStore>(hook_.config, hook_.environment, hook_.scratch.string());
  const RefClasses refs = classes();
  classes_ = refs.of;
  walk_ = std::make_unique<PushWalk>(
      *objects_, updates_, hook_.config, refs,
      [this](std::size_t index, const Bytes* bytes) { return want_blob(index, bytes); },
      [this](const git::Oid& oid, std::size_t of_class) {
        return hook_.authority.is_judged(oid, class_names_[of_class]);
      });
  trees_ = std::make_unique<TipTrees>(
      TipTrees::World{hook_.environment, hook_.config, updates_, refs.of, *objects_, *judge_, *lfs_,
                      hook_.authority, [this](const git::Oid& oid) { return judged_blob(oid); }});
  return {};
}

// What came out for a blob that the push brings or newly names; null for others.
const Judged* Push::judged_blob(const git::Oid& oid) {
  const auto index = walk_->find_blob(oid);
  return index ? judged_[*index] : nullptr;
}

Judge::Pump Push::pump_of(const git::Oid& oid) {
  return [this, oid](const std::function<Result<void>(Bytes)>& take) {
    return objects_->stream_blob(oid, take);
  };
}

Result<void> Push::want_blob(std::size_t index, const Bytes* bytes) {
  const BlobEntry& blob = walk_->blobs()[index];
  judged_.resize(std::max(judged_.size(), index + 1), nullptr);
  if (bytes != nullptr) {
    judged_[index] = &judge_->small(*bytes);
  } else if (blob.size > hook_.config.big_blob) {
    judged_[index] = &judge_->big(pump_of(blob.oid));
  } else {
    const LoadedObject object = HUBGATE_TRY(objects_->read(blob.oid));
    if (object.kind() != git::Kind::blob || object.bytes().size() != blob.size)
      return Error{"object " + blob.oid.brief() + " is not what its pack says that it is"};
    judged_[index] = &judge_->small(object.bytes());
  }
  if (index % 256 == 0 && !tick()) return Error{std::string(k_too_late)};
  return {};
}

// Pointers at paths: their objects are on the server already, or should be.
Result<void> Push::read_lfs() {
  std::vector<LfsWanted> wanted;
  for (std::size_t i = 0; i < judged_.size(); ++i) {
    if (!judged_[i]->pointer || walk_->blobs()[i].uses.empty()) continue;
    const git::Pointer& pointer = *judged_[i]->pointer;
    wanted.push_back({pointer.oid, pointer.size});
    for (const auto& other: pointer.other_oids)
      wanted.push_back({other, {}});
  }
  if (auto read = lfs_->want(wanted, *judge_, hook_.authority); !read) return read;
  return judge_->wait();
}

Result<void> Push::decide() {
  const CaseMaker maker(context_of(hook_.environment), updates_, lfs_->objects());
  std::vector<PushCase> cases;
  for (const auto& problem: walk_->problems())
    cases.push_back(maker.of_problem(problem));
  for (std::size_t ref = 0; ref < updates_.size(); ++ref)
    if (auto one = maker.of_ref(ref)) cases.push_back(std::move(*one));
  const auto add = [&](PushCase one) {
    // What is plainly allowed is counted; a record for each of 20,000 configuration files would
    // bury the others.
    const auto says_nothing = [&] {
      if (one.report->findings.empty() && one.report->gaps.empty()) return true;
      const Verdict verdict = verdict_of(*one.report, one.item.context.path);
      return verdict.findings.empty() && verdict.gaps.empty();
    };
    if (one.item.whole_tree || says_nothing()) {
      const Decision decision = policy_.decide(*one.report, one.item.context);
      if (decision.action == Action::allow && decision.would_be == Action::allow) {
        ++allowed_;
        return;
      }
    }
    cases.push_back(std::move(one));
  };
  trees_->judge();
  // What was not told in time is no verdict.
  if (late()) return Error{std::string(k_too_late)};
  for (std::size_t i = 0; i < judged_.size(); ++i)
    for (const auto& use: walk_->blobs()[i].uses)
      for (auto& one: maker.of_blob(walk_->blobs()[i], use, *judged_[i])) {
        trees_->account(one);
        add(std::move(one));
      }
  for (auto& one: trees_->cases())
    add(std::move(one));
  auto moved = HUBGATE_TRY(
      lfs_changes({hook_.environment, updates_, classes_, *objects_, hook_.config.max_objects,
                   [this](const git::Oid& oid) { return judged_blob(oid); }}));
  for (auto& one: moved)
    add(std::move(one));

  std::vector<Gatekeeper::Case> asked;
  for (const auto& one: cases)
    asked.push_back({one.report.get(), one.item.context});
  const auto decisions = HUBGATE_TRY(hook_.authority.decide(asked));
  for (std::size_t i = 0; i < cases.size(); ++i) {
    cases[i].item.decision = decisions[i];
    if (hook_.inventory != nullptr) hook_.inventory->tell(cases[i]);
    items_.push_back(std::move(cases[i].item));
  }
  return {};
}

Result<void> Push::remember() {
  // An object that is still to come was judged by nobody.
  const bool passes = std::all_of(items_.begin(), items_.end(), [](const Item& item) {
    return item.decision.passes() && item.missing.empty();
  });
  std::vector<Authority::Judgement> judged;
  if (passes)
    for (const auto& tip: walk_->judged_tips())
      judged.push_back({tip.oid, class_names_[tip.of_class]});
  return hook_.authority.remember(trees_->verdicts(), judged);
}

// Bytes of quarantined objects are read once more: the few that there are.
Result<void> Push::keep_quarantined() {
  for (const auto& item: items_) {
    if (item.decision.action != Action::quarantine || item.decision.id.empty()) continue;
    if (item.whole_tree) continue; // no object has what was found
    Fd file;
    if (item.context.road == Road::lfs) {
      file = HUBGATE_TRY(lfs_->open(item.lfs, item.context.size));
      if (!file) continue;
    } else if (item.context.size > hook_.config.big_blob) {
      file = HUBGATE_TRY(unlinked_file(hook_.scratch.string()));
      auto pumped = pump_of(item.oid)([&](Bytes bytes) { return write_bytes(file.get(), bytes); });
      if (!pumped) return pumped;
    } else {
      const LoadedObject object = HUBGATE_TRY(objects_->read(item.oid));
      file = HUBGATE_TRY(sealed_memory(object.bytes()));
    }
    if (auto kept = hook_.authority.quarantine(item.decision, item.context, std::move(file)); !kept)
      return kept;
  }
  return {};
}

Result<void> Push::tell_log(std::string_view outcome) {
  constexpr std::size_t k_listed = 1000;
  json::object fields;
  fields["who"] = hook_.environment.user;
  fields["from"] = hook_.environment.from;
  fields["repo"] = hook_.environment.repo;
  fields["server"] = hook_.environment.server;
  fields["outcome"] = outcome;
  json::array refs;
  for (const auto& update: updates_) {
    if (refs.size() >= k_listed) break;
    refs.push_back({{"ref", printable(update.name, 300)},
                    {"old", update.before.hex()},
                    {"new", update.after.hex()}});
  }
  fields["refs"] = std::move(refs);
  fields["ref_count"] = updates_.size();
  if (walk_) {
    fields["objects"] = walk_->objects();
    fields["files"] = walk_->blobs().size();
    fields["commits"] = walk_->commits();
    fields["submodules"] = walk_->submodules();
    fields["allowed"] = allowed_;
  }
  json::array decisions;
  for (const auto& item: items_)
    if (decisions.size() < k_listed) decisions.emplace_back(item.decision.id);
  fields["decision_ids"] = std::move(decisions);
  return hook_.authority.event("push", fields);
}

PushVerdict Push::answer() {
  std::vector<const Item*> blocked;
  std::vector<const Item*> annotated;
  for (const auto& item: items_) {
    if (!item.decision.passes())
      blocked.push_back(&item);
    else if (item.decision.action == Action::annotate)
      annotated.push_back(&item);
  }
  // The worst first; what the walk met first stays first among equals.
  const auto worse = [](const Item* a, const Item* b) {
    return a->decision.verdict > b->decision.verdict;
  };
  std::stable_sort(blocked.begin(), blocked.end(), worse);
  std::stable_sort(annotated.begin(), annotated.end(), worse);
  if (!blocked.empty()) {
    hook_.terminal.refuse(refusal_screen(blocked, updates_, items_.size() + allowed_,
                                         {hook_.config.message, hook_.config.waiver_link}));
    return PushVerdict::refused;
  }
  hook_.terminal.warn(warning_lines(annotated, updates_));
  return PushVerdict::pass;
}

Result<PushVerdict> Push::run() {
  auto verdict = judge();
  if (verdict || !late() || !hook_.authority.goes_on()) return verdict;
  if (auto told = tell_log("refused: scan in progress"); !told) return told.error();
  return too_late();
}

Result<PushVerdict> Push::judge() {
  // Nothing new is named by a deletion.
  if (std::all_of(updates_.begin(), updates_.end(),
                  [](const git::RefUpdate& update) { return update.deletes(); })) {
    if (auto told = tell_log("deletes only"); !told) return told.error();
    return PushVerdict::pass;
  }
  if (auto prepared = prepare(); !prepared) return prepared.error();
  if (auto listed = walk_->list(); !listed) return listed.error();
  if (hook_.inventory == nullptr)
    hook_.terminal.say("hubgate: checking " + std::to_string(walk_->objects()) +
                       " new objects in " + std::to_string(updates_.size()) + " ref update" +
                       (updates_.size() == 1 ? "" : "s") + "\n");
  if (auto read = walk_->read_incoming(); !read) return read.error();
  if (auto walked = walk_->walk(); !walked) return walked.error();
  if (auto collected = trees_->collect(); !collected) return collected.error();
  if (auto waited = judge_->wait(); !waited) return waited.error();
  if (auto read = read_lfs(); !read) return read.error();
  if (!all_scanned()) {
    if (auto told = tell_log("refused: not scanned"); !told) return told.error();
    return PushVerdict::refused;
  }
  if (auto decided = decide(); !decided) return decided.error();
  if (auto remembered = remember(); !remembered) return remembered.error();
  const bool passes = std::all_of(items_.begin(), items_.end(),
                                  [](const Item& item) { return item.decision.passes(); });
  if (hook_.inventory != nullptr) {
    if (auto told = tell_log("inventory"); !told) return told.error();
    return passes ? PushVerdict::pass : PushVerdict::refused;
  }
  if (auto kept = keep_quarantined(); !kept) return kept.error();
  if (!passes)
    clear_orphans(hook_.config.lfs, hook_.environment, items_, hook_.authority);
  else if (auto noted = note_pending(hook_.authority, hook_.environment, updates_, items_); !noted)
    return noted.error();
  if (auto told = tell_log(passes ? "passed" : "refused"); !told) return told.error();
  return answer();
}

} // namespace

Result<PushVerdict> pre_receive(const PreReceive& hook, std::string_view ref_lines) {
  auto updates = git::parse_ref_lines(ref_lines);
  if (!updates) return updates.error();
  return Push(hook, std::move(*updates)).run();
}

} // namespace hubgate

#include "proxy/git/pack_check.hpp"

#include "policy/gatekeeper.hpp"
#include "policy/judge/analyst.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/git/tree_check.hpp"

#include <algorithm>
#include <thread>

namespace hubgate::proxy {

namespace {

/// Blobs above it go through an unlinked file and not through memory.
constexpr std::uint64_t k_big_blob = std::uint64_t{8} << 20;
constexpr std::size_t k_paths_max = 2'000'000;
constexpr std::uint64_t k_tree_cache = std::uint64_t{64} << 20;
constexpr std::size_t k_path_max = 4096;
constexpr std::size_t k_tree_depth = 512;
constexpr std::size_t k_problems_max = 10'000;
constexpr std::size_t k_told = 5;
/// Commits of one pack that records are kept of.
constexpr std::size_t k_tips_max = 5000;
constexpr std::string_view k_given_up = "the transfer was given up";

std::string key_of(const git::Oid& oid, std::string_view path) {
  std::string out(as_text(oid.view()));
  out += path;
  return out;
}

} // namespace

std::vector<std::string> BlobNames::find(const std::string& repo, const git::Oid& oid) {
  const std::lock_guard lock(mutex_);
  const auto* found = names_.find(key_of(oid, repo));
  return found == nullptr ? std::vector<std::string>{} : *found;
}

void BlobNames::put(const std::string& repo, const git::Oid& oid, const std::string& path) {
  const std::lock_guard lock(mutex_);
  const std::string key = key_of(oid, repo);
  std::vector<std::string> names;
  if (const auto* found = names_.find(key)) names = *found;
  if (names.size() >= k_names || std::find(names.begin(), names.end(), path) != names.end()) return;
  names.push_back(path);
  const std::size_t weight = names.size();
  names_.put(key, std::move(names), weight);
}

PackCheck::PackCheck(World world, Context context, std::vector<git::RefUpdate> updates,
                     std::size_t id_size)
    : world_(std::move(world)), context_(std::move(context)), updates_(std::move(updates)),
      id_size_(id_size), repo_key_(world_.hub + "/" + context_.repo),
      policy_(world_.keeper.policy()),
      authority_(world_.keeper, world_.analyst, {repo_key_, "hub " + world_.hub}) {}

std::shared_ptr<PackCheck> PackCheck::sibling() const {
  return std::make_shared<PackCheck>(world_, context_, updates_, id_size_);
}

void PackCheck::expect(std::vector<Named> roots) {
  fetched_ = true;
  roots_ = std::move(roots);
}

Result<void> PackCheck::read(const std::filesystem::path& folder) {
  std::uint32_t count = 0;
  objects_ = HUBGATE_TRY(open_pack(world_.pool, world_.scratch, folder, id_size_, count));
  progress_.objects = count;
  Judge::Options options;
  options.scratch = world_.scratch.string();
  options.jobs = std::max(1u, std::thread::hardware_concurrency());
  options.tick = [this] {
    if (judge_) {
      progress_.done = judge_->done();
      progress_.given = judge_->given();
    }
    return go_on();
  };
  judge_ = std::make_unique<Judge>(authority_, options);
  auto taken = objects_->each_incoming(
      k_big_blob, [this](const git::Oid& oid, const ObjectStore::Header& header,
                         const Bytes* bytes) { return take(oid, header, bytes); });
  if (!taken) return taken;
  for (const git::Oid& oid: later_) {
    const LoadedObject object = HUBGATE_TRY(objects_->read(oid));
    if (auto small = take_small(oid, object.kind(), object.bytes()); !small) return small;
  }
  if (auto walked = walk(); !walked) return walked;
  if (auto waited = judge_->wait(); !waited) return waited;
  if (!go_on()) return Error{std::string(k_given_up)};
  return {};
}

Result<void> PackCheck::take(const git::Oid& oid, const ObjectStore::Header& header,
                             const Bytes* bytes) {
  if (!kinds_.emplace(oid, header.kind).second) return {}; // twice in the pack
  if (kinds_.size() % 256 == 0) {
    progress_.done = judge_->done();
    progress_.given = judge_->given();
    if (!go_on()) return Error{std::string(k_given_up)};
  }
  if (header.kind == git::Kind::blob) {
    blob_index_.emplace(oid, blobs_.size());
    blobs_.push_back({oid, header.size, true, {}});
    judged_.push_back(bytes != nullptr ? &judge_->small(*bytes)
                                       : &judge_->big([this, oid](const ObjectReader::Sink& sink) {
                                           return objects_->stream_blob(oid, sink);
                                         }));
    return {};
  }
  if (bytes != nullptr) return take_small(oid, header.kind, *bytes);
  later_.push_back(oid);
  return {};
}

Result<void> PackCheck::take_small(const git::Oid& oid, git::Kind kind, Bytes bytes) {
  switch (kind) {
  case git::Kind::commit: {
    auto commit = git::parse_commit(bytes);
    if (commit) {
      leads_to_.emplace(oid, commit->tree);
      commits_.emplace_back(oid, std::move(*commit));
    } else {
      problem(oid, kind, bytes, nullptr, commit.error().message);
    }
    return {};
  }
  case git::Kind::tag: {
    auto tag = git::parse_tag(bytes);
    if (tag) {
      leads_to_.emplace(oid, tag->object);
      tags_.push_back(*tag);
    } else {
      problem(oid, kind, bytes, nullptr, tag.error().message);
    }
    return {};
  }
  case git::Kind::tree: {
    auto made = PackedTree::parse(bytes, id_size_);
    if (!made) {
      problem(oid, kind, bytes, nullptr, made.error().message);
      return {};
    }
    for (auto& found: git::check_tree((*made)->entries))
      problem(oid, kind, bytes, found.rule, std::move(found.evidence));
    keep_tree(oid, std::move(*made));
    return {};
  }
  case git::Kind::blob:
    break;
  }
  return {};
}

void PackCheck::problem(const git::Oid& oid, git::Kind kind, Bytes bytes, const Rule* rule,
                        std::string text) {
  if (problems_.size() >= k_problems_max) return; // more than enough to refuse the pack
  problems_of_[oid].push_back(problems_.size());
  Place place;
  problems_.push_back({oid, kind, sha256(bytes), bytes.size(), rule, std::move(text), "", place});
}

void PackCheck::keep_tree(const git::Oid& oid, std::shared_ptr<const Tree> tree) {
  if (tree_bytes_ > k_tree_cache) {
    trees_.clear();
    tree_bytes_ = 0;
  }
  tree_bytes_ += tree->bytes.size() + tree->entries.size() * sizeof(git::TreeEntry);
  trees_[oid] = std::move(tree);
}

// Null: it can't be read as a tree, and that was said.
Result<std::shared_ptr<const PackCheck::Tree>> PackCheck::tree(const git::Oid& oid) {
  if (const auto known = trees_.find(oid); known != trees_.end()) return known->second;
  const LoadedObject object = HUBGATE_TRY(objects_->read(oid));
  auto made = PackedTree::parse(object.bytes(), id_size_);
  if (!made) return std::shared_ptr<const Tree>();
  keep_tree(oid, *made);
  return std::move(*made);
}

Result<void> PackCheck::walk() {
  for (const auto& [oid, commit]: commits_)
    if (auto walked = walk_tree(commit.tree, oid); !walked) return walked;
  for (const git::Tag& tag: tags_)
    if (tag.kind == git::Kind::tree && holds(tag.object)) // the others are in outside()
      if (auto walked = walk_tree(tag.object, {}); !walked) return walked;
  for (const Named& root: roots_)
    if (auto walked = walk_from(root); !walked) return walked;
  // Trees that no root of the pack leads to: their names are all that is known of the paths.
  std::vector<git::Oid> rest;
  for (const auto& [oid, kind]: kinds_)
    if (kind == git::Kind::tree && !reached_.contains(oid)) rest.push_back(oid);
  std::sort(rest.begin(), rest.end());
  for (const git::Oid& oid: rest)
    if (!reached_.contains(oid))
      if (auto walked = walk_tree(oid, {}); !walked) return walked;
  for (std::size_t i = 0; i < blobs_.size(); ++i) {
    BlobEntry& blob = blobs_[i];
    if (blob.uses.empty())
      for (auto& name: world_.names.find(repo_key_, blob.oid))
        blob.uses.push_back({std::move(name), false, {0, {}, 0}});
    if (blob.uses.empty()) blob.uses.push_back({"", false, {0, {}, 0}});
  }
  return {};
}

// The same file as a link is another use of it.
Result<void> PackCheck::count_path(const git::TreeEntry& entry, const std::string& path,
                                   bool& seen) {
  std::string key = key_of(entry.oid, path);
  if (entry.is_symlink()) key += '\0';
  seen = !seen_.insert(std::move(key)).second;
  if (seen_.size() <= k_paths_max) return {};
  return Error{"the pack has more than " + std::to_string(k_paths_max) +
               " paths: transfer it in parts"};
}

Result<void> PackCheck::walk_tree(const git::Oid& root, const git::Oid& commit) {
  return walk_from({root, "", static_cast<std::uint32_t>(git::Mode::tree), commit});
}

Result<void> PackCheck::walk_from(const Named& root) {
  std::vector<Step> stack;
  git::TreeEntry top;
  top.mode = root.mode;
  top.oid = root.oid;
  const git::Oid& commit = root.commit;
  if (auto entered = enter(top, root.path, commit, stack); !entered) return entered;
  while (!stack.empty()) {
    Step& step = stack.back();
    if (step.next == step.tree->entries.size()) {
      stack.pop_back();
      continue;
    }
    const std::shared_ptr<const Tree> tree = step.tree; // the stack moves
    const git::TreeEntry& entry = tree->entries[step.next++];
    std::string path = step.path + std::string(entry.name);
    if (path.size() > k_path_max) return Error{"a path has more than 4096 bytes"};
    if (auto entered = enter(entry, path, commit, stack); !entered) return entered;
  }
  return {};
}

Result<void> PackCheck::enter(const git::TreeEntry& entry, const std::string& path,
                              const git::Oid& commit, std::vector<Step>& stack) {
  const Place place{0, commit, 0};
  if (entry.is_submodule()) {
    bool seen = false;
    if (auto counted = count_path(entry, path, seen); !counted || seen) return counted;
    ObjectProblem found;
    found.oid = entry.oid;
    found.rule = &git::submodule_rule();
    found.text = git::submodule_evidence(entry.oid);
    found.path = path;
    found.place = place;
    found.sha256 = sha256(as_bytes(found.text));
    if (problems_.size() < k_problems_max) problems_.push_back(std::move(found));
    return {};
  }
  bool seen = false;
  if (auto counted = count_path(entry, path, seen); !counted || seen) return counted;
  const auto kind = kinds_.find(entry.oid);
  if (kind == kinds_.end()) {
    outside_files_.push_back({entry.oid, path, entry.mode, commit});
    if (!entry.is_tree()) world_.names.put(repo_key_, entry.oid, path);
    return {};
  }
  if (!entry.is_tree()) {
    const auto at = blob_index_.find(entry.oid);
    if (at == blob_index_.end()) return Error{"a tree names something else as a file"};
    blobs_[at->second].uses.push_back({path, entry.is_symlink(), place});
    return {};
  }
  if (kind->second != git::Kind::tree) return Error{"a tree names something else as a folder"};
  if (stack.size() >= k_tree_depth) return Error{"folders lie too deep"};
  reached_.insert(entry.oid);
  if (const auto problems = problems_of_.find(entry.oid); problems != problems_of_.end())
    for (const std::size_t index: problems->second)
      if (problems_[index].path.empty()) {
        problems_[index].path = path;
        problems_[index].place = place;
      }
  auto tree = HUBGATE_TRY(this->tree(entry.oid));
  if (tree != nullptr) stack.push_back({std::move(tree), 0, path.empty() ? "" : path + "/"});
  return {};
}

std::vector<PackCheck::Wanted> PackCheck::wanted() const {
  std::vector<Wanted> out;
  std::unordered_set<std::string> seen;
  const auto want = [&](const std::string& oid, std::uint64_t size) {
    const auto digest = sha256_from_hex(oid);
    if (digest && seen.insert(oid).second) out.push_back({*digest, size});
  };
  for (const Judged* judged: judged_) {
    if (!judged->pointer) continue;
    want(judged->pointer->oid, judged->pointer->size.value_or(0));
    for (const auto& other: judged->pointer->other_oids)
      want(other, judged->pointer->size.value_or(0));
  }
  return out;
}

void PackCheck::set_lfs(const Wanted& wanted, ObjectDigest digest, Report report) {
  auto judged = std::make_unique<Judged>();
  judged->digest = std::move(digest);
  judged->report = std::move(report);
  lfs_[hex(wanted.oid)] = std::move(judged);
}

Result<void> PackCheck::decide(std::vector<PushCase> more,
                               const std::function<void(PushCase&)>& account) {
  // A pull's pointers are followed by a request of their own.
  if (context_.direction == Direction::pull)
    for (Judged* judged: judged_)
      judged->pointer.reset();
  LfsObjects lfs;
  lfs.find = [this](const std::string& oid) { return this->lfs(oid); };
  const CaseMaker maker(context_, updates_, lfs);
  std::vector<PushCase> cases;
  // What is plainly allowed is counted only.
  const auto add = [&](PushCase one) {
    const Decision preview = policy_.decide(*one.report, one.item.context);
    if (preview.action == Action::allow && preview.would_be == Action::allow)
      ++allowed_;
    else
      cases.push_back(std::move(one));
  };
  for (ObjectProblem& problem: problems_) {
    if (problem.place.ref == Place::k_no_ref) problem.place = {0, {}, 0};
    cases.push_back(maker.of_problem(problem));
  }
  for (std::size_t ref = 0; ref < updates_.size(); ++ref)
    if (auto one = maker.of_ref(ref)) cases.push_back(std::move(*one));
  // Under the rules of each ref of the push.
  std::vector<std::size_t> refs;
  std::vector<std::string> classes;
  for (std::size_t ref = 0; ref < updates_.size(); ++ref) {
    if (context_.direction == Direction::push && updates_[ref].deletes()) continue;
    Context context = context_;
    context.revision = updates_[ref].name;
    std::string name = policy_.class_of(context);
    if (std::find(classes.begin(), classes.end(), name) != classes.end()) continue;
    classes.push_back(std::move(name));
    refs.push_back(ref);
  }
  if (refs.empty()) return Error{"there is nothing that the objects are judged for"};
  for (std::size_t i = 0; i < blobs_.size(); ++i)
    for (BlobUse use: blobs_[i].uses)
      for (const std::size_t ref: refs) {
        use.place.ref = ref;
        use.place.rules = ref;
        for (PushCase& one: maker.of_blob(blobs_[i], use, *judged_[i])) {
          if (account) account(one);
          add(std::move(one));
        }
      }
  for (PushCase& one: more)
    add(std::move(one));
  std::vector<Gatekeeper::Case> asked;
  for (const auto& one: cases)
    asked.push_back({one.report.get(), one.item.context});
  const auto decisions = HUBGATE_TRY(authority_.decide(asked));
  items_.reserve(cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    cases[i].item.decision = decisions[i];
    items_.push_back(std::move(cases[i].item));
  }
  for (const Item& item: items_) {
    if (!item.decision.passes())
      blocked_.push_back(&item);
    else if (item.decision.action == Action::annotate)
      annotated_.push_back(&item);
  }
  const auto worse = [](const Item* a, const Item* b) {
    return a->decision.verdict > b->decision.verdict;
  };
  std::stable_sort(blocked_.begin(), blocked_.end(), worse);
  std::stable_sort(annotated_.begin(), annotated_.end(), worse);
  keep_quarantined();
  return {};
}

// Bytes of quarantined blobs are read once more. The decision stands whether they can be kept or
// not.
void PackCheck::keep_quarantined() {
  std::unordered_set<git::Oid> kept;
  for (const Item* item: blocked_) {
    if (item->decision.action != Action::quarantine || item->decision.id.empty()) continue;
    if (item->whole_tree || !blob_index_.contains(item->oid)) continue; // no blob is what was found
    if (item->context.road != Road::git || !go_on() || !kept.insert(item->oid).second) continue;
    auto file = unlinked_file(world_.scratch.string());
    if (!file) return;
    const auto read = objects_->stream_blob(
        item->oid, [&file](Bytes bytes) { return write_bytes(file->get(), bytes); });
    if (read) (void)authority_.quarantine(item->decision, item->context, std::move(*file));
  }
}

bool PackCheck::leans_on_waivers() const {
  return std::any_of(items_.begin(), items_.end(),
                     [](const Item& item) { return item.decision.waiver.has_value(); });
}

std::string PackCheck::text() const {
  const std::size_t looked_at = items_.size() + allowed_;
  if (context_.direction == Direction::push)
    return blocked_.empty() ? warning_lines(annotated_, updates_)
                            : refusal_screen(blocked_, updates_, looked_at);
  std::string out;
  const auto& told = blocked_.empty() ? annotated_ : blocked_;
  for (std::size_t i = 0; i < std::min(told.size(), k_told); ++i) {
    const Item& item = *told[i];
    out += (blocked_.empty() ? annotation_line(item.decision, item.context)
                             : refusal_line(item.decision, item.context)) +
           "\n";
  }
  if (told.size() > k_told)
    out += "hubgate: and " + std::to_string(told.size() - k_told) + " more\n";
  return out;
}

std::vector<std::string> PackCheck::decision_ids() const {
  constexpr std::size_t k_listed = 1000;
  std::vector<std::string> out;
  for (const Item& item: items_)
    if (out.size() < k_listed) out.push_back(item.decision.id);
  return out;
}

PackCheck::Outside PackCheck::outside() const {
  Outside out;
  std::unordered_set<git::Oid> told;
  const auto tell = [&](std::vector<git::Oid>& list, const git::Oid& oid) {
    if (!oid.is_zero() && !holds(oid) && told.insert(oid).second) list.push_back(oid);
  };
  for (const auto& [oid, one]: commits_)
    for (const git::Oid& parent: one.parents)
      tell(out.parents, parent);
  for (const git::Tag& tag: tags_)
    tell(out.others, tag.object);
  if (!fetched_)
    for (const git::RefUpdate& update: updates_)
      tell(out.others, update.after);
  return out;
}

std::vector<git::Oid> PackCheck::unknown() {
  Outside named = outside();
  std::vector<git::Oid> out;
  for (const auto* list: {&named.parents, &named.others})
    for (const git::Oid& oid: *list)
      if (!is_judged(oid)) out.push_back(oid);
  return out;
}

// A client that claims to have what it has not leaves out what nobody judged: only a pack that
// holds all that it names is judged with all behind it.
bool PackCheck::closed() const {
  const Outside named = outside();
  return named.parents.empty() && named.others.empty() && outside_files_.empty() && !kinds_.empty();
}

std::vector<git::Oid> PackCheck::tips() const {
  std::vector<git::Oid> out;
  for (const auto& [oid, kind]: kinds_)
    if (kind == git::Kind::tag && out.size() < k_tips_max) out.push_back(oid);
  std::unordered_set<git::Oid> parents;
  for (const auto& [oid, commit]: commits_)
    parents.insert(commit.parents.begin(), commit.parents.end());
  // Tips first: they are what pushes build on.
  for (const bool inner: {false, true})
    for (const auto& [oid, commit]: commits_)
      if (parents.contains(oid) == inner && out.size() < k_tips_max) out.push_back(oid);
  return out;
}

// Of every ref that is not deleted: one policy may have rules for each.
std::vector<std::string> PackCheck::terms() const {
  std::vector<std::string> out;
  for (const git::RefUpdate& update: updates_) {
    if (context_.direction == Direction::push && update.deletes()) continue;
    std::string name = terms_of(update);
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
  }
  return out;
}

std::string PackCheck::terms_of(const git::RefUpdate& update) const {
  Context context = context_;
  context.revision = update.name;
  return policy_.class_of(context);
}

std::optional<git::Oid> PackCheck::leads_to(const git::Oid& oid) const {
  const auto at = leads_to_.find(oid);
  return at == leads_to_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<git::Kind> PackCheck::kind_of(const git::Oid& oid) const {
  const auto at = kinds_.find(oid);
  return at == kinds_.end() ? std::nullopt : std::optional(at->second);
}

std::shared_ptr<const PackedTree> PackCheck::tree_of(const git::Oid& oid) {
  if (kind_of(oid) != git::Kind::tree) return nullptr;
  auto found = tree(oid);
  return found ? std::move(*found) : nullptr;
}

const Judged* PackCheck::judged(const git::Oid& oid) const {
  const auto at = blob_index_.find(oid);
  return at == blob_index_.end() ? nullptr : judged_[at->second];
}

Result<std::string> PackCheck::bytes_of(const git::Oid& blob) {
  const LoadedObject object = HUBGATE_TRY(objects_->read(blob));
  return std::string(as_text(object.bytes()));
}

const Judged* PackCheck::lfs(const std::string& oid) const {
  const auto at = lfs_.find(oid);
  return at == lfs_.end() ? nullptr : at->second.get();
}

bool PackCheck::is_judged(const git::Oid& oid) {
  const std::vector<std::string> under = terms();
  return !under.empty() && std::all_of(under.begin(), under.end(), [&](const std::string& one) {
    return authority_.is_judged(oid, one);
  });
}

Result<void> PackCheck::remember(const std::vector<git::Oid>& tips) {
  std::vector<Authority::Judgement> judged;
  for (const std::string& one: terms())
    for (const git::Oid& tip: tips)
      judged.push_back({tip, one});
  if (judged.empty()) return {};
  return authority_.remember({}, judged);
}

} // namespace hubgate::proxy

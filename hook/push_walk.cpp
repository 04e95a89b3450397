#include "hook/push_walk.hpp"

#include "hook/git_command.hpp"

#include <algorithm>
#include <utility>

namespace hubgate {

namespace {

/// Parsed trees kept for comparing commits with their parents, in bytes.
constexpr std::uint64_t k_tree_cache = std::uint64_t{32} << 20;
constexpr std::size_t k_tag_depth = 64;
constexpr std::size_t k_path_max = 4096;
constexpr std::size_t k_tree_depth = 512;
/// A push with more is refused: what is not listed is not judged.
constexpr std::size_t k_problems_max = 100'000;

std::string key_of(const git::Oid& oid, std::string_view path, char kind) {
  std::string out(as_text(oid.view()));
  out += kind;
  out += path;
  return out;
}

} // namespace

RefClasses RefClasses::one(std::size_t refs) {
  return {std::vector<std::size_t>(refs, 0), {0}, nullptr};
}

PushWalk::PushWalk(ObjectStore& objects, const std::vector<git::RefUpdate>& updates,
                   const HookConfig& config, RefClasses classes, WantBlob want, IsJudged judged)
    : objects_(objects), updates_(updates), config_(config), classes_(std::move(classes)),
      want_(std::move(want)), is_judged_(std::move(judged)), shelf_(objects.id_size()),
      walked_(classes_.first.size()) {}

void PushWalk::problem(const git::Oid& oid, git::Kind kind, Bytes bytes, const Rule* rule,
                       std::string text) {
  if (problems_.size() > k_problems_max) return; // walk() refuses them all
  problems_of_[oid].push_back(problems_.size());
  problems_.push_back({oid, kind, sha256(bytes), bytes.size(), rule, std::move(text), "", Place{}});
}

// Problems are found when an object is read, and told where each class of refs first names it.
void PushWalk::place_problems(const git::Oid& oid, const std::string& path, Place place) {
  const auto found = problems_of_.find(oid);
  if (found == problems_of_.end()) return;
  for (const std::size_t index: found->second) {
    if (!walked_[class_].problems.insert(index).second) continue;
    if (problems_[index].place.ref != Place::k_no_ref) {
      if (problems_.size() > k_problems_max) return;
      const ObjectProblem again = problems_[index];
      problems_.push_back(again);
    }
    ObjectProblem& problem =
        problems_[index].place.ref == Place::k_no_ref ? problems_[index] : problems_.back();
    problem.path = path;
    problem.place = place;
  }
}

Result<void> PushWalk::list() {
  incoming_ = HUBGATE_TRY(objects_.count_incoming());
  if (incoming_ <= config_.max_objects) return {};
  return Error{"the push has more than " + std::to_string(config_.max_objects) +
               " objects (hook.max_objects): push it in parts"};
}

Result<void> PushWalk::read_incoming() {
  return objects_.each_incoming(
      config_.big_blob, [this](const git::Oid& oid, const ObjectStore::Header& header,
                               const Bytes* bytes) { return add_incoming(oid, header, bytes); });
}

Result<void> PushWalk::add_incoming(const git::Oid& oid, const ObjectStore::Header& header,
                                    const Bytes* bytes) {
  if (!kinds_.emplace(oid, header.kind).second) return {}; // loose and packed
  switch (header.kind) {
  case git::Kind::blob: {
    const std::size_t index = blobs_.size();
    blob_index_.emplace(oid, index);
    blobs_.push_back({oid, header.size, true, {}});
    return want_(index, bytes);
  }
  case git::Kind::tree: {
    // Kept for the walk, while there is room; the others are read once more.
    if (bytes == nullptr || tree_bytes_ > k_tree_cache) return {};
    auto made = shelf_.make(*bytes);
    if (made) keep_tree(oid, std::move(*made)); // else it is said when it is walked
    return {};
  }
  case git::Kind::commit: {
    if (bytes != nullptr) {
      take_commit(oid, header.kind, *bytes, Note::yes);
      return {};
    }
    const auto read = commit(oid, Note::yes);
    if (!read) return read.error();
    return {};
  }
  case git::Kind::tag: {
    if (bytes != nullptr) {
      if (const auto tag = git::parse_tag(*bytes); !tag)
        problem(oid, git::Kind::tag, *bytes, nullptr, tag.error().message);
      return {};
    }
    const LoadedObject object = HUBGATE_TRY(objects_.read(oid));
    if (const auto tag = git::parse_tag(object.bytes()); !tag)
      problem(oid, git::Kind::tag, object.bytes(), nullptr, tag.error().message);
    return {};
  }
  }
  return {};
}

const git::Commit* PushWalk::take_commit(const git::Oid& oid, git::Kind kind, Bytes bytes,
                                         Note note) {
  auto parsed = kind == git::Kind::commit
                    ? git::parse_commit(bytes)
                    : Result<git::Commit>(Error{"it is named as a commit and is none"});
  if (parsed) return &commits_.emplace(oid, std::move(*parsed)).first->second;
  if (note == Note::yes && !problems_of_.contains(oid))
    problem(oid, git::Kind::commit, bytes, nullptr, parsed.error().message);
  return nullptr;
}

// Null: it is there and can't be read as a commit. History that was there before is not the
// pusher's fault: its problems are noted only when it is walked.
Result<const git::Commit*> PushWalk::commit(const git::Oid& oid, Note note) {
  if (const auto known = commits_.find(oid); known != commits_.end())
    return static_cast<const git::Commit*>(&known->second);
  const LoadedObject object = HUBGATE_TRY(objects_.read(oid));
  return take_commit(oid, object.kind(), object.bytes(), note);
}

void PushWalk::keep_tree(const git::Oid& oid, Tree tree) {
  if (tree_bytes_ > k_tree_cache) {
    trees_.clear();
    tree_bytes_ = 0;
  }
  tree_bytes_ += tree->cost();
  trees_.emplace(oid, std::move(tree));
}

// Null: it is there and can't be read as a tree.
Result<PushWalk::Tree> PushWalk::tree(const git::Oid& oid, Note note) {
  const bool check = note == Note::yes && checked_trees_.insert(oid).second;
  const auto known = trees_.find(oid);
  Tree out;
  if (known != trees_.end()) {
    out = known->second;
  } else {
    const LoadedObject object = HUBGATE_TRY(objects_.read(oid));
    auto made = object.kind() == git::Kind::tree
                    ? shelf_.make(object.bytes())
                    : Result<Tree>(Error{"it is named as a tree and is none"});
    if (!made) {
      if (check) problem(oid, git::Kind::tree, object.bytes(), nullptr, made.error().message);
      return out;
    }
    out = std::move(*made);
    keep_tree(oid, out);
  }
  if (!check || out->clean()) return out;
  const auto found = git::check_tree(out->entries());
  if (found.empty()) return out;
  const LoadedObject object = HUBGATE_TRY(objects_.read(oid));
  for (const auto& one: found)
    problem(oid, git::Kind::tree, object.bytes(), one.rule, one.evidence);
  return out;
}

// The commit that a ref named before the push; nothing when it named something else.
std::optional<git::Oid> PushWalk::commit_before(const git::RefUpdate& update) {
  git::Oid oid = update.before;
  for (std::size_t depth = 0; depth <= k_tag_depth && !oid.is_zero(); ++depth) {
    const auto object = objects_.read(oid);
    if (!object) return std::nullopt;
    if (object->kind() == git::Kind::commit) return oid;
    if (object->kind() != git::Kind::tag) return std::nullopt;
    const auto tag = git::parse_tag(object->bytes());
    if (!tag) return std::nullopt;
    oid = tag->object;
  }
  return std::nullopt;
}

Result<std::size_t> PushWalk::blob(const git::Oid& oid) {
  if (const auto known = blob_index_.find(oid); known != blob_index_.end()) return known->second;
  const auto header = HUBGATE_TRY(objects_.header(oid));
  if (header.kind != git::Kind::blob) return Error{"object " + oid.brief() + " is no file"};
  const std::size_t index = blobs_.size();
  blob_index_.emplace(oid, index);
  blobs_.push_back({oid, header.size, false, {}});
  if (auto wanted = want_(index, nullptr); !wanted) return wanted.error();
  return index;
}

Result<void> PushWalk::count_path() {
  if (++paths_ <= config_.max_paths) return {};
  return Error{"the push names more than " + std::to_string(config_.max_paths) +
               " paths (hook.max_paths): push it in parts"};
}

Result<void> PushWalk::use_blob(const git::Oid& oid, std::string path, bool symlink, Place place) {
  if (!walked_[class_].seen.insert(key_of(oid, path, symlink ? 'l' : 'f')).second) return {};
  if (auto counted = count_path(); !counted) return counted;
  const std::size_t index = HUBGATE_TRY(blob(oid));
  blobs_[index].uses.push_back({std::move(path), symlink, place});
  return {};
}

// Everything below `root` that is not the same at the same path in one of `parents`.
Result<void> PushWalk::walk_tree(const git::Oid& root, const std::vector<git::Oid>& parents,
                                 Place place) {
  struct Step {
    git::Oid oid;
    std::vector<git::Oid> parents; ///< trees at the same path
    std::string path;              ///< "" or with a slash at the end
    std::size_t depth;
  };
  std::vector<Step> steps{{root, parents, "", 0}};
  while (!steps.empty()) {
    const Step step = std::move(steps.back());
    steps.pop_back();
    if (std::find(step.parents.begin(), step.parents.end(), step.oid) != step.parents.end())
      continue;
    if (!walked_[class_].seen.insert(key_of(step.oid, step.path, 't')).second) continue;
    if (auto counted = count_path(); !counted) return counted;
    const auto current = HUBGATE_TRY(tree(step.oid, Note::yes));
    place_problems(step.oid, step.path, place);
    if (current == nullptr) continue;
    std::vector<Tree> before;
    for (const auto& parent: step.parents)
      if (auto other = tree(parent, Note::no); other && *other != nullptr) before.push_back(*other);

    // Both in the order of trees, side by side. Where an order is broken fewer entries are found to
    // be the same, and more are judged.
    std::vector<git::TreeCursor> at;
    at.reserve(before.size());
    for (const auto& other: before)
      at.emplace_back(*other);
    std::vector<const git::TreeEntry*> was(before.size(), nullptr);
    for (git::TreeCursor here(*current); !here.at_end();) {
      const git::TreeEntry& entry = here.entry();
      std::size_t shared = 0;
      for (std::size_t i = 0; i < before.size() && shared == 0; ++i) {
        while (!at[i].at_end() && git::comes_before(at[i].entry(), entry))
          at[i].next();
        const bool found = !at[i].at_end() && at[i].entry().name == entry.name;
        was[i] = found ? &at[i].entry() : nullptr;
        if (!found) continue;
        shared = here.shared_with(at[i]);
        if (shared != 0) at[i].skip(shared);
      }
      here.skip(std::max<std::size_t>(shared, 1));
      if (shared != 0) continue;
      const auto same = [&](const git::TreeEntry* other) {
        return other != nullptr && other->oid == entry.oid && other->mode == entry.mode;
      };
      if (std::any_of(was.begin(), was.end(), same)) continue;
      std::string path = step.path + std::string(entry.name);
      if (path.size() > k_path_max || step.depth >= k_tree_depth)
        return Error{"a path of the push is too long or too deep: " + std::to_string(path.size()) +
                     " bytes, " + std::to_string(step.depth) + " folders"};
      if (entry.is_submodule()) {
        if (auto noted = note_submodule(entry.oid, std::move(path), place); !noted) return noted;
        continue;
      }
      if (!entry.is_tree()) {
        if (auto used = use_blob(entry.oid, std::move(path), entry.is_symlink(), place); !used)
          return used;
        continue;
      }
      Step next{entry.oid, {}, std::move(path) + "/", step.depth + 1};
      for (const auto* other: was)
        if (other != nullptr && other->is_tree()) next.parents.push_back(other->oid);
      steps.push_back(std::move(next));
    }
  }
  return {};
}

// A commit of another repository: nothing of it is here.
Result<void> PushWalk::note_submodule(const git::Oid& oid, std::string path, Place place) {
  if (!walked_[class_].seen.insert(key_of(oid, path, 'm')).second) return {};
  if (auto counted = count_path(); !counted) return counted;
  ++submodules_;
  if (problems_.size() > k_problems_max) return {}; // walk() refuses them all
  const std::string text = git::submodule_evidence(oid);
  problems_.push_back({oid, git::Kind::commit, sha256(as_bytes(text)), 0, &git::submodule_rule(),
                       text, std::move(path), place});
  return {};
}

Result<void> PushWalk::walk_commit(std::size_t ref, const git::Oid& oid,
                                   const git::Commit& commit_of) {
  ++commits_walked_;
  std::vector<git::Oid> before;
  for (const auto& parent: commit_of.parents)
    // A parent that can't be read gives nothing for free.
    if (auto other = commit(parent, Note::no); other && *other != nullptr)
      before.push_back((*other)->tree);
  return walk_tree(commit_of.tree, before, place_at(ref, oid));
}

// What the refs name that are judged as the walked one is, for `git rev-list` to leave out.
Result<std::string> PushWalk::accepted_refs() {
  std::string listed;
  auto ran = run_git({"for-each-ref", "--format=%(refname)"}, "", [&](Bytes bytes) -> Result<void> {
    listed += as_text(bytes);
    return {};
  });
  if (!ran) return ran.error();
  std::string out;
  for (std::size_t at = 0; at < listed.size();) {
    const std::size_t end = std::min(listed.find('\n', at), listed.size());
    const std::string_view name = std::string_view(listed).substr(at, end - at);
    if (classes_.same(name, class_)) out += "^" + std::string(name) + "\n";
    at = end + 1;
  }
  return out;
}

// Which of the commits that lie outside of the push are not known history, and what is behind them.
Result<std::unordered_set<git::Oid>>
PushWalk::unknown_commits(const git::Oid& before, const std::vector<git::Oid>& unsure) {
  std::string input;
  for (const auto& oid: unsure)
    input += oid.hex() + "\n";
  if (!before.is_zero()) input += "^" + before.hex() + "\n";
  std::vector<std::string> arguments{"rev-list", "--stdin"};
  if (config_.history == HookConfig::History::accept) {
    if (classes_.same == nullptr)
      arguments.insert(arguments.end(), {"--not", "--all"});
    else
      input += HUBGATE_TRY(accepted_refs());
  }
  std::string output;
  auto ran = run_git(arguments, input, [&](Bytes bytes) -> Result<void> {
    output += as_text(bytes);
    return {};
  });
  if (!ran) return ran.error();
  std::unordered_set<git::Oid> out;
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    const auto oid = git::Oid::from_hex(std::string_view(output).substr(at, end - at));
    if (!oid) return Error{"git rev-list answered something else than commits"};
    out.insert(*oid);
    at = end + 1;
  }
  return out;
}

Result<void> PushWalk::walk_commits(std::size_t ref, const git::Oid& tip) {
  const git::Oid before = commit_before(updates_[ref]).value_or(git::Oid{});
  const bool baseline = config_.history == HookConfig::History::accept || !before.is_zero();
  const auto is_closed = [&](const git::Oid& oid) {
    const auto known = walked_[class_].commits.find(oid);
    return known != walked_[class_].commits.end() && known->second.closed;
  };

  // First only through what the push brought, to see where it touches older history.
  std::vector<git::Oid> unsure;
  if (baseline) {
    std::unordered_set<git::Oid> met{tip};
    std::vector<git::Oid> open{tip};
    while (!open.empty()) {
      const git::Oid oid = open.back();
      open.pop_back();
      if (is_closed(oid) || oid == before) continue;
      if (!is_incoming(oid)) {
        if (!is_judged_(oid, class_)) unsure.push_back(oid);
        continue;
      }
      const git::Commit* found = HUBGATE_TRY(commit(oid, Note::yes));
      if (found == nullptr) continue;
      for (const auto& parent: found->parents)
        if (met.insert(parent).second) open.push_back(parent);
    }
  }
  std::unordered_set<git::Oid> unknown;
  if (!unsure.empty()) unknown = HUBGATE_TRY(unknown_commits(before, unsure));

  // Then for real, parents before children: whoever brings a path first is named for it.
  struct Step {
    git::Oid oid;
    bool parents_done;
  };
  std::unordered_map<git::Oid, bool> done; // closed?
  std::vector<Step> steps{{tip, false}};
  while (!steps.empty()) {
    const Step step = steps.back();
    steps.pop_back();
    if (!step.parents_done) {
      if (done.contains(step.oid)) continue;
      if (is_closed(step.oid)) {
        done[step.oid] = true;
        continue;
      }
      if (!is_incoming(step.oid)) {
        if (is_judged_(step.oid, class_)) {
          done[step.oid] = true;
          continue;
        }
        if (step.oid == before || (baseline && !unknown.contains(step.oid))) {
          done[step.oid] = false;
          continue;
        }
      } else if (step.oid == before) {
        done[step.oid] = false;
        continue;
      }
      const git::Commit* found = HUBGATE_TRY(commit(step.oid, Note::yes));
      place_problems(step.oid, "", place_at(ref, step.oid));
      if (found == nullptr) {
        done[step.oid] = false;
        continue;
      }
      done[step.oid] = false;
      steps.push_back({step.oid, true});
      for (auto parent = found->parents.rbegin(); parent != found->parents.rend(); ++parent)
        if (!done.contains(*parent)) steps.push_back({*parent, false});
      continue;
    }
    const git::Commit* found = HUBGATE_TRY(commit(step.oid, Note::yes));
    const auto [known, fresh] = walked_[class_].commits.emplace(step.oid, Known{});
    if (fresh)
      if (auto walked = walk_commit(ref, step.oid, *found); !walked) return walked;
    const bool closed =
        std::all_of(found->parents.begin(), found->parents.end(), [&](const git::Oid& parent) {
          const auto at = done.find(parent);
          return at != done.end() && at->second;
        });
    // walk_commit() adds no commits, so the iterator is good.
    known->second.closed = known->second.closed || closed;
    done[step.oid] = known->second.closed;
  }
  walked_[class_].closed_tips[tip] = done[tip];
  return {};
}

Result<void> PushWalk::walk_ref(std::size_t ref) {
  const git::RefUpdate& update = updates_[ref];
  if (update.deletes()) return {};
  class_ = classes_.of[ref];
  git::Oid oid = update.after;
  for (std::size_t depth = 0; depth <= k_tag_depth; ++depth) {
    const auto known = kinds_.find(oid);
    if (known == kinds_.end() && is_judged_(oid, class_)) return {};
    const git::Kind kind =
        known != kinds_.end() ? known->second : HUBGATE_TRY(objects_.header(oid)).kind;
    switch (kind) {
    case git::Kind::commit:
      return walk_commits(ref, oid);
    case git::Kind::tree:
      if (auto walked = walk_tree(oid, {}, place_at(ref, {})); !walked) return walked;
      walked_[class_].closed_tips[oid] = true;
      return {};
    case git::Kind::blob:
      walked_[class_].closed_tips[oid] = true;
      return use_blob(oid, "", false, place_at(ref, {}));
    case git::Kind::tag:
      break;
    }
    const LoadedObject object = HUBGATE_TRY(objects_.read(oid));
    const auto tag = git::parse_tag(object.bytes());
    if (!tag) {
      if (!problems_of_.contains(oid))
        problem(oid, git::Kind::tag, object.bytes(), nullptr, tag.error().message);
      place_problems(oid, "", place_at(ref, {}));
      return {};
    }
    oid = tag->object;
  }
  return Error{"a tag of the push leads through more than " + std::to_string(k_tag_depth) +
               " tags"};
}

Result<void> PushWalk::walk() {
  for (std::size_t ref = 0; ref < updates_.size(); ++ref)
    if (auto walked = walk_ref(ref); !walked) return walked;
  // What nothing names.
  for (const auto& [oid, kind]: kinds_)
    if (kind == git::Kind::tree && !checked_trees_.contains(oid))
      if (const auto read = tree(oid, Note::yes); !read) return read.error();
  // A pack may repeat old objects as bases of deltas: those change nothing. What else nothing names
  // is judged by the rules of every ref that came with it.
  for (auto& entry: blobs_)
    if (entry.incoming && entry.uses.empty() && !objects_.was_there(entry.oid))
      for (const std::size_t ref: classes_.first)
        entry.uses.push_back({"", false, Place{Place::k_no_ref, {}, ref}});
  std::erase_if(problems_, [&](const ObjectProblem& found) {
    return found.place.ref == Place::k_no_ref && objects_.was_there(found.oid);
  });
  for (std::size_t i = 0, found = problems_.size(); i < found; ++i) {
    if (problems_[i].place.ref != Place::k_no_ref) continue;
    problems_[i].place.rules = classes_.first.front();
    for (std::size_t other = 1; other < classes_.first.size(); ++other) {
      ObjectProblem again = problems_[i];
      again.place.rules = classes_.first[other];
      problems_.push_back(std::move(again));
    }
  }
  if (problems_.size() > k_problems_max)
    return Error{"more than " + std::to_string(k_problems_max) +
                 " things are wrong with the commits, tags and trees of the push"};
  return {};
}

std::vector<PushWalk::Tip> PushWalk::judged_tips() const {
  std::vector<Tip> out;
  for (std::size_t i = 0; i < walked_.size(); ++i)
    for (const auto& [oid, closed]: walked_[i].closed_tips)
      if (closed) out.push_back({oid, i});
  return out;
}

} // namespace hubgate

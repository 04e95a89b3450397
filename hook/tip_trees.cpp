#include "hook/tip_trees.hpp"

#include "hook/context.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace hubgate {
namespace {

constexpr std::size_t k_tag_depth = 64;
constexpr std::size_t k_tree_depth = 512;
/// Old files that are read once more because of what they may say of others, in bytes.
constexpr std::uint64_t k_old_file = std::uint64_t{4} << 20;
constexpr std::uint64_t k_old_files = std::uint64_t{1} << 30;

/// For the code of one tree: somebody waits at the other end of the push.
constexpr double k_code_seconds = 60;

FileMode mode_of(std::uint32_t mode) {
  git::TreeEntry entry;
  entry.mode = mode;
  if (entry.is_symlink()) return FileMode::symlink;
  if (entry.is_submodule()) return FileMode::submodule;
  return (mode & 0100) != 0 ? FileMode::executable : FileMode::regular;
}

std::string finding_key(const Finding& finding) {
  return finding.rule + '\0' + std::string(to_string(finding.severity)) + '\0' + finding.where +
         '\0' + finding.evidence;
}

std::string gap_key(const Gap& gap) {
  return std::string(to_string(gap.reason)) + '\0' + gap.where + '\0' + gap.detail;
}

} // namespace

// The commit and tree that an object leads to; nothing for a blob or what can't be read (the walk
// says what is wrong with it).
Result<std::optional<TipTrees::Tip>> TipTrees::tip_of(std::size_t ref, git::Oid oid) {
  Tip tip;
  tip.ref = ref;
  for (std::size_t depth = 0; depth <= k_tag_depth; ++depth) {
    const LoadedObject object = HUBGATE_TRY(world_.objects.read(oid));
    switch (object.kind()) {
    case git::Kind::blob:
      return std::optional<Tip>();
    case git::Kind::tree:
      tip.tree = oid;
      return std::optional<Tip>(tip);
    case git::Kind::commit: {
      const auto commit = git::parse_commit(object.bytes());
      if (!commit) return std::optional<Tip>();
      tip.commit = oid;
      oid = commit->tree;
      break;
    }
    case git::Kind::tag: {
      const auto tag = git::parse_tag(object.bytes());
      if (!tag) return std::optional<Tip>();
      oid = tag->object;
      break;
    }
    }
  }
  return std::optional<Tip>();
}

Result<void> TipTrees::collect() {
  for (std::size_t ref = 0; ref < world_.updates.size(); ++ref) {
    const git::RefUpdate& update = world_.updates[ref];
    if (update.deletes()) continue;
    auto tip = HUBGATE_TRY(tip_of(ref, update.after));
    if (!tip) continue;
    if (auto listed = list(tip->tree); !listed) return listed;
    if (!update.before.is_zero()) {
      // An old tip that can't be read says nothing for the new one.
      const auto before = tip_of(ref, update.before);
      if (before && *before && list((*before)->tree)) tip->before = (*before)->tree;
    }
    tips_.push_back(*tip);
  }
  return {};
}

Result<void> TipTrees::list(const git::Oid& root) {
  const auto [at, fresh] = trees_.try_emplace(root);
  if (!fresh) return {};
  Tree& tree = at->second;
  if (auto stored = world_.authority.tree_verdict(root)) {
    tree.report = std::move(*stored);
    tree.recorded = true;
    return {};
  }
  struct Folder {
    std::string path;
    git::Oid oid;
    std::size_t depth;
  };
  std::vector<Folder> folders{{"", root, 0}};
  while (!folders.empty() && !tree.too_large) {
    const Folder folder = std::move(folders.back());
    folders.pop_back();
    const LoadedObject object = HUBGATE_TRY(world_.objects.read(folder.oid));
    const auto entries = object.kind() == git::Kind::tree
                             ? git::parse_tree(object.bytes(), world_.objects.id_size())
                             : Result<std::vector<git::TreeEntry>>(Error{"no tree"});
    if (!entries) continue; // the walk refuses it
    for (const auto& entry: *entries) {
      if (++listed_ > world_.config.max_objects || folder.depth > k_tree_depth) {
        tree.too_large = true;
        break;
      }
      std::string path = folder.path + std::string(entry.name);
      if (entry.is_tree())
        folders.push_back({std::move(path) + "/", entry.oid, folder.depth + 1});
      else
        tree.files.push_back({std::move(path), entry.mode, entry.oid, nullptr, {}});
    }
  }
  return read_old_files(tree);
}

// Old files are read again where their content can decide something: names of code and
// configuration, links, and what is small enough for an LFS pointer.
Result<void> TipTrees::read_old_files(Tree& tree) {
  const auto known = [&](const git::Oid& oid) -> const Judged* {
    if (const Judged* judged = world_.judged(oid)) return judged;
    const auto at = asked_.find(oid);
    return at == asked_.end() ? nullptr : at->second;
  };
  std::vector<File*> unknown;
  std::vector<git::Oid> oids;
  for (File& file: tree.files) {
    if (mode_of(file.mode) == FileMode::submodule) continue;
    file.judged = known(file.oid);
    if (file.judged != nullptr) continue;
    unknown.push_back(&file);
    oids.push_back(file.oid);
  }
  if (unknown.empty()) return {};
  const auto headers = HUBGATE_TRY(world_.objects.headers(oids));
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    File& file = *unknown[i];
    file.judged = known(file.oid); // the same file at another path
    const auto& header = headers[i];
    if (file.judged != nullptr || !header || header->kind != git::Kind::blob) continue;
    const bool wanted = mode_of(file.mode) == FileMode::symlink ||
                        header->size <= git::k_pointer_max ||
                        (tree_decides(file.path) && header->size <= k_old_file);
    if (!wanted || read_ + header->size > k_old_files) continue;
    read_ += header->size;
    const LoadedObject object = HUBGATE_TRY(world_.objects.read(file.oid));
    file.judged = &world_.judge.small(object.bytes());
    asked_.emplace(file.oid, file.judged);
  }
  return {};
}

void TipTrees::judge_tree_of(Tree& tree) {
  std::vector<TreeEntry> entries;
  entries.reserve(tree.files.size());
  std::vector<ObjectKey> on_record;
  std::vector<std::size_t> waiting; ///< entries that stand for them
  for (const File& file: tree.files) {
    TreeEntry& entry = entries.emplace_back();
    entry.path = file.path;
    entry.mode = mode_of(file.mode);
    entry.sha256 = "git:" + file.oid.hex();
    const Judged* judged = file.judged;
    if (judged == nullptr) continue;
    entry.sha256 = hex(judged->digest.sha256);
    entry.size = judged->digest.size;
    entry.report = &judged->report;
    if (entry.mode == FileMode::symlink) entry.target = judged->head;
    if (entry.mode == FileMode::symlink || !judged->pointer) continue;
    // What stands for an LFS object is judged as the object: scanned in this push, or on record.
    const git::Pointer& pointer = *judged->pointer;
    const LfsStore::Object* object = world_.lfs.find(pointer.oid);
    if (object != nullptr && object->judged != nullptr) {
      entry.sha256 = hex(object->judged->digest.sha256);
      entry.size = object->judged->digest.size;
      entry.report = &object->judged->report;
      continue;
    }
    const auto oid = sha256_from_hex(pointer.oid);
    entry.sha256 = pointer.oid;
    entry.size = pointer.size.value_or(0);
    entry.report = nullptr;
    if (oid && pointer.size) {
      on_record.push_back({*oid, *pointer.size});
      waiting.push_back(entries.size() - 1);
    }
  }
  const auto found = world_.authority.known(on_record);
  for (std::size_t i = 0; found && i < waiting.size(); ++i)
    if ((*found)[i]) entries[waiting[i]].report = &tree.reports.emplace_back(*(*found)[i]);
  TreeOptions options;
  options.repo = world_.environment.repo;
  options.max_entries = static_cast<std::size_t>(world_.config.max_paths);
  tree.key = tree_key(entries, options.repo);
  const RepositoryCode code =
      repository_code(entries, options, [&](std::size_t i) -> std::optional<std::string> {
        const File& file = tree.files[i];
        if (file.judged != nullptr && file.judged->pointer) return std::nullopt; // in LFS
        const auto object = world_.objects.read(file.oid);
        if (!object || object->kind() != git::Kind::blob) return std::nullopt;
        return std::string(as_text(object->bytes()));
      });
  Report together;
  if (code.wanted()) together = world_.authority.analyse_code(code.bundle, k_code_seconds);
  together.gaps.insert(together.gaps.end(), code.gaps.begin(), code.gaps.end());
  options.repository = &together;
  tree.report = judge_tree(entries, options);
  const auto described = described_files(entries);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!described[i]) continue;
    tree.describes = true;
    described_.try_emplace({entries[i].path, entries[i].sha256}, entries[*described[i]].path);
  }
  if (tree.too_large)
    tree.report.gaps.push_back(Gap{Reason::budget,
                                   Reach::load,
                                   "",
                                   0,
                                   "the trees of this push have too many files (hook.max_objects)",
                                   {}});
}

void TipTrees::judge() {
  for (auto& [root, tree]: trees_)
    if (!tree.recorded) judge_tree_of(tree);
}

void TipTrees::account(PushCase& one) const {
  const Context& context = one.item.context;
  if (!context.sha256 || described_.empty()) return;
  const auto by = described_.find({context.path, hex(*context.sha256)});
  if (by == described_.end()) return;
  one.report = std::make_shared<const Report>(as_described(*one.report, by->second));
}

std::vector<PushCase> TipTrees::cases() const {
  std::vector<PushCase> out;
  // One tree under many refs is told once, where they are judged alike and stood alike before.
  std::set<std::tuple<git::Oid, std::size_t, std::optional<git::Oid>>> told;
  for (const Tip& tip: tips_) {
    if (!told.insert({tip.tree, world_.classes[tip.ref], tip.before}).second) continue;
    const Tree& tree = trees_.at(tip.tree);
    std::set<std::string> before;
    if (tip.before && *tip.before != tip.tree) {
      for (const auto& finding: trees_.at(*tip.before).report.findings)
        before.insert(finding_key(finding));
      for (const auto& gap: trees_.at(*tip.before).report.gaps)
        before.insert(gap_key(gap));
    }
    std::map<std::string, Report> by_path;
    for (const auto& finding: tree.report.findings)
      if (!before.contains(finding_key(finding)))
        by_path[finding.where].findings.push_back(finding);
    for (const auto& gap: tree.report.gaps)
      if (!before.contains(gap_key(gap))) by_path[gap.where].gaps.push_back(gap);
    for (auto& [path, report]: by_path) {
      PushCase one;
      one.item.place = {tip.ref, tip.commit, tip.ref};
      one.item.kind = path.empty() ? "tree" : "file";
      one.item.oid = tip.tree;
      one.item.whole_tree = true;
      one.item.advice = "it is about several files of " +
                        (tip.commit.is_zero() ? "the tree" : "commit " + tip.commit.brief()) +
                        " together: change or remove the one that the finding names";
      Context& context = one.item.context;
      context = context_of(world_.environment);
      context.path = path;
      context.revision = world_.updates[tip.ref].name;
      context.sha256 = sha256_from_hex(tree.key);
      report.format = tree.report.format;
      for (auto& finding: report.findings)
        finding.where.clear();
      for (auto& gap: report.gaps)
        gap.where.clear();
      one.report = std::make_shared<const Report>(std::move(report));
      out.push_back(std::move(one));
    }
  }
  return out;
}

// Complete ones only: a gap may close without the tree changing. And none that accounts for files:
// a record does not say for which.
std::vector<Authority::TreeVerdict> TipTrees::verdicts() const {
  std::vector<Authority::TreeVerdict> out;
  for (const auto& [root, tree]: trees_)
    if (!tree.recorded && !tree.describes && tree.report.complete() &&
        std::all_of(
            tree.report.findings.begin(), tree.report.findings.end(),
            [](const Finding& finding) { return finding.severity == Severity::informational; }))
      out.push_back({root, &tree.report});
  return out;
}

} // namespace hubgate

#include "proxy/git/tips.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_entries_max = 200'000; ///< of one tree
constexpr std::size_t k_depth = 512;
constexpr std::size_t k_steps = 64; ///< tags that name tags
constexpr std::string_view k_terms = "tip ";

FileMode mode_of(std::uint32_t mode) {
  git::TreeEntry entry;
  entry.mode = mode;
  if (entry.is_symlink()) return FileMode::symlink;
  if (entry.is_submodule()) return FileMode::submodule;
  return (mode & 0100) != 0 ? FileMode::executable : FileMode::regular;
}

bool is_code(std::string_view path) {
  return path.ends_with(".py") || path.ends_with(".ipynb");
}

std::string finding_key(const Finding& finding) {
  return finding.rule + '\0' + std::string(to_string(finding.severity)) + '\0' + finding.where +
         '\0' + finding.evidence;
}

std::string gap_key(const Gap& gap) {
  return std::string(to_string(gap.reason)) + '\0' + gap.where + '\0' + gap.detail;
}

} // namespace

PushTips::PushTips(Visit& visit, SideBand& band, HubGit& hub,
                   std::vector<std::shared_ptr<PackCheck>> checks,
                   std::shared_ptr<PackedTrees> parents, const std::vector<git::RefUpdate>& updates)
    : visit_(visit), band_(band), hub_(hub), checks_(std::move(checks)), updates_(updates) {
  if (parents) trees_.push_back(std::move(parents));
}

// What a ref or tag of the packs leads to: a tree, a blob, or something that no pack holds.
git::Oid PushTips::peeled(git::Oid oid) const {
  for (std::size_t step = 0; step < k_steps; ++step) {
    std::optional<git::Oid> next;
    for (const auto& check: checks_)
      if (!next) next = check->leads_to(oid);
    if (!next) break;
    oid = *next;
  }
  return oid;
}

bool PushTips::is_blob(const git::Oid& oid) const {
  return std::any_of(checks_.begin(), checks_.end(),
                     [&](const auto& check) { return check->kind_of(oid) == git::Kind::blob; });
}

// Nothing: what it names is not at hand, or has no tree.
std::optional<git::Oid> PushTips::root_of(git::Oid oid) {
  oid = peeled(oid);
  if (tree_of(oid)) return oid;
  for (const auto& trees: trees_)
    if (const auto root = trees->root_of(oid); root && *root) return *root;
  return std::nullopt;
}

std::shared_ptr<const PackedTree> PushTips::tree_of(const git::Oid& oid) {
  for (const auto& check: checks_)
    if (auto tree = check->tree_of(oid)) return tree;
  for (const auto& trees: trees_)
    if (auto tree = trees->tree(oid)) return tree;
  return nullptr;
}

Task<bool> PushTips::get_trees(git::Oid commit, std::string& error) {
  FetchWish wish;
  wish.objects.push_back(commit);
  wish.trees_only = true;
  auto spool = co_await hub_.fetch(std::move(wish), error);
  if (!spool) co_return false;
  auto trees = co_await open_trees(visit_, band_, checks_.front(), std::move(spool), error);
  if (!trees) co_return false;
  trees_.push_back(std::move(trees));
  co_return true;
}

Task<std::string> PushTips::judge() {
  for (std::size_t ref = 0; ref < updates_.size(); ++ref) {
    if (updates_[ref].deletes()) continue;
    std::string why = co_await judge_ref(ref);
    if (!why.empty()) co_return why;
  }
  co_return "";
}

Task<std::string> PushTips::judge_ref(std::size_t ref) {
  const git::Oid tip = updates_[ref].after;
  const auto check = checks_.front();
  const std::string terms = std::string(k_terms) + check->terms_of(updates_[ref]);
  const bool known =
      co_await visit_.gate.loop.offload([&] { return check->authority().is_judged(tip, terms); });
  if (known) co_return "";
  const git::Oid named = peeled(tip);
  if (is_blob(named)) co_return "";
  std::string error;
  std::optional<git::Oid> root = co_await visit_.gate.loop.offload([&] { return root_of(tip); });
  if (!root) {
    const bool got = co_await get_trees(named, error);
    if (!got)
      co_return "the files of " + tip.brief() + " can't be listed: " + printable(error, 200);
    root = co_await visit_.gate.loop.offload([&] { return root_of(tip); });
    if (!root) co_return ""; // an old tag of a file
  }
  const auto tree = co_await tree_verdict(*root, true, error);
  if (!tree) co_return "the files of " + tip.brief() + " can't be judged: " + printable(error, 200);
  if (tree->report.findings.empty() && tree->report.gaps.empty()) {
    harmless_.push_back({tip, terms});
    co_return "";
  }
  const auto before = co_await verdict_before(ref);
  if (before == tree) co_return ""; // the same files
  make_cases(ref, *root, *tree, before.get());
  co_return "";
}

// Null: there was nothing before, or nobody can say.
Task<std::shared_ptr<PushTips::Tree>> PushTips::verdict_before(std::size_t ref) {
  const git::Oid oid = updates_[ref].before;
  if (oid.is_zero()) co_return nullptr;
  std::string error;
  std::optional<git::Oid> root = co_await visit_.gate.loop.offload([&] { return root_of(oid); });
  // A claim, until the hub says the same.
  std::string name = updates_[ref].name;
  const std::optional<git::Oid> now = co_await hub_.ref(std::move(name), error);
  if (now != oid) co_return nullptr;
  if (!root) {
    const bool got = co_await get_trees(oid, error);
    if (got) root = co_await visit_.gate.loop.offload([&] { return root_of(oid); });
  }
  if (!root) co_return nullptr;
  auto tree = co_await tree_verdict(*root, false, error);
  co_return tree;
}

Task<std::shared_ptr<PushTips::Tree>> PushTips::tree_verdict(git::Oid root, bool is_tip,
                                                             std::string& error) {
  if (const auto known = verdicts_.find(root); known != verdicts_.end()) co_return known->second;
  auto tree = std::make_shared<Tree>();
  std::function<Result<void>()> listing = [this, root, tree] { return list(root, *tree); };
  const Result<void> listed =
      co_await run_apart(visit_, checks_.front(), band_, std::move(listing));
  if (!listed) {
    error = listed.error().message;
    co_return nullptr;
  }
  co_await read_old_files(tree);
  std::function<Result<void>()> judging = [this, tree, is_tip] {
    return judge_tree_of(*tree, is_tip);
  };
  const Result<void> judged =
      co_await run_apart(visit_, checks_.front(), band_, std::move(judging));
  if (!judged) {
    error = judged.error().message;
    co_return nullptr;
  }
  tree->files.clear();
  verdicts_.emplace(root, tree);
  co_return tree;
}

Result<void> PushTips::list(const git::Oid& root, Tree& tree) {
  struct Folder {
    std::string path;
    git::Oid oid;
    std::size_t depth;
  };
  std::vector<Folder> folders{{"", root, 0}};
  while (!folders.empty()) {
    const Folder folder = std::move(folders.back());
    folders.pop_back();
    const auto listed = tree_of(folder.oid);
    if (!listed)
      return Error{"folder " + (folder.path.empty() ? folder.oid.brief() : printable(folder.path)) +
                   " is neither in the pack nor in its parents' trees"};
    for (const git::TreeEntry& entry: listed->entries) {
      if (tree.files.size() + folders.size() >= k_entries_max || folder.depth > k_depth) {
        tree.gaps.push_back(Gap{Reason::budget, Reach::load, "", 0,
                                "there are too many files to judge them together"});
        return {};
      }
      std::string path = folder.path + std::string(entry.name);
      if (entry.is_tree()) {
        folders.push_back({std::move(path) + "/", entry.oid, folder.depth + 1});
        continue;
      }
      File& file = tree.files.emplace_back();
      file.path = std::move(path);
      file.mode = entry.mode;
      file.oid = entry.oid;
      for (const auto& check: checks_)
        if (file.judged == nullptr) file.judged = check->judged(file.oid);
    }
  }
  return {};
}

// Those that decide something and that no pack holds: known from other trees, or fetched.
Task<void> PushTips::read_old_files(std::shared_ptr<Tree> tree) {
  Gate& gate = visit_.gate;
  FetchWish wish;
  wish.whole_history = true; // there is none
  std::vector<PackCheck::Named> wanted;
  std::set<git::Oid> asked;
  std::size_t left_out = 0;
  for (File& file: tree->files) {
    const FileMode mode = mode_of(file.mode);
    if (file.judged != nullptr || mode == FileMode::submodule) continue;
    if (mode != FileMode::symlink && !fetched_for_tree(file.path)) continue;
    if (const auto at = old_.find(file.oid); at != old_.end()) continue;
    auto known = known_for_trees(gate, *visit_.hub, visit_.asked.repo, file.oid.hex());
    if (known && mode != FileMode::symlink) {
      old_[file.oid] = std::move(known);
      continue;
    }
    if (!asked.insert(file.oid).second) continue;
    if (wanted.size() >= k_tree_fetches) {
      ++left_out;
      continue;
    }
    wish.objects.push_back(file.oid);
    wanted.push_back({file.oid, file.path, file.mode, {}});
  }
  std::string problem;
  if (left_out != 0) problem = std::to_string(left_out) + " files that decide were not read";
  if (!wanted.empty()) {
    std::string error;
    auto spool = co_await hub_.fetch(std::move(wish), error);
    if (spool) {
      const auto check = checks_.front()->sibling();
      check->expect(wanted);
      const std::filesystem::path folder = spool->folder();
      std::function<Result<void>()> work = [this, check, folder, &wanted]() -> Result<void> {
        if (auto read = check->read(folder); !read) return read;
        keep_old_files(*check, wanted);
        return {};
      };
      const Result<void> read = co_await run_apart(visit_, check, band_, std::move(work));
      if (!read) error = read.error().message;
    }
    if (!error.empty()) problem = "files that decide could not be read: " + printable(error, 200);
    for (const PackCheck::Named& one: wanted)
      if (plain_.contains(one.oid))
        keep_for_trees(gate, *visit_.hub, visit_.asked.repo, one.oid.hex(), old_.at(one.oid));
  }
  if (!problem.empty())
    tree->gaps.push_back(Gap{Reason::unreadable, Reach::load, "", 0, std::move(problem)});
  for (File& file: tree->files)
    if (file.judged == nullptr)
      if (const auto at = old_.find(file.oid); at != old_.end()) file.old = at->second;
}

void PushTips::keep_old_files(PackCheck& fetched, const std::vector<PackCheck::Named>& wanted) {
  for (const PackCheck::Named& one: wanted) {
    const Judged* judged = fetched.judged(one.oid);
    if (judged == nullptr) continue;
    auto blob = std::make_shared<TreeBlob>();
    blob->sha256 = judged->digest.sha256;
    blob->size = judged->digest.size;
    blob->report = judged->report;
    const auto object =
        judged->pointer ? sha256_from_hex(judged->pointer->oid) : std::optional<Sha256>();
    if (mode_of(one.mode) == FileMode::symlink) {
      blob->text = judged->head;
    } else if (object) {
      // It stands for an LFS object, which may be known.
      blob->sha256 = *object;
      blob->size = judged->pointer->size.value_or(0);
      blob->report = {};
      const auto known = fetched.authority().known({{blob->sha256, blob->size}});
      if (known && known->front()) blob->report = *known->front();
    } else {
      if (is_code(one.path))
        if (auto text = fetched.bytes_of(one.oid)) blob->text = std::move(*text);
      plain_.insert(one.oid);
    }
    old_[one.oid] = std::move(blob);
  }
}

std::optional<std::string> PushTips::text_of(const File& file) {
  if (file.old) return file.old->text;
  if (file.judged == nullptr || file.judged->pointer) return std::nullopt;
  for (const auto& check: checks_)
    if (check->judged(file.oid) != nullptr)
      if (auto text = check->bytes_of(file.oid)) return std::move(*text);
  return std::nullopt;
}

Result<void> PushTips::judge_tree_of(Tree& tree, bool is_tip) {
  hubgate::Authority& authority = checks_.front()->authority();
  std::vector<TreeEntry> entries;
  entries.reserve(tree.files.size());
  for (const File& file: tree.files) {
    TreeEntry& entry = entries.emplace_back();
    entry.path = file.path;
    entry.mode = mode_of(file.mode);
    entry.sha256 = "git:" + file.oid.hex();
    if (file.old) {
      entry.sha256 = hex(file.old->sha256);
      entry.size = file.old->size;
      entry.report = &file.old->report;
      if (entry.mode == FileMode::symlink) entry.target = file.old->text;
      continue;
    }
    const Judged* judged = file.judged;
    if (judged == nullptr) continue;
    // What stands for an LFS object is judged as the object.
    if (entry.mode != FileMode::symlink && judged->pointer)
      for (const auto& check: checks_)
        if (const Judged* object = check->lfs(judged->pointer->oid)) judged = object;
    entry.sha256 = hex(judged->digest.sha256);
    entry.size = judged->digest.size;
    entry.report = &judged->report;
    if (entry.mode == FileMode::symlink) entry.target = judged->head;
  }
  const std::string repo = split_repo(visit_.asked.repo).name;
  TreeOptions options;
  options.repo = repo;
  options.all_scanned = false;
  tree.key = tree_key(entries, repo);
  const RepositoryCode code =
      repository_code(entries, options, [&](std::size_t i) { return text_of(tree.files[i]); });
  Report together;
  if (code.wanted())
    together = authority.analyse_code(code.bundle,
                                      std::chrono::duration<double>(k_tree_code_time).count());
  together.gaps.insert(together.gaps.end(), code.gaps.begin(), code.gaps.end());
  options.repository = &together;
  tree.report = judge_tree(entries, options);
  tree.report.gaps.insert(tree.report.gaps.end(), tree.gaps.begin(), tree.gaps.end());
  if (!is_tip) return {};
  const auto described = described_files(entries);
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (described[i])
      described_.try_emplace({entries[i].path, entries[i].sha256}, entries[*described[i]].path);
  return {};
}

void PushTips::make_cases(std::size_t ref, const git::Oid& root, const Tree& tree,
                          const Tree* before) {
  // One tree under many refs is told once, where they are judged alike and stood alike before.
  if (!told_.insert({root, checks_.front()->terms_of(updates_[ref]), updates_[ref].before}).second)
    return;
  std::set<std::string> old;
  if (before != nullptr) {
    for (const Finding& finding: before->report.findings)
      old.insert(finding_key(finding));
    for (const Gap& gap: before->report.gaps)
      old.insert(gap_key(gap));
  }
  std::map<std::string, Report> by_path;
  for (const Finding& finding: tree.report.findings)
    if (!old.contains(finding_key(finding))) by_path[finding.where].findings.push_back(finding);
  for (const Gap& gap: tree.report.gaps)
    if (!old.contains(gap_key(gap))) by_path[gap.where].gaps.push_back(gap);
  for (auto& [path, report]: by_path) {
    PushCase one;
    one.item.place = {ref, updates_[ref].after, ref};
    one.item.kind = path.empty() ? "tree" : "file";
    one.item.oid = root;
    one.item.whole_tree = true;
    one.item.advice = "it is about several files of commit " + updates_[ref].after.brief() +
                      " together: change or remove the one that the finding names";
    one.item.context = checks_.front()->context();
    one.item.context.path = path;
    one.item.context.revision = updates_[ref].name;
    one.item.context.sha256 = sha256_from_hex(tree.key);
    report.format = tree.report.format;
    for (Finding& finding: report.findings)
      finding.where.clear();
    for (Gap& gap: report.gaps)
      gap.where.clear();
    one.report = std::make_shared<const Report>(std::move(report));
    cases_.push_back(std::move(one));
  }
}

void PushTips::account(PushCase& one) const {
  const Context& context = one.item.context;
  if (!context.sha256 || described_.empty()) return;
  const auto by = described_.find({context.path, hex(*context.sha256)});
  if (by == described_.end()) return;
  one.report = std::make_shared<const Report>(as_described(*one.report, by->second));
}

Result<void> PushTips::remember() {
  if (harmless_.empty()) return {};
  return checks_.front()->authority().remember({}, harmless_);
}

} // namespace hubgate::proxy

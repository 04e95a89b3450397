#include "proxy/git/outside.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <unordered_set>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_commits_max = 1'000; ///< fetched with their history
constexpr std::size_t k_parents_max = 256;   ///< whose trees are fetched
constexpr std::size_t k_files_max = 20'000;  ///< fetched one by one

bool same_kind(std::uint32_t mode, const git::TreeEntry& other) {
  git::TreeEntry entry;
  entry.mode = mode;
  return entry.is_tree() == other.is_tree() && entry.is_symlink() == other.is_symlink() &&
         entry.is_submodule() == other.is_submodule();
}

// Takes out what stands at the same path in one of the commits.
void remove_known(PackedTrees& trees, const std::vector<git::Oid>& commits,
                  std::vector<PackCheck::Named>& named) {
  for (const git::Oid& commit: commits) {
    const auto root = trees.root_of(commit);
    if (!root || !*root) continue;
    std::erase_if(named, [&](const PackCheck::Named& one) {
      const auto there = trees.find(**root, one.path);
      return there && there->oid == one.oid && same_kind(one.mode, *there);
    });
  }
}

} // namespace

Task<std::string> PushOutside::look() {
  std::string why = co_await look_at_commits();
  if (!why.empty()) co_return why;
  why = co_await look_at_files();
  co_return why;
}

// With one ref nothing becomes reachable that was not: what it names now it names already.
Task<bool> PushOutside::is_old_tip(git::Oid oid) {
  const git::RefUpdate* only = nullptr;
  for (const git::RefUpdate& update: updates_) {
    if (update.deletes()) continue;
    if (only != nullptr) co_return false;
    only = &update;
  }
  if (only == nullptr || only->before != oid) co_return false;
  // A claim, until the hub says the same.
  std::string error;
  std::string name = only->name;
  const std::optional<git::Oid> now = co_await hub_.ref(std::move(name), error);
  co_return now == oid;
}

Task<std::shared_ptr<PackCheck>> PushOutside::fetch_and_read(FetchWish wish,
                                                             std::vector<PackCheck::Named> roots,
                                                             std::string& error) {
  const std::vector<git::Oid> wanted = wish.objects;
  auto spool = co_await hub_.fetch(std::move(wish), error);
  if (!spool) co_return nullptr;
  spools_.push_back(spool);
  const std::filesystem::path folder = spool->folder();
  const auto check = check_->sibling();
  check->expect(std::move(roots));
  std::function<Result<void>()> work = [check, folder] { return check->read(folder); };
  const Result<void> read = co_await run_apart(visit_, check, band_, std::move(work));
  if (!read)
    error = read.error().message;
  else if (!std::all_of(wanted.begin(), wanted.end(),
                        [&](const git::Oid& oid) { return check->holds(oid); }) ||
           !check->closed())
    error = "the hub gives only a part of it";
  if (!error.empty()) co_return nullptr;
  fetched_.push_back(check);
  co_return check;
}

Task<std::string> PushOutside::look_at_commits() {
  const auto check = check_;
  std::vector<git::Oid> unknown =
      co_await visit_.gate.loop.offload([&] { return check->unknown(); });
  const PackCheck::Outside outside = check_->outside();
  std::vector<git::Oid> wanted;
  for (const git::Oid& oid: unknown) {
    const bool old_tip = co_await is_old_tip(oid);
    if (old_tip)
      rests_on_ref_ = true;
    else
      wanted.push_back(oid);
  }
  if (wanted.empty()) co_return "";
  const std::string first = wanted.front().brief();
  if (wanted.size() > k_commits_max)
    co_return "it names " + first + " and " + std::to_string(wanted.size() - 1) +
        " others that the gate has never seen: push less at once";
  FetchWish wish;
  wish.objects = std::move(wanted);
  wish.whole_history = true;
  std::string error;
  std::vector<PackCheck::Named> no_roots;
  history_ = co_await fetch_and_read(std::move(wish), std::move(no_roots), error);
  if (!history_)
    co_return "it names " + first +
        ", which the gate has never seen and can't get from the hub: " + printable(error, 200);
  co_return "";
}

Task<std::string> PushOutside::look_at_files() {
  std::vector<PackCheck::Named> named = check_->outside_files();
  if (named.empty()) co_return "";
  std::vector<git::Oid> parents = check_->outside().parents;
  if (parents.size() > k_parents_max) parents.resize(k_parents_max);
  std::string error;
  if (!parents.empty()) {
    FetchWish wish;
    wish.objects = parents;
    wish.trees_only = true;
    auto spool = co_await hub_.fetch(std::move(wish), error);
    if (!spool)
      co_return "the files that it does not bring can't be compared with those that its parents "
                "have: " +
          printable(error, 200);
    parents_ = co_await open_trees(visit_, band_, check_, std::move(spool), error);
    if (!parents_) co_return "the trees of its parents can't be read: " + printable(error, 200);
    std::function<Result<void>()> work = [&]() -> Result<void> {
      remove_known(*parents_, parents, named);
      return {};
    };
    const Result<void> compared = co_await run_apart(visit_, check_, band_, std::move(work));
    if (!compared)
      co_return "the trees of its parents can't be read: " +
          printable(compared.error().message, 200);
  }
  if (named.empty()) co_return "";
  FetchWish wish;
  wish.whole_history = true; // there is none
  std::unordered_set<git::Oid> told;
  for (const PackCheck::Named& one: named)
    if (told.insert(one.oid).second) wish.objects.push_back(one.oid);
  const std::string which =
      printable(named.front().path.empty() ? named.front().oid.brief() : named.front().path, 200);
  if (wish.objects.size() > k_files_max)
    co_return "it names " + std::to_string(wish.objects.size()) +
        " files that it does not bring and that its parents don't have, among them " + which;
  auto check = co_await fetch_and_read(std::move(wish), std::move(named), error);
  if (!check)
    co_return "it names " + which +
        ", which it does not bring, its parents don't have and the hub does not give: " +
        printable(error, 200);
  co_return "";
}

// A record names the waivers of its own pack only: what rests on those of another one is judged
// again.
bool PushOutside::all_judged() const {
  return !rests_on_ref_ && std::none_of(fetched_.begin(), fetched_.end(), [](const auto& check) {
    return check->leans_on_waivers();
  });
}

Result<void> PushOutside::remember() {
  if (!history_) return {};
  return history_->remember(history_->tips());
}

} // namespace hubgate::proxy

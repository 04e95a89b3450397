#pragma once
// Law 5 for pushes: a pack names more than it brings, and all of that is judged too. Commits are
// known from a record, or are what the one ref of the push names now, or are fetched from the hub
// with their history. What trees name and the pack lacks stands at the same path in such a commit's
// tree, or is fetched and judged while the push waits. See README.md.
#include "proxy/git/hub_git.hpp"

#include <deque>

namespace hubgate::proxy {

class PushOutside {
public:
  PushOutside(Visit& visit, SideBand& band, std::shared_ptr<PackCheck> check,
              const std::vector<git::RefUpdate>& updates)
      : visit_(visit), band_(band), hub_(visit, band), check_(std::move(check)), updates_(updates) {
  }

  /// Fetches what the gate has to see. What comes back is a line about why the push may not go on;
  /// "" when it may, as far as fetched() passes.
  Task<std::string> look();
  /// What came and was read; its LFS objects are not told and nothing is decided yet.
  const std::vector<std::shared_ptr<PackCheck>>& fetched() const { return fetched_; }
  /// Whether everything behind the pushed commits is judged when all passes: they may be recorded.
  bool all_judged() const;
  /// The trees of parents outside of the pack; null when they were not needed.
  const std::shared_ptr<PackedTrees>& parents() const { return parents_; }
  HubGit& hub() { return hub_; }
  /// Behind look(): keeps the record of fetched commits.
  Result<void> remember();

private:
  Task<std::string> look_at_commits();
  Task<std::string> look_at_files();
  Task<bool> is_old_tip(git::Oid oid);
  Task<std::shared_ptr<PackCheck>>
  fetch_and_read(FetchWish wish, std::vector<PackCheck::Named> roots, std::string& error);

  Visit& visit_;
  SideBand& band_;
  HubGit hub_;
  std::shared_ptr<PackCheck> check_;
  const std::vector<git::RefUpdate>& updates_;
  bool rests_on_ref_ = false;
  std::vector<std::shared_ptr<PackCheck>> fetched_;
  std::shared_ptr<PackCheck> history_; ///< the one of them that brought commits
  std::shared_ptr<PackedTrees> parents_;
  std::vector<std::shared_ptr<PackSpool>> spools_; ///< of all that came
};

} // namespace hubgate::proxy

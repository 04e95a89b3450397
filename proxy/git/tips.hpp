#pragma once
// PushTips: the tree verdict (scanner/tree) of what each ref of a push over HTTP names. The whole
// tree counts: what the pack lacks of it is in the trees of its parents, and files of those that
// decide something (fetched_for_tree()) are asked of the hub, once. What the ref's tree said before
// the push already is not held against it.
#include "proxy/git/hub_git.hpp"
#include "proxy/hub/tree.hpp"

#include <deque>
#include <map>
#include <set>
#include <tuple>

namespace hubgate::proxy {

class PushTips {
public:
  /// `checks`: what came and what was fetched, the push's own pack first. `parents` may be null.
  PushTips(Visit& visit, SideBand& band, HubGit& hub,
           std::vector<std::shared_ptr<PackCheck>> checks, std::shared_ptr<PackedTrees> parents,
           const std::vector<git::RefUpdate>& updates);

  /// Judges every tip. A line about why that can't be; "" when it was done.
  Task<std::string> judge();
  /// Behind judge(): one case a file that a verdict is about.
  std::vector<PushCase> take_cases() { return std::move(cases_); }
  /// Closes the gap of a file of which another one in its tree says what it is.
  void account(PushCase& one) const;
  /// Keeps the record of the tips of which nothing can be said.
  Result<void> remember();

private:
  struct File {
    std::string path;
    std::uint32_t mode = 0;
    git::Oid oid;
    const Judged* judged = nullptr; ///< in one of the packs
    std::shared_ptr<const TreeBlob> old;
  };
  struct Tree {
    std::vector<File> files;
    std::deque<Report> reports; ///< of LFS objects
    std::vector<Gap> gaps;
    Report report;
    std::string key;
  };

  git::Oid peeled(git::Oid oid) const;
  bool is_blob(const git::Oid& oid) const;
  std::optional<git::Oid> root_of(git::Oid oid);
  std::shared_ptr<const PackedTree> tree_of(const git::Oid& oid);
  Task<bool> get_trees(git::Oid commit, std::string& error);
  Task<std::string> judge_ref(std::size_t ref);
  Task<std::shared_ptr<Tree>> tree_verdict(git::Oid root, bool is_tip, std::string& error);
  Task<std::shared_ptr<Tree>> verdict_before(std::size_t ref);
  Result<void> list(const git::Oid& root, Tree& tree);
  Task<void> read_old_files(std::shared_ptr<Tree> tree);
  void keep_old_files(PackCheck& fetched, const std::vector<PackCheck::Named>& wanted);
  Result<void> judge_tree_of(Tree& tree, bool is_tip);
  void make_cases(std::size_t ref, const git::Oid& root, const Tree& tree, const Tree* before);
  std::optional<std::string> text_of(const File& file);

  Visit& visit_;
  SideBand& band_;
  HubGit& hub_;
  std::vector<std::shared_ptr<PackCheck>> checks_;
  std::vector<std::shared_ptr<PackedTrees>> trees_;
  const std::vector<git::RefUpdate>& updates_;
  std::map<git::Oid, std::shared_ptr<const TreeBlob>> old_; ///< that were fetched here
  std::set<git::Oid> plain_;                           ///< of those, what is no pointer and no link
  std::map<git::Oid, std::shared_ptr<Tree>> verdicts_; ///< by root; without their files
  /// By path and sha256 (hex) of a file that is only opaque: the path of what describes it.
  std::map<std::pair<std::string, std::string>, std::string> described_;
  std::set<std::tuple<git::Oid, std::string, git::Oid>> told_;
  std::vector<PushCase> cases_;
  std::vector<hubgate::Authority::Judgement> harmless_;
};

} // namespace hubgate::proxy

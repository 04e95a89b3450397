#pragma once
// TipTrees: the tree verdict (scanner/tree) of what each ref names after the push. The whole tree
// of the tip counts, not only what the push brings: a harmless file may be what an older one waited
// for. What the ref's tree said before the push already is not held against it.
#include "hook/lfs_store.hpp"
#include "policy/git/cases.hpp"
#include "scanner/git/object_store.hpp"
#include "scanner/tree/tree.hpp"

#include <deque>
#include <map>

namespace hubgate {

class TipTrees {
public:
  struct World {
    const HookEnvironment& environment;
    const HookConfig& config;
    const std::vector<git::RefUpdate>& updates;
    std::vector<std::size_t> classes; ///< of the updates, see RefClasses
    ObjectStore& objects;
    Judge& judge;
    const LfsStore& lfs;
    Authority& authority;
    /// What the push's own scan makes of a blob; null when the blob is not of the push.
    std::function<const Judged*(const git::Oid&)> judged;
  };

  explicit TipTrees(World world) : world_(std::move(world)) {}

  /// Lists the trees and gives what decides in them and was not scanned to the judge.
  Result<void> collect();
  /// When the judge has waited: the verdicts.
  void judge();
  /// Behind judge(): closes the gap of a file of which another one in its tree says what it is.
  void account(PushCase& one) const;
  /// One case a file that the verdict is about.
  std::vector<PushCase> cases() const;
  /// The verdicts that are worth a record.
  std::vector<Authority::TreeVerdict> verdicts() const;

private:
  struct File {
    std::string path;
    std::uint32_t mode = 0;
    git::Oid oid;
    const Judged* judged = nullptr;
    std::string target; ///< of a link
  };
  struct Tree {
    std::vector<File> files;
    std::deque<Report> reports; ///< of LFS objects, from their records
    Report report;
    std::string key;
    bool recorded = false; ///< the report came from a record
    bool too_large = false;
    bool describes = false; ///< some file of it accounts for another one
  };
  struct Tip {
    std::size_t ref = 0;
    git::Oid commit;
    git::Oid tree;
    std::optional<git::Oid> before;
  };

  Result<std::optional<Tip>> tip_of(std::size_t ref, git::Oid oid);
  Result<void> list(const git::Oid& root);
  Result<void> read_old_files(Tree& tree);
  void judge_tree_of(Tree& tree);

  World world_;
  std::vector<Tip> tips_;
  std::map<git::Oid, Tree> trees_;
  /// By path and sha256 (hex) of a file that is only opaque: the path of what describes it.
  std::map<std::pair<std::string, std::string>, std::string> described_;
  std::map<git::Oid, const Judged*> asked_; ///< given to the judge here
  std::uint64_t listed_ = 0;
  std::uint64_t read_ = 0; ///< bytes of old files given to the judge
};

} // namespace hubgate

#pragma once
// PushWalk: what the refs of a push name, and under which paths. Commits are walked from the new
// tips back to history that is known already; trees are compared with the same path in the parents,
// so a commit costs what it changed. Every object of the push that nothing names is listed too: the
// server keeps it, and whoever knows its id can fetch it.
//
// Known history: a commit that a record says was judged with everything behind it; what the updated
// ref itself named before; with History::accept whatever any ref named before. A new ref gets
// nothing for free (law 5: a reference is not an object).
//
// A policy may judge refs differently. Those that it judges alike are a class; each class is walked
// by itself, with records and baselines of its own, so that what one branch may bring is judged
// again when another one names it.
#include "hook/config.hpp"
#include "policy/git/places.hpp"
#include "scanner/git/object_store.hpp"
#include "scanner/git/ref_lines.hpp"
#include "scanner/git/shared_tree.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace hubgate {

/// What the policy makes of the refs of a push.
struct RefClasses {
  std::vector<std::size_t> of;    ///< the class of each ref update
  std::vector<std::size_t> first; ///< of each class, a ref update that has it
  /// Whether a ref of the repository is judged as those of the class are; null: all are.
  std::function<bool(std::string_view ref, std::size_t of_class)> same;

  /// All are judged alike.
  static RefClasses one(std::size_t refs);
};

class PushWalk {
public:
  /// Called for each blob as soon as it is known that its bytes are wanted; `index` in blobs().
  /// `bytes` are those, where they are at hand.
  using WantBlob = std::function<Result<void>(std::size_t index, const Bytes* bytes)>;
  /// Whether a record says that this commit (or tag, tree, blob) was judged with all behind it, by
  /// the rules for a class of refs.
  using IsJudged = std::function<bool(const git::Oid&, std::size_t of_class)>;

  PushWalk(ObjectStore& objects, const std::vector<git::RefUpdate>& updates,
           const HookConfig& config, RefClasses classes, WantBlob want, IsJudged judged);

  /// Lists what the push brought; then the blobs' sizes and counts are known.
  Result<void> list();
  /// Reads commits, tags and trees of the push and wants all its blobs.
  Result<void> read_incoming();
  /// Walks what the refs name, then what nothing names.
  Result<void> walk();

  std::vector<BlobEntry>& blobs() { return blobs_; }
  /// Index in blobs() of a blob that this push brings or newly names.
  std::optional<std::size_t> find_blob(const git::Oid& oid) const {
    const auto at = blob_index_.find(oid);
    return at == blob_index_.end() ? std::nullopt : std::optional(at->second);
  }
  const std::vector<ObjectProblem>& problems() const { return problems_; }
  std::uint64_t objects() const { return incoming_; }
  std::uint64_t submodules() const { return submodules_; }
  std::uint64_t commits() const { return commits_walked_; }
  struct Tip {
    git::Oid oid;
    std::size_t of_class = 0;
  };
  /// Tips behind which everything is judged once this push is: worth a record.
  std::vector<Tip> judged_tips() const;

private:
  using Tree = std::shared_ptr<const git::SharedTree>;
  enum class Note { no, yes }; ///< whether what is wrong with it is a problem of this push
  struct Known {
    bool closed = false; ///< everything behind it is judged
  };
  /// What was walked for the refs of one class.
  struct Walked {
    std::unordered_map<git::Oid, Known> commits; ///< those whose trees were walked
    std::unordered_set<std::string> seen;        ///< object id + path
    std::unordered_map<git::Oid, bool> closed_tips;
    std::unordered_set<std::size_t> problems; ///< of those found, the ones placed
  };

  Result<void> add_incoming(const git::Oid& oid, const ObjectStore::Header& header,
                            const Bytes* bytes);
  const git::Commit* take_commit(const git::Oid& oid, git::Kind kind, Bytes bytes, Note note);
  void keep_tree(const git::Oid& oid, Tree tree);
  Result<const git::Commit*> commit(const git::Oid& oid, Note note);
  Result<Tree> tree(const git::Oid& oid, Note note);
  std::optional<git::Oid> commit_before(const git::RefUpdate& update);
  bool is_incoming(const git::Oid& oid) const { return kinds_.contains(oid); }
  Result<std::size_t> blob(const git::Oid& oid);

  Result<void> walk_ref(std::size_t ref);
  Result<void> walk_commits(std::size_t ref, const git::Oid& tip);
  Result<std::unordered_set<git::Oid>> unknown_commits(const git::Oid& before,
                                                       const std::vector<git::Oid>& unsure);
  Result<std::string> accepted_refs();
  Result<void> walk_commit(std::size_t ref, const git::Oid& oid, const git::Commit& commit);
  Result<void> walk_tree(const git::Oid& root, const std::vector<git::Oid>& parents, Place place);
  Result<void> use_blob(const git::Oid& oid, std::string path, bool symlink, Place place);
  Result<void> note_submodule(const git::Oid& oid, std::string path, Place place);
  Result<void> count_path();
  void problem(const git::Oid& oid, git::Kind kind, Bytes bytes, const Rule* rule,
               std::string text);
  Place place_at(std::size_t ref, const git::Oid& commit) const { return {ref, commit, ref}; }
  void place_problems(const git::Oid& oid, const std::string& path, Place place);

  ObjectStore& objects_;
  const std::vector<git::RefUpdate>& updates_;
  const HookConfig& config_;
  RefClasses classes_;
  WantBlob want_;
  IsJudged is_judged_;

  std::uint64_t incoming_ = 0;
  std::unordered_map<git::Oid, git::Kind> kinds_; ///< of the incoming objects
  std::vector<BlobEntry> blobs_;
  std::unordered_map<git::Oid, std::size_t> blob_index_;
  std::unordered_map<git::Oid, git::Commit> commits_;
  git::TreeShelf shelf_;
  std::unordered_map<git::Oid, Tree> trees_;
  std::uint64_t tree_bytes_ = 0;
  std::vector<ObjectProblem> problems_;
  std::unordered_map<git::Oid, std::vector<std::size_t>> problems_of_;
  std::unordered_set<git::Oid> checked_trees_;

  std::vector<Walked> walked_; ///< by class
  std::size_t class_ = 0;      ///< of the ref that is being walked
  std::uint64_t paths_ = 0;
  std::uint64_t submodules_ = 0;
  std::uint64_t commits_walked_ = 0;
};

} // namespace hubgate

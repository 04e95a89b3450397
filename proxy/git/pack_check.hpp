#pragma once
// PackCheck: a pack that came over the network, judged object by object. The index is made and the
// objects are read in processes of their own; here they are hashed, commits, trees and tags are
// parsed by the bounded parsers of scanner/git, and every blob is judged under each path at which a
// tree of the pack names it. Blocks: it runs in a thread beside the loop.
#include "policy/git/cases.hpp"
#include "policy/judge/local_authority.hpp"
#include "proxy/git/packed.hpp"
#include "proxy/relay/recent.hpp"
#include "scanner/git/object_store.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace hubgate::proxy {

/// Under which paths blobs were seen, for packs that bring blobs without trees (partial clones).
class BlobNames {
public:
  std::vector<std::string> find(const std::string& repo, const git::Oid& oid);
  void put(const std::string& repo, const git::Oid& oid, const std::string& path);

private:
  static constexpr std::size_t k_names = 16;
  std::mutex mutex_;
  Recent<std::vector<std::string>> names_{500'000};
};

class PackCheck {
public:
  struct World {
    Gatekeeper& keeper;
    Analyst& analyst;
    WorkerPool& pool;
    BlobNames& names;
    std::filesystem::path scratch; ///< directory for unlinked files
    std::string hub;               ///< whose repository it is
  };
  /// What may be looked at from the loop while it runs.
  struct Progress {
    std::atomic<std::size_t> objects{0}; ///< of the pack; 0 until it is indexed
    std::atomic<std::size_t> done{0};    ///< objects that were judged
    std::atomic<std::size_t> given{0};
    std::atomic<bool> stop{false}; ///< set from outside: give up
  };
  /// A Git LFS object that a pointer of the pack names.
  struct Wanted {
    Sha256 oid{};
    std::uint64_t size = 0;
  };

  /// `context`: what is known of the transfer, no path. `updates`: the refs of a push; of a pull
  /// one without a name.
  PackCheck(World world, Context context, std::vector<git::RefUpdate> updates, std::size_t id_size);

  /// Another one for a pack of the same transfer.
  std::shared_ptr<PackCheck> sibling() const;
  std::size_t id_size() const { return id_size_; }

  /// Something that a tree or commit names: where, and as what.
  struct Named {
    git::Oid oid;
    std::string path; ///< "" of a commit's own tree
    std::uint32_t mode = 0;
    git::Oid commit; ///< zero: of none
  };
  /// Before read(): the pack was not pushed, it brings what a push names; `roots` are walked too.
  void expect(std::vector<Named> roots);

  /// Judges what is in `folder`: pack/p.pack, beside which the index is written.
  Result<void> read(const std::filesystem::path& folder);
  /// Behind read(): the objects that pointers of a push name.
  std::vector<Wanted> wanted() const;
  /// What became of one; those that are not told are not there.
  void set_lfs(const Wanted& wanted, ObjectDigest digest, Report report);
  /// Behind read(): decides, on `more` too. `account` (may be empty) sees every other case first.
  Result<void> decide(std::vector<PushCase> more = {},
                      const std::function<void(PushCase&)>& account = {});

  bool passes() const { return blocked_.empty(); }
  /// Whether it would not without waivers.
  bool leans_on_waivers() const;
  /// Behind decide(): what a person reads of a refusal or of warnings, lines ending in '\n'.
  std::string text() const;
  const Item* worst() const { return blocked_.empty() ? nullptr : blocked_.front(); }
  std::uint64_t objects() const { return progress_.objects; }
  std::size_t files() const { return blobs_.size(); }
  std::vector<std::string> decision_ids() const;
  Progress& progress() { return progress_; }

  // What a push names and its pack lacks: it must be known, or be looked at (law 5).
  struct Outside {
    std::vector<git::Oid> parents; ///< of its commits
    std::vector<git::Oid> others;  ///< what its refs and tags name
  };
  Outside outside() const;
  /// Files and folders, each at each of its paths.
  const std::vector<Named>& outside_files() const { return outside_files_; }
  /// Of the objects outside those that nobody judged: no record says so.
  std::vector<git::Oid> unknown();
  bool holds(const git::Oid& oid) const { return kinds_.contains(oid); }
  /// Whether it names nothing that it does not hold.
  bool closed() const;
  /// Whether a record says that it was judged with everything behind it, in this repository and
  /// under the terms of each ref.
  bool is_judged(const git::Oid& oid);
  /// Keeps the record for these.
  Result<void> remember(const std::vector<git::Oid>& tips);
  /// Tags and commits of the pack, those first that no other commit names.
  std::vector<git::Oid> tips() const;

  // Behind read(): what is in the pack.
  /// The tree of a commit, the object of a tag; nothing when the pack has no such commit or tag.
  std::optional<git::Oid> leads_to(const git::Oid& oid) const;
  std::optional<git::Kind> kind_of(const git::Oid& oid) const;
  /// Null: it is not here, or can't be read as a tree.
  std::shared_ptr<const PackedTree> tree_of(const git::Oid& oid);
  /// What came out for a blob; null when it is not here.
  const Judged* judged(const git::Oid& oid) const;
  Result<std::string> bytes_of(const git::Oid& blob);
  /// What set_lfs() said; null when nothing.
  const Judged* lfs(const std::string& oid) const;
  hubgate::Authority& authority() { return authority_; }
  const Context& context() const { return context_; }
  /// Names the rules that decide for a ref; see Policy::class_of().
  std::string terms_of(const git::RefUpdate& update) const;

private:
  using Tree = PackedTree;
  struct Step {
    std::shared_ptr<const Tree> tree;
    std::size_t next = 0;
    std::string path; ///< "" or ends in '/'
  };

  Result<void> take(const git::Oid& oid, const ObjectStore::Header& header, const Bytes* bytes);
  Result<void> take_small(const git::Oid& oid, git::Kind kind, Bytes bytes);
  void problem(const git::Oid& oid, git::Kind kind, Bytes bytes, const Rule* rule,
               std::string text);
  void keep_tree(const git::Oid& oid, std::shared_ptr<const Tree> tree);
  Result<std::shared_ptr<const Tree>> tree(const git::Oid& oid);
  Result<void> walk();
  Result<void> walk_tree(const git::Oid& root, const git::Oid& commit);
  Result<void> walk_from(const Named& root);
  Result<void> enter(const git::TreeEntry& entry, const std::string& path, const git::Oid& commit,
                     std::vector<Step>& stack);
  Result<void> count_path(const git::TreeEntry& entry, const std::string& path, bool& seen);
  std::vector<std::string> terms() const;
  void keep_quarantined();
  bool go_on() const { return !progress_.stop; }

  World world_;
  Context context_;
  std::vector<git::RefUpdate> updates_;
  std::size_t id_size_;
  std::string repo_key_;
  Policy policy_;
  LocalAuthority authority_;
  Progress progress_;
  std::unique_ptr<ObjectStore> objects_;
  std::unique_ptr<Judge> judge_;

  std::unordered_map<git::Oid, git::Kind> kinds_;
  std::vector<BlobEntry> blobs_;
  std::vector<Judged*> judged_; ///< as blobs_
  std::unordered_map<git::Oid, std::size_t> blob_index_;
  std::vector<std::pair<git::Oid, git::Commit>> commits_;
  std::vector<git::Tag> tags_;
  std::unordered_map<git::Oid, git::Oid> leads_to_; ///< commits and tags
  std::vector<git::Oid> later_;                     ///< too large to come with the others
  std::unordered_map<git::Oid, std::shared_ptr<const Tree>> trees_;
  std::uint64_t tree_bytes_ = 0;
  std::vector<ObjectProblem> problems_;
  std::unordered_map<git::Oid, std::vector<std::size_t>> problems_of_;
  std::unordered_set<std::string> seen_; ///< object id + path
  std::unordered_set<git::Oid> reached_; ///< trees that some root led to
  std::vector<Named> outside_files_;
  bool fetched_ = false; ///< see expect()
  std::vector<Named> roots_;

  std::map<std::string, std::unique_ptr<Judged>> lfs_; ///< by oid
  std::vector<Item> items_;
  std::vector<const Item*> blocked_;
  std::vector<const Item*> annotated_;
  std::size_t allowed_ = 0;
};

} // namespace hubgate::proxy

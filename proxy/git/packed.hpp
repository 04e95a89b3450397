#pragma once
// Packs that lie in the spool, whoever sent them: opened in the sandbox, and the trees in one as
// somewhere to look paths up.
#include "scanner/git/object_store.hpp"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace hubgate::proxy {

struct PackedTree {
  std::string bytes;
  std::vector<git::TreeEntry> entries; ///< names point into `bytes`

  /// An error: it can't be read as a tree.
  static Result<std::shared_ptr<const PackedTree>> parse(Bytes bytes, std::size_t id_size);
  /// Null when there is none of this name. Linear in the entries when it is asked first.
  const git::TreeEntry* find(std::string_view name) const;

private:
  mutable std::unordered_map<std::string_view, std::size_t> by_name_; ///< made when asked for
};

/// Makes the index of `folder`/pack/p.pack beside it, and opens both. `scratch`: directory for
/// unlinked files. `count`: objects of the pack, as many as it announces itself.
Result<std::unique_ptr<ObjectStore>> open_pack(WorkerPool& pool,
                                               const std::filesystem::path& scratch,
                                               const std::filesystem::path& folder,
                                               std::size_t id_size, std::uint32_t& count);

/// Commits and their trees, as the hub's Git gave them out. Not thread safe.
class PackedTrees {
public:
  /// `owner` keeps the files.
  PackedTrees(std::unique_ptr<ObjectStore> objects, std::size_t id_size,
              std::shared_ptr<const void> owner)
      : owner_(std::move(owner)), objects_(std::move(objects)), id_size_(id_size) {}

  /// The tree of a commit, through tags; nothing for something that has none.
  Result<std::optional<git::Oid>> root_of(const git::Oid& oid);
  /// Null: it is not here, or is no tree.
  std::shared_ptr<const PackedTree> tree(const git::Oid& oid);
  /// The entry at a path below `root`, that outlives the next call only in what it says; nothing
  /// when there is none.
  std::optional<git::TreeEntry> find(const git::Oid& root, std::string_view path);

private:
  std::shared_ptr<const void> owner_;
  std::unique_ptr<ObjectStore> objects_;
  std::size_t id_size_;
  std::unordered_map<git::Oid, std::shared_ptr<const PackedTree>> trees_;
  std::uint64_t tree_bytes_ = 0;
};

} // namespace hubgate::proxy

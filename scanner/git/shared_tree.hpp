#pragma once
// SharedTree: a parsed tree that shares its entries with trees like it. The trees of a history
// differ by an entry or two of thousands: what such a tree has in common with one that was parsed
// before is compared as bytes, and neither parsed nor checked nor held again. Two trees are then
// compared by what they do not share.
#include "scanner/git/tree_check.hpp"

#include <memory>
#include <string>
#include <vector>

namespace hubgate::git {

class SharedTree {
public:
  /// Entries that were parsed together. Names point into the bytes.
  struct Chunk {
    std::string bytes;
    std::vector<TreeEntry> entries;
  };
  /// Entries [begin, end) of a chunk.
  struct Run {
    std::shared_ptr<const Chunk> chunk;
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  /// All entries, in order, of all runs, one behind the other. No run is empty.
  const std::vector<Run>& runs() const { return runs_; }
  /// True: check_tree() finds nothing. False: it was not asked, or finds something.
  bool clean() const { return clean_; }
  /// What the tree holds that no other held when it was made, in bytes of memory.
  std::uint64_t cost() const { return cost_; }
  /// The entries as one list; names live as long as the tree.
  std::vector<TreeEntry> entries() const;

private:
  friend class TreeShelf;
  std::vector<Run> runs_;
  bool clean_ = false;
  std::uint64_t cost_ = 0;
};

/// Where a reader of a tree stands.
class TreeCursor {
public:
  explicit TreeCursor(const SharedTree& tree) : tree_(&tree) {}
  bool at_end() const { return run_ == tree_->runs().size(); }
  const TreeEntry& entry() const { return here().chunk->entries[here().begin + at_]; }
  void next() { skip(1); }
  /// How many entries from here on are the very same, in the same order, as from `other` on; both
  /// not at their ends.
  std::size_t shared_with(const TreeCursor& other) const;
  /// `n` is at most what shared_with() said, or 1.
  void skip(std::size_t n);

private:
  const SharedTree::Run& here() const { return tree_->runs()[run_]; }
  const SharedTree* tree_;
  std::size_t run_ = 0;
  std::size_t at_ = 0; ///< in the run
};

/// Makes trees out of bytes and remembers a few to share with.
class TreeShelf {
public:
  /// `id_size`: Oid::k_sha1 or k_sha256.
  explicit TreeShelf(std::size_t id_size) : id_size_(id_size) {}
  /// The errors are those of parse_tree().
  Result<std::shared_ptr<const SharedTree>> make(Bytes bytes);

private:
  /// A tree that was made lately.
  struct Recent {
    std::string bytes;
    std::vector<std::size_t> offsets; ///< of the entries, and the end
    std::shared_ptr<const SharedTree> tree;
  };
  Result<std::shared_ptr<const SharedTree>> whole(Bytes bytes);
  std::shared_ptr<const SharedTree> like(Recent& base, Bytes bytes, std::size_t before,
                                         std::size_t behind);
  Result<std::shared_ptr<SharedTree::Chunk>> chunk(Bytes bytes) const;

  std::size_t id_size_;
  std::vector<Recent> recent_; ///< the newest last
};

} // namespace hubgate::git

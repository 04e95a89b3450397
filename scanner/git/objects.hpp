#pragma once
// Git's own objects, parsed from their bytes: commit, tag, tree (gitformat in
// Documentation/technical and fsck.c of Git 2.39). receive-pack doesn't check them unless
// receive.fsckObjects is set, and other Git implementations check less: so nothing here is taken
// for granted.
#include "scanner/core/result.hpp"
#include "scanner/gitstore/oid.hpp"

#include <vector>

namespace hubgate::git {

struct Commit {
  Oid tree;
  std::vector<Oid> parents;
};

/// Reads the headers that name objects. Bytes behind them may be anything but the headers' own form
/// is strict: tree, parents, author, committer, in this order.
Result<Commit> parse_commit(Bytes bytes);

struct Tag {
  Oid object;
  Kind kind = Kind::commit;
};

Result<Tag> parse_tag(Bytes bytes);

/// Modes as Git writes them, in octal.
enum class Mode : std::uint32_t {
  tree = 040000,
  file = 0100644,
  shared_file = 0100664, ///< written by early Git; still read as a file
  executable = 0100755,
  symlink = 0120000,
  submodule = 0160000,
};

struct TreeEntry {
  std::uint32_t mode = 0; ///< as written; see Mode
  std::string_view name;  ///< raw bytes, into the tree's own
  Oid oid;
  bool zero_padded = false; ///< the mode was written with leading zeros

  bool is(Mode what) const { return mode == static_cast<std::uint32_t>(what); }
  /// What a checkout makes of it: by the type bits, like Git.
  bool is_tree() const { return (mode & 0170000) == 0040000; }
  bool is_symlink() const { return (mode & 0170000) == 0120000; }
  bool is_submodule() const { return (mode & 0170000) == 0160000; }
};

/// The entries; names point into `bytes`. `id_size`: Oid::k_sha1 or k_sha256.
Result<std::vector<TreeEntry>> parse_tree(Bytes bytes, std::size_t id_size = Oid::k_sha1);

} // namespace hubgate::git

#pragma once
// What a walk through Git's objects finds: blobs with the paths under which they stand, objects
// with which something is wrong, and where each was first met.
#include "scanner/core/digest.hpp"
#include "scanner/core/format.hpp"
#include "scanner/gitstore/oid.hpp"

#include <string>
#include <vector>

namespace hubgate {

/// Where in the push something was first met.
struct Place {
  static constexpr std::size_t k_no_ref = ~std::size_t{0};
  std::size_t ref = k_no_ref; ///< index of the ref update; k_no_ref: named by nothing
  git::Oid commit;            ///< zero: not by a commit
  std::size_t rules = 0;      ///< index of the ref update whose rules decide; `ref` if that is one
};

/// A blob under one path.
struct BlobUse {
  std::string path; ///< "" when no tree names it
  bool symlink = false;
  Place place;
};

struct BlobEntry {
  git::Oid oid;
  std::uint64_t size = 0;
  bool incoming = false;
  std::vector<BlobUse> uses;
};

/// Something wrong with a commit, tag or tree.
struct ObjectProblem {
  git::Oid oid;
  git::Kind kind = git::Kind::tree;
  Sha256 sha256{}; ///< of the object's content, for a waiver
  std::uint64_t size = 0;
  const Rule* rule = nullptr; ///< null: it can't be read as what it is
  std::string text;           ///< evidence or reason, raw
  std::string path;           ///< of the tree, "" when unknown
  Place place;
};

} // namespace hubgate

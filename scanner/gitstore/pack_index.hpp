#pragma once
// PackIndex: which objects a pack holds and where (gitformat-pack(5), "pack-*.idx files", versions
// 1 and 2). All tables have fixed sizes, so an index is checked when it is opened and read in
// place. What it says is a claim: whoever reads an object hashes it.
#include "scanner/core/result.hpp"
#include "scanner/gitstore/oid.hpp"

namespace hubgate::git {

class PackIndex {
public:
  /// `bytes` is the whole file; the caller keeps it. `id_size`: Oid::k_sha1 or k_sha256.
  static Result<PackIndex> open(Bytes bytes, std::size_t id_size);

  std::uint32_t count() const { return count_; }
  /// The id of object `i` < count(), in the order of ids.
  Oid oid(std::uint32_t i) const;
  /// Where its entry begins in the pack; nothing when the index contradicts itself.
  std::optional<std::uint64_t> offset(std::uint32_t i) const;
  /// Which object it is, if the pack has it. An index that is not sorted hides objects.
  std::optional<std::uint32_t> find(const Oid& oid) const;
  /// What every index of the pack ends with: the hash of the pack, as its last bytes say.
  Bytes pack_checksum() const;

private:
  Bytes bytes_;
  std::size_t id_size_ = Oid::k_sha1;
  std::uint32_t count_ = 0;
  std::uint64_t long_offsets_ = 0; ///< entries in the table of 64-bit offsets
  bool first_version_ = false;

  Bytes id_at(std::uint32_t i) const;
  std::uint32_t fanout(std::size_t first_byte) const;
  std::uint32_t number_at(std::uint64_t at) const;
};

} // namespace hubgate::git

#pragma once
// ChunkLists: the lists of known chunks on disk, one file each, so that a gate that was started
// again needs not fetch everything twice. The folder is the gate's own, like the store: that a list
// belongs to a sha256 is believed of it, and a checksum tells what was damaged.
//
//     "hubgate chunks 1\n" | sha256 of the file 32 | its id 32 | u64 n | n x (hash 32 | u32 bytes)
//     | sha256 of all that 32                                              (little-endian)
#include "proxy/cas/known_chunks.hpp"

#include <filesystem>
#include <memory>

namespace hubgate::proxy {

class ChunkLists {
public:
  static constexpr std::uint64_t k_bytes_most = std::uint64_t{512} << 20; ///< of all files together

  /// Makes `folder` when something is saved.
  explicit ChunkLists(std::filesystem::path folder, std::uint64_t bytes_most = k_bytes_most)
      : folder_(std::move(folder)), bytes_most_(bytes_most) {}

  /// From any thread. Null: it is not there, or damaged (and is removed).
  std::shared_ptr<const KnownChunks> load(const Sha256& sha256, const xet::Hash& file) const;
  /// The oldest ones make room. False: it could not be written.
  bool save(const Sha256& sha256, const xet::Hash& file, const KnownChunks& chunks) const;

private:
  std::filesystem::path path_of(const Sha256& sha256, const xet::Hash& file) const;
  void make_room(std::uint64_t bytes) const;

  std::filesystem::path folder_;
  std::uint64_t bytes_most_;
};

} // namespace hubgate::proxy

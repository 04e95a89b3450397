#pragma once
// KnownChunks: the chunks of a file that this gate has read: it hashed each of them, and together
// they made the file's id and its sha256. With the list every chunk can be checked alone before it
// leaves, wherever it is fetched from.
#include "proxy/xet/hash.hpp"

#include <vector>

namespace hubgate::proxy {

class KnownChunks {
public:
  explicit KnownChunks(std::span<const xet::Chunk> chunks);

  std::size_t size() const { return hashes_.size(); }
  /// Where a chunk begins in the file; of size(): the end of the file.
  std::uint64_t begin_of(std::size_t chunk) const { return chunk == 0 ? 0 : ends_[chunk - 1]; }
  std::uint64_t bytes_of(std::size_t chunk) const { return ends_[chunk] - begin_of(chunk); }
  const xet::Hash& hash_of(std::size_t chunk) const { return hashes_[chunk]; }
  /// The chunk that byte `offset` of the file lies in; size() behind the end.
  std::size_t at(std::uint64_t offset) const;
  /// Whether these are the bytes of that chunk.
  bool matches(std::size_t chunk, Bytes raw) const;
  /// Bytes of memory.
  std::size_t weight() const {
    return hashes_.size() * (sizeof(xet::Hash) + sizeof(std::uint64_t));
  }

private:
  std::vector<xet::Hash> hashes_;
  std::vector<std::uint64_t> ends_;
};

} // namespace hubgate::proxy

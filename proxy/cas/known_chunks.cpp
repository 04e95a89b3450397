#include "proxy/cas/known_chunks.hpp"

#include <algorithm>

namespace hubgate::proxy {

KnownChunks::KnownChunks(std::span<const xet::Chunk> chunks) {
  hashes_.reserve(chunks.size());
  ends_.reserve(chunks.size());
  std::uint64_t end = 0;
  for (const xet::Chunk& chunk: chunks) {
    hashes_.push_back(chunk.hash);
    ends_.push_back(end += chunk.size);
  }
}

std::size_t KnownChunks::at(std::uint64_t offset) const {
  const auto found = std::upper_bound(ends_.begin(), ends_.end(), offset);
  return static_cast<std::size_t>(found - ends_.begin());
}

bool KnownChunks::matches(std::size_t chunk, Bytes raw) const {
  return chunk < size() && raw.size() == bytes_of(chunk) && xet::chunk_hash(raw) == hashes_[chunk];
}

} // namespace hubgate::proxy

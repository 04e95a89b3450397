#pragma once
// Shards: which files consist of which ranges of chunks, and what new xorbs hold (xet-core
// mdb_shard, docs/xet/shard). Everything in one is a claim of whoever sent it. Read front to back,
// never by the offsets of its footer.
#include "proxy/xet/hash.hpp"
#include "scanner/core/result.hpp"

#include <optional>
#include <vector>

namespace hubgate::xet {

inline constexpr std::size_t k_shard_most = std::size_t{64} << 20; ///< bytes

/// Chunks [begin, end) of a xorb.
struct ChunkRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool operator==(const ChunkRange&) const = default;
};

struct ShardTerm {
  Hash xorb;
  std::uint32_t bytes = 0; ///< of all its chunks, uncompressed
  ChunkRange chunks;
  std::optional<Hash> range_hash;
};

struct ShardFile {
  Hash id;
  std::vector<ShardTerm> terms;
  std::optional<Sha256> sha256; ///< absent in uploads to buckets
};

struct ShardXorb {
  Hash hash;
  std::vector<Chunk> chunks;
};

struct Shard {
  std::vector<ShardFile> files;
  std::vector<ShardXorb> xorbs; ///< only those that come with this shard
};

Result<Shard> read_shard(Bytes body);

/// The bytes of an upload, without a footer: what read_shard() reads back. Every file has a sha256,
/// every term its range hash.
std::string write_shard(const Shard& shard);

} // namespace hubgate::xet

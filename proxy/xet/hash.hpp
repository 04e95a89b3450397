#pragma once
// The hashes of Xet: BLAKE3 with a key for each use, the way they are written, and the aggregate
// of a list of chunks that names xorbs and files (hub-docs docs/xet/hashing, xet-core merklehash).
// They bind bytes and chunk boundaries; nothing here trusts a boundary.
#include "scanner/core/bytes.hpp"
#include "scanner/core/digest.hpp"

#include <array>
#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hubgate::xet {

/// 32 bytes as they are computed and as they stand in xorbs and shards.
struct Hash {
  std::array<std::uint8_t, 32> bytes{};

  auto operator<=>(const Hash&) const = default;
  /// The number that decides where aggregates are cut: bytes 24..31, little-endian.
  std::uint64_t last_word() const;
  /// As URLs and JSON write it: four little-endian words, each as 16 lower-case hex digits.
  std::string text() const;
  /// Reads that form; exactly 64 hex digits of either case.
  static std::optional<Hash> from_text(std::string_view text);
};

/// The sha256 of a file as a shard stores it: every group of eight bytes reversed, so that text()
/// prints what sha256 prints.
Hash stored_sha256(const Sha256& digest);
Sha256 sha256_of(const Hash& stored);

/// A chunk of a file or xorb: its hash and its length in bytes, uncompressed.
struct Chunk {
  Hash hash;
  std::uint64_t size = 0;
  bool operator==(const Chunk&) const = default;
};

Hash chunk_hash(Bytes raw);
/// Of the chunks of one term, in order: what a shard says of a range.
Hash range_hash(std::span<const Chunk> chunks);
/// The name of a xorb that holds exactly these chunks; zero for none.
Hash xorb_hash(std::span<const Chunk> chunks);
/// The file id ("xet hash") of a file that consists of these chunks; zero for the empty file.
Hash file_id(std::span<const Chunk> chunks);

} // namespace hubgate::xet

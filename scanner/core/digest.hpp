#pragma once
// sha256 of what passes, with the block list: the hash's chaining value after each MiB. Whoever
// holds the list can check any MiB of the object alone before it leaves (law 3).
#include "scanner/core/bytes.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace hubgate {

inline constexpr std::uint64_t k_block_size = std::uint64_t{1} << 20;

using Sha256 = std::array<std::uint8_t, 32>;
using ChainingValue = std::array<std::uint32_t, 8>;

/// Lower-case hex of a digest.
std::string hex(const Sha256& digest);

/// sha256 of bytes in memory.
Sha256 sha256(Bytes bytes);

struct ObjectDigest {
  Sha256 sha256{};
  std::uint64_t size = 0;
  /// blocks[i] = chaining value after byte (i+1) * k_block_size; whole blocks only.
  std::vector<ChainingValue> blocks;
};

class BlockHasher {
public:
  BlockHasher();
  ~BlockHasher();
  BlockHasher(BlockHasher&&) noexcept;
  BlockHasher& operator=(BlockHasher&&) noexcept;

  void update(Bytes bytes);
  std::uint64_t size() const;
  /// The digest; the hasher is spent afterwards.
  ObjectDigest finish();

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether `block` is block number `index` of the object: whole blocks against the chaining
/// values, the last (shorter) one against the sha256 itself.
bool block_matches(const ObjectDigest& object, std::uint64_t index, Bytes block);

} // namespace hubgate

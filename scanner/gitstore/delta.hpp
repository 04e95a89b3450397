#pragma once
// Delta: how Git writes an object as a difference to another one (gitformat-pack(5), "Deltified
// representation"): sizes of base and result, then instructions that copy from the base or insert.
// Read as a stream, so that neither the instructions nor the result need to fit into memory.
#include "scanner/core/bytes.hpp"

#include <array>
#include <functional>
#include <optional>

namespace hubgate::git {

/// The two numbers that a delta begins with.
struct DeltaSizes {
  std::uint64_t base = 0;
  std::uint64_t result = 0;
  std::size_t length = 0; ///< bytes that they take
};

/// Longest that the two numbers can be.
inline constexpr std::size_t k_delta_head = 20;

/// Nothing when they are cut or larger than 64 bits.
std::optional<DeltaSizes> read_delta_sizes(Bytes head);

class DeltaReader {
public:
  /// Hands on `length` bytes of the base from `offset` on, which lie inside of it; false: give up.
  using Copy = std::function<bool(std::uint64_t offset, std::uint64_t length)>;
  /// Hands on bytes that the delta itself brings; false: give up.
  using Insert = std::function<bool(Bytes bytes)>;

  DeltaReader(const DeltaSizes& sizes, Copy copy, Insert insert)
      : sizes_(sizes), copy_(std::move(copy)), insert_(std::move(insert)) {}

  /// Instructions behind the sizes, cut anywhere. False when one is no instruction, reaches out of
  /// the base or the result, or copy or insert gave up.
  bool feed(Bytes piece);
  /// Whether the result is whole and no instruction is begun.
  bool complete() const { return made_ == sizes_.result && insert_left_ == 0 && held_ == 0; }

private:
  bool run(Bytes instruction);

  DeltaSizes sizes_;
  Copy copy_;
  Insert insert_;
  std::uint64_t made_ = 0;
  std::size_t insert_left_ = 0;
  std::array<std::uint8_t, 8> instruction_{}; ///< a copy that is not all here yet
  std::size_t held_ = 0;
};

} // namespace hubgate::git

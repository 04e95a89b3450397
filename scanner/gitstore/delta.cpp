#include "scanner/gitstore/delta.hpp"

#include <algorithm>
#include <bit>

namespace hubgate::git {
namespace {

constexpr std::uint8_t k_copy = 0x80;

// Length of a copy instruction: one byte for each bit of the first.
std::size_t copy_length(std::uint8_t first) {
  return 1 + static_cast<std::size_t>(std::popcount(static_cast<unsigned>(first & 0x7f)));
}

} // namespace

std::optional<DeltaSizes> read_delta_sizes(Bytes head) {
  DeltaSizes out;
  for (std::uint64_t* number: {&out.base, &out.result}) {
    for (unsigned shift = 0;; shift += 7) {
      if (out.length == head.size() || shift > 63) return std::nullopt;
      const std::uint8_t byte = head[out.length++];
      const std::uint64_t part = byte & 0x7f;
      if (shift == 63 && part > 1) return std::nullopt;
      *number |= part << shift;
      if ((byte & 0x80) == 0) break;
    }
  }
  return out;
}

bool DeltaReader::run(Bytes instruction) {
  const std::uint8_t first = instruction[0];
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::size_t at = 1;
  for (unsigned i = 0; i < 4; ++i)
    if ((first & (1u << i)) != 0) offset |= std::uint64_t{instruction[at++]} << (8 * i);
  for (unsigned i = 0; i < 3; ++i)
    if ((first & (0x10u << i)) != 0) length |= std::uint64_t{instruction[at++]} << (8 * i);
  if (length == 0) length = 0x10000;
  if (offset > sizes_.base || length > sizes_.base - offset || length > sizes_.result - made_)
    return false;
  made_ += length;
  return copy_(offset, length);
}

bool DeltaReader::feed(Bytes piece) {
  while (!piece.empty()) {
    if (insert_left_ != 0) {
      const std::size_t n = std::min(insert_left_, piece.size());
      insert_left_ -= n;
      if (!insert_(piece.first(n))) return false;
      piece = piece.subspan(n);
      continue;
    }
    if (held_ != 0) {
      const std::size_t wanted = copy_length(instruction_[0]);
      const std::size_t n = std::min(wanted - held_, piece.size());
      std::copy_n(piece.begin(), n, instruction_.begin() + static_cast<std::ptrdiff_t>(held_));
      held_ += n;
      piece = piece.subspan(n);
      if (held_ < wanted) return true;
      held_ = 0;
      if (!run(Bytes(instruction_).first(wanted))) return false;
      continue;
    }
    const std::uint8_t first = piece[0];
    if ((first & k_copy) != 0) {
      const std::size_t wanted = copy_length(first);
      if (piece.size() >= wanted) {
        if (!run(piece.first(wanted))) return false;
        piece = piece.subspan(wanted);
        continue;
      }
      std::copy(piece.begin(), piece.end(), instruction_.begin());
      held_ = piece.size();
      return true;
    }
    if (first == 0 || first > sizes_.result - made_) return false; // 0 is reserved
    insert_left_ = first;
    made_ += first;
    piece = piece.subspan(1);
  }
  return true;
}

} // namespace hubgate::git

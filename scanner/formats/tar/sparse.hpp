#pragma once
// The content of a sparse tar member: its pieces with zeros in the holes, in order. Wrapped in a
// DecodedSource it charges the budget for the zeros too, so a member of an exabyte of nothing costs
// the budget and no more.
#include "scanner/core/source.hpp"

#include <utility>
#include <vector>

namespace hubgate::tar {

using SparseMap = std::vector<std::pair<std::uint64_t, std::uint64_t>>; ///< offset, length

/// Whether the pieces are in order, lie within `real_size` and hold exactly `stored` bytes.
bool is_consistent(const SparseMap& map, std::uint64_t real_size, std::uint64_t stored);

class SparseDecoder final : public Decoder {
public:
  /// The stored bytes of all pieces begin at `begin`. The map must be consistent.
  SparseDecoder(Source& source, std::uint64_t begin, SparseMap map, std::uint64_t real_size)
      : source_(source), begin_(begin), map_(std::move(map)), real_size_(real_size) {
    restart();
  }
  void restart() override;
  std::size_t produce(std::span<std::uint8_t> out) override;
  State state() const override { return state_; }

private:
  Source& source_;
  std::uint64_t begin_;
  SparseMap map_;
  std::uint64_t real_size_;
  std::uint64_t position_ = 0;
  std::uint64_t stored_ = 0; ///< stored bytes before the current piece
  std::size_t piece_ = 0;
  State state_ = State::more;
};

} // namespace hubgate::tar

#include "scanner/formats/tar/sparse.hpp"

#include <algorithm>

namespace hubgate::tar {

bool is_consistent(const SparseMap& map, std::uint64_t real_size, std::uint64_t stored) {
  std::uint64_t reach = 0;
  std::uint64_t sum = 0;
  for (const auto& [offset, length]: map) {
    if (offset < reach || offset > real_size || length > real_size - offset) return false;
    reach = offset + length;
    sum += length;
  }
  return sum == stored;
}

void SparseDecoder::restart() {
  position_ = stored_ = 0;
  piece_ = 0;
  state_ = real_size_ == 0 ? State::end : State::more;
}

std::size_t SparseDecoder::produce(std::span<std::uint8_t> out) {
  std::size_t made = 0;
  while (made < out.size() && position_ < real_size_) {
    while (piece_ < map_.size() && position_ >= map_[piece_].first + map_[piece_].second)
      stored_ += map_[piece_++].second;
    const bool in_piece = piece_ < map_.size() && position_ >= map_[piece_].first;
    const std::uint64_t until = in_piece               ? map_[piece_].first + map_[piece_].second
                                : piece_ < map_.size() ? map_[piece_].first
                                                       : real_size_;
    const auto n =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - made, until - position_));
    if (in_piece) {
      const Bytes bytes = source_.view(begin_ + stored_ + (position_ - map_[piece_].first), n);
      std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(made));
      made += bytes.size();
      position_ += bytes.size();
      if (bytes.size() < n) {
        state_ = State::truncated;
        return made;
      }
    } else {
      std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(made), n, std::uint8_t{0});
      made += n;
      position_ += n;
    }
  }
  if (position_ >= real_size_) state_ = State::end;
  return made;
}

} // namespace hubgate::tar

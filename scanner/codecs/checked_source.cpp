#include "scanner/codecs/checked_source.hpp"

#include "scanner/codecs/codecs.hpp"

#include <algorithm>

namespace hubgate {

void CheckedSource::check(std::uint64_t offset, Bytes bytes) {
  if (offset > checked_ || checked_ - offset >= bytes.size()) return;
  const Bytes fresh = bytes.subspan(static_cast<std::size_t>(checked_ - offset));
  crc_ = crc32_of(fresh, crc_);
  checked_ += fresh.size();
}

void CheckedSource::check_up_to(std::uint64_t offset) {
  constexpr std::size_t k_step = std::size_t{256} << 10;
  while (checked_ < offset) {
    const Bytes piece = inner_->view(
        checked_, static_cast<std::size_t>(std::min<std::uint64_t>(k_step, offset - checked_)));
    if (piece.empty()) return;
    check(checked_, piece);
  }
}

Bytes CheckedSource::view(std::uint64_t offset, std::size_t n) {
  check_up_to(offset);
  const Bytes bytes = inner_->view(offset, n);
  check(offset, bytes);
  return bytes;
}

Bytes CheckedSource::some(std::uint64_t offset, std::size_t n) {
  check_up_to(offset);
  const Bytes bytes = inner_->some(offset, n);
  check(offset, bytes);
  return bytes;
}

void CheckedSource::finish() {
  check_up_to(k_to_the_end);
}

std::uint64_t CheckedSource::wait_end() {
  finish();
  return inner_->wait_end();
}

} // namespace hubgate

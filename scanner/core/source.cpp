#include "scanner/core/source.hpp"

#include "scanner/core/budget.hpp"

#include <algorithm>

namespace hubgate {

Bytes MemorySource::view(std::uint64_t offset, std::size_t n) {
  if (offset >= bytes_.size()) return {};
  const auto at = static_cast<std::size_t>(offset);
  return bytes_.subspan(at, std::min(n, bytes_.size() - at));
}

Bytes SubSource::view(std::uint64_t offset, std::size_t n) {
  if (offset >= length_) return {};
  return parent_.view(offset_ + offset,
                      static_cast<std::size_t>(std::min<std::uint64_t>(n, length_ - offset)));
}

Bytes SubSource::some(std::uint64_t offset, std::size_t n) {
  if (offset >= length_) return {};
  return parent_.some(offset_ + offset,
                      static_cast<std::size_t>(std::min<std::uint64_t>(n, length_ - offset)));
}

std::uint64_t SubSource::wait_end() {
  if (length_ == 0) return 0;
  // The last byte is there or the parent ends before it.
  if (!parent_.view(offset_ + length_ - 1, 1).empty()) return length_;
  const std::uint64_t end = parent_.wait_end();
  return end > offset_ ? std::min(length_, end - offset_) : 0;
}

std::optional<std::uint64_t> TailSource::size() {
  const auto size = parent_.size();
  if (!size) return std::nullopt;
  return *size > offset_ ? *size - offset_ : 0;
}

Bytes TailSource::view(std::uint64_t offset, std::size_t n) {
  return parent_.view(offset_ + offset, n);
}

Bytes TailSource::some(std::uint64_t offset, std::size_t n) {
  return parent_.some(offset_ + offset, n);
}

std::uint64_t TailSource::wait_end() {
  const std::uint64_t end = parent_.wait_end();
  return end > offset_ ? end - offset_ : 0;
}

DecodedSource::DecodedSource(std::unique_ptr<Decoder> decoder, Budget& budget)
    : decoder_(std::move(decoder)), budget_(budget) {}

std::optional<std::uint64_t> DecodedSource::size() {
  if (ended_) return produced_;
  return std::nullopt;
}

bool DecodedSource::random_access() {
  return ended_ && window_begin_ == 0;
}

Fault DecodedSource::fault() const {
  return fault_;
}

bool DecodedSource::fill(std::uint64_t end) {
  constexpr std::size_t k_step = std::size_t{256} << 10;
  const auto keep = static_cast<std::size_t>(budget_.limits().decode_window);
  // Once the object is known to be a bomb, no further member of it is unpacked.
  if (budget_.is_bomb() && !ended_) {
    fault_ = Fault::budget;
    ended_ = true;
  }
  while (produced_ < end && !ended_) {
    // Drop the older half only when twice the window is held, so dropping stays cheap.
    if (window_.size() > 2 * keep + k_step) {
      const std::size_t drop = window_.size() - keep;
      window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(drop));
      window_begin_ += drop;
    }
    const std::size_t had = window_.size();
    window_.resize(had + k_step);
    const std::size_t got = decoder_->produce({window_.data() + had, k_step});
    window_.resize(had + got);
    produced_ += got;
    if (!budget_.decoded(got) || !budget_.time_left()) {
      fault_ = Fault::budget;
      ended_ = true;
      break;
    }
    switch (decoder_->state()) {
    case Decoder::State::more:
      break;
    case Decoder::State::end:
      ended_ = true;
      break;
    case Decoder::State::truncated:
      fault_ = Fault::truncated;
      ended_ = true;
      break;
    case Decoder::State::budget:
      fault_ = Fault::budget;
      ended_ = true;
      break;
    case Decoder::State::unsupported:
      fault_ = Fault::unsupported;
      ended_ = true;
      break;
    case Decoder::State::malformed:
      fault_ = Fault::malformed;
      ended_ = true;
      break;
    }
  }
  return produced_ >= end;
}

Bytes DecodedSource::view(std::uint64_t offset, std::size_t n) {
  if (offset < window_begin_) {
    if (fault_ == Fault::budget) return {};
    decoder_->restart();
    window_.clear();
    window_begin_ = produced_ = 0;
    ended_ = false;
    fault_ = Fault::none;
  }
  // While far ahead of the window, decode in steps so that no more than the window is held.
  fill(offset + n);
  if (offset >= produced_ || offset < window_begin_) return {};
  const auto at = static_cast<std::size_t>(offset - window_begin_);
  return Bytes(window_).subspan(at, std::min(n, window_.size() - at));
}

std::uint64_t DecodedSource::wait_end() {
  while (!ended_)
    fill(produced_ + 1);
  return produced_;
}

} // namespace hubgate

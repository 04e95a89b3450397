#pragma once
// Reader: the one place where untrusted bytes are read by position. Every length is 64 bits wide
// and compared before it is narrowed; nothing wraps; a read past the end fails and moves nothing.
#include "scanner/core/bytes.hpp"

#include <bit>
#include <concepts>
#include <cstring>
#include <optional>

namespace hubgate {

class Reader {
public:
  /// `base` is the offset of the first byte in the object, for offset().
  explicit Reader(Bytes bytes, std::uint64_t base = 0) : bytes_(bytes), base_(base) {}

  std::uint64_t offset() const { return base_ + position_; }
  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return bytes_.size() - position_; }
  bool at_end() const { return remaining() == 0; }

  /// The next `n` bytes, or nothing if fewer are left (then the position stays).
  std::optional<Bytes> take(std::uint64_t n) {
    if (n > remaining()) return std::nullopt;
    const Bytes out = bytes_.subspan(position_, static_cast<std::size_t>(n));
    position_ += static_cast<std::size_t>(n);
    return out;
  }

  bool skip(std::uint64_t n) { return take(n).has_value(); }

  /// Moves to an absolute position inside the view; false when it lies outside.
  bool seek(std::uint64_t position) {
    if (position > bytes_.size()) return false;
    position_ = static_cast<std::size_t>(position);
    return true;
  }

  /// Bytes at an absolute position, without moving.
  std::optional<Bytes> at(std::uint64_t position, std::uint64_t n) const {
    if (position > bytes_.size() || n > bytes_.size() - position) return std::nullopt;
    return bytes_.subspan(static_cast<std::size_t>(position), static_cast<std::size_t>(n));
  }

  template <std::integral T> std::optional<T> le() { return number<T>(std::endian::little); }
  template <std::integral T> std::optional<T> be() { return number<T>(std::endian::big); }

  /// Whether `count` items of at least `each` bytes can still follow: ask before allocating.
  bool can_hold(std::uint64_t count, std::uint64_t each) const {
    return each == 0 || count <= remaining() / each;
  }

private:
  template <std::integral T> std::optional<T> number(std::endian order) {
    const auto raw = take(sizeof(T));
    if (!raw) return std::nullopt;
    std::make_unsigned_t<T> value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      const std::size_t at = order == std::endian::little ? sizeof(T) - 1 - i : i;
      value = static_cast<std::make_unsigned_t<T>>((std::uint64_t{value} << 8) | (*raw)[at]);
    }
    return static_cast<T>(value);
  }

  Bytes bytes_;
  std::uint64_t base_;
  std::size_t position_ = 0;
};

} // namespace hubgate

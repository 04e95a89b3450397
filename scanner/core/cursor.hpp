#pragma once
// Cursor: reads an untrusted stream front to back through a window, number by number. For headers
// that are too long for one view; Reader does the same for bytes that are in memory. A read past
// the end fails and moves nothing.
#include "scanner/core/reader.hpp"
#include "scanner/core/source.hpp"

#include <algorithm>
#include <vector>

namespace hubgate {

class Cursor {
public:
  static constexpr std::size_t k_window = std::size_t{64} << 10;

  /// Reads the bytes [begin, end) of `source`, which must outlive the cursor.
  explicit Cursor(Source& source, std::uint64_t begin = 0, std::uint64_t end = ~std::uint64_t{0})
      : source_(source), at_(begin), end_(end) {}

  std::uint64_t position() const { return at_; }
  /// Moves anywhere, also behind the end: the next read tells.
  void seek(std::uint64_t position) { at_ = position; }
  /// Moves forward; false when the position would wrap or pass `end`.
  bool skip(std::uint64_t n) {
    if (at_ > end_ || n > end_ - at_) return false;
    at_ += n;
    return true;
  }

  /// The next `n` bytes (at most k_window), or nothing if fewer are left. Valid until the next
  /// call on this cursor.
  std::optional<Bytes> take(std::size_t n) {
    if (n > k_window || at_ > end_ || n > end_ - at_ || !fill(n)) return std::nullopt;
    const Bytes out = Bytes(window_).subspan(static_cast<std::size_t>(at_ - begin_), n);
    at_ += n;
    return out;
  }

  template <std::integral T> std::optional<T> le() {
    const auto raw = take(sizeof(T));
    return raw ? Reader(*raw).le<T>() : std::nullopt;
  }
  template <std::integral T> std::optional<T> be() {
    const auto raw = take(sizeof(T));
    return raw ? Reader(*raw).be<T>() : std::nullopt;
  }

private:
  // The window is a copy: whoever handles what was read may read the source.
  bool fill(std::size_t n) {
    if (at_ >= begin_ && at_ - begin_ <= window_.size() && n <= window_.size() - (at_ - begin_))
      return true;
    const Bytes bytes =
        source_.view(at_, static_cast<std::size_t>(std::min<std::uint64_t>(k_window, end_ - at_)));
    window_.assign(bytes.begin(), bytes.end());
    begin_ = at_;
    return n <= window_.size();
  }

  Source& source_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::vector<std::uint8_t> window_;
  std::uint64_t begin_ = 0;
};

} // namespace hubgate

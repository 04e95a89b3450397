#pragma once
// Extents: which bytes of another file an object describes, collected piece by piece. For formats
// whose weights lie beside them: who describes a file from its first byte to its last accounts for
// it (the `described` references of scanner/README.md).
#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace hubgate {

class Extents {
public:
  /// Writers align tensors to pages at the most (64 KiB where pages are that large).
  static constexpr std::uint64_t k_alignment = std::uint64_t{64} << 10;
  static constexpr std::size_t k_most = 1'000'000;

  /// [begin, begin + size); the caller has ruled out that this wraps.
  void add(std::uint64_t begin, std::uint64_t size) {
    end_ = std::max(end_, begin + size);
    if (size == 0) return;
    if (pieces_.size() < k_most)
      pieces_.emplace_back(begin, begin + size);
    else
      spent_ = true;
  }

  /// Where the last of them ends.
  std::uint64_t end() const { return end_; }

  /// How many bytes there are when the pieces leave nothing out but padding; nothing otherwise.
  std::optional<std::uint64_t> whole() {
    if (spent_ || pieces_.empty()) return std::nullopt;
    std::sort(pieces_.begin(), pieces_.end());
    std::uint64_t end = 0;
    for (const auto& [from, to]: pieces_) {
      if (from > end && from - end >= k_alignment) return std::nullopt;
      end = std::max(end, to);
    }
    return end;
  }

private:
  std::vector<std::pair<std::uint64_t, std::uint64_t>> pieces_; ///< begin, end
  std::uint64_t end_ = 0;
  bool spent_ = false;
};

} // namespace hubgate

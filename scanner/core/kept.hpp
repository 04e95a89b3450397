#pragma once
// Bytes that stay readable although the rest of an object is given up (Session::rest_is_inert):
// samples of weights that pass at line speed and are looked at when all has come. Few and short, so
// that nothing which is written to disk grows with the object.
#include "scanner/core/source.hpp"

#include <utility>
#include <vector>

namespace hubgate {

struct KeptRange {
  std::uint64_t begin; ///< in the object
  std::uint64_t length;
};

inline constexpr std::size_t k_max_kept = 512;
inline constexpr std::uint64_t k_max_kept_length = std::uint64_t{32} << 10;

/// A source that can be asked to keep some bytes. Formats find out by dynamic_cast: members and
/// decoded streams keep nothing.
class KeepingSource : public Source {
public:
  /// Called before Session::rest_is_inert(): these bytes can still be read after wait_end(). At
  /// most k_max_kept ranges of at most k_max_kept_length bytes, in the order of their begin.
  void keep(std::vector<KeptRange> ranges) { kept_ = std::move(ranges); }
  const std::vector<KeptRange>& kept() const { return kept_; }

private:
  std::vector<KeptRange> kept_;
};

} // namespace hubgate

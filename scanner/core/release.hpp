#pragma once
// Releasing what lies behind a proven header: weights that nobody has to look at.
#include "scanner/core/session.hpp"

#include <algorithm>

namespace hubgate {

/// Releases everything up to `end`, less the held tail: at once where the size is known, else as
/// far as bytes have come, waiting for them. Returns false when the source ends before `end`.
inline bool release_weights(Source& source, Session& session, std::uint64_t end) {
  if (const auto size = source.size()) {
    if (end > *size) return false;
    session.release(end - std::min(end, k_held_tail));
    return true;
  }
  // Of unknown length: an offset is settled once there is a tail's length behind it.
  for (std::uint64_t at = k_held_tail; at < end && !source.view(at, 1).empty(); at += k_held_tail)
    session.release(at - k_held_tail);
  const std::uint64_t size = source.wait_end();
  if (end > size) return false;
  session.release(end - std::min(end, k_held_tail));
  return true;
}

} // namespace hubgate

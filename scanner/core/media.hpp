#pragma once
// What the walkers of images and audio share: a structural walk of a media file finds its logical
// end, and says why it can't where it can't.
#include "scanner/core/session.hpp"

#include <algorithm>
#include <string>

namespace hubgate {

/// Outcome of a walk over one media file.
struct Walk {
  enum class State {
    none,      ///< not this kind after all
    complete,  ///< well-formed up to `end`
    truncated, ///< the source ends first
    malformed, ///< a field contradicts the format
  };
  State state = State::none;
  std::uint64_t end = 0;
  std::string_view detail = {}; ///< a literal, for the gap

  static Walk none() { return {}; }
  static Walk complete(std::uint64_t end) { return {State::complete, end, {}}; }
  static Walk truncated(std::uint64_t at) { return {State::truncated, at, "the bytes end early"}; }
  static Walk malformed(std::uint64_t at, std::string_view detail) {
    return {State::malformed, at, detail};
  }
};

/// Reports a walk: where the format ends and what it has released, or the gap.
inline Reading settle(Walk walk, std::string_view kind, Source& source, Session& session) {
  // The last byte is there, whatever a length field said.
  if (walk.state == Walk::State::complete && walk.end > 0 && source.view(walk.end - 1, 1).empty())
    walk = Walk::truncated(walk.end);
  switch (walk.state) {
  case Walk::State::none:
    return Reading::none;
  case Walk::State::complete:
    session.ends_at(walk.end);
    session.release(walk.end - std::min(walk.end, k_held_tail));
    return Reading::valid;
  case Walk::State::truncated:
  case Walk::State::malformed:
    break;
  }
  session.gap(walk.state == Walk::State::truncated ? Reason::truncated : Reason::malformed,
              Reach::data, walk.end, std::string(kind) + ": " + std::string(walk.detail));
  return Reading::broken;
}

/// Scans bytes of a media file that no reader looks at (comments, private chunks, padding).
inline void scan_aside(Session& session, std::string_view name, Source& source, std::uint64_t begin,
                       std::uint64_t length) {
  constexpr std::uint64_t k_shortest = 16;
  if (length < k_shortest) return;
  SubSource inner(source, begin, length);
  session.embedded(std::string(name) + "@" + std::to_string(begin), inner);
}

} // namespace hubgate

#pragma once
// What the pusher reads: plain lines on standard error, which Git shows as "remote: …". At most one
// screen, whatever was found; everything that comes from the push is escaped.
#include "hook/push_walk.hpp"
#include "policy/gatekeeper.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace hubgate {

/// One object with what was decided of it.
struct Item {
  Context context;
  Place place;
  git::Oid oid; ///< of the Git object
  std::string kind = "file";
  /// LFS objects that a pointer names and nobody has: id, and size as claimed (0: not claimed).
  std::vector<std::pair<std::string, std::uint64_t>> missing;
  std::string lfs;         ///< id under which an LFS object was asked for; "" for anything else
  bool whole_tree = false; ///< about the files of a tree together; its sha256 is the tree's key
  std::string advice;      ///< what to do, where it is something else than taking the file out
  Decision decision;
};

/// "refs/heads/main, commit 0123456789ab", escaped.
std::string place_of(const Item& item, const std::vector<git::RefUpdate>& updates);

/// What the organisation adds (hubgate.yaml: hook.message, hook.waiver_link).
struct HouseWords {
  std::string message;
  std::string waiver_link;
};

/// A screen as the pusher has it: 24 lines of 100 columns, of which "remote: " takes eight.
inline constexpr std::size_t k_screen_lines = 24;
inline constexpr std::size_t k_screen_columns = 91;

/// The whole refusal, lines ending in '\n', at most one screen. `blocked` is not empty and its
/// order is kept; `objects` is how many were looked at.
std::string refusal_screen(const std::vector<const Item*>& blocked,
                           const std::vector<git::RefUpdate>& updates, std::size_t objects,
                           const HouseWords& words = {});

/// The warnings of a push that passes, at most one screen; "" when there are none.
std::string warning_lines(const std::vector<const Item*>& annotated,
                          const std::vector<git::RefUpdate>& updates);

/// The first "{name}" of a waiver link that nothing is known for, "" when all are.
std::string unknown_field(std::string_view link);

/// "12.3 MB".
std::string human_size(std::uint64_t bytes);

/// Standard error, line by line.
class Terminal {
public:
  enum class Colour { off, on };
  explicit Terminal(Colour colour) : colour_(colour) {}

  /// One or more lines, each ending in '\n'. Failures are the pusher's loss, not the push's.
  void say(const std::string& lines);
  /// A refusal or warning: coloured when colours are on.
  void refuse(const std::string& lines) { say(painted(lines, "\x1b[1;31m")); }
  void warn(const std::string& lines) { say(painted(lines, "\x1b[33m")); }
  /// A line of progress, at most one in two seconds.
  void progress(const std::string& line);

private:
  std::string painted(const std::string& lines, const char* start) const;
  Colour colour_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

} // namespace hubgate

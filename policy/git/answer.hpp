#pragma once
// What the pusher reads: plain lines on standard error, which Git shows as "remote: …". At most one
// screen, whatever was found; everything that comes from the push is escaped.
#include "policy/gatekeeper.hpp"
#include "policy/git/places.hpp"
#include "scanner/git/ref_lines.hpp"

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

} // namespace hubgate

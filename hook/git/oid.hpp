#pragma once
// Oid: a Git object id, SHA-1. Repositories with SHA-256 ids are refused by the hook (libgit2 1.5
// can't read them), so twenty bytes are all there is.
#include "scanner/core/bytes.hpp"

#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace hubgate::git {

struct Oid {
  static constexpr std::size_t k_size = 20;
  std::array<std::uint8_t, k_size> bytes{};

  friend bool operator==(const Oid&, const Oid&) = default;
  friend auto operator<=>(const Oid&, const Oid&) = default;

  /// All zeros: "no object", in ref lines and never in a tree.
  bool is_zero() const { return *this == Oid{}; }
  std::string hex() const;
  /// The first twelve digits: enough for a person.
  std::string brief() const { return hex().substr(0, 12); }
  /// Exactly 40 lower-case hex digits.
  static std::optional<Oid> from_hex(std::string_view text);
};

} // namespace hubgate::git

template <> struct std::hash<hubgate::git::Oid> {
  // Ids are hashes themselves. Whoever grinds prefixes to make them collide pays 2^32 SHA-1 for
  // each four bytes, far more than the walk that it would slow down.
  std::size_t operator()(const hubgate::git::Oid& oid) const noexcept {
    std::size_t out = 0;
    std::memcpy(&out, oid.bytes.data(), sizeof out);
    return out;
  }
};

#pragma once
// Oid: a Git object id, SHA-1 or SHA-256 (gitformat-pack(5), hash-function-transition), and the
// four kinds of objects. An id is a claim until ObjectHasher has hashed the object.
#include "scanner/core/bytes.hpp"

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hubgate::git {

enum class Kind { commit, tree, blob, tag };

/// "commit", "tree", "blob" or "tag".
std::string_view to_string(Kind kind);
std::optional<Kind> kind_from(std::string_view name);

struct Oid {
  static constexpr std::size_t k_sha1 = 20;
  static constexpr std::size_t k_sha256 = 32;
  std::array<std::uint8_t, k_sha256> bytes{}; ///< zeros behind the first `size`
  std::uint8_t size = k_sha1;                 ///< k_sha1 or k_sha256

  friend bool operator==(const Oid&, const Oid&) = default;
  friend auto operator<=>(const Oid&, const Oid&) = default;

  Bytes view() const { return Bytes(bytes).first(size); }
  /// All zeros: "no object", in ref lines and never in a tree.
  bool is_zero() const { return bytes == decltype(bytes){}; }
  std::string hex() const;
  /// The first twelve digits: enough for a person.
  std::string brief() const { return hex().substr(0, 12); }
  /// Exactly 40 or 64 lower-case hex digits.
  static std::optional<Oid> from_hex(std::string_view text);
  /// Of k_sha1 or k_sha256 bytes.
  static Oid from_bytes(Bytes raw);
};

/// The id that an object's bytes make: the hash of "KIND SIZE\0" and the content.
class ObjectHasher {
public:
  /// `id_size`: Oid::k_sha1 or Oid::k_sha256.
  explicit ObjectHasher(std::size_t id_size);
  ~ObjectHasher();
  ObjectHasher(const ObjectHasher&) = delete;
  ObjectHasher& operator=(const ObjectHasher&) = delete;

  /// Starts an object of `size` bytes; what was begun before is forgotten.
  void begin(Kind kind, std::uint64_t size);
  void update(Bytes bytes);
  Oid finish();

  Oid of(Kind kind, Bytes bytes) {
    begin(kind, bytes.size());
    update(bytes);
    return finish();
  }

private:
  struct State;
  std::unique_ptr<State> state_;
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

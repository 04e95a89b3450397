#pragma once
// Tags: how a copy on disk that was compared with its block list once is compared again, at a third
// of what sha256 costs. A tag is the Poly1305 of a piece under a key that only this process knows
// (RFC 8439, 2.5). The key is used more than once, which is sound because no tag ever leaves the
// process: whoever changes the file without the key meets a tag by chance once in 2^87 attempts for
// pieces of this size. A tag belongs to the bytes, not to the file: one that is written again has
// the same.
#include "scanner/core/bytes.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

struct evp_mac_ctx_st;

namespace hubgate::proxy {

inline constexpr std::size_t k_tagged = std::size_t{256} << 10; ///< bytes under one tag
using Tag = std::array<std::uint8_t, 16>;

class Tagger {
public:
  /// Draws the key. `key`: for tests, 32 bytes.
  explicit Tagger(Bytes key = {});
  ~Tagger();
  Tagger(const Tagger&) = delete;
  Tagger& operator=(const Tagger&) = delete;

  /// Nothing where this OpenSSL has no Poly1305 (FIPS): then sha256 is computed each time.
  std::optional<Tag> of(Bytes piece) const;

private:
  evp_mac_ctx_st* ready_ = nullptr; ///< with the key, before the first byte; copied for each tag
};

/// The tags of one object, by piece; those that are known so far.
class ObjectTags {
public:
  explicit ObjectTags(std::uint64_t size)
      : tags_(static_cast<std::size_t>((size + k_tagged - 1) / k_tagged)) {}
  const std::optional<Tag>& at(std::uint64_t piece) const {
    return tags_[static_cast<std::size_t>(piece)];
  }
  void set(std::uint64_t piece, const Tag& tag) { tags_[static_cast<std::size_t>(piece)] = tag; }
  /// In bytes of memory.
  std::size_t weight() const { return sizeof *this + tags_.size() * sizeof tags_.front(); }

private:
  std::vector<std::optional<Tag>> tags_;
};

} // namespace hubgate::proxy

#pragma once
// Reconstructions: the CAS's answer to "where are the bytes of this file", in its two JSON shapes
// (docs/xet/api, GET /v1 and /v2/reconstructions). The answer of a foreign server: bounded, and
// nothing in it is believed until the chunks were hashed.
#include "proxy/xet/shard.hpp"

#include <boost/json.hpp>

#include <map>
#include <string>

namespace hubgate::xet {

inline constexpr std::size_t k_reconstruction_most = std::size_t{64} << 20; ///< bytes of JSON

struct Term {
  Hash xorb;
  std::uint64_t bytes = 0; ///< of all its chunks, uncompressed
  ChunkRange chunks;
};

/// Bytes [first, last] of an address, which hold the chunks.
struct FetchRange {
  ChunkRange chunks;
  std::uint64_t first = 0;
  std::uint64_t last = 0; ///< inclusive, as in an HTTP range
};

/// One address and what may be asked of it: it is signed for these ranges.
struct Fetch {
  std::string url;
  std::vector<FetchRange> ranges;
};

struct Reconstruction {
  std::uint64_t offset_into_first_range = 0; ///< bytes of the first term that come before the range
  std::vector<Term> terms;
  std::map<Hash, std::vector<Fetch>> fetches; ///< by xorb

  /// Bytes of all terms together.
  std::uint64_t bytes() const;
};

enum class Shape { v1, v2 };

/// Reads either shape. Every term's chunks must lie in one range of its xorb.
Result<Reconstruction> read_reconstruction(std::string_view text, Shape shape);
boost::json::object to_json(const Reconstruction& reconstruction, Shape shape);

} // namespace hubgate::xet

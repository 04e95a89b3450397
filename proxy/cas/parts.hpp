#pragma once
// Parts: what a reconstruction lists, as the requests that fetch it.
#include "proxy/xet/reconstruction.hpp"

namespace hubgate::proxy {

/// One part of what a reconstruction lists: bytes [first, last] at `url`, and which of the chunks
/// in them are wanted. Ranges ascend and do not overlap.
struct CasPart {
  std::string url;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint32_t first_chunk = 0; ///< number of the first one that is fetched
  std::uint32_t end_chunk = 0;
  std::vector<xet::ChunkRange> wanted;

  std::uint64_t bytes() const { return last - first + 1; } ///< below 64 MiB and headers
};

/// In the order of the file. Terms that lie behind each other in one range are fetched together.
std::vector<CasPart> plan_parts(const xet::Reconstruction& reconstruction);

} // namespace hubgate::proxy

#pragma once
// What a data file of an OCDBT store consists of: values behind each other, and nodes between them.
// The values are chunks of arrays: zstd frames (zarr 2), or shards (zarr 3: frames and a table that
// says where each is, with its checksum).
#include "scanner/formats/ocdbt/records.hpp"

#include <vector>

namespace hubgate::ocdbt {

struct Piece {
  enum class Kind { frames, index, record };
  Kind kind = Kind::frames;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct Pieces {
  std::vector<Piece> list;
  std::uint64_t end = 0;   ///< the first byte that is none of these
  bool told_apart = false; ///< an index or a record is among them, with a good checksum
};

/// Goes through [0, size) by lengths; decodes nothing.
Pieces find_pieces(Source& source, Session& session, std::uint64_t size);

/// Scans the pieces from `first` on: records are read, frames are members.
/// False when a record can't be read, after a gap.
bool scan_pieces(Source& source, Session& session, const Pieces& pieces, std::size_t first);

} // namespace hubgate::ocdbt

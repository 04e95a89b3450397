#pragma once
// Blocks without a frame, as columnar formats store their pages: the container knows both lengths,
// the block has neither magic nor checksum. Decoders of our own, because the libraries want the
// whole block in memory: these hold the last 64 KiB and go on from any byte.
#include "scanner/core/source.hpp"

#include <memory>

namespace hubgate {

/// Snappy's raw format (format_description.txt): a length, then literals and copies. A copy that
/// reaches back more than 64 KiB, which no compressor writes, is State::unsupported; a length that
/// the elements don't make is State::malformed.
std::unique_ptr<Decoder> decode_snappy_block(Source& source, std::uint64_t begin,
                                             std::uint64_t end);

/// LZ4's raw block (lz4_Block_format.md); ends where the input does.
std::unique_ptr<Decoder> decode_lz4_block(Source& source, std::uint64_t begin, std::uint64_t end);

/// Blocks in a row behind two big-endian lengths (unpacked, packed), as Hadoop's LZ4 codec wraps
/// them and Parquet's deprecated codec 5 has them.
std::unique_ptr<Decoder> decode_lz4_hadoop(Source& source, std::uint64_t begin, std::uint64_t end);

/// Bytes as they are, so that a page without compression is read like the others.
std::unique_ptr<Decoder> decode_stored(Source& source, std::uint64_t begin, std::uint64_t end);

} // namespace hubgate

#pragma once
// The codecs by name. Each function makes a decoder of bytes [begin, end) of `source`, which must
// outlive it; nothing is read before the first produce(). See README.md for what each accepts.
#include "scanner/codecs/decoder.hpp"

#include <memory>

namespace hubgate {

using DecoderPtr = std::unique_ptr<StreamDecoder>;

/// RFC 1951, one stream. position() is the byte after the last block.
DecoderPtr decode_deflate(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// RFC 1950, one stream; a preset dictionary is State::unsupported.
DecoderPtr decode_zlib(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// RFC 1952, members one after the other, zeros between them skipped as gzip(1) and Python do.
/// Side data: subfields of FEXTRA of 16 bytes and more, FNAME, FCOMMENT of every member.
DecoderPtr decode_gzip(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// bzip2, streams one after the other.
DecoderPtr decode_bzip2(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// .xz, streams one after the other with padding between them.
DecoderPtr decode_xz(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// .lzma ("LZMA alone"), size known or not.
DecoderPtr decode_lzma_alone(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// LZ4 frames, legacy frames and skippable frames in any order.
DecoderPtr decode_lz4(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// zstd frames and skippable frames in any order.
DecoderPtr decode_zstd(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);
/// RFC 7932, one stream, as columnar formats store it.
DecoderPtr decode_brotli(Source& source, std::uint64_t begin, std::uint64_t end = k_to_the_end);

/// One filter of a raw LZMA chain, as 7z and zip describe it.
struct RawFilter {
  enum class Kind { lzma1, lzma2, delta, x86, powerpc, ia64, arm, armthumb, sparc, arm64 };
  Kind kind = Kind::lzma1;
  std::vector<std::uint8_t>
      properties; ///< as in the container (lzma1: 5 bytes, lzma2 and delta: 1)
};

/// A raw chain without container; the last filter is the one that reads the bytes. `size` is the
/// decoded length, if known: lzma1 then needs no end marker, and the dictionary no more than that.
DecoderPtr decode_raw_lzma(Source& source, std::uint64_t begin, std::uint64_t end,
                           std::vector<RawFilter> chain, std::optional<std::uint64_t> size);
/// zip method 14: version, properties, raw LZMA1.
DecoderPtr decode_zip_lzma(Source& source, std::uint64_t begin, std::uint64_t end,
                           std::optional<std::uint64_t> size);

/// CRC-32 as in zip and gzip, of `bytes` after what `crc` was made of (0 to start).
std::uint32_t crc32_of(Bytes bytes, std::uint32_t crc = 0);

/// What a trial of `decoder` says: whether this is a stream of its kind at all. Decodes at most
/// 64 KiB: true when it ended well, or went on without an error for `least` bytes.
bool decodes(StreamDecoder& decoder, std::size_t least = 1024);

} // namespace hubgate

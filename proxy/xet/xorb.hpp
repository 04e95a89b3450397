#pragma once
// Xorbs: a sequence of chunks, each behind a header of eight bytes, and at rest a footer (xet-core
// xet_core_structures/xorb_object). Read strictly: where xet-core's two decoders disagree (bytes
// behind an LZ4 frame, a header cut short) the xorb is refused, since the client might read it the
// other way.
#include "proxy/xet/hash.hpp"
#include "scanner/core/result.hpp"

#include <functional>
#include <vector>

namespace hubgate::xet {

inline constexpr std::uint32_t k_chunk_most = 131'072;      ///< bytes of a chunk
inline constexpr std::uint32_t k_stored_most = 2 * 131'072; ///< of its compressed form
inline constexpr std::size_t k_chunks_most = 8192;          ///< in a xorb
/// Bytes without the footer. Clients count 64 MiB of what is in the chunks (xet-core) or of all
/// (huggingface.js): where nothing can be compressed the headers come on top.
inline constexpr std::size_t k_xorb_most = (std::size_t{64} << 20) + k_chunks_most * 8;

enum class Scheme : std::uint8_t {
  stored = 0,
  lz4 = 1,     ///< one LZ4 frame
  bg4_lz4 = 2, ///< the bytes sorted into four planes by position, then one LZ4 frame
};

struct ChunkHeader {
  static constexpr std::size_t k_size = 8;
  std::uint32_t stored = 0; ///< bytes behind the header
  std::uint32_t raw = 0;    ///< bytes of the chunk
  Scheme scheme = Scheme::stored;
};

/// Reads version, lengths and scheme; an error when one is out of its bounds. `bytes`: at least
/// k_size of them.
Result<ChunkHeader> read_chunk_header(Bytes bytes);

/// The chunk's bytes into `raw`, which is resized. Exactly `header.stored` bytes are given; all of
/// them must belong to it.
Result<void> decode_chunk(const ChunkHeader& header, Bytes stored, std::vector<std::uint8_t>& raw);

/// Undoes the sorting: byte i of the result is byte i / 4 of plane i % 4.
void join_planes(Bytes planes, std::vector<std::uint8_t>& raw);

/// Called for each chunk in order; `raw` is valid during the call. An error ends the reading.
using ChunkVisit = std::function<Result<void>(const Chunk& chunk, Bytes raw)>;

struct Xorb {
  std::vector<Chunk> chunks;
  std::vector<std::uint32_t> ends; ///< where each serialized chunk ends, in bytes from the front
};

/// Chunks that arrive in pieces, cut anywhere. Needs no more memory than one chunk and a footer.
class XorbStream {
public:
  enum class Kind {
    range, ///< begins and ends at borders of chunks: what a term is fetched as
    xorb,  ///< a whole one as it is uploaded or stored: a footer may follow the chunks
  };
  /// `elsewhere`: Chunk::hash stays empty, because whoever gets the bytes hashes them.
  enum class Hashes { here, elsewhere };
  explicit XorbStream(Kind kind, Hashes hashes = Hashes::here) : kind_(kind), hashes_(hashes) {}

  Result<void> feed(Bytes piece, const ChunkVisit& visit);
  /// That was all. A footer must say what the chunks in front of it say.
  Result<void> end();
  const Xorb& xorb() const { return xorb_; }

private:
  Result<std::size_t> take_one(Bytes bytes, const ChunkVisit& visit);
  Result<std::size_t> take_all(Bytes bytes, const ChunkVisit& visit);
  Result<void> bounded() const;

  Kind kind_;
  Hashes hashes_;
  bool in_footer_ = false;
  std::size_t taken_ = 0; ///< bytes of whole chunks
  std::vector<std::uint8_t> pending_;
  std::vector<std::uint8_t> raw_;
  Xorb xorb_;
};

/// The chunks of a byte range that begins and ends at borders of chunks: what a term is fetched as.
Result<Xorb> read_chunks(Bytes range, const ChunkVisit& visit);

/// A whole xorb as it is uploaded or stored. A footer must say what the chunks in front of it say.
Result<Xorb> read_xorb(Bytes body, const ChunkVisit& visit);

} // namespace hubgate::xet

#pragma once
// Layout: how the gate offers a judged file over Xet. Its bytes are cut anew, into stored chunks of
// 128 KiB in xorbs of 16 MiB: what leaves is then made here from blocks that were checked, and no
// chunk's compression has to be believed. A MiB of the file, a block of the block list, is eight
// chunks. Clients check neither chunks nor xorbs; the names here are of the file's sha256.
#include "proxy/relay/range.hpp"
#include "proxy/xet/reconstruction.hpp"
#include "proxy/xet/xorb.hpp"
#include "scanner/core/digest.hpp"

#include <functional>

namespace hubgate::proxy {

inline constexpr std::uint64_t k_cut_chunk = xet::k_chunk_most; ///< bytes of the file
inline constexpr std::uint64_t k_cut_stored = k_cut_chunk + xet::ChunkHeader::k_size;
inline constexpr std::uint64_t k_cut_chunks = 128; ///< in a xorb
inline constexpr std::uint64_t k_cut_xorb = k_cut_chunks * k_cut_chunk;

struct CutFile {
  Sha256 sha256{};
  std::uint64_t size = 0; ///< at least 1

  std::uint64_t xorbs() const { return (size + k_cut_xorb - 1) / k_cut_xorb; }
  /// Bytes of the xorb number `index` < xorbs().
  std::uint64_t stored_bytes(std::uint64_t index) const;
  /// The bytes of the file whose chunks hold bytes `stored` of that xorb.
  ByteRange file_bytes(std::uint64_t index, const ByteRange& stored) const;
  /// Where the chunk at `offset` of the file (a multiple of k_cut_chunk) begins in its xorb.
  static std::uint64_t stored_at(std::uint64_t offset);

  /// What the CAS answers for the bytes `range`. `url_of`: where a xorb is to be had.
  xet::Reconstruction reconstruction(const ByteRange& range,
                                     const std::function<std::string(std::uint64_t)>& url_of) const;
};

/// Appends bytes that begin at a multiple of k_cut_chunk as stored chunks.
void append_stored(Bytes bytes, std::vector<std::uint8_t>& out);

} // namespace hubgate::proxy

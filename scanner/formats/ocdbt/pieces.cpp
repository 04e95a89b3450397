#include "scanner/formats/ocdbt/pieces.hpp"

#include "scanner/codecs/codecs.hpp"
#include "scanner/core/crc32c.hpp"
#include "scanner/core/cursor.hpp"

#include <algorithm>
#include <array>

namespace hubgate::ocdbt {
namespace {

constexpr std::uint32_t k_zstd_magic = 0xfd2fb528;
constexpr std::size_t k_max_pieces = 1'000'000;
constexpr std::uint64_t k_block = 4096; ///< of files written past the page cache

// RFC 8878 3.1.1: where the frame at `begin` ends, by the lengths of its blocks.
std::optional<std::uint64_t> frame_end(Source& source, Session& session, std::uint64_t begin) {
  Reader head(source.view(begin, 5));
  const auto magic = head.le<std::uint32_t>();
  const auto descriptor = head.le<std::uint8_t>();
  if (magic != k_zstd_magic || !descriptor || (*descriptor & 8) != 0) return std::nullopt;
  const bool single = (*descriptor & 0x20) != 0;
  constexpr std::array<std::uint64_t, 4> k_dictionary{0, 1, 2, 4};
  constexpr std::array<std::uint64_t, 4> k_content{0, 2, 4, 8};
  const unsigned content = *descriptor >> 6;
  std::uint64_t at = begin + 5 + (single ? 0 : 1) + k_dictionary[*descriptor & 3] +
                     (content == 0 && single ? 1 : k_content[content]);
  for (std::uint64_t count = 0;; ++count) {
    Reader block(source.view(at, 3));
    const auto low = block.le<std::uint16_t>();
    const auto high = block.le<std::uint8_t>();
    if (!low || !high) return std::nullopt;
    const std::uint32_t header = *low | std::uint32_t{*high} << 16;
    const std::uint32_t type = header >> 1 & 3;
    if (type == 3) return std::nullopt;
    at += 3 + (type == 1 ? 1 : header >> 3);
    if ((header & 1) != 0) break;
    if (count % 4096 == 4095 && !session.budget().time_left()) return std::nullopt;
  }
  return at + ((*descriptor & 4) != 0 ? 4 : 0);
}

// The table behind the frames of a shard: offset and length of each chunk, all ones for one that is
// not there; then the CRC-32C of the table.
std::optional<std::uint64_t> index_end(Source& source, std::uint64_t shard, std::uint64_t begin) {
  constexpr std::uint64_t k_none = ~std::uint64_t{0};
  constexpr std::size_t k_most = 1'000'000;
  Cursor cursor(source, begin);
  std::uint32_t sum = 0;
  for (std::size_t count = 0; count < k_most; ++count) {
    const auto raw = cursor.take(16);
    if (!raw) return std::nullopt;
    sum = crc32c(*raw, sum);
    Reader entry(*raw);
    const std::uint64_t offset = *entry.le<std::uint64_t>();
    const std::uint64_t length = *entry.le<std::uint64_t>();
    const bool none = offset == k_none && length == k_none;
    if (!none && (offset > begin - shard || length > begin - shard - offset)) return std::nullopt;
    const std::uint64_t behind = cursor.position();
    if (cursor.le<std::uint32_t>() == sum) return behind + 4;
    cursor.seek(behind);
  }
  return std::nullopt;
}

// Large data files are written in whole blocks of the disk: the last one is filled with zeros.
bool is_padding(Source& source, std::uint64_t begin, std::uint64_t size) {
  if (size % k_block != 0 || size - begin >= k_block) return false;
  const Bytes rest = source.view(begin, static_cast<std::size_t>(size - begin));
  return std::all_of(rest.begin(), rest.end(), [](std::uint8_t c) { return c == 0; });
}

} // namespace

Pieces find_pieces(Source& source, Session& session, std::uint64_t size) {
  Pieces out;
  while (out.end < size && out.list.size() < k_max_pieces && session.budget().time_left()) {
    const std::uint64_t at = out.end;
    std::optional<std::uint64_t> end;
    if (kind_of(source.view(at, 4))) {
      end = record_end(source, at);
      if (!end || *end > size || !checksum_holds(source, at, *end)) break;
      out.list.push_back({Piece::Kind::record, at, *end});
      out.told_apart = true;
    } else if ((end = frame_end(source, session, at)) && *end <= size) {
      if (!out.list.empty() && out.list.back().kind == Piece::Kind::frames)
        out.list.back().end = *end;
      else
        out.list.push_back({Piece::Kind::frames, at, *end});
    } else if (!out.list.empty() && out.list.back().kind == Piece::Kind::frames) {
      end = index_end(source, out.list.back().begin, at);
      if (!end || *end > size) break;
      out.list.push_back({Piece::Kind::index, at, *end});
      out.told_apart = true;
    } else {
      break;
    }
    out.end = *end;
  }
  if (out.told_apart && is_padding(source, out.end, size)) out.end = size;
  return out;
}

bool scan_pieces(Source& source, Session& session, const Pieces& pieces, std::size_t first) {
  bool good = true;
  Described described;
  for (std::size_t i = first; i < pieces.list.size(); ++i) {
    const Piece& piece = pieces.list[i];
    if (piece.kind == Piece::Kind::record) {
      const auto kind = kind_of(source.view(piece.begin, 4));
      good = kind && read_record(source, session, *kind, piece.begin, piece.end, described) && good;
    } else if (piece.kind == Piece::Kind::frames) {
      const std::string name = "values@" + std::to_string(piece.begin);
      DecodedSource values(decode_zstd(source, piece.begin, piece.end), session.budget());
      session.member(name, values);
      session.raw_member(name);
    }
  }
  described.tell(session);
  return good;
}

} // namespace hubgate::ocdbt

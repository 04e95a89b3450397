#include "proxy/xet/xorb.hpp"

#include "scanner/core/reader.hpp"

#include <lz4frame.h>

#include <algorithm>
#include <memory>

namespace hubgate::xet {
namespace {

constexpr std::string_view k_footer_magic = "XETBLOB";
constexpr std::string_view k_hashes_magic = "XBLBHSH";
constexpr std::string_view k_bounds_magic = "XBLBBND";

std::uint32_t le24(Bytes bytes) {
  return bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16;
}

struct FreeContext {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

// One frame, nothing behind it, exactly as many bytes as announced.
Result<void> inflate_frame(Bytes frame, std::span<std::uint8_t> out) {
  LZ4F_dctx* made = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) != 0)
    return Error{"no memory for an LZ4 frame"};
  const std::unique_ptr<LZ4F_dctx, FreeContext> context(made);
  // A skippable frame would hide bytes from the hash.
  constexpr std::string_view k_frame_magic = "\x04\x22\x4d\x18";
  if (!starts_with(frame, k_frame_magic)) return Error{"a chunk is no LZ4 frame"};
  std::size_t got = 0;
  std::size_t used = 0;
  while (true) {
    std::size_t n_out = out.size() - got;
    std::size_t n_in = frame.size() - used;
    const std::size_t hint = LZ4F_decompress(context.get(), out.data() + got, &n_out,
                                             frame.data() + used, &n_in, nullptr);
    if (LZ4F_isError(hint) != 0) return Error{"a chunk's LZ4 frame is broken"};
    got += n_out;
    used += n_in;
    if (hint == 0) break;
    if (n_out == 0 && n_in == 0)
      return Error{got == out.size() ? "a chunk unpacks to more than its header says"
                                     : "a chunk's LZ4 frame is cut short"};
  }
  if (used != frame.size()) return Error{"bytes behind a chunk's LZ4 frame"};
  if (got != out.size()) return Error{"a chunk unpacks to less than its header says"};
  return {};
}

Error at_chunk(std::size_t index, const Error& error) {
  return Error{error.message + " (chunk " + std::to_string(index) + ")"};
}

class FooterReader {
public:
  FooterReader(Reader& in, const Xorb& xorb) : in_(in), xorb_(xorb), begin_(in.position()) {}

  /// Whether it is a footer of version 1 that says what the chunks say, up to the last byte.
  bool agrees() {
    if (!section(k_footer_magic, 1) || !same(xorb_hash(xorb_.chunks))) return false;
    const std::uint64_t hashes_at = in_.position();
    if (!section(k_hashes_magic, 0) || !number(xorb_.chunks.size())) return false;
    for (const auto& chunk: xorb_.chunks)
      if (!same(chunk.hash)) return false;
    const std::uint64_t bounds_at = in_.position();
    if (!section(k_bounds_magic, 1) || !number(xorb_.chunks.size())) return false;
    for (const std::uint32_t end: xorb_.ends)
      if (!number(end)) return false;
    std::uint64_t raw_end = 0;
    for (const auto& chunk: xorb_.chunks)
      if (!number(raw_end += chunk.size)) return false;
    // The distances count from each section to the end of the footer, without its length.
    constexpr std::uint64_t k_behind_distances = 16;
    if (!number(xorb_.chunks.size())) return false;
    const std::uint64_t end = in_.position() + 8 + k_behind_distances;
    if (!number(end - hashes_at) || !number(end - bounds_at)) return false;
    return in_.skip(k_behind_distances) && number(end - begin_) && in_.at_end();
  }

private:
  bool section(std::string_view magic, std::uint8_t version) {
    const auto got = in_.take(magic.size());
    return got && starts_with(*got, magic) && in_.le<std::uint8_t>() == version;
  }
  bool number(std::uint64_t expected) { return in_.le<std::uint32_t>() == expected; }
  bool same(const Hash& hash) {
    const auto got = in_.take(hash.bytes.size());
    return got && std::equal(got->begin(), got->end(), hash.bytes.begin());
  }

  Reader& in_;
  const Xorb& xorb_;
  std::uint64_t begin_;
};

} // namespace

Result<ChunkHeader> read_chunk_header(Bytes bytes) {
  ChunkHeader out;
  out.stored = le24(bytes.subspan(1));
  out.raw = le24(bytes.subspan(5));
  if (bytes[0] != 0) return Error{"a chunk of version " + std::to_string(bytes[0])};
  if (bytes[4] > 2) return Error{"compression scheme " + std::to_string(bytes[4])};
  out.scheme = static_cast<Scheme>(bytes[4]);
  if (out.raw == 0 || out.raw > k_chunk_most)
    return Error{"a chunk of " + std::to_string(out.raw) + " bytes"};
  if (out.stored > k_stored_most)
    return Error{"a compressed chunk of " + std::to_string(out.stored) + " bytes"};
  if (out.scheme == Scheme::stored && out.stored != out.raw)
    return Error{"a stored chunk has two lengths"};
  return out;
}

Result<void> decode_chunk(const ChunkHeader& header, Bytes stored, std::vector<std::uint8_t>& raw) {
  if (header.scheme == Scheme::stored) {
    raw.assign(stored.begin(), stored.end());
    return {};
  }
  if (header.scheme == Scheme::lz4) {
    raw.resize(header.raw);
    return inflate_frame(stored, raw);
  }
  std::vector<std::uint8_t> planes(header.raw);
  if (auto inflated = inflate_frame(stored, planes); !inflated) return inflated;
  join_planes(planes, raw);
  return {};
}

void join_planes(Bytes planes, std::vector<std::uint8_t>& raw) {
  raw.resize(planes.size());
  const std::size_t n = planes.size();
  std::size_t at = 0;
  for (std::size_t plane = 0; plane < 4; ++plane)
    for (std::size_t i = plane; i < n; i += 4)
      raw[i] = planes[at++];
}

// The chunk or the beginning of the footer at the front of `bytes`. Nothing: more bytes are needed.
Result<std::size_t> XorbStream::take_one(Bytes bytes, const ChunkVisit& visit) {
  if (in_footer_) return std::size_t{0};
  if (kind_ == Kind::xorb && bytes.size() < k_footer_magic.size()) return std::size_t{0};
  if (kind_ == Kind::xorb && starts_with(bytes, k_footer_magic)) {
    in_footer_ = true;
    return std::size_t{0};
  }
  const std::size_t index = xorb_.chunks.size();
  if (index == k_chunks_most) return Error{"a xorb of more than 8192 chunks"};
  if (bytes.size() < ChunkHeader::k_size) return std::size_t{0};
  const auto header = read_chunk_header(bytes.first(ChunkHeader::k_size));
  if (!header) return at_chunk(index, header.error());
  const std::size_t whole = ChunkHeader::k_size + header->stored;
  if (taken_ + whole > k_xorb_most) return Error{"a xorb of more than 64 MiB"};
  if (bytes.size() < whole) return std::size_t{0};
  const Bytes stored = bytes.subspan(ChunkHeader::k_size, header->stored);
  if (auto decoded = decode_chunk(*header, stored, raw_); !decoded)
    return at_chunk(index, decoded.error());
  taken_ += whole;
  xorb_.chunks.push_back({hashes_ == Hashes::here ? chunk_hash(raw_) : Hash{}, raw_.size()});
  xorb_.ends.push_back(static_cast<std::uint32_t>(taken_));
  if (auto taken = visit(xorb_.chunks.back(), raw_); !taken) return taken.error();
  return whole;
}

Result<std::size_t> XorbStream::take_all(Bytes bytes, const ChunkVisit& visit) {
  std::size_t at = 0;
  while (const std::size_t n = HUBGATE_TRY(take_one(bytes.subspan(at), visit)))
    at += n;
  return at;
}

Result<void> XorbStream::feed(Bytes piece, const ChunkVisit& visit) {
  if (!pending_.empty() && !in_footer_) {
    // Fills up the chunk that was cut, so that the rest of the piece needs no copy.
    pending_.insert(pending_.end(), piece.begin(), piece.end());
    const std::size_t at = HUBGATE_TRY(take_all(pending_, visit));
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
    return bounded();
  }
  const std::size_t at = HUBGATE_TRY(take_all(piece, visit));
  const Bytes rest = piece.subspan(at);
  pending_.insert(pending_.end(), rest.begin(), rest.end());
  return bounded();
}

// What waits is a part of one chunk, or a footer.
Result<void> XorbStream::bounded() const {
  constexpr std::size_t k_footer_most = k_chunks_most * (32 + 4 + 4) + 256;
  const std::size_t most = in_footer_ ? k_footer_most : ChunkHeader::k_size + k_stored_most;
  if (pending_.size() > most) return Error{"a xorb's footer does not describe its chunks"};
  return {};
}

Result<void> XorbStream::end() {
  if (in_footer_) {
    Reader in(pending_);
    if (!FooterReader(in, xorb_).agrees())
      return Error{"a xorb's footer does not describe its chunks"};
    return {};
  }
  if (pending_.empty()) return {};
  return Error{pending_.size() < ChunkHeader::k_size ? "a xorb ends inside a chunk's header"
                                                     : "a xorb ends inside a chunk"};
}

namespace {

Result<Xorb> read_whole(Bytes bytes, XorbStream::Kind kind, const ChunkVisit& visit) {
  XorbStream stream(kind);
  if (auto fed = stream.feed(bytes, visit); !fed) return fed.error();
  if (auto ended = stream.end(); !ended) return ended.error();
  return stream.xorb();
}

} // namespace

Result<Xorb> read_chunks(Bytes range, const ChunkVisit& visit) {
  return read_whole(range, XorbStream::Kind::range, visit);
}

Result<Xorb> read_xorb(Bytes body, const ChunkVisit& visit) {
  return read_whole(body, XorbStream::Kind::xorb, visit);
}

} // namespace hubgate::xet

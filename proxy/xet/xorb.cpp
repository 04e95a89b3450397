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

// Reads chunks until the end or, where one may stand, a footer.
Result<Xorb> walk(Reader& in, bool footer_may_follow, const ChunkVisit& visit) {
  Xorb out;
  std::vector<std::uint8_t> raw;
  while (!in.at_end()) {
    const auto magic = in.at(in.position(), k_footer_magic.size());
    if (footer_may_follow && magic && starts_with(*magic, k_footer_magic)) return out;
    const std::size_t index = out.chunks.size();
    if (index == k_chunks_most) return Error{"a xorb of more than 8192 chunks"};
    const auto head = in.take(ChunkHeader::k_size);
    if (!head) return Error{"a xorb ends inside a chunk's header"};
    const auto header = read_chunk_header(*head);
    if (!header) return at_chunk(index, header.error());
    const auto stored = in.take(header->stored);
    if (!stored) return at_chunk(index, Error{"a xorb ends inside a chunk"});
    if (in.position() > k_xorb_most) return Error{"a xorb of more than 64 MiB"};
    if (auto decoded = decode_chunk(*header, *stored, raw); !decoded)
      return at_chunk(index, decoded.error());
    out.chunks.push_back({chunk_hash(raw), raw.size()});
    out.ends.push_back(static_cast<std::uint32_t>(in.position()));
    if (auto taken = visit(out.chunks.back(), raw); !taken) return taken.error();
  }
  return out;
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

Result<Xorb> read_chunks(Bytes range, const ChunkVisit& visit) {
  Reader in(range);
  return walk(in, false, visit);
}

Result<Xorb> read_xorb(Bytes body, const ChunkVisit& visit) {
  Reader in(body);
  auto xorb = HUBGATE_TRY(walk(in, true, visit));
  if (!in.at_end() && !FooterReader(in, xorb).agrees())
    return Error{"a xorb's footer does not describe its chunks"};
  return xorb;
}

} // namespace hubgate::xet

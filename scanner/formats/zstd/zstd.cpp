#include "scanner/codecs/compressed.hpp"
#include "scanner/core/reader.hpp"

namespace hubgate {

extern const Format format_zstd;

namespace {

constexpr std::uint32_t k_magic = 0xfd2fb528;

// A zstd frame, or a skippable frame, which LZ4 has too: then the frame behind it says whose it is.
Claim probe(const Probe& probe) {
  Reader reader(probe.head);
  const auto magic = reader.le<std::uint32_t>();
  if (!magic) return Claim::no;
  if (*magic == k_magic) return Claim::yes;
  if ((*magic & ~15u) != 0x184d2a50) return Claim::no;
  const auto length = reader.le<std::uint32_t>();
  if (!length || !reader.skip(*length)) return Claim::maybe;
  return reader.le<std::uint32_t>() == k_magic ? Claim::yes : Claim::maybe;
}

// Skippable frames up to the first other one; whether that one is zstd's.
bool leads_to_zstd(Source& source, Session& session) {
  for (std::uint64_t at = 0; session.budget().time_left();) {
    Reader reader(source.view(at, 8));
    const auto magic = reader.le<std::uint32_t>();
    const auto length = reader.le<std::uint32_t>();
    if (magic == k_magic) return true;
    // Only skippable frames: zstd(1) and lz4(1) both accept that; zstd takes it.
    if (!magic || !length) return at > 0 && !magic;
    if ((*magic & ~15u) != 0x184d2a50) return false;
    at += std::uint64_t{8} + *length;
  }
  return false;
}

Reading scan(Source& source, Session& session) {
  if (!leads_to_zstd(source, session)) return Reading::none;
  session.release(4);
  return scan_compressed(source, session, decode_zstd(source, 0));
}

} // namespace

const Format format_zstd{
    .name = "zstd", .family = "zstd", .probe = probe, .scan = scan, .rules = {}};

} // namespace hubgate

#include "scanner/codecs/compressed.hpp"
#include "scanner/core/reader.hpp"

namespace hubgate {

extern const Format format_lz4;

namespace {

Claim probe(const Probe& probe) {
  Reader reader(probe.head);
  const auto magic = reader.le<std::uint32_t>();
  if (!magic) return Claim::no;
  if (*magic == 0x184d2204 || *magic == 0x184c2102) return Claim::yes;
  // A skippable frame is lz4's if the frame behind it is; zstd has the same ones.
  if ((*magic & ~15u) != 0x184d2a50) return Claim::no;
  const auto length = reader.le<std::uint32_t>();
  if (!length || !reader.skip(*length)) return Claim::maybe;
  const auto next = reader.le<std::uint32_t>();
  return next && (*next == 0xfd2fb528) ? Claim::no : Claim::maybe;
}

Reading scan(Source& source, Session& session) {
  // Only skippable frames before anything else: the first frame that decodes says whose they are.
  if (!starts_with(source.view(0, 4), "\x04\x22\x4d\x18") &&
      !starts_with(source.view(0, 4), "\x02\x21\x4c\x18") && !decodes(*decode_lz4(source, 0)))
    return Reading::none;
  session.release(4);
  return scan_compressed(source, session, decode_lz4(source, 0));
}

} // namespace

const Format format_lz4{.name = "lz4", .family = "lz4", .probe = probe, .scan = scan, .rules = {}};

} // namespace hubgate

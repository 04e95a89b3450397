#include "scanner/codecs/compressed.hpp"

namespace hubgate {

extern const Format format_bzip2;

namespace {

// "BZh", level, then the magic of a block (pi) or of the end of an empty stream (sqrt of pi).
Claim probe(const Probe& probe) {
  if (!starts_with(probe.head, "BZh") || probe.head.size() < 4) return Claim::no;
  if (probe.head[3] < '1' || probe.head[3] > '9') return Claim::no;
  const Bytes block = probe.head.subspan(4);
  if (starts_with(block, "\x31\x41\x59\x26\x53\x59")) return Claim::yes;
  if (starts_with(block, "\x17\x72\x45\x38\x50\x90")) return Claim::yes;
  // "BZh9" of a cut stream, or the beginning of a text.
  return block.size() < 6 ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  session.release(3);
  return scan_compressed(source, session, decode_bzip2(source, 0));
}

} // namespace

const Format format_bzip2{
    .name = "bzip2", .family = "bzip2", .probe = probe, .scan = scan, .rules = {}};

} // namespace hubgate

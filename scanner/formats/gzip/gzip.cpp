#include "scanner/codecs/compressed.hpp"

#include <array>

namespace hubgate {

extern const Format format_gzip;

namespace {

constexpr std::array<Rule, 1> k_rules{{
    {"gzip-checksum", "structure", Severity::suspicious, Reach::load, "CWE-354", "AML.T0076",
     "ARC-022",
     "the checksum or length at the end of the gzip stream is wrong: some readers refuse "
     "the file and others use it"},
}};

Claim probe(const Probe& probe) {
  // RFC 1952 2.3.1: ID1, ID2, CM = 8 (deflate); the reserved flags are zero.
  if (!starts_with(probe.head, "\x1f\x8b\x08")) return Claim::no;
  return probe.head.size() > 3 && (probe.head[3] & 0xe0) != 0 ? Claim::maybe : Claim::yes;
}

Reading scan(Source& source, Session& session) {
  // The fixed part of the header: nothing can be read out of it.
  session.release(3);
  return scan_compressed(source, session, decode_gzip(source, 0), {.checksum = &k_rules[0]});
}

} // namespace

const Format format_gzip{
    .name = "gzip", .family = "gzip", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate

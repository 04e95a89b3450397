#include "scanner/codecs/compressed.hpp"

namespace hubgate {

extern const Format format_xz;

namespace {

Claim probe(const Probe& probe) {
  constexpr std::string_view k_magic{"\xfd\x37zXZ\0", 6};
  return starts_with(probe.head, k_magic) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  session.release(6);
  return scan_compressed(source, session, decode_xz(source, 0));
}

} // namespace

const Format format_xz{.name = "xz", .family = "xz", .probe = probe, .scan = scan, .rules = {}};

} // namespace hubgate

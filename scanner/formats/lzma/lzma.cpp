#include "scanner/codecs/compressed.hpp"
#include "scanner/core/reader.hpp"

namespace hubgate {

extern const Format format_lzma;

namespace {

// .lzma has no magic: properties below 225, a dictionary size of 2^n or 2^n + 2^(n-1) as encoders
// write it, a length that is unknown or under 256 GiB (what file(1) and liblzma look for), and the
// range coder's first byte, which is always zero.
Claim probe(const Probe& probe) {
  Reader reader(probe.head);
  const auto properties = reader.le<std::uint8_t>();
  const auto dictionary = reader.le<std::uint32_t>();
  const auto size = reader.le<std::uint64_t>();
  const auto first = reader.le<std::uint8_t>();
  if (!properties || !dictionary || !size || !first) return Claim::no;
  if (*properties >= 225 || *first != 0) return Claim::no;
  // Nothing, in front of much else: the zeros of another header, and no loader gets a byte of it.
  if (*size == 0 && probe.head.size() > 64) return Claim::no;
  if (*size != UINT64_MAX && *size >= std::uint64_t{1} << 38) return Claim::no;
  const int bits = std::popcount(*dictionary);
  const bool usual = *dictionary == UINT32_MAX || bits == 1 ||
                     (bits == 2 && (*dictionary & (*dictionary >> 1)) != 0);
  return usual && *dictionary >= 4096 ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  if (!decodes(*decode_lzma_alone(source, 0))) return Reading::none;
  return scan_compressed(source, session, decode_lzma_alone(source, 0));
}

} // namespace

const Format format_lzma{
    .name = "lzma", .family = "lzma", .probe = probe, .scan = scan, .rules = {}};

} // namespace hubgate

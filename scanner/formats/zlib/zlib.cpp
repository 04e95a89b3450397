// zlib streams and headerless deflate. Neither has a magic worth the name, so both are trials: the
// format claims an object only when it decodes.
#include "scanner/codecs/compressed.hpp"

#include <algorithm>
#include <array>

namespace hubgate {

extern const Format format_zlib;

namespace {

constexpr std::array<Rule, 2> k_rules{{
    {"zlib-checksum", "structure", Severity::suspicious, Reach::load, "CWE-354", "AML.T0076",
     "ARC-022 ARC-023",
     "the checksum at the end of the zlib stream is wrong: some readers refuse "
     "it and others use it"},
    {"deflate-headerless", "structure", Severity::suspicious, Reach::data, "CWE-436", "AML.T0076",
     "ARC-023",
     "the object is a deflate stream without the header that tools look for: hidden "
     "from whoever goes by the first bytes"},
}};

// Below this a raw stream is too short to be told from chance.
constexpr std::size_t k_least_raw = 48;

bool has_zlib_header(Bytes head) {
  return head.size() >= 2 && (head[0] & 15) == 8 && (head[0] >> 4) <= 7 &&
         (head[0] * 256u + head[1]) % 31 == 0;
}

// RFC 1951 3.2.3: bit 0 BFINAL, bits 1-2 BTYPE. Stored blocks are plain bytes that the generic
// scan sees as they are.
bool may_be_raw(Bytes head) {
  if (head.size() < k_least_raw) return false;
  const unsigned type = (head[0] >> 1) & 3u;
  if (type == 2) return true;
  // Fixed codes accept nearly anything for a while; text never is one in practice.
  return type == 1 && std::any_of(head.begin(), head.begin() + k_least_raw,
                                  [](std::uint8_t c) { return c >= 0x80 || c < 9; });
}

Claim probe(const Probe& probe) {
  return has_zlib_header(probe.head) || may_be_raw(probe.head) ? Claim::maybe : Claim::no;
}

// A raw stream must end exactly where the object does, or be long enough to be no accident.
bool is_raw(Source& source) {
  const DecoderPtr trial = decode_deflate(source, 0);
  std::vector<std::uint8_t> out(std::size_t{64} << 10);
  const std::size_t made = trial->produce(out);
  switch (trial->state()) {
  case Decoder::State::end:
    return made >= k_least_raw && source.view(trial->position(), 1).empty();
  case Decoder::State::more:
    return true;
  case Decoder::State::truncated:
    return made >= std::size_t{16} << 10;
  case Decoder::State::malformed:
  case Decoder::State::unsupported:
  case Decoder::State::budget:
    return false;
  }
  return false;
}

Reading scan(Source& source, Session& session) {
  if (has_zlib_header(source.view(0, 2))) {
    const DecoderPtr trial = decode_zlib(source, 0);
    std::vector<std::uint8_t> out(std::size_t{64} << 10);
    const std::size_t made = trial->produce(out);
    const auto state = trial->state();
    // A wrong checksum on much data is a broken stream, on a little it is chance.
    const bool whole = state == Decoder::State::end && (!trial->checksum_failed() || made >= 64);
    if (whole || state == Decoder::State::more ||
        (state == Decoder::State::truncated && made >= 1024))
      return scan_compressed(source, session, decode_zlib(source, 0), {.checksum = &k_rules[0]});
  }
  if (!may_be_raw(source.view(0, k_least_raw)) || !is_raw(source)) return Reading::none;
  session.find(k_rules[1], 0, 0, "raw deflate data without a header");
  return scan_compressed(source, session, decode_deflate(source, 0));
}

} // namespace

const Format format_zlib{
    .name = "zlib", .family = "zlib", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate

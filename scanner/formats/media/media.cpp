// Video and the rarer containers of sound and pictures: Matroska and WebM, AVI and other RIFF
// files, FLV, AAC, AU, MPEG transport streams, JPEG XL. See README.md.
#include "scanner/formats/media/media.hpp"

#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"

#include <array>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t k_far = ~std::uint64_t{0} >> 2;

// RFC 8794: the length of a number stands in the leading zeros of its first byte.
struct Number {
  std::uint64_t value;
  bool unknown; ///< all ones: the element goes on as long as its children do
};

std::optional<Number> ebml(Cursor& in, bool keep_marker) {
  const auto first = in.le<std::uint8_t>();
  if (!first || *first == 0) return std::nullopt;
  unsigned length = 1;
  while ((*first & (0x80 >> (length - 1))) == 0)
    ++length;
  std::uint64_t value = keep_marker ? *first : *first & ((0x80U >> (length - 1)) - 1);
  bool ones = (*first & ((0x80U >> (length - 1)) - 1)) == (0x80U >> (length - 1)) - 1;
  for (unsigned i = 1; i < length; ++i) {
    const auto byte = in.le<std::uint8_t>();
    if (!byte) return std::nullopt;
    ones = ones && *byte == 0xff;
    value = (value << 8) | *byte;
  }
  return Number{value, ones};
}

// RFC 9559: an EBML head, then segments of elements; attachments may hold anything.
Walk walk_matroska(Source& source, Session& session) {
  constexpr std::uint64_t k_head = 0x1a45dfa3;
  constexpr std::uint64_t k_segment = 0x18538067;
  constexpr std::uint64_t k_attachments = 0x1941a469;
  constexpr std::uint64_t k_void = 0xec;
  constexpr std::array<std::uint64_t, 10> k_inside{0x114d9b74, 0x1549a966, 0x1654ae6b, 0x1f43b675,
                                                   0x1c53bb6b, 0x1941a469, 0x1043a770, 0x1254c367,
                                                   0xec,       0xbf};
  Cursor in(source);
  bool segment = false;
  bool open = false; // inside of a segment or cluster of unknown length
  for (std::uint64_t elements = 0;; ++elements) {
    const std::uint64_t begin = in.position();
    if (source.view(begin, 1).empty())
      return segment ? Walk::complete(begin) : Walk::truncated(begin);
    const auto id = ebml(in, true);
    const auto size = ebml(in, false);
    if (!id || !size) return segment ? Walk::complete(begin) : Walk::none();
    const bool known = std::find(k_inside.begin(), k_inside.end(), id->value) != k_inside.end();
    const bool in_cluster = open && id->value <= 0xff;
    if (id->value != k_head && id->value != k_segment && !known && !in_cluster)
      return segment ? Walk::complete(begin) : Walk::none();
    if (elements == 0 && (id->value != k_head || size->unknown)) return Walk::none();
    if (id->value == k_segment) {
      segment = true;
      open = open || size->unknown;
      continue; // its elements are walked like those around it
    }
    if (size->unknown) {
      open = true;
      continue;
    }
    if (size->value > k_far) return Walk::malformed(begin, "an impossible length");
    if (id->value == k_attachments || id->value == k_void)
      scan_aside(session, "element", source, in.position(), size->value);
    in.seek(in.position() + size->value);
    if (size->value > 0 && source.view(in.position() - 1, 1).empty()) return Walk::truncated(begin);
  }
}

// RIFF: chunks fill the stated size; OpenDML goes on in further RIFF chunks.
Walk walk_riff(Source& source, Session& session) {
  Cursor in(source);
  std::uint64_t at = 0;
  for (int parts = 0; parts < 1'000'000; ++parts) {
    in.seek(at);
    const auto magic = in.take(4);
    if (!magic || !starts_with(*magic, "RIFF")) break;
    const auto size = in.le<std::uint32_t>();
    if (!size) return Walk::truncated(at);
    const std::uint64_t end = at + 8 + *size;
    in.skip(4);
    while (in.position() + 8 <= end) {
      const std::uint64_t begin = in.position();
      const auto name = in.take(4);
      if (!name) return Walk::truncated(begin);
      const bool junk = starts_with(*name, "JUNK") || starts_with(*name, "IDIT");
      const auto length = in.le<std::uint32_t>();
      if (!length) return Walk::truncated(begin);
      if (*length > end - in.position()) return Walk::malformed(begin, "a chunk beyond the end");
      if (junk) scan_aside(session, "JUNK", source, in.position(), *length);
      in.skip(std::uint64_t{*length} + (*length & 1));
    }
    at = end + (*size & 1);
  }
  const bool padded = at > 0 && source.view(at - 1, 1).empty();
  return Walk::complete(padded ? at - 1 : at);
}

// Adobe Flash Video 10.1: tags, each followed by its length.
Walk walk_flv(Source& source, Session& /*session*/) {
  Cursor in(source, 5);
  const auto header = in.be<std::uint32_t>();
  if (!header || *header < 9 || *header > 64) return Walk::none();
  in.seek(*header + std::uint64_t{4});
  for (std::uint64_t tags = 0;; ++tags) {
    const std::uint64_t begin = in.position();
    const auto head = in.be<std::uint32_t>();
    if (!head)
      return tags > 0 && source.view(begin, 1).empty() ? Walk::complete(begin)
                                                       : Walk::truncated(begin);
    const unsigned type = (*head >> 24) & 0x1f;
    if (type != 8 && type != 9 && type != 18)
      return tags > 0 ? Walk::complete(begin) : Walk::none();
    const std::uint64_t size = *head & 0xffffff;
    in.seek(begin + 11 + size);
    const auto back = in.be<std::uint32_t>();
    if (!back) return Walk::truncated(begin);
  }
}

// ISO/IEC 13818-7, 6.2: frames with their length, four in a row at least.
Walk walk_adts(Source& source, Session& /*session*/) {
  std::uint64_t at = 0;
  std::uint64_t frames = 0;
  for (;; ++frames) {
    const Bytes head = source.view(at, 7);
    if (head.size() < 7 || head[0] != 0xff || (head[1] & 0xf6) != 0xf0) break;
    const std::uint64_t length =
        (std::uint64_t{head[3] & 3U} << 11) | (std::uint64_t{head[4]} << 3) | (head[5] >> 5);
    if (length < 7) break;
    if (source.view(at + length - 1, 1).empty())
      return frames >= 4 ? Walk::truncated(at) : Walk::none();
    at += length;
  }
  return frames >= 4 ? Walk::complete(at) : Walk::none();
}

// Sun's .snd and .au.
Walk walk_au(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto begin = in.be<std::uint32_t>();
  const auto size = in.be<std::uint32_t>();
  const auto encoding = in.be<std::uint32_t>();
  if (!begin || !size || !encoding || *begin < 24 || *begin > 65536 || *encoding > 27)
    return Walk::none();
  scan_aside(session, "annotation", source, 24, *begin - 24);
  if (*size == 0xffffffff) return Walk::complete(source.wait_end());
  return Walk::complete(std::uint64_t{*begin} + *size);
}

// ISO/IEC 13818-1: packets of 188 bytes (192 with a time in front), each with its sync byte.
Walk walk_transport(Source& source, Session& session) {
  const Bytes head = source.view(0, 5);
  const bool timed = head.size() == 5 && head[0] != 0x47;
  const std::uint64_t packet = timed ? 192 : 188;
  const std::uint64_t sync = timed ? 4 : 0;
  std::uint64_t at = 0;
  for (std::uint64_t packets = 0;; ++packets) {
    const Bytes byte = source.view(at + sync, 1);
    if (byte.empty() || byte[0] != 0x47) {
      if (packets < 8) return Walk::none();
      return Walk::complete(at);
    }
    if (source.view(at + packet - 1, 1).empty())
      return packets < 8 ? Walk::none() : Walk::truncated(at);
    at += packet;
    if (packets % 4096 == 0 && !session.budget().time_left()) return Walk::truncated(at);
  }
}

// ISO/IEC 18181-2: boxes behind a signature box.
Walk walk_jxl(Source& source, Session& session) {
  Cursor in(source);
  bool codestream = false;
  for (;;) {
    const std::uint64_t begin = in.position();
    const auto size32 = in.be<std::uint32_t>();
    const auto name = in.take(4);
    if (!size32 || !name)
      return codestream && source.view(begin, 1).empty() ? Walk::complete(begin)
                                                         : Walk::truncated(begin);
    const bool stream = starts_with(*name, "jxl");
    const bool aside = starts_with(*name, "brob") || starts_with(*name, "uuid");
    if (!stream && !aside && !starts_with(*name, "JXL ") && !starts_with(*name, "ftyp") &&
        !starts_with(*name, "Exif") && !starts_with(*name, "xml ") && !starts_with(*name, "jumb") &&
        !starts_with(*name, "jbrd") && !starts_with(*name, "jhgm"))
      return codestream ? Walk::complete(begin) : Walk::malformed(begin, "an unknown box");
    codestream = codestream || stream;
    std::uint64_t size = *size32;
    if (size == 1) size = in.be<std::uint64_t>().value_or(0);
    if (size == 0) return Walk::complete(source.wait_end());
    if (size < in.position() - begin || size > k_far)
      return Walk::malformed(begin, "an impossible box size");
    if (aside) scan_aside(session, "box", source, in.position(), size - (in.position() - begin));
    in.seek(begin + size);
    if (source.view(begin + size - 1, 1).empty()) return Walk::truncated(begin);
  }
}

struct Kind {
  std::string_view name;
  std::string_view magic;
  std::string_view second; ///< at 8
  Claim claim;
  Walk (*walk)(Source&, Session&);
};

constexpr std::array<Kind, 15> k_kinds{{
    {"Matroska", "\x1a\x45\xdf\xa3"sv, ""sv, Claim::maybe, walk_matroska},
    {"AVI", "RIFF"sv, "AVI "sv, Claim::yes, walk_riff},
    {"animated cursor", "RIFF"sv, "ACON"sv, Claim::yes, walk_riff},
    {"RIFF MIDI", "RIFF"sv, "RMID"sv, Claim::yes, walk_riff},
    {"sound font", "RIFF"sv, "sfbk"sv, Claim::yes, walk_riff},
    {"FLV", "FLV\1"sv, ""sv, Claim::maybe, walk_flv},
    {"AU", ".snd\0"sv, ""sv, Claim::maybe, walk_au},
    {"JPEG XL", "\0\0\0\x0cJXL "sv, "\x0d\x0a\x87\x0a"sv, Claim::yes, walk_jxl},
    {"CAF", "caff\0\1"sv, "desc"sv, Claim::yes, media::walk_caf},
    {"Wave64", "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"sv, ""sv, Claim::yes, media::walk_wave64},
    {"MXF", "\x06\x0e\x2b\x34\x02\x05\x01\x01"sv, "\x0d\x01\x02\x01\x01"sv, Claim::yes,
     media::walk_mxf},
    {"MPEG program stream", "\0\0\1\xba"sv, ""sv, Claim::maybe, media::walk_program},
    {"AAC", "\xff"sv, ""sv, Claim::maybe, walk_adts},
    {"MPEG transport stream", "\x47"sv, ""sv, Claim::maybe, walk_transport},
    {"MPEG transport stream", ""sv, ""sv, Claim::maybe, walk_transport},
}};

const Kind* kind_of(Bytes head) {
  if (head.size() < 12) return nullptr;
  for (const Kind& kind: k_kinds) {
    if (!starts_with(head, kind.magic) || !starts_with(head.subspan(8), kind.second)) continue;
    if (kind.walk == walk_adts && (head[1] & 0xf6) != 0xf0) continue;
    if (kind.walk == walk_transport) {
      const std::size_t packet = kind.magic.empty() ? 192 : 188;
      const std::size_t sync = kind.magic.empty() ? 4 : 0;
      if (head.size() <= 3 * packet + sync || head[sync] != 0x47 || head[packet + sync] != 0x47 ||
          head[2 * packet + sync] != 0x47 || head[3 * packet + sync] != 0x47)
        continue;
    }
    return &kind;
  }
  return nullptr;
}

Claim probe(const Probe& probe) {
  const Kind* const kind = kind_of(probe.head);
  return kind == nullptr ? Claim::no : kind->claim;
}

Reading scan(Source& source, Session& session) {
  const Kind* const kind = kind_of(source.view(0, 1024));
  if (kind == nullptr) return Reading::none;
  return settle(kind->walk(source, session), kind->name, source, session);
}

} // namespace

extern const Format format_media;
const Format format_media{"media", "media", probe, scan, {}};

} // namespace hubgate

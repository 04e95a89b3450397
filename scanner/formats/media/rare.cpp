// Containers that studios and archives use: Core Audio, Wave64, MXF, MPEG program streams.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/media/media.hpp"

#include <array>

namespace hubgate::media {
namespace {

constexpr std::uint64_t k_far = ~std::uint64_t{0} >> 2;

bool reaches(Source& source, std::uint64_t end) {
  return end > 0 && !source.view(end - 1, 1).empty();
}

} // namespace

// Apple Core Audio Format Specification 1.0: chunks with lengths of 64 bits; the data's may be -1.
Walk walk_caf(Source& source, Session& session) {
  Cursor in(source, 8);
  bool described = false;
  bool data = false;
  for (;;) {
    const std::uint64_t begin = in.position();
    const auto head = in.take(4);
    if (!head) return described && data ? Walk::complete(begin) : Walk::truncated(begin);
    const std::string type(as_text(*head));
    const auto size = in.be<std::int64_t>();
    if (!size) return Walk::truncated(begin);
    constexpr std::array<std::string_view, 15> k_types{"desc", "data", "pakt", "chan", "kuki",
                                                       "mark", "strg", "regn", "inst", "midi",
                                                       "ovvw", "peak", "edct", "info", "umid"};
    const bool known = std::find(k_types.begin(), k_types.end(), type) != k_types.end();
    const bool aside = type == "free" || type == "uuid";
    if (begin == 8 && type != "desc") return Walk::none();
    if (!known && !aside)
      return described && data ? Walk::complete(begin) : Walk::malformed(begin, "an unknown chunk");
    if (*size < 0) {
      if (type != "data" || *size != -1) return Walk::malformed(begin, "an impossible length");
      return Walk::complete(source.wait_end());
    }
    const auto length = static_cast<std::uint64_t>(*size);
    if (length > k_far) return Walk::malformed(begin, "an impossible length");
    if (aside) scan_aside(session, type, source, in.position(), length);
    described = described || type == "desc";
    data = data || type == "data";
    in.seek(in.position() + length);
    if (length > 0 && !reaches(source, in.position())) return Walk::truncated(begin);
  }
}

// Sony Pictures Digital, "Wave64": RIFF with GUIDs for names and 64 bits for lengths, which count
// their own head.
Walk walk_wave64(Source& source, Session& session) {
  constexpr std::string_view k_wave("wave\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a", 16);
  constexpr std::string_view k_rest("\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a", 12);
  Cursor in(source, 16);
  const auto end = in.le<std::uint64_t>();
  const auto form = in.take(16);
  if (!end || !form) return Walk::truncated(16);
  if (as_text(*form) != k_wave) return Walk::none();
  if (*end < 40 || *end > k_far) return Walk::malformed(16, "an impossible length");
  bool format = false;
  bool data = false;
  while (in.position() + 24 <= *end) {
    const std::uint64_t begin = in.position();
    const auto head = in.take(16);
    if (!head) return Walk::truncated(begin);
    const std::string type(as_text(*head).substr(0, 4));
    const bool usual = as_text(*head).substr(4) == k_rest;
    const auto size = in.le<std::uint64_t>();
    if (!size) return Walk::truncated(begin);
    if (*size < 24 || *size > *end - begin) return Walk::malformed(begin, "a chunk beyond the end");
    constexpr std::array<std::string_view, 6> k_types{"fmt ", "data", "fact",
                                                      "levl", "list", "bext"};
    const bool known = usual && std::find(k_types.begin(), k_types.end(), type) != k_types.end();
    if (!known) scan_aside(session, "chunk", source, begin + 24, *size - 24);
    format = format || (usual && type == "fmt ");
    data = data || (usual && type == "data");
    // To the next multiple of eight; some writers leave the last padding out.
    in.seek(begin + (*size + 7) / 8 * 8);
  }
  if (!format || !data) return Walk::malformed(40, "no format or no data");
  return reaches(source, *end) ? Walk::complete(*end) : Walk::truncated(*end);
}

// SMPTE ST 377-1: keys of 16 bytes, lengths in BER, values; the first is a partition.
Walk walk_mxf(Source& source, Session& session) {
  constexpr std::string_view k_label("\x06\x0e\x2b\x34", 4);
  constexpr std::string_view k_fill("\x03\x01\x02\x10\x01", 5); ///< from the ninth byte on
  Cursor in(source);
  for (std::uint64_t values = 0;; ++values) {
    const std::uint64_t begin = in.position();
    const auto key = in.take(16);
    if (!key || as_text(*key).substr(0, 4) != k_label) {
      if (values == 0) return Walk::none();
      return key || source.view(begin, 1).empty() ? Walk::complete(begin) : Walk::truncated(begin);
    }
    const bool fill = as_text(*key).substr(8, 5) == k_fill;
    const auto first = in.le<std::uint8_t>();
    if (!first) return Walk::truncated(begin);
    std::uint64_t length = *first;
    if (*first >= 0x80) {
      const unsigned bytes = *first & 0x7fU;
      if (bytes == 0 || bytes > 8) return Walk::malformed(begin, "an impossible length");
      length = 0;
      for (unsigned i = 0; i < bytes; ++i) {
        const auto byte = in.le<std::uint8_t>();
        if (!byte) return Walk::truncated(begin);
        length = (length << 8) | *byte;
      }
    }
    if (length > k_far) return Walk::malformed(begin, "an impossible length");
    if (fill) scan_aside(session, "fill", source, in.position(), length);
    in.seek(in.position() + length);
    if (length > 0 && !reaches(source, in.position())) return Walk::truncated(begin);
    if (values % 4096 == 4095 && !session.budget().time_left()) return Walk::truncated(begin);
  }
}

// ISO/IEC 13818-1, 2.5 and 11172-1, 2.4: packs and packets with their lengths, perhaps an end code.
Walk walk_program(Source& source, Session& session) {
  constexpr std::uint8_t k_pack = 0xba;
  constexpr std::uint8_t k_end = 0xb9;
  std::uint64_t at = 0;
  std::uint64_t packets = 0;
  for (std::uint64_t steps = 0;; ++steps) {
    const Bytes head = source.view(at, 14);
    const bool starts = head.size() >= 4 && head[0] == 0 && head[1] == 0 && head[2] == 1;
    if (!starts || head[3] < k_end) {
      if (packets < 2) return Walk::none();
      return head.empty() || head.size() >= 4 ? Walk::complete(at) : Walk::truncated(at);
    }
    if (head[3] == k_end) return packets < 2 ? Walk::none() : Walk::complete(at + 4);
    if (head.size() < 6) return Walk::truncated(at);
    if (head[3] == k_pack) {
      const bool second = (head[4] & 0xc0) == 0x40;
      if (!second && (head[4] & 0xf0) != 0x20) return Walk::none();
      if (head.size() < (second ? 14U : 12U)) return Walk::truncated(at);
      at += second ? 14 + (head[13] & 7U) : 12;
    } else {
      at += 6 + ((std::uint64_t{head[4]} << 8) | head[5]);
      ++packets;
    }
    if (!reaches(source, at)) return packets < 2 ? Walk::none() : Walk::truncated(at);
    if (steps % 4096 == 4095 && !session.budget().time_left()) return Walk::truncated(at);
  }
}

} // namespace hubgate::media

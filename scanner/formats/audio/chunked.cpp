// Audio made of chunks, pages or boxes: WAVE, AIFF, Ogg, ISO media files.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/audio/audio.hpp"

#include <array>
#include <string>

namespace hubgate::audio {
namespace {

// The last byte before `end` is there, or the file is cut.
Walk inside(Source& source, std::uint64_t end) {
  if (end > 0 && source.view(end - 1, 1).empty()) return Walk::truncated(end);
  return Walk::complete(end);
}

bool has(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::uint32_t, 256> make_ogg_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i << 24;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x80000000) != 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
    table[i] = crc;
  }
  return table;
}

} // namespace

// Multimedia Programming Interface 1.0 (RIFF); EBU Tech 3306 for RF64, where ds64 holds the sizes
// that don't fit. Writers to a pipe leave 0 or all ones: then the file ends where the bytes do.
Walk walk_wave(Source& source, Session& session) {
  constexpr std::uint32_t k_unknown = 0xffffffff;
  Cursor in(source);
  const auto riff = in.take(4);
  if (!riff) return Walk::truncated(0);
  const bool big = starts_with(*riff, "RIFX");
  const bool large = !big && !starts_with(*riff, "RIFF");
  const auto number = [&] { return big ? in.be<std::uint32_t>() : in.le<std::uint32_t>(); };
  const auto stated = number();
  if (!stated) return Walk::truncated(4);
  in.seek(12);
  std::uint64_t end =
      *stated == k_unknown || *stated == 0 ? ~std::uint64_t{0} >> 1 : 8 + std::uint64_t{*stated};
  std::uint64_t large_data = 0;
  bool format = false;
  bool data = false;
  while (in.position() + 8 <= end) {
    const std::uint64_t begin = in.position();
    const auto head = in.take(4);
    if (!head) {
      // Of unknown length, or a header that lies: whole chunks up to the end of the bytes.
      return data && end > begin && (*stated == k_unknown || *stated == 0) ? Walk::complete(begin)
                                                                           : Walk::truncated(begin);
    }
    const std::string type(as_text(*head));
    const auto length = number();
    if (!length) return Walk::truncated(begin);
    std::uint64_t size = *length;
    if (type == "ds64" && large) {
      const auto riff_size = in.le<std::uint64_t>();
      const auto data_size = in.le<std::uint64_t>();
      if (!riff_size || !data_size) return Walk::truncated(begin);
      if (*riff_size > ~std::uint64_t{0} >> 2 || *data_size > *riff_size)
        return Walk::malformed(begin, "impossible sizes in ds64");
      end = 8 + *riff_size;
      large_data = *data_size;
      in.seek(begin + 8);
    }
    if (type == "data" && *length == k_unknown && large) size = large_data;
    if (type == "data" && *length == k_unknown && !large) return Walk::complete(source.wait_end());
    // Some writers count the chunks only, without their heads: players go by the chunks.
    if (size > end - in.position() && !source.view(in.position() + size - 1, 1).empty())
      end = in.position() + size;
    if (size > end - in.position()) return Walk::malformed(begin, "a chunk beyond the end");
    constexpr std::array<std::string_view, 14> k_types{"fmt ", "data", "fact", "LIST", "cue ",
                                                       "smpl", "inst", "bext", "ds64", "plst",
                                                       "PEAK", "id3 ", "ID3 ", "chna"};
    if (!has(k_types, type)) scan_aside(session, type, source, begin + 8, size);
    format = format || type == "fmt ";
    data = data || type == "data";
    if (!in.skip(size + (size & 1))) return Walk::malformed(begin, "a chunk beyond the end");
  }
  if (!format || !data) return Walk::malformed(12, "no format or no data");
  // The pad byte of the last chunk is left out by some.
  return inside(source, std::min(end, in.position()));
}

// Audio Interchange File Format 1.3: chunks like RIFF's, big endian.
Walk walk_aiff(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto stated = in.be<std::uint32_t>();
  if (!stated) return Walk::truncated(4);
  const std::uint64_t end = 8 + std::uint64_t{*stated};
  in.seek(12);
  bool common = false;
  while (in.position() + 8 <= end) {
    const std::uint64_t begin = in.position();
    const auto head = in.take(4);
    if (!head) return Walk::truncated(begin);
    const std::string type(as_text(*head));
    const auto length = in.be<std::uint32_t>();
    if (!length) return Walk::truncated(begin);
    if (*length > end - in.position()) return Walk::malformed(begin, "a chunk beyond the end");
    constexpr std::array<std::string_view, 12> k_types{"COMM", "SSND", "FVER", "MARK",
                                                       "INST", "MIDI", "AESD", "COMT",
                                                       "NAME", "AUTH", "ANNO", "ID3 "};
    if (!has(k_types, type)) scan_aside(session, type, source, begin + 8, *length);
    common = common || type == "COMM";
    in.skip(std::uint64_t{*length} + (*length & 1));
  }
  if (!common) return Walk::malformed(12, "no COMM chunk");
  return inside(source, end);
}

// NIST SPHERE 2.6: a text of a stated length, then samples to the end (packed in some corpora).
Walk walk_sphere(Source& source, Session&) {
  const std::string head(as_text(source.view(8, 8)));
  std::uint64_t length = 0;
  for (const char c: head)
    if (c >= '0' && c <= '9') length = length * 10 + static_cast<std::uint64_t>(c - '0');
  const std::uint64_t end = source.wait_end();
  if (length < 1024 || length % 1024 != 0 || head.back() != '\n') return Walk::none();
  const std::string text(as_text(
      source.view(16, static_cast<std::size_t>(std::min<std::uint64_t>(length, 65536)) - 16)));
  if (text.find("end_head") == std::string::npos)
    return Walk::malformed(16, "a header without end");
  const auto field = [&](std::string_view name) -> std::uint64_t {
    std::size_t at = text.find(std::string(name) + " -i ");
    if (at == std::string::npos) return 0;
    std::uint64_t value = 0;
    for (at += name.size() + 4; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
      value = std::min<std::uint64_t>(value * 10 + static_cast<std::uint64_t>(text[at] - '0'),
                                      ~std::uint32_t{0});
    return value;
  };
  const std::uint64_t channels = std::max<std::uint64_t>(field("channel_count"), 1);
  const std::uint64_t size = field("sample_count") * field("sample_n_bytes");
  // Packed samples (shorten) go on to the end.
  if (size == 0 || text.find("shorten") != std::string::npos || size > ~std::uint64_t{0} / 65536 ||
      channels > 65536)
    return length > end ? Walk::truncated(end) : Walk::complete(end);
  return inside(source, length + size * channels);
}

// RFC 3533: pages of up to 255 segments, each with its checksum.
Walk walk_ogg(Source& source, Session&) {
  static constexpr std::array<std::uint32_t, 256> k_table = make_ogg_table();
  Cursor in(source);
  bool last = false; // the page before said that its stream ends
  for (;;) {
    const std::uint64_t begin = in.position();
    const auto head = in.take(27);
    if (!head || !starts_with(*head, "OggS"))
      return last ? Walk::complete(begin) : Walk::truncated(begin);
    std::array<std::uint8_t, 27> copy{};
    std::copy(head->begin(), head->end(), copy.begin());
    if (copy[4] != 0) return Walk::malformed(begin, "an unknown version");
    last = (copy[5] & 4) != 0;
    const std::uint32_t stored = Reader(Bytes(copy).subspan(22)).le<std::uint32_t>().value_or(0);
    std::fill_n(copy.begin() + 22, 4, std::uint8_t{0});
    std::uint32_t crc = 0;
    const auto add = [&crc](Bytes bytes) {
      for (const std::uint8_t byte: bytes)
        crc = (crc << 8) ^ k_table[(crc >> 24) ^ byte];
    };
    add(copy);
    const auto segments = in.take(copy[26]);
    if (!segments) return Walk::truncated(begin);
    add(*segments);
    std::size_t body = 0;
    for (const std::uint8_t size: *segments)
      body += size;
    const auto bytes = in.take(body);
    if (!bytes) return Walk::truncated(begin);
    add(*bytes);
    if (crc != stored) return Walk::malformed(begin, "a page with a wrong checksum");
  }
}

// ISO/IEC 14496-12: boxes of size and type; audio and video share the container.
Walk walk_boxes(Source& source, Session& session) {
  Cursor in(source);
  bool described = false;
  for (std::uint64_t boxes = 0;; ++boxes) {
    const std::uint64_t begin = in.position();
    const auto size32 = in.be<std::uint32_t>();
    const auto head = in.take(4);
    const bool typed = head && std::all_of(head->begin(), head->end(), [](std::uint8_t c) {
                         return c >= 0x20 && (c < 0x7f || c == 0xa9);
                       });
    if (!size32 || !typed) {
      if (described && (begin > 0)) return inside(source, begin);
      return boxes == 0 ? Walk::none() : Walk::truncated(begin);
    }
    const std::string type(as_text(*head));
    std::uint64_t size = *size32;
    std::uint64_t header = 8;
    if (size == 1) {
      const auto large = in.be<std::uint64_t>();
      if (!large) return Walk::truncated(begin);
      size = *large;
      header = 16;
    } else if (size == 0) {
      size = source.wait_end() - begin;
    }
    if (size < header || size > (~std::uint64_t{0} >> 2) - begin)
      return described ? inside(source, begin) : Walk::malformed(begin, "an impossible box size");
    constexpr std::array<std::string_view, 16> k_types{
        "ftyp", "moov", "mdat", "moof", "meta", "free", "skip", "sidx",
        "styp", "mfra", "uuid", "wide", "pdin", "ssix", "prft", "emsg"};
    if (!has(k_types, type))
      return described ? inside(source, begin) : Walk::malformed(begin, "an unknown box");
    if (boxes == 0 && (type != "ftyp" || size > 1024)) return Walk::none();
    if (type == "free" || type == "skip" || type == "uuid")
      scan_aside(session, type, source, begin + header, size - header);
    described = described || type == "moov" || type == "moof" || type == "meta";
    in.seek(begin + size);
    if (source.view(begin + size - 1, 1).empty()) return Walk::truncated(begin);
  }
}

} // namespace hubgate::audio

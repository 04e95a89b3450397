// Images made of chunks that follow each other: PNG, JPEG, GIF, WebP.
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/cursor.hpp"
#include "scanner/formats/image/image.hpp"

#include <array>
#include <string>

namespace hubgate::image {
namespace {

constexpr std::size_t k_step = std::size_t{64} << 10;

bool known_png_chunk(std::string_view type) {
  constexpr std::array<std::string_view, 27> k_types{
      "IHDR", "PLTE", "IDAT", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT",
      "sRGB", "bKGD", "hIST", "pHYs", "sPLT", "tIME", "acTL", "fcTL", "fdAT",
      "cICP", "mDCV", "cLLI", "oFFs", "sCAL", "sTER", "gIFg", "eXIf", "zTXt"};
  return std::find(k_types.begin(), k_types.end(), type) != k_types.end();
}

bool is_letter(std::uint8_t c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// Skips GIF sub-blocks; false when the source ends first.
bool skip_blocks(Cursor& in) {
  for (;;) {
    const auto size = in.le<std::uint8_t>();
    if (!size) return false;
    if (*size == 0) return true;
    if (!in.take(*size)) return false;
  }
}

} // namespace

// PNG, third edition: chunks of length, type, data, CRC of type and data; IHDR first, IEND last.
Walk walk_png(Source& source, Session& session) {
  Cursor in(source, 8);
  bool first = true;
  bool data = false;
  for (;;) {
    const std::uint64_t begin = in.position();
    const auto length = in.be<std::uint32_t>();
    const auto head = in.take(4);
    if (!length || !head) return Walk::truncated(begin);
    const std::string type(as_text(*head));
    if (*length > 0x7fffffff || !std::all_of(head->begin(), head->end(), is_letter))
      return first ? Walk::none() : Walk::malformed(begin, "a chunk without a type");
    if (first && (type != "IHDR" || *length != 13)) return Walk::malformed(begin, "no IHDR");
    std::uint32_t crc = crc32_of(as_bytes(type));
    for (std::uint64_t left = *length; left > 0;) {
      const auto piece = in.take(static_cast<std::size_t>(std::min<std::uint64_t>(left, k_step)));
      if (!piece) return Walk::truncated(begin);
      crc = crc32_of(*piece, crc);
      left -= piece->size();
    }
    const auto stored = in.be<std::uint32_t>();
    if (!stored) return Walk::truncated(begin);
    if (*stored != crc) return Walk::malformed(begin, "a chunk with a wrong checksum");
    if (!known_png_chunk(type)) scan_aside(session, type, source, begin + 8, *length);
    first = false;
    data = data || type == "IDAT";
    if (type == "IEND")
      return data && *length == 0 ? Walk::complete(in.position())
                                  : Walk::malformed(begin, "no image data before the end");
  }
}

// ITU T.81, annex B: segments up to a scan, entropy-coded bytes up to the next marker, EOI last.
Walk walk_jpeg(Source& source, Session& session) {
  Cursor in(source, 2);
  bool frame = false;
  bool scan = false;
  for (;;) {
    const std::uint64_t begin = in.position();
    auto byte = in.le<std::uint8_t>();
    if (!byte) return Walk::truncated(begin);
    if (*byte != 0xff) return scan || frame ? Walk::malformed(begin, "no marker") : Walk::none();
    while (byte && *byte == 0xff)
      byte = in.le<std::uint8_t>();
    if (!byte) return Walk::truncated(begin);
    const std::uint8_t marker = *byte;
    if (marker == 0xd9)
      return scan ? Walk::complete(in.position()) : Walk::malformed(begin, "an end before a scan");
    if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    if (marker < 0xc0) return Walk::malformed(begin, "an unknown marker");
    const auto length = in.be<std::uint16_t>();
    if (!length) return Walk::truncated(begin);
    if (*length < 2) return Walk::malformed(begin, "a segment of no length");
    if (!in.take(*length - std::size_t{2})) return Walk::truncated(begin);
    const bool application = marker >= 0xe0 && marker <= 0xef;
    // JFIF, Exif and XMP, ICC, Photoshop and Adobe segments are read by viewers.
    const bool ordinary = marker <= 0xe2 || marker == 0xed || marker == 0xee;
    if ((application && !ordinary) || marker == 0xfe)
      scan_aside(session, marker == 0xfe ? "COM" : "APPn", source, begin + 4, *length - 2u);
    const bool sof =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    frame = frame || sof;
    if (marker != 0xda) continue;
    if (!frame) return Walk::malformed(begin, "a scan before its frame");
    scan = true;
    // Entropy-coded bytes: 0xff is followed by 0 or by a restart marker.
    for (std::uint64_t at = in.position();;) {
      const Bytes piece = source.view(at, k_step);
      if (piece.size() < 2) return Walk::truncated(at);
      std::size_t i = 0;
      bool marked = false;
      for (; i + 1 < piece.size(); ++i) {
        if (piece[i] != 0xff) continue;
        const std::uint8_t next = piece[i + 1];
        marked = next != 0 && next != 0xff && (next < 0xd0 || next > 0xd7);
        if (marked) break;
      }
      at += i;
      if (!marked) continue;
      in.seek(at);
      break;
    }
  }
}

// GIF89a specification: header, screen, blocks, trailer 0x3b.
Walk walk_gif(Source& source, Session& session) {
  Cursor in(source, 10);
  const auto flags = in.le<std::uint8_t>();
  if (!flags || !in.take(2)) return Walk::truncated(6);
  if ((*flags & 0x80) != 0 && !in.take(std::size_t{3} << ((*flags & 7) + 1)))
    return Walk::truncated(13);
  bool image = false;
  for (;;) {
    const std::uint64_t begin = in.position();
    const auto kind = in.le<std::uint8_t>();
    if (!kind) return Walk::truncated(begin);
    if (*kind == 0x3b)
      return image ? Walk::complete(in.position()) : Walk::malformed(begin, "no image");
    if (*kind == 0x21) {
      const auto label = in.le<std::uint8_t>();
      if (!label || !skip_blocks(in)) return Walk::truncated(begin);
      if (*label == 0xfe)
        scan_aside(session, "comment", source, begin + 3, in.position() - begin - 4);
    } else if (*kind == 0x2c) {
      const auto descriptor = in.take(9);
      if (!descriptor) return Walk::truncated(begin);
      const std::uint8_t packed = (*descriptor)[8];
      if ((packed & 0x80) != 0 && !in.take(std::size_t{3} << ((packed & 7) + 1)))
        return Walk::truncated(begin);
      const auto code_size = in.le<std::uint8_t>();
      if (!code_size) return Walk::truncated(begin);
      if (*code_size < 1 || *code_size > 11)
        return Walk::malformed(begin, "an impossible code size");
      if (!skip_blocks(in)) return Walk::truncated(begin);
      image = true;
    } else {
      return Walk::malformed(begin, "an unknown block");
    }
  }
}

// RIFF container of WebP (RFC 9649): chunks fill the size that the header states.
Walk walk_webp(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto size = in.le<std::uint32_t>();
  if (!size) return Walk::truncated(4);
  const std::uint64_t end = 8 + (std::uint64_t{*size} + 1) / 2 * 2;
  in.seek(12);
  bool image = false;
  while (in.position() + 8 <= end) {
    const std::uint64_t begin = in.position();
    const auto head = in.take(4);
    if (!head) return Walk::truncated(begin);
    const std::string type(as_text(*head));
    const auto length = in.le<std::uint32_t>();
    if (!length) return Walk::truncated(begin);
    const std::uint64_t padded = (std::uint64_t{*length} + 1) / 2 * 2;
    if (padded > end - in.position()) return Walk::malformed(begin, "a chunk beyond the end");
    if (begin == 12 && !type.starts_with("VP8")) return Walk::malformed(begin, "no image chunk");
    constexpr std::array<std::string_view, 9> k_types{"VP8 ", "VP8L", "VP8X", "ALPH", "ANIM",
                                                      "ANMF", "ICCP", "EXIF", "XMP "};
    image = image || type == "VP8 " || type == "VP8L" || type == "ANMF";
    if (std::find(k_types.begin(), k_types.end(), type) == k_types.end())
      scan_aside(session, type, source, begin + 8, *length);
    in.skip(padded);
  }
  if (!image || in.position() != end) return Walk::malformed(12, "the chunks don't fill the file");
  if (source.view(7 + std::uint64_t{*size}, 1).empty()) return Walk::truncated(end);
  return Walk::complete(end);
}

} // namespace hubgate::image

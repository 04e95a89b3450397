// Pictures whose header says how many bytes follow: the PNM family, DDS, TGA.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/raster/raster.hpp"

#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

namespace hubgate::raster {
namespace {

// The end is there, or the file is cut.
Walk up_to(Source& source, std::uint64_t end) {
  if (end == 0 || source.view(end - 1, 1).empty()) return Walk::truncated(end);
  return Walk::complete(end);
}

bool is_space(std::uint8_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

// One word of a PNM header; comments go from # to the end of their line.
std::optional<std::string> word(Cursor& in) {
  constexpr std::size_t k_most = 32;
  std::string out;
  for (std::size_t steps = 0; steps < 65536; ++steps) {
    const auto c = in.le<std::uint8_t>();
    if (!c) return std::nullopt;
    if (*c == '#' && out.empty()) {
      for (auto next = in.le<std::uint8_t>(); next && *next != '\n';) {
        if (++steps > 65536) return std::nullopt;
        next = in.le<std::uint8_t>();
      }
      continue;
    }
    if (is_space(*c)) {
      if (!out.empty()) return out;
      continue;
    }
    if (out.size() >= k_most || *c < 0x20 || *c > 0x7e) return std::nullopt;
    out += static_cast<char>(*c);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number(const std::optional<std::string>& text) {
  if (!text || text->empty() || text->size() > 9) return std::nullopt;
  std::uint64_t out = 0;
  for (const char c: *text) {
    if (c < '0' || c > '9') return std::nullopt;
    out = out * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return out;
}

// Behind "P7\n": lines of names and values up to ENDHDR.
std::optional<std::uint64_t> pam_bytes(Cursor& in) {
  std::uint64_t width = 0;
  std::uint64_t height = 0;
  std::uint64_t depth = 0;
  std::uint64_t most = 0;
  for (int words = 0; words < 64; ++words) {
    const auto name = word(in);
    if (!name) return std::nullopt;
    if (*name == "ENDHDR") {
      if (width == 0 || height == 0 || depth == 0 || depth > 65536 || most == 0 || most > 65535)
        return std::nullopt;
      return width * height * depth * (most > 255 ? 2 : 1);
    }
    const auto value = word(in);
    if (!value) return std::nullopt;
    if (*name == "TUPLTYPE") continue;
    const auto count = number(value);
    if (!count || *count > (1U << 20)) return std::nullopt;
    if (*name == "WIDTH")
      width = *count;
    else if (*name == "HEIGHT")
      height = *count;
    else if (*name == "DEPTH")
      depth = *count;
    else if (*name == "MAXVAL")
      most = *count;
    else
      return std::nullopt;
  }
  return std::nullopt;
}

// Of one picture, behind its two letters: how many bytes of pixels come.
std::optional<std::uint64_t> pnm_bytes(Cursor& in, char kind) {
  if (kind == '7') return pam_bytes(in);
  const auto width = number(word(in));
  const auto height = number(word(in));
  if (!width || !height || *width == 0 || *height == 0) return std::nullopt;
  if (kind == '4') return (*width + 7) / 8 * *height;
  if (kind == 'F' || kind == 'f') {
    // A scale, negative for little endian.
    const auto scale = word(in);
    if (!scale) return std::nullopt;
    char* end = nullptr;
    const double value = std::strtod(scale->c_str(), &end);
    if (end == scale->c_str() || *end != '\0' || !std::isfinite(value) || value == 0)
      return std::nullopt;
    return *width * *height * 4 * (kind == 'F' ? 3 : 1);
  }
  const auto most = number(word(in));
  if (!most || *most == 0 || *most > 65535) return std::nullopt;
  return *width * *height * (kind == '6' ? 3 : 1) * (*most > 255 ? 2 : 1);
}

} // namespace

// pbm(5), pgm(5), ppm(5), pam(5) of Netpbm; PFM by Paul Debevec. Pictures may follow each other.
Walk walk_pnm(Source& source, Session& session) {
  constexpr std::string_view k_kinds = "4567fF";
  Cursor in(source);
  std::uint64_t end = 0;
  for (std::uint64_t pictures = 0;; ++pictures) {
    in.seek(end);
    const auto head = in.take(3);
    const bool starts = head && (*head)[0] == 'P' &&
                        k_kinds.find(static_cast<char>((*head)[1])) != std::string_view::npos &&
                        is_space((*head)[2]);
    if (!starts || pictures > 1'000'000) break;
    const auto bytes = pnm_bytes(in, static_cast<char>((*head)[1]));
    if (!bytes) break;
    const std::uint64_t here = in.position() + *bytes;
    if (source.view(here - 1, 1).empty())
      return pictures == 0 ? Walk::truncated(here) : Walk::complete(end);
    end = here;
    if (pictures % 1024 == 1023 && !session.budget().time_left()) break;
  }
  return end == 0 ? Walk::none() : Walk::complete(end);
}

namespace {

/// Bytes of a block of 4 x 4 pixels; 0 when the format is not one of blocks.
std::uint64_t block_bytes(std::string_view code, std::uint32_t dxgi) {
  constexpr std::array<std::string_view, 4> k_half{"DXT1", "ATI1", "BC4U", "BC4S"};
  constexpr std::array<std::string_view, 7> k_full{"DXT2", "DXT3", "DXT4", "DXT5",
                                                   "ATI2", "BC5U", "BC5S"};
  if (std::find(k_half.begin(), k_half.end(), code) != k_half.end()) return 8;
  if (std::find(k_full.begin(), k_full.end(), code) != k_full.end()) return 16;
  if (code != "DX10") return 0;
  if ((dxgi >= 70 && dxgi <= 72) || (dxgi >= 79 && dxgi <= 81)) return 8;
  if ((dxgi >= 73 && dxgi <= 78) || (dxgi >= 82 && dxgi <= 84) || (dxgi >= 94 && dxgi <= 99))
    return 16;
  return 0;
}

} // namespace

// Microsoft, "DDS File Layout": header, perhaps that of Direct3D 10, then every surface with its
// smaller copies.
Walk walk_dds(Source& source, Session& session) {
  constexpr std::uint32_t k_cube = 0x200;
  constexpr std::uint32_t k_volume = 0x200000;
  Cursor in(source, 12);
  const auto height = in.le<std::uint32_t>();
  const auto width = in.le<std::uint32_t>();
  in.skip(4);
  const auto depth = in.le<std::uint32_t>();
  const auto copies = in.le<std::uint32_t>();
  in.seek(76);
  const auto format_size = in.le<std::uint32_t>();
  in.skip(4);
  const auto letters = in.take(4);
  const std::string code(letters ? as_text(*letters) : std::string_view());
  const auto bits = in.le<std::uint32_t>();
  in.seek(112);
  const auto shape = in.le<std::uint32_t>();
  if (!shape) return Walk::truncated(4);
  in.seek(128);
  std::uint32_t dxgi = 0;
  std::uint64_t surfaces = 1;
  if (code == "DX10") {
    dxgi = in.le<std::uint32_t>().value_or(0);
    in.skip(8);
    surfaces = in.le<std::uint32_t>().value_or(0);
    if (!in.le<std::uint32_t>()) return Walk::truncated(128);
  }
  constexpr std::uint32_t k_largest = 1U << 20;
  if (*format_size != 32 || *width == 0 || *height == 0 || *width > k_largest ||
      *height > k_largest || *copies > 32 || *depth > 65536 || surfaces == 0 || surfaces > 65536)
    return Walk::malformed(12, "impossible measures");
  const std::uint64_t block = block_bytes(code, dxgi);
  const bool plain = code == std::string_view("\0\0\0\0", 4) && *bits > 0 && *bits <= 128;
  if (block == 0 && !plain) {
    // Pixels of a format that is not in the tables: what is there is searched.
    const std::uint64_t end = source.wait_end();
    scan_aside(session, "pixels", source, in.position(), end - std::min(end, in.position()));
    return Walk::complete(end);
  }
  if ((*shape & k_cube) != 0) surfaces *= 6;
  const bool volume = (*shape & k_volume) != 0;
  std::uint64_t bytes = 0;
  for (std::uint32_t level = 0; level < std::max<std::uint32_t>(*copies, 1); ++level) {
    const std::uint64_t w = std::max<std::uint64_t>(*width >> level, 1);
    const std::uint64_t h = std::max<std::uint64_t>(*height >> level, 1);
    const std::uint64_t d = volume ? std::max<std::uint64_t>(*depth >> level, 1) : 1;
    bytes += block != 0 ? (w + 3) / 4 * ((h + 3) / 4) * d * block : (w * *bits + 7) / 8 * h * d;
  }
  return up_to(source, in.position() + bytes * surfaces);
}

bool is_tga_header(Bytes head) {
  if (head.size() < 18 || head[1] > 1) return false;
  const unsigned type = head[2];
  const bool mapped = type == 1 || type == 9;
  const bool known = mapped || type == 2 || type == 3 || type == 10 || type == 11;
  const unsigned bits = head[16];
  const bool depth = bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32;
  const unsigned map_bits = head[7];
  const bool map =
      head[1] == 0 ? map_bits == 0 || map_bits >= 15 : map_bits >= 15 && map_bits <= 32;
  const bool sized = (head[12] | head[13]) != 0 && (head[14] | head[15]) != 0;
  return known && depth && map && (!mapped || (head[1] == 1 && bits == 8)) && sized &&
         (type != 3 || bits == 8 || bits == 16) && (head[17] & 0xc0) == 0;
}

// Truevision TGA 2.0. Without a magic all of it must come out: the pixels end with the file, or
// with the areas of a new file, whose last 26 bytes say so.
Walk walk_tga(Source& source, Session& session) {
  constexpr std::string_view k_footer("TRUEVISION-XFILE.\0", 18);
  Cursor in(source);
  const auto id = in.le<std::uint8_t>();
  in.skip(1);
  const auto type = in.le<std::uint8_t>();
  in.skip(2);
  const auto colours = in.le<std::uint16_t>();
  const auto colour_bits = in.le<std::uint8_t>();
  in.skip(4);
  const auto width = in.le<std::uint16_t>();
  const auto height = in.le<std::uint16_t>();
  const auto bits = in.le<std::uint8_t>();
  in.skip(1);
  if (!id || !bits) return Walk::none();
  const std::uint64_t size = source.wait_end();
  const std::uint64_t map = std::uint64_t{*colours} * ((*colour_bits + 7U) / 8);
  const std::uint64_t pixel = (*bits + 7U) / 8;
  const std::uint64_t pixels = std::uint64_t{*width} * *height;
  std::uint64_t end = 18 + std::uint64_t{*id} + map;
  if (*type < 8) {
    end += pixels * pixel;
  } else {
    // Packets: a count, then one pixel to repeat or as many pixels.
    in.seek(end);
    for (std::uint64_t done = 0, packets = 0; done < pixels; ++packets) {
      const auto head = in.le<std::uint8_t>();
      if (!head) return Walk::none();
      const std::uint64_t count = (*head & 0x7fU) + 1;
      in.skip((*head & 0x80) != 0 ? pixel : count * pixel);
      done += count;
      if (packets % 65536 == 65535 && !session.budget().time_left()) return Walk::none();
    }
    end = in.position();
  }
  if (end > size) return Walk::none();
  const bool footer = size >= end + 26 && as_text(source.view(size - 18, 18)) == k_footer;
  if (end != size && !footer) return Walk::none();
  scan_aside(session, "identification", source, 18, *id);
  if (footer) scan_aside(session, "areas", source, end, size - 26 - end);
  return Walk::complete(size);
}

} // namespace hubgate::raster

// Audio made of frames that must be followed one by one: MPEG audio and FLAC.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/audio/audio.hpp"

#include <array>

namespace hubgate::audio {
namespace {

constexpr std::size_t k_step = std::size_t{64} << 10;

// An ID3v2 tag (id3.org, 2.4.0, section 3.1) at `at`: its length, header and footer included, or 0.
std::uint64_t id3_length(Source& source, std::uint64_t at) {
  const Bytes head = source.view(at, 10);
  if (head.size() < 10 || !starts_with(head, "ID3") || head[3] == 0xff || head[4] == 0xff) return 0;
  std::uint64_t size = 0;
  for (std::size_t i = 6; i < 10; ++i) {
    if (head[i] >= 0x80) return 0;
    size = (size << 7) | head[i];
  }
  return size + 10 + ((head[5] & 0x10) != 0 ? 10 : 0);
}

// Tags that stand behind the audio: ID3v1, APEv2, Lyrics3. Returns where they end.
std::uint64_t behind_tags(Source& source, std::uint64_t at) {
  for (int i = 0; i < 4; ++i) {
    const Bytes head = source.view(at, 32);
    if (starts_with(head, "TAG")) {
      if (source.view(at, 128).size() < 128) return at;
      at += 128;
    } else if (starts_with(head, "APETAGEX") && head.size() == 32) {
      const std::uint64_t size = Reader(head.subspan(12)).le<std::uint32_t>().value_or(0);
      at += 32 + size;
    } else {
      return at;
    }
  }
  return at;
}

// FLAC, RFC 9639: CRC-16 of a whole frame is zero with its footer, CRC-8 guards the header.
constexpr std::array<std::uint16_t, 256> make_crc16() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    unsigned crc = i << 8;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x8005 : crc << 1;
    table[i] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

std::uint8_t crc8(Bytes bytes) {
  unsigned crc = 0;
  for (const std::uint8_t byte: bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x80) != 0 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
  }
  return static_cast<std::uint8_t>(crc);
}

// Whether a frame header stands at the beginning of `bytes` (up to 16 of them).
bool flac_frame(Bytes bytes) {
  if (bytes.size() < 6 || bytes[0] != 0xff || (bytes[1] & 0xfe) != 0xf8) return false;
  const unsigned block = bytes[2] >> 4;
  const unsigned rate = bytes[2] & 15;
  if (block == 0 || rate == 15 || (bytes[3] >> 4) > 10 || (bytes[3] & 1) != 0) return false;
  // The coded number: as many leading ones as bytes, like UTF-8.
  std::size_t length = 1;
  if (bytes[4] >= 0x80) {
    length = 0;
    while (length < 8 && (bytes[4] & (0x80 >> length)) != 0)
      ++length;
    if (length < 2 || length > 7) return false;
  }
  std::size_t header = 4 + length;
  header += block == 6 ? 1 : block == 7 ? 2 : 0;
  header += rate == 12 ? 1 : rate == 13 || rate == 14 ? 2 : 0;
  return bytes.size() > header && crc8(bytes.first(header)) == bytes[header];
}

} // namespace

std::uint64_t mpeg_frame_length(Bytes header) {
  if (header.size() < 4 || header[0] != 0xff || (header[1] & 0xe0) != 0xe0) return 0;
  const unsigned version = (header[1] >> 3) & 3; // 0: 2.5, 2: 2, 3: 1
  const unsigned layer = 4 - ((header[1] >> 1) & 3);
  const unsigned rate_index = header[2] >> 4;
  const unsigned sample_index = (header[2] >> 2) & 3;
  const unsigned padding = (header[2] >> 1) & 1;
  if (version == 1 || layer == 4 || rate_index == 0 || rate_index == 15 || sample_index == 3)
    return 0;
  constexpr std::array<std::array<std::uint16_t, 15>, 5> k_rates{{
      {0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448}, // 1, layer 1
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},    // 1, layer 2
      {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},     // 1, layer 3
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},    // 2, layer 1
      {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},         // 2, layers 2, 3
  }};
  constexpr std::array<std::uint32_t, 3> k_samples{44100, 48000, 32000};
  const std::size_t row = version == 3 ? layer - 1 : layer == 1 ? 3 : 4;
  const std::uint64_t rate = std::uint64_t{k_rates[row][rate_index]} * 1000;
  const std::uint64_t samples = k_samples[sample_index] >> (version == 3   ? 0
                                                            : version == 2 ? 1
                                                                           : 2);
  if (layer == 1) return (12 * rate / samples + padding) * 4;
  return (layer == 3 && version != 3 ? 72 : 144) * rate / samples + padding;
}

Walk walk_mpeg(Source& source, Session&) {
  constexpr std::uint64_t k_enough = 4; // frames in a row that no other data has
  std::uint64_t at = id3_length(source, 0);
  const bool tagged = at > 0;
  // Zeros between tag and audio are padding.
  for (Bytes gap = source.view(at, 4096); tagged && !gap.empty() && gap[0] == 0;) {
    std::size_t i = 0;
    while (i < gap.size() && gap[i] == 0)
      ++i;
    at += i;
    gap = source.view(at, 4096);
  }
  std::uint64_t frames = 0;
  for (;; ++frames) {
    const std::uint64_t length = mpeg_frame_length(source.view(at, 4));
    if (length == 0) break;
    if (source.view(at + length - 1, 1).empty())
      return frames >= k_enough ? Walk::truncated(at) : Walk::none();
    at += length;
  }
  if (frames < k_enough) return Walk::none();
  return Walk::complete(behind_tags(source, at));
}

Walk walk_flac(Source& source, Session&) {
  static constexpr std::array<std::uint16_t, 256> k_table = make_crc16();
  Cursor in(source, 4);
  for (bool last = false, first = true; !last; first = false) {
    const auto head = in.be<std::uint32_t>();
    if (!head) return Walk::truncated(in.position());
    last = (*head >> 31) != 0;
    const unsigned type = (*head >> 24) & 0x7f;
    const std::uint32_t length = *head & 0xffffff;
    if (type == 127 || (first && (type != 0 || length != 34)))
      return Walk::malformed(in.position() - 4, "a metadata block that can't be");
    in.skip(length);
    if (length > 0 && source.view(in.position() - 1, 1).empty())
      return Walk::truncated(in.position());
  }
  // Frames: a new one begins where the checksum of the one before it comes out.
  std::uint64_t at = in.position();
  const std::uint64_t begin = at;
  if (source.view(at, 1).empty()) return Walk::truncated(at);
  if (!flac_frame(source.view(at, 16)))
    return source.view(at, 16).size() < 16 ? Walk::truncated(at) : Walk::malformed(at, "no frame");
  std::uint64_t frame = at; // where the current one begins
  std::uint64_t closed = 0; // the first place behind it where its checksum comes out
  unsigned crc = 0;
  for (;;) {
    const Bytes piece = source.view(at, k_step + 16);
    if (piece.empty()) break;
    const std::size_t count = piece.size() > k_step ? k_step : piece.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (crc == 0 && at + i > frame + 6) {
        if (flac_frame(piece.subspan(i, std::min<std::size_t>(16, piece.size() - i)))) {
          frame = at + i;
          closed = 0;
        } else if (closed == 0) {
          closed = at + i;
        }
      }
      crc = ((crc << 8) & 0xffff) ^ k_table[(crc >> 8) ^ piece[i]];
    }
    at += count;
  }
  if (at == begin) return Walk::truncated(at);
  if (crc == 0) return Walk::complete(at);
  if (closed != 0) return Walk::complete(behind_tags(source, closed));
  return Walk::truncated(frame);
}

} // namespace hubgate::audio

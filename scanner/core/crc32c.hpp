#pragma once
// CRC-32C (Castagnoli, RFC 3720 appendix B.4), and the form in which LevelDB tables and TFRecords
// store it.
#include "scanner/core/bytes.hpp"

#include <array>

namespace hubgate {

namespace crc32c_detail {
consteval std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> out{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? (value >> 1) ^ 0x82f63b78U : value >> 1;
    out[0][i] = value;
  }
  for (std::size_t slice = 1; slice < 8; ++slice)
    for (std::size_t i = 0; i < 256; ++i)
      out[slice][i] = (out[slice - 1][i] >> 8) ^ out[0][out[slice - 1][i] & 0xff];
  return out;
}
inline constexpr auto k_tables = make_tables();
} // namespace crc32c_detail

/// The checksum of what `before` is the checksum of, followed by `bytes`.
inline std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0) {
  const auto& tables = crc32c_detail::k_tables;
  std::uint32_t crc = ~before;
  std::size_t i = 0;
  for (; bytes.size() - i >= 8; i += 8) {
    crc = tables[7][(crc ^ bytes[i]) & 0xff] ^ tables[6][((crc >> 8) ^ bytes[i + 1]) & 0xff] ^
          tables[5][((crc >> 16) ^ bytes[i + 2]) & 0xff] ^ tables[4][(crc >> 24) ^ bytes[i + 3]] ^
          tables[3][bytes[i + 4]] ^ tables[2][bytes[i + 5]] ^ tables[1][bytes[i + 6]] ^
          tables[0][bytes[i + 7]];
  }
  for (; i < bytes.size(); ++i)
    crc = (crc >> 8) ^ tables[0][(crc ^ bytes[i]) & 0xff];
  return ~crc;
}

/// As it is stored: rotated and shifted, so that a checksum of checksums is not constant.
inline constexpr std::uint32_t masked_crc32c(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

} // namespace hubgate

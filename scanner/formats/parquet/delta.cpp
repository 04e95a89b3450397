#include "scanner/formats/parquet/delta.hpp"

#include "scanner/core/cursor.hpp"

namespace hubgate::parquet {
namespace {

std::optional<std::uint64_t> varint(Cursor& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = in.le<std::uint8_t>();
    if (!byte) return std::nullopt;
    value |= std::uint64_t{*byte & 0x7fU} << shift;
    if ((*byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> zigzag(Cursor& in) {
  const auto raw = varint(in);
  return raw ? std::optional<std::uint64_t>((*raw >> 1) ^ (~(*raw & 1) + 1)) : std::nullopt;
}

std::uint64_t bits_at(Bytes bytes, std::uint64_t bit, unsigned width) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < width; ++i, ++bit)
    value |= std::uint64_t{(bytes[static_cast<std::size_t>(bit >> 3)] >> (bit & 7)) & 1U} << i;
  return value;
}

} // namespace

std::optional<std::vector<std::uint64_t>> read_deltas(Source& page, std::uint64_t& at,
                                                      std::uint64_t end, std::uint64_t most) {
  Cursor in(page, at, end);
  const auto block = varint(in);
  const auto parts = varint(in);
  const auto total = varint(in);
  const auto first = zigzag(in);
  constexpr std::uint64_t k_block = 1 << 13;
  if (!block || !parts || !total || !first || *parts == 0 || *parts > 512 || *block > k_block ||
      *block % *parts != 0 || (*block / *parts) % 8 != 0 || *block == 0 || *total > most)
    return std::nullopt;
  std::vector<std::uint64_t> out;
  std::uint64_t value = *first;
  const auto add = [&] {
    out.push_back(value);
    return value >> 63 == 0;
  };
  if (*total > 0 && !add()) return std::nullopt;
  const std::uint64_t each = *block / *parts;
  while (out.size() < *total) {
    const auto least = zigzag(in);
    if (!least) return std::nullopt;
    const auto widths_view = in.take(static_cast<std::size_t>(*parts));
    if (!widths_view) return std::nullopt;
    const std::vector<std::uint8_t> widths(widths_view->begin(), widths_view->end());
    for (const std::uint8_t width: widths) {
      if (out.size() >= *total) break; // parts behind the last value are left out
      if (width > 64) return std::nullopt;
      const auto packed = in.take(static_cast<std::size_t>(each * width / 8));
      if (!packed) return std::nullopt;
      for (std::uint64_t i = 0; i < each && out.size() < *total; ++i) {
        value += *least + bits_at(*packed, i * width, width);
        if (!add()) return std::nullopt;
      }
    }
  }
  at = in.position();
  return out;
}

} // namespace hubgate::parquet

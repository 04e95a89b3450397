#include "scanner/gitstore/pack_index.hpp"

#include <cstring>

namespace hubgate::git {
namespace {

constexpr std::string_view k_magic{"\377tOc\0\0\0\2", 8};
constexpr std::uint64_t k_fanout = 256 * 4;
constexpr std::uint64_t k_number = 4;
constexpr std::uint64_t k_long_number = 8;
constexpr std::uint32_t k_is_long = 0x80000000u;

} // namespace

std::uint32_t PackIndex::number_at(std::uint64_t at) const {
  std::uint32_t out = 0;
  for (const std::uint8_t byte: bytes_.subspan(static_cast<std::size_t>(at), k_number))
    out = (out << 8) | byte;
  return out;
}

std::uint32_t PackIndex::fanout(std::size_t first_byte) const {
  return number_at((first_version_ ? 0 : k_magic.size()) + first_byte * k_number);
}

Bytes PackIndex::id_at(std::uint32_t i) const {
  const std::uint64_t at = first_version_ ? k_fanout + i * (k_number + id_size_) + k_number
                                          : k_magic.size() + k_fanout + std::uint64_t{i} * id_size_;
  return bytes_.subspan(static_cast<std::size_t>(at), id_size_);
}

Result<PackIndex> PackIndex::open(Bytes bytes, std::size_t id_size) {
  PackIndex out;
  out.bytes_ = bytes;
  out.id_size_ = id_size;
  out.first_version_ = !starts_with(bytes, k_magic);
  const std::uint64_t head = (out.first_version_ ? 0 : k_magic.size()) + k_fanout;
  const std::uint64_t tail = 2 * id_size;
  if (bytes.size() < head + tail) return Error{"the index of a pack is cut"};
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint32_t upto = out.fanout(i);
    if (upto < out.count_) return Error{"the index of a pack counts backwards"};
    out.count_ = upto;
  }
  const std::uint64_t each = id_size + (out.first_version_ ? k_number : 2 * k_number);
  const std::uint64_t rest = bytes.size() - head - tail;
  if (rest / each < out.count_) return Error{"the index of a pack is shorter than its count"};
  const std::uint64_t longs = rest - each * out.count_;
  out.long_offsets_ = longs / k_long_number;
  if (out.first_version_ ? longs != 0
                         : longs % k_long_number != 0 || out.long_offsets_ > out.count_)
    return Error{"the index of a pack has another length than its count makes"};
  return out;
}

Oid PackIndex::oid(std::uint32_t i) const {
  return Oid::from_bytes(id_at(i));
}

std::optional<std::uint64_t> PackIndex::offset(std::uint32_t i) const {
  if (first_version_) return number_at(k_fanout + i * (k_number + id_size_));
  const std::uint64_t table = k_magic.size() + k_fanout + count_ * (id_size_ + k_number);
  const std::uint32_t number = number_at(table + std::uint64_t{i} * k_number);
  if ((number & k_is_long) == 0) return number;
  const std::uint32_t row = number & ~k_is_long;
  if (row >= long_offsets_) return std::nullopt;
  const std::uint64_t at = table + count_ * k_number + row * k_long_number;
  return (std::uint64_t{number_at(at)} << 32) | number_at(at + k_number);
}

std::optional<std::uint32_t> PackIndex::find(const Oid& oid) const {
  if (oid.size != id_size_) return std::nullopt;
  const std::size_t first = oid.bytes[0];
  std::uint32_t low = first == 0 ? 0 : fanout(first - 1);
  std::uint32_t high = fanout(first);
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const int order = std::memcmp(id_at(middle).data(), oid.bytes.data(), id_size_);
    if (order == 0) return middle;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return std::nullopt;
}

Bytes PackIndex::pack_checksum() const {
  return bytes_.last(2 * id_size_).first(id_size_);
}

} // namespace hubgate::git

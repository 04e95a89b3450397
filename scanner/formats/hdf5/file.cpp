#include "scanner/formats/hdf5/file.hpp"

#include <algorithm>
#include <bit>

namespace hubgate::hdf5 {
namespace {

constexpr std::size_t k_superblock = 128; ///< more than the largest of them

bool is_width(std::uint8_t width) {
  return width == 2 || width == 4 || width == 8;
}

// Versions 0 and 1: the root group is a symbol table entry.
bool read_old(Reader& reader, Superblock& out) {
  reader.skip(3); // versions of free space, of the root entry, reserved
  reader.skip(1); // version of shared headers
  const auto offsets = reader.le<std::uint8_t>();
  const auto lengths = reader.le<std::uint8_t>();
  reader.skip(1);
  const auto leaf = reader.le<std::uint16_t>();
  const auto group = reader.le<std::uint16_t>();
  if (!offsets || !lengths || !leaf || !group || !reader.skip(4)) return false;
  if (!is_width(*offsets) || !is_width(*lengths)) return false;
  out.offset_size = *offsets;
  out.length_size = *lengths;
  out.leaf_k = *leaf;
  out.group_k = *group;
  if (out.version == 1) {
    const auto chunk = reader.le<std::uint16_t>();
    if (!chunk || !reader.skip(2)) return false;
    out.chunk_k = *chunk;
  }
  const auto address = [&] { return File::number(reader, out.offset_size); };
  const auto base = address();
  const auto free_space = address();
  const auto end = address();
  const auto driver = address();
  const auto name = address();
  const auto root = address();
  if (!base || !free_space || !end || !driver || !name || !root || !reader.skip(24)) return false;
  out.base = *base;
  out.end = *end;
  out.driver = *driver;
  out.root = *root;
  out.size = reader.position();
  return true;
}

bool read_new(Reader& reader, Bytes all, Superblock& out) {
  const auto offsets = reader.le<std::uint8_t>();
  const auto lengths = reader.le<std::uint8_t>();
  if (!offsets || !lengths || !reader.skip(1)) return false;
  if (!is_width(*offsets) || !is_width(*lengths)) return false;
  out.offset_size = *offsets;
  out.length_size = *lengths;
  const auto base = File::number(reader, out.offset_size);
  const auto extension = File::number(reader, out.offset_size);
  const auto end = File::number(reader, out.offset_size);
  const auto root = File::number(reader, out.offset_size);
  const std::uint64_t summed = reader.position();
  const auto sum = reader.le<std::uint32_t>();
  if (!base || !extension || !end || !root || !sum) return false;
  out.base = *base;
  out.extension = *extension;
  out.end = *end;
  out.root = *root;
  out.size = reader.position();
  out.checksum_ok = lookup3(all.first(static_cast<std::size_t>(summed))) == *sum;
  return true;
}

} // namespace

std::uint32_t lookup3(Bytes bytes) {
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(bytes.size());
  std::uint32_t b = a;
  std::uint32_t c = a;
  const std::uint8_t* k = bytes.data();
  std::size_t left = bytes.size();
  const auto word = [](const std::uint8_t* p, std::size_t n) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < n; ++i)
      out |= static_cast<std::uint32_t>(p[i]) << (8 * i);
    return out;
  };
  while (left > 12) {
    a += word(k, 4);
    b += word(k + 4, 4);
    c += word(k + 8, 4);
    a = (a - c) ^ std::rotl(c, 4), c += b;
    b = (b - a) ^ std::rotl(a, 6), a += c;
    c = (c - b) ^ std::rotl(b, 8), b += a;
    a = (a - c) ^ std::rotl(c, 16), c += b;
    b = (b - a) ^ std::rotl(a, 19), a += c;
    c = (c - b) ^ std::rotl(b, 4), b += a;
    left -= 12;
    k += 12;
  }
  if (left == 0) return c;
  const auto part = [&](std::size_t from) {
    return left > from ? word(k + from, std::min<std::size_t>(4, left - from)) : 0U;
  };
  a += part(0);
  b += part(4);
  c += part(8);
  c = (c ^ b) - std::rotl(b, 14);
  a = (a ^ c) - std::rotl(c, 11);
  b = (b ^ a) - std::rotl(a, 25);
  c = (c ^ b) - std::rotl(b, 16);
  a = (a ^ c) - std::rotl(c, 4);
  b = (b ^ a) - std::rotl(a, 14);
  c = (c ^ b) - std::rotl(b, 24);
  return c;
}

std::optional<Superblock> read_superblock(Source& source, std::uint64_t begin) {
  const Bytes view = source.view(begin, k_superblock);
  const std::vector<std::uint8_t> bytes(view.begin(), view.end());
  if (!starts_with(bytes, k_signature)) return std::nullopt;
  Reader reader(bytes);
  reader.skip(k_signature.size());
  Superblock out;
  out.begin = begin;
  const auto version = reader.le<std::uint8_t>();
  if (!version || *version > 3) return std::nullopt;
  out.version = *version;
  if (*version < 2 ? !read_old(reader, out) : !read_new(reader, bytes, out)) return std::nullopt;
  const auto widen = [&](std::uint64_t& address) {
    const std::uint64_t ones =
        out.offset_size == 8 ? k_undefined : (std::uint64_t{1} << (8 * out.offset_size)) - 1;
    if (address == ones) address = k_undefined;
  };
  for (auto* address: {&out.driver, &out.extension, &out.root})
    widen(*address);
  return out;
}

bool File::holds(std::uint64_t address, std::uint64_t n) const {
  const std::uint64_t room = size_ - std::min(size_, superblock_.begin);
  return address <= room && n <= room - address;
}

std::optional<std::vector<std::uint8_t>> File::read(std::uint64_t address, std::uint64_t n) {
  if (!holds(address, n)) return std::nullopt;
  const Bytes view = source_.view(place(address), static_cast<std::size_t>(n));
  if (view.size() != n) return std::nullopt;
  return std::vector<std::uint8_t>(view.begin(), view.end());
}

std::optional<std::uint64_t> File::number(Reader& reader, std::size_t width) {
  const auto raw = reader.take(width);
  if (!raw || width > 8) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;)
    value = value << 8 | (*raw)[i];
  return value;
}

std::optional<std::uint64_t> File::offset(Reader& reader) const {
  const auto value = number(reader, superblock_.offset_size);
  const unsigned bits = 8U * superblock_.offset_size;
  if (value && bits < 64 && *value == (std::uint64_t{1} << bits) - 1) return k_undefined;
  return value;
}

std::optional<std::uint64_t> File::length(Reader& reader) const {
  return number(reader, superblock_.length_size);
}

void File::account(std::uint64_t address, std::uint64_t n, bool data) {
  if (n == 0 || !holds(address, 0)) return;
  const std::uint64_t begin = place(address);
  const std::uint64_t end = begin + std::min(n, size_ - begin);
  extents_.push_back({begin, end, data});
}

} // namespace hubgate::hdf5

#pragma once
// For tests: packs and their indexes byte by byte, as wrong as a test wants them.
#include "scanner/gitstore/pack.hpp"

#include <algorithm>
#include <string>

namespace hubgate::git::test {

inline std::string number(std::uint64_t value, unsigned bytes) {
  std::string out;
  for (unsigned i = bytes; i-- > 0;)
    out += static_cast<char>((value >> (8 * i)) & 0xff);
  return out;
}

inline std::string deflated(std::string_view text) {
  std::string out(compressBound(text.size()), '\0');
  uLongf size = out.size();
  compress2(reinterpret_cast<Bytef*>(out.data()), &size,
            reinterpret_cast<const Bytef*>(text.data()), text.size(), 6);
  out.resize(size);
  return out;
}

/// The little-endian numbers of deltas.
inline std::string delta_number(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>((value & 0x7f) | 0x80);
  return out + static_cast<char>(value);
}

/// A copy with all of its bytes written.
inline std::string copy_of(std::uint32_t offset, std::uint32_t length) {
  std::string out(1, '\xff');
  for (unsigned i = 0; i < 4; ++i)
    out += static_cast<char>((offset >> (8 * i)) & 0xff);
  for (unsigned i = 0; i < 3; ++i)
    out += static_cast<char>((length >> (8 * i)) & 0xff);
  return out;
}

inline std::string insert_of(std::string_view text) {
  return static_cast<char>(text.size()) + std::string(text);
}

inline Oid id_of(std::string_view content, Kind kind = Kind::blob) {
  return ObjectHasher(Oid::k_sha1).of(kind, as_bytes(content));
}

class MadePack {
public:
  MadePack() { bytes_ = "PACK" + number(2, 4) + number(0, 4); }

  /// Head of an entry: type and announced size.
  static std::string head(PackEntry::Type type, std::uint64_t size) {
    auto byte = static_cast<unsigned>((static_cast<unsigned>(type) << 4) | (size & 15));
    std::string out;
    for (size >>= 4; size != 0; size >>= 7) {
      out += static_cast<char>(byte | 0x80);
      byte = static_cast<unsigned>(size & 0x7f);
    }
    return out + static_cast<char>(byte);
  }

  static std::string distance(std::uint64_t value) {
    std::string out(1, static_cast<char>(value & 0x7f));
    while ((value >>= 7) != 0)
      out.insert(out.begin(), static_cast<char>((--value & 0x7f) | 0x80));
    return out;
  }

  /// Adds an entry as it is and returns its offset.
  std::uint64_t raw(const Oid& id, std::string_view entry) {
    const std::uint64_t at = bytes_.size();
    bytes_ += entry;
    rows_.push_back({id, at});
    return at;
  }

  std::uint64_t object(std::string_view content, PackEntry::Type type = PackEntry::Type::blob) {
    return raw(id_of(content), head(type, content.size()) + deflated(content));
  }

  std::uint64_t offset_delta(const Oid& id, std::uint64_t base, std::string_view delta) {
    return raw(id, head(PackEntry::Type::offset_delta, delta.size()) +
                       distance(bytes_.size() - base) + deflated(delta));
  }

  std::uint64_t id_delta(const Oid& id, const Oid& base, std::string_view delta) {
    return raw(id, head(PackEntry::Type::id_delta, delta.size()) +
                       std::string(as_text(base.view())) + deflated(delta));
  }

  std::string pack() const {
    std::string out = bytes_;
    out.replace(8, 4, number(rows_.size(), 4));
    return out + k_checksum;
  }

  std::string index() const {
    auto rows = rows_;
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.id < b.id; });
    std::string out = "\377tOc" + number(2, 4);
    for (std::size_t byte = 0; byte < 256; ++byte)
      out += number(
          static_cast<std::uint64_t>(std::count_if(
              rows.begin(), rows.end(), [&](const Row& row) { return row.id.bytes[0] <= byte; })),
          4);
    for (const Row& row: rows)
      out += as_text(row.id.view());
    out += std::string(4 * rows.size(), '\0');
    for (const Row& row: rows)
      out += number(row.offset, 4);
    return out + k_checksum + std::string(Oid::k_sha1, '\1');
  }

private:
  struct Row {
    Oid id;
    std::uint64_t offset;
  };
  const std::string k_checksum = std::string(Oid::k_sha1, 'c');
  std::string bytes_;
  std::vector<Row> rows_;
};

} // namespace hubgate::git::test

#pragma once
// File: an HDF5 file's addresses over a Source, and what of its space is accounted for. Addresses
// count from the superblock; lengths and offsets have the widths that the superblock states. Format
// facts: "HDF5 File Format Specification" 3.0, sections II and III.
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace hubgate::hdf5 {

inline constexpr std::uint64_t k_undefined = ~std::uint64_t{0};
inline constexpr std::string_view k_signature = "\x89HDF\r\n\x1a\n";

struct Superblock {
  std::uint8_t version = 0;
  std::uint64_t begin = 0;      ///< offset of the superblock in the source: address 0
  std::uint64_t size = 0;       ///< bytes
  std::uint8_t offset_size = 8; ///< width of an address: 2, 4 or 8
  std::uint8_t length_size = 8;
  std::uint16_t leaf_k = 4; ///< half of the entries of a symbol table node
  std::uint16_t group_k = 16;
  std::uint16_t chunk_k = 32;
  std::uint64_t base = 0; ///< as stated
  std::uint64_t end = 0;  ///< first address behind the file's data, as stated
  std::uint64_t driver = k_undefined;
  std::uint64_t extension = k_undefined;
  std::uint64_t root = k_undefined;
  bool checksum_ok = true;
};

/// Reads the superblock at `begin`: nothing if there is none or its widths are not read here.
std::optional<Superblock> read_superblock(Source& source, std::uint64_t begin);

/// Jenkins' lookup3, HDF5's checksum of metadata.
std::uint32_t lookup3(Bytes bytes);

class File {
public:
  File(Source& source, const Superblock& superblock, std::uint64_t size)
      : source_(source), superblock_(superblock), size_(size) {}

  const Superblock& superblock() const { return superblock_; }
  Source& source() { return source_; }
  std::uint64_t size() const { return size_; }

  /// Where an address lies in the source; for messages.
  std::uint64_t place(std::uint64_t address) const { return superblock_.begin + address; }
  /// Whether [address, address + n) lies in the file.
  bool holds(std::uint64_t address, std::uint64_t n) const;
  /// Exactly `n` bytes at `address`, or nothing.
  std::optional<std::vector<std::uint8_t>> read(std::uint64_t address, std::uint64_t n);

  /// Numbers of the superblock's widths; an address of all ones is k_undefined.
  std::optional<std::uint64_t> offset(Reader& reader) const;
  std::optional<std::uint64_t> length(Reader& reader) const;
  static std::optional<std::uint64_t> number(Reader& reader, std::size_t width);

  struct Extent {
    std::uint64_t begin; ///< in the source
    std::uint64_t end;
    bool data; ///< raw data of a dataset
  };
  /// Counts [address, address + n) as read. Cut at the end of the file.
  void account(std::uint64_t address, std::uint64_t n, bool data = false);
  std::vector<Extent>& extents() { return extents_; }

  /// True the first time that a structure at `address` is visited.
  bool first_visit(std::uint64_t address) { return visited_.insert(address).second; }

private:
  Source& source_;
  Superblock superblock_;
  std::uint64_t size_;
  std::vector<Extent> extents_;
  std::unordered_set<std::uint64_t> visited_;
};

/// How reading a structure went wrong.
struct Trouble {
  enum class Kind { none, truncated, malformed, unsupported, checksum, cycle, budget };
  Kind kind = Kind::none;
  std::uint64_t address = 0;
  std::string_view what = {}; ///< a literal
};

} // namespace hubgate::hdf5

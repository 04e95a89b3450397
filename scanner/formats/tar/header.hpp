#pragma once
// One tar header block and the records of a pax header, as they stand (POSIX.1-2018 pax, "ustar
// Interchange Format"; GNU tar 1.35, tar.h). Nothing here judges.
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hubgate::tar {

inline constexpr std::uint64_t k_block = 512;

/// A number field: octal digits, or base 256 when the first bit is set.
struct Number {
  std::uint64_t value = 0;
  bool negative = false;  ///< base 256 below zero
  bool malformed = false; ///< neither octal nor base 256, or beyond 63 bits
};
Number read_number(Bytes field);

struct Header {
  char type = '0';
  Number size;
  std::string name; ///< with the prefix of ustar
  std::string link;
  bool ustar = false; ///< has a magic: POSIX or GNU
  bool gnu = false;
  // Old GNU sparse members ('S').
  std::vector<std::pair<std::uint64_t, std::uint64_t>> sparse; ///< offset, length
  bool sparse_continues = false;
  std::uint64_t real_size = 0;
};

/// The header in a block of 512 bytes; nothing if its checksum (signed or unsigned) is wrong.
std::optional<Header> read_header(Bytes block);

/// Adds the entries of a block that continues a sparse map; returns whether another one follows.
bool read_sparse_block(Bytes block, std::vector<std::pair<std::uint64_t, std::uint64_t>>& sparse);

bool is_zero_block(Bytes block);

struct PaxRecord {
  std::string key;
  std::string value;
};

/// The records of a pax header; nothing if one of them breaks the form "length key=value\n".
std::optional<std::vector<PaxRecord>> read_pax(Bytes body);

/// A decimal number without sign, as in "size"; nothing if it is something else or beyond 63 bits.
std::optional<std::uint64_t> read_decimal(std::string_view text);

/// `size` rounded up to whole blocks; saturates.
std::uint64_t padded(std::uint64_t size);

} // namespace hubgate::tar

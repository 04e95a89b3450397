#pragma once
// Walk: a cheap trial of bytes as pickle opcodes: lexing and stack effects, no values. It tells
// pickles without a header (protocols 0 and 1) from text and tensors, and finds pickles in junk.
#include "scanner/core/bytes.hpp"
#include "scanner/formats/pickle/opcodes.hpp"

#include <bit>
#include <cstring>

namespace hubgate::pickle {

struct Walk {
  enum class End {
    stop,     ///< reached STOP
    data_end, ///< no error up to the end of the bytes (or the limit of opcodes)
    invalid,  ///< an opcode that can't be
  };
  End end = End::invalid;
  std::size_t consumed = 0; ///< bytes up to there
  std::size_t opcodes = 0;
  std::size_t depth = 0; ///< items on the stack below the STOP
  bool header = false;   ///< begins with PROTO
  bool names = false;    ///< imported something that could be the name of a class or function
  bool calls = false;    ///< and called something afterwards
  bool acts = false;     ///< called what an unpickler would call, whatever its name and origin
};

/// Walks at most `max_opcodes` from the first byte of `data` on.
Walk walk(Bytes data, std::size_t max_opcodes = 4096);

/// Whether `name` is dotted Python identifiers in ASCII.
bool is_dotted_name(std::string_view name);

/// Little-endian unsigned number of `n` <= 8 bytes.
inline std::uint64_t little(const std::uint8_t* p, std::size_t n) {
  std::uint64_t value = 0;
  std::memcpy(&value, p, n);
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

} // namespace hubgate::pickle

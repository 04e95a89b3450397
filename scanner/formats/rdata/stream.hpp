#pragma once
// The three encodings of R's serialization (R Internals, 1.8 "Serialization Formats"): XDR
// ("X\n"), native binary ("B\n", little-endian here), and text ("A\n"). One reader for all:
// integers, doubles, and strings with their length in front.
#include "scanner/core/cursor.hpp"

#include <string>

namespace hubgate::rdata {

class Stream {
public:
  enum class Encoding { xdr, native, text };

  Stream(Source& source, std::uint64_t begin, std::uint64_t end, Encoding encoding)
      : in_(source, begin, end), encoding_(encoding) {}

  std::uint64_t position() const { return in_.position(); }
  std::optional<std::int32_t> integer();
  /// A double is passed over; its value never matters.
  bool skip_doubles(std::uint64_t count);
  bool skip_integers(std::uint64_t count);
  /// Raw vectors.
  bool skip_bytes(std::uint64_t count);
  /// A string of `length` bytes: all of it is read, its first `keep` bytes are given.
  std::optional<std::string> string(std::uint64_t length, std::size_t keep);

private:
  std::optional<std::string> word();

  Cursor in_;
  Encoding encoding_;
};

} // namespace hubgate::rdata

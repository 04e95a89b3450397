#pragma once
// Ranges: what a Range field asks of an object of known size, and the whole blocks that cover it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hubgate::proxy {

/// Bytes [first, last] of an object, both inside it.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  std::uint64_t length() const { return last - first + 1; }
  bool operator==(const ByteRange&) const = default;
};

enum class RangeKind {
  whole,         ///< no Range, one that is not understood, or several: the whole object
  part,          ///< `range`
  unsatisfiable, ///< 416
};

struct Wanted {
  RangeKind kind = RangeKind::whole;
  ByteRange range;
};

/// RFC 9110, 14.2. `field` is the value of Range, `size` the object's length in bytes.
Wanted parse_range(std::optional<std::string_view> field, std::uint64_t size);

/// The blocks [first, last] of the size of the block list that hold `range`.
struct BlockSpan {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  /// The bytes that they cover in an object of `size` bytes.
  ByteRange bytes(std::uint64_t size) const;
};
BlockSpan covering_blocks(const ByteRange& range);

/// "bytes 0-99/1000".
std::string content_range(const ByteRange& range, std::uint64_t size);

/// A Content-Range answer: its range and the total, if it is well-formed and the total is known.
struct ContentRange {
  ByteRange range;
  std::uint64_t total = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view field);

} // namespace hubgate::proxy

#pragma once
// ProtoReader: the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) of an
// untrusted stream, field by field, through a window that all readers of one stream share. Nothing
// big is copied: a length-delimited field or a group is a range that a nested reader walks, or not.
// One ProtoInput, one thread.
#include "scanner/core/source.hpp"

#include <optional>
#include <string>
#include <vector>

namespace hubgate {

enum class ProtoWire : std::uint8_t {
  varint = 0,
  fixed64 = 1,
  bytes = 2, ///< string, bytes, nested message or packed numbers
  group = 3, ///< deprecated, still read by every parser
  fixed32 = 5,
};

enum class ProtoFailure {
  none,
  malformed, ///< a wire type, field number, varint or group that no parser accepts
  truncated, ///< the stream, or the enclosing field, ends inside a field
  limit,     ///< nested deeper than k_proto_depth
};

/// Nesting at which protobuf's own parsers stop.
inline constexpr std::uint32_t k_proto_depth = 100;

struct ProtoField {
  std::uint32_t number = 0;
  ProtoWire wire = ProtoWire::varint;
  bool overlong = false;    ///< tag, length or value is written with more bytes than it needs
  std::uint64_t value = 0;  ///< of varint and fixed fields
  std::uint64_t offset = 0; ///< first byte of the tag, in the source
  std::uint64_t begin = 0;  ///< first byte of the payload
  std::uint64_t end = 0;    ///< first byte behind the payload (of a group: its end tag)
  std::uint64_t size() const { return end - begin; }
  bool is(std::uint32_t wanted, ProtoWire how) const { return number == wanted && wire == how; }
  /// A nested message, a string or bytes with this number.
  bool is_bytes(std::uint32_t wanted) const { return is(wanted, ProtoWire::bytes); }
};

/// The window on the source that readers share. Outlives them.
class ProtoInput {
public:
  explicit ProtoInput(Source& source) : source_(source) {}
  ProtoInput(const ProtoInput&) = delete;
  ProtoInput& operator=(const ProtoInput&) = delete;

  /// The byte at `at`, or nothing where the source ends.
  std::optional<std::uint8_t> byte(std::uint64_t at);
  /// Up to `n` (at most 64 KiB) bytes at `at`; fewer only where the source ends. Valid until the
  /// next call on this input.
  Bytes bytes(std::uint64_t at, std::size_t n);
  Source& source() { return source_; }

private:
  Source& source_;
  std::vector<std::uint8_t> window_;
  std::uint64_t begin_ = 0;
};

class ProtoReader {
public:
  /// Reads the fields in [begin, end). `end` may lie behind the source when its size is not known:
  /// pass ~0, and the message ends where the source does.
  ProtoReader(ProtoInput& input, std::uint64_t begin, std::uint64_t end, std::uint32_t depth = 0)
      : input_(input), at_(begin), begin_(begin), end_(end), depth_(depth) {}

  /// The next field; false at the end or on a failure(). The payload of a length-delimited field
  /// lies inside [begin, end), but a source of unknown size may still end before it: the next call
  /// tells, and so does a nested reader.
  bool next(ProtoField& field);

  ProtoFailure failure() const { return failure_; }
  /// First byte that was not read.
  std::uint64_t position() const { return at_; }
  std::uint32_t depth() const { return depth_; }

  /// A reader of the fields inside `field` (wire bytes or group). It fails with `limit` when it is
  /// nested too deep.
  ProtoReader inside(const ProtoField& field) const;

  /// The first `max` bytes of the payload.
  std::string text(const ProtoField& field, std::size_t max);

  /// For packed numbers, read from inside(): the next one, or nothing at the end or on a failure.
  std::optional<std::uint64_t> packed_varint();

private:
  std::optional<std::uint64_t> varint(bool& overlong);
  bool fail(ProtoFailure failure);
  bool fixed(ProtoField& field, std::uint64_t size);
  bool skip_group(std::uint32_t number, ProtoField& field);
  bool at_end();

  ProtoInput& input_;
  std::uint64_t at_;
  std::uint64_t begin_;
  std::uint64_t end_;
  std::uint32_t depth_;
  ProtoFailure failure_ = ProtoFailure::none;
};

} // namespace hubgate

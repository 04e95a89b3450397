#pragma once
// Thrift's compact protocol (thrift-compact-protocol.md), read field by field from bytes in memory:
// Parquet's footer and page headers. Whatever can't be read fails for good; nesting is bounded;
// a list's length is believed only as far as its bytes reach.
#include "scanner/core/reader.hpp"

#include <array>

namespace hubgate::parquet {

enum class Wire : std::uint8_t {
  stop = 0,
  yes = 1,
  no = 2,
  byte = 3,
  i16 = 4,
  i32 = 5,
  i64 = 6,
  number = 7, ///< double
  binary = 8,
  list = 9,
  set = 10,
  map = 11,
  structure = 12,
  uuid = 13,
};

class Thrift {
public:
  explicit Thrift(Bytes bytes) : in_(bytes) {}

  bool failed() const { return failed_; }
  std::uint64_t position() const { return in_.position(); }

  struct Field {
    Wire type = Wire::stop;
    std::int32_t id = 0;
  };

  /// Call before the fields of a structure, and leave() behind its stop.
  void enter();
  void leave() { depth_ = depth_ > 0 ? depth_ - 1 : 0; }
  /// The next field of the structure; false at its end or on failure.
  bool next(Field& out);

  /// The value of `field`: any integer or boolean; else nothing, and it is skipped.
  std::optional<std::int64_t> integer(const Field& field);
  /// A string; else nothing, and it is skipped.
  std::optional<Bytes> binary(const Field& field);
  /// The number of elements and their type, for a list or set; else nothing, and it is skipped.
  struct List {
    Wire type;
    std::uint64_t size;
  };
  std::optional<List> list(const Field& field);

  /// An element of a list of integers or strings.
  std::optional<std::int64_t> element_integer();
  std::optional<Bytes> element_binary();

  void skip(const Field& field) { skip_value(field.type, false); }
  void skip_element(Wire type) { skip_value(type, true); }

private:
  static constexpr std::size_t k_depth = 24;

  std::optional<std::uint64_t> varint();
  std::optional<std::int64_t> zigzag();
  std::optional<List> list_header();
  void skip_value(Wire type, bool element);
  void skip_flat(Wire type, bool element);
  void fail() { failed_ = true; }

  Reader in_;
  std::array<std::int32_t, k_depth> last_{};
  std::size_t depth_ = 0;
  bool failed_ = false;
};

} // namespace hubgate::parquet

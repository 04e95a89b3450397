#pragma once
// Flatbuffer: bounded access to a flatbuffer (https://flatbuffers.dev/internals/) inside a Source.
// Every offset is checked before it is followed; a wrong one makes the access fail and is kept in
// failure(). Each access costs one step of a budget, so tables that point at each other end; how
// deep a caller descends is the caller's to bound. One Flatbuffer, one thread.
#include "scanner/core/source.hpp"

#include <bit>
#include <concepts>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

enum class FlatFailure {
  none,
  bounds, ///< an offset or length leads outside of the buffer or of its table
  ended,  ///< the source ends before the buffer does
  limit,  ///< the steps are spent
};

/// A table, found and checked: fields are asked for by their index (id) in the schema.
struct FlatTable {
  std::uint64_t at = 0;     ///< of the table, relative to the buffer
  std::uint64_t vtable = 0; ///< of its vtable
  std::uint16_t slots = 0;  ///< fields that the vtable has room for
  std::uint16_t size = 0;   ///< bytes of the table
};

/// A vector whose elements lie inside the buffer.
struct FlatVector {
  std::uint64_t at = 0; ///< of the first element, relative to the buffer
  std::uint32_t count = 0;
  std::uint32_t each = 0; ///< bytes of an element
};

class Flatbuffer {
public:
  /// The buffer [begin, begin + size) of `source`, which must outlive this. `size` may be more than
  /// the source turns out to have.
  Flatbuffer(Source& source, std::uint64_t begin, std::uint64_t size,
             std::uint64_t steps = std::uint64_t{64} << 20)
      : source_(source), begin_(begin), size_(size), steps_(steps) {}

  FlatFailure failure() const { return failure_; }
  /// Where the first failure was, relative to the buffer.
  std::uint64_t failed_at() const { return failed_at_; }
  /// First byte behind the furthest one that was reached (vectors and strings with their content).
  std::uint64_t reached() const { return reached_; }

  /// The root table, whose offset stands at `at`.
  std::optional<FlatTable> root(std::uint64_t at = 0) { return indirect(at); }

  /// Whether field `id` is present.
  bool has(const FlatTable& table, std::uint16_t id) { return field(table, id, 1).has_value(); }

  /// A number field, `otherwise` when it is absent (or wrong: failure() tells).
  template <typename T> T number(const FlatTable& table, std::uint16_t id, T otherwise) {
    const auto at = field(table, id, sizeof(T));
    const auto value = at ? load<T>(*at) : std::nullopt;
    return value.value_or(otherwise);
  }
  /// Where field `id` lies: a struct of `bytes` bytes, or a number.
  std::optional<std::uint64_t> field(const FlatTable& table, std::uint16_t id, std::uint32_t bytes);

  /// A table field; nothing when absent or wrong.
  std::optional<FlatTable> table(const FlatTable& table, std::uint16_t id);
  /// A vector of elements of `each` bytes (4 for tables and strings).
  std::optional<FlatVector> vector(const FlatTable& table, std::uint16_t id, std::uint32_t each);
  /// A string's or byte vector's first `max` bytes.
  std::optional<std::string> string(const FlatTable& table, std::uint16_t id, std::size_t max);

  std::optional<FlatTable> table_at(const FlatVector& vector, std::uint32_t index);
  std::optional<std::string> string_at(const FlatVector& vector, std::uint32_t index,
                                       std::size_t max);
  template <typename T> std::optional<T> number_at(const FlatVector& vector, std::uint32_t index) {
    if (index >= vector.count || sizeof(T) > vector.each) return std::nullopt;
    return load<T>(vector.at + std::uint64_t{index} * vector.each);
  }

  /// Where `at` lies in the source.
  std::uint64_t offset(std::uint64_t at) const { return begin_ + at; }
  /// A little-endian number at `at`, checked.
  template <typename T> std::optional<T> load(std::uint64_t at) {
    const Bytes raw = bytes(at, sizeof(T));
    if (raw.size() < sizeof(T)) return std::nullopt;
    T value{};
    std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  /// Bytes of an element or vector, at most 64 KiB at a time.
  Bytes bytes(std::uint64_t at, std::size_t n);

private:
  static_assert(std::endian::native == std::endian::little);
  std::optional<FlatTable> indirect(std::uint64_t at);
  std::optional<FlatVector> vector_from(std::uint64_t at, std::uint32_t each);
  std::optional<std::string> string_from(std::uint64_t at, std::size_t max);
  bool step();
  std::nullopt_t fail(FlatFailure failure, std::uint64_t at);

  Source& source_;
  std::uint64_t begin_;
  std::uint64_t size_;
  std::uint64_t steps_;
  std::uint64_t reached_ = 0;
  FlatFailure failure_ = FlatFailure::none;
  std::uint64_t failed_at_ = 0;
  std::vector<std::uint8_t> window_;
  std::uint64_t window_at_ = 0;
};

} // namespace hubgate

#pragma once
// JsonReader: JSON of an untrusted header as a stream of events, read through windows of a Source.
// Memory is bounded by the options, never by the text; duplicate keys are seen whatever a loader
// would make of them; every event knows its offset. One reader, one pass, one thread.
// Grammar: RFC 8259. The Python dialect adds what json.loads accepts beyond it.
#include "scanner/core/source.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

enum class JsonEvent {
  object_begin,
  object_end,
  array_begin,
  array_end,
  key,
  string,
  number,
  boolean, ///< text() is "true" or "false"
  null,
  end,   ///< the top-level value is complete; position() is the first byte behind it
  error, ///< see error(); every further call returns `error` again
};

enum class JsonFailure {
  none,
  malformed, ///< not JSON
  truncated, ///< the text ends inside a value
  limit,     ///< a bound of JsonOptions was hit
};

struct JsonOptions {
  enum class Dialect { strict, python };
  /// python: NaN, Infinity, -Infinity, lone surrogates and a UTF-8 byte order mark are accepted.
  Dialect dialect = Dialect::strict;
  std::uint32_t depth = 64;
  /// Bytes of one decoded string, key or number.
  std::size_t text_bytes = std::size_t{32} << 20;
  /// Keys of one object and its open ancestors; each costs 16 bytes.
  std::size_t keys = std::size_t{4} << 20;
  /// Bytes that are read ahead. Short values in a row (JSON lines) want a small one.
  std::size_t window = std::size_t{64} << 10;
};

class JsonReader {
public:
  /// Reads the bytes [begin, end) of `source`, which must outlive the reader.
  JsonReader(Source& source, std::uint64_t begin, std::uint64_t end, JsonOptions options = {});

  /// The next event. Strings and keys are decoded into text().
  JsonEvent next();

  /// After a key: reads its value to the end, whatever it is. False on an error.
  bool skip_value();

  /// Decoded text of the last key, string, number or boolean. Valid until the next event.
  const std::string& text() const { return text_; }
  /// text() of a number as an unsigned integer: digits only, no sign, fraction or exponent.
  std::optional<std::uint64_t> as_u64() const;

  /// First byte of the last event in the source, and the first byte behind it.
  std::uint64_t offset() const { return token_; }
  std::uint64_t position() const { return at_; }
  /// Open objects and arrays.
  std::size_t depth() const { return frames_.size(); }

  /// How many keys appeared again in their object, and where the first of them is. Complete for
  /// every object whose object_end was returned.
  std::uint64_t duplicates() const { return duplicates_; }
  std::uint64_t first_duplicate() const { return first_duplicate_; }

  JsonFailure failure() const { return failure_; }
  /// What is wrong, for a person; position() is where.
  std::string_view error() const { return error_; }

private:
  struct Frame {
    bool object;
    std::size_t keys; ///< keys_.size() when the object was opened
  };
  struct Key {
    std::uint64_t hash;
    std::uint64_t offset;
  };
  enum class Expect { value, first_key, key, first_element, colon_done, separator, finished };

  int peek();
  void advance() { ++at_; }
  void skip_space();
  JsonEvent fail(JsonFailure failure, std::string_view message);
  JsonEvent value(int c);
  JsonEvent literal(std::string_view word, JsonEvent event);
  JsonEvent number();
  JsonEvent close(bool object);
  bool string();
  bool escape();
  bool unicode();
  bool multibyte(int first);
  bool append(std::string_view bytes);
  bool append_code_point(std::uint32_t point);
  std::optional<std::uint32_t> hex4();
  void after_value();
  void settle_keys(std::size_t from);

  Source& source_;
  std::uint64_t at_;
  std::uint64_t end_;
  JsonOptions options_;
  std::vector<std::uint8_t> window_;
  std::uint64_t window_begin_ = 0;
  std::uint64_t token_ = 0;
  std::string text_;
  std::vector<Frame> frames_;
  std::vector<Key> keys_;
  Expect expect_ = Expect::value;
  std::uint64_t duplicates_ = 0;
  std::uint64_t first_duplicate_ = 0;
  JsonFailure failure_ = JsonFailure::none;
  std::string_view error_;
};

} // namespace hubgate

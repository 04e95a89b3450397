#pragma once
// TextProtoReader: protobuf's text format
// (https://protobuf.dev/reference/protobuf/textformat-spec/) as a stream of events, read through
// windows of a Source, without a schema. Lists come as repeated fields; adjacent strings as one.
// Depth and the length of one text are bounded. One pass.
#include "scanner/core/source.hpp"

#include <optional>
#include <string>
#include <vector>

namespace hubgate {

enum class TextProtoEvent {
  scalar,        ///< name() and text(); quoted() tells a string from a number or a word
  message_begin, ///< name()
  message_end,
  end,   ///< the text is over
  error, ///< see failure(); every further call returns `error` again
};

enum class TextProtoFailure {
  none,
  malformed,
  truncated, ///< the text ends inside a message or a value
  limit,     ///< nested too deep, or a text too long
};

class TextProtoReader {
public:
  static constexpr std::size_t k_depth = 100; ///< where protobuf's own parser stops

  /// Reads [begin, end) of `source`, which must outlive the reader. `text_bytes` bounds one value.
  TextProtoReader(Source& source, std::uint64_t begin, std::uint64_t end,
                  std::size_t text_bytes = std::size_t{16} << 20);

  TextProtoEvent next();

  /// Field name of the last scalar or message: "node", or "[type.url/x]" of an extension.
  const std::string& name() const { return name_; }
  /// Unescaped content of a string, or the characters of a number, word or boolean.
  const std::string& text() const { return text_; }
  bool quoted() const { return quoted_; }
  /// First byte of the last event, and first byte not read.
  std::uint64_t offset() const { return token_; }
  std::uint64_t position() const { return at_; }
  std::size_t depth() const { return frames_.size(); }
  TextProtoFailure failure() const { return failure_; }

private:
  struct Frame {
    char close;
    bool in_list;     ///< stands in a list of messages
    std::string name; ///< of the message
  };

  int peek();
  void advance() { ++at_; }
  void skip_space();
  TextProtoEvent fail(TextProtoFailure failure);
  TextProtoEvent value(bool in_list);
  TextProtoEvent open(char c, bool in_list);
  bool field_name();
  bool string();
  bool escape();
  bool word();
  bool append(char c);

  Source& source_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::size_t text_bytes_;
  std::vector<std::uint8_t> window_;
  std::uint64_t window_begin_ = 0;
  std::uint64_t token_ = 0;
  std::string name_;
  std::string text_;
  bool quoted_ = false;
  bool list_ = false; ///< between '[' and ']' of the field name_
  std::vector<Frame> frames_;
  TextProtoFailure failure_ = TextProtoFailure::none;
};

} // namespace hubgate

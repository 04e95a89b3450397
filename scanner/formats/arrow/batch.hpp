#pragma once
// The body of a record batch: buffers one after the other (Message.fbs, RecordBatch). Those that
// hold values of bytes are unpacked and looked at value by value; numbers are not read.
#include "scanner/formats/arrow/schema.hpp"
#include "scanner/generic/values.hpp"

#include <memory>

namespace hubgate::arrow {

struct BatchRules {
  const Rule& structure;
  const Rule& bomb;
};

class BatchWalk {
public:
  BatchWalk(Source& source, Session& session, ValueJudge& judge, const BatchRules& rules)
      : source_(source), session_(session), judge_(judge), rules_(rules) {}

  /// Looks at the buffers of `batch` (a RecordBatch table), whose body is [begin, begin + length).
  /// False: something could not be read, and a gap says what.
  bool run(Flatbuffer& buffer, const FlatTable& batch, const std::vector<BufferSpec>& specs,
           const std::vector<std::string>& names, std::uint64_t begin, std::uint64_t length);

  /// Values of bytes between offsets of `width` bytes (4 or 8). False: the offsets are wrong.
  bool values(Source& offsets, std::uint64_t offsets_size, unsigned width, Source& data,
              std::string_view name, std::uint64_t at);

private:
  struct Part { ///< a buffer, unpacked when it is read
    std::unique_ptr<Source> source;
    std::uint64_t size = 0; ///< unpacked
    std::uint64_t at = 0;   ///< in the stream
  };
  bool extents(Flatbuffer& buffer, const FlatTable& batch, std::uint64_t length);
  std::optional<Part> part(std::size_t index);
  bool one(const std::vector<BufferSpec>& specs, std::size_t spec, std::size_t& next,
           const std::string& name, std::uint64_t variadic);
  bool fixed(Part& data, std::uint32_t width, std::string_view name);
  bool views(Part& entries, std::size_t first, std::uint64_t count, std::string_view name);
  bool refuse(const Rule& rule, std::uint64_t at, std::string_view evidence);
  bool faults(Part& part);

  Source& source_;
  Session& session_;
  ValueJudge& judge_;
  const BatchRules& rules_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> buffers_; ///< offset in the stream, length
  std::int8_t codec_ = -1;
};

} // namespace hubgate::arrow

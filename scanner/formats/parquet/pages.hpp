#pragma once
// The pages of one column chunk: headers are walked; of columns of bytes the values are unpacked
// and looked at one by one, whatever they are encoded as. Pages of numbers are not unpacked.
#include "scanner/core/session.hpp"
#include "scanner/formats/parquet/footer.hpp"
#include "scanner/generic/values.hpp"

namespace hubgate::parquet {

struct PageRules {
  const Rule& offset; ///< a page outside of its chunk
  const Rule& size;   ///< sizes that contradict the content
  const Rule& bomb;
};

class ChunkWalk {
public:
  ChunkWalk(Source& source, Session& session, ValueJudge& judge, const PageRules& rules,
            const Column& column, const Chunk& chunk)
      : source_(source), session_(session), judge_(judge), rules_(rules), column_(column),
        chunk_(chunk), name_("column " + column.path) {}

  /// Walks the pages in [begin, end) of the file. False: something could not be read, and a gap
  /// says what.
  bool run(std::uint64_t begin, std::uint64_t end);

private:
  bool page(const PageHeader& header, std::uint64_t body, std::uint64_t end);
  bool sizes_hold(const PageHeader& header, std::uint64_t body);
  bool values(const PageHeader& header, Source& page, std::uint64_t size, std::uint64_t at);
  bool plain(Source& page, std::uint64_t at, std::uint64_t end);
  bool fixed(Source& page, std::uint64_t at, std::uint64_t end);
  bool split(Source& page, std::uint64_t at, std::uint64_t end);
  bool delta_lengths(Source& page, std::uint64_t at, std::uint64_t end, std::uint64_t values,
                     const std::vector<std::uint64_t>* prefixes);
  bool delta_prefixed(Source& page, std::uint64_t at, std::uint64_t end, std::uint64_t values);
  std::optional<std::uint64_t> skip_levels(const PageHeader& header, Source& page,
                                           std::uint64_t size);
  bool fail(Reason reason, std::uint64_t offset, std::string_view detail);

  Source& source_;
  Session& session_;
  ValueJudge& judge_;
  const PageRules& rules_;
  const Column& column_;
  const Chunk& chunk_;
  std::string name_;
  std::uint64_t page_at_ = 0; ///< of the header of the current page, for offsets
  std::uint64_t seen_values_ = 0;
  std::uint64_t longest_in_dictionary_ = 0;
  bool in_dictionary_ = false;
};

} // namespace hubgate::parquet

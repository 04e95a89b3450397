// Shards of streaming datasets: MosaicML's MDS and LitData's chunks. A count, the offsets of the
// samples, in MDS the columns as JSON, and the samples. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json_path.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::uint64_t k_max_samples = std::uint64_t{1} << 26;
constexpr std::uint64_t k_max_columns = 4096;

struct Columns {
  std::vector<std::string> names;
  std::vector<std::string> encodings;
  std::vector<std::uint64_t> sizes; ///< 0 = told in each sample
};

// MDS: between the offsets and the first sample stands a JSON object.
Columns read_columns(Source& source, std::uint64_t begin, std::uint64_t end) {
  Columns out;
  JsonPaths paths(source, begin, end);
  for (;;) {
    const JsonEvent event = paths.next();
    if (event == JsonEvent::end || event == JsonEvent::error) break;
    if (out.sizes.size() > k_max_columns || out.names.size() > k_max_columns) break;
    if (paths.path() == "column_sizes[]" && event == JsonEvent::null) out.sizes.push_back(0);
    if (paths.path() == "column_sizes[]" && event == JsonEvent::number)
      out.sizes.push_back(paths.json().as_u64().value_or(0));
    if (paths.path() == "column_names[]" && event == JsonEvent::string)
      out.names.push_back(paths.json().text());
    if (paths.path() == "column_encodings[]" && event == JsonEvent::string)
      out.encodings.push_back(paths.json().text());
  }
  return out;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session), judge_(session) {}
  Reading run();

private:
  void sample(std::uint64_t begin, std::uint64_t end);

  Source& source_;
  Session& session_;
  ValueJudge judge_;
  Columns columns_;
};

// The sizes of the columns that vary (LitData: of all), then the values one behind the other.
void Scan::sample(std::uint64_t begin, std::uint64_t end) {
  judge_.look(source_, begin, end - begin, "sample", begin);
  std::vector<std::uint64_t> sizes = columns_.sizes;
  const bool counted = !sizes.empty();
  const std::uint64_t varying =
      static_cast<std::uint64_t>(std::count(sizes.begin(), sizes.end(), std::uint64_t{0}));
  const std::uint64_t length = end - begin;
  const Bytes head = source_.view(
      begin, static_cast<std::size_t>(std::min<std::uint64_t>(length, 4 * k_max_columns)));
  Reader reader(head);
  std::uint64_t at = begin;
  if (counted) {
    for (auto& size: sizes)
      if (size == 0) size = reader.le<std::uint32_t>().value_or(0);
    at += 4 * varying;
  } else {
    // How many there are, only their sum tells.
    std::uint64_t sum = 0;
    while (sum + 4 * sizes.size() < length) {
      const auto size = reader.le<std::uint32_t>();
      if (!size) return;
      sizes.push_back(*size);
      sum += *size;
    }
    if (sum + 4 * sizes.size() != length) return;
    at += 4 * sizes.size();
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (at > end || sizes[i] > end - at) return;
    const std::string_view name =
        i < columns_.names.size() ? std::string_view(columns_.names[i]) : "value";
    judge_.look(source_, at, sizes[i], name, at);
    at += sizes[i];
  }
}

Reading Scan::run() {
  const std::uint64_t size = source_.wait_end();
  Cursor cursor(source_, 0, size);
  const auto count = cursor.le<std::uint32_t>();
  if (!count || *count == 0 || *count > k_max_samples || (*count + 2) * std::uint64_t{4} > size)
    return Reading::none;
  std::vector<std::uint32_t> offsets;
  const std::uint64_t header = (*count + std::uint64_t{2}) * 4;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i <= *count; ++i) {
    const auto offset = cursor.le<std::uint32_t>();
    if (!offset || *offset < std::max<std::uint64_t>(header, last) || *offset > size)
      return Reading::none;
    last = *offset;
    offsets.push_back(*offset);
  }
  if (last != size) return Reading::none;
  if (offsets[0] > header) {
    columns_ = read_columns(source_, header, offsets[0]);
    if (columns_.encodings.empty() || columns_.sizes.size() != columns_.encodings.size())
      return Reading::none;
  }
  for (std::uint32_t i = 0; i < *count; ++i) {
    sample(offsets[i], offsets[i + 1]);
    if (i % 1024 == 1023 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, offsets[i], "out of time");
      return Reading::broken;
    }
  }
  return Reading::valid;
}

// The first offset is where the offsets end (LitData) or where the columns do (MDS).
Claim probe(const Probe& probe) {
  Reader reader(probe.head);
  const auto count = reader.le<std::uint32_t>();
  const auto first = reader.le<std::uint32_t>();
  if (!count || !first || *count == 0 || *count > k_max_samples) return Claim::no;
  const std::uint64_t header = (*count + std::uint64_t{2}) * 4;
  const bool litdata = *first == header;
  const bool mds = *first > header && *first - header < (1 << 20) &&
                   (header >= probe.head.size() || probe.head[header] == '{');
  if (!litdata && !mds) return Claim::no;
  return probe.size_known && (header > probe.size || *first > probe.size) ? Claim::no
                                                                          : Claim::maybe;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_sample_shard;
const Format format_sample_shard{"sample_shard", "sample_shard", probe, scan, {}};

} // namespace hubgate

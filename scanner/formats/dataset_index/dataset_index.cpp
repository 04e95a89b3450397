// index.json of streaming datasets: MosaicML's MDS and LitData. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json_path.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/tensorflow/paths.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::array<Rule, 2> k_rules{{
    {"dataset-pickle-encoding", "pickle", Severity::suspicious, Reach::load, "CWE-502",
     "AML.T0010.002", "DAT-015", "the reader of the dataset unpickles the values of a column"},
    {"dataset-shard-path", "traversal", Severity::malicious, Reach::load, "CWE-22", "AML.T0010.003",
     "DAT-015", "a shard of the dataset lies outside of its folder"},
}};
const Rule& k_pickle = k_rules[0];
const Rule& k_path = k_rules[1];

struct Shard {
  std::string file;
  std::uint64_t offset;
};

Reading scan(Source& source, Session& session) {
  JsonPaths paths(source, 0, ~std::uint64_t{0}, {.dialect = JsonOptions::Dialect::python});
  bool encodings = false;
  bool chunks = false;
  std::vector<Shard> shards;
  std::vector<Shard> pickled;
  for (;;) {
    const JsonEvent event = paths.next();
    if (event == JsonEvent::end || event == JsonEvent::error) break;
    if (event != JsonEvent::string) continue;
    const std::string& path = paths.path();
    const Shard value{paths.json().text(), paths.json().offset()};
    if (path == "shards[].column_encodings[]") {
      encodings = true;
      if (value.file == "pkl") pickled.push_back(value);
    } else if (path == "config.data_format[]") {
      if (value.file.starts_with("pickle")) pickled.push_back(value);
    } else if (path == "shards[].raw_data.basename") {
      shards.push_back(value);
    } else if (path == "shards[].zip_data.basename") {
      // The packed file stands instead of the raw one.
      if (!shards.empty() && value.file.starts_with(shards.back().file)) shards.pop_back();
      shards.push_back(value);
    } else if (path == "chunks[].filename") {
      chunks = true;
      shards.push_back(value);
    }
  }
  if (!encodings && !chunks) return Reading::none;
  for (const auto& shard: shards) {
    if (tensorflow::kind_of(shard.file) == tensorflow::PathKind::relative)
      session.refer("file", shard.offset, shard.file);
    else
      session.find(k_path, shard.offset, shard.file.size(), shard.file);
  }
  if (!pickled.empty())
    session.find(k_pickle, pickled[0].offset, pickled[0].file.size(),
                 std::to_string(pickled.size()) + " columns are encoded as " + pickled[0].file);
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  const auto first = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first == std::string_view::npos || head[first] != '{') return Claim::no;
  // The lists stand at the top; version and config are short.
  return holds(head, "\"shards\"") || holds(head, "\"chunks\"") ? Claim::maybe : Claim::no;
}

} // namespace

extern const Format format_dataset_index;
const Format format_dataset_index{"dataset_index", "json", probe, scan, k_rules};

} // namespace hubgate

// Manifests and nodes of OCDBT stores, and the data files that begin with a node. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/formats/ocdbt/pieces.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 3> k_rules{{
    {"ocdbt-path", "traversal", Severity::malicious, Reach::load, "CWE-22", k_atlas, "RTF-012",
     "the store names a data file outside of its own folder, which whoever opens it reads"},
    {"ocdbt-structure", "structure", Severity::suspicious, Reach::load, "CWE-130", k_atlas,
     "RTF-012", "a record of the store has counts, lengths or kinds that can't be true"},
    {"ocdbt-checksum", "structure", Severity::suspicious, Reach::load, "CWE-354", k_atlas,
     "RTF-012", "a record of the store does not match its checksum"},
}};

Claim probe(const Probe& probe) {
  return ocdbt::kind_of(probe.head) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  const auto kind = ocdbt::kind_of(source.view(0, 4));
  const auto end = ocdbt::record_end(source, 0);
  if (!kind) return Reading::none;
  if (!end || *end > size) {
    session.gap(Reason::truncated, Reach::load, size, "the bytes end inside a record of the store");
    return Reading::broken;
  }
  if (!ocdbt::checksum_holds(source, 0, *end)) {
    session.find(k_rules[2], 0, *end, "the record at 0");
    session.gap(Reason::malformed, Reach::load, 0, "a record of the store can't be trusted");
    ocdbt::Described described; // what it says is judged, and accounts for nothing
    ocdbt::read_record(source, session, *kind, 0, *end, described);
    session.ends_at(*end);
    return Reading::broken;
  }
  const ocdbt::Pieces pieces = ocdbt::find_pieces(source, session, size);
  session.ends_at(pieces.end);
  return ocdbt::scan_pieces(source, session, pieces, 0) ? Reading::valid : Reading::broken;
}

} // namespace

namespace ocdbt {
const Rule& k_rule_path = k_rules[0];
const Rule& k_rule_structure = k_rules[1];
const Rule& k_rule_checksum = k_rules[2];
} // namespace ocdbt

extern const Format format_ocdbt;
const Format format_ocdbt{"ocdbt", "ocdbt", probe, scan, k_rules};

} // namespace hubgate

// Files that begin with the chunks of an array: data files of OCDBT stores and shards of zarr 3. To
// the base format they are zstd with something behind it. See README.md.
#include "scanner/codecs/compressed.hpp"
#include "scanner/core/format.hpp"
#include "scanner/formats/ocdbt/pieces.hpp"

namespace hubgate {
namespace {

// Once all of it is there: zstd need not wait for this.
Claim probe(const Probe& probe) {
  return !probe.tail.empty() && starts_with(probe.head, "\x28\xb5\x2f\xfd") ? Claim::maybe
                                                                            : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  const ocdbt::Pieces pieces = ocdbt::find_pieces(source, session, size);
  if (pieces.end != size || !pieces.told_apart) return Reading::none;
  // The frames that the object begins with are scanned by the base format.
  session.raw_member(k_content);
  return ocdbt::scan_pieces(source, session, pieces, 1) ? Reading::valid : Reading::broken;
}

} // namespace

extern const Format format_ocdbt_data;
const Format format_ocdbt_data{.name = "ocdbt_data",
                               .family = "zstd",
                               .probe = probe,
                               .scan = scan,
                               .rules = {},
                               .data_version = "1"};

} // namespace hubgate

#pragma once
// The records of an OCDBT store (tensorstore/kvstore/ocdbt/index.rst): manifests, nodes of its B+
// tree, nodes of its tree of versions. Orbax keeps the arrays of a checkpoint in such a store.
#include "scanner/core/extents.hpp"
#include "scanner/core/session.hpp"

#include <map>
#include <optional>
#include <string>

namespace hubgate::ocdbt {

enum class Kind { manifest, tree, versions };

/// What kind of record begins with these four bytes.
std::optional<Kind> kind_of(Bytes head);

/// Where the record at `begin` ends by its own length; nothing when it is too short for a record.
/// May lie behind the end of the source.
std::optional<std::uint64_t> record_end(Source& source, std::uint64_t begin);

/// Whether the last four bytes are the CRC-32C of the others.
bool checksum_holds(Source& source, std::uint64_t begin, std::uint64_t end);

/// Which bytes of which files the records of one object name, for the tree verdict.
class Described {
public:
  void add(const std::string& path, std::uint64_t offset, std::uint64_t length);
  /// Refers to the files that are named from their first byte to their last.
  void tell(Session& session);

private:
  std::map<std::string, Extents> files_;
};

/// Reads the record of kind `kind` at [begin, end), which has a good checksum or has been told:
/// values in it are scanned as members, files that it names are judged and noted. False when it
/// can't be read to its end, after a gap.
bool read_record(Source& source, Session& session, Kind kind, std::uint64_t begin,
                 std::uint64_t end, Described& described);

/// A rule for records that are not what they say (ocdbt.cpp).
extern const Rule& k_rule_structure;
extern const Rule& k_rule_checksum;
extern const Rule& k_rule_path;

} // namespace hubgate::ocdbt

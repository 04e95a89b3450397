#include "scanner/core/reader.hpp"
#include "scanner/formats/git_object/tree.hpp"
#include "scanner/formats/zip/zip_scan.hpp"

#include <array>

namespace hubgate {

extern const Format format_zip;

namespace {

constexpr std::array<Rule, 15> k_rules{{
    {"zip-header-mismatch", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-001",
     "the directory and the local header of a member say different things, so a scanner "
     "and a loader may read different bytes"},
    {"zip-flag-tampering", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-002",
     "a member is marked as encrypted or patched so that scanners refuse it, while "
     "loaders that ignore the mark read it"},
    {"zip-bad-crc", "structure", Severity::suspicious, Reach::load, "CWE-354", "AML.T0076",
     "ARC-003", "a member's checksum is wrong: some readers refuse it and others use it"},
    {"zip-multiple-ends", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-005", "the archive has more than one end record, and readers differ in which they take"},
    {"zip-directory-mismatch", "structure", Severity::malicious, Reach::load, "CWE-436",
     "AML.T0076", "ARC-005 ARC-008",
     "the end record and the directory disagree, so readers see different members"},
    {"zip-zip64-mismatch", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-006", "the zip64 values and the 32-bit values disagree"},
    {"zip-prefix", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-007 POL-002", "bytes stand before the archive: it is a program or another file as well"},
    {"zip-unlisted-member", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-008",
     "a member is in the archive and not in its directory: streaming readers unpack it, "
     "others don't see it"},
    {"zip-gap", "structure", Severity::suspicious, Reach::data, "CWE-436", "AML.T0076", "ARC-008",
     "bytes between the members belong to none of them"},
    {"zip-overlap", "bomb", Severity::malicious, Reach::load, "CWE-409", "AML.T0029", "ARC-009",
     "members share their bytes: one of the ways to make a bomb, or to hide a member in another"},
    {"zip-unicode-name", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-010", "a member has a second name that readers of the unicode field see"},
    {"zip-descriptor-mismatch", "structure", Severity::suspicious, Reach::load, "CWE-436",
     "AML.T0076", "ARC-025", "the record behind a streamed member does not fit its data"},
    {"zip-slack", "structure", Severity::suspicious, Reach::data, "CWE-436", "AML.T0076",
     "ARC-008 ARC-026", "a member has bytes behind the end of its compressed data"},
    {"zip-size-mismatch", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-025 ARC-026", "a member is longer or shorter than its header says"},
    {"zip-no-local-header", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "ARC-001", "the directory names a member that is not where it says"},
}};

Claim probe(const Probe& probe) {
  if (zip::begins_like_zip(probe.head)) return Claim::yes;
  // What a loose object of Git unpacks to: the archive behind its few words is scanned as it is.
  const auto object = git::read_prefix(probe.head);
  if (object && probe.size_known && probe.size == object->length + object->size) return Claim::no;
  return zip::ends_like_zip(probe) ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  if (zip::begins_like_zip(source.view(0, 8))) return zip::ZipScan(source, session).run(0);
  const auto directory = zip::read_directory(source, session.budget());
  if (!directory || directory->members.empty()) return Reading::none;
  std::uint64_t start = directory->place.begin;
  for (const auto& member: directory->members)
    start = std::min(start, member.central.local_offset + directory->place.base);
  return zip::ZipScan(source, session).run(start);
}

} // namespace

namespace zip::rules {
const Rule& header_mismatch = k_rules[0];
const Rule& flag_tampering = k_rules[1];
const Rule& bad_crc = k_rules[2];
const Rule& multiple_ends = k_rules[3];
const Rule& directory_mismatch = k_rules[4];
const Rule& zip64_mismatch = k_rules[5];
const Rule& prefix = k_rules[6];
const Rule& unlisted_member = k_rules[7];
const Rule& gap = k_rules[8];
const Rule& overlap = k_rules[9];
const Rule& unicode_name = k_rules[10];
const Rule& descriptor = k_rules[11];
const Rule& slack = k_rules[12];
const Rule& size_mismatch = k_rules[13];
const Rule& no_local_header = k_rules[14];
} // namespace zip::rules

const Format format_zip{
    .name = "zip", .family = "zip", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate

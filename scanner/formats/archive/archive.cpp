// Containers that hubgate knows by sight and does not read: they are named, and what is in them is
// a gap. Their readers exist (datasets extracts RAR; 7-Zip nearly all of them), so a loader or a
// person would unpack what was not seen.
#include "scanner/core/session.hpp"
#include "scanner/formats/archive/members.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace hubgate {

extern const Format format_archive;

namespace {

constexpr std::array<Rule, 13> k_rules{{
    {"archive-traversal", "traversal", Severity::malicious, Reach::load, "CWE-22", "AML.T0010.003",
     "ARC-011", "a member's name leads out of the folder that it is unpacked into"},
    {"archive-name-trick", "deceptive-name", Severity::suspicious, Reach::data, "CWE-451",
     "AML.T0010.003", "ARC-011",
     "a member's name reads differently on different systems or to a person"},
    {"archive-name-too-long", "structure", Severity::suspicious, Reach::data, "CWE-400",
     "AML.T0076", "ARC-027", "a member's name is longer than any file system allows"},
    {"archive-duplicate-name", "structure", Severity::malicious, Reach::load, "CWE-436",
     "AML.T0076", "ARC-004 PTH-004",
     "two members have one name, and readers differ in which of them they take"},
    {"archive-case-collision", "structure", Severity::suspicious, Reach::load, "CWE-178",
     "AML.T0076", "ARC-011 PTH-003",
     "two members' names differ in case only: readers that ignore case take either"},
    {"archive-link", "link", Severity::suspicious, Reach::data, "CWE-59", "AML.T0010.003",
     "ARC-012", "a member is a link to another member"},
    {"archive-link-escape", "traversal", Severity::malicious, Reach::load, "CWE-59",
     "AML.T0010.003", "ARC-012", "a member is a link to something outside of the archive"},
    {"archive-link-through", "traversal", Severity::malicious, Reach::load, "CWE-59",
     "AML.T0010.003", "ARC-012", "a member is unpacked through a link that the archive brings"},
    {"archive-device", "link", Severity::malicious, Reach::load, "CWE-59", "AML.T0010.003",
     "ARC-012", "a member is a device, a pipe or a socket"},
    {"archive-encrypted", "encrypted", Severity::suspicious, Reach::load, "CWE-311", "AML.T0076",
     "ARC-014 ARC-017", "a member can only be read with a password, so nobody could check it"},
    {"archive-exotic-method", "unsupported", Severity::suspicious, Reach::load, "CWE-436",
     "AML.T0076", "ARC-013 ARC-017",
     "a member is packed by a method that hubgate does not read and other programs may"},
    {"archive-directory-data", "structure", Severity::suspicious, Reach::data, "CWE-436",
     "AML.T0076", "ARC-026", "a folder or an empty member carries bytes"},
    {"archive-unsupported", "unsupported", Severity::suspicious, Reach::load, "CWE-693",
     "AML.T0076", "ARC-018 ARC-023", "a container that hubgate does not read"},
}};

struct Kind {
  std::string_view name;
  std::uint64_t offset;
  std::string_view magic;
};

using namespace std::string_view_literals;

constexpr std::array<Kind, 16> k_kinds{{
    {"RAR", 0, "Rar!\x1a\x07"},
    {"RAR 1.4", 0, "RE~^"},
    {"Microsoft cabinet", 0, "MSCF\0\0\0\0"sv},
    {"LHA", 2, "-lh"},
    {"LArc", 2, "-lz"},
    {"ISO 9660", 0x8001, "CD001"},
    {"XAR", 0, "xar!"},
    {"ACE", 7, "**ACE**"},
    {"ar", 0, "!<arch>\n"},
    {"lzip", 0, "LZIP\x01"},
    {"lzop", 0, "\x89LZO\0\r\n\x1a\n"sv},
    {"snappy frames", 0, "\xff\x06\0\0sNaPpY"sv},
    {"squashfs", 0, "hsqs"},
    {"WIM", 0, "MSWIM\0\0\0"sv},
    {"zpaq", 0, "7kSt\xa0\x31\x83\xd3"},
    {"DMG", 0, "encrcdsa"},
}};

// ARJ has two bytes of magic; the size of its basic header and the offset of the first entry make
// it certain enough (technical note of ARJ 3).
bool is_arj(Bytes head) {
  if (head.size() < 12 || head[0] != 0x60 || head[1] != 0xea) return false;
  const unsigned basic = head[2] | unsigned{head[3]} << 8;
  return basic >= 30 && basic <= 2600 && head[4] >= 30 && head[4] <= 60 && head[10] == 2;
}

// cpio headers are text: six digits of magic and then only digits (cpio(5)).
bool is_cpio(Bytes head) {
  const bool octal = starts_with(head, "070707");
  const std::size_t size = octal ? 76 : 110;
  if (head.size() < size) return false;
  if (!octal && !starts_with(head, "070701") && !starts_with(head, "070702")) return false;
  return std::all_of(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(size),
                     [](std::uint8_t c) { return std::isxdigit(c) != 0; });
}

// compress(1): two bytes of magic are too few, since half-precision weights begin with them. The
// first codes have nine bits, and each names a string that exists by then.
bool is_compress(Bytes head) {
  if (!starts_with(head, "\x1f\x9d") || head.size() < 8) return false;
  if ((head[2] & 0x60) != 0 || (head[2] & 31) < 9 || (head[2] & 31) > 16) return false;
  const unsigned first = (head[2] & 0x80) != 0 ? 257 : 256;
  for (unsigned i = 0; i < 250; ++i) {
    const std::size_t byte = 3 + i * 9 / 8;
    if (byte + 1 >= head.size()) break;
    const unsigned code = (head[byte] | head[byte + 1] << 8) >> (i * 9 % 8) & 0x1ff;
    if (i == 0 ? code > 255 : code >= first + i) return false;
  }
  return true;
}

const Kind* kind_of(Bytes bytes) {
  for (const Kind& kind: k_kinds) {
    if (bytes.size() < kind.offset + kind.magic.size()) continue;
    if (starts_with(bytes.subspan(static_cast<std::size_t>(kind.offset)), kind.magic)) return &kind;
  }
  static constexpr Kind k_arj{"ARJ", 0, ""};
  static constexpr Kind k_cpio{"cpio", 0, ""};
  static constexpr Kind k_compress{"compress", 0, ""};
  if (is_arj(bytes)) return &k_arj;
  if (is_cpio(bytes)) return &k_cpio;
  return is_compress(bytes) ? &k_compress : nullptr;
}

Claim probe(const Probe& probe) {
  if (kind_of(probe.head) != nullptr) return Claim::yes;
  // The descriptor of an ISO image lies behind the head; 16 blank sectors come before it. An
  // image's system area may hold a boot record, so its content says nothing.
  return probe.head.size() == Probe::k_head && (!probe.size_known || probe.size > 0x8006)
             ? Claim::maybe
             : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const Kind* kind = kind_of(source.view(0, 0x8006));
  // LHA's five characters are "-lh?-": the last one keeps text out.
  if (kind != nullptr && kind->offset == 2 && !starts_with(source.view(6, 1), "-")) kind = nullptr;
  if (kind == nullptr) return Reading::none;
  const std::string what = std::string(kind->name) + " is not read";
  session.find(k_rules[12], kind->offset, kind->magic.size(), what);
  session.gap(Reason::unsupported, Reach::load, 0, what);
  return Reading::broken;
}

} // namespace

namespace archive_rules {
const Rule& traversal = k_rules[0];
const Rule& name_trick = k_rules[1];
const Rule& name_too_long = k_rules[2];
const Rule& duplicate_name = k_rules[3];
const Rule& case_collision = k_rules[4];
const Rule& link = k_rules[5];
const Rule& link_escape = k_rules[6];
const Rule& link_through = k_rules[7];
const Rule& device = k_rules[8];
const Rule& encrypted = k_rules[9];
const Rule& exotic_method = k_rules[10];
const Rule& directory_data = k_rules[11];
} // namespace archive_rules

const Format format_archive{
    .name = "archive", .family = "archive", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate

// .npz: a zip of .npy members (numpy/lib/npyio.py). The zip format scans the members; here their
// names are held against their content. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/numpy/npy.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::array<Rule, 2> k_rules{{
    {"npz-member-content", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "JNP-010", "a member is called .npy and is something else"},
    {"npz-foreign-member", "structure", Severity::informational, Reach::data, "CWE-436",
     "AML.T0076", "JNP-010", "a member that numpy hands out as bytes"},
}};

const Rule& k_content = k_rules[0];
const Rule& k_foreign = k_rules[1];

Claim probe(const Probe& probe) {
  if (probe.tail.empty() || !starts_with(probe.head, zip::k_local_magic)) return Claim::no;
  const auto names = [](Bytes bytes) { return holds(as_text(bytes), ".npy"); };
  return names(probe.head) || names(probe.tail) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const auto directory = zip::read_directory(source, session.budget());
  if (!directory || directory->members.empty()) return Reading::none;
  std::size_t arrays = 0;
  for (const zip::Member& member: directory->members)
    arrays += member.central.name.ends_with(".npy") ? 1 : 0;
  // A folder of arrays with its papers is a zip; numpy writes nothing but arrays at the root.
  if (arrays == 0 || arrays * 2 < directory->members.size()) return Reading::none;
  for (const zip::Member& member: directory->members) {
    const std::string& name = member.central.name;
    if (!name.ends_with(".npy")) {
      if (!member.central.is_directory())
        session.find(k_foreign, member.central.local_offset, member.central.size, name);
      continue;
    }
    if (!member.data_begin || !zip::is_supported(member.central.method)) continue;
    const auto content = member.open(source, session.budget());
    // numpy looks at the magic only, and returns anything else as it is.
    if (numpy::read_header(*content, 0).state == numpy::Header::State::none)
      session.find(k_content, member.central.local_offset, member.central.size, name);
  }
  session.ends_at(directory->end.end);
  return Reading::valid;
}

} // namespace

extern const Format format_npz;
const Format format_npz{"npz", "zip", probe, scan, k_rules};

} // namespace hubgate

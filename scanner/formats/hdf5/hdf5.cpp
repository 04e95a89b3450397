// HDF5: groups, datasets and attributes at addresses all over the file. See README.md.
#include "scanner/formats/hdf5/walk.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <algorithm>

namespace hubgate {
namespace {

using hdf5::Superblock;

// The superblock stands at 0, 512, 1024, 2048 and so on.
constexpr std::uint64_t k_first_block = 512;

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  if (head.starts_with(hdf5::k_signature)) return Claim::yes;
  for (std::uint64_t at = k_first_block; at < head.size(); at *= 2)
    if (head.substr(at).starts_with(hdf5::k_signature)) return Claim::yes;
  return Claim::no;
}

// The weights in a `.keras` archive are stored, not compressed, and now and then begin at one of
// the offsets where a user block may end. What the archive's directory lists as a whole member is
// scanned as that member: the same addresses from the same beginning, so no second reading.
bool is_zip_member(Source& source, Session& session, const Superblock& superblock) {
  if (!zip::begins_like_zip(source.view(0, 8))) return false;
  const auto directory = zip::read_directory(source, session.budget());
  if (!directory) return false;
  return std::any_of(
      directory->members.begin(), directory->members.end(), [&](const zip::Member& member) {
        return member.data_begin == superblock.begin && member.central.method == zip::k_stored &&
               (member.central.flags & zip::k_flag_encrypted) == 0 &&
               superblock.end <= member.central.compressed;
      });
}

Reading scan(Source& source, Session& session) {
  // Addresses lead everywhere, and readers open what is cut: nothing is settled before the end.
  const std::uint64_t size = source.wait_end();
  std::uint64_t at = 0;
  bool signature = false;
  std::optional<Superblock> superblock;
  for (; at < size && at <= Probe::k_head && !superblock; at = at == 0 ? k_first_block : at * 2) {
    superblock = hdf5::read_superblock(source, at);
    signature = signature || starts_with(source.view(at, 8), hdf5::k_signature);
  }
  if (!superblock) {
    if (!signature) return Reading::none;
    session.gap(size < 96 ? Reason::truncated : Reason::unsupported, Reach::load, 0,
                "a superblock that can't be read");
    return Reading::broken;
  }
  if (superblock->begin != 0 && is_zip_member(source, session, *superblock)) return Reading::none;
  hdf5::Walk walk(source, session, *superblock, size);
  bool good = walk.run();
  const std::uint64_t room = size - superblock->begin;
  // With a user block some writers count the end from the file's beginning.
  std::uint64_t end = superblock->end;
  if (end > room && end == size) end = room;
  if (end > room) {
    session.gap(Reason::truncated, Reach::load, size, "the superblock says that there is more");
    good = false;
  } else {
    session.ends_at(superblock->begin + end);
  }
  return good ? Reading::valid : Reading::broken;
}

} // namespace

extern const Format format_hdf5;
const Format format_hdf5{.name = "hdf5",
                         .family = "hdf5",
                         .probe = probe,
                         .scan = scan,
                         .rules = hdf5::k_rules,
                         .data_version = "1"};

} // namespace hubgate

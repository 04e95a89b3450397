// What the end records and directories say, against what the walk saw.
#include "scanner/formats/zip/zip_scan.hpp"

#include <algorithm>

namespace hubgate::zip {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

std::string at(std::uint64_t offset) {
  return " at " + std::to_string(offset);
}

// How one reader would get on with a list of differences.
class Differences {
public:
  template <typename T> void check(std::string_view field, const T& central, const T& local) {
    if (central == local) return;
    text_ += text_.empty() ? "" : "; ";
    text_ += std::string(field) + " " + show(central) + " in the directory, " + show(local) +
             " in the local header";
  }
  const std::string& text() const { return text_; }

private:
  static std::string show(const std::string& value) { return '\'' + value + '\''; }
  static std::string show(std::uint64_t value) { return std::to_string(value); }

  std::string text_;
};

} // namespace

Walked* ZipScan::walked_at(std::uint64_t offset) {
  const auto found = std::lower_bound(
      walked_.begin(), walked_.end(), offset,
      [](const Walked& member, std::uint64_t wanted) { return member.local.offset < wanted; });
  return found != walked_.end() && found->local.offset == offset ? &*found : nullptr;
}

const Walked* ZipScan::data_around(std::uint64_t offset) const {
  const auto after = std::upper_bound(
      walked_.begin(), walked_.end(), offset,
      [](std::uint64_t wanted, const Walked& member) { return wanted < member.local.offset; });
  if (after == walked_.begin()) return nullptr;
  const Walked& member = *std::prev(after);
  const bool inside = offset >= member.local.end && offset < member.outcome.stored_end;
  return inside && !member.outcome.unbounded ? &member : nullptr;
}

void ZipScan::judge_end(std::uint64_t offset) {
  const auto end = read_end(source_, offset);
  if (!end) return;
  if (const Walked* inside = data_around(offset)) {
    judge_inner_end(*end, *inside);
    return;
  }
  const auto places = directory_places(source_, *end);
  if (places.empty()) {
    ++lone_ends_;
    return;
  }
  ++outer_ends_;
  archive_end_ = std::max(archive_end_, end->end);
  if (outer_ends_ > 1)
    session_.find(rules::multiple_ends, offset, 22,
                  "another end record" + at(offset) + " with a directory" + at(places[0].begin));
  judge_stated(*end, places.front());
  for (const DirectoryPlace& place: places) {
    if (&place != &places.front() && place.begin != places.front().begin)
      session_.find(rules::directory_mismatch, offset, 22,
                    "readers find one directory" + at(places[0].begin) + " and another" +
                        at(place.begin));
    judge_directory(*end, place);
  }
  if (end->comment_size > 0)
    scan_side("comment", offset + 22,
              std::min<std::uint64_t>(end->comment_size, source_.wait_end() - offset - 22));
}

// What the record says of itself.
void ZipScan::judge_stated(const EndRecord& end, const DirectoryPlace& place) {
  constexpr std::uint16_t k_unknown16 = 0xffff;
  const auto is_first = [&](std::uint16_t disk) { return disk == 0 || disk == k_unknown16; };
  if (!is_first(end.disk) || !is_first(end.directory_disk) || end.here != end.total)
    session_.find(rules::directory_mismatch, end.offset, 22,
                  "the end record tells of several disks");
  if (end.locator_without_record)
    session_.find(rules::zip64_mismatch, end.offset - 20, 20,
                  "the zip64 locator points at no zip64 end record");
  if (!end.wide) {
    if (!end.locator_without_record &&
        (end.size == k_unknown32 || end.directory_offset == k_unknown32))
      session_.find(rules::zip64_mismatch, end.offset, 22,
                    "a value is left to a zip64 end record that does not exist");
    return;
  }
  const auto& wide = *end.wide;
  if (wide.stated_offset != wide.offset && wide.stated_offset + place.base != wide.offset)
    session_.find(rules::zip64_mismatch, end.offset - 20, 20,
                  "the zip64 locator points at " + std::to_string(wide.stated_offset) +
                      ", the record stands" + at(wide.offset));
  if ((end.total != k_unknown16 && end.total != wide.total) ||
      (end.size != k_unknown32 && end.size != wide.size) ||
      (end.directory_offset != k_unknown32 && end.directory_offset != wide.directory_offset))
    session_.find(rules::zip64_mismatch, wide.offset, 56,
                  "the zip64 end record and the end record differ");
}

void ZipScan::judge_directory(const EndRecord& end, const DirectoryPlace& place) {
  if (!judged_directories_.insert({place.begin, place.base}).second) return;
  std::uint64_t count = 0;
  bool stopped = false;
  const std::uint64_t stop = each_record(source_, place, [&](const CentralRecord& record) {
    if (judged_records_++ >= session_.limits().entries ||
        (judged_records_ % 64 == 0 && !session_.budget().time_left())) {
      session_.gap(Reason::budget, Reach::load, record.offset, "too many records in directories");
      stopped = true;
      return false;
    }
    ++count;
    judge_record(record, place);
    return true;
  });
  if (stopped) return;
  // The 16-bit count of archives without zip64 wraps around.
  const bool same_count =
      count == place.total || (!end.wide && (count & 0xffff) == (place.total & 0xffff));
  if (!same_count)
    session_.find(rules::directory_mismatch, end.offset, 22,
                  "the end record counts " + std::to_string(place.total) +
                      " members, the directory has " + std::to_string(count));
  std::uint64_t records_end = stop;
  if (as_text(source_.view(stop, 4)) == "PK\5\5") { // digital signature
    const Bytes size = source_.view(stop + 4, 2);
    if (size.size() == 2) records_end += 6 + (size[0] | std::uint64_t{size[1]} << 8);
  }
  if (stop - place.begin != place.size && records_end - place.begin != place.size)
    session_.find(rules::directory_mismatch, place.begin, stop - place.begin,
                  "the end record says that the directory has " + std::to_string(place.size) +
                      " bytes, it has " + std::to_string(stop - place.begin));
  if (records_end < place.limit) {
    session_.find(rules::directory_mismatch, records_end, place.limit - records_end,
                  "bytes between the directory and its end record");
    scan_side("directory@" + std::to_string(records_end), records_end, place.limit - records_end);
  }
}

// An end record among the bytes of a member. A prefix of the object that ends behind it would be a
// whole archive, so what this reading shows is scanned before the bytes may leave.
void ZipScan::judge_inner_end(const EndRecord& end, const Walked& inside) {
  const bool nested = inside.local.method == k_stored &&
                      as_text(source_.view(inside.local.end, 4)) == k_local_magic;
  for (const DirectoryPlace& place: directory_places(source_, end)) {
    // The member is a zip itself: its own scan judges this record.
    if (nested && place.base >= inside.local.end) continue;
    if (!judged_directories_.insert({place.begin, place.base}).second) continue;
    if (place.base == 0)
      session_.find(rules::multiple_ends, end.offset, 22,
                    "an end record inside of " + inside.local.name + " has a directory" +
                        at(place.begin));
    each_record(source_, place, [&](const CentralRecord& record) {
      if (judged_records_++ >= session_.limits().entries || !session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::load, record.offset, "too many records in directories");
        return false;
      }
      const auto local = read_local(source_, record.local_offset + place.base);
      if (!local) return true;
      if (const Walked* walked = walked_at(local->offset);
          walked != nullptr && walked->outcome.stored_end == local->end + record.compressed &&
          walked->local.method == record.method)
        return true;
      if (!scanned_.insert({local->end, record.compressed, record.method}).second) return true;
      scan_reading({local->end, record.compressed, record.method, record.flags, record.size, true},
                   "@" + std::to_string(end.offset) + "!" + record.name, local->offset);
      return true;
    });
  }
}

void ZipScan::judge_record(const CentralRecord& record, const DirectoryPlace& place) {
  if (record.disk != 0 && record.disk != 0xffff)
    session_.find(rules::directory_mismatch, record.offset, 46,
                  record.name + " is said to be on another disk");
  if (record.zip64_missing || record.zip64_conflict)
    session_.find(rules::zip64_mismatch, record.offset, record.end - record.offset,
                  record.name + (record.zip64_missing
                                     ? ": a value is left to a zip64 field that does not exist"
                                     : ": the zip64 field differs from the 32-bit field"));
  scan_extra(record);
  if (record.comment_size >= 24)
    scan_side(record.name + "@comment", record.comment_begin, record.comment_size);

  for (const std::uint64_t base: {place.base, std::uint64_t{0}}) {
    const std::uint64_t offset = record.local_offset + base;
    if (offset < base) continue;
    if (Walked* walked = walked_at(offset)) {
      walked->listed = true;
      judge_member(record, walked->local, walked);
      return;
    }
    if (const auto local = read_local(source_, offset)) {
      names_.check_duplicate({.name = record.name, .offset = record.offset});
      judge_member(record, *local, nullptr);
      return;
    }
  }
  session_.find(rules::no_local_header, record.offset, record.end - record.offset,
                record.name + ": no local header" + at(record.local_offset));
  session_.gap(Reason::malformed, Reach::load, record.offset,
               record.name + " has no local header where the directory says");
}

void ZipScan::judge_member(const CentralRecord& record, const Header& local, Walked* walked) {
  compare(record, local);
  judge_names(record, local);
  used_.push_back({local.offset, local.end + std::min(record.compressed, ~local.end)});

  // The walk read the data as the local header says; the directory may say otherwise.
  const bool same = walked != nullptr && walked->local.method == record.method &&
                    walked->outcome.stored_end == local.end + record.compressed &&
                    !(walked->outcome.encrypted && (record.flags & k_flag_encrypted) == 0 &&
                      record.method != k_aes);
  if (same) {
    compare_outcome(record, walked->outcome);
  } else {
    const auto scan_both = [&](const Header& header, std::string_view name) {
      if (!scanned_.insert({local.end, header.compressed, header.method}).second) return;
      const Outcome outcome = scan_reading(
          {local.end, header.compressed, header.method, header.flags, header.size, true}, name,
          record.offset);
      if (&header == &record) compare_outcome(record, outcome);
    };
    scan_both(record, record.name);
    // A member that only the directory shows has a local header of its own, which counts too.
    if (walked == nullptr && (local.flags & k_flag_descriptor) == 0) scan_both(local, local.name);
  }
  // Stored bytes have one length; a reader that goes by the other one reads more.
  if (record.method == k_stored && record.size != record.compressed &&
      (record.flags & k_flag_encrypted) == 0) {
    session_.find(rules::size_mismatch, record.offset, 46,
                  record.name + " is stored in " + std::to_string(record.compressed) +
                      " bytes and said to have " + std::to_string(record.size));
    if (record.size > record.compressed &&
        scanned_.insert({local.end, record.size, k_stored}).second)
      scan_reading({local.end, record.size, k_stored, 0, record.size, true}, record.name,
                   record.offset);
  }
  judge_kind(record, local);
}

void ZipScan::compare(const CentralRecord& record, const Header& local) {
  Differences differences;
  differences.check("the name is", record.name, local.name);
  differences.check<std::uint64_t>("the method is", record.method, local.method);
  constexpr std::uint16_t k_telling = k_flag_encrypted | k_flag_strong | k_flag_patched;
  differences.check<std::uint64_t>("the flags are", record.flags & k_telling,
                                   local.flags & k_telling);
  if (!is_ascii(record.name))
    differences.check<std::uint64_t>("the character set flag is", record.flags & k_flag_utf8,
                                     local.flags & k_flag_utf8);
  // A streamed member's header has zeros, or what was known already; placeholders are all ones.
  const bool streamed = (local.flags & k_flag_descriptor) != 0;
  const auto known = [&](std::uint64_t value) {
    return !streamed || (value != 0 && value != k_unknown32);
  };
  if (known(local.crc)) differences.check<std::uint64_t>("the CRC is", record.crc, local.crc);
  if (known(local.compressed))
    differences.check("the packed size is", record.compressed, local.compressed);
  if (known(local.size)) differences.check("the size is", record.size, local.size);
  if (!differences.text().empty())
    session_.find(rules::header_mismatch, local.offset, local.end - local.offset,
                  record.name + ": " + differences.text());
  if (((record.flags | local.flags) & (k_flag_patched | k_flag_masked)) != 0)
    session_.find(rules::flag_tampering, record.offset, 46,
                  record.name + " is marked as a patch or as masked");
  if (local.zip64_conflict || (local.zip64_missing && !streamed))
    session_.find(rules::zip64_mismatch, local.offset, local.end - local.offset,
                  record.name + ": the local zip64 field and the 32-bit fields disagree");
}

void ZipScan::judge_names(const CentralRecord& record, const Header& local) {
  if (record.name != local.name) names_.check_name(record.name, record.offset);
  for (const Header* header: {static_cast<const Header*>(&record), &local}) {
    const std::string& other = header->unicode_name;
    if (other.empty() || other == record.name) continue;
    // The field exists for names in a legacy character set; over an ASCII name it can only say
    // the same or lie.
    if (is_ascii(record.name) || header == &local)
      session_.find(rules::unicode_name, header->offset, 0,
                    "'" + record.name + "' is also '" + other + "'");
    names_.check_name(other, header->offset);
    if (header == &record && local.unicode_name == other) break;
  }
}

void ZipScan::compare_outcome(const CentralRecord& record, const Outcome& outcome) {
  if (!outcome.decoded) return;
  if (outcome.crc != record.crc)
    session_.find(rules::bad_crc, record.offset, 46,
                  record.name + " does not have the CRC that its header states");
  if (outcome.length != record.size && record.method != k_stored)
    session_.find(rules::size_mismatch, record.offset, 46,
                  record.name + " is " + std::to_string(outcome.length) +
                      " bytes long, the directory says " + std::to_string(record.size));
  if (record.size == 0 && outcome.length > 0 && !record.is_directory())
    session_.find(archive_rules::directory_data, record.offset, outcome.length,
                  record.name + " is said to be empty");
}

// Links and devices: the mode stands in the directory only.
void ZipScan::judge_kind(const CentralRecord& record, const Header& local) {
  constexpr std::uint32_t k_type = 0170000;
  MemberFacts facts{.name = record.name, .offset = record.offset};
  std::string target;
  if (record.is_directory()) facts.kind = MemberKind::directory;
  switch (record.unix_mode() & k_type) {
  case 0120000: {
    facts.kind = MemberKind::symlink;
    if (is_supported(record.method)) {
      MemberContent content(source_, local.end, record.compressed, record.method, record.size,
                            session_.budget());
      target = as_text(content.view(0, 4096));
    }
    break;
  }
  case 0060000:
  case 0020000:
  case 0140000:
    facts.kind = MemberKind::device;
    break;
  default:
    break;
  }
  facts.target = target;
  names_.check_link(facts);
  if (record.is_directory() && local.name != record.name && record.compressed > 2)
    session_.find(archive_rules::directory_data, record.offset, record.compressed, record.name);
}

void ZipScan::judge_overlaps() {
  std::sort(used_.begin(), used_.end());
  std::uint64_t reach = 0;
  std::uint64_t found = 0;
  for (const Range& range: used_) {
    if (range.begin < reach && ++found <= 3)
      session_.find(rules::overlap, range.begin, reach - range.begin,
                    "members use the same bytes" + at(range.begin));
    reach = std::max(reach, range.end);
  }
  if (found > 3)
    session_.find(rules::overlap, 0, 0, std::to_string(found) + " members use bytes of others");
}

void ZipScan::judge_rest() {
  judge_overlaps();
  if (outer_ends_ == 0) return;
  if (lone_ends_ > 0)
    session_.find(rules::multiple_ends, 0, 0,
                  "end records that point at no directory: " + std::to_string(lone_ends_));
  for (const Walked& member: walked_)
    if (!member.listed)
      session_.find(rules::unlisted_member, member.local.offset, member.end - member.local.offset,
                    "'" + member.local.name + "' stands in the archive and not in its directory");
  for (const Range& gap: gaps_) {
    const bool explained = gap.begin >= archive_end_ ||
                           std::any_of(used_.begin(), used_.end(), [&](const Range& range) {
                             return range.begin <= gap.begin && gap.end <= range.end;
                           });
    if (!explained)
      session_.find(rules::gap, gap.begin, gap.end - gap.begin,
                    std::to_string(gap.end - gap.begin) + " bytes between the members");
  }
}

} // namespace hubgate::zip

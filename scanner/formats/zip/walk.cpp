// The walk along the local headers: what a reader without the directory sees, and all that can be
// seen while the object arrives.
#include "scanner/codecs/codecs.hpp"
#include "scanner/formats/zip/zip_scan.hpp"

#include <algorithm>

namespace hubgate::zip {
namespace {

// Extra fields that ordinary tools write; what they hold is bookkeeping.
bool is_usual_extra(std::uint16_t id) {
  constexpr std::array<std::uint16_t, 14> k_usual{
      0x0001,                         // zip64
      0x000a,                         // NTFS times
      0x000d,                         // unix
      0x4246,                         // "FB", PyTorch's padding
      0x5455, 0x5855, 0x7855, 0x7875, // Info-ZIP times and owners
      0x6375, 0x7075,                 // Info-ZIP unicode comment and path
      0x9901,                         // AES
      0xa220,                         // Microsoft's padding
      0xcafe,                         // jar
      0xd935,                         // Android's alignment
  };
  return std::find(k_usual.begin(), k_usual.end(), id) != k_usual.end();
}

bool all_equal(Bytes bytes) {
  return std::adjacent_find(bytes.begin(), bytes.end(), std::not_equal_to<>()) == bytes.end();
}

} // namespace

void EndWatch::watch(std::uint64_t offset, Bytes bytes) {
  if (offset > watched_ || watched_ - offset >= bytes.size()) return;
  const std::string_view fresh =
      as_text(bytes.subspan(static_cast<std::size_t>(watched_ - offset)));
  // A magic that began in the bytes before.
  const std::string seam = carry_ + std::string(fresh.substr(0, 3));
  for (std::size_t at = seam.find(k_end_magic); at != std::string::npos && at < carry_.size();
       at = seam.find(k_end_magic, at + 1))
    found_.push_back(watched_ - carry_.size() + at);
  for (std::size_t at = fresh.find(k_end_magic); at != std::string_view::npos;
       at = fresh.find(k_end_magic, at + 4))
    found_.push_back(watched_ + at);
  carry_ += fresh.substr(fresh.size() > 3 ? fresh.size() - 3 : 0);
  if (carry_.size() > 3) carry_.erase(0, carry_.size() - 3);
  watched_ += fresh.size();
}

void EndWatch::follow(std::uint64_t offset) {
  constexpr std::size_t k_step = std::size_t{256} << 10;
  while (watched_ < offset) {
    const Bytes piece = file_.view(
        watched_, static_cast<std::size_t>(std::min<std::uint64_t>(k_step, offset - watched_)));
    if (piece.empty()) return;
    watch(watched_, piece);
  }
}

Bytes EndWatch::view(std::uint64_t offset, std::size_t n) {
  follow(offset);
  const Bytes bytes = file_.view(offset, n);
  watch(offset, bytes);
  return bytes;
}

Bytes EndWatch::some(std::uint64_t offset, std::size_t n) {
  follow(offset);
  const Bytes bytes = file_.some(offset, n);
  watch(offset, bytes);
  return bytes;
}

std::vector<std::uint64_t> EndWatch::take(std::uint64_t upto) {
  follow(upto);
  const auto split = std::find_if(found_.begin(), found_.end(),
                                  [upto](std::uint64_t offset) { return offset >= upto; });
  std::vector<std::uint64_t> out(found_.begin(), split);
  found_.erase(found_.begin(), split);
  return out;
}

void ZipScan::scan_side(std::string_view name, std::uint64_t begin, std::uint64_t size) {
  if (size == 0) return;
  SubSource bytes(source_, begin, size);
  session_.embedded(name, bytes);
}

// Scans extra fields that may carry something: unknown ones, and usual ones that are not filled
// with their padding.
void ZipScan::scan_extra(const Header& header) {
  constexpr std::uint64_t k_worth = 24;
  if (header.extra_size < k_worth) return;
  std::vector<Range> found;
  {
    const Bytes extra =
        source_.view(header.extra_begin, static_cast<std::size_t>(header.extra_size));
    std::size_t at = 0;
    while (at + 4 <= extra.size()) {
      const auto id = static_cast<std::uint16_t>(extra[at] | extra[at + 1] << 8);
      const std::size_t size =
          std::min<std::size_t>(extra[at + 2] | extra[at + 3] << 8u, extra.size() - at - 4);
      const Bytes data = extra.subspan(at + 4, size);
      const bool padding = all_equal(data);
      const bool usual = is_usual_extra(id) && size <= 80;
      if (size >= k_worth && !padding && !usual)
        found.push_back({header.extra_begin + at + 4, header.extra_begin + at + 4 + size});
      at += 4 + size;
    }
  }
  for (const Range& range: found)
    scan_side("extra field@" + std::to_string(range.begin), range.begin, range.end - range.begin);
}

Outcome ZipScan::scan_encrypted(const DataReading& reading, std::string_view name,
                                std::uint64_t header_offset) {
  Outcome outcome;
  outcome.encrypted = true;
  session_.find(archive_rules::encrypted, header_offset, 0, name);
  session_.gap(Reason::encrypted, Reach::load, header_offset, name);
  MemberContent bytes(source_, reading.begin, reading.compressed, k_stored, std::nullopt,
                      session_.budget());
  session_.embedded(name, bytes);
  bytes.finish();
  outcome.stored_end = bytes.stored_end();
  outcome.unbounded = bytes.is_unbounded();
  return outcome;
}

Outcome ZipScan::scan_reading(const DataReading& reading, std::string_view name,
                              std::uint64_t header_offset) {
  const auto size = reading.size_known ? std::optional(reading.size) : std::nullopt;
  if (reading.method == k_aes) return scan_encrypted(reading, name, header_offset);

  if ((reading.flags & (k_flag_encrypted | k_flag_strong)) != 0) {
    // Some loaders don't look at the flag (miniz): the data are plain if they decode as such.
    bool plain = reading.method == k_stored && reading.compressed == size;
    if (reading.method != k_stored && is_supported(reading.method)) {
      MemberContent trial(source_, reading.begin, reading.compressed, reading.method, size,
                          session_.budget());
      trial.finish();
      plain =
          trial.fault() == Fault::none && trial.length() > 0 && (!size || trial.length() == *size);
    }
    if (!plain) return scan_encrypted(reading, name, header_offset);
    session_.find(rules::flag_tampering, header_offset, 0,
                  std::string(name) + " is marked as encrypted and is not");
  }
  Outcome outcome;
  if (!is_supported(reading.method)) {
    const std::string what = std::string(name) + ": method " + std::to_string(reading.method);
    session_.find(archive_rules::exotic_method, header_offset, 0, what);
    session_.gap(Reason::unsupported, Reach::load, header_offset, what);
    MemberContent bytes(source_, reading.begin, reading.compressed, k_stored, std::nullopt,
                        session_.budget());
    session_.embedded(name, bytes);
    bytes.finish();
    outcome.stored_end = bytes.stored_end();
    outcome.unbounded = bytes.is_unbounded();
    return outcome;
  }

  MemberContent content(source_, reading.begin, reading.compressed, reading.method, size,
                        session_.budget());
  const bool nothing = reading.compressed == 0 && size.value_or(0) == 0;
  if (nothing)
    budget_gone_ = budget_gone_ || !session_.budget().entry();
  else
    session_.member(name, content);
  content.finish();
  outcome.stored_end = content.stored_end();
  outcome.length = content.length();
  outcome.crc = content.crc();
  outcome.decoded = content.fault() == Fault::none;
  outcome.unbounded = content.is_unbounded();

  const std::uint64_t stated_end =
      reading.compressed ? reading.begin + *reading.compressed : outcome.stored_end;
  if (outcome.decoded && outcome.stored_end < stated_end && reading.method != k_stored) {
    session_.find(rules::slack, outcome.stored_end, stated_end - outcome.stored_end,
                  std::string(name) + " has bytes behind the end of its compressed data");
    scan_side(std::string(name) + "@slack", outcome.stored_end, stated_end - outcome.stored_end);
  }
  if (reading.method == k_stored && outcome.stored_end < stated_end) {
    outcome.decoded = false;
    session_.gap(Reason::truncated, Reach::load, header_offset,
                 std::string(name) + " is cut by the end of the file");
  }
  // Where the member stands in the file counts from here on, not where its codec stopped.
  if (reading.compressed) outcome.stored_end = stated_end;
  return outcome;
}

// Reads what stands behind the data of a streamed member; returns where the next record begins.
std::uint64_t ZipScan::walk_descriptor(Walked& member) {
  const std::uint64_t at = member.outcome.stored_end;
  if ((member.local.flags & k_flag_descriptor) == 0 || member.outcome.unbounded) return at;
  const std::uint64_t stored = at - member.local.end;
  const std::uint64_t length = member.outcome.decoded ? member.outcome.length : member.local.size;
  const Descriptor found = read_descriptor(source_, at, stored, length);
  if (found.length != 0) {
    member.descriptor_crc = found.crc;
    return at + found.length;
  }
  // One that says something else, if a header follows where it would end.
  for (const std::uint64_t size:
       {std::uint64_t{16}, std::uint64_t{24}, std::uint64_t{12}, std::uint64_t{20}}) {
    if (size != 12 && size != 20 && as_text(source_.view(at, 4)) != k_descriptor_magic) continue;
    const std::string_view next = as_text(source_.view(at + size, 4));
    if (next != k_local_magic && next != k_central_magic) continue;
    session_.find(rules::descriptor, at, size,
                  member.local.name + ": the data descriptor does not match the data");
    return at + size;
  }
  return at;
}

std::uint64_t ZipScan::walk_member(Header local) {
  Walked member;
  const bool streamed = (local.flags & k_flag_descriptor) != 0 && local.compressed == 0;
  const bool placeholder = (local.flags & k_flag_descriptor) != 0 && local.zip64_missing;
  const bool unknown = streamed || placeholder;
  // A first few harmless bytes, so that the receiver knows that the transfer lives.
  if (walked_.empty() && start_ == 0) session_.release(local.end);

  DataReading reading{local.end, std::nullopt, local.method, local.flags, local.size, !unknown};
  if (!unknown) reading.compressed = local.compressed;
  names_.check_name(local.name, local.offset);
  names_.check_duplicate({.name = local.name,
                          .offset = local.offset,
                          .kind = local.is_directory() ? MemberKind::directory : MemberKind::file});
  if (local.is_directory() && !unknown && local.compressed > 2)
    session_.find(archive_rules::directory_data, local.end, local.compressed, local.name);
  scan_extra(local);
  member.outcome = scan_reading(reading, local.name, local.offset);
  if (!unknown && member.outcome.decoded && member.outcome.length != local.size &&
      (local.flags & k_flag_descriptor) == 0)
    session_.find(rules::size_mismatch, local.offset, 0,
                  local.name + " is " + std::to_string(member.outcome.length) +
                      " bytes long, its header says " + std::to_string(local.size));
  member.local = std::move(local);
  member.end = walk_descriptor(member);
  const std::uint64_t next = member.end;
  walked_.push_back(std::move(member));
  return next;
}

// Bytes that are no record: padding, or something between the members. Returns where the next
// record begins.
std::uint64_t ZipScan::skip_gap(std::uint64_t at) {
  constexpr std::size_t k_step = std::size_t{256} << 10;
  std::uint64_t end = at;
  bool padding = true;
  bool found = false;
  while (!found) {
    std::uint64_t candidate = 0;
    {
      const Bytes piece = source_.view(end, k_step + 4);
      if (piece.empty()) break;
      const std::string_view text = as_text(piece);
      std::size_t stop = std::min(piece.size(), k_step);
      for (std::size_t p = text.find("PK"); p < stop; p = text.find("PK", p + 1)) {
        const std::string_view magic = text.substr(p, 4);
        if (magic == k_local_magic || magic == k_central_magic || magic == k_end_magic ||
            magic == k_end64_magic) {
          found = true;
          stop = p;
        }
      }
      padding =
          padding && std::all_of(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(stop),
                                 [](std::uint8_t c) { return c == 0; });
      candidate = end + stop;
    }
    end = candidate;
  }
  if (found && !padding) {
    gaps_.push_back({at, end});
    SubSource bytes(source_, at, end - at);
    session_.embedded("gap@" + std::to_string(at), bytes);
  }
  if (found) return end;
  // No record follows: trailing data, which the engine scans.
  rest_ = at;
  return k_to_the_end;
}

// Judges every reading that is complete within [0, upto), then lets go of these bytes.
void ZipScan::settle(std::uint64_t upto) {
  for (const std::uint64_t offset: source_.take(upto)) {
    if (!session_.budget().time_left()) return;
    judge_end(offset);
  }
  session_.release(upto);
}

// Handles the record at `at` and returns where the next one begins; k_to_the_end when there is
// none.
std::uint64_t ZipScan::step(std::uint64_t at) {
  const Bytes head = source_.view(at, 4);
  if (head.empty()) return k_to_the_end;
  const std::string magic(as_text(head));
  if (magic == k_local_magic) {
    auto local = read_local(source_, at);
    if (!local) {
      session_.gap(Reason::truncated, Reach::load, at, "the file ends inside of a local header");
      return k_to_the_end;
    }
    return walk_member(std::move(*local));
  }
  if (magic == k_central_magic) {
    const auto record = read_central(source_, at);
    return record ? record->end : skip_gap(at + 1);
  }
  const auto sized = [&](std::uint64_t field, std::size_t width, std::uint64_t header) {
    const Bytes bytes = source_.view(at + field, width);
    std::uint64_t size = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
      size = (size << 8) | bytes[i];
    const std::uint64_t end = at + header + size;
    return bytes.size() < width || end < at || size > (std::uint64_t{1} << 32) ? skip_gap(at + 1)
                                                                               : end;
  };
  if (magic == k_end64_magic) return sized(4, 8, 12);
  if (magic == k_locator_magic) return at + 20;
  if (magic == k_end_magic) {
    const auto end = read_end(source_, at);
    return end ? end->end : k_to_the_end;
  }
  if (magic == "PK\6\x08") return sized(4, 4, 8); // archive extra data
  if (magic == "PK\5\5") return sized(4, 2, 6);   // digital signature
  // The mark of a split archive that fitted in one piece.
  if (at == start_ && (magic == k_descriptor_magic || magic == "PK00")) return at + 4;
  return skip_gap(at);
}

Reading ZipScan::run(std::uint64_t start) {
  start_ = start;
  if (start > 0) {
    // A TFLite model carries its labels and vocabularies as a zip behind itself.
    const Bytes head = source_.view(0, 8);
    const bool model = head.size() == 8 && as_text(head).substr(4) == "TFL3";
    session_.find(rules::prefix, 0, start,
                  std::to_string(start) + " bytes stand before the archive",
                  {.severity = model ? Severity::informational : Severity::suspicious});
    SubSource bytes(source_, 0, start);
    session_.member("prefix", bytes);
  }
  for (std::uint64_t at = start; at != k_to_the_end;) {
    if (!session_.budget().time_left() || budget_gone_) {
      session_.gap(Reason::budget, Reach::load, at, "the limits were spent on the way");
      return Reading::broken;
    }
    const std::uint64_t next = step(at);
    if (next != k_to_the_end && !source_.view(next - 1, 1).empty()) settle(next);
    at = next;
  }
  settle(source_.wait_end());
  judge_rest();
  if (outer_ends_ > 0) {
    session_.ends_at(archive_end_);
    return Reading::valid;
  }
  session_.gap(lone_ends_ > 0 ? Reason::malformed : Reason::truncated, Reach::load,
               source_.wait_end(), "the archive has no directory that can be read");
  // What the walk could not place is scanned as an object of its own.
  if (rest_ > start_) session_.ends_at(rest_);
  return Reading::broken;
}

} // namespace hubgate::zip

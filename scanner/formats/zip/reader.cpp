#include "scanner/formats/zip/reader.hpp"

#include "scanner/codecs/codecs.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>

namespace hubgate::zip {
namespace {

constexpr std::size_t k_local_size = 30;
constexpr std::size_t k_central_size = 46;
constexpr std::size_t k_end_size = 22;
constexpr std::uint64_t k_locator_size = 20;
constexpr std::uint64_t k_end64_size = 56;

constexpr std::uint16_t k_extra_zip64 = 1;
constexpr std::uint16_t k_extra_unicode_path = 0x7075;

// One wide value of a zip64 field. The specification lets a value be there only if the 32-bit field
// is all ones; writers also put it beside a good 32-bit value (then they must agree), or zeros when
// the value was not known yet.
void widen(Reader& field, std::uint64_t& value, Header& header) {
  const auto wide = field.le<std::uint64_t>();
  if (value == k_unknown32) {
    if (wide)
      value = *wide;
    else
      header.zip64_missing = true;
  } else if (wide && *wide != 0 && *wide != value) {
    header.zip64_conflict = true;
  }
}

void read_extra(Bytes extra, Header& header, std::uint64_t* offset) {
  Reader reader(extra);
  bool seen_zip64 = false;
  while (reader.remaining() >= 4) {
    const auto id = reader.le<std::uint16_t>().value_or(0);
    const auto size = reader.le<std::uint16_t>().value_or(0);
    // A field that says it is longer than the rest: readers use what is there.
    const Bytes data = *reader.take(std::min<std::uint64_t>(size, reader.remaining()));
    if (id == k_extra_zip64 && !seen_zip64) {
      seen_zip64 = true;
      Reader field(data);
      // With both sizes in use and only the offset wide, the field holds the offset alone.
      const bool compact = header.size != k_unknown32 && header.compressed != k_unknown32 &&
                           offset != nullptr && *offset == k_unknown32 && data.size() < 16;
      if (!compact) {
        const bool only_one = data.size() < 16;
        if (!only_one || header.size == k_unknown32) widen(field, header.size, header);
        if (!only_one || header.compressed == k_unknown32) widen(field, header.compressed, header);
      }
      if (offset != nullptr && *offset == k_unknown32) widen(field, *offset, header);
    }
    if (id == k_extra_unicode_path && data.size() >= 5)
      header.unicode_name = as_text(data.subspan(5));
  }
  header.zip64 = seen_zip64;
  if (!seen_zip64)
    header.zip64_missing = header.size == k_unknown32 || header.compressed == k_unknown32 ||
                           (offset != nullptr && *offset == k_unknown32);
}

} // namespace

std::optional<Header> read_local(Source& source, std::uint64_t offset) {
  Header header;
  header.offset = offset;
  std::uint64_t name_size = 0;
  {
    Reader reader(source.view(offset, k_local_size));
    if (reader.remaining() < k_local_size) return std::nullopt;
    if (as_text(reader.take(4).value_or(Bytes{})) != k_local_magic) return std::nullopt;
    reader.skip(2);
    header.flags = reader.le<std::uint16_t>().value_or(0);
    header.method = reader.le<std::uint16_t>().value_or(0);
    reader.skip(4);
    header.crc = reader.le<std::uint32_t>().value_or(0);
    header.compressed = reader.le<std::uint32_t>().value_or(0);
    header.size = reader.le<std::uint32_t>().value_or(0);
    name_size = reader.le<std::uint16_t>().value_or(0);
    header.extra_size = reader.le<std::uint16_t>().value_or(0);
  }
  header.extra_begin = offset + k_local_size + name_size;
  header.end = header.extra_begin + header.extra_size;
  const Bytes rest =
      source.view(offset + k_local_size, static_cast<std::size_t>(name_size + header.extra_size));
  if (rest.size() < name_size + header.extra_size) return std::nullopt;
  header.name = as_text(rest.first(static_cast<std::size_t>(name_size)));
  read_extra(rest.subspan(static_cast<std::size_t>(name_size)), header, nullptr);
  return header;
}

std::optional<CentralRecord> read_central(Source& source, std::uint64_t offset) {
  CentralRecord record;
  record.offset = offset;
  std::uint64_t name_size = 0;
  {
    Reader reader(source.view(offset, k_central_size));
    if (reader.remaining() < k_central_size) return std::nullopt;
    if (as_text(reader.take(4).value_or(Bytes{})) != k_central_magic) return std::nullopt;
    record.made_by = reader.le<std::uint16_t>().value_or(0);
    reader.skip(2);
    record.flags = reader.le<std::uint16_t>().value_or(0);
    record.method = reader.le<std::uint16_t>().value_or(0);
    reader.skip(4);
    record.crc = reader.le<std::uint32_t>().value_or(0);
    record.compressed = reader.le<std::uint32_t>().value_or(0);
    record.size = reader.le<std::uint32_t>().value_or(0);
    name_size = reader.le<std::uint16_t>().value_or(0);
    record.extra_size = reader.le<std::uint16_t>().value_or(0);
    record.comment_size = reader.le<std::uint16_t>().value_or(0);
    record.disk = reader.le<std::uint16_t>().value_or(0);
    reader.skip(2);
    record.attributes = reader.le<std::uint32_t>().value_or(0);
    record.local_offset = reader.le<std::uint32_t>().value_or(0);
  }
  record.extra_begin = offset + k_central_size + name_size;
  record.comment_begin = record.extra_begin + record.extra_size;
  record.end = record.comment_begin + record.comment_size;
  const auto rest_size = static_cast<std::size_t>(record.end - offset - k_central_size);
  const Bytes rest = source.view(offset + k_central_size, rest_size);
  if (rest.size() < rest_size) return std::nullopt;
  record.name = as_text(rest.first(static_cast<std::size_t>(name_size)));
  read_extra(rest.subspan(static_cast<std::size_t>(name_size),
                          static_cast<std::size_t>(record.extra_size)),
             record, &record.local_offset);
  return record;
}

std::optional<EndRecord> read_end(Source& source, std::uint64_t offset) {
  EndRecord end;
  end.offset = offset;
  {
    Reader reader(source.view(offset, k_end_size));
    if (reader.remaining() < k_end_size) return std::nullopt;
    if (as_text(reader.take(4).value_or(Bytes{})) != k_end_magic) return std::nullopt;
    end.disk = reader.le<std::uint16_t>().value_or(0);
    end.directory_disk = reader.le<std::uint16_t>().value_or(0);
    end.here = reader.le<std::uint16_t>().value_or(0);
    end.total = reader.le<std::uint16_t>().value_or(0);
    end.size = reader.le<std::uint32_t>().value_or(0);
    end.directory_offset = reader.le<std::uint32_t>().value_or(0);
    end.comment_size = reader.le<std::uint16_t>().value_or(0);
    end.end = offset + k_end_size + end.comment_size;
  }
  if (offset < k_locator_size) return end;
  std::uint64_t stated = 0;
  {
    Reader reader(source.view(offset - k_locator_size, k_locator_size));
    if (reader.remaining() < k_locator_size ||
        as_text(reader.take(4).value_or(Bytes{})) != k_locator_magic)
      return end;
    reader.skip(4);
    stated = reader.le<std::uint64_t>().value_or(0);
  }
  // Where the locator says; for an archive with a prefix, directly in front of the locator.
  for (const std::uint64_t at:
       {stated, offset >= k_locator_size + k_end64_size ? offset - k_locator_size - k_end64_size
                                                        : stated}) {
    if (at >= offset) continue;
    Reader reader(source.view(at, k_end64_size));
    if (reader.remaining() < k_end64_size ||
        as_text(reader.take(4).value_or(Bytes{})) != k_end64_magic)
      continue;
    EndRecord::Wide wide;
    wide.offset = at;
    wide.stated_offset = stated;
    reader.skip(8 + 2 + 2 + 4 + 4 + 8);
    wide.total = reader.le<std::uint64_t>().value_or(0);
    wide.size = reader.le<std::uint64_t>().value_or(0);
    wide.directory_offset = reader.le<std::uint64_t>().value_or(0);
    end.wide = wide;
    return end;
  }
  end.locator_without_record = true;
  return end;
}

std::vector<DirectoryPlace> directory_places(Source& source, const EndRecord& end) {
  std::vector<DirectoryPlace> places;
  const auto add = [&](std::uint64_t begin, std::uint64_t limit, std::uint64_t base,
                       std::uint64_t total, std::uint64_t size) {
    if (begin > limit) return;
    const bool empty = total == 0 && size == 0 && begin == limit;
    if (!empty && as_text(source.view(begin, 4)) != k_central_magic) return;
    for (const DirectoryPlace& place: places)
      if (place.begin == begin && place.base == base) return;
    places.push_back({begin, limit, base, total, size});
  };
  const auto add_both = [&](std::uint64_t limit, std::uint64_t total, std::uint64_t size,
                            std::uint64_t stated) {
    if (size <= limit) {
      const std::uint64_t begin = limit - size;
      if (begin >= stated) add(begin, limit, begin - stated, total, size);
    }
    add(stated, limit, 0, total, size);
    // Offsets that point behind the place where the directory stands: counted from the file then.
    if (size <= limit && limit - size < stated) add(limit - size, limit, 0, total, size);
  };
  if (end.wide) {
    add_both(end.wide->offset, end.wide->total, end.wide->size, end.wide->directory_offset);
    // Readers without zip64, and those that prefer the 32-bit values where they are in use.
    if (end.size != k_unknown32 && end.directory_offset != k_unknown32 &&
        (end.size != end.wide->size || end.directory_offset != end.wide->directory_offset))
      add_both(end.offset, end.total, end.size, end.directory_offset);
  } else {
    add_both(end.offset, end.total, end.size, end.directory_offset);
  }
  return places;
}

Descriptor read_descriptor(Source& source, std::uint64_t offset, std::uint64_t compressed,
                           std::uint64_t size) {
  const Bytes bytes = source.view(offset, 24);
  const std::size_t sign = starts_with(bytes, k_descriptor_magic) ? 4 : 0;
  // A descriptor without signature whose CRC looks like one is possible; the sizes decide.
  for (const std::size_t skip: {sign, std::size_t{0}}) {
    for (const bool wide: {false, true}) {
      Reader reader(bytes);
      reader.skip(skip);
      const auto crc = reader.le<std::uint32_t>();
      const auto stored = wide ? reader.le<std::uint64_t>()
                               : std::optional<std::uint64_t>(reader.le<std::uint32_t>());
      const auto plain = wide ? reader.le<std::uint64_t>()
                              : std::optional<std::uint64_t>(reader.le<std::uint32_t>());
      if (crc && stored == compressed && plain == size)
        return {skip + 4 + (wide ? std::uint64_t{16} : std::uint64_t{8}), *crc};
    }
  }
  return {};
}

bool begins_like_zip(Bytes head) {
  for (const std::string_view magic: {k_local_magic, k_end_magic, k_end64_magic, k_central_magic})
    if (starts_with(head, magic)) return true;
  return starts_with(head, "PK\7\x08PK\3\4") || starts_with(head, "PK00PK\3\4");
}

bool ends_like_zip(const Probe& probe) {
  if (probe.tail.size() < 22) return false;
  const std::uint64_t tail_begin = probe.size - probe.tail.size();
  const auto end = find_last_end(probe.tail, tail_begin);
  if (!end) return false;
  Reader reader(probe.tail, tail_begin);
  reader.skip(*end - tail_begin + 20);
  const auto comment = reader.le<std::uint16_t>();
  return comment && *end + 22 + *comment == probe.size;
}

std::optional<std::uint64_t> find_last_end(Bytes tail, std::uint64_t tail_begin) {
  const std::string_view text = as_text(tail);
  for (std::size_t at = text.rfind(k_end_magic); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(k_end_magic, at - 1)) {
    if (text.size() - at >= k_end_size) return tail_begin + at;
  }
  return std::nullopt;
}

std::unique_ptr<MemberContent> Member::open(Source& file, Budget& budget) const {
  return std::make_unique<MemberContent>(file, data_begin.value_or(0), central.compressed,
                                         central.method, central.size, budget);
}

std::optional<Directory> read_directory(Source& source, Budget& budget) {
  const std::uint64_t size = source.wait_end();
  constexpr std::uint64_t k_window = 65536 + k_end_size + k_locator_size + k_end64_size;
  const std::uint64_t begin = size > k_window ? size - k_window : 0;
  const auto at = find_last_end(source.view(begin, static_cast<std::size_t>(k_window)), begin);
  if (!at) return std::nullopt;
  const auto end = read_end(source, *at);
  if (!end) return std::nullopt;
  const auto places = directory_places(source, *end);
  if (places.empty()) return std::nullopt;
  Directory directory{*end, places.front(), {}};
  each_record(source, directory.place, [&](CentralRecord record) {
    if (directory.members.size() >= budget.limits().entries || !budget.time_left()) {
      directory.cut = true;
      return false;
    }
    directory.members.push_back({std::move(record), std::nullopt});
    return true;
  });
  for (Member& member: directory.members)
    for (const std::uint64_t base: {directory.place.base, std::uint64_t{0}})
      if (const auto local = read_local(source, member.central.local_offset + base)) {
        member.data_begin = local->end;
        break;
      }
  return directory;
}

} // namespace hubgate::zip

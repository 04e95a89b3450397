// Files of operating systems and tools: message catalogues, time zones, icons, colour profiles,
// property lists, folder settings, MIDI.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/asset/asset.hpp"

namespace hubgate::asset {
namespace {

template <bool big> std::optional<std::uint32_t> word(Cursor& in) {
  return big ? in.be<std::uint32_t>() : in.le<std::uint32_t>();
}

// GNU gettext manual, "The Format of GNU MO Files": two tables of length and offset.
template <bool big> Walk mo(Source& source) {
  constexpr std::uint32_t k_most = 10'000'000;
  Cursor in(source, 4);
  const auto revision = word<big>(in);
  const auto count = word<big>(in);
  const auto first = word<big>(in);
  const auto second = word<big>(in);
  const auto hashes = word<big>(in);
  const auto hash_at = word<big>(in);
  if (!revision || (*revision & 0xffff) > 1 || !count || *count > k_most || !first || !second ||
      !hashes || !hash_at || *hashes > k_most)
    return Walk::none();
  std::uint64_t end = std::max<std::uint64_t>(28, *hash_at + std::uint64_t{4} * *hashes);
  for (const std::uint32_t table: {*first, *second}) {
    in.seek(table);
    end = std::max(end, table + std::uint64_t{8} * *count);
    for (std::uint32_t i = 0; i < *count; ++i) {
      const auto length = word<big>(in);
      const auto at = word<big>(in);
      if (!length || !at) return Walk::truncated(in.position());
      end = std::max(end, std::uint64_t{*at} + *length + 1);
    }
  }
  return Walk::complete(end);
}

} // namespace

Walk walk_mo(Source& source, Session& /*session*/) {
  const Bytes magic = source.view(0, 4);
  return magic.size() == 4 && magic[0] == 0x95 ? mo<true>(source) : mo<false>(source);
}

// RFC 9636: a block of 32-bit times, then one of 64-bit times and a rule between line ends.
Walk walk_tzif(Source& source, Session& /*session*/) {
  Cursor in(source);
  for (int block = 0;; ++block) {
    const std::uint64_t begin = in.position();
    const auto magic = in.take(4);
    if (!magic || !starts_with(*magic, "TZif"))
      return block == 0 ? Walk::none() : Walk::truncated(begin);
    const auto version = in.le<std::uint8_t>();
    in.skip(15);
    std::array<std::uint64_t, 6> counts{};
    for (std::uint64_t& count: counts) {
      const auto value = in.be<std::uint32_t>();
      if (!value) return Walk::truncated(in.position());
      count = *value;
    }
    const auto& [utc, standard, leap, times, types, letters] = counts;
    const std::uint64_t size = block == 0 ? 4 : 8;
    in.seek(in.position() + times * (size + 1) + types * 6 + letters + leap * (size + 4) +
            standard + utc);
    if (*version < '2') return Walk::complete(in.position());
    if (block == 1) break;
  }
  const Bytes rule = source.view(in.position(), 512);
  const std::size_t end = as_text(rule).find('\n', 1);
  if (rule.empty() || rule[0] != '\n' || end == std::string_view::npos)
    return Walk::malformed(in.position(), "no rule behind the times");
  return Walk::complete(in.position() + end + 1);
}

// A buddy allocator (Wim Lewis, "DS_Store format"): names and places of icons.
Walk walk_ds_store(Source& source, Session& session) {
  Cursor in(source, 8);
  const auto first = in.be<std::uint32_t>();
  const auto size = in.be<std::uint32_t>();
  const auto second = in.be<std::uint32_t>();
  if (!first || !size || first != second) return Walk::none();
  const std::uint64_t end = source.wait_end();
  if (std::uint64_t{*first} + *size + 4 > end) return Walk::truncated(end);
  scan_aside(session, "blocks", source, 36, end - 36);
  return Walk::complete(end);
}

Walk walk_icns(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto length = in.be<std::uint32_t>();
  if (!length || *length < 8) return Walk::none();
  while (in.position() < *length) {
    const std::uint64_t begin = in.position();
    in.skip(4);
    const auto size = in.be<std::uint32_t>();
    if (!size) return Walk::truncated(begin);
    if (*size < 8 || *size > *length - begin) return Walk::malformed(begin, "an impossible icon");
    scan_aside(session, "icon", source, begin + 8, *size - 8);
    in.seek(begin + *size);
  }
  return Walk::complete(*length);
}

// ICC.1:2022: the size stands first, "acsp" at 36.
Walk walk_icc(Source& source, Session& /*session*/) {
  const auto size = Cursor(source).be<std::uint32_t>();
  return size && *size >= 132 ? Walk::complete(*size) : Walk::none();
}

// CFBinaryPList.c: a trailer of 32 bytes says how objects are found.
Walk walk_bplist(Source& source, Session& session) {
  const std::uint64_t end = source.wait_end();
  if (end < 40) return Walk::truncated(end);
  Cursor in(source, end - 26);
  const auto offset_size = in.le<std::uint8_t>();
  const auto reference_size = in.le<std::uint8_t>();
  const auto objects = in.be<std::uint64_t>();
  in.skip(8);
  const auto table = in.be<std::uint64_t>();
  if (!offset_size || !reference_size || !objects || !table || *offset_size == 0 ||
      *offset_size > 8 || *reference_size == 0 || *reference_size > 8 || *table > end - 32 ||
      *objects > (end - 32 - *table) / *offset_size)
    return Walk::malformed(end - 32, "a trailer that can't be");
  scan_aside(session, "objects", source, 8, *table - std::min<std::uint64_t>(*table, 8));
  return Walk::complete(end);
}

// Standard MIDI Files 1.0: chunks.
Walk walk_midi(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto length = in.be<std::uint32_t>();
  in.skip(2);
  const auto tracks = in.be<std::uint16_t>();
  if (!length || *length < 6 || *length > 64 || !tracks) return Walk::none();
  in.seek(8 + std::uint64_t{*length});
  for (unsigned seen = 0; seen < *tracks;) {
    const std::uint64_t begin = in.position();
    const auto head = in.take(4);
    if (!head) return Walk::truncated(begin);
    const bool track = starts_with(*head, "MTrk");
    const auto size = in.be<std::uint32_t>();
    if (!size) return Walk::truncated(begin);
    if (!track) scan_aside(session, "chunk", source, in.position(), *size);
    in.seek(in.position() + *size);
    seen += track ? 1 : 0;
    if (*size > 0 && source.view(in.position() - 1, 1).empty()) return Walk::truncated(begin);
  }
  return Walk::complete(in.position());
}

// AppleDouble 2 (RFC 1740): what macOS keeps beside a file in zips and tars, as "._name".
Walk walk_apple_double(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto version = in.be<std::uint32_t>();
  in.skip(16);
  const auto count = in.be<std::uint16_t>();
  if (!version || *version != 0x00020000 || !count || *count > 64) return Walk::none();
  std::uint64_t end = 26 + std::uint64_t{*count} * 12;
  for (unsigned i = 0; i < *count; ++i) {
    const auto id = in.be<std::uint32_t>();
    const auto at = in.be<std::uint32_t>();
    const auto length = in.be<std::uint32_t>();
    if (!id || !at || !length) return Walk::truncated(in.position());
    end = std::max(end, std::uint64_t{*at} + *length);
  }
  scan_aside(session, "entries", source, 26, end - 26);
  return Walk::complete(end);
}

} // namespace hubgate::asset

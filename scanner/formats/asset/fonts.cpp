// Fonts: OpenType 1.9 (sfnt and collections), WOFF 1 and 2, Embedded OpenType. Nothing is rendered.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/asset/asset.hpp"

namespace hubgate::asset {
namespace {

constexpr std::uint64_t k_record = 16;
constexpr unsigned k_max_tables = 128;
constexpr std::uint32_t k_max_fonts = 1024;

bool is_tag(Bytes tag) {
  return tag.size() == 4 &&
         std::all_of(tag.begin(), tag.end(), [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; });
}

// The table directory at `at`: the end of the furthest table, or nothing.
std::optional<std::uint64_t> directory_end(Source& source, std::uint64_t at) {
  Cursor in(source, at + 4);
  const auto tables = in.be<std::uint16_t>();
  if (!tables || *tables == 0 || *tables > k_max_tables || !in.skip(6)) return std::nullopt;
  std::uint64_t end = at + 12 + *tables * k_record;
  for (unsigned i = 0; i < *tables; ++i) {
    const auto tag = in.take(4);
    if (!tag || !is_tag(*tag)) return std::nullopt;
    in.skip(4);
    const auto offset = in.be<std::uint32_t>();
    const auto length = in.be<std::uint32_t>();
    if (!offset || !length) return std::nullopt;
    end = std::max(end, std::uint64_t{*offset} + *length);
  }
  return end;
}

} // namespace

Walk walk_sfnt(Source& source, Session& /*session*/) {
  const auto end = directory_end(source, 0);
  return end ? Walk::complete(*end) : Walk::none();
}

Walk walk_font_collection(Source& source, Session& /*session*/) {
  Cursor in(source, 4);
  const auto version = in.be<std::uint16_t>();
  in.skip(2);
  const auto fonts = in.be<std::uint32_t>();
  if (!version || (*version != 1 && *version != 2) || !fonts || *fonts == 0 || *fonts > k_max_fonts)
    return Walk::none();
  std::uint64_t end = 0;
  for (std::uint32_t i = 0; i < *fonts; ++i) {
    const auto at = in.be<std::uint32_t>();
    if (!at) return Walk::truncated(in.position());
    const auto last = directory_end(source, *at);
    if (!last) return Walk::malformed(*at, "a font of a collection that can't be read");
    end = std::max(end, *last);
  }
  return Walk::complete(end);
}

Walk walk_woff(Source& source, Session& /*session*/) {
  Cursor in(source, 8);
  const auto length = in.be<std::uint32_t>();
  const auto tables = in.be<std::uint16_t>();
  const auto reserved = in.be<std::uint16_t>();
  if (!length || !tables || !reserved || *tables == 0 || *tables > k_max_tables || *reserved != 0 ||
      *length < 44)
    return Walk::none();
  return Walk::complete(*length);
}

Walk walk_eot(Source& source, Session& /*session*/) {
  Cursor in(source);
  const auto size = in.le<std::uint32_t>();
  const auto font = in.le<std::uint32_t>();
  const auto version = in.le<std::uint32_t>();
  if (!size || !font || !version || *font >= *size ||
      (*version != 0x00010000 && *version != 0x00020001 && *version != 0x00020002))
    return Walk::none();
  return Walk::complete(*size);
}

} // namespace hubgate::asset

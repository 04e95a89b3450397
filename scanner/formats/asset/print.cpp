// What TeX leaves behind: PostScript fonts in their binary form, and DVI.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/asset/asset.hpp"

namespace hubgate::asset {

// Adobe Technical Note 5040, "Supporting Downloadable PostScript Language Fonts": segments of text
// and of binary, each with its length, then an end.
Walk walk_pfb(Source& source, Session& session) {
  const std::string_view first = as_text(source.view(6, 14));
  if (!first.starts_with("%!PS-AdobeFont") && !first.starts_with("%!FontType")) return Walk::none();
  Cursor in(source);
  for (int segments = 0; segments < 4096; ++segments) {
    const std::uint64_t begin = in.position();
    const auto mark = in.le<std::uint8_t>();
    const auto type = in.le<std::uint8_t>();
    if (!mark || !type) return Walk::truncated(begin);
    if (*mark != 0x80 || *type < 1 || *type > 3) return Walk::malformed(begin, "no segment");
    if (*type == 3) return Walk::complete(in.position());
    const auto length = in.le<std::uint32_t>();
    if (!length) return Walk::truncated(begin);
    const std::uint64_t end = in.position() + *length;
    if (*length == 0 || source.view(end - 1, 1).empty()) return Walk::truncated(begin);
    scan_aside(session, "segment", source, in.position(), *length);
    in.seek(end);
  }
  return Walk::malformed(in.position(), "too many segments");
}

// D. E. Knuth, "DVItype", section 14 and 19: a preamble, pages, a postamble that is found from
// behind. Specials may ask a driver for anything, so all of it is searched.
Walk walk_dvi(Source& source, Session& session) {
  constexpr std::uint8_t k_post = 248;
  constexpr std::uint8_t k_post_post = 249;
  constexpr std::uint8_t k_padding = 223;
  const std::uint64_t end = source.wait_end();
  if (end < 64) return Walk::none();
  const std::uint64_t from = end - 64;
  const Bytes tail = source.view(from, 64);
  std::size_t at = tail.size();
  while (at > 0 && tail[at - 1] == k_padding)
    --at;
  // post_post, a pointer to post, the version, then four to seven times 223.
  if (tail.size() - at < 4 || at < 6 || tail[at - 6] != k_post_post || tail[at - 1] != 2)
    return Walk::truncated(end);
  const auto post = Reader(tail.subspan(at - 5)).be<std::uint32_t>().value_or(0);
  const std::uint64_t last = from + at - 6;
  const Bytes mark = source.view(post, 1);
  if (post >= last || mark.empty() || mark[0] != k_post)
    return Walk::malformed(last, "the postamble is not where it should be");
  scan_aside(session, "content", source, 14, end - 14);
  return Walk::complete(end);
}

} // namespace hubgate::asset

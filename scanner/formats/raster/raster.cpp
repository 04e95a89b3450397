// Pictures that are rarer than PNG and JPEG: JPEG 2000, OpenEXR, QOI, the PNM family, DDS, TGA. See
// README.md.
#include "scanner/formats/raster/raster.hpp"

#include "scanner/core/format.hpp"

#include <array>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::string_view name;
  std::string_view magic;
  Claim claim;
  Walk (*walk)(Source&, Session&);
};

constexpr std::array<Kind, 12> k_kinds{{
    {"JPEG 2000", "\0\0\0\x0cjP  \r\n\x87\n"sv, Claim::yes, raster::walk_jp2},
    {"JPEG 2000 codestream", "\xff\x4f\xff\x51\0"sv, Claim::yes, raster::walk_j2k},
    {"QOI", "qoif\0"sv, Claim::maybe, raster::walk_qoi},
    {"OpenEXR", "\x76\x2f\x31\x01\x02"sv, Claim::yes, raster::walk_exr},
    {"PNM", "P4"sv, Claim::maybe, raster::walk_pnm},
    {"PNM", "P5"sv, Claim::maybe, raster::walk_pnm},
    {"PNM", "P6"sv, Claim::maybe, raster::walk_pnm},
    {"PAM", "P7\n"sv, Claim::maybe, raster::walk_pnm},
    {"PFM", "PF"sv, Claim::maybe, raster::walk_pnm},
    {"PFM", "Pf"sv, Claim::maybe, raster::walk_pnm},
    {"DDS", "DDS \x7c\0\0\0"sv, Claim::yes, raster::walk_dds},
    {"TGA", ""sv, Claim::maybe, raster::walk_tga},
}};

const Kind* kind_of(Bytes head) {
  for (const Kind& kind: k_kinds) {
    if (!starts_with(head, kind.magic)) continue;
    if (kind.magic.empty() && !raster::is_tga_header(head)) continue;
    return &kind;
  }
  return nullptr;
}

Claim probe(const Probe& probe) {
  const Kind* const kind = kind_of(probe.head);
  return kind == nullptr ? Claim::no : kind->claim;
}

Reading scan(Source& source, Session& session) {
  const Kind* const kind = kind_of(source.view(0, 18));
  if (kind == nullptr) return Reading::none;
  return settle(kind->walk(source, session), kind->name, source, session);
}

} // namespace

extern const Format format_raster;
const Format format_raster{"raster", "raster", probe, scan, {}};

} // namespace hubgate

// Images that stand beside models and in datasets. See README.md.
#include "scanner/formats/image/image.hpp"

#include "scanner/core/format.hpp"

#include <array>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::string_view name;
  std::string_view magic;
  std::size_t at; ///< of the magic
  Claim claim;
  Walk (*walk)(Source&, Session&);
};

constexpr std::array<Kind, 12> k_kinds{{
    {"PNG", "\x89PNG\r\n\x1a\n"sv, 0, Claim::yes, image::walk_png},
    {"JPEG", "\xff\xd8\xff"sv, 0, Claim::yes, image::walk_jpeg},
    {"GIF", "GIF87a"sv, 0, Claim::yes, image::walk_gif},
    {"GIF", "GIF89a"sv, 0, Claim::yes, image::walk_gif},
    {"WebP", "WEBP"sv, 8, Claim::yes, image::walk_webp},
    {"BMP", "BM"sv, 0, Claim::maybe, image::walk_bmp},
    {"TIFF", "II*\0"sv, 0, Claim::maybe, image::walk_tiff},
    {"TIFF", "MM\0*"sv, 0, Claim::maybe, image::walk_tiff},
    {"TIFF", "II+\0"sv, 0, Claim::maybe, image::walk_tiff},
    {"TIFF", "MM\0+"sv, 0, Claim::maybe, image::walk_tiff},
    {"ICO", "\0\0\1\0"sv, 0, Claim::maybe, image::walk_ico},
    {"CUR", "\0\0\2\0"sv, 0, Claim::maybe, image::walk_ico},
}};

const Kind* kind_of(Bytes head) {
  for (const Kind& kind: k_kinds) {
    if (head.size() < kind.at || !starts_with(head.subspan(kind.at), kind.magic)) continue;
    if (kind.at != 0 && !starts_with(head, "RIFF")) continue;
    return &kind;
  }
  return nullptr;
}

Claim probe(const Probe& probe) {
  const Kind* const kind = kind_of(probe.head);
  return kind == nullptr ? Claim::no : kind->claim;
}

Reading scan(Source& source, Session& session) {
  const Kind* const kind = kind_of(source.view(0, 16));
  if (kind == nullptr) return Reading::none;
  return settle(kind->walk(source, session), kind->name, source, session);
}

} // namespace

extern const Format format_image;
const Format format_image{"image", "image", probe, scan, {}};

} // namespace hubgate

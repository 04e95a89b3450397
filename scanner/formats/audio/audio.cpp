// Audio (and ISO media files) in datasets. See README.md.
#include "scanner/formats/audio/audio.hpp"

#include "scanner/core/format.hpp"

#include <array>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::string_view name;
  std::string_view magic;
  std::string_view second; ///< at 8
  std::size_t at;          ///< of the magic
  Claim claim;
  Walk (*walk)(Source&, Session&);
};

constexpr std::array<Kind, 12> k_kinds{{
    {"WAVE", "RIFF"sv, "WAVE"sv, 0, Claim::yes, audio::walk_wave},
    {"WAVE", "RF64"sv, "WAVE"sv, 0, Claim::yes, audio::walk_wave},
    {"WAVE", "BW64"sv, "WAVE"sv, 0, Claim::yes, audio::walk_wave},
    {"WAVE", "RIFX"sv, "WAVE"sv, 0, Claim::yes, audio::walk_wave},
    {"NIST SPHERE", "NIST_1A\n"sv, ""sv, 0, Claim::maybe, audio::walk_sphere},
    {"AIFF", "FORM"sv, "AIFF"sv, 0, Claim::yes, audio::walk_aiff},
    {"AIFF", "FORM"sv, "AIFC"sv, 0, Claim::yes, audio::walk_aiff},
    {"MP3", "ID3"sv, ""sv, 0, Claim::maybe, audio::walk_mpeg},
    {"FLAC", "fLaC"sv, ""sv, 0, Claim::yes, audio::walk_flac},
    {"Ogg", "OggS\0"sv, ""sv, 0, Claim::yes, audio::walk_ogg},
    {"ISO media", "ftyp"sv, ""sv, 4, Claim::yes, audio::walk_boxes},
    {"MP3", "\xff"sv, ""sv, 0, Claim::maybe, audio::walk_mpeg},
}};

const Kind* kind_of(Bytes head) {
  for (const Kind& kind: k_kinds) {
    if (head.size() < 12 || !starts_with(head.subspan(kind.at), kind.magic)) continue;
    if (!starts_with(head.subspan(8), kind.second)) continue;
    if (kind.magic.size() == 1 && audio::mpeg_frame_length(head.first(4)) == 0) continue;
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

extern const Format format_audio;
const Format format_audio{"audio", "audio", probe, scan, {}};

} // namespace hubgate

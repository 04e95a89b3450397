// Fonts, message catalogues, time zones, icons, scientific data: files that packages and datasets
// ship beside what matters. Known, so that they are not opaque. See README.md.
#include "scanner/formats/asset/asset.hpp"

#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"

#include <array>
#include <vector>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::string_view name;
  std::string_view magic;
  std::size_t at;
  Claim claim;
  Walk (*walk)(Source&, Session&);
};

constexpr std::array<Kind, 39> k_kinds{{
    {"TrueType font", "\0\1\0\0\0"sv, 0, Claim::maybe, asset::walk_sfnt},
    {"OpenType font", "OTTO\0"sv, 0, Claim::maybe, asset::walk_sfnt},
    {"TrueType font", "true\0"sv, 0, Claim::maybe, asset::walk_sfnt},
    {"font collection", "ttcf\0"sv, 0, Claim::maybe, asset::walk_font_collection},
    {"WOFF", "wOFF"sv, 0, Claim::maybe, asset::walk_woff},
    {"WOFF2", "wOF2"sv, 0, Claim::maybe, asset::walk_woff},
    {"EOT", "LP"sv, 34, Claim::maybe, asset::walk_eot},
    {"message catalogue", "\xde\x12\x04\x95"sv, 0, Claim::maybe, asset::walk_mo},
    {"message catalogue", "\x95\x04\x12\xde"sv, 0, Claim::maybe, asset::walk_mo},
    {"time zone", "TZif"sv, 0, Claim::maybe, asset::walk_tzif},
    {"folder settings", "\0\0\0\1Bud1"sv, 0, Claim::yes, asset::walk_ds_store},
    {"icons", "icns"sv, 0, Claim::maybe, asset::walk_icns},
    {"colour profile", "acsp"sv, 36, Claim::maybe, asset::walk_icc},
    {"property list", "bplist00"sv, 0, Claim::yes, asset::walk_bplist},
    {"MIDI", "MThd\0\0"sv, 0, Claim::maybe, asset::walk_midi},
    {"netCDF", "CDF\1"sv, 0, Claim::maybe, asset::walk_netcdf},
    {"netCDF", "CDF\2"sv, 0, Claim::maybe, asset::walk_netcdf},
    {"netCDF", "CDF\5"sv, 0, Claim::maybe, asset::walk_netcdf},
    {"IDL file", "SR\0\4"sv, 0, Claim::maybe, asset::walk_idl},
    {"IDL file", "SR\0\6"sv, 0, Claim::maybe, asset::walk_statistics},
    {"AppleDouble", "\0\5\x16\7"sv, 0, Claim::maybe, asset::walk_apple_double},
    {"faiss index", "Ix"sv, 0, Claim::maybe, asset::walk_faiss},
    {"faiss index", "IH"sv, 0, Claim::maybe, asset::walk_faiss},
    {"faiss index", "Iw"sv, 0, Claim::maybe, asset::walk_faiss},
    {"FITS", "SIMPLE  =                    T"sv, 0, Claim::yes, asset::walk_fits},
    {"SAS file",
     "\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\0\x09\xc7\x31\x8c"sv, 0,
     Claim::yes, asset::walk_statistics},
    {"SAS transport file", "HEADER RECORD*******LIB"sv, 0, Claim::yes, asset::walk_statistics},
    {"Stata file", "<stata_dta><header>"sv, 0, Claim::yes, asset::walk_statistics},
    {"SPSS file", "$FL2@(#)"sv, 0, Claim::yes, asset::walk_statistics},
    {"SPSS file", "$FL3@(#)"sv, 0, Claim::yes, asset::walk_statistics},
    {"DICOM", "DICM"sv, 128, Claim::yes, asset::walk_dicom},
    {"NIfTI", "n+1\0"sv, 344, Claim::maybe, asset::walk_nifti},
    {"NIfTI", "ni1\0"sv, 344, Claim::maybe, asset::walk_nifti},
    {"NIfTI", "n+2\0\r\n\x1a\n"sv, 4, Claim::maybe, asset::walk_nifti},
    {"PostScript font", "\x80\1"sv, 0, Claim::maybe, asset::walk_pfb},
    {"DVI", "\xf7\2\1\x83\x92\xc0\x1c\x3b\0\0\0\0"sv, 0, Claim::maybe, asset::walk_dvi},
    {"IDX", "\0\0"sv, 0, Claim::maybe, asset::walk_idx},
    {"MATLAB 4 file", ""sv, 0, Claim::maybe, asset::walk_mat4},
    {"Fortran records", ""sv, 0, Claim::maybe, asset::walk_fortran},
}};

// Without a magic the first number must fit: a matrix's type, or a record's length that comes
// again.
bool may_be(const Kind& kind, Bytes head, std::optional<std::uint64_t> size) {
  const auto first = Reader(head).le<std::uint32_t>();
  if (!first || !size || *size < 20 || head.size() < 20) return false;
  if (kind.walk == asset::walk_mat4) {
    const auto turned = Reader(head).be<std::uint32_t>().value_or(0);
    const auto name = Reader(head.subspan(16)).le<std::uint32_t>().value_or(0);
    return (*first < 60 && name > 0 && name <= 256) || (turned >= 1000 && turned < 1060);
  }
  if (*first == 0 || *first % 4 != 0 || std::uint64_t{*first} + 8 > *size) return false;
  if (std::uint64_t{*first} + 8 > head.size()) return true;
  return Reader(head.subspan(4 + *first)).le<std::uint32_t>() == first;
}

// Every kind whose magic fits is tried: some magics are short.
template <typename Each> void kinds_of(Bytes head, std::optional<std::uint64_t> size, Each each) {
  for (const Kind& kind: k_kinds) {
    const bool fits = kind.magic.empty() ? may_be(kind, head, size)
                                         : head.size() >= kind.at + kind.magic.size() &&
                                               starts_with(head.subspan(kind.at), kind.magic);
    if (fits && each(kind)) return;
  }
}

Claim probe(const Probe& probe) {
  Claim claim = Claim::no;
  kinds_of(probe.head, probe.size_known ? std::optional<std::uint64_t>(probe.size) : std::nullopt,
           [&](const Kind& kind) {
             claim = kind.claim;
             return claim == Claim::yes;
           });
  return claim;
}

Reading scan(Source& source, Session& session) {
  const Bytes view = source.view(0, Probe::k_head);
  const std::vector<std::uint8_t> head(view.begin(), view.end());
  Reading reading = Reading::none;
  kinds_of(head, source.size(), [&](const Kind& kind) {
    reading = settle(kind.walk(source, session), kind.name, source, session);
    return reading != Reading::none;
  });
  return reading;
}

} // namespace

extern const Format format_asset;
const Format format_asset{"asset", "asset", probe, scan, {}};

} // namespace hubgate

// Fonts, message catalogues, time zones, icons, scientific data: files that packages and datasets
// ship beside what matters. Known, so that they are not opaque. See README.md.
#include "scanner/formats/asset/asset.hpp"

#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"

#include <array>

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

constexpr std::array<Kind, 27> k_kinds{{
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
    {"MATLAB 5 file", "MATLAB 5.0 MAT-file"sv, 0, Claim::yes, asset::walk_mat5},
    {"netCDF", "CDF\1"sv, 0, Claim::maybe, asset::walk_netcdf},
    {"netCDF", "CDF\2"sv, 0, Claim::maybe, asset::walk_netcdf},
    {"netCDF", "CDF\5"sv, 0, Claim::maybe, asset::walk_netcdf},
    {"IDL file", "SR\0\4"sv, 0, Claim::maybe, asset::walk_idl},
    {"FITS", "SIMPLE  =                    T"sv, 0, Claim::yes, asset::walk_fits},
    {"SAS file",
     "\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\0\x09\xc7\x31\x8c"sv, 0,
     Claim::yes, asset::walk_statistics},
    {"SAS transport file", "HEADER RECORD*******LIB"sv, 0, Claim::yes, asset::walk_statistics},
    {"Stata file", "<stata_dta><header>"sv, 0, Claim::yes, asset::walk_statistics},
    {"SPSS file", "$FL2@(#)"sv, 0, Claim::yes, asset::walk_statistics},
    {"SPSS file", "$FL3@(#)"sv, 0, Claim::yes, asset::walk_statistics},
    {"Fortran records", ""sv, 0, Claim::maybe, asset::walk_fortran},
}};

// Length, record, length again: decided by the first record where it lies in the head.
bool may_be_fortran(Bytes head) {
  const auto length = Reader(head).le<std::uint32_t>();
  if (!length || *length == 0 || *length % 4 != 0 || *length > (std::uint32_t{1} << 28))
    return false;
  if (std::uint64_t{*length} + 8 > head.size()) return false;
  return Reader(head.subspan(4 + *length)).le<std::uint32_t>() == length;
}

const Kind* kind_of(Bytes head) {
  for (const Kind& kind: k_kinds) {
    if (kind.magic.empty()) return may_be_fortran(head) ? &kind : nullptr;
    if (head.size() >= kind.at + kind.magic.size() &&
        starts_with(head.subspan(kind.at), kind.magic))
      return &kind;
  }
  return nullptr;
}

Claim probe(const Probe& probe) {
  const Kind* const kind = kind_of(probe.head);
  return kind == nullptr ? Claim::no : kind->claim;
}

Reading scan(Source& source, Session& session) {
  const Kind* const kind = kind_of(source.view(0, Probe::k_head));
  if (kind == nullptr) return Reading::none;
  return settle(kind->walk(source, session), kind->name, source, session);
}

} // namespace

extern const Format format_asset;
const Format format_asset{"asset", "asset", probe, scan, {}};

} // namespace hubgate

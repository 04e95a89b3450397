#pragma once
// Walkers of small files that stand beside models and in packages: each finds the logical end of
// its kind (scanner/core/media.hpp) and reads nothing else.
#include "scanner/core/media.hpp"

namespace hubgate::asset {

// fonts.cpp
Walk walk_sfnt(Source& source, Session& session);
Walk walk_font_collection(Source& source, Session& session);
Walk walk_woff(Source& source, Session& session);
Walk walk_eot(Source& source, Session& session);

// system.cpp
Walk walk_mo(Source& source, Session& session);
Walk walk_tzif(Source& source, Session& session);
Walk walk_ds_store(Source& source, Session& session);
Walk walk_icns(Source& source, Session& session);
Walk walk_icc(Source& source, Session& session);
Walk walk_bplist(Source& source, Session& session);
Walk walk_midi(Source& source, Session& session);
Walk walk_apple_double(Source& source, Session& session);

// science.cpp
Walk walk_netcdf(Source& source, Session& session);
Walk walk_idl(Source& source, Session& session);
Walk walk_fits(Source& source, Session& session);
Walk walk_statistics(Source& source, Session& session);
Walk walk_fortran(Source& source, Session& session);
Walk walk_mat4(Source& source, Session& session);
Walk walk_idx(Source& source, Session& session);
Walk walk_faiss(Source& source, Session& session);

// medical.cpp
Walk walk_dicom(Source& source, Session& session);
Walk walk_nifti(Source& source, Session& session);

// print.cpp
Walk walk_pfb(Source& source, Session& session);
Walk walk_dvi(Source& source, Session& session);

} // namespace hubgate::asset

#pragma once
// One walker a kind of picture that is rarer than those of formats/image. Each finds the logical
// end of the file (scanner/core/media.hpp) and decodes nothing.
#include "scanner/core/media.hpp"

namespace hubgate::raster {

// codestreams.cpp
Walk walk_jp2(Source& source, Session& session);
Walk walk_j2k(Source& source, Session& session);
Walk walk_qoi(Source& source, Session& session);
Walk walk_exr(Source& source, Session& session);

// plain.cpp
Walk walk_pnm(Source& source, Session& session);
Walk walk_dds(Source& source, Session& session);
Walk walk_tga(Source& source, Session& session);

/// Whether the 18 bytes can be the header of a TGA file, which has no magic.
bool is_tga_header(Bytes head);

} // namespace hubgate::raster

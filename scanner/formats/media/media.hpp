#pragma once
// Walkers of the rarer containers of sound and video: each finds the logical end of its kind
// (scanner/core/media.hpp) and decodes nothing.
#include "scanner/core/media.hpp"

namespace hubgate::media {

// rare.cpp
Walk walk_caf(Source& source, Session& session);
Walk walk_wave64(Source& source, Session& session);
Walk walk_mxf(Source& source, Session& session);
Walk walk_program(Source& source, Session& session);

} // namespace hubgate::media

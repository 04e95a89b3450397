#pragma once
// One walker a kind of audio. Each takes a source whose magic was seen and finds the logical end of
// the file; `session` is for bytes that no player looks at.
#include "scanner/core/media.hpp"

namespace hubgate::audio {

Walk walk_wave(Source& source, Session& session);
Walk walk_sphere(Source& source, Session& session);
Walk walk_aiff(Source& source, Session& session);
Walk walk_mpeg(Source& source, Session& session);
Walk walk_flac(Source& source, Session& session);
Walk walk_ogg(Source& source, Session& session);
Walk walk_boxes(Source& source, Session& session);

/// The length of the MPEG audio frame whose header these four bytes are (11172-3, 2.4.1.3), or 0.
std::uint64_t mpeg_frame_length(Bytes header);

} // namespace hubgate::audio

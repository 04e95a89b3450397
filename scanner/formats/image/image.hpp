#pragma once
// One walker a kind of image. Each takes a source whose magic was seen and finds the logical end of
// the file; `session` is for bytes that no reader of images looks at.
#include "scanner/core/media.hpp"

namespace hubgate::image {

Walk walk_png(Source& source, Session& session);
Walk walk_jpeg(Source& source, Session& session);
Walk walk_gif(Source& source, Session& session);
Walk walk_webp(Source& source, Session& session);
Walk walk_bmp(Source& source, Session& session);
Walk walk_tiff(Source& source, Session& session);
Walk walk_ico(Source& source, Session& session);

} // namespace hubgate::image

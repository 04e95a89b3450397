#pragma once
// Loose objects (gitformat-loose: objects/xx/…): one zlib stream of "KIND SIZE\0" and the content.
#include "scanner/gitstore/pack.hpp"

namespace hubgate::git {

/// Kind and size of the loose object in `file`.
Result<ObjectHeader> loose_header(Source& file);

/// Its content in pieces; exactly as long as its header says.
Result<void> stream_loose(Source& file, const PackReader::Sink& sink);

} // namespace hubgate::git

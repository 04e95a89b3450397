#pragma once
// What the formats that are one compressed stream have in common: decode, scan the content as a
// member, scan what lies beside it, say where the stream ends.
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/session.hpp"

namespace hubgate {

/// Name of the decoded bytes in Finding::where.
inline constexpr std::string_view k_content = "content";

struct CompressedRules {
  const Rule* checksum = nullptr; ///< trailer and content disagree
};

/// Scans the stream that `decoder` reads from `source` as the member `content`. Reports a gap
/// through the engine when it can't be decoded to its end, and then the bytes decoded so far have
/// been scanned. Tells the session where the stream ends, so that the rest is scanned too.
/// Releases nothing before all of it is scanned.
Reading scan_compressed(Source& source, Session& session, DecoderPtr decoder,
                        const CompressedRules& rules = {});

} // namespace hubgate

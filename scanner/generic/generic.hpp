#pragma once
// The generic scan: for bytes that no format claims. Looks for what can be executed or unpacked by
// its structure (executables, archives, pickles, scripts) at any offset.
#include "scanner/core/session.hpp"

namespace hubgate {

/// Scans an unclaimed stream to its end and reports what it finds. Nothing found or a little: the
/// bytes stay opaque either way.
void generic_scan(Source& source, Session& session);

std::span<const Rule> generic_rules();

} // namespace hubgate

#pragma once
// Git over smart HTTP. Packs can't be scanned yet: they are refused, unless the configuration says
// `git.unscanned_packs: pass`; then they are relayed, and the audit log says so.
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

Task<void> serve_git(Visit& visit);

} // namespace hubgate::proxy

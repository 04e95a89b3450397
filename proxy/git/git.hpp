#pragma once
// Git over smart HTTP, in both directions: capabilities are filtered, and packs are judged object
// by object before they go on, unless the configuration says `git: {packs: pass}` or `refuse`.
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

Task<void> serve_git(Visit& visit);

} // namespace hubgate::proxy

#pragma once
// Changes of repositories and references over the hub's API: branches, tags, merges, copies, moves,
// discussions. A reference is not an object (law 5): what a new one names is judged before the hub
// hears of it, and the commit that was judged is the one that is named. Bodies are written anew
// from what was understood.
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

/// A request of Route::change.
Task<void> serve_change(Visit& visit);

} // namespace hubgate::proxy

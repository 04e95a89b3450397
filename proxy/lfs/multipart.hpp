#pragma once
// LFS uploads in parts ("multipart", the hubs' own transfer): parts come in any order, side by side
// and more than once. Each goes on to the upstream's storage as it arrives, where parts are no
// object, and is kept here until the scan, which reads the object from its beginning, has passed
// it. The completion waits for the verdict; without it nothing is ever put together there.
#include "proxy/lfs/links.hpp"
#include "proxy/relay/reply.hpp"

#include <boost/json.hpp>

namespace hubgate::proxy {

inline constexpr std::size_t k_parts_most = 10'000; ///< as object stores have it

/// The upload action of an object in parts as the client gets it, from the upstream's `action`.
/// Nothing: it is none that the gate understands. `link`: the object, without URL and fields.
std::optional<boost::json::object> parts_action(const Visit& visit,
                                                const boost::json::object& action, LfsLink link);

/// PUT of a part to a link of the gate.
Task<void> serve_part(Visit& visit, LfsLink link);

/// POST of the completion to a link of the gate.
Task<void> serve_completion(Visit& visit, LfsLink link);

struct Assembly;

} // namespace hubgate::proxy

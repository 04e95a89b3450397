#pragma once
// Put: an object on its way up. Its bytes are hashed and scanned as they arrive, and go on to the
// upstream behind the scan; the last ones wait for the verdict, so that nothing is complete there
// that the policy blocks.
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

/// Takes the request's body, which must be the object `oid` of `size` bytes, on to `fetch` (a PUT).
/// Answers the client with the upstream's status, or with the refusal.
Task<void> serve_put(Visit& visit, Fetch fetch, Sha256 oid, std::uint64_t size);

} // namespace hubgate::proxy

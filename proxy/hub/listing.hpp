#pragma once
// Listings and pages: the hub's JSON and HTML, small, scanned like everything else, with Xet and
// the upstream's addresses taken out.
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

/// GET or HEAD of the API or of an unknown page, and POST paths-info.
Task<void> serve_listing(Visit& visit);

/// Asks the hub and passes its JSON or HTML on, scanned and rewritten; answers the client whatever
/// comes of it.
Task<void> pass_page(Visit& visit, Fetch fetch);

/// The same where the status is what clients ask for: a body of another kind is left out.
Task<void> pass_status(Visit& visit, Fetch fetch);

/// The scan of bytes that are no object of a repository but reach people (listings, LFS answers).
/// False: it was refused and the client has been told. `digest`: its sha256 (hex).
Task<bool> page_passes(Visit& visit, const std::string& body, Road road, std::string name,
                       std::string& digest);

} // namespace hubgate::proxy

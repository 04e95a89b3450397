#pragma once
// Live relay: an object that is being scanned, sent behind the scan. Nothing leaves that is not
// settled and allowed so far, the last bytes not before the decision.
#include "proxy/relay/object.hpp"

namespace hubgate::proxy {

/// When the first byte leaves.
enum class Release { behind_scan, with_verdict };

/// Answers a GET of the whole object from its flight.
Task<void> relay_live(Visit& visit, Ask ask, std::shared_ptr<Flight> flight, Headers headers,
                      Release release);

} // namespace hubgate::proxy

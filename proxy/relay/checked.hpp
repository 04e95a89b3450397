#pragma once
// Checked relay: an object that has a record, fetched again, each whole block compared with the
// block list of the scan before a byte of it leaves (law 3).
#include "proxy/relay/object.hpp"

namespace hubgate::proxy {

/// Sends the object or the range. `body`: the upstream's answer to a GET of the whole object, if
/// there is one already.
Task<void> relay_checked(Visit& visit, Ask ask, std::shared_ptr<const Outcome> outcome,
                         Wanted wanted, Headers headers, std::unique_ptr<Exchange> body);

/// Goes on with an answer of which `writer` has sent the first bytes. True when it is complete.
Task<bool> continue_checked(Visit& visit, Ask ask, std::shared_ptr<const Outcome> outcome,
                            ByteRange range, BodyWriter& writer, std::unique_ptr<Exchange> body);

} // namespace hubgate::proxy

#pragma once
// Pulls over Xet. A file that the hub has over Xet too is offered at its HEAD with an address for
// its token that names the file: there the client waits while the gate fetches the file out of the
// hub's CAS, hashes and scans it, and there a person gets to read a refusal (hf_xet shows none).
// What leaves afterwards is cut anew (layout.hpp) from blocks that were compared with the list of
// the scan; a CDN that swaps a chunk, or an id that names other bytes than the sha256, is an error.
#include "proxy/cas/ticket.hpp"
#include "proxy/relay/object.hpp"

namespace hubgate::proxy {

/// Adds to the answer of a HEAD how the file is had over Xet, if the hub said so and this gate
/// terminates Xet.
void offer_xet(Visit& visit, Described& what);

/// What the address of a token says of the file that is wanted: `ticket` gets its file, path and
/// sha256. False: the client has been told that it is none of ours.
Task<bool> read_wanted_file(Visit& visit, CasTicket& ticket);

/// Waits until the file is judged, with the ticket of a person whom the hub gave a token. False:
/// the client has been told why not. May add a warning to `headers`.
Task<bool> permit_file(Visit& visit, const CasTicket& ticket, Headers& headers);

/// GET /v1 or /v2/reconstructions/ID.
Task<void> serve_reconstruction(Visit& visit, const CasTicket& ticket, std::string_view version,
                                std::string_view file);

/// GET …/data/SESSION/XORB: a xorb of the gate's own, or a range of it. Without a token, like the
/// signed links of a CDN: the session's name is the secret.
Task<void> serve_xorb(Visit& visit, std::string_view session, std::string_view xorb);

} // namespace hubgate::proxy

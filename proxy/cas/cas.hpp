#pragma once
// The CAS that clients of the gate talk to: tokens of the hub come back as tickets of the gate with
// its own address in them, and what is asked there is read before it passes, in both directions.
// Calls that would carry bytes past the gate (grants) or that it can't answer for are "not found",
// which clients take for an older CAS.
#include "proxy/cas/ticket.hpp"
#include "proxy/relay/gate.hpp"

#include <boost/json/object.hpp>

namespace hubgate::proxy {

/// The path below which the gate is a CAS: "/_hubgate/cas/EPOCH/v1/…".
inline constexpr std::string_view k_cas_word = "cas";

/// GET /api/…/xet-{read,write}-token/REV.
Task<void> serve_cas_token(Visit& visit);

/// Everything below k_cas_word.
Task<void> serve_cas(Visit& visit);

/// POST /v1/telemetry, which clients send to the root of the CAS's host: taken and dropped.
Task<void> serve_cas_telemetry(Visit& visit);

/// `upload`: the action by which an LFS batch answer of the hub sends an object over Xet. What the
/// client gets in its place: the gate's address for the token, and a ticket if the hub gave a token
/// at once. Nothing when it is not one that the gate follows.
std::optional<boost::json::object> xet_upload_action(const Visit& visit,
                                                     const boost::json::object& upload);

/// A request to the CAS behind the gate: the ticket's token goes with it.
Fetch cas_fetch(const Visit& visit, const CasTicket& ticket, std::string method,
                std::string_view path);

} // namespace hubgate::proxy

#pragma once
// Delivery: bytes of a judged file on their way to a client, as a range of one of the gate's own
// xorbs. Here out of a mirror: the chunks of a part, each compared with the list of the scan.
#include "proxy/cas/mirror.hpp"
#include "proxy/cas/source.hpp"
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

/// A judged file that somebody is fetching.
struct CasSession {
  CasTicket ticket;
  Headers fields; ///< of the client, for the CAS
  const Hub* hub = nullptr;
  std::shared_ptr<const Outcome> outcome;
};

struct Delivery {
  Delivery(Visit& visit_, std::shared_ptr<const CasSession> session_, ByteRange stored_)
      : visit(visit_), session(std::move(session_)), stored(stored_), writer(visit_) {}
  Visit& visit;
  std::shared_ptr<const CasSession> session;
  ByteRange stored; ///< bytes of the xorb
  BodyWriter writer;
};

/// The hub's CAS now gives other bytes than were scanned: recorded, and the client is told, or cut
/// off.
Task<void> refuse_differing(Delivery& delivery);

/// What is left when a delivery has not sent all: the end of the connection, or an answer.
Task<void> break_off(Delivery& delivery, std::string error);

/// Part `index` of the mirror; the writer is prepared.
Task<void> deliver_part(Delivery& delivery, std::shared_ptr<const Mirror> mirror,
                        std::size_t index);

} // namespace hubgate::proxy

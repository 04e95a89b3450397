#pragma once
// Objects: how bytes of files reach clients, on every road. A road says what to ask of the upstream
// and what is claimed of the answer; the rest is here: known or not, whole or a range, released
// behind the scan, checked against the block list, refused where the client shows it.
#include "proxy/relay/range.hpp"
#include "proxy/relay/reply.hpp"

#include <functional>

namespace hubgate::proxy {

/// What the upstream says of an object. Claims: they choose a record, nothing more.
struct Described {
  std::string key;               ///< of flights and outcomes: URL without query, ETags, size, rules
  std::optional<Sha256> claimed; ///< from X-Linked-Etag or the ETag, or an LFS oid
  std::optional<std::uint64_t> size; ///< bytes
  std::string etag;                  ///< as sent, with quotes
  Headers passed;                    ///< fields that clients of this road need
  /// What the same answer led to before: chooses a record where nothing is claimed.
  std::optional<Sha256> held;
  std::string xet; ///< id of the file in Xet, if it is there too
};

/// An object on its road.
struct Ask {
  Ask(Fetch fetch_, Road road_) : fetch(std::move(fetch_)), road(road_) {}
  Fetch fetch; ///< a GET; method and Range are set as needed
  Road road;
  /// From elsewhere than the answer's fields (an LFS link).
  std::optional<Sha256> oid;
  std::optional<std::uint64_t> size;
  /// Whether an ETag that looks like a sha256 is one: not on other hosts than hubs.
  bool trusts_etag = true;
  /// A signed link answers the method that it was signed for: GET, and no HEAD.
  bool signed_link = false;
  TimePoint until = TimePoint::max(); ///< how long judge_object() waits
  /// What the road has to say before anything leaves, once the upstream has said yes. False: the
  /// client has been told. May add to what is passed.
  std::function<Task<bool>(Visit&, Described&)> permit;
};

/// Answers a GET or HEAD for an object.
Task<void> serve_object(Visit& visit, Ask ask);

/// The fields of the client's request that go to the upstream with every request for it.
Headers forwarded_fields(const Visit& visit);

/// Claims of an answer; `meta` as in Fetched.
Described describe(const Gate& gate, const Fetched& fetched, const Ask& ask);

/// A flight for the object: the running one, or a new one that reads `source` (which may be null
/// if one is running). Null with a line in `error` when quotas or the worker forbid it.
std::shared_ptr<Flight> flight_for(Visit& visit, const Described& what,
                                   std::unique_ptr<BodySource> source, std::string& error,
                                   bool& busy);

/// The outcome that is already known for what is described, or null.
Task<std::shared_ptr<const Outcome>> known_outcome(Visit& visit, const Described& what);

/// Fetches and scans the object without sending it anywhere, and waits for the end. Null with a
/// line in `error`; `busy`: it may be tried again (the scan goes on when it took too long).
Task<std::shared_ptr<const Outcome>> judge_object(Visit& visit, Ask ask, std::string& error,
                                                  bool& busy);

/// Blocked bytes go to quarantine if the policy says so and all of them are still here.
Task<void> keep_for_review(Gate& gate, Flight& flight, const Decision& decision,
                           const Context& context);

/// Records and returns the decision for an outcome in `context` (its sha256 and size are set here).
Task<Decision> decide(Gate& gate, std::shared_ptr<const Outcome> outcome, Context& context);

} // namespace hubgate::proxy

#pragma once
// Gate: what all requests share, and Visit: one request of one client. Everything here lives on the
// gate's loop; the store is reached through Loop::offload().
#include "policy/gatekeeper.hpp"
#include "proxy/hub/routes.hpp"
#include "proxy/relay/flight.hpp"
#include "proxy/relay/recent.hpp"

namespace hubgate {
class Analyst;
}

namespace hubgate::proxy {

/// The clients that differ in where they can show a refusal.
enum class Client {
  python,  ///< huggingface_hub: at the GET
  rust,    ///< hf-hub: at the HEAD; takes the body of a refused GET for the file
  js,      ///< @huggingface/hub: before the first byte of the body
  git_lfs, ///< in the batch answer
  git,
  other, ///< HEAD passes, the GET is refused
};
Client client_of(std::string_view user_agent);

/// "token:" and the first 8 hex digits of the sha256 of the token, or "anonymous".
std::string user_of(const Headers& headers);

/// A listing or page that was scanned and passed.
struct PassedPage {
  bool as_it_is = false; ///< rewriting changes nothing in it
};

/// The token of an Authorization field, of Bearer or of Basic's password; "" without one.
std::string token_of(const Headers& headers);

class BlobNames;
class Cache;
class Shelf;
struct CasSession;
struct TreeJob;
struct TreeVerdict;
struct TreeBlob;
struct Assembly;

struct Gate {
  Gate(Loop& loop_, const ServeConfig& config_, Gatekeeper& keeper_, WorkerPool& pool_,
       ssl_ctx_st* client_tls)
      : loop(loop_), config(config_), keeper(keeper_), pool(pool_),
        upstream(loop_, config_, client_tls) {}

  Loop& loop;
  const ServeConfig& config;
  Gatekeeper& keeper;
  WorkerPool& pool;
  Upstream upstream;
  Metrics metrics;
  Quota quota;
  std::map<std::string, std::shared_ptr<Flight>> flights;    ///< running, by key
  Recent<std::shared_ptr<const Outcome>> outcomes{20'000};   ///< of finished flights, by key
  Recent<PassedPage> clean_pages{4096};                      ///< by sha256 of listings and pages
  std::map<std::string, std::shared_ptr<TreeJob>> tree_jobs; ///< running, by key
  Recent<std::shared_ptr<const TreeVerdict>> trees{20'000};  ///< by repository and commit
  Cache* cache = nullptr;                                    ///< null: there is none
  std::map<std::string, TimePoint> hubs_away; ///< by name: not asked before then (offline)
  std::uint32_t cached_transfers = 0;         ///< running from the cache's disk
  Recent<std::shared_ptr<const TreeBlob>> tree_blobs{std::size_t{64} << 20}; ///< weighed in bytes
  std::map<std::string, std::shared_ptr<Assembly>> assemblies; ///< uploads in parts, by key
  Recent<std::uint64_t> sizes{100'000}; ///< of objects that were judged, by sha256
  std::shared_ptr<Shelf> shelf;         ///< xorbs that people sent; made when asked for
  std::string link_key;                 ///< for the HMAC of LFS links
  std::shared_ptr<Analyst> analyst;     ///< of packs; made when the first one comes
  std::shared_ptr<BlobNames> blob_names;
  Recent<std::shared_ptr<const CasSession>> cas_sessions{20'000}; ///< pulls over Xet, by name
  std::string spool_directory;
  /// Store::rules(): what is scanned now is scanned with these. Only they make what is remembered
  /// of an object true, so keys of all that is remembered end in them.
  std::string rules;
  std::string with_rules(std::string key) const { return std::move(key) + "\n" + rules; }
  bool draining = false; ///< no further requests on kept connections
};

/// Whose connection it is, and what it was opened for.
struct Guest {
  std::string from;                ///< address
  std::string user;                ///< as the proxy knows them; "" when nobody was asked
  std::vector<std::string> groups; ///< of `user`
  /// Of an intercepted host; the others only count then. Null: the endpoint.
  const Hub* hub = nullptr;
  std::optional<Origin> files; ///< it is a host with files of the hub, and no API
  std::string host;            ///< what its Host field must say
};

/// 16 hex digits, for X-Request-Id.
std::string random_id();

/// How answers are wrapped for an ICAP client (proxy/icap).
struct Envelope {
  bool request = false;     ///< a request is asked about: passing, it goes back as one
  std::string message;      ///< the head of the message, to be given back when it passes
  std::string fields;       ///< of the ICAP answer, with their line ends
  bool may_say_204 = false; ///< "nothing to change" is an answer: the client has all of it
};

struct Visit {
  Visit(Gate& gate_, Connection& connection_)
      : gate(gate_), connection(connection_), hub(&gate_.upstream.hub()) {}
  Gate& gate;
  Connection& connection;
  const Hub* hub; ///< the one that is asked
  RequestHead request;
  Asked asked;
  Direction direction = Direction::pull;
  Client client = Client::other;
  std::string agent;
  std::string user;
  std::vector<std::string> groups; ///< of `user`, as the proxy knows them
  std::optional<Origin> files;     ///< the host that is asked instead of the hub itself
  std::string from;
  std::string gate_url; ///< "https://gate:8443": how this client reaches the gate
  std::string id;       ///< X-Request-Id of answers that have no decision
  bool keep_alive = true;
  bool answered = false;              ///< a head went out
  const Envelope* envelope = nullptr; ///< null: HTTP is spoken

  bool is_head() const { return request.method == "HEAD"; }
  Context context(Road road) const;
  /// Whom quotas count: behind one address there may be many people, but nobody can claim another
  /// one's name.
  const std::string& quota_user() const { return user == "anonymous" ? from : user; }
  /// Whether one more object may be scanned for this person now.
  bool may_scan() const;
};

} // namespace hubgate::proxy

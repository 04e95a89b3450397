#include "proxy/cas/read.hpp"

#include "proxy/cache/serve.hpp"
#include "proxy/cas/cas.hpp"
#include "proxy/cas/layout.hpp"
#include "proxy/cas/source.hpp"
#include "proxy/hub/tree.hpp"

#include <algorithm>

namespace hubgate::proxy {

/// A judged file that somebody is fetching.
struct CasSession {
  CasTicket ticket;
  Headers fields; ///< of the client, for the CAS
  const Hub* hub = nullptr;
  std::shared_ptr<const Outcome> outcome;
};

namespace {

constexpr std::string_view k_parameter = "hubgate";
constexpr std::string_view k_link_use = "file";
constexpr std::string_view k_file_info = "application/vnd.xet-fileinfo+json";
constexpr auto k_look = std::chrono::seconds(2);
/// A flight fetches for everybody who waits; a delivery is one of many of its client.
constexpr std::size_t k_flight_ahead = 8;
constexpr std::uint64_t k_flight_piece = std::uint64_t{4} << 20;
constexpr std::size_t k_delivery_ahead = 3;
constexpr std::uint64_t k_delivery_piece = std::uint64_t{2} << 20;

Headers cas_fields(const Visit& visit) {
  Headers out;
  for (const char* name: {"User-Agent", "X-Xet-Session-Id"})
    if (const auto value = visit.request.headers.get(name)) out.set(name, *value);
  return out;
}

// "models/org/name" of a canonical name.
std::string api_name(const std::string& repo) {
  for (const char* kind: {"datasets/", "spaces/", "kernels/"})
    if (repo.starts_with(kind)) return repo;
  return "models/" + repo;
}

// @huggingface/hub asks like this before every download, and goes by the type of the answer.
bool probes_for_xet(const Visit& visit) {
  return visit.request.method == "GET" && visit.client == Client::js &&
         visit.request.headers.get("range") == "bytes=0-0" &&
         visit.request.headers.get("accept").value_or("").find(k_file_info) !=
             std::string_view::npos;
}

std::string cas_address(const Visit& visit) {
  return visit.gate_url + "/" + std::string(k_lfs_link) + "/" + std::string(k_cas_word) + "/0";
}

void adopt(Visit& visit, const CasTicket& ticket) {
  visit.asked.repo = ticket.repo;
  visit.asked.revision = ticket.revision;
  visit.asked.path = ticket.path;
}

Described described(const Gate& gate, const CasTicket& ticket) {
  Described out;
  out.claimed = sha256_from_hex(ticket.oid);
  out.size = ticket.size;
  out.key = gate.with_rules("xet\n" + ticket.cas + "\n" + ticket.file + "\n" + ticket.oid + "\n" +
                            std::to_string(ticket.size));
  return out;
}

CasAsk ask_of(const Visit& visit, const CasTicket& ticket) {
  CasAsk out;
  out.ticket = ticket;
  out.fields = cas_fields(visit);
  out.hub = visit.hub;
  out.ahead = k_flight_ahead;
  out.piece = k_flight_piece;
  return out;
}

// The flight for the file: the running one, or a new one out of the CAS.
Task<std::shared_ptr<Flight>> start_flight(Visit& visit, const CasTicket& ticket,
                                           const Described& what, std::string& error, bool& busy) {
  Gate& gate = visit.gate;
  std::unique_ptr<BodySource> source = co_await cached_source(visit, what);
  if (!source && gate.flights.count(what.key) == 0 && visit.may_scan()) {
    const ByteRange whole{0, ticket.size - 1};
    CasAsk ask = ask_of(visit, ticket);
    source =
        co_await CasSource::open(gate.loop, gate.pool, gate.upstream, std::move(ask), whole, error);
    if (!source) co_return nullptr;
  }
  co_return flight_for(visit, what, std::move(source), error, busy);
}

// The outcome for the file; fetched and scanned if nobody has. Null with a line in `error`.
Task<std::shared_ptr<const Outcome>> judge_file(Visit& visit, const CasTicket& ticket,
                                                std::string& error, bool& busy) {
  const Described what = described(visit.gate, ticket);
  std::shared_ptr<const Outcome> known = co_await known_outcome(visit, what);
  if (known) co_return known;
  const auto flight = co_await start_flight(visit, ticket, what, error, busy);
  if (!flight) co_return nullptr;
  flight->join();
  ++visit.gate.metrics.waiting;
  while (flight->state() == Flight::State::running && !visit.connection.stream().gone())
    co_await flight->changed().wait(k_look);
  --visit.gate.metrics.waiting;
  flight->leave();
  if (flight->state() == Flight::State::done) co_return flight->outcome();
  error = flight->failure();
  busy = flight->over_quota();
  co_return nullptr;
}

// The outcome if the policy allows it for this request; null: the client has been told.
Task<std::shared_ptr<const Outcome>> allowed_outcome(Visit& visit, const CasTicket& ticket,
                                                     bool record, Headers& headers) {
  std::string error;
  bool busy = false;
  const auto outcome = co_await judge_file(visit, ticket, error, busy);
  if (!outcome) {
    const int status = busy ? 429 : 502;
    co_await reply_error(visit, status, std::move(error));
    co_return nullptr;
  }
  Context context = visit.context(Road::xet);
  context.sha256 = outcome->digest.sha256;
  context.size = outcome->digest.size;
  // One download asks often: the token's decision is recorded, and whatever is refused.
  if (!record && !outcome->mismatch && visit.gate.keeper.preview(outcome->report, context).passes())
    co_return outcome;
  Decision decision = co_await decide(visit.gate, outcome, context);
  if (!decision.passes()) {
    co_await withdraw(visit.gate, decision, outcome->digest.sha256);
    co_await reply_refusal(visit, std::move(decision), std::move(context));
    co_return nullptr;
  }
  ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
  add_verdict(headers, decision, context);
  co_return outcome;
}

} // namespace

void offer_xet(Visit& visit, Described& what) {
  Gate& gate = visit.gate;
  const bool probe = probes_for_xet(visit);
  const bool asks = probe || (visit.is_head() && visit.client == Client::python);
  const bool offered = gate.config.xet == ServeConfig::Xet::terminate && asks &&
                       !what.xet.empty() && what.claimed && what.size && *what.size > 0 &&
                       !visit.asked.repo.empty();
  if (!offered) return;
  CasTicket link;
  link.use = k_link_use;
  link.repo = visit.asked.repo;
  link.revision = std::string(what.passed.get("x-repo-commit").value_or(visit.asked.revision));
  link.path = visit.asked.path;
  link.file = what.xet;
  link.oid = hex(*what.claimed);
  link.size = *what.size;
  link.expires = std::numeric_limits<std::int64_t>::max();
  const std::string route = visit.gate_url + "/api/" + api_name(link.repo) + "/xet-read-token/" +
                            percent_encoded(link.revision) + "?" + std::string(k_parameter) + "=" +
                            seal_ticket(link, gate.link_key);
  what.passed.set("X-Xet-Hash", what.xet);
  what.passed.set("X-Xet-Refresh-Route", route);
  what.passed.set("Link", "<" + route + ">; rel=\"xet-auth\", <" + cas_address(visit) +
                              "/v1/reconstructions/" + what.xet +
                              ">; rel=\"xet-reconstruction-info\"");
  if (!probe) return;
  what.passed.set("Content-Type", k_file_info);
  what.passed.set("X-Linked-Size", std::to_string(link.size));
}

Task<bool> read_wanted_file(Visit& visit, CasTicket& ticket) {
  const auto sealed = query_value(visit.asked.target.query, k_parameter);
  const auto link = sealed ? open_ticket(*sealed, visit.gate.link_key, hubgate::now(), k_link_use)
                           : Result<CasTicket>(Error{"none"});
  if (!link || link->repo != visit.asked.repo) {
    co_await refuse(visit, Road::xet, "xet-unnamed-file",
                    "this Xet token was asked for without naming a file; clear the cached tree "
                    "listings of this repository, or set HF_HUB_DISABLE_XET=1");
    co_return false;
  }
  ticket.revision = link->revision;
  ticket.path = link->path;
  ticket.file = link->file;
  ticket.oid = link->oid;
  ticket.size = link->size;
  co_return true;
}

Task<bool> permit_file(Visit& visit, const CasTicket& ticket, Headers& headers) {
  adopt(visit, ticket);
  Described what = described(visit.gate, ticket);
  const bool permitted = co_await tree_permits(visit, what);
  if (!permitted) co_return false;
  if (const auto warning = what.passed.get("x-hf-warning")) headers.set("X-HF-Warning", *warning);
  const auto outcome = co_await allowed_outcome(visit, ticket, true, headers);
  co_return outcome != nullptr;
}

Task<void> serve_reconstruction(Visit& visit, const CasTicket& ticket, std::string_view version,
                                std::string_view file) {
  Gate& gate = visit.gate;
  if (ticket.file.empty() || !equals_ignoring_case(ticket.file, file)) {
    co_await reply_error(visit, 404, "this token is not for this file");
    co_return;
  }
  adopt(visit, ticket);
  Headers headers;
  const auto outcome = co_await allowed_outcome(visit, ticket, false, headers);
  if (!outcome) co_return;
  const CutFile cut{outcome->digest.sha256, outcome->digest.size};
  Wanted wanted = parse_range(visit.request.headers.get("range"), cut.size);
  if (wanted.kind == RangeKind::whole) wanted.range = ByteRange{0, cut.size - 1};
  if (wanted.kind == RangeKind::unsatisfiable) {
    headers.set("Content-Range", "bytes */" + std::to_string(cut.size));
    co_await reply(visit, 416, std::move(headers), {});
    co_return;
  }
  auto session = std::make_shared<CasSession>();
  session->ticket = ticket;
  session->fields = cas_fields(visit);
  session->hub = visit.hub;
  session->outcome = outcome;
  const std::string name = session_name(ticket, gate.link_key);
  gate.cas_sessions.put(name, std::move(session));
  const std::string address = cas_address(visit) + "/data/" + name + "/";
  const auto url_of = [&](std::uint64_t index) { return address + std::to_string(index); };
  const xet::Reconstruction plan = cut.reconstruction(wanted.range, url_of);
  const xet::Shape shape = version == "v2" ? xet::Shape::v2 : xet::Shape::v1;
  headers.set("Content-Type", "application/json");
  headers.set("Cache-Control", "no-store");
  std::string text = boost::json::serialize(xet::to_json(plan, shape));
  co_await reply(visit, 200, std::move(headers), std::move(text));
}

namespace {

struct Delivery {
  Delivery(Visit& visit_, std::shared_ptr<const CasSession> session_, ByteRange stored_)
      : visit(visit_), session(std::move(session_)), stored(stored_), writer(visit_) {}
  Visit& visit;
  std::shared_ptr<const CasSession> session;
  ByteRange stored; ///< bytes of the xorb
  BodyWriter writer;
};

// The hub's CAS now gives other bytes than were scanned.
Task<void> refuse_differing(Delivery& delivery) {
  Visit& visit = delivery.visit;
  ++visit.gate.metrics.block_mismatches;
  const char* const why = "the hub's CAS now sends other bytes for this object than were scanned";
  if (!delivery.writer.head_sent()) {
    co_await refuse(visit, Road::xet, "served-bytes-differ", why);
    co_return;
  }
  Context context = visit.context(Road::xet);
  Gatekeeper& keeper = visit.gate.keeper;
  co_await visit.gate.loop.offload(
      [&] { return keeper.refuse("served-bytes-differ", why, context); });
  visit.keep_alive = false;
}

// Where the blocks come from: the gate's own copy, or the CAS. Null with a line in `error`.
Task<std::unique_ptr<BodySource>> open_blocks(const Delivery& delivery, ByteRange bytes,
                                              std::string& error) {
  Gate& gate = delivery.visit.gate;
  const ObjectDigest& digest = delivery.session->outcome->digest;
  std::optional<CacheEntry> copy;
  if (Cache* const cache = gate.cache; cache)
    copy = co_await gate.loop.offload([&] { return cache->find(digest.sha256, digest.size); });
  if (copy) {
    std::unique_ptr<BodySource> source =
        std::make_unique<CachedBody>(gate.loop, std::move(*copy), bytes.first);
    co_return source;
  }
  CasAsk ask;
  ask.ticket = delivery.session->ticket;
  ask.fields = delivery.session->fields;
  ask.hub = delivery.session->hub;
  ask.ahead = k_delivery_ahead;
  ask.piece = k_delivery_piece;
  std::unique_ptr<BodySource> source =
      co_await CasSource::open(gate.loop, gate.pool, gate.upstream, std::move(ask), bytes, error);
  co_return source;
}

Task<bool> read_block(BodySource& source, std::span<std::uint8_t> out) {
  for (std::size_t have = 0; have < out.size();) {
    const std::int64_t n = co_await source.read(out.subspan(have));
    if (n <= 0) co_return false;
    have += static_cast<std::size_t>(n);
  }
  co_return true;
}

// Whether the gate's copy was damaged and is gone now: then the CAS may still have the bytes.
Task<bool> gave_up_copy(Gate& gate, const BodySource& source, Sha256 sha256) {
  if (dynamic_cast<const CachedBody*>(&source) == nullptr) co_return false;
  Cache& cache = *gate.cache;
  co_await gate.loop.offload([&] {
    cache.evict(sha256, Cache::Why::damage);
    return true;
  });
  co_return true;
}

// Whole blocks, compared, cut into chunks, and of those what is wanted.
Task<void> deliver(Delivery& delivery, ByteRange bytes) {
  Visit& visit = delivery.visit;
  Gate& gate = visit.gate;
  const ObjectDigest& digest = delivery.session->outcome->digest;
  const BlockSpan span = covering_blocks(bytes);
  const std::uint64_t last = span.bytes(digest.size).last;
  std::string error;
  std::unique_ptr<BodySource> source;
  std::vector<std::uint8_t> block;
  std::vector<std::uint8_t> out;
  for (std::uint64_t index = span.first; index <= span.last;) {
    const std::uint64_t begin = index * k_block_size;
    const ByteRange rest{begin, last};
    if (!source) source = co_await open_blocks(delivery, rest, error);
    if (!source) break;
    block.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(k_block_size, digest.size - begin)));
    const bool read = co_await read_block(*source, block);
    if (!read || !block_matches(digest, index, block)) {
      const bool again = co_await gave_up_copy(gate, *source, digest.sha256);
      error = source->error();
      source.reset();
      if (again) continue;
      if (!read) break;
      co_await refuse_differing(delivery);
      co_return;
    }
    gate.metrics.bytes_in += block.size();
    out.clear();
    append_stored(block, out);
    const std::uint64_t at = CutFile::stored_at(begin);
    const std::uint64_t from = std::max(delivery.stored.first, at) - at;
    const std::uint64_t to = std::min<std::uint64_t>(delivery.stored.last + 1 - at, out.size());
    const bool sent = co_await delivery.writer.send(
        Bytes(out).subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)));
    if (!sent) co_return;
    ++index;
  }
  if (delivery.writer.sent() == delivery.stored.length()) {
    co_await delivery.writer.finish();
    co_return;
  }
  ++gate.metrics.cut_transfers;
  if (delivery.writer.head_sent())
    visit.keep_alive = false;
  else
    co_await reply_error(visit, 502, std::move(error));
}

} // namespace

Task<void> serve_xorb(Visit& visit, std::string_view session_text, std::string_view xorb) {
  Gate& gate = visit.gate;
  const auto* found = gate.cas_sessions.find(std::string(session_text));
  const auto session = found ? *found : nullptr;
  const auto index = parse_decimal(xorb);
  if (!session || !index || session->ticket.expires <= hubgate::now()) {
    // Clients then ask for the reconstruction again.
    co_await reply_error(visit, 403, "this address is not known (any more)");
    co_return;
  }
  visit.user = session->ticket.name;
  adopt(visit, session->ticket);
  const std::shared_ptr<const Outcome> outcome = session->outcome;
  const CutFile cut{outcome->digest.sha256, outcome->digest.size};
  if (*index >= cut.xorbs()) {
    co_await reply_error(visit, 404, "this file has no such xorb");
    co_return;
  }
  const std::uint64_t size = cut.stored_bytes(*index);
  Headers headers;
  headers.set("Content-Type", "application/octet-stream");
  headers.set("Accept-Ranges", "bytes");
  Wanted wanted = parse_range(visit.request.headers.get("range"), size);
  if (wanted.kind == RangeKind::unsatisfiable) {
    headers.set("Content-Range", "bytes */" + std::to_string(size));
    co_await reply(visit, 416, std::move(headers), {});
    co_return;
  }
  const bool stale = outcome->rules != gate.rules;
  Context context = visit.context(Road::xet);
  context.sha256 = outcome->digest.sha256;
  context.size = outcome->digest.size;
  if (stale || !gate.keeper.preview(outcome->report, context).passes()) {
    // Waived, perhaps; or the policy is another one now.
    const auto allowed = co_await allowed_outcome(visit, session->ticket, true, headers);
    if (!allowed) co_return;
  }
  const bool part = wanted.kind == RangeKind::part;
  if (!part) wanted.range = ByteRange{0, size - 1};
  if (part) headers.set("Content-Range", content_range(wanted.range, size));
  Delivery delivery(visit, session, wanted.range);
  delivery.writer.prepare(part ? 206 : 200, headers, wanted.range.length());
  const ByteRange bytes = cut.file_bytes(*index, wanted.range);
  co_await deliver(delivery, bytes);
}

} // namespace hubgate::proxy

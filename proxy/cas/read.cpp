#include "proxy/cas/read.hpp"

#include "proxy/cache/serve.hpp"
#include "proxy/cas/cas.hpp"
#include "proxy/cas/delivery.hpp"
#include "proxy/cas/layout.hpp"
#include "proxy/cas/pulls.hpp"
#include "proxy/hub/tree.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::string_view k_parameter = "hubgate";
constexpr std::string_view k_link_use = "file";
constexpr std::string_view k_file_info = "application/vnd.xet-fileinfo+json";
constexpr auto k_look = std::chrono::seconds(2);
constexpr auto k_tidy = std::chrono::seconds(5);

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
  return out;
}

Task<void> tidy_copy(Gate& gate, std::string key) {
  while (pulls_of(gate).tidy(key))
    co_await gate.loop.sleep(k_tidy);
}

// What a flight leaves behind is of use once its bytes are known to have the sha256.
Task<void> remember_pull(Gate& gate, std::shared_ptr<Flight> flight,
                         std::shared_ptr<const CasCopy> copy, CasTicket ticket) {
  while (flight->state() == Flight::State::running)
    co_await flight->changed().wait(k_look);
  const auto outcome = flight->outcome();
  flight.reset();
  if (!outcome || outcome->mismatch || !copy->chunks) co_return;
  Pulls& pulls = pulls_of(gate);
  if (copy->parts) {
    const std::string key = pull_key(ticket);
    pulls.keep(key, copy->parts, outcome->digest.size);
    gate.loop.spawn([&gate, key] { return tidy_copy(gate, key); });
  }
  co_await remember_chunks(gate, ticket, outcome->digest.sha256, copy->chunks);
}

// The flight for the file: the running one, or a new one out of the CAS.
Task<std::shared_ptr<Flight>> start_flight(Visit& visit, const CasTicket& ticket,
                                           const Described& what, std::string& error, bool& busy) {
  Gate& gate = visit.gate;
  std::unique_ptr<BodySource> source = co_await cached_source(visit, what);
  const bool cached = source != nullptr;
  const auto copy = std::make_shared<CasCopy>();
  if (!source && gate.flights.count(what.key) == 0 && visit.may_scan()) {
    const ByteRange whole{0, ticket.size - 1};
    CasAsk ask = ask_of(visit, ticket);
    source = co_await CasSource::open(gate, std::move(ask), whole, copy, error);
    if (!source) co_return nullptr;
  }
  const bool fetches = source && !cached;
  const auto flight = flight_for(visit, what, std::move(source), error, busy);
  if (flight && fetches)
    gate.loop.spawn(
        [&gate, flight, copy, ticket] { return remember_pull(gate, flight, copy, ticket); });
  co_return flight;
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
  Pulls& pulls = pulls_of(visit.gate);
  const std::string key = pull_key(ticket);
  if (outcome)
    pulls.expect_reader(key);
  else
    pulls.drop(key);
  co_return outcome != nullptr;
}

namespace {

// Whether the gate's cache has the file.
Task<bool> in_cache(Gate& gate, const ObjectDigest& digest) {
  Cache* const cache = gate.cache;
  if (cache == nullptr) co_return false;
  const bool found = co_await gate.loop.offload(
      [&] { return cache->find(digest.sha256, digest.size).has_value(); });
  co_return found;
}

// How the bytes `range` of a file whose chunks are known are to be had just now. Null without a
// line in `error`: another way has to be found.
Task<std::shared_ptr<const Mirror>> mirror_of(Visit& visit, const CasTicket& ticket,
                                              const ObjectDigest& digest, ByteRange range,
                                              std::string& error) {
  Gate& gate = visit.gate;
  Pulls& pulls = pulls_of(gate);
  const std::string key = pull_key(ticket);
  const auto chunks = co_await known_chunks(gate, ticket, digest);
  const bool cached = co_await in_cache(gate, digest);
  if (!chunks || cached) co_return nullptr;
  std::optional<Mirror> made;
  if (const auto copy = pulls.copy(key)) {
    std::vector<CasPart> parts = copy->parts();
    made = Mirror::make(std::move(parts), digest.sha256, chunks, 0, digest.size - 1);
    if (made) made->copy = copy;
    if (made) made->copied = true;
  } else {
    const CasAsk ask = ask_of(visit, ticket);
    int status = 0;
    const auto plan = co_await ask_reconstruction(gate, ask, range, status, error);
    if (!plan || plan->offset_into_first_range > range.first) co_return nullptr;
    std::vector<CasPart> parts = plan_parts(*plan);
    made = Mirror::make(std::move(parts), digest.sha256, chunks,
                        range.first - plan->offset_into_first_range, range.last);
  }
  if (!made) co_return nullptr;
  std::shared_ptr<const Mirror> mirror = std::make_shared<Mirror>(std::move(*made));
  co_return mirror;
}

} // namespace

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
  std::string error;
  const auto mirror = co_await mirror_of(visit, ticket, outcome->digest, wanted.range, error);
  if (!mirror && !error.empty()) {
    co_await reply_error(visit, 502, std::move(error));
    co_return;
  }
  xet::Reconstruction plan;
  if (mirror) {
    const std::string range =
        std::to_string(wanted.range.first) + "-" + std::to_string(wanted.range.last);
    pulls_of(gate).mirrors.put(name + "/" + range, mirror, mirror->weight());
    plan = mirror->reconstruction(wanted.range, [&](std::size_t part) {
      return address + range + "-" + std::to_string(part);
    });
  } else {
    plan = cut.reconstruction(wanted.range,
                              [&](std::uint64_t xorb) { return address + std::to_string(xorb); });
  }
  const xet::Shape shape = version == "v2" ? xet::Shape::v2 : xet::Shape::v1;
  headers.set("Content-Type", "application/json");
  headers.set("Cache-Control", "no-store");
  std::string text = boost::json::serialize(xet::to_json(plan, shape));
  co_await reply(visit, 200, std::move(headers), std::move(text));
}

namespace {

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
  std::unique_ptr<BodySource> source =
      co_await CasSource::open(gate, std::move(ask), bytes, nullptr, error);
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
  co_await break_off(delivery, std::move(error));
}

/// What the last word of an address says: a xorb that the gate cuts, or a part of a mirror.
struct Addressed {
  std::shared_ptr<const Mirror> mirror;
  std::uint64_t index = 0; ///< of the part, or of the xorb
};

std::optional<Addressed> read_address(Gate& gate, const std::string& session,
                                      std::string_view text) {
  Addressed out;
  const std::size_t dash = text.rfind('-');
  const auto index = parse_decimal(dash == text.npos ? text : text.substr(dash + 1));
  if (!index) return std::nullopt;
  out.index = *index;
  if (dash == text.npos) return out;
  const auto* found =
      pulls_of(gate).mirrors.find(session + "/" + std::string(text.substr(0, dash)));
  if (found == nullptr) return std::nullopt;
  out.mirror = *found;
  return out;
}

} // namespace

Task<void> serve_xorb(Visit& visit, std::string_view session_text, std::string_view xorb) {
  Gate& gate = visit.gate;
  const auto* found = gate.cas_sessions.find(std::string(session_text));
  const auto session = found ? *found : nullptr;
  const auto addressed = read_address(gate, std::string(session_text), xorb);
  if (!session || !addressed || session->ticket.expires <= hubgate::now()) {
    // Clients then ask for the reconstruction again.
    co_await reply_error(visit, 403, "this address is not known (any more)");
    co_return;
  }
  visit.user = session->ticket.name;
  adopt(visit, session->ticket);
  const std::shared_ptr<const Outcome> outcome = session->outcome;
  const CutFile cut{outcome->digest.sha256, outcome->digest.size};
  const Mirror* const mirror = addressed->mirror.get();
  const std::uint64_t index = addressed->index;
  if (index >= (mirror ? mirror->parts.size() : cut.xorbs())) {
    co_await reply_error(visit, 404, "this file has no such xorb");
    co_return;
  }
  const std::uint64_t size =
      mirror ? mirror->stored_bytes(mirror->parts[index]) : cut.stored_bytes(index);
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
  if (mirror) {
    co_await deliver_part(delivery, addressed->mirror, index);
    co_return;
  }
  const ByteRange bytes = cut.file_bytes(index, wanted.range);
  co_await deliver(delivery, bytes);
}

} // namespace hubgate::proxy

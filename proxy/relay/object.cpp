#include "proxy/relay/object.hpp"

#include "proxy/cache/serve.hpp"
#include "proxy/hub/rewrite.hpp"
#include "proxy/relay/checked.hpp"
#include "proxy/relay/live.hpp"
#include "proxy/xet/hash.hpp"

#include <fcntl.h>

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr auto k_linger = std::chrono::seconds(30); ///< a scan that a 429 promised goes on
constexpr auto k_goes_on =
    std::chrono::minutes(30); ///< a scan that took longer than a client waits
constexpr auto k_retry_unstorable = std::chrono::seconds(60);
/// How long a range waits for the verdict before its client is asked to come again.
/// huggingface_hub takes ten silent seconds for a failure, the others a minute at least.
constexpr auto k_patience_python = std::chrono::seconds(6);
constexpr auto k_patience = std::chrono::seconds(45);

std::string_view unquoted(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return etag;
}

bool is_encoded(const ResponseHead& head) {
  const auto encoding = head.headers.get("content-encoding");
  return encoding && !encoding->empty() && !equals_ignoring_case(*encoding, "identity");
}

bool is_multipart(const ResponseHead& head) {
  const auto type = head.headers.get("content-type");
  return type && lower(*type).starts_with("multipart/");
}

// In findings, the largest part of a report: about a KiB each.
std::size_t weight_of(const Outcome& outcome) {
  return 1 + outcome.report.findings.size() + outcome.report.gaps.size() +
         outcome.digest.blocks.size() / 32;
}

// Remembers a flight's outcome when it ends, whoever is still there.
Task<void> settle(Gate& gate, std::shared_ptr<Flight> flight, Context context) {
  while (flight->state() == Flight::State::running)
    co_await flight->changed().wait(std::chrono::seconds(5));
  gate.flights.erase(flight->key());
  const std::shared_ptr<const Outcome> outcome = flight->outcome();
  if (!outcome) {
    // It may be the copy that is damaged: the next one comes from the hub.
    if (flight->own_copy()) gate.cache->evict(*flight->claimed(), Cache::Why::damage);
    co_return;
  }
  gate.outcomes.put(flight->key(), outcome, weight_of(*outcome));
  if (outcome->mismatch) co_return;
  Gatekeeper& keeper = gate.keeper;
  const Result<void> stored = co_await gate.loop.offload(
      [&] { return keeper.remember(outcome->digest, outcome->report, outcome->rules); });
  if (!stored && gate.loop.on_error) gate.loop.on_error("store: " + stored.error().message);
  co_await settle_cache(gate, flight->take_fill(), outcome, std::move(context));
}

// After a rename the upstream answers from another path: policies match that one.
void adopt_renamed(Visit& visit, const Url& answered) {
  auto target = parse_target(answered.target);
  if (!target) return;
  const Asked now = classify("GET", std::move(*target));
  if (now.route != Route::object || now.repo.empty()) return;
  visit.asked.repo = now.repo;
  visit.asked.revision = now.revision;
  visit.asked.path = now.path;
}

Headers object_headers(const Described& what) {
  Headers headers = what.passed;
  headers.set("Accept-Ranges", "bytes");
  return headers;
}

// HEAD with everything a client needs to go on. `size` is announced as Content-Length.
Task<void> reply_head(Visit& visit, const Described& what, const Decision* decision,
                      const Context& context) {
  Headers headers = object_headers(what);
  if (decision) add_verdict(headers, *decision, context);
  std::string head;
  BodyWriter writer(visit);
  writer.prepare(200, headers, what.size);
  co_await writer.flush_head();
}

Task<void> serve_head(Visit& visit, Ask ask, Described what) {
  std::shared_ptr<const Outcome> outcome = co_await known_outcome(visit, what);
  // hf-hub takes whatever a GET answers for the file, so it must hear of a refusal now.
  const bool decides_here = visit.client == Client::rust;
  if (decides_here && (!outcome || outcome->mismatch)) {
    std::string error;
    bool busy = false;
    outcome = co_await judge_object(visit, ask, error, busy);
    if (!outcome) {
      co_await reply_error(visit, busy ? 429 : 502, error);
      co_return;
    }
  }
  Context context = visit.context(ask.road);
  if (!decides_here && (!outcome || outcome->mismatch)) {
    co_await reply_head(visit, what, nullptr, context);
    co_return;
  }
  what.size = outcome->digest.size;
  if (ask.road == Road::hub) co_await remember_file(visit, object_headers(what), outcome);
  if (decides_here) {
    Decision decision = co_await decide(visit.gate, outcome, context);
    if (!decision.passes()) {
      co_await reply_refusal(visit, std::move(decision), std::move(context));
      co_return;
    }
    ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
    co_await reply_head(visit, what, &decision, context);
    co_return;
  }
  context.sha256 = outcome->digest.sha256;
  context.size = outcome->digest.size;
  const Decision decision = visit.gate.keeper.preview(outcome->report, context);
  co_await reply_head(visit, what, &decision, context);
}

// `bytes=0-0` of an object that nobody has judged: its size is what is asked for, and one byte
// harms nobody.
Task<void> serve_first_byte(Visit& visit, Ask ask, Described what) {
  ask.fetch.method = "GET";
  ask.fetch.stop_at_border = false;
  ask.fetch.headers.set("Range", "bytes=0-0");
  Fetched got = co_await visit.gate.upstream.follow(ask.fetch);
  std::vector<std::uint8_t> byte(1);
  const bool answered = got.last && got.last->head.status / 100 == 2 && !is_encoded(got.last->head);
  std::int64_t n = -1;
  if (answered) n = co_await got.last->read(byte);
  if (n != 1) {
    if (got.error.empty()) got.error = "the upstream gave no bytes";
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  Headers headers = object_headers(what);
  headers.set("Content-Range", content_range(ByteRange{0, 0}, *what.size));
  BodyWriter writer(visit);
  writer.prepare(206, headers, 1);
  co_await writer.send(byte);
}

Task<void> reply_unsatisfiable(Visit& visit, std::uint64_t size) {
  Headers headers;
  headers.set("Content-Range", "bytes */" + std::to_string(size));
  co_await reply(visit, 416, std::move(headers), {});
}

// An object that is judged: the decision for this request, then the checked bytes.
Task<void> serve_known(Visit& visit, Ask ask, Described what,
                       std::shared_ptr<const Outcome> outcome, std::optional<std::string> range,
                       std::unique_ptr<Exchange> body) {
  Context context = visit.context(ask.road);
  const Wanted wanted = parse_range(range, outcome->digest.size);
  if (wanted.kind == RangeKind::unsatisfiable) {
    co_await reply_unsatisfiable(visit, outcome->digest.size);
    co_return;
  }
  Decision decision = co_await decide(visit.gate, outcome, context);
  if (!decision.passes()) {
    body.reset();
    co_await withdraw(visit.gate, decision, outcome->digest.sha256);
    co_await reply_refusal(visit, std::move(decision), std::move(context));
    co_return;
  }
  ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
  Headers headers = object_headers(what);
  if (ask.road == Road::hub) co_await remember_file(visit, headers, outcome);
  add_verdict(headers, decision, context);
  co_await relay_checked(visit, std::move(ask), std::move(outcome), wanted, std::move(headers),
                         std::move(body));
}

// The flight for a range of an object without a record. Null: the client has been told why not.
Task<std::shared_ptr<Flight>> start_for_range(Visit& visit, Ask ask, const Described& what) {
  std::string error;
  bool busy = false;
  std::unique_ptr<BodySource> source = co_await cached_source(visit, what);
  if (!source && visit.gate.flights.count(what.key) == 0) {
    ask.fetch.method = "GET";
    ask.fetch.stop_at_border = false;
    ask.fetch.headers.remove("Range");
    Fetched got = co_await visit.gate.upstream.follow(ask.fetch);
    if (!got.last || got.last->head.status != 200) {
      if (got.error.empty()) got.error = "the upstream gave no bytes";
      co_await reply_error(visit, 502, got.error);
      co_return nullptr;
    }
    const Described again = describe(visit.gate, got, ask);
    if (again.key != what.key || is_encoded(got.last->head)) {
      co_await reply_error(visit, 502, "the upstream's answers contradict each other");
      co_return nullptr;
    }
    source = std::move(got.last);
  }
  std::shared_ptr<Flight> flight = flight_for(visit, what, std::move(source), error, busy);
  if (flight) co_return flight;
  int status = 502;
  if (busy) status = 429;
  co_await reply_error(visit, status, error);
  co_return nullptr;
}

// A range of an object without a record: nothing of it leaves before the whole is judged. The scan
// starts, and the client waits for it, or is asked to come again.
Task<void> serve_range_when_judged(Visit& visit, Ask ask, Described what, std::string range) {
  const std::shared_ptr<Flight> flight = co_await start_for_range(visit, ask, what);
  if (!flight) co_return;
  Duration patience = k_patience;
  if (visit.client == Client::python) patience = k_patience_python;
  const TimePoint until = Clock::now() + patience;
  flight->join();
  ++visit.gate.metrics.waiting;
  while (flight->state() == Flight::State::running && !visit.connection.stream().gone() &&
         Clock::now() < until)
    co_await flight->changed().wait(std::chrono::milliseconds(500));
  --visit.gate.metrics.waiting;
  const bool running = flight->state() == Flight::State::running;
  if (running) flight->linger(k_linger);
  flight->leave();
  const std::shared_ptr<const Outcome> outcome = flight->outcome();
  if (running) {
    co_await reply_error(visit, 429,
                         "this object is being scanned; ranges of it are served when it is "
                         "judged");
  } else if (!outcome) {
    int status = 502;
    if (flight->over_quota()) status = 429;
    co_await reply_error(visit, status, flight->failure());
  } else {
    std::optional<std::string> wanted = std::move(range);
    co_await serve_known(visit, std::move(ask), std::move(what), outcome, std::move(wanted),
                         nullptr);
  }
}

} // namespace

Headers forwarded_fields(const Visit& visit) {
  Headers out;
  for (const Header field: visit.request.headers) {
    for (const std::string_view passed: {"authorization", "user-agent", "x-amzn-trace-id",
                                         "x-hf-download-counter", "accept-language"})
      if (equals_ignoring_case(field.name, passed)) out.add(field.name, field.value);
    if (equals_ignoring_case(field.name, "accept")) {
      const std::string accept = accept_without_xet(field.value);
      if (!accept.empty()) out.add("Accept", accept);
    }
  }
  out.set("Accept-Encoding", "identity");
  return out;
}

Described describe(const Gate& gate, const Fetched& fetched, const Ask& ask) {
  Described out;
  const Headers& fields = fetched.meta.headers;
  out.etag = std::string(fields.get("x-linked-etag").value_or(fields.get("etag").value_or("")));
  out.claimed = ask.oid;
  if (!ask.oid && ask.trusts_etag) out.claimed = sha256_from_hex(unquoted(out.etag));
  const bool final_at_home = !fetched.left_origin;
  if (ask.size) {
    out.size = ask.size;
  } else if (const auto linked = fields.get("x-linked-size"); linked && parse_decimal(*linked)) {
    out.size = parse_decimal(*linked);
  } else if (fetched.last && fetched.last->head.status == 206) {
    const auto field = fetched.last->head.headers.get("content-range");
    const auto part = field ? parse_content_range(*field) : std::nullopt;
    if (part) out.size = part->total;
  } else if (fetched.last && fetched.last->head.status == 200) {
    const auto length = fetched.last->head.headers.get("content-length");
    if (length && (final_at_home || fetched.last->head.framing == Framing::length))
      out.size = parse_decimal(*length);
  }
  for (const char* name: {"X-Repo-Commit", "ETag", "X-Linked-Etag", "X-Linked-Size",
                          "Content-Disposition", "X-HF-Warning", "Last-Modified"})
    if (const auto value = fields.get(name)) out.passed.add(name, *value);
  if (const auto id = xet::Hash::from_text(fields.get("x-xet-hash").value_or("")))
    out.xet = id->text();
  // Text types are shown by browsers, in the gate's own origin.
  out.passed.set("Content-Type", "application/octet-stream");
  out.passed.set("X-Content-Type-Options", "nosniff");
  out.key = gate.with_rules(fetched.meta_url.without_query() + "\n" + out.etag + "\n" +
                            (ask.oid ? hex(*ask.oid) : "") + "\n" +
                            (out.size ? std::to_string(*out.size) : "?"));
  return out;
}

std::shared_ptr<Flight> flight_for(Visit& visit, const Described& what,
                                   std::unique_ptr<BodySource> source, std::string& error,
                                   bool& busy) {
  Gate& gate = visit.gate;
  busy = false;
  if (const auto at = gate.flights.find(what.key); at != gate.flights.end()) return at->second;
  if (!visit.may_scan()) {
    error = "too many objects are being scanned at once; try again";
    busy = true;
    return nullptr;
  }
  Flight::Options options;
  options.key = what.key;
  options.user = visit.quota_user();
  options.spool_directory = gate.spool_directory;
  options.claimed = what.claimed;
  options.own_copy = dynamic_cast<const CachedBody*>(source.get()) != nullptr;
  if (options.own_copy && !what.claimed) options.claimed = what.held;
  if (!options.own_copy) options.fill = begin_fill(visit, what.size);
  options.rules = gate.rules;
  options.reader_sends = visit.envelope != nullptr;
  options.longest_silence = gate.config.limits.scan;
  options.limits = gate.config.limits;
  auto flight =
      std::make_shared<Flight>(gate.loop, gate.pool, gate.quota, gate.metrics, std::move(options));
  if (const Result<void> started = flight->start(std::move(source)); !started) {
    error = "the scan can't be started: " + started.error().message;
    return nullptr;
  }
  gate.flights[what.key] = flight;
  const Context context = visit.context(Road::hub);
  gate.loop.spawn([&gate, flight, context] { return settle(gate, flight, context); });
  return flight;
}

Task<std::shared_ptr<const Outcome>> known_outcome(Visit& visit, const Described& what) {
  Gate& gate = visit.gate;
  if (const auto* recent = gate.outcomes.find(what.key)) {
    const std::shared_ptr<const Outcome> outcome = *recent;
    // A wrong hash is remembered for the client's retry only: the hub may mend its bytes.
    const bool lasting = Store::storable(outcome->report) && !outcome->mismatch;
    if (lasting || Clock::now() - outcome->made < k_retry_unstorable) co_return outcome;
    gate.outcomes.erase(what.key);
  }
  const std::optional<Sha256> name = what.claimed ? what.claimed : what.held;
  if (!name || !what.size) co_return nullptr;
  const Sha256 claimed = *name;
  const std::uint64_t size = *what.size;
  Gatekeeper& keeper = gate.keeper;
  std::optional<StoredAnalysis> stored =
      co_await gate.loop.offload([&] { return keeper.lookup(claimed, size); });
  if (!stored || !stored->current) co_return nullptr;
  auto outcome = std::make_shared<Outcome>();
  outcome->rules = stored->rules;
  outcome->report = std::move(stored->report);
  outcome->digest.sha256 = claimed;
  outcome->digest.size = size;
  outcome->digest.blocks = std::move(stored->blocks);
  gate.outcomes.put(what.key, outcome, weight_of(*outcome));
  co_return outcome;
}

Task<Decision> decide(Gate& gate, std::shared_ptr<const Outcome> outcome, Context& context) {
  context.sha256 = outcome->digest.sha256;
  context.size = outcome->digest.size;
  gate.sizes.put(hex(outcome->digest.sha256), outcome->digest.size);
  Gatekeeper& keeper = gate.keeper;
  const bool mismatch = outcome->mismatch;
  Decision decision = co_await gate.loop.offload([&] {
    if (mismatch)
      return keeper.refuse("hash-mismatch",
                           "the hub names another sha256 for this object than its bytes have",
                           context);
    return keeper.decide(outcome->report, context);
  });
  co_return decision;
}

namespace {

// The object of a link of the gate, without a look at the storage. The hub authorised it when it
// answered the batch; the link says for whom and until when.
Described describe_link(const Gate& gate, const Ask& ask) {
  Described out;
  out.claimed = ask.oid;
  out.size = ask.size;
  out.etag = "\"" + hex(*ask.oid) + "\"";
  out.passed.set("ETag", out.etag);
  out.passed.set("Content-Type", "application/octet-stream");
  out.passed.set("X-Content-Type-Options", "nosniff");
  out.key = gate.with_rules("sha256\n" + hex(*ask.oid) + "\n" + std::to_string(*ask.size));
  return out;
}

// The outcome of an object whose bytes are in the cache; null when it is not both there and judged.
Task<std::shared_ptr<const Outcome>> held_outcome(Visit& visit, Described what) {
  Cache* cache = visit.gate.cache;
  if (!cache || visit.direction != Direction::pull) co_return nullptr;
  const Sha256 sha256 = *what.claimed;
  const bool there = co_await visit.gate.loop.offload([&] { return cache->has(sha256); });
  if (!there) co_return nullptr;
  std::shared_ptr<const Outcome> outcome = co_await known_outcome(visit, what);
  if (outcome && outcome->mismatch) outcome.reset();
  co_return outcome;
}

} // namespace

Task<void> keep_for_review(Gate& gate, Flight& flight, const Decision& decision,
                           const Context& context) {
  Spool& spool = flight.spool();
  if (decision.action != Action::quarantine || spool.dropped()) co_return;
  Gatekeeper& keeper = gate.keeper;
  Fd memory(::fcntl(spool.memory_fd(), F_DUPFD_CLOEXEC, 0));
  Fd disk(::fcntl(spool.disk_fd(), F_DUPFD_CLOEXEC, 0));
  Fd state(::fcntl(spool.state_fd(), F_DUPFD_CLOEXEC, 0));
  auto source = ArrivingSource::from_spool(std::move(memory), std::move(disk), std::move(state));
  if (!source) co_return;
  co_await gate.loop.offload([&] {
    const auto kept = keeper.quarantine(decision, context, **source);
    return kept.ok();
  });
}

Task<std::shared_ptr<const Outcome>> judge_object(Visit& visit, Ask ask, std::string& error,
                                                  bool& busy) {
  if (ask.oid && ask.size) {
    // What is here and judged needs no look at the storage: the hub has said yes already.
    const Described here = describe_link(visit.gate, ask);
    std::shared_ptr<const Outcome> held = co_await held_outcome(visit, here);
    if (held) co_return held;
  }
  ask.fetch.method = "GET";
  ask.fetch.stop_at_border = false;
  ask.fetch.headers.remove("Range");
  Fetched got = co_await visit.gate.upstream.follow(ask.fetch);
  if (!got.last) {
    error = got.error;
    co_return nullptr;
  }
  if (got.last->head.status != 200 || is_encoded(got.last->head) || is_multipart(got.last->head)) {
    error = "the upstream answers " + std::to_string(got.last->head.status) +
            " where the object "
            "should be";
    co_return nullptr;
  }
  const Described what = describe(visit.gate, got, ask);
  std::shared_ptr<const Outcome> outcome = co_await known_outcome(visit, what);
  if (outcome && !outcome->mismatch) co_return outcome;
  const auto flight = flight_for(visit, what, std::move(got.last), error, busy);
  if (!flight) co_return nullptr;
  flight->join();
  ++visit.gate.metrics.waiting;
  while (flight->state() == Flight::State::running && !visit.connection.stream().gone() &&
         Clock::now() < ask.until)
    co_await flight->changed().wait(std::chrono::seconds(2));
  --visit.gate.metrics.waiting;
  if (flight->state() == Flight::State::running && Clock::now() >= ask.until) {
    flight->linger(k_goes_on);
    flight->leave();
    error = "its scan goes on; try again in a few minutes";
    busy = true;
    co_return nullptr;
  }
  flight->leave();
  if (flight->state() != Flight::State::done) {
    error = flight->failure();
    busy = flight->over_quota();
    co_return nullptr;
  }
  co_return flight->outcome();
}

namespace {

// Tells the client why there is no answer at all.
Task<void> reply_no_answer(Visit& visit, Road road, const Fetched& got) {
  if (got.refused)
    co_await refuse(visit, road, "not-followed", got.error);
  else
    co_await reply_error(visit, 502, got.error);
}

// Follows a redirect that `got` stopped at, and makes sure that the bytes of the object come now.
// False: the client has been told why not.
Task<bool> open_body(Visit& visit, Road road, Fetched& got) {
  const bool crossed = got.next.has_value();
  if (crossed) {
    got.last.reset();
    Fetched beyond = co_await visit.gate.upstream.follow(std::move(*got.next));
    got.next.reset();
    got.last = std::move(beyond.last);
    got.error = std::move(beyond.error);
    got.refused = beyond.refused;
  }
  if (!got.last) {
    co_await reply_no_answer(visit, road, got);
    co_return false;
  }
  const ResponseHead& head = got.last->head;
  if (head.status / 100 == 2 && (is_encoded(head) || is_multipart(head))) {
    co_await refuse(visit, road, "encoded-body",
                    "the upstream sends this object encoded or in parts, which can't be scanned");
    co_return false;
  }
  if (head.status == 200) co_return true;
  // What storage behind the hub says of its signed links is nothing for the client to act on.
  std::string why = "the upstream's storage answers " + std::to_string(head.status) +
                    " where the object should be";
  co_await reply_error(visit, 502, std::move(why));
  co_return false;
}

// A GET of a whole object that nobody has judged.
// `copy`: the gate's own, if it has one.
Task<void> serve_unknown(Visit& visit, Ask ask, Described what, Fetched got, Release release,
                         std::unique_ptr<BodySource> copy) {
  Gate& gate = visit.gate;
  std::unique_ptr<BodySource> source = std::move(copy);
  if (!source && gate.flights.count(what.key) == 0) {
    const bool open = co_await open_body(visit, ask.road, got);
    if (!open) co_return;
    source = std::move(got.last);
  }
  got.last.reset();
  std::string error;
  bool busy = false;
  const auto flight = flight_for(visit, what, std::move(source), error, busy);
  if (!flight) {
    int status = 502;
    if (busy) status = 429;
    co_await reply_error(visit, status, error);
    co_return;
  }
  co_await relay_live(visit, std::move(ask), flight, object_headers(what), release);
}

// A GET with a Range of an object that nobody has judged. False: it means the whole object.
Task<bool> serve_unknown_range(Visit& visit, const Ask& ask, const Described& what,
                               const std::string& range) {
  if (!what.size) co_return false;
  const Wanted wanted = parse_range(range, *what.size);
  if (wanted.kind == RangeKind::whole) co_return false;
  if (wanted.kind == RangeKind::unsatisfiable) {
    co_await reply_unsatisfiable(visit, *what.size);
    co_return true;
  }
  // All of it: sent like any first download, behind the scan.
  if (wanted.range.length() == *what.size && *what.size > 1) co_return false;
  if (wanted.range == ByteRange{0, 0})
    co_await serve_first_byte(visit, ask, what);
  else
    co_await serve_range_when_judged(visit, ask, what, range);
  co_return true;
}

// What the hub said of the path when it could still be asked.
Described describe_remembered(const Gate& gate, const FileAnswer& answer) {
  Described out;
  out.etag = answer.etag;
  out.size = answer.size;
  out.claimed = answer.sha256;
  out.passed = fields_from(answer.fields);
  out.passed.remove("Accept-Ranges");
  out.key = gate.with_rules("sha256\n" + hex(*answer.sha256) + "\n" + std::to_string(answer.size));
  return out;
}

// The hub has described the object, and this person may have it.
Task<void> serve_described(Visit& visit, Ask ask, Described what, Fetched got,
                           std::optional<std::string> range) {
  Gate& gate = visit.gate;
  if (ask.permit) {
    const bool permitted = co_await ask.permit(visit, what);
    if (!permitted) co_return;
  }
  if (visit.is_head()) {
    got.last.reset();
    co_await serve_head(visit, std::move(ask), std::move(what));
    co_return;
  }
  const auto if_range = visit.request.headers.get("if-range");
  if (range && if_range && unquoted(*if_range) != unquoted(what.etag)) range.reset();
  std::shared_ptr<const Outcome> outcome = co_await known_outcome(visit, what);
  Release release = Release::behind_scan;
  if (outcome && outcome->mismatch && !range) {
    // The hub may have mended it. If not, this time the person is told before the first byte.
    outcome.reset();
    release = Release::with_verdict;
  }
  if (outcome) {
    // Only a body that is open already is of use: the rest is asked for when it is allowed.
    std::unique_ptr<Exchange> body;
    if (got.last && got.last->head.status == 200 && !range &&
        got.last->head.framing != Framing::none && !is_encoded(got.last->head))
      body = std::move(got.last);
    got.last.reset();
    co_await serve_known(visit, std::move(ask), std::move(what), outcome, std::move(range),
                         std::move(body));
    co_return;
  }
  if (range) {
    got.last.reset();
    got.next.reset();
    const bool served = co_await serve_unknown_range(visit, ask, what, *range);
    if (served) co_return;
  }
  std::unique_ptr<BodySource> copy = co_await cached_source(visit, what);
  if (!copy && (!got.last || ask.fetch.method == "HEAD")) {
    // A Range that means the whole object (or none that is understood), or a HEAD was enough while
    // the bytes seemed to be here.
    ask.fetch.method = "GET";
    got = co_await gate.upstream.follow(ask.fetch);
    if (!got.last) {
      co_await reply_no_answer(visit, ask.road, got);
      co_return;
    }
  }
  co_await serve_unknown(visit, std::move(ask), std::move(what), std::move(got), release,
                         std::move(copy));
}

// An answer without the hub, from what it said before. False: there is none for this person.
Task<bool> serve_remembered(Visit& visit, const Ask& ask, std::optional<Remembered> remembered,
                            std::optional<std::string> range) {
  if (!remembered || !remembered->answer.authorised) co_return false;
  const FileAnswer& answer = remembered->answer;
  if (answer.status != 200) {
    ++visit.gate.metrics.cache_offline;
    ResponseHead head;
    head.status = answer.status;
    head.headers = fields_from(answer.fields);
    co_await reply_upstream_error(visit, head, {});
    co_return true;
  }
  if (!answer.sha256 || !remembered->on_disk) co_return false;
  ++visit.gate.metrics.cache_offline;
  Described what = describe_remembered(visit.gate, answer);
  Fetched nothing;
  co_await serve_described(visit, ask, std::move(what), std::move(nothing), std::move(range));
  co_return true;
}

} // namespace

Task<void> serve_object(Visit& visit, Ask ask) {
  Gate& gate = visit.gate;
  std::optional<std::string> range;
  if (const auto field = visit.request.headers.get("range"); field && !visit.is_head())
    range = std::string(*field);
  const bool whole_get = !visit.is_head() && !range;
  if (ask.oid && ask.size) {
    Described here = describe_link(gate, ask);
    std::shared_ptr<const Outcome> held = co_await held_outcome(visit, here);
    if (held) {
      Fetched nothing;
      co_await serve_described(visit, std::move(ask), std::move(here), std::move(nothing),
                               std::move(range));
      co_return;
    }
  }
  std::optional<Remembered> remembered;
  if (ask.road == Road::hub) remembered = co_await remembered_file(visit);
  if (hub_was_away(visit)) {
    const bool served = co_await serve_remembered(visit, ask, remembered, range);
    if (served) co_return;
  }
  // Of bytes that are here the hub is only asked whether they are still what it has, and whether
  // this person may have them.
  const bool here = remembered && remembered->on_disk;
  ask.fetch.method = "HEAD";
  if (whole_get && !here) ask.fetch.method = "GET";
  const bool by_first_byte = range && ask.signed_link; // it says what the answer to a HEAD would
  if (by_first_byte) {
    ask.fetch.method = "GET";
    ask.fetch.headers.set("Range", "bytes=0-0");
  }
  ask.fetch.stop_at_border = true;
  Fetched got = co_await gate.upstream.follow(ask.fetch);
  if (by_first_byte) ask.fetch.headers.remove("Range");
  if (ask.road == Road::hub && hub_is_away(visit, got)) {
    const bool served = co_await serve_remembered(visit, ask, remembered, range);
    if (served) co_return;
  }
  if (!got.last) {
    co_await reply_no_answer(visit, ask.road, got);
    co_return;
  }
  if (got.last->head.status >= 400) {
    const ResponseHead head = got.last->head;
    if (ask.road == Road::hub) co_await remember_refusal(visit, head);
    co_await reply_upstream_error(visit, head, {});
    co_return;
  }
  if (!(got.meta_url.target == ask.fetch.url.target)) adopt_renamed(visit, got.meta_url);
  Described what = describe(visit.gate, got, ask);
  if (!what.size) {
    // The size is only in the answer to a GET, perhaps another host's.
    if (ask.fetch.method == "HEAD" || by_first_byte) {
      Fetch fetch = ask.fetch;
      fetch.method = "GET";
      got.last.reset();
      got = co_await gate.upstream.follow(std::move(fetch));
    }
    const bool open = co_await open_body(visit, ask.road, got);
    if (!open) co_return;
    what = describe(visit.gate, got, ask);
  }
  if (remembered && !what.etag.empty() && remembered->answer.etag == what.etag &&
      what.size == remembered->answer.size)
    what.held = remembered->answer.sha256;
  co_await serve_described(visit, std::move(ask), std::move(what), std::move(got),
                           std::move(range));
}

} // namespace hubgate::proxy

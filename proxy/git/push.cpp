// Pushes: the pack is kept until every object in it, and what its refs and pointers name, has
// passed; before that the upstream sees nothing of it.
#include "proxy/git/outside.hpp"
#include "proxy/git/tips.hpp"
#include "proxy/lfs/lfs.hpp"
#include "proxy/relay/object.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;
constexpr std::uint64_t k_answer_max = std::uint64_t{32} << 20;

struct Push {
  explicit Push(Visit& visit_) : visit(visit_), writer(visit_) {}
  Visit& visit;
  PushHead head;
  BodyWriter writer;
  std::optional<SideBand> band;
  std::shared_ptr<PackSpool> spool; ///< null: no pack came
  std::shared_ptr<PackCheck> check;
  std::optional<PushOutside> outside;
  std::optional<PushTips> tips;

  /// All that was looked at: what came and what was fetched.
  std::vector<std::shared_ptr<PackCheck>> checks() const {
    std::vector<std::shared_ptr<PackCheck>> out{check};
    if (outside) out.insert(out.end(), outside->fetched().begin(), outside->fetched().end());
    return out;
  }
};

Headers result_fields() {
  Headers headers;
  headers.set("Content-Type", "application/x-git-receive-pack-result");
  headers.set("Cache-Control", "no-cache");
  return headers;
}

// Why the upstream would not take a push of this person; false: the client has been told.
Task<bool> upstream_allows(Visit& visit) {
  Fetch fetch = git_fetch(visit, "POST", visit.request.target);
  fetch.headers.set("Content-Type", "application/x-git-receive-pack-request");
  fetch.body = k_flush_pkt;
  fetch.has_body = true;
  Fetched got = co_await visit.gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin) {
    if (got.error.empty()) got.error = "the upstream redirects git elsewhere";
    co_await reply_error(visit, 502, got.error);
    co_return false;
  }
  if (got.last->head.status == 200) {
    co_await got.last->read_all(k_answer_max);
    co_return true;
  }
  co_await reply_upstream_error(visit, got.last->head, {});
  co_return false;
}

// The request up to the pack's first bytes, which `packets` still holds. False: the client has been
// told.
Task<bool> read_head(Push& push, PktReader& packets) {
  Connection& connection = push.visit.connection;
  std::vector<std::uint8_t> buffer(std::size_t{64} << 10);
  while (push.head.state() == PushHead::State::more && !packets.broken()) {
    if (const auto packet = packets.next()) {
      push.head.take(*packet);
      continue;
    }
    connection.stream().set_deadline(Clock::now() + push.visit.gate.config.limits.stall);
    const std::int64_t n = co_await connection.read_body(buffer);
    connection.stream().set_deadline(TimePoint::max());
    if (n <= 0) break;
    packets.feed({buffer.data(), static_cast<std::size_t>(n)});
  }
  if (push.head.state() == PushHead::State::complete) co_return true;
  push.visit.keep_alive = false;
  std::string why = "the push does not pass: " + push.head.problem();
  if (push.head.problem().empty()) why = "the push does not pass: its commands can't be read";
  co_await refuse(push.visit, Road::git, "git-not-understood", std::move(why));
  co_return false;
}

// The pack, whatever it is. An error: why it can't be taken.
Task<Result<void>> read_pack(Push& push, Bytes first) {
  Connection& connection = push.visit.connection;
  Result<void> kept;
  const auto keep = [&push](Bytes bytes) -> Result<void> {
    if (bytes.empty()) return {};
    if (!push.spool) push.spool = HUBGATE_TRY(PackSpool::create(push.visit));
    return push.spool->append(bytes);
  };
  kept = keep(first);
  std::vector<std::uint8_t> buffer(k_batch);
  while (kept) {
    connection.stream().set_deadline(Clock::now() + push.visit.gate.config.limits.stall);
    const std::int64_t n = co_await connection.read_body(buffer);
    connection.stream().set_deadline(TimePoint::max());
    if (n == 0) break;
    if (n < 0)
      kept = Error{"the push broke off: " + connection.error()};
    else
      kept = keep({buffer.data(), static_cast<std::size_t>(n)});
  }
  co_return kept;
}

// git-receive-pack's own answer to a push of which nothing was taken.
Task<void> reply_refused(Push& push, std::string text, std::string why) {
  Visit& visit = push.visit;
  if (!push.band->alive()) co_return;
  std::string report = pkt("unpack ok\n");
  for (const git::RefUpdate& update: push.head.updates())
    report += pkt("ng " + update.name + " hubgate: " + why + "\n");
  report += k_flush_pkt;
  std::string out;
  if (push.head.asks("side-band-64k")) {
    co_await push.band->text(text);
    if (push.head.asks("report-status") || push.head.asks("report-status-v2"))
      out = band_pkts(1, report);
    out += k_flush_pkt;
  } else {
    out = report;
  }
  const bool sent = co_await push.band->packets(std::move(out));
  if (sent) co_await push.writer.finish();
  ++visit.gate.metrics.decisions["block"];
}

// The LFS objects that pointers name: known, or fetched from the hub and scanned now.
Task<void> judge_lfs(Push& push, std::shared_ptr<PackCheck> check) {
  Visit& visit = push.visit;
  Gatekeeper& keeper = visit.gate.keeper;
  const std::vector<PackCheck::Wanted> wanted = check->wanted();
  for (const PackCheck::Wanted& one: wanted) {
    std::optional<StoredAnalysis> stored =
        co_await visit.gate.loop.offload([&] { return keeper.lookup(one.oid, one.size); });
    ObjectDigest digest;
    digest.sha256 = one.oid;
    digest.size = one.size;
    if (stored && stored->current) {
      check->set_lfs(one, digest, std::move(stored->report));
      continue;
    }
    std::string error;
    bool busy = false;
    const TimePoint until = TimePoint::max(); // side-band says that it goes on
    const auto outcome = co_await judge_lfs_object(visit, one.oid, one.size, until, error, busy);
    co_await push.band->progress(check->progress(), "looking at LFS objects");
    if (outcome) check->set_lfs(one, outcome->digest, outcome->report);
  }
}

Task<void> log_push(Push& push, std::string outcome) {
  constexpr std::size_t k_listed = 1000;
  boost::json::object fields;
  fields["outcome"] = printable(outcome, 300);
  boost::json::array refs;
  for (const auto& update: push.head.updates()) {
    if (refs.size() >= k_listed) break;
    refs.push_back({{"ref", printable(update.name, 300)},
                    {"old", update.before.hex()},
                    {"new", update.after.hex()}});
  }
  fields["refs"] = std::move(refs);
  fields["ref_count"] = push.head.updates().size();
  if (push.check) {
    fields["objects"] = push.check->objects();
    fields["files"] = push.check->files();
    std::uint64_t fetched = 0;
    boost::json::array ids;
    for (const auto& check: push.checks()) {
      if (check != push.check) fetched += check->objects();
      for (const auto& id: check->decision_ids())
        ids.emplace_back(id);
    }
    if (fetched != 0) fields["fetched"] = fetched;
    fields["decision_ids"] = std::move(ids);
  }
  std::string what = "git-push";
  co_await log_git(push.visit, std::move(what), std::move(fields));
}

// Commands and pack as they came.
Task<std::unique_ptr<Exchange>> send_on(Push& push, std::string& error) {
  Visit& visit = push.visit;
  Fetch fetch = git_fetch(visit, "POST", visit.request.target);
  fetch.headers.set("Content-Type", "application/x-git-receive-pack-request");
  const std::uint64_t pack = push.spool ? push.spool->size() : 0;
  const std::string& head = push.head.text();
  auto upload =
      co_await Upload::begin(visit.gate.upstream, std::move(fetch), head.size() + pack, error);
  if (!upload) co_return nullptr;
  bool sent = co_await upload->send(as_bytes(head));
  std::vector<std::uint8_t> buffer(k_batch);
  for (std::uint64_t at = 0; sent && at < pack;) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), pack - at));
    const auto read = push.spool->read(at, std::span(buffer).first(n));
    if (!read) {
      error = read.error().message;
      co_return nullptr;
    }
    sent = co_await upload->send(Bytes(buffer).first(n));
    at += n;
  }
  auto answer = co_await upload->finish(error);
  co_return answer;
}

Task<void> relay_answer(Push& push, Exchange& answer) {
  std::vector<std::uint8_t> buffer(k_batch);
  for (;;) {
    const std::int64_t n = co_await answer.read(buffer);
    if (n < 0) {
      push.visit.keep_alive = false;
      co_return;
    }
    if (n == 0) break;
    std::string raw(as_text(Bytes(buffer).first(static_cast<std::size_t>(n))));
    const bool sent = co_await push.band->packets(std::move(raw));
    if (!sent) co_return;
  }
  co_await push.writer.finish();
}

Task<void> pass_on(Push& push) {
  std::string error;
  auto answer = co_await send_on(push, error);
  if (answer && answer->head.status != 200)
    error = "the upstream answers " + std::to_string(answer->head.status);
  if (!answer || answer->head.status != 200) {
    std::string outcome = "failed: " + error;
    co_await log_push(push, outcome);
    co_await reply_refused(push, {}, printable(error, 200));
    co_return;
  }
  std::string outcome = "passed on";
  co_await log_push(push, std::move(outcome));
  if (push.check) {
    const Result<void> kept = co_await push.visit.gate.loop.offload([&]() -> Result<void> {
      if (auto fetched = push.outside->remember(); !fetched) return fetched;
      if (auto tips = push.tips->remember(); !tips) return tips;
      if (!push.outside->all_judged()) return {};
      return push.check->remember(push.check->tips());
    });
    if (!kept && push.visit.gate.loop.on_error) push.visit.gate.loop.on_error(kept.error().message);
  }
  co_await relay_answer(push, *answer);
}

// Why the push may not go on; "" when it may.
Task<std::string> judge(Push& push) {
  Visit& visit = push.visit;
  Context context = visit.context(Road::git);
  context.revision.clear();
  context.path.clear();
  const std::size_t id_size = push.head.updates().front().after.size;
  push.check = std::make_shared<PackCheck>(world_of(visit), std::move(context), push.head.updates(),
                                           id_size);
  const auto check = push.check;
  if (push.spool) {
    const std::filesystem::path folder = push.spool->folder();
    std::function<Result<void>()> work = [check, folder] { return check->read(folder); };
    const Result<void> read = co_await run_apart(visit, check, *push.band, std::move(work));
    if (!read) co_return "the pack can't be judged: " + printable(read.error().message, 200);
  }
  push.outside.emplace(visit, *push.band, check, push.head.updates());
  std::string why = co_await push.outside->look();
  if (!why.empty()) co_return why;
  for (const auto& one: push.checks())
    co_await judge_lfs(push, one);
  push.tips.emplace(visit, *push.band, push.outside->hub(), push.checks(), push.outside->parents(),
                    push.head.updates());
  why = co_await push.tips->judge();
  if (!why.empty()) co_return why;
  for (const auto& one: push.checks()) {
    std::vector<PushCase> more;
    if (one == check) more = push.tips->take_cases();
    std::function<Result<void>()> work = [&push, one, more = std::move(more)]() mutable {
      return one->decide(std::move(more), [&push](PushCase& seen) { push.tips->account(seen); });
    };
    const Result<void> decided = co_await run_apart(visit, one, *push.band, std::move(work));
    if (!decided) co_return "the push can't be judged: " + printable(decided.error().message, 200);
  }
  co_return "";
}

} // namespace

Task<void> serve_git_push(Visit& visit) {
  visit.direction = Direction::push;
  const auto coding = visit.request.headers.get("content-encoding");
  if (coding && *coding != "identity") {
    visit.keep_alive = false;
    co_await reply_error(visit, 415, "a push must come without Content-Encoding");
    co_return;
  }
  if (!visit.may_scan()) {
    co_await reply_error(visit, 429, "too many objects are being scanned at once; try again");
    co_return;
  }
  const GitSeat seat(visit);
  const bool begun = co_await send_continue(visit);
  if (!begun) co_return;
  Push push(visit);
  PktReader packets;
  const bool understood = co_await read_head(push, packets);
  if (!understood) co_return;
  const bool allowed = co_await upstream_allows(visit);
  if (!allowed) co_return;
  const Result<void> whole = co_await read_pack(push, packets.rest());
  if (push.head.updates().empty()) {
    // Clients ask so whether they may push, before they send what is long.
    std::string nothing;
    co_await reply(visit, 200, result_fields(), std::move(nothing));
    co_return;
  }
  push.band.emplace(visit, push.writer, push.head.asks("side-band-64k") ? k_pkt_max - 1 : 0,
                    push.head.asks("quiet"));
  push.writer.prepare(200, result_fields(), std::nullopt);
  if (!whole) {
    visit.keep_alive = false;
    std::string why = printable(whole.error().message, 200);
    co_await reply_refused(push, {}, std::move(why));
    co_return;
  }
  if (push.head.deletes_only()) {
    push.spool.reset();
    co_await pass_on(push);
    co_return;
  }
  std::string why = co_await judge(push);
  if (!why.empty()) {
    std::string outcome = "failed: " + why;
    co_await log_push(push, std::move(outcome));
    std::string text = "hubgate: PUSH REFUSED: " + why + "\n";
    co_await reply_refused(push, std::move(text), std::move(why));
    co_return;
  }
  std::string warnings;
  for (const auto& check: push.checks()) {
    std::string text = check->text();
    if (!check->passes()) {
      std::string outcome = "refused";
      co_await log_push(push, std::move(outcome));
      std::string reason = "refused by the policy";
      co_await reply_refused(push, std::move(text), std::move(reason));
      co_return;
    }
    warnings += text;
  }
  co_await push.band->text(warnings);
  co_await pass_on(push);
}

} // namespace hubgate::proxy

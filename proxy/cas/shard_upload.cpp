#include "proxy/cas/pass_on.hpp"
#include "proxy/cas/rebuilt.hpp"
#include "proxy/cas/shard_reader.hpp"
#include "proxy/cas/write.hpp"
#include "proxy/relay/object.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <set>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr auto k_look = std::chrono::milliseconds(500);
constexpr auto k_wait = std::chrono::milliseconds(50);
constexpr std::size_t k_files_most = 100'000;

struct Push {
  Push(Visit& visit_, const CasTicket& ticket_, bool streamed_)
      : visit(visit_), ticket(ticket_), streamed(streamed_), writer(visit_) {}
  Visit& visit;
  const CasTicket& ticket;
  bool streamed;
  BodyWriter writer;
  TimePoint last_sign = Clock::now();
  std::uint64_t total = 0; ///< bytes of all files
  std::uint64_t verified = 0;
  xet::ShardClaims claims;
  std::vector<std::shared_ptr<ShelvedXorb>> xorbs; ///< that the CAS must have for this shard
};

// Answers

Task<void> tell(Push& push, json::object frame) {
  if (!push.writer.head_sent()) {
    Headers headers;
    headers.set("Content-Type", "application/x-ndjson");
    headers.set("Cache-Control", "no-store");
    push.writer.prepare(200, headers, std::nullopt);
  }
  const std::string line = std::string(json::serialize(frame)) + "\n";
  push.last_sign = Clock::now();
  co_await push.writer.send(as_bytes(line));
}

// A sign of life, when it is time for one.
Task<void> keep_alive(Push& push, std::uint64_t of_this_file) {
  if (!push.streamed || Clock::now() - push.last_sign < push.visit.gate.config.trickle) co_return;
  json::object frame;
  frame["type"] = "validating";
  frame["verified"] = push.verified + of_this_file;
  frame["total"] = push.total;
  co_await tell(push, std::move(frame));
}

Task<void> end_stream(Push& push, json::object frame) {
  co_await tell(push, std::move(frame));
  co_await push.writer.finish();
}

// `status`: for clients that can't be told in a stream.
Task<void> fail(Push& push, int status, std::string why) {
  if (!push.streamed) {
    co_await reply_error(push.visit, status, std::move(why));
    co_return;
  }
  json::object frame;
  frame["type"] = "error";
  frame["message"] = "hubgate: " + why;
  frame["retryable"] = status == 429 || status >= 500;
  co_await end_stream(push, std::move(frame));
}

Task<void> tell_refusal(Push& push, Decision decision, Context context) {
  if (!push.streamed) {
    co_await reply_refusal(push.visit, std::move(decision), std::move(context));
    co_return;
  }
  ++push.visit.gate.metrics.decisions[std::string(to_string(decision.action))];
  json::object frame;
  frame["type"] = "error";
  frame["message"] = refusal_line(decision, context);
  frame["retryable"] = false;
  co_await end_stream(push, std::move(frame));
}

// A refusal of the gate's own.
Task<void> refuse_push(Push& push, std::string rule, std::string reason) {
  Gate& gate = push.visit.gate;
  ++gate.metrics.refused[rule];
  Context context = push.visit.context(Road::xet);
  Gatekeeper& keeper = gate.keeper;
  Decision decision =
      co_await gate.loop.offload([&] { return keeper.refuse(rule, reason, context); });
  co_await tell_refusal(push, std::move(decision), std::move(context));
}

// Judging

// Scans a file that was put together. Null: the client has been told, or is gone.
Task<std::shared_ptr<const Outcome>> scan_rebuilt(Push& push, const xet::ShardFile& file,
                                                  Rebuilt rebuilt) {
  Gate& gate = push.visit.gate;
  Visit& visit = push.visit;
  const TimePoint until = Clock::now() + gate.config.limits.stall;
  while (!visit.may_scan() && Clock::now() < until && !visit.connection.stream().gone()) {
    co_await keep_alive(push, 0);
    co_await gate.loop.sleep(k_wait);
  }
  if (!visit.may_scan()) {
    co_await fail(push, 429, "too many objects are being scanned at once; try again");
    co_return nullptr;
  }
  Flight::Options options;
  options.user = push.ticket.user;
  options.spool_directory = gate.spool_directory;
  options.claimed = file.sha256;
  options.rules = gate.rules;
  options.longest_silence = gate.config.limits.scan;
  options.limits = gate.config.limits;
  auto flight =
      std::make_shared<Flight>(gate.loop, gate.pool, gate.quota, gate.metrics, std::move(options));
  const Result<void> started =
      flight->start(std::make_unique<RebuiltBody>(gate.loop, std::move(rebuilt)));
  if (!started) {
    std::string why = "the scan can't be started: " + started.error().message;
    co_await fail(push, 503, std::move(why));
    co_return nullptr;
  }
  flight->join();
  ++gate.metrics.waiting;
  bool here = true;
  while (flight->state() == Flight::State::running && here) {
    co_await flight->changed().wait(k_look);
    co_await keep_alive(push, flight->arrived());
    here = !visit.connection.stream().gone();
  }
  --gate.metrics.waiting;
  flight->leave();
  if (!here) co_return nullptr;
  if (flight->state() != Flight::State::done) {
    std::string why = flight->failure();
    co_await fail(push, flight->over_quota() ? 429 : 503, std::move(why));
    co_return nullptr;
  }
  co_return flight->outcome();
}

// What is known of a file whose chunks this gate has put together before, or null.
Task<std::shared_ptr<const Outcome>> known_file(Push& push, const xet::ShardFile& file,
                                                std::uint64_t size) {
  Gate& gate = push.visit.gate;
  const Sha256* proven = shelf_of(gate).proven.find(file.id.text());
  if (!proven || *proven != *file.sha256) co_return nullptr;
  Gatekeeper& keeper = gate.keeper;
  const Sha256 digest = *proven;
  std::optional<StoredAnalysis> stored =
      co_await gate.loop.offload([&] { return keeper.lookup(digest, size); });
  if (!stored || !stored->current) co_return nullptr;
  auto outcome = std::make_shared<Outcome>();
  outcome->rules = stored->rules;
  outcome->report = std::move(stored->report);
  outcome->digest.sha256 = digest;
  outcome->digest.size = size;
  co_return outcome;
}

Task<void> remember(Gate& gate, std::shared_ptr<const Outcome> outcome) {
  Gatekeeper& keeper = gate.keeper;
  const Result<void> kept = co_await gate.loop.offload(
      [&] { return keeper.remember(outcome->digest, outcome->report, outcome->rules); });
  if (!kept && gate.loop.on_error) gate.loop.on_error("store: " + kept.error().message);
}

// The bytes of a file that the policy quarantines, put together once more.
Task<void> keep_for_review(Gate& gate, const Rebuilt& file, const Decision& decision,
                           const Context& context) {
  if (decision.action != Action::quarantine) co_return;
  Gatekeeper& keeper = gate.keeper;
  co_await gate.loop.offload([&] {
    RebuiltSource bytes(file);
    return keeper.quarantine(decision, context, bytes).ok();
  });
}

// False: the client has been told, or is gone.
Task<bool> judge_file(Push& push, xet::ShardFile& file) {
  Gate& gate = push.visit.gate;
  if (!file.sha256) {
    co_await refuse_push(push, "xet-without-sha256",
                         "the upload does not say the sha256 of a file, by which commits name it");
    co_return false;
  }
  const std::string owner = shelf_owner(push.ticket);
  Rebuilt rebuilt;
  std::string error;
  const Missing missing = rebuild(shelf_of(gate), owner, file, rebuilt, error);
  if (missing == Missing::bytes) {
    // Under another address the client remembers nothing of what it has sent.
    shelf_of(gate).start_again(owner);
    std::string why =
        "this upload can't be judged: " + error + ". Run it again: then all of it is sent";
    co_await fail(push, 409, std::move(why));
    co_return false;
  }
  if (missing == Missing::sense) {
    co_await refuse_push(push, "xet-mismatch", std::move(error));
    co_return false;
  }
  const std::uint64_t size = rebuilt.size;
  push.xorbs.insert(push.xorbs.end(), rebuilt.xorbs.begin(), rebuilt.xorbs.end());
  std::shared_ptr<const Outcome> outcome = co_await known_file(push, file, size);
  if (!outcome) {
    outcome = co_await scan_rebuilt(push, file, rebuilt);
    if (!outcome) co_return false;
    if (outcome->mismatch) {
      co_await refuse_push(push, "hash-mismatch",
                           "the upload names another sha256 for a file than its bytes have");
      co_return false;
    }
    shelf_of(gate).proven.put(file.id.text(), outcome->digest.sha256);
    co_await remember(gate, outcome);
  }
  push.verified += size;
  Context context = push.visit.context(Road::xet);
  Decision decision = co_await decide(gate, outcome, context);
  if (!decision.passes()) {
    co_await keep_for_review(gate, rebuilt, decision, context);
    co_await tell_refusal(push, std::move(decision), std::move(context));
    co_return false;
  }
  ++gate.metrics.decisions[std::string(to_string(decision.action))];
  co_return true;
}

// The new xorbs of the shard, as the gate knows them, and others that the CAS does not have yet.
// False: one was not sent.
bool take_new_xorbs(Push& push, xet::Shard& shard,
                    std::vector<std::shared_ptr<ShelvedXorb>>& needed) {
  const std::string owner = shelf_owner(push.ticket);
  std::vector<std::shared_ptr<ShelvedXorb>> all;
  for (const xet::Hash& hash: push.claims.xorbs) {
    all.push_back(shelf_of(push.visit.gate).find(owner, hash));
    if (!all.back()) return false;
  }
  const std::size_t named = all.size();
  all.insert(all.end(), push.xorbs.begin(), push.xorbs.end());
  std::set<xet::Hash> seen;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i >= named && all[i]->passed_on) continue;
    if (!seen.insert(all[i]->hash).second) continue;
    needed.push_back(all[i]);
    xet::ShardXorb entry;
    entry.hash = all[i]->hash;
    entry.chunks = all[i]->chunks;
    shard.xorbs.push_back(std::move(entry));
  }
  return true;
}

// Sends all of it on, and the client the result.
Task<void> pass_on(Push& push) {
  Gate& gate = push.visit.gate;
  xet::Shard shard;
  PassOn::What what(cas_fetch(push.visit, push.ticket, "POST", ""));
  const bool complete = take_new_xorbs(push, shard, what.xorbs);
  if (!complete) {
    shelf_of(gate).start_again(shelf_owner(push.ticket));
    co_await fail(push, 409, "the upload names data that was not sent. Run it again");
    co_return;
  }
  shard.files = std::move(push.claims.files);
  push.xorbs.clear();
  what.shard = xet::write_shard(shard);
  auto job = std::make_shared<PassOn>(gate, std::move(what));
  job->start();
  while (!job->done()) {
    co_await job->changed().wait(k_look);
    co_await keep_alive(push, 0);
  }
  if (!job->error().empty()) {
    std::string why = job->error();
    bool again = job->retryable();
    if (push.ticket.expires <= hubgate::now()) {
      // Judging took longer than the token lives. Clients come again with another one.
      why += "; the token has expired meanwhile: try again";
      again = true;
    }
    co_await fail(push, again ? 503 : 400, std::move(why));
    co_return;
  }
  if (push.streamed) {
    json::object frame;
    frame["type"] = "result";
    co_await end_stream(push, std::move(frame));
    co_return;
  }
  Headers headers;
  headers.set("Content-Type", "application/json");
  co_await reply(push.visit, 200, std::move(headers), "{\"result\":1}");
}

} // namespace

Task<void> serve_shard_upload(Visit& visit, const CasTicket& ticket, bool streamed) {
  Gate& gate = visit.gate;
  auto body = co_await read_request_body(visit, xet::k_shard_most);
  if (!body) co_return;
  Push push(visit, ticket, streamed);
  const Bytes bytes = as_bytes(*body);
  const Duration longest = gate.config.limits.scan;
  auto claims = co_await read_shard_in_worker(gate.loop, gate.pool, bytes, longest);
  if (!claims) {
    std::string why = claims.error().message;
    co_await refuse_push(push, "xet-not-understood", std::move(why));
    co_return;
  }
  body.reset();
  push.claims = std::move(*claims);
  if (push.claims.files.size() > k_files_most) {
    co_await refuse_push(push, "xet-not-understood", "the upload is of too many files at once");
    co_return;
  }
  for (const xet::ShardFile& file: push.claims.files)
    for (const xet::ShardTerm& term: file.terms)
      push.total += term.bytes;
  for (xet::ShardFile& file: push.claims.files) {
    const bool passes = co_await judge_file(push, file);
    if (!passes) co_return;
  }
  co_await pass_on(push);
}

} // namespace hubgate::proxy

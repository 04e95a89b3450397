// Pulls: the pack of the answer is kept until every object in it has passed.
#include "proxy/git/transfer.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;

/// A fetch whose answer arrives.
struct Pull {
  Pull(Visit& visit_, PullRequest request_)
      : visit(visit_), request(std::move(request_)), answer(request.second_version), writer(visit_),
        band(visit_, writer, request.band, request.quiet) {}
  Visit& visit;
  PullRequest request;
  PullAnswer answer;
  BodyWriter writer;
  SideBand band;
  std::shared_ptr<PackSpool> spool; ///< once the pack has begun
  std::string problem;              ///< why it ends early
  TimePoint last_sign = Clock::now();
};

// The client's request, decoded; nothing: the client has been told.
Task<std::optional<std::string>> request_text(Visit& visit) {
  const std::uint64_t most = visit.gate.config.limits.request_body;
  auto body = co_await read_request_body(visit, most);
  if (!body) co_return std::nullopt;
  const auto coding = visit.request.headers.get("content-encoding");
  if (!coding || *coding == "identity") co_return std::move(*body);
  std::optional<std::string> plain;
  if (*coding == "gzip" || *coding == "x-gzip")
    plain = gunzip(*body, static_cast<std::size_t>(most));
  if (plain) co_return std::move(*plain);
  co_await reply_error(visit, 400, "the request's body can't be decoded");
  co_return std::nullopt;
}

// What is ready of the answer. False: it ends here, see `problem`.
Task<bool> take_parts(Pull& pull) {
  std::string lines;
  while (const auto part = pull.answer.next()) {
    using Kind = PullAnswer::Part::Kind;
    if (part->kind == Kind::line) {
      lines += as_text(part->bytes);
      continue;
    }
    if (part->kind == Kind::pack) {
      if (!pull.spool) {
        auto spool = PackSpool::create(pull.visit);
        if (!spool) {
          pull.problem = spool.error().message;
          co_return false;
        }
        pull.spool = *spool;
      }
      const auto kept = pull.spool->append(part->bytes);
      if (kept) continue;
      pull.problem = kept.error().message;
      co_return false;
    }
    const std::string text(as_text(part->bytes));
    if (!lines.empty()) co_await pull.band.packets(std::move(lines));
    lines.clear();
    if (part->kind == Kind::error) {
      pull.problem = "the upstream says: " + text;
      co_return false;
    }
    co_await pull.band.text(text);
  }
  if (!lines.empty()) co_await pull.band.packets(std::move(lines));
  if (pull.answer.broken()) pull.problem = "the upstream's answer can't be understood";
  co_return pull.problem.empty() && pull.band.alive();
}

// Reads the answer to its end.
Task<bool> take_answer(Pull& pull, Exchange& exchange) {
  Gate& gate = pull.visit.gate;
  std::vector<std::uint8_t> buffer(k_batch);
  for (;;) {
    const std::int64_t n = co_await exchange.read(buffer);
    if (n < 0) {
      pull.problem = "the upstream's answer broke off: " + exchange.error();
      co_return false;
    }
    if (n == 0) break;
    gate.metrics.bytes_in += static_cast<std::uint64_t>(n);
    pull.answer.feed({buffer.data(), static_cast<std::size_t>(n)});
    const bool more = co_await take_parts(pull);
    if (!more) co_return false;
    if (pull.spool && Clock::now() - pull.last_sign > gate.config.trickle) {
      pull.last_sign = Clock::now();
      PackCheck::Progress none;
      co_await pull.band.progress(none, "receiving the pack");
    }
  }
  if (pull.answer.complete()) co_return true;
  pull.problem = "the upstream's answer ends too early";
  co_return false;
}

// Every object has passed.
Task<void> send_pack(Pull& pull) {
  std::vector<std::uint8_t> buffer(k_batch);
  for (std::uint64_t at = 0; at < pull.spool->size();) {
    const auto n =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), pull.spool->size() - at));
    const auto read = pull.spool->read(at, std::span(buffer).first(n));
    if (!read) {
      std::string why = "hubgate: " + read.error().message;
      co_await pull.band.error(why);
      co_return;
    }
    const bool sent = co_await pull.band.data(Bytes(buffer).first(n));
    if (!sent) co_return;
    at += n;
  }
  std::string end(k_flush_pkt);
  const bool sent = co_await pull.band.packets(std::move(end));
  if (sent) co_await pull.writer.finish();
}

Task<void> fail(Pull& pull, std::string why) {
  ++pull.visit.gate.metrics.cut_transfers;
  if (!pull.band.alive()) co_return;
  const std::string line = "hubgate: " + printable(why, 400);
  const bool sent = co_await pull.band.error(line);
  if (sent) co_await pull.writer.finish();
}

Task<void> judge_and_send(Pull& pull) {
  Visit& visit = pull.visit;
  Context context = visit.context(Road::git);
  context.revision.clear();
  context.path.clear();
  std::vector<git::RefUpdate> none(1);
  const auto check = std::make_shared<PackCheck>(world_of(visit), std::move(context),
                                                 std::move(none), pull.request.id_size);
  const std::filesystem::path folder = pull.spool->folder();
  std::function<Result<void>()> work = [check, folder]() -> Result<void> {
    if (auto read = check->read(folder); !read) return read;
    // Clients ask for the objects of LFS pointers by themselves: nobody has judged them here.
    const bool whole = check->closed() && check->wanted().empty();
    if (auto decided = check->decide(); !decided) return decided;
    return whole && check->passes() ? check->remember(check->tips()) : Result<void>();
  };
  const Result<void> judged = co_await run_apart(visit, check, pull.band, std::move(work));
  boost::json::object fields;
  fields["objects"] = check->objects();
  fields["files"] = check->files();
  fields["bytes"] = pull.spool->size();
  boost::json::array ids;
  for (const auto& id: check->decision_ids())
    ids.emplace_back(id);
  fields["decision_ids"] = std::move(ids);
  fields["outcome"] = !judged           ? "failed: " + printable(judged.error().message, 200)
                      : check->passes() ? std::string("passed")
                                        : std::string("refused");
  std::string what = "git-pull";
  co_await log_git(visit, std::move(what), std::move(fields));
  if (!judged) {
    std::string why = "the pack can't be judged: " + judged.error().message;
    co_await fail(pull, std::move(why));
    co_return;
  }
  const std::string text = check->text();
  co_await pull.band.text(text);
  if (check->passes()) {
    ++visit.gate.metrics.decisions["allow"];
    co_await send_pack(pull);
    co_return;
  }
  ++visit.gate.metrics.decisions["block"];
  std::string why = "refused: the policy blocks what is said above; nothing of it was sent";
  co_await fail(pull, std::move(why));
}

Task<void> answer_refs(Visit& visit, Exchange& exchange, Headers headers) {
  auto body = co_await exchange.read_all(k_refs_max);
  PktReader packets;
  if (body) packets.feed(as_bytes(*body));
  bool text = body.has_value();
  while (const auto packet = packets.next())
    text = text && packet->kind != Pkt::Kind::delim;
  if (!text || packets.broken() || !packets.rest().empty()) {
    co_await reply_error(visit, 502, "the upstream's list of refs can't be understood");
    co_return;
  }
  co_await reply(visit, 200, std::move(headers), std::move(*body));
}

} // namespace

Task<void> serve_git_pull(Visit& visit) {
  Gate& gate = visit.gate;
  auto text = co_await request_text(visit);
  if (!text) co_return;
  auto request = read_pull_request(*text);
  if (!request) {
    std::string why = "the request to git-upload-pack does not pass: " + request.error().message;
    co_await refuse(visit, Road::git, "git-not-understood", std::move(why));
    co_return;
  }
  const bool fetches = request->kind == PullRequest::Kind::fetch;
  if (fetches && !visit.may_scan()) {
    co_await reply_error(visit, 429, "too many objects are being scanned at once; try again");
    co_return;
  }
  std::optional<GitSeat> seat;
  if (fetches) seat.emplace(visit);
  Fetch fetch = git_fetch(visit, "POST", visit.request.target);
  fetch.body = request->text;
  fetch.has_body = true;
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin || got.last->head.headers.has("content-encoding")) {
    if (got.error.empty()) got.error = "the upstream's answer to git is not one that passes";
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  if (got.last->head.status != 200) {
    co_await reply_upstream_error(visit, got.last->head, {});
    co_return;
  }
  Headers headers;
  headers.set("Content-Type", "application/x-git-upload-pack-result");
  headers.set("Cache-Control", "no-cache");
  if (!fetches) {
    co_await answer_refs(visit, *got.last, std::move(headers));
    co_return;
  }
  Pull pull(visit, std::move(*request));
  pull.writer.prepare(200, headers, std::nullopt);
  const bool whole = co_await take_answer(pull, *got.last);
  if (!whole) {
    std::string why = pull.problem;
    co_await fail(pull, std::move(why));
    co_return;
  }
  if (!pull.spool) {
    co_await pull.writer.finish();
    co_return;
  }
  got.last.reset();
  co_await judge_and_send(pull);
}

} // namespace hubgate::proxy

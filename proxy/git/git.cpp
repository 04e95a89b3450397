#include "proxy/git/git.hpp"

#include "proxy/git/transfer.hpp"

#include <boost/json.hpp>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;

// git: {packs: pass}: the answer as it is.
Task<void> relay_unread(Visit& visit) {
  Gate& gate = visit.gate;
  Fetch fetch = git_fetch(visit, visit.request.method, visit.request.target);
  if (const auto coding = visit.request.headers.get("content-encoding"))
    fetch.headers.set("Content-Encoding", *coding);
  auto body = co_await read_request_body(visit, gate.config.limits.request_body);
  if (!body) co_return;
  fetch.body = std::move(*body);
  fetch.has_body = true;
  std::string what = "unscanned-pack";
  boost::json::object nothing;
  co_await log_git(visit, std::move(what), std::move(nothing));
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin) {
    if (got.error.empty()) got.error = "the upstream redirects git elsewhere";
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  const ResponseHead& head = got.last->head;
  if (head.status >= 400) {
    co_await reply_upstream_error(visit, head, {});
    co_return;
  }
  Headers headers;
  for (const char* name: {"Content-Type", "Content-Encoding", "Cache-Control", "Expires", "Pragma"})
    if (const auto value = head.headers.get(name)) headers.add(name, *value);
  BodyWriter writer(visit);
  std::optional<std::uint64_t> length;
  if (head.framing == Framing::length) length = head.length;
  writer.prepare(head.status, headers, length);
  std::vector<std::uint8_t> buffer(k_batch);
  for (;;) {
    const std::int64_t n = co_await got.last->read(buffer);
    if (n < 0) {
      visit.keep_alive = false;
      ++gate.metrics.cut_transfers;
      if (!writer.head_sent()) co_await reply_error(visit, 502, got.last->error());
      co_return;
    }
    if (n == 0) break;
    gate.metrics.bytes_in += static_cast<std::uint64_t>(n);
    const bool sent = co_await writer.send({buffer.data(), static_cast<std::size_t>(n)});
    if (!sent) co_return;
  }
  co_await writer.finish();
}

Task<void> serve_refs(Visit& visit, GitService service) {
  Gate& gate = visit.gate;
  Fetch fetch = git_fetch(visit, "GET", visit.request.target);
  if (service == GitService::receive_pack) fetch.headers.remove("Git-Protocol");
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin) {
    if (got.error.empty()) got.error = "the upstream redirects git elsewhere";
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  const ResponseHead& head = got.last->head;
  if (head.status != 200) {
    co_await reply_upstream_error(visit, head, {});
    co_return;
  }
  const bool encoded = head.headers.has("content-encoding");
  auto body = co_await got.last->read_all(k_refs_max);
  Result<std::string> filtered = Error{"it is too long, or encoded"};
  if (body && !encoded) filtered = filter_advertisement(*body, service);
  if (!filtered) {
    std::string why =
        "the upstream's list of refs can't be understood: " + filtered.error().message;
    co_await reply_error(visit, 502, std::move(why));
    co_return;
  }
  Headers headers;
  headers.set("Content-Type", service == GitService::upload_pack
                                  ? "application/x-git-upload-pack-advertisement"
                                  : "application/x-git-receive-pack-advertisement");
  headers.set("Cache-Control", "no-cache");
  co_await reply(visit, 200, std::move(headers), std::move(*filtered));
}

} // namespace

Task<void> serve_git(Visit& visit) {
  const ServeConfig::Packs packs = visit.gate.config.packs;
  const bool push = visit.asked.route == Route::git_push;
  if (push) visit.direction = Direction::push;
  if (packs == ServeConfig::Packs::refuse) {
    co_await refuse(
        visit, Road::git, "packs-refused",
        "git does not pass through this gate: its configuration says git: {packs: refuse}");
    co_return;
  }
  const bool posts = visit.request.method == "POST";
  if (!posts) {
    if (push && visit.request.method != "GET" && visit.request.method != "HEAD") {
      co_await refuse(visit, Road::git, "upload-refused", "there is no such request of git");
      co_return;
    }
    co_await serve_refs(visit, push ? GitService::receive_pack : GitService::upload_pack);
    co_return;
  }
  if (push)
    co_await serve_git_push(visit);
  else if (packs == ServeConfig::Packs::pass)
    co_await relay_unread(visit);
  else
    co_await serve_git_pull(visit);
}

} // namespace hubgate::proxy

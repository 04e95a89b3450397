#include "proxy/git/git.hpp"

#include "proxy/relay/object.hpp"

#include <boost/json.hpp>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;

Headers git_fields(const Visit& visit) {
  Headers out = forwarded_fields(visit);
  out.remove("Accept-Encoding");
  for (const char* name: {"Git-Protocol", "Content-Type", "Content-Encoding", "Accept-Encoding"})
    if (const auto value = visit.request.headers.get(name)) out.set(name, *value);
  return out;
}

Task<void> note(Visit& visit) {
  boost::json::object fields;
  fields["repo"] = visit.asked.repo;
  fields["user"] = visit.user;
  fields["from"] = visit.from;
  fields["client"] = visit.agent;
  fields["request"] = visit.id;
  Gatekeeper& keeper = visit.gate.keeper;
  const Result<void> written =
      co_await visit.gate.loop.offload([&] { return keeper.event("unscanned-pack", fields); });
  if (!written && visit.gate.loop.on_error) visit.gate.loop.on_error(written.error().message);
}

} // namespace

Task<void> serve_git(Visit& visit) {
  Gate& gate = visit.gate;
  if (visit.asked.route == Route::git_push) {
    co_await refuse(visit, Road::git, "push-refused", "pushes do not pass through this gate");
    co_return;
  }
  if (!gate.config.unscanned_packs) {
    co_await refuse(visit, Road::git, "unscanned-packs",
                    "git packs can't be scanned; clone is refused unless the gate's configuration "
                    "says git.unscanned_packs: pass");
    co_return;
  }
  Url url = visit.hub->base;
  url.target = visit.request.target;
  Fetch fetch(visit.request.method, std::move(url), git_fields(visit));
  if (visit.asked.route == Route::git_pack) {
    auto body = co_await read_request_body(visit, gate.config.limits.request_body);
    if (!body) co_return;
    fetch.body = std::move(*body);
    fetch.has_body = true;
    co_await note(visit);
  }
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

} // namespace hubgate::proxy

#include "proxy/hub/listing.hpp"

#include "proxy/cache/serve.hpp"
#include "proxy/hub/rewrite.hpp"
#include "proxy/relay/object.hpp"

#include <boost/json.hpp>

namespace hubgate::proxy {

namespace {

constexpr std::uint64_t k_error_body = std::uint64_t{64} << 10;
/// Above this JSON is parsed on another thread.
constexpr std::size_t k_small = std::size_t{64} << 10;

enum class Kind { json, html, part_of_page, other };

// A browser behind the proxy sees the hub's pages where they live. At the endpoint they would live
// in the gate's origin, where nothing of theirs may run.
bool in_own_origin(const Visit& visit) {
  return visit.gate_url == visit.hub->base.origin.text();
}

Kind kind_of(const Visit& visit, const Headers& headers) {
  const std::string type = lower(headers.get("content-type").value_or(""));
  const std::string_view name = trimmed(std::string_view(type).substr(0, type.find(';')));
  if (name == "application/json" || name.ends_with("+json")) return Kind::json;
  if (name == "text/html") return Kind::html;
  const bool part = name == "text/css" || name == "text/javascript" ||
                    name == "application/javascript" || name.starts_with("image/") ||
                    name.starts_with("font/");
  return part && in_own_origin(visit) ? Kind::part_of_page : Kind::other;
}

Headers passed_fields(const Visit& visit, const Headers& from) {
  Headers out;
  for (const char* name:
       {"Content-Type", "ETag", "X-Repo-Commit", "X-Error-Code", "X-Error-Message", "X-HF-Warning",
        "X-Total-Count", "Last-Modified", "RateLimit", "RateLimit-Policy"})
    if (const auto value = from.get(name)) out.add(name, *value);
  const std::string link =
      rewrite_link(from.joined("link"), visit.hub->base.origin, visit.gate_url);
  if (!link.empty()) out.set("Link", link);
  if (!in_own_origin(visit)) return out;
  // What protects a page there.
  for (const char* name:
       {"Content-Security-Policy", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy",
        "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Strict-Transport-Security",
        "X-Content-Type-Options"})
    if (const std::string value = from.joined(name); !value.empty()) out.add(name, value);
  return out;
}

// The "error" text of an upstream's JSON, if it is one.
std::string error_text(const std::string& body) {
  boost::system::error_code failed;
  const auto value = boost::json::parse(body, failed);
  if (failed || !value.is_object()) return {};
  const auto* text = value.get_object().if_contains("error");
  return text && text->is_string() ? std::string(text->get_string()) : std::string{};
}

} // namespace

Task<bool> page_passes(Visit& visit, const std::string& body, Road road, std::string name,
                       std::string& key) {
  Gate& gate = visit.gate;
  const Sha256 digest = sha256(as_bytes(body));
  key = gate.with_rules(hex(digest));
  if (gate.clean_pages.find(key)) co_return true;
  ++gate.metrics.scans_total;
  const Report report = co_await scan_bytes(gate.loop, gate.pool, as_bytes(body),
                                            gate.spool_directory, gate.config.limits.scan);
  Context context = visit.context(road);
  context.path = std::move(name);
  context.sha256 = digest;
  context.size = body.size();
  if (gate.keeper.preview(report, context).passes()) {
    if (Store::storable(report)) gate.clean_pages.put(key, PassedPage{});
    co_return true;
  }
  Gatekeeper& keeper = gate.keeper;
  Decision decision = co_await gate.loop.offload([&] { return keeper.decide(report, context); });
  if (decision.passes()) co_return true; // a waiver
  co_await reply_refusal(visit, std::move(decision), std::move(context));
  co_return false;
}

Task<void> serve_listing(Visit& visit) {
  Gate& gate = visit.gate;
  Headers fields = forwarded_fields(visit);
  Url url = visit.hub->base;
  url.target = visit.request.target;
  Fetch fetch(visit.request.method, std::move(url), std::move(fields));
  if (visit.asked.route == Route::paths_info) {
    auto body = co_await read_request_body(visit, gate.config.limits.request_body);
    if (!body) co_return;
    fetch.body = std::move(*body);
    fetch.has_body = true;
    if (const auto type = visit.request.headers.get("content-type"))
      fetch.headers.set("Content-Type", *type);
  }
  co_await pass_page(visit, std::move(fetch));
}

namespace {

/// An answer of the hub that may pass, before it is scanned.
struct Page {
  int status = 200;
  Kind kind = Kind::json;
  Headers fields; ///< as they came
  std::string body;
};

// Scans and rewrites a page and sends it. True when it went out.
Task<bool> send_page(Visit& visit, Page page) {
  Gate& gate = visit.gate;
  std::string key;
  const bool passes =
      co_await page_passes(visit, page.body, Road::hub, visit.asked.target.path(), key);
  if (!passes) co_return false;
  Headers headers = passed_fields(visit, page.fields);
  PassedPage* known = gate.clean_pages.find(key);
  if (page.kind == Kind::json && !(known && known->as_it_is)) {
    const auto rewrite = [&] {
      return rewrite_json(page.body, visit.hub->base.origin, visit.gate_url);
    };
    Result<std::string> rewritten = std::string{};
    if (page.body.size() <= k_small)
      rewritten = rewrite();
    else
      rewritten = co_await gate.loop.offload(rewrite);
    if (!rewritten) {
      co_await reply_error(visit, 502, rewritten.error().message);
      co_return false;
    }
    known = gate.clean_pages.find(key);
    if (known) known->as_it_is = *rewritten == page.body;
    page.body = std::move(*rewritten);
  } else if (page.kind == Kind::html && !in_own_origin(visit)) {
    headers.set("Content-Security-Policy", "sandbox");
  } else if (page.kind == Kind::part_of_page) {
    headers.set("X-Content-Type-Options", "nosniff");
  }
  co_await reply(visit, page.status, std::move(headers), std::move(page.body));
  co_return true;
}

// A listing that the hub gave before, when it can't be asked now. False: there is none.
Task<bool> send_remembered(Visit& visit, std::string key) {
  std::optional<PageAnswer> known = co_await remembered_page(visit, std::move(key));
  if (!known) co_return false;
  Page page;
  page.fields = fields_from(known->fields);
  page.body = std::move(known->body);
  co_await send_page(visit, std::move(page));
  co_return true;
}

Headers worth_remembering(const Headers& from) {
  Headers out;
  for (const char* name: {"Content-Type", "ETag", "X-Repo-Commit", "X-Total-Count", "Link"})
    if (const std::string value = from.joined(name); !value.empty()) out.add(name, value);
  return out;
}

enum class Other { refused, left_out };

Task<void> pass(Visit& visit, Fetch fetch, Other other) {
  Gate& gate = visit.gate;
  const bool listing =
      visit.asked.route == Route::listing || visit.asked.route == Route::paths_info;
  const bool cached = gate.cache != nullptr && listing && !visit.is_head();
  std::string key;
  if (cached) key = page_key(visit, fetch.body);
  if (cached && hub_was_away(visit)) {
    const bool sent = co_await send_remembered(visit, key);
    if (sent) co_return;
  }
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (cached && hub_is_away(visit, got)) {
    const bool sent = co_await send_remembered(visit, key);
    if (sent) co_return;
  }
  if (!got.last || got.left_origin) {
    if (got.error.empty()) got.error = "the upstream sends this listing from another host";
    if (got.refused || got.left_origin)
      co_await refuse(visit, Road::hub, "not-followed", got.error);
    else
      co_await reply_error(visit, 502, got.error);
    co_return;
  }
  const ResponseHead& head = got.last->head;
  // "It exists already" is an answer with content: clients read the repository's address out of it.
  if (head.status >= 400 && head.status != 409) {
    if (cached) co_await forget_page(visit, key, head.status);
    auto body = co_await got.last->read_all(k_error_body);
    std::string text;
    if (body) text = error_text(*body);
    co_await reply_upstream_error(visit, head, std::move(text));
    co_return;
  }
  if (visit.is_head() || head.status == 204 || head.status == 304) {
    Headers headers = passed_fields(visit, head.headers);
    co_await reply(visit, head.status == 304 ? 200 : head.status, std::move(headers), {});
    co_return;
  }
  const Kind kind = kind_of(visit, head.headers);
  const auto encoding = head.headers.get("content-encoding");
  const bool unknown = kind == Kind::other || (encoding && *encoding != "identity");
  if (unknown && other == Other::left_out) {
    co_await reply(visit, head.status, {}, {});
    co_return;
  }
  if (unknown) {
    co_await refuse(visit, Road::hub, "unknown-content",
                    "only JSON and HTML (behind the proxy scripts, styles, images and fonts, "
                    "too) pass on this route, and not encoded");
    co_return;
  }
  auto body = co_await got.last->read_all(gate.config.limits.json);
  if (!body) {
    const std::string why = got.last->error();
    if (why == "the body is too large")
      co_await refuse(visit, Road::hub, "page-too-large",
                      "this page is larger than the gate passes");
    else
      co_await reply_error(visit, 502, "the upstream's answer broke off: " + why);
    co_return;
  }
  Page page;
  page.status = head.status;
  page.kind = kind;
  page.fields = head.headers;
  page.body = std::move(*body);
  const bool keeps = cached && page.status == 200 && kind == Kind::json;
  got.last.reset();
  gate.metrics.bytes_in += page.body.size();
  Headers fields;
  std::string as_it_came;
  if (keeps && gate.cache->options().offline) {
    fields = worth_remembering(page.fields);
    as_it_came = page.body;
  }
  const bool sent = co_await send_page(visit, std::move(page));
  if (sent && !as_it_came.empty())
    co_await remember_page(visit, std::move(key), std::move(fields), std::move(as_it_came));
}

} // namespace

Task<void> pass_page(Visit& visit, Fetch fetch) {
  co_await pass(visit, std::move(fetch), Other::refused);
}

Task<void> pass_status(Visit& visit, Fetch fetch) {
  co_await pass(visit, std::move(fetch), Other::left_out);
}

} // namespace hubgate::proxy

#include "proxy/cas/cas.hpp"

#include "proxy/cas/read.hpp"
#include "proxy/cas/shelf.hpp"
#include "proxy/cas/write.hpp"

#include <boost/json.hpp>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::uint64_t k_token_most = std::uint64_t{256} << 10; ///< both texts may have 64,000
constexpr std::uint64_t k_telemetry_most = std::uint64_t{1} << 20;

struct HubToken {
  std::string cas;
  std::string token;
  std::int64_t expires = 0;
};

// The same things stand in the body and in fields; clients differ in what they read.
std::optional<HubToken> read_token(const Headers& headers, const std::string& body) {
  HubToken out;
  boost::system::error_code wrong;
  const json::value value = json::parse(body, wrong);
  if (!wrong && value.is_object()) {
    const auto& fields = value.get_object();
    if (const auto* cas = fields.if_contains("casUrl"); cas && cas->is_string())
      out.cas = std::string(cas->get_string());
    if (const auto* token = fields.if_contains("accessToken"); token && token->is_string())
      out.token = std::string(token->get_string());
    if (const auto* expires = fields.if_contains("exp"); expires && expires->is_int64())
      out.expires = expires->get_int64();
  }
  if (out.cas.empty()) out.cas = std::string(headers.get("x-xet-cas-url").value_or(""));
  if (out.token.empty()) out.token = std::string(headers.get("x-xet-access-token").value_or(""));
  if (out.expires == 0) {
    const auto until = parse_decimal(headers.get("x-xet-token-expiration").value_or(""));
    out.expires =
        until && *until < (std::uint64_t{1} << 40) ? static_cast<std::int64_t>(*until) : 0;
  }
  while (out.cas.ends_with('/'))
    out.cas.pop_back();
  if (out.token.empty() || out.expires <= 0) return std::nullopt;
  const auto cas = parse_url(out.cas);
  if (!cas || cas->target.find('?') != std::string::npos) return std::nullopt;
  return out;
}

bool for_writing(const Asked& asked) {
  for (const std::string& part: asked.target.segments)
    if (part == "xet-write-token") return true;
  return false;
}

// Why the gate does not talk to the token's CAS; nothing when it does.
std::optional<std::string> not_followed(const Visit& visit, const HubToken& token) {
  const auto cas = parse_url(token.cas);
  return cas ? visit.hub->rules.refusal(*cas) : std::optional<std::string>(cas.error().message);
}

// What the client is to know of it goes into `ticket` and, in the fields that clients read, into
// `headers`.
void hand_out(const Visit& visit, const HubToken& token, CasTicket& ticket, Headers& headers) {
  ticket.cas = token.cas;
  ticket.token = token.token;
  ticket.user = visit.quota_user();
  ticket.name = visit.user;
  ticket.repo = visit.asked.repo;
  ticket.expires = token.expires;
  const std::string epoch = shelf_of(visit.gate).epoch(shelf_owner(ticket));
  headers.set("X-Xet-Cas-Url", visit.gate_url + "/" + std::string(k_lfs_link) + "/" +
                                   std::string(k_cas_word) + "/" + epoch);
  headers.set("X-Xet-Access-Token", seal_ticket(ticket, visit.gate.link_key));
  headers.set("X-Xet-Token-Expiration", std::to_string(token.expires));
}

std::string_view bearer(const Headers& headers) {
  const std::string_view field = headers.get("authorization").value_or("");
  const std::size_t space = std::min(field.find(' '), field.size());
  if (!equals_ignoring_case(field.substr(0, space), "bearer")) return {};
  return trimmed(field.substr(space));
}

// What clients take for a CAS that does not know this call (yet).
Task<void> reply_unknown_call(Visit& visit) {
  co_await reply_error(visit, 404, "this call of the CAS does not pass through the gate");
}

Task<void> serve_call(Visit& visit, const CasTicket& ticket, const std::vector<std::string>& call) {
  const bool post = visit.request.method == "POST";
  const bool pull = visit.request.method == "GET" && !ticket.write;
  if (pull && call.size() == 3 && (call[0] == "v1" || call[0] == "v2") &&
      call[1] == "reconstructions")
    co_await serve_reconstruction(visit, ticket, call[0], call[2]);
  else if (post && ticket.write && call.size() == 4 && call[0] == "v1" && call[1] == "xorbs")
    co_await serve_xorb_upload(visit, ticket, call[3]);
  else if (post && ticket.write && call.size() == 2 && call[1] == "shards")
    co_await serve_shard_upload(visit, ticket, call[0] == "v2");
  else
    co_await reply_unknown_call(visit);
}

} // namespace

Fetch cas_fetch(const Visit& visit, const CasTicket& ticket, std::string method,
                std::string_view path) {
  Headers fields;
  fields.set("Authorization", "Bearer " + ticket.token);
  fields.set("Accept-Encoding", "identity");
  for (const char* name: {"User-Agent", "X-Xet-Session-Id"})
    if (const auto value = visit.request.headers.get(name)) fields.set(name, *value);
  const auto base = parse_url(ticket.cas); // was checked before it went into the ticket
  Url url = base ? *base : Url{};
  if (url.target == "/") url.target.clear();
  url.target += path;
  Fetch fetch(std::move(method), std::move(url), std::move(fields));
  fetch.hub = visit.hub;
  return fetch;
}

Task<void> serve_cas_token(Visit& visit) {
  Gate& gate = visit.gate;
  const bool write = for_writing(visit.asked);
  if (write) visit.direction = Direction::push;
  CasTicket ticket;
  Url url = visit.hub->base;
  url.target = visit.request.target;
  if (!write) {
    const bool named = co_await read_wanted_file(visit, ticket);
    if (!named) co_return;
    url.target.resize(std::min(url.target.find('?'), url.target.size()));
  }
  Headers fields = forwarded_fields(visit);
  Fetch fetch("GET", std::move(url), std::move(fields));
  fetch.hub = visit.hub;
  std::string error;
  std::unique_ptr<Exchange> answer = co_await gate.upstream.request(std::move(fetch), error);
  if (!answer) {
    co_await reply_error(visit, 502, std::move(error));
    co_return;
  }
  if (answer->head.status != 200) {
    const ResponseHead head = answer->head;
    co_await reply_upstream_error(visit, head, {});
    co_return;
  }
  const auto body = co_await answer->read_all(k_token_most);
  const auto token = body ? read_token(answer->head.headers, *body) : std::nullopt;
  answer.reset();
  if (!token) {
    co_await reply_error(visit, 502, "the upstream's answer holds no token for a CAS");
    co_return;
  }
  if (const auto why = not_followed(visit, *token)) {
    std::string reason = "the hub's CAS is not followed: " + *why;
    co_await refuse(visit, Road::xet, "not-followed", std::move(reason));
    co_return;
  }
  ticket.write = write;
  Headers headers;
  hand_out(visit, *token, ticket, headers);
  if (!write) {
    const bool permitted = co_await permit_file(visit, ticket, headers);
    if (!permitted) co_return;
  }
  json::object out;
  out["casUrl"] = headers.get("X-Xet-Cas-Url").value_or("");
  out["accessToken"] = headers.get("X-Xet-Access-Token").value_or("");
  out["exp"] = token->expires;
  headers.set("Content-Type", "application/json");
  headers.set("Cache-Control", "no-store");
  std::string text = json::serialize(out);
  co_await reply(visit, 200, std::move(headers), std::move(text));
}

std::optional<json::object> xet_upload_action(const Visit& visit, const json::object& upload) {
  const auto* href = upload.if_contains("href");
  if (!href || !href->is_string()) return std::nullopt;
  const auto url = resolve(visit.hub->base, std::string(href->get_string()));
  if (!url || !(url->origin == visit.hub->base.origin)) return std::nullopt;
  auto target = parse_target(url->target);
  if (!target) return std::nullopt;
  const Asked asked = classify("GET", std::move(*target));
  if (asked.route != Route::xet_token || !for_writing(asked) || asked.repo != visit.asked.repo)
    return std::nullopt;
  json::object out;
  out["href"] = visit.gate_url + url->target;
  Headers given;
  if (const auto* fields = upload.if_contains("header"); fields && fields->is_object())
    for (const auto& field: fields->get_object())
      for (const char* name: {"X-Xet-Cas-Url", "X-Xet-Access-Token", "X-Xet-Token-Expiration"})
        if (equals_ignoring_case(field.key(), name) && field.value().is_string())
          given.set(name, std::string_view(field.value().get_string()));
  json::object header;
  if (const auto token = read_token(given, {})) {
    if (not_followed(visit, *token)) return std::nullopt;
    CasTicket ticket;
    ticket.write = true;
    Headers headers;
    hand_out(visit, *token, ticket, headers);
    for (const Header field: headers)
      header[field.name] = field.value;
  }
  out["header"] = std::move(header);
  return out;
}

Task<void> serve_cas(Visit& visit) {
  const auto& segments = visit.asked.target.segments;
  if (visit.request.method == "GET" && segments.size() == 6 && segments[3] == "data") {
    co_await serve_xorb(visit, segments[4], segments[5]);
    co_return;
  }
  const auto ticket =
      open_ticket(bearer(visit.request.headers), visit.gate.link_key, hubgate::now());
  if (!ticket) {
    std::string why = ticket.error().message;
    co_await reply_error(visit, 401, std::move(why));
    co_return;
  }
  visit.user = ticket->name;
  visit.asked.repo = ticket->repo;
  if (ticket->write) visit.direction = Direction::push;
  // "_hubgate/cas/EPOCH/…"
  std::vector<std::string> call;
  for (std::size_t i = 3; i < segments.size(); ++i)
    call.push_back(segments[i]);
  // hf_xet 1.2 names no version.
  if (!call.empty() && call[0] != "v1" && call[0] != "v2") call.insert(call.begin(), "v1");
  co_await serve_call(visit, *ticket, call);
}

Task<void> serve_cas_telemetry(Visit& visit) {
  const auto body = co_await read_request_body(visit, k_telemetry_most);
  if (!body) co_return;
  Headers headers;
  co_await reply(visit, 200, std::move(headers), {});
}

} // namespace hubgate::proxy

#include "proxy/lfs/lfs.hpp"

#include "proxy/cas/cas.hpp"
#include "proxy/hub/listing.hpp"
#include "proxy/lfs/links.hpp"
#include "proxy/lfs/multipart.hpp"
#include "proxy/relay/object.hpp"
#include "proxy/relay/put.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::uint64_t k_max_batch = std::uint64_t{4} << 20;
constexpr std::size_t k_max_objects = 1000;
constexpr std::size_t k_max_fields = 16;
constexpr std::size_t k_at_once = 4;
constexpr const char* k_type = "application/vnd.git-lfs+json";

struct Wish {
  json::object* object = nullptr; ///< in the answer
  LfsLink link;
  bool passes = false;
  bool done = false;
  std::string refusal; ///< for the person
  int code = 0;
};

struct Batch {
  Batch(Visit& visit_, Loop& loop) : visit(visit_), changed(loop) {}
  Visit& visit;
  std::vector<Wish> wishes;
  std::size_t next = 0;
  std::size_t running = 0;
  Event changed;
};

std::optional<std::string> text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (!value || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

// An action of an object as a link, or nothing when there is none that we follow.
std::optional<LfsLink> link_of(const Visit& visit, const json::object& object,
                               std::string_view action, LinkFor purpose) {
  LfsLink link;
  link.purpose = purpose;
  const auto oid = text_of(object, "oid");
  const auto digest = oid ? sha256_from_hex(*oid) : std::nullopt;
  const auto* size = object.if_contains("size");
  const auto* actions = object.if_contains("actions");
  if (!digest || !size || !size->is_number() || !actions || !actions->is_object())
    return std::nullopt;
  boost::system::error_code wrong;
  link.size = size->to_number<std::uint64_t>(wrong);
  const auto* asked =
      actions->get_object().if_contains(json::string_view(action.data(), action.size()));
  if (wrong || !asked || !asked->is_object()) return std::nullopt;
  const auto href = text_of(asked->get_object(), "href");
  if (!href) return std::nullopt;
  const auto url = resolve(visit.hub->base, *href);
  if (!url || visit.hub->rules.refusal(*url)) return std::nullopt;
  link.url = url->text();
  if (const auto* fields = asked->get_object().if_contains("header");
      fields && fields->is_object()) {
    for (const auto& field: fields->get_object()) {
      if (!field.value().is_string() || link.fields.size() >= k_max_fields) return std::nullopt;
      const std::string name(field.key());
      if (name.empty() || name.find_first_of(": \r\n\t") != std::string::npos) return std::nullopt;
      link.fields.add(name, std::string_view(field.value().get_string()));
    }
  }
  link.oid = *digest;
  link.user = visit.user;
  link.hub = visit.hub->name;
  link.repo = visit.asked.repo;
  link.expires = now() + visit.gate.config.link_life.count();
  return link;
}

Fetch fetch_for(const Visit& visit, const LfsLink& link, std::string method) {
  Headers fields = link.fields;
  fields.set("Accept-Encoding", "identity");
  if (!fields.has("user-agent") && !visit.agent.empty()) fields.set("User-Agent", visit.agent);
  auto url = parse_url(link.url);
  Fetch fetch(std::move(method), url ? *url : Url{}, std::move(fields));
  fetch.hub = visit.hub;
  return fetch;
}

Ask ask_for(const Visit& visit, const LfsLink& link) {
  Ask ask(fetch_for(visit, link, "GET"), Road::lfs);
  ask.oid = link.oid;
  ask.size = link.size;
  ask.signed_link = true;
  return ask;
}

Task<void> judge_wishes(Batch& batch) {
  while (batch.next < batch.wishes.size()) {
    Wish& wish = batch.wishes[batch.next++];
    std::string error;
    bool busy = false;
    const auto outcome =
        co_await judge_object(batch.visit, ask_for(batch.visit, wish.link), error, busy);
    if (outcome) {
      Context context = batch.visit.context(Road::lfs);
      Decision decision = co_await decide(batch.visit.gate, outcome, context);
      ++batch.visit.gate.metrics.decisions[std::string(to_string(decision.action))];
      wish.passes = decision.passes();
      if (!wish.passes) {
        wish.code = 422; // git-lfs gives up on any code at once; this one is in its protocol
        wish.refusal = refusal_line(decision, context);
      }
    } else if (busy) {
      wish.passes = true; // the transfer itself waits for the scan
    } else {
      wish.code = 404;
      wish.refusal = "hubgate: " + error;
    }
    wish.done = true;
    batch.changed.notify();
  }
  --batch.running;
  batch.changed.notify();
}

void write_wish(const Visit& visit, const Wish& wish) {
  json::object& object = *wish.object;
  object.erase("actions");
  object.erase("error");
  if (wish.passes) {
    json::object download;
    download["href"] = visit.gate_url + make_link(wish.link, visit.gate.link_key);
    download["expires_at"] = to_iso(wish.link.expires);
    object["actions"] = json::object{{"download", std::move(download)}};
  } else {
    object["error"] = json::object{{"code", wish.code}, {"message", wish.refusal}};
  }
}

// The objects of the answer that the upstream would hand out; the others lose their actions.
std::vector<Wish> wishes_of(const Visit& visit, json::object& answer) {
  std::vector<Wish> out;
  auto* objects = answer.if_contains("objects");
  if (!objects || !objects->is_array()) return out;
  for (json::value& value: objects->get_array()) {
    auto* object = value.if_object();
    if (!object || object->if_contains("error")) continue;
    Wish wish;
    wish.object = object;
    auto link = link_of(visit, *object, "download", LinkFor::download);
    if (link)
      wish.link = std::move(*link);
    else {
      wish.done = true;
      wish.code = 404;
      wish.refusal = "hubgate: the upstream gives no download link for this object that the gate "
                     "follows";
    }
    out.push_back(std::move(wish));
  }
  return out;
}

json::object action(const Visit& visit, const LfsLink& link) {
  json::object out;
  out["href"] = visit.gate_url + make_link(link, visit.gate.link_key);
  out["expires_at"] = to_iso(link.expires);
  return out;
}

void set_error(json::object& object, int code, std::string message) {
  object.erase("actions");
  object["error"] = json::object{{"code", code}, {"message", std::move(message)}};
}

// What the policy says of bytes that the gate has seen before, if it has and blocks them.
Task<std::optional<std::string>> known_refusal(Visit& visit, const LfsLink& link) {
  Gatekeeper& keeper = visit.gate.keeper;
  Context context = visit.context(Road::lfs);
  context.sha256 = link.oid;
  context.size = link.size;
  std::optional<std::string> refusal =
      co_await visit.gate.loop.offload([&]() -> std::optional<std::string> {
        const auto stored = keeper.lookup(link.oid, link.size);
        if (!stored || !stored->current) return std::nullopt;
        if (keeper.preview(stored->report, context).passes()) return std::nullopt;
        const Decision decision = keeper.decide(stored->report, context);
        if (decision.passes()) return std::nullopt; // a waiver
        return refusal_line(decision, context);
      });
  co_return refusal;
}

// The object that an entry of the answer is about; nothing when it does not say.
std::optional<LfsLink> object_of(const Visit& visit, const json::object& object) {
  const auto oid = text_of(object, "oid");
  const auto digest = oid ? sha256_from_hex(*oid) : std::nullopt;
  const auto* size = object.if_contains("size");
  if (!digest || size == nullptr || !size->is_number()) return std::nullopt;
  boost::system::error_code wrong;
  LfsLink out;
  out.size = size->to_number<std::uint64_t>(wrong);
  if (wrong) return std::nullopt;
  out.oid = *digest;
  out.hub = visit.hub->name;
  out.user = visit.user;
  out.repo = visit.asked.repo;
  out.expires = now() + visit.gate.config.link_life.count();
  return out;
}

// The action that takes the bytes, whole, in parts or over Xet; nothing when there is none that we
// follow.
std::optional<json::object> upload_action(const Visit& visit, const json::object& object,
                                          const LfsLink& asked, bool over_xet) {
  const auto* actions = object.at("actions").if_object();
  const auto* upload = actions != nullptr ? actions->if_contains("upload") : nullptr;
  if (upload == nullptr || !upload->is_object()) return std::nullopt;
  if (over_xet) return xet_upload_action(visit, upload->get_object());
  const auto* header = upload->get_object().if_contains("header");
  if (header != nullptr && header->is_object() && header->get_object().contains("chunk_size"))
    return parts_action(visit, upload->get_object(), asked);
  const auto whole = link_of(visit, object, "upload", LinkFor::upload);
  return whole ? std::optional(action(visit, *whole)) : std::nullopt;
}

// An object of the answer to an upload: the client sends its bytes here. One without actions is on
// the hub already; the commit that names it is where it is judged.
Task<void> offer_upload(Visit& visit, json::object& object, bool over_xet) {
  if (object.if_contains("error") != nullptr) co_return;
  const auto asked = object_of(visit, object);
  if (!asked) {
    set_error(object, 404, "hubgate: the upstream's answer does not name the object");
    co_return;
  }
  auto refusal = co_await known_refusal(visit, *asked);
  if (refusal) {
    set_error(object, 422, std::move(*refusal));
    co_return;
  }
  if (object.if_contains("actions") == nullptr) co_return;
  auto upload = upload_action(visit, object, *asked, over_xet);
  if (!upload) {
    set_error(object, 404, "hubgate: the upstream gives no upload link that the gate follows");
    co_return;
  }
  const auto verify = link_of(visit, object, "verify", LinkFor::verify);
  json::object actions;
  actions["upload"] = std::move(*upload);
  if (verify) actions["verify"] = action(visit, *verify);
  object["actions"] = std::move(actions);
}

// `xet_offered`: the hub could choose Xet.
Task<void> answer_upload(Visit& visit, json::object answer, bool xet_offered) {
  const auto chosen = text_of(answer, "transfer");
  const bool over_xet = xet_offered && chosen == "xet";
  json::array objects;
  if (auto* listed = answer.if_contains("objects"); listed && listed->is_array())
    objects = std::move(listed->get_array());
  if (objects.size() > k_max_objects) {
    co_await reply_error(visit, 413, "too many objects in one batch");
    co_return;
  }
  for (json::value& value: objects)
    if (auto* object = value.if_object()) co_await offer_upload(visit, *object, over_xet);
  answer["objects"] = std::move(objects);
  if (chosen != "multipart" && !over_xet) answer["transfer"] = "basic";
  Headers headers;
  headers.set("Content-Type", k_type);
  std::string text(json::serialize(answer));
  co_await reply(visit, 200, std::move(headers), std::move(text));
}

/// A batch request as it goes on: only transfers whose bytes come through here.
struct BatchRequest {
  json::object value;
  std::string operation;
  bool offers_xet = false;
};

std::optional<BatchRequest> batch_request(const ServeConfig& config, const std::string& body) {
  boost::system::error_code wrong;
  json::value asked = json::parse(body, wrong);
  if (wrong || !asked.is_object()) return std::nullopt;
  BatchRequest out;
  out.value = std::move(asked.get_object());
  out.operation = text_of(out.value, "operation").value_or("");
  json::array transfers{"basic"};
  const auto* offered = out.value.if_contains("transfers");
  if (out.operation == "upload" && offered != nullptr && offered->is_array())
    for (const json::value& one: offered->get_array()) {
      if (one == "multipart") transfers.push_back("multipart");
      if (one == "xet") out.offers_xet = config.xet == ServeConfig::Xet::terminate;
    }
  if (out.offers_xet) transfers.push_back("xet");
  out.value["transfers"] = std::move(transfers);
  return out;
}

Fetch batch_fetch(const Visit& visit, std::string target, std::string request) {
  Headers fields = forwarded_fields(visit);
  fields.set("Accept", k_type);
  fields.set("Content-Type", k_type);
  Url url = visit.hub->base;
  url.target = std::move(target);
  Fetch fetch("POST", std::move(url), std::move(fields));
  fetch.body = std::move(request);
  fetch.has_body = true;
  return fetch;
}

// The hub's answer to a batch request; nothing: the client has been told why.
Task<std::optional<json::object>> ask_batch(Visit& visit, std::string request) {
  Gate& gate = visit.gate;
  Fetch fetch = batch_fetch(visit, visit.request.target, std::move(request));
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (!got.last) {
    co_await reply_error(visit, 502, got.error);
    co_return std::nullopt;
  }
  if (got.last->head.status != 200) {
    co_await reply_upstream_error(visit, got.last->head, {});
    co_return std::nullopt;
  }
  auto text = co_await got.last->read_all(gate.config.limits.json);
  boost::system::error_code wrong;
  json::value answer;
  if (text) answer = json::parse(*text, wrong);
  if (!text || wrong || !answer.is_object()) {
    co_await reply_error(visit, 502, "the upstream's batch answer can't be read");
    co_return std::nullopt;
  }
  co_return std::move(answer.get_object());
}

Task<void> answer_download(Visit& visit, json::object answer) {
  Gate& gate = visit.gate;
  Batch batch(visit, gate.loop);
  batch.wishes = wishes_of(visit, answer);
  if (batch.wishes.size() > k_max_objects) {
    co_await reply_error(visit, 413, "too many objects in one batch");
    co_return;
  }
  std::vector<Wish> unknown;
  const auto open = std::stable_partition(batch.wishes.begin(), batch.wishes.end(),
                                          [](const Wish& wish) { return !wish.done; });
  unknown.assign(std::make_move_iterator(open), std::make_move_iterator(batch.wishes.end()));
  batch.wishes.erase(open, batch.wishes.end());
  batch.running = std::min(k_at_once, batch.wishes.size());
  for (std::size_t i = 0; i < batch.running; ++i)
    gate.loop.spawn([&batch] { return judge_wishes(batch); });
  // White space before the JSON keeps a patient client patient.
  Headers headers;
  headers.set("Content-Type", k_type);
  BodyWriter writer(visit);
  writer.prepare(200, headers, std::nullopt);
  TimePoint last_sign = Clock::now();
  bool alive = true;
  while (batch.running > 0) { // to the end, for `batch` is theirs too
    co_await batch.changed.wait(std::chrono::seconds(1));
    if (batch.running == 0 || !alive || Clock::now() - last_sign < gate.config.trickle) continue;
    last_sign = Clock::now();
    alive = co_await writer.send(as_bytes("\n"));
  }
  if (!alive) co_return;
  for (const Wish& wish: batch.wishes)
    write_wish(visit, wish);
  for (const Wish& wish: unknown)
    write_wish(visit, wish);
  answer["transfer"] = "basic";
  const std::string out(json::serialize(answer));
  const bool sent = co_await writer.send(as_bytes(out));
  if (sent) co_await writer.finish();
}

} // namespace

Task<void> serve_lfs_batch(Visit& visit) {
  auto body = co_await read_request_body(visit, k_max_batch);
  if (!body) co_return;
  auto request = batch_request(visit.gate.config, *body);
  if (!request || (request->operation != "download" && request->operation != "upload")) {
    co_await refuse(visit, Road::lfs, "bad-batch",
                    "the batch request is no JSON that asks for a download or an upload");
    co_return;
  }
  const bool upload = request->operation == "upload";
  if (upload) visit.direction = Direction::push;
  std::string text(json::serialize(request->value));
  auto answer = co_await ask_batch(visit, std::move(text));
  if (!answer) co_return;
  if (upload)
    co_await answer_upload(visit, std::move(*answer), request->offers_xet);
  else
    co_await answer_download(visit, std::move(*answer));
}

namespace {

// The link of the request, for whom it was made; nothing: the client has been told.
Task<std::optional<LfsLink>> link_for(Visit& visit, LinkFor purpose) {
  auto link = read_link(visit.asked.target, visit.gate.link_key, now());
  if (link && link->purpose == purpose && link->hub == visit.hub->name) {
    visit.user = link->user;
    visit.asked.repo = link->repo;
    co_return std::move(*link);
  }
  std::string why = "this link is for something else";
  if (!link) why = link.error().message;
  co_await refuse(visit, Road::lfs, "bad-link", why);
  co_return std::nullopt;
}

} // namespace

Task<std::shared_ptr<const Outcome>> judge_lfs_object(Visit& visit, Sha256 oid, std::uint64_t size,
                                                      TimePoint until, std::string& error,
                                                      bool& busy) {
  json::object request;
  request["operation"] = "download";
  request["transfers"] = json::array{"basic"};
  request["objects"] = json::array{json::object{{"oid", hex(oid)}, {"size", size}}};
  Fetch fetch = batch_fetch(visit, "/" + visit.asked.repo + ".git/info/lfs/objects/batch",
                            std::string(json::serialize(request)));
  Fetched got = co_await visit.gate.upstream.follow(std::move(fetch));
  std::optional<std::string> text;
  if (got.last && got.last->head.status == 200)
    text = co_await got.last->read_all(visit.gate.config.limits.json);
  boost::system::error_code wrong;
  json::value answer;
  if (text) answer = json::parse(*text, wrong);
  std::optional<LfsLink> link;
  if (text && !wrong && answer.is_object()) {
    auto wishes = wishes_of(visit, answer.get_object());
    if (wishes.size() == 1 && !wishes[0].done) link = std::move(wishes[0].link);
  }
  if (!link || link->oid != oid || link->size != size) {
    error = "the upstream does not have the object " + hex(oid);
    co_return nullptr;
  }
  Ask ask = ask_for(visit, *link);
  ask.until = until;
  auto outcome = co_await judge_object(visit, std::move(ask), error, busy);
  co_return outcome;
}

Task<void> serve_lfs_object(Visit& visit) {
  auto link = co_await link_for(visit, LinkFor::download);
  if (link) co_await serve_object(visit, ask_for(visit, *link));
}

Task<void> serve_lfs_upload(Visit& visit) {
  visit.direction = Direction::push;
  auto link = co_await link_for(visit, LinkFor::upload);
  if (!link) co_return;
  Fetch fetch = fetch_for(visit, *link, "PUT");
  if (const auto type = visit.request.headers.get("content-type"))
    fetch.headers.set("Content-Type", *type);
  co_await serve_put(visit, std::move(fetch), link->oid, link->size);
}

Task<void> serve_lfs_part(Visit& visit) {
  visit.direction = Direction::push;
  auto link = co_await link_for(visit, LinkFor::part);
  if (link) co_await serve_part(visit, std::move(*link));
}

Task<void> serve_lfs_completion(Visit& visit) {
  visit.direction = Direction::push;
  auto link = co_await link_for(visit, LinkFor::complete);
  if (link) co_await serve_completion(visit, std::move(*link));
}

Task<void> serve_lfs_verify(Visit& visit) {
  visit.direction = Direction::push;
  auto link = co_await link_for(visit, LinkFor::verify);
  if (!link) co_return;
  auto body = co_await read_request_body(visit, k_max_batch);
  if (!body) co_return;
  Fetch fetch = fetch_for(visit, *link, "POST");
  fetch.headers.set("Accept", k_type);
  fetch.headers.set("Content-Type", k_type);
  // What is asked is written here: whether this object came.
  fetch.body = json::serialize(json::object{{"oid", hex(link->oid)}, {"size", link->size}});
  fetch.has_body = true;
  Fetched got = co_await visit.gate.upstream.follow(std::move(fetch));
  if (!got.last) {
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  if (got.last->head.status / 100 != 2) {
    co_await reply_upstream_error(visit, got.last->head, {});
    co_return;
  }
  Headers headers;
  headers.set("Content-Type", k_type);
  std::string nothing = "{}";
  co_await reply(visit, 200, std::move(headers), std::move(nothing));
}

} // namespace hubgate::proxy

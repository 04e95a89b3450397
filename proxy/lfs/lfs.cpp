#include "proxy/lfs/lfs.hpp"

#include "proxy/hub/listing.hpp"
#include "proxy/lfs/links.hpp"
#include "proxy/relay/object.hpp"

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

// The download action of an object as a link, or nothing when there is none that we follow.
std::optional<LfsLink> link_of(const Visit& visit, const json::object& object) {
  LfsLink link;
  const auto oid = text_of(object, "oid");
  const auto digest = oid ? sha256_from_hex(*oid) : std::nullopt;
  const auto* size = object.if_contains("size");
  const auto* actions = object.if_contains("actions");
  if (!digest || !size || !size->is_number() || !actions || !actions->is_object())
    return std::nullopt;
  boost::system::error_code wrong;
  link.size = size->to_number<std::uint64_t>(wrong);
  const auto* download = actions->get_object().if_contains("download");
  if (wrong || !download || !download->is_object()) return std::nullopt;
  const auto href = text_of(download->get_object(), "href");
  if (!href) return std::nullopt;
  const auto url = resolve(visit.gate.config.upstream, *href);
  if (!url || visit.gate.upstream.rules().refusal(*url)) return std::nullopt;
  link.url = url->text();
  if (const auto* fields = download->get_object().if_contains("header");
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
  link.repo = visit.asked.repo;
  link.expires = now() + visit.gate.config.link_life.count();
  return link;
}

Ask ask_for(const Visit& visit, const LfsLink& link) {
  Headers fields = link.fields;
  fields.set("Accept-Encoding", "identity");
  if (!fields.has("user-agent") && !visit.agent.empty()) fields.set("User-Agent", visit.agent);
  auto url = parse_url(link.url);
  Ask ask(Fetch("GET", url ? *url : Url{}, std::move(fields)), Road::lfs);
  ask.oid = link.oid;
  ask.size = link.size;
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
    auto link = link_of(visit, *object);
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

bool is_download(const std::string& body, std::string& problem) {
  boost::system::error_code wrong;
  const json::value asked = json::parse(body, wrong);
  if (wrong || !asked.is_object()) {
    problem = "the batch request is no JSON";
    return false;
  }
  const auto operation = text_of(asked.get_object(), "operation");
  if (operation == "download") return true;
  problem = "uploads do not pass through this gate";
  return false;
}

} // namespace

Task<void> serve_lfs_batch(Visit& visit) {
  Gate& gate = visit.gate;
  auto body = co_await read_request_body(visit, k_max_batch);
  if (!body) co_return;
  std::string problem;
  if (!is_download(*body, problem)) {
    co_await refuse(visit, Road::lfs, "upload-refused", problem);
    co_return;
  }
  Headers fields = forwarded_fields(visit);
  fields.set("Accept", k_type);
  fields.set("Content-Type", k_type);
  Url url = gate.config.upstream;
  url.target = visit.request.target;
  Fetch fetch("POST", std::move(url), std::move(fields));
  fetch.body = std::move(*body);
  fetch.has_body = true;
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  if (!got.last) {
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  if (got.last->head.status != 200) {
    co_await reply_upstream_error(visit, got.last->head, {});
    co_return;
  }
  auto text = co_await got.last->read_all(gate.config.limits.json);
  boost::system::error_code wrong;
  json::value answer;
  if (text) answer = json::parse(*text, wrong);
  if (!text || wrong || !answer.is_object()) {
    co_await reply_error(visit, 502, "the upstream's batch answer can't be read");
    co_return;
  }
  got.last.reset();
  Batch batch(visit, gate.loop);
  batch.wishes = wishes_of(visit, answer.get_object());
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
  answer.get_object()["transfer"] = "basic";
  const std::string out(json::serialize(answer));
  const bool sent = co_await writer.send(as_bytes(out));
  if (sent) co_await writer.finish();
}

Task<void> serve_lfs_object(Visit& visit) {
  auto link = read_link(visit.asked.target, visit.gate.link_key, now());
  if (!link) {
    co_await refuse(visit, Road::lfs, "bad-link", link.error().message);
    co_return;
  }
  visit.user = link->user;
  visit.asked.repo = link->repo;
  co_await serve_object(visit, ask_for(visit, *link));
}

} // namespace hubgate::proxy

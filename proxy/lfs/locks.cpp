#include "proxy/lfs/locks.hpp"

#include "proxy/relay/object.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr const char* k_type = "application/vnd.git-lfs+json";
constexpr std::uint64_t k_request_max = std::uint64_t{256} << 10;
constexpr std::size_t k_text_max = 4096; ///< of a path, a name, an id
constexpr std::size_t k_locks_max = 10'000;
constexpr std::uint64_t k_error_max = std::uint64_t{64} << 10;

// A text that git-lfs may show as it is; nothing for anything else.
std::optional<std::string> text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) return std::nullopt;
  std::string out(value->get_string());
  const bool plain = std::none_of(out.begin(), out.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!plain || out.size() > k_text_max) return std::nullopt;
  return out;
}

std::optional<json::object> parsed(std::string_view text) {
  boost::system::error_code wrong;
  json::parse_options options;
  options.max_depth = 8;
  json::value out = json::parse(json::string_view(text.data(), text.size()), wrong, {}, options);
  if (wrong || !out.is_object()) return std::nullopt;
  return std::move(out.get_object());
}

void copy_text(const json::object& from, json::object& to, std::string_view name) {
  if (auto text = text_of(from, name)) to[json::string_view(name.data(), name.size())] = *text;
}

std::optional<json::object> lock_of(const json::value& value) {
  const auto* from = value.if_object();
  if (from == nullptr || !text_of(*from, "id") || !text_of(*from, "path")) return std::nullopt;
  json::object out;
  for (const char* name: {"id", "path", "locked_at"})
    copy_text(*from, out, name);
  const auto* owner = from->if_contains("owner");
  if (owner != nullptr && owner->is_object()) {
    json::object who;
    copy_text(owner->get_object(), who, "name");
    out["owner"] = std::move(who);
  }
  return out;
}

// False: it is no list of locks.
bool copy_locks(const json::object& from, json::object& to, const char* name) {
  json::array out;
  const auto* list = from.if_contains(name);
  if (list != nullptr && !list->is_null()) {
    if (!list->is_array() || list->get_array().size() > k_locks_max) return false;
    for (const json::value& value: list->get_array()) {
      auto lock = lock_of(value);
      if (!lock) return false;
      out.push_back(std::move(*lock));
    }
  }
  to[name] = std::move(out);
  return true;
}

std::string message_of(std::string_view body) {
  const auto answer = parsed(body);
  return answer ? text_of(*answer, "message").value_or("") : std::string();
}

std::string target_of(const Visit& visit, LockCall call) {
  std::string out;
  for (const std::string& segment: visit.asked.target.raw)
    out += "/" + segment;
  return call == LockCall::list ? out + lock_query(visit.asked.target.query) : out;
}

} // namespace

std::optional<LockCall> lock_call(std::string_view method, std::span<const std::string> rest) {
  if (method == "GET" && rest.empty()) return LockCall::list;
  if (method != "POST") return std::nullopt;
  if (rest.empty()) return LockCall::create;
  if (rest.size() == 1 && rest[0] == "verify") return LockCall::verify;
  if (rest.size() == 2 && rest[1] == "unlock") return LockCall::unlock;
  return std::nullopt;
}

std::string lock_query(std::string_view query) {
  std::string out;
  for (const char* name: {"path", "id", "cursor", "limit", "refspec"}) {
    const auto value = query_value(query, name);
    if (!value || value->empty()) continue;
    out += (out.empty() ? "?" : "&") + std::string(name) + "=" + percent_encoded(*value);
  }
  return out;
}

Result<std::string> lock_request(LockCall call, std::string_view body) {
  const auto asked = parsed(body);
  if (!asked) return Error{"the request about locks is no JSON object"};
  json::object out;
  if (call == LockCall::create) {
    if (!text_of(*asked, "path")) return Error{"the request for a lock names no path"};
    copy_text(*asked, out, "path");
  }
  if (call == LockCall::verify) {
    copy_text(*asked, out, "cursor");
    if (const auto* limit = asked->if_contains("limit"); limit != nullptr && limit->is_int64())
      out["limit"] = *limit;
  }
  if (call == LockCall::unlock) {
    const auto* force = asked->if_contains("force");
    out["force"] = force != nullptr && force->is_bool() && force->get_bool();
  }
  const auto* ref = asked->if_contains("ref");
  if (ref != nullptr && ref->is_object()) {
    json::object name;
    copy_text(ref->get_object(), name, "name");
    out["ref"] = std::move(name);
  }
  return std::string(json::serialize(out));
}

Result<std::string> lock_answer(LockCall call, int status, std::string_view body) {
  const auto answer = parsed(body);
  if (!answer) return Error{"it is no JSON object"};
  json::object out;
  if (call == LockCall::create || call == LockCall::unlock) {
    const auto* value = answer->if_contains("lock");
    auto lock = value == nullptr ? std::nullopt : lock_of(*value);
    if (!lock && status != 409) return Error{"it has no lock"};
    if (lock) out["lock"] = std::move(*lock);
  } else {
    const bool whole = call == LockCall::list
                           ? copy_locks(*answer, out, "locks")
                           : copy_locks(*answer, out, "ours") && copy_locks(*answer, out, "theirs");
    if (!whole) return Error{"it is no list of locks"};
    copy_text(*answer, out, "next_cursor");
  }
  if (status == 409) out["message"] = text_of(*answer, "message").value_or("already locked");
  return std::string(json::serialize(out));
}

Task<void> serve_lfs_locks(Visit& visit) {
  const auto& parts = visit.asked.target.segments;
  const auto word = std::find(parts.begin(), parts.end(), "locks"); // behind ….git/info/lfs
  const auto call =
      word == parts.end()
          ? std::nullopt
          : lock_call(visit.request.method,
                      std::span(parts).subspan(static_cast<std::size_t>(word - parts.begin()) + 1));
  if (!call) {
    co_await refuse(visit, Road::lfs, "upload-refused", "there is no such request about locks");
    co_return;
  }
  if (*call != LockCall::list) visit.direction = Direction::push;
  Headers fields = forwarded_fields(visit);
  fields.set("Accept", k_type);
  Url url = visit.hub->base;
  url.target = target_of(visit, *call);
  Fetch fetch(visit.request.method, std::move(url), std::move(fields));
  fetch.hub = visit.hub;
  if (*call != LockCall::list) {
    auto body = co_await read_request_body(visit, k_request_max);
    if (!body) co_return;
    auto request = lock_request(*call, *body);
    if (!request) {
      std::string why = request.error().message;
      co_await refuse(visit, Road::lfs, "bad-lock", std::move(why));
      co_return;
    }
    fetch.headers.set("Content-Type", k_type);
    fetch.body = std::move(*request);
    fetch.has_body = true;
  }
  Fetched got = co_await visit.gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin) {
    if (got.error.empty()) got.error = "the upstream redirects locks elsewhere";
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  const int status = got.last->head.status;
  const bool taken = status == 409 && *call == LockCall::create;
  if (status != 200 && status != 201 && !taken) {
    // A hub without locks says 404 or 501: git-lfs goes on without.
    auto told = co_await got.last->read_all(k_error_max);
    std::string message;
    if (told) message = message_of(*told);
    const ResponseHead head = got.last->head;
    co_await reply_upstream_error(visit, head, std::move(message));
    co_return;
  }
  auto body = co_await got.last->read_all(visit.gate.config.limits.json);
  Result<std::string> answer = Error{"it broke off"};
  if (body) answer = lock_answer(*call, status, *body);
  if (!answer) {
    std::string why =
        "the upstream's answer about locks can't be understood: " + answer.error().message;
    co_await reply_error(visit, 502, std::move(why));
    co_return;
  }
  Headers headers;
  headers.set("Content-Type", k_type);
  co_await reply(visit, status, std::move(headers), std::move(*answer));
}

} // namespace hubgate::proxy

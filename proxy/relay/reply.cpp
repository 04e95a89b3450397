#include "proxy/relay/reply.hpp"

#include "scanner/core/evidence.hpp"

#include <boost/json.hpp>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_message_max = 400;
constexpr std::size_t k_page_max = 4000;

// Fit for a header: printable ASCII in one line.
std::string header_text(std::string_view text) {
  std::string out = printable(text, k_message_max);
  for (char& c: out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  return out;
}

std::string head_text(Visit& visit, int status, const Headers& headers) {
  // What is left of the request's body is not read: say that the connection ends, or the client
  // sends its next request into it.
  if (!visit.connection.body_complete()) visit.keep_alive = false;
  std::string out =
      "HTTP/1.1 " + std::to_string(status) + " " + std::string(status_text(status)) + "\r\n";
  headers.write(out);
  if (!headers.has("x-request-id")) out += "X-Request-Id: " + visit.id + "\r\n";
  if (!headers.has("x-hubgate-verdict")) out += "X-Hubgate-Verdict: none\r\n";
  if (!visit.keep_alive) out += "Connection: close\r\n";
  return out;
}

// What an HTTP head is wrapped in for an ICAP client. `part`: "res" or "req".
std::string icap_head(const Visit& visit, std::string_view part, std::size_t head, bool body) {
  const std::string name(part);
  std::string out = "ICAP/1.0 200 OK\r\n" + visit.envelope->fields;
  if (!visit.keep_alive) out += "Connection: close\r\n";
  out += "Encapsulated: " + name + "-hdr=0, " + (body ? name : std::string("null")) +
         "-body=" + std::to_string(head) + "\r\n\r\n";
  return out;
}

// The head of the message that passes, with what the gate has to say of it.
std::string passing_head(const Visit& visit, const Headers& headers) {
  const Envelope& envelope = *visit.envelope;
  std::string head = envelope.message.substr(0, envelope.message.size() - 2);
  Headers said;
  for (const char* name: {"X-Hubgate-Verdict", "X-HF-Warning", "X-Request-Id"})
    if (const auto value = headers.get(name); value && !envelope.request) said.set(name, *value);
  said.write(head);
  head += "\r\n";
  return icap_head(visit, envelope.request ? "req" : "res", head.size(), true) + head;
}

std::string error_body(Visit& visit, const std::string& message, const std::string& id) {
  boost::json::object body;
  const bool lfs = visit.client == Client::git_lfs || visit.asked.route == Route::lfs_batch ||
                   visit.asked.route == Route::lfs_locks;
  body["error"] = message;
  if (lfs) {
    body["message"] = message;
    body["request_id"] = id;
  }
  return std::string(boost::json::serialize(body)) + "\n";
}

std::string error_type(const Visit& visit) {
  switch (visit.asked.route) {
  case Route::lfs_batch:
  case Route::lfs_object:
  case Route::lfs_locks:
    return "application/vnd.git-lfs+json";
  default:
    return "application/json";
  }
}

std::string escaped_html(std::string_view text) {
  std::string out;
  for (const char c: text) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    case '\'':
      out += "&#39;";
      break;
    default:
      out += c;
    }
  }
  return out;
}

// A person has followed a link: everybody else takes anything, or JSON.
bool is_browser(const Visit& visit) {
  const auto accept = visit.request.headers.get("accept");
  return visit.client == Client::other && visit.envelope == nullptr && accept &&
         lower(*accept).starts_with("text/html");
}

// Shown in the hub's own origin: it may do nothing there.
std::string page_for(Headers& headers, int status, const std::string& message,
                     const std::string& id) {
  headers.set("Content-Type", "text/html; charset=utf-8");
  headers.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox");
  headers.set("X-Content-Type-Options", "nosniff");
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>hubgate: " +
         std::string(status == 403 ? "refused" : "no answer") + "</title></head>\n<body><h1>" +
         (status == 403 ? "This does not pass the gate" : "The gate has no answer") + "</h1>\n<p>" +
         escaped_html(message) + "</p>\n<p>Reference: <code>" + escaped_html(id) +
         "</code></p></body></html>\n";
}

bool is_git(const Visit& visit) {
  return visit.asked.route == Route::git_refs || visit.asked.route == Route::git_pack ||
         visit.asked.route == Route::git_push;
}

Task<bool> timed_write(Visit& visit, Bytes first, Bytes second) {
  Stream& stream = visit.connection.stream();
  stream.set_deadline(Clock::now() + visit.gate.config.limits.stall);
  const bool sent = co_await stream.write(first, second);
  stream.set_deadline(TimePoint::max()); // the gate may take its time, the client may not
  if (!sent) visit.keep_alive = false;
  co_return sent;
}

Task<void> reply_message(Visit& visit, int status, Headers headers, std::string message,
                         std::string id) {
  const bool takes_it_for_the_file = visit.client == Client::rust &&
                                     visit.asked.route == Route::object &&
                                     visit.request.method == "GET";
  if (takes_it_for_the_file) {
    // hf-hub saves the body of any answer. One that ends before its only byte is an error to it.
    BodyWriter writer(visit);
    writer.prepare(200, headers, 1);
    co_await writer.flush_head();
    visit.keep_alive = false;
    co_return;
  }
  headers.set("X-Error-Message", header_text(message));
  headers.set("X-Request-Id", id);
  headers.set("Cache-Control", "no-store");
  std::string body;
  if (is_git(visit)) { // git shows text/plain answers to people, and nothing else
    headers.set("Content-Type", "text/plain; charset=utf-8");
    body = message + "\n";
  } else if (is_browser(visit)) {
    body = page_for(headers, status, printable(message, k_page_max), id);
  } else {
    headers.set("Content-Type", error_type(visit));
    body = error_body(visit, message, id);
  }
  co_await reply(visit, status, std::move(headers), std::move(body));
}

} // namespace

std::string random_id() {
  // Drawn many at a time: a request must not cost a round of the generator.
  thread_local std::array<unsigned char, 512> pool{};
  thread_local std::size_t left = 0;
  constexpr std::size_t k_bytes = 8;
  if (left == 0) {
    RAND_bytes(pool.data(), pool.size());
    left = pool.size();
  }
  left -= k_bytes;
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte: std::span(pool).subspan(left, k_bytes)) {
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

Client client_of(std::string_view agent) {
  if (agent.starts_with("hf-hub/")) return Client::rust;
  if (agent.find("hf_hub/") != std::string_view::npos) return Client::python;
  if (agent == "node" || agent.starts_with("node/") || agent.starts_with("undici"))
    return Client::js;
  if (agent.starts_with("git-lfs/")) return Client::git_lfs;
  if (agent.starts_with("git/")) return Client::git;
  return Client::other;
}

std::string token_of(const Headers& headers) {
  const auto field = headers.get("authorization");
  if (!field) return {};
  const std::size_t space = std::min(field->find(' '), field->size());
  std::string token(trimmed(field->substr(space)));
  if (equals_ignoring_case(field->substr(0, space), "basic") && token.size() < 4096) {
    // The password of Basic is the token that Bearer carries: one person, one fingerprint.
    std::string plain(token.size(), '\0');
    const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(plain.data()),
                                  reinterpret_cast<const unsigned char*>(token.data()),
                                  static_cast<int>(token.size()));
    if (n > 0) {
      plain.resize(static_cast<std::size_t>(n));
      for (std::size_t i = token.size(); i-- > 0 && token[i] == '=' && !plain.empty();)
        plain.pop_back();
      const std::size_t colon = plain.find(':');
      if (colon != std::string::npos) token = plain.substr(colon + 1);
    }
  }
  return token;
}

std::string user_of(const Headers& headers) {
  const std::string token = token_of(headers);
  if (token.empty()) return "anonymous";
  return "token:" + hex(sha256(as_bytes(token))).substr(0, 8);
}

bool Visit::may_scan() const {
  const ServeLimits& limits = gate.config.limits;
  const auto mine = gate.quota.scans_of.find(quota_user());
  return gate.quota.scans_now < limits.scans &&
         (mine == gate.quota.scans_of.end() || mine->second < limits.scans_per_user);
}

Context Visit::context(Road road) const {
  Context out;
  out.direction = direction;
  out.road = road;
  out.hub = hub->name;
  out.repo = asked.repo;
  out.revision = asked.revision;
  out.path = asked.path;
  out.user = user;
  out.groups = groups;
  out.from = from;
  out.client = agent;
  return out;
}

void add_warning(Headers& headers, const Decision& decision, const Context& context) {
  if (decision.action == Action::annotate)
    headers.set("X-HF-Warning", "hubgate; " + header_text(annotation_line(decision, context)));
}

void add_verdict(Headers& headers, const Decision& decision, const Context& context) {
  headers.set("X-Hubgate-Verdict", to_string(decision.verdict));
  if (!decision.id.empty()) headers.set("X-Request-Id", decision.id);
  add_warning(headers, decision, context);
}

Task<void> reply(Visit& visit, int status, Headers headers, std::string body) {
  headers.set("Content-Length", std::to_string(body.size()));
  std::string head = head_text(visit, status, headers);
  head += "\r\n";
  if (visit.envelope != nullptr) {
    head = icap_head(visit, "res", head.size(), true) + head;
    if (!body.empty()) body = chunk_head(body.size()) + body + "\r\n";
    body += "0\r\n\r\n";
  }
  visit.answered = true;
  ++visit.gate.metrics.statuses[status];
  if (visit.is_head() && visit.envelope == nullptr) body.clear();
  visit.gate.metrics.bytes_out += body.size();
  co_await timed_write(visit, as_bytes(head), as_bytes(body));
}

Task<void> reply_unchanged(Visit& visit) {
  std::string head = "ICAP/1.0 204 No Content\r\n" + visit.envelope->fields;
  if (!visit.keep_alive) head += "Connection: close\r\n";
  head += "Encapsulated: null-body=0\r\n\r\n";
  visit.answered = true;
  ++visit.gate.metrics.statuses[204];
  co_await timed_write(visit, as_bytes(head), {});
}

Task<bool> send_continue(Visit& visit) {
  if (!visit.request.expects_continue) co_return true;
  const bool sent = co_await timed_write(visit, as_bytes("HTTP/1.1 100 Continue\r\n\r\n"), {});
  co_return sent;
}

Task<std::optional<std::string>> read_request_body(Visit& visit, std::uint64_t most) {
  Connection& connection = visit.connection;
  const bool begun = co_await send_continue(visit);
  if (!begun) co_return std::nullopt;
  connection.stream().set_deadline(Clock::now() + visit.gate.config.limits.stall);
  auto body = co_await connection.read_all(most);
  connection.stream().set_deadline(TimePoint::max());
  if (body) co_return body;
  visit.keep_alive = false;
  const int status = connection.body_too_large() ? 413 : 400;
  std::string why = "the request's body can't be taken: " + connection.error();
  co_await reply_error(visit, status, std::move(why));
  co_return std::nullopt;
}

Task<void> reply_error(Visit& visit, int status, std::string message) {
  Headers headers;
  if (status == 429 || status == 503) headers.set("Retry-After", "3");
  co_await reply_message(visit, status, std::move(headers), "hubgate: " + message, visit.id);
}

Task<void> reply_refusal(Visit& visit, Decision decision, Context context) {
  ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
  Headers headers;
  headers.set("X-Error-Code", "GateBlocked");
  headers.set("X-Hubgate-Verdict", to_string(decision.verdict));
  std::string id = decision.id.empty() ? visit.id : decision.id;
  co_await reply_message(visit, 403, std::move(headers), refusal_line(decision, context),
                         std::move(id));
}

Task<void> refuse(Visit& visit, Road road, std::string rule, std::string reason) {
  ++visit.gate.metrics.refused[rule];
  Context context = visit.context(road);
  Gatekeeper& keeper = visit.gate.keeper;
  Decision decision =
      co_await visit.gate.loop.offload([&] { return keeper.refuse(rule, reason, context); });
  co_await reply_refusal(visit, std::move(decision), std::move(context));
}

Task<void> reply_upstream_error(Visit& visit, const ResponseHead& head, std::string message) {
  Headers headers;
  for (const char* name: {"X-Error-Code", "X-Repo-Commit", "Retry-After", "WWW-Authenticate",
                          "RateLimit", "RateLimit-Policy"})
    if (const auto value = head.headers.get(name)) headers.add(name, *value);
  if (message.empty())
    message = std::string(head.headers.get("x-error-message").value_or(status_text(head.status)));
  std::string id = visit.id;
  co_await reply_message(visit, head.status, std::move(headers), printable(message, k_message_max),
                         std::move(id));
}

void BodyWriter::prepare(int status, const Headers& headers, std::optional<std::uint64_t> length) {
  length_ = length;
  status_ = status;
  chunked_ = !length || visit_.envelope != nullptr;
  if (visit_.envelope != nullptr) {
    head_ = passing_head(visit_, headers);
    return;
  }
  head_ = head_text(visit_, status, headers);
  head_ += length ? "Content-Length: " + std::to_string(*length) + "\r\n\r\n"
                  : std::string("Transfer-Encoding: chunked\r\n\r\n");
}

void BodyWriter::begun() {
  head_sent_ = true;
  visit_.answered = true;
  ++visit_.gate.metrics.statuses[status_];
}

Task<bool> BodyWriter::flush_head() {
  if (head_sent_) co_return true;
  begun();
  const bool sent = co_await timed_write(visit_, as_bytes(head_), {});
  co_return sent;
}

Task<bool> BodyWriter::send(Bytes bytes) {
  std::string before;
  if (!head_sent_) {
    before = head_;
    begun();
  }
  if (chunked_) before += chunk_head(bytes.size());
  const bool sent = co_await timed_write(visit_, as_bytes(before), bytes);
  sent_ += bytes.size();
  visit_.gate.metrics.bytes_out += bytes.size();
  if (!sent || !chunked_) co_return sent;
  const bool ended = co_await timed_write(visit_, as_bytes("\r\n"), {});
  co_return ended;
}

Task<bool> BodyWriter::finish() {
  const bool head = co_await flush_head();
  if (!head) co_return false;
  if (length_ && sent_ != *length_) {
    visit_.keep_alive = false;
    co_return false;
  }
  if (!chunked_) co_return true;
  const bool ended = co_await timed_write(visit_, as_bytes("0\r\n\r\n"), {});
  co_return ended;
}

} // namespace hubgate::proxy

#include "proxy/lfs/multipart.hpp"

#include "proxy/relay/object.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace hubgate::proxy {

namespace json = boost::json;

/// An object whose parts are coming.
struct Assembly {
  struct Part {
    bool here = false;    ///< all of it was read by the scan, or is in the file
    bool sending = false; ///< by a request
    Sha256 sha256{};
    std::string etag; ///< the upstream's, when it has these bytes
  };

  Assembly(Gate& gate_, std::string key_, std::string user_, const LfsLink& link)
      : gate(gate_), key(std::move(key_)), user(std::move(user_)), size(link.size),
        chunk(link.chunk), parts(static_cast<std::size_t>((size + chunk - 1) / chunk)),
        changed(gate_.loop) {}
  ~Assembly() { charge(0); }
  Assembly(const Assembly&) = delete;
  Assembly& operator=(const Assembly&) = delete;

  std::uint64_t begin_of(std::size_t part) const { return part * chunk; }
  std::uint64_t end_of(std::size_t part) const { return std::min(size, (part + 1) * chunk); }

  // Sets what the quota knows of the bytes that are kept.
  void charge(std::uint64_t bytes) {
    gate.quota.spool_now += bytes - charged;
    gate.quota.spool_of[user] += bytes - charged;
    if (gate.quota.spool_of[user] == 0) gate.quota.spool_of.erase(user);
    charged = bytes;
    gate.metrics.spool_bytes = gate.quota.spool_now;
  }

  Gate& gate;
  std::string key;
  std::string user;
  std::uint64_t size;
  std::uint64_t chunk;
  std::vector<Part> parts;
  Fd file;                ///< each byte at its place in the object, until it was read
  std::size_t wanted = 0; ///< the part that the scan reads, or waits for
  std::uint64_t charged = 0;
  std::uint32_t users = 0; ///< requests that are at work on it
  TimePoint last_used = Clock::now();
  bool given_up = false;
  bool closed = false;     ///< no part may change any more
  bool remembered = false; ///< what the scan said
  bool over = false;       ///< nothing more will come of it
  bool completed = false;  ///< the upstream put it together
  Event changed;
  std::shared_ptr<Flight> flight; ///< null when it is over
};

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;
constexpr auto k_look = std::chrono::seconds(1);
/// How long nothing may come before the parts are forgotten, in silences that a transfer may have.
constexpr int k_idle_stalls = 10;
constexpr std::uint64_t k_chunk_least = 4096;
constexpr std::size_t k_fields_most = 16;

/// The object's bytes in their order, as soon as the part that they are in is whole.
class InOrder final : public BodySource {
public:
  explicit InOrder(std::shared_ptr<Assembly> assembly) : assembly_(std::move(assembly)) {}

  Task<std::int64_t> read(std::span<std::uint8_t> out) override {
    Assembly& of = *assembly_;
    if (at_ == of.size) co_return 0;
    while (!of.parts[of.wanted].here) {
      if (of.given_up) {
        error_ = "its parts stopped coming";
        co_return -1;
      }
      co_await of.changed.wait(k_look);
    }
    const std::uint64_t end = of.end_of(of.wanted);
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), end - at_));
    const ssize_t n = pread(of.file.get(), out.data(), most, static_cast<off_t>(at_));
    if (n <= 0) {
      error_ = "a part can't be read back";
      co_return -1;
    }
    at_ += static_cast<std::uint64_t>(n);
    if (at_ == end) {
      drop(of.begin_of(of.wanted), end);
      if (at_ < of.size) ++of.wanted;
    }
    co_return n;
  }
  std::string error() const override { return error_; }
  std::optional<std::uint64_t> length() const override { return assembly_->size; }

private:
  // What was read needs no room any more.
  void drop(std::uint64_t begin, std::uint64_t end) {
    const int done = fallocate(assembly_->file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               static_cast<off_t>(begin), static_cast<off_t>(end - begin));
    if (done == 0) assembly_->charge(assembly_->charged - (end - begin));
  }

  std::shared_ptr<Assembly> assembly_;
  std::uint64_t at_ = 0;
  std::string error_;
};

/// Holds an assembly while a request is at work on it.
class Using {
public:
  explicit Using(std::shared_ptr<Assembly> assembly) : assembly_(std::move(assembly)) {
    ++assembly_->users;
  }
  ~Using() {
    --assembly_->users;
    assembly_->last_used = Clock::now();
  }
  Using(const Using&) = delete;
  Using& operator=(const Using&) = delete;

private:
  std::shared_ptr<Assembly> assembly_;
};

// Keeps what the scan said, once.
Task<void> remember(Gate& gate, std::shared_ptr<Assembly> assembly) {
  const std::shared_ptr<const Outcome> outcome =
      assembly->flight ? assembly->flight->outcome() : nullptr;
  if (assembly->remembered || !outcome || outcome->mismatch) co_return;
  assembly->remembered = true;
  Gatekeeper& keeper = gate.keeper;
  const Result<void> kept = co_await gate.loop.offload(
      [&] { return keeper.remember(outcome->digest, outcome->report, outcome->rules); });
  if (!kept && gate.loop.on_error) gate.loop.on_error("store: " + kept.error().message);
}

// Frees what it holds.
void end_scan(Assembly& assembly) {
  assembly.given_up = true;
  if (assembly.flight) assembly.flight->leave();
  assembly.flight.reset(); // it holds the assembly through its source
  assembly.changed.notify();
}

// Forgets the parts when nobody sends any more, or nothing will come of them.
Task<void> look_after(Gate& gate, std::shared_ptr<Assembly> assembly) {
  const Duration idle = gate.config.limits.stall * k_idle_stalls;
  while (assembly->users > 0 || (!assembly->over && Clock::now() - assembly->last_used < idle)) {
    co_await assembly->changed.wait(k_look);
    co_await remember(gate, assembly);
    if (assembly->completed && assembly->users == 0 && assembly->flight) end_scan(*assembly);
  }
  end_scan(*assembly);
  const auto at = gate.assemblies.find(assembly->key);
  if (at != gate.assemblies.end() && at->second == assembly) gate.assemblies.erase(at);
}

std::string key_of(const Visit& visit, const LfsLink& link) {
  return visit.gate.with_rules(link.hub + "\n" + link.user + "\n" + link.repo + "\n" +
                               hex(link.oid) + "\n" + link.upload);
}

// The one that is there, or a new one. Null with a line in `error`; `busy`: it may be tried again.
std::shared_ptr<Assembly> assembly_for(Visit& visit, const LfsLink& link, std::string& error,
                                       bool& busy) {
  Gate& gate = visit.gate;
  std::string key = key_of(visit, link);
  if (const auto at = gate.assemblies.find(key); at != gate.assemblies.end()) return at->second;
  if (!visit.may_scan()) {
    error = "too many objects are being scanned at once; try again";
    busy = true;
    return nullptr;
  }
  auto out = std::make_shared<Assembly>(gate, key, visit.quota_user(), link);
  out->file = Fd(open(gate.spool_directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  Flight::Options options;
  options.user = visit.quota_user();
  options.spool_directory = gate.spool_directory;
  options.claimed = link.oid;
  options.rules = gate.rules;
  options.longest_silence = gate.config.limits.scan;
  options.limits = gate.config.limits;
  out->flight =
      std::make_shared<Flight>(gate.loop, gate.pool, gate.quota, gate.metrics, std::move(options));
  if (!out->file) {
    error = "there is no room for the parts";
    return nullptr;
  }
  out->flight->join();
  if (const auto started = out->flight->start(std::make_unique<InOrder>(out)); !started) {
    error = "the scan can't be started: " + started.error().message;
    return nullptr;
  }
  gate.assemblies[std::move(key)] = out;
  gate.loop.spawn([&gate, out] { return look_after(gate, out); });
  return out;
}

bool is_over_quota(const Assembly& assembly) {
  const Gate& gate = assembly.gate;
  const auto of_user = gate.quota.spool_of.find(assembly.user);
  return gate.quota.spool_now > gate.config.limits.spool ||
         (of_user != gate.quota.spool_of.end() &&
          of_user->second > gate.config.limits.spool_per_user);
}

/// A part on its way: to the file and to the upstream.
struct Passing {
  Passing(Visit& visit_, std::shared_ptr<Assembly> assembly_, std::size_t part_)
      : visit(visit_), assembly(std::move(assembly_)), part(part_) {}
  ~Passing() {
    assembly->parts[part].sending = false;
    if (keeps) return;
    const std::uint64_t begin = assembly->begin_of(part);
    fallocate(assembly->file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(begin), static_cast<off_t>(assembly->end_of(part) - begin));
    // What came of it is worth nothing.
    assembly->charge(assembly->charged - charged);
  }
  Passing(const Passing&) = delete;
  Passing& operator=(const Passing&) = delete;
  Visit& visit;
  std::shared_ptr<Assembly> assembly;
  std::size_t part;
  bool again = false;        ///< it was here before: only compared
  std::uint64_t charged = 0; ///< of the quota, for this part
  bool keeps = false;        ///< what came stays
  BlockHasher hasher;
  std::string error;
};

bool keep(Passing& passing, std::uint64_t offset, Bytes bytes) {
  passing.hasher.update(bytes);
  while (!passing.again && !bytes.empty()) {
    const ssize_t n = pwrite(passing.assembly->file.get(), bytes.data(), bytes.size(),
                             static_cast<off_t>(offset));
    if (n <= 0) return false;
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

// The client's bytes, to the file and to the upstream. Null: `error` says why, or the client left.
Task<std::unique_ptr<Exchange>> pass_bytes(Passing& passing, Fetch fetch) {
  Visit& visit = passing.visit;
  const std::uint64_t begin = passing.assembly->begin_of(passing.part);
  const std::uint64_t length = passing.assembly->end_of(passing.part) - begin;
  auto upload =
      co_await Upload::begin(visit.gate.upstream, std::move(fetch), length, passing.error);
  if (!upload) co_return nullptr;
  std::vector<std::uint8_t> buffer(k_batch);
  Stream& stream = visit.connection.stream();
  for (std::uint64_t done = 0; done < length;) {
    stream.set_deadline(Clock::now() + visit.gate.config.limits.stall);
    const std::int64_t n = co_await visit.connection.read_body(buffer);
    stream.set_deadline(TimePoint::max());
    if (n <= 0) {
      passing.error = "the part broke off: " + visit.connection.error();
      co_return nullptr;
    }
    const Bytes bytes(buffer.data(), static_cast<std::size_t>(n));
    if (!keep(passing, begin + done, bytes)) {
      passing.error = "there is no room for the part";
      co_return nullptr;
    }
    done += bytes.size();
    visit.gate.metrics.bytes_in += bytes.size();
    const bool sent = co_await upload->send(bytes);
    if (!sent) break; // its answer says why
  }
  auto answer = co_await upload->finish(passing.error);
  co_return answer;
}

Fetch fetch_for(const LfsLink& link, std::string method) {
  Headers fields = link.fields;
  fields.set("Accept-Encoding", "identity");
  auto url = parse_url(link.url);
  return {std::move(method), url ? *url : Url{}, std::move(fields)};
}

// Whether a part may come now. False: the client has been told.
Task<bool> may_come(Visit& visit, Assembly& assembly, std::size_t part) {
  if (assembly.parts[part].sending) {
    co_await reply_error(visit, 503, "this part is being sent already; try again");
    co_return false;
  }
  if (assembly.closed || !assembly.flight) {
    co_await reply_error(visit, 400, "this upload is complete");
    co_return false;
  }
  // Without the part that the scan waits for nothing would ever be freed.
  if (is_over_quota(assembly) && part != assembly.wanted) {
    co_await reply_error(visit, 429, "too many bytes are being held for scans at once");
    co_return false;
  }
  if (assembly.flight->state() == Flight::State::failed) {
    assembly.over = true;
    int status = 502;
    if (assembly.flight->over_quota()) status = 429;
    co_await reply_error(visit, status, assembly.flight->failure());
    co_return false;
  }
  co_return true;
}

// The whole part is here and there.
Task<void> part_arrived(Passing& passing, std::unique_ptr<Exchange> answer) {
  Assembly::Part& part = passing.assembly->parts[passing.part];
  const Sha256 digest = passing.hasher.finish().sha256;
  if (passing.again && digest != part.sha256) {
    // What the upstream has now is not what was scanned: it has no ETag.
    co_await refuse(passing.visit, Road::lfs, "part-changed",
                    "this part has other bytes than when it was first sent");
    co_return;
  }
  part.sha256 = digest;
  part.etag = std::string(answer->head.headers.get("etag").value_or(""));
  part.here = true;
  part.sending = false;
  passing.keeps = true;
  passing.assembly->changed.notify();
  Headers headers;
  if (!part.etag.empty()) headers.set("ETag", part.etag);
  co_await reply(passing.visit, 200, std::move(headers), {});
}

// Whether all parts are at the upstream, as they were scanned.
bool is_whole(const Assembly& assembly) {
  return std::all_of(assembly.parts.begin(), assembly.parts.end(), [](const auto& part) {
    return part.here && !part.sending && !part.etag.empty();
  });
}

Task<void> complete(Visit& visit, const LfsLink& link, Assembly& assembly) {
  json::array parts;
  for (std::size_t i = 0; i < assembly.parts.size(); ++i)
    parts.push_back(json::object{{"partNumber", i + 1}, {"etag", assembly.parts[i].etag}});
  Fetch fetch = fetch_for(link, "POST");
  fetch.headers.set("Accept", "application/vnd.git-lfs+json");
  fetch.headers.set("Content-Type", "application/vnd.git-lfs+json");
  fetch.body = json::serialize(json::object{{"oid", hex(link.oid)}, {"parts", std::move(parts)}});
  fetch.has_body = true;
  fetch.hub = visit.hub;
  Fetched got = co_await visit.gate.upstream.follow(std::move(fetch));
  if (!got.last) {
    co_await reply_error(visit, 502, got.error);
    co_return;
  }
  if (got.last->head.status / 100 != 2) {
    std::string why = "the upstream answers " + std::to_string(got.last->head.status) +
                      " to the completion of the upload";
    co_await reply_error(visit, 502, std::move(why));
    co_return;
  }
  assembly.completed = true;
  Headers headers;
  headers.set("Content-Type", "application/vnd.git-lfs+json");
  co_await reply(visit, 200, std::move(headers), "{}");
}

std::optional<std::uint64_t> number_of(const json::value& value) {
  if (value.is_string()) return parse_decimal(value.get_string());
  if (value.is_int64() && value.get_int64() >= 0)
    return static_cast<std::uint64_t>(value.get_int64());
  return std::nullopt;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string offered(const Visit& visit, const LfsLink& link) {
  return visit.gate_url + make_link(link, visit.gate.link_key);
}

} // namespace

std::optional<json::object> parts_action(const Visit& visit, const json::object& action,
                                         LfsLink link) {
  const auto* href = action.if_contains("href");
  const auto* header = action.if_contains("header");
  if (href == nullptr || !href->is_string() || header == nullptr || !header->is_object())
    return std::nullopt;
  const auto followed = [&](const json::value& text) -> std::optional<std::string> {
    if (!text.is_string()) return std::nullopt;
    const auto url = resolve(visit.hub->base, text.get_string());
    if (!url || visit.hub->rules.refusal(*url)) return std::nullopt;
    return url->text();
  };
  const auto completion = followed(*href);
  const auto* size = header->get_object().if_contains("chunk_size");
  const auto chunk = size != nullptr ? number_of(*size) : std::nullopt;
  if (!completion || !chunk || *chunk < k_chunk_least || link.size == 0) return std::nullopt;
  const std::uint64_t count = link.size / *chunk + (link.size % *chunk != 0 ? 1 : 0);
  if (count > k_parts_most) return std::nullopt;
  link.chunk = *chunk;
  link.upload = hex(sha256(as_bytes(*completion)));
  json::object fields;
  fields["chunk_size"] = std::to_string(*chunk);
  LfsLink part = link;
  part.purpose = LinkFor::part;
  std::vector<bool> seen(static_cast<std::size_t>(count));
  for (const auto& field: header->get_object()) {
    const std::string_view name(field.key().data(), field.key().size());
    if (name == "chunk_size") continue;
    if (!is_digits(name)) {
      if (!field.value().is_string() || link.fields.size() >= k_fields_most) return std::nullopt;
      link.fields.add(name, std::string_view(field.value().get_string()));
      continue;
    }
    const auto number = parse_decimal(name);
    const auto url = followed(field.value());
    if (!number || *number == 0 || *number > count || !url) return std::nullopt;
    const auto index = static_cast<std::size_t>(*number - 1);
    if (seen[index]) return std::nullopt;
    seen[index] = true;
    part.part = static_cast<std::uint32_t>(*number);
    part.url = *url;
    fields[field.key()] = offered(visit, part);
  }
  if (!std::all_of(seen.begin(), seen.end(), [](bool one) { return one; })) return std::nullopt;
  link.purpose = LinkFor::complete;
  link.url = *completion;
  json::object out;
  out["href"] = offered(visit, link);
  out["header"] = std::move(fields);
  return out;
}

Task<void> serve_part(Visit& visit, LfsLink link) {
  const auto part = static_cast<std::size_t>(link.part - 1);
  std::string error;
  bool busy = false;
  const auto assembly = assembly_for(visit, link, error, busy);
  if (!assembly) {
    int status = 503;
    if (busy) status = 429;
    co_await reply_error(visit, status, std::move(error));
    co_return;
  }
  const Using held(assembly);
  const std::uint64_t length = assembly->end_of(part) - assembly->begin_of(part);
  if (visit.request.framing != Framing::length || visit.request.length != length) {
    co_await reply_error(visit, 400, "the part has another length than the batch answer said");
    co_return;
  }
  const bool may = co_await may_come(visit, *assembly, part);
  if (!may) co_return;
  assembly->parts[part].sending = true;
  Passing passing(visit, assembly, part);
  // The scan may have read it, or be reading it.
  passing.again = assembly->parts[part].here;
  assembly->parts[part].etag.clear();
  if (passing.again) {
    passing.keeps = true;
  } else {
    passing.charged = length;
    assembly->charge(assembly->charged + length);
  }
  const bool begun = co_await send_continue(visit);
  if (!begun) co_return;
  Fetch fetch = fetch_for(link, "PUT");
  fetch.hub = visit.hub;
  if (const auto type = visit.request.headers.get("content-type"))
    fetch.headers.set("Content-Type", *type);
  auto answer = co_await pass_bytes(passing, std::move(fetch));
  if (answer && answer->head.status / 100 == 2 && visit.connection.body_complete()) {
    co_await part_arrived(passing, std::move(answer));
    co_return;
  }
  std::string why = passing.error;
  if (answer)
    why = "the upstream's storage answers " + std::to_string(answer->head.status) + " to a part";
  int status = 502;
  if (answer && answer->head.status == 503) status = 503;
  co_await reply_error(visit, status, std::move(why));
}

Task<void> serve_completion(Visit& visit, LfsLink link) {
  auto body = co_await read_request_body(visit, visit.gate.config.limits.request_body);
  if (!body) co_return;
  const auto at = visit.gate.assemblies.find(key_of(visit, link));
  if (at == visit.gate.assemblies.end() || !is_whole(*at->second)) {
    co_await reply_error(visit, 400,
                         "not all parts passed here, or too long ago: upload the file again");
    co_return;
  }
  const std::shared_ptr<Assembly> assembly = at->second;
  const Using held(assembly);
  if (assembly->completed) { // the answer was lost
    Headers headers;
    headers.set("Content-Type", "application/vnd.git-lfs+json");
    co_await reply(visit, 200, std::move(headers), "{}");
    co_return;
  }
  if (assembly->closed || !assembly->flight) {
    co_await reply_error(visit, 503, "this upload is being completed already; try again");
    co_return;
  }
  Flight& flight = *assembly->flight;
  const TimePoint until = Clock::now() + std::chrono::seconds(240);
  ++visit.gate.metrics.waiting;
  while (flight.state() == Flight::State::running && Clock::now() < until &&
         !visit.connection.stream().gone())
    co_await flight.changed().wait(k_look);
  --visit.gate.metrics.waiting;
  if (flight.state() == Flight::State::running) {
    co_await reply_error(visit, 503, "the scan of this object goes on; try again");
    co_return;
  }
  if (flight.state() == Flight::State::failed) {
    assembly->over = true;
    co_await reply_error(visit, 502, flight.failure());
    co_return;
  }
  co_await remember(visit.gate, assembly);
  Context context = visit.context(Road::lfs);
  Decision decision = co_await decide(visit.gate, flight.outcome(), context);
  if (!decision.passes()) {
    assembly->over = true;
    co_await keep_for_review(visit.gate, flight, decision, context);
    co_await reply_refusal(visit, std::move(decision), std::move(context));
    co_return;
  }
  ++visit.gate.metrics.decisions[std::string(to_string(decision.action))];
  if (assembly->closed || !is_whole(*assembly)) { // another request was faster
    co_await reply_error(visit, 503, "a part is being sent again; try again");
    co_return;
  }
  assembly->closed = true;
  co_await complete(visit, link, *assembly);
  assembly->closed = assembly->completed;
}

} // namespace hubgate::proxy

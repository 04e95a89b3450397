#include "proxy/cache/serve.hpp"

#include <openssl/hmac.h>

#include <algorithm>
#include <sys/uio.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

/// How long the hub is not asked again after it could not be.
constexpr auto k_away = std::chrono::seconds(10);
/// What the disk may cost one transfer, all its pauses together.
constexpr std::uint32_t k_patience_ms = 5000;
constexpr auto k_pause = std::chrono::milliseconds(5);

// Whose answer this would be. Tokens are not stored; a digest of one is worth nothing without the
// gate's own key.
Who who_asks(const Visit& visit) {
  const std::string token = token_of(visit.request.headers);
  if (token.empty()) return {};
  Sha256 mac{};
  unsigned size = 0;
  const std::string& key = visit.gate.link_key;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(token.data()), token.size(), mac.data(), &size);
  return hex(mac);
}

// The path as it was asked for: what a rename made of it is the hub's business. Nothing for
// spellings that are not the bytes of a file (`/raw` of an LFS object is its pointer).
struct AskedFile {
  CacheIndex::FileKey key;
  std::string repo;
  std::string revision;
  std::size_t at = 0; ///< the revision's segment
  std::vector<std::string> segments;
};

std::string joined(const std::vector<std::string>& segments) {
  std::string out;
  for (const std::string& segment: segments)
    out += (out.empty() ? "" : "\n") + segment;
  return out;
}

std::optional<AskedFile> asked_file(const Visit& visit) {
  if (!visit.gate.cache || visit.direction != Direction::pull) return std::nullopt;
  auto target = parse_target(visit.request.target);
  if (!target) return std::nullopt;
  Asked asked = classify("GET", std::move(*target));
  if (asked.route != Route::object || asked.repo.empty() || asked.path.empty()) return std::nullopt;
  AskedFile out;
  out.segments = std::move(asked.target.segments);
  const auto word = std::find(out.segments.begin(), out.segments.end(), "resolve");
  if (word == out.segments.end() || word + 1 == out.segments.end()) return std::nullopt;
  out.at = static_cast<std::size_t>(word - out.segments.begin()) + 1;
  if (out.segments[out.at] != asked.revision) return std::nullopt;
  out.key.hub = visit.hub->name;
  out.key.path = joined(out.segments);
  out.repo = asked.repo;
  out.revision = asked.revision;
  return out;
}

bool is_commit(std::string_view revision) {
  return revision.size() == 40 &&
         revision.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void complain_about(Gate& gate, const Result<void>& result) {
  if (!result && gate.loop.on_error) gate.loop.on_error("cache: " + result.error().message);
}

// Whether waivers let pass what the policy of now blocks. Records nothing.
bool waived(Gatekeeper& keeper, const Decision& decision, const Report& report,
            const Context& context) {
  if (!context.sha256) return false;
  const auto waivers = keeper.store().waivers_for(*context.sha256);
  if (!waivers) return false;
  return std::any_of(waivers->begin(), waivers->end(), [&](const Waiver& waiver) {
    return waives(waiver, decision, report, context, now());
  });
}

} // namespace

Headers fields_from(std::string_view text) {
  Headers out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\r\n"), text.size());
    const std::string_view line = text.substr(0, end);
    if (const std::size_t colon = line.find(": "); colon != std::string_view::npos)
      out.add(line.substr(0, colon), line.substr(colon + 2));
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return out;
}

Task<std::optional<Remembered>> remembered_file(Visit& visit) {
  const auto file = asked_file(visit);
  if (!file) co_return std::nullopt;
  Cache& cache = *visit.gate.cache;
  const Who who = who_asks(visit);
  std::optional<Remembered> out =
      co_await visit.gate.loop.offload([&]() -> std::optional<Remembered> {
        auto answer = cache.index().answer(file->key, who);
        if (!answer || !*answer) return std::nullopt;
        Remembered found;
        found.answer = std::move(**answer);
        if (found.answer.sha256) found.on_disk = cache.has(*found.answer.sha256);
        return found;
      });
  co_return out;
}

Task<void> remember_file(Visit& visit, Headers fields, std::shared_ptr<const Outcome> outcome) {
  auto file = asked_file(visit);
  if (!file || outcome->mismatch) co_return;
  FileAnswer answer;
  for (const char* name: {"X-Hubgate-Verdict", "X-HF-Warning", "X-Request-Id", "Content-Range"})
    fields.remove(name);
  fields.write(answer.fields);
  answer.etag = std::string(fields.get("x-linked-etag").value_or(fields.get("etag").value_or("")));
  answer.size = outcome->digest.size;
  answer.sha256 = outcome->digest.sha256;
  const std::string commit(fields.get("x-repo-commit").value_or(""));
  const Who who = who_asks(visit);
  CacheIndex& index = visit.gate.cache->index();
  const Result<void> done = co_await visit.gate.loop.offload([&]() -> Result<void> {
    if (auto kept = index.remember(file->key, who, file->repo, file->revision, answer); !kept)
      return kept;
    // The same file under its commit, as whoever has a listing asks for it.
    if (!is_commit(commit) || commit == file->revision) return {};
    file->segments[file->at] = commit;
    file->key.path = joined(file->segments);
    return index.remember(file->key, who, file->repo, commit, answer);
  });
  complain_about(visit.gate, done);
}

Task<void> remember_refusal(Visit& visit, ResponseHead head) {
  const std::string code(head.headers.get("x-error-code").value_or(""));
  const bool missing = head.status == 404 && code == "EntryNotFound";
  const bool forbidden = head.status == 401 || head.status == 403 || head.status == 404;
  if (!forbidden) co_return;
  const auto file = asked_file(visit);
  if (!file) co_return;
  FileAnswer answer;
  answer.status = head.status;
  Headers fields;
  for (const char* name: {"X-Error-Code", "X-Repo-Commit", "X-Error-Message"})
    if (const auto value = head.headers.get(name)) fields.add(name, *value);
  fields.write(answer.fields);
  const bool no_revision = code == "RevisionNotFound";
  const Who who = who_asks(visit);
  CacheIndex& index = visit.gate.cache->index();
  const Result<void> done = co_await visit.gate.loop.offload([&] {
    if (missing) return index.remember(file->key, who, file->repo, file->revision, answer);
    if (no_revision) return index.forget(file->key, who);
    return index.forget_repo(file->key.hub, file->repo, who);
  });
  complain_about(visit.gate, done);
}

Task<void> forget_page(Visit& visit, std::string key, int status) {
  const bool forbidden = status == 401 || status == 403 || status == 404;
  if (!visit.gate.cache || !forbidden) co_return;
  const CacheIndex::FileKey at{visit.hub->name, std::move(key)};
  const std::string repo = visit.asked.repo;
  const bool whole = status != 404 && !repo.empty();
  const Who who = who_asks(visit);
  CacheIndex& index = visit.gate.cache->index();
  const Result<void> done = co_await visit.gate.loop.offload(
      [&] { return whole ? index.forget_repo(at.hub, repo, who) : index.forget(at, who); });
  complain_about(visit.gate, done);
}

std::string page_key(const Visit& visit, const std::string& body) {
  auto target = parse_target(visit.request.target);
  if (!target) return visit.request.target;
  // Clients spell the same listing differently: order, case and what is the default anyway.
  std::vector<std::string> query;
  std::string_view left = target->query;
  while (!left.empty()) {
    const std::size_t end = std::min(left.find('&'), left.size());
    std::string part(left.substr(0, end));
    if (part.ends_with("=True") || part.ends_with("=False")) part = lower(part);
    if (!part.ends_with("=false") && !part.empty()) query.push_back(std::move(part));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  std::sort(query.begin(), query.end());
  std::string out = joined(target->segments);
  for (const std::string& part: query)
    out += "\n?" + part;
  if (!body.empty()) out += "\n#" + hex(sha256(as_bytes(body)));
  return out;
}

Task<void> remember_page(Visit& visit, std::string key, Headers fields, std::string body) {
  Gate& gate = visit.gate;
  if (!gate.cache || !gate.cache->options().offline) co_return;
  const CacheIndex::FileKey at{visit.hub->name, std::move(key)};
  PageAnswer page;
  fields.write(page.fields);
  page.body = std::move(body);
  const Who who = who_asks(visit);
  CacheIndex& index = gate.cache->index();
  const Result<void> done =
      co_await gate.loop.offload([&] { return index.remember_page(at, who, page); });
  complain_about(gate, done);
}

Task<std::optional<PageAnswer>> remembered_page(Visit& visit, std::string key) {
  Gate& gate = visit.gate;
  if (!gate.cache || !gate.cache->options().offline) co_return std::nullopt;
  const CacheIndex::FileKey at{visit.hub->name, std::move(key)};
  const Who who = who_asks(visit);
  CacheIndex& index = gate.cache->index();
  std::optional<PageAnswer> out = co_await gate.loop.offload([&]() -> std::optional<PageAnswer> {
    auto page = index.page(at, who);
    return page ? std::move(*page) : std::nullopt;
  });
  if (out) ++gate.metrics.cache_offline;
  co_return out;
}

bool hub_is_away(Visit& visit, const Fetched& got) {
  Gate& gate = visit.gate;
  if (!gate.cache || !gate.cache->options().offline || got.refused) return false;
  bool away = !got.last;
  if (got.last) {
    const int status = got.last->head.status;
    away = status == 502 || status == 503 || status == 504;
  }
  if (away)
    gate.hubs_away[visit.hub->name] = Clock::now() + k_away;
  else
    gate.hubs_away.erase(visit.hub->name);
  return away;
}

bool hub_was_away(const Visit& visit) {
  const Gate& gate = visit.gate;
  if (!gate.cache || !gate.cache->options().offline) return false;
  const auto at = gate.hubs_away.find(visit.hub->name);
  return at != gate.hubs_away.end() && Clock::now() < at->second;
}

Task<std::int64_t> CachedBody::read(std::span<std::uint8_t> out) {
  const auto most =
      static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), entry_.size - at_));
  if (most == 0) co_return 0;
  // What is in memory already costs no other thread.
  iovec part{out.data(), most};
  ssize_t n = ::preadv2(entry_.file.get(), &part, 1, static_cast<off_t>(at_), RWF_NOWAIT);
  if (n < 0) {
    const int fd = entry_.file.get();
    const std::uint64_t at = at_;
    n = co_await loop_.offload(
        [=] { return ::pread(fd, out.data(), most, static_cast<off_t>(at)); });
  }
  if (n <= 0) co_return -1;
  at_ += static_cast<std::uint64_t>(n);
  co_return n;
}

Task<std::unique_ptr<BodySource>> cached_source(Visit& visit, const Described& what) {
  Gate& gate = visit.gate;
  const std::optional<Sha256> name = what.claimed ? what.claimed : what.held;
  if (!gate.cache || !name || !what.size || visit.direction != Direction::pull) co_return nullptr;
  Cache& cache = *gate.cache;
  const Sha256 sha256 = *name;
  const std::uint64_t size = *what.size;
  std::optional<CacheEntry> entry =
      co_await gate.loop.offload([&] { return cache.find(sha256, size); });
  if (!entry) co_return nullptr;
  co_return std::make_unique<CachedBody>(gate.loop, std::move(*entry), 0);
}

std::shared_ptr<CacheFill> begin_fill(const Visit& visit, std::optional<std::uint64_t> size) {
  if (!visit.gate.cache || visit.direction != Direction::pull) return nullptr;
  return visit.gate.cache->begin(size);
}

Task<void> feed(Loop& loop, std::shared_ptr<CacheFill>& fill, Bytes bytes) {
  while (fill->behind()) {
    if (fill->paused >= k_patience_ms) {
      fill->drop();
      fill.reset();
      co_return;
    }
    fill->paused += static_cast<std::uint32_t>(k_pause.count());
    co_await loop.sleep(k_pause);
  }
  fill->append(bytes);
}

Task<void> settle_cache(Gate& gate, std::shared_ptr<CacheFill> fill,
                        std::shared_ptr<const Outcome> outcome, Context context) {
  if (!gate.cache) co_return;
  Cache& cache = *gate.cache;
  context.sha256 = outcome->digest.sha256;
  context.size = outcome->digest.size;
  Gatekeeper& keeper = gate.keeper;
  const bool sound = !outcome->mismatch && Store::storable(outcome->report);
  const bool passes = co_await gate.loop.offload([&] {
    const Decision decision = keeper.preview(outcome->report, context);
    if (decision.passes() || waived(keeper, decision, outcome->report, context)) return true;
    if (decision.verdict != VerdictKind::clean)
      cache.evict(outcome->digest.sha256, Cache::Why::verdict);
    return false;
  });
  if (!fill) co_return;
  if (passes && sound)
    fill->keep(outcome->digest.sha256);
  else
    fill->drop();
}

Task<void> withdraw(Gate& gate, const Decision& decision, Sha256 sha256) {
  // One that is refused for its name, its repository or whoever asks stays for the others.
  if (!gate.cache || decision.passes() || decision.verdict == VerdictKind::clean) co_return;
  Cache& cache = *gate.cache;
  co_await gate.loop.offload([&] {
    cache.evict(sha256, Cache::Why::verdict);
    return true;
  });
}

} // namespace hubgate::proxy

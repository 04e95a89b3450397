#include "proxy/git/hub_git.hpp"

#include "scanner/core/evidence.hpp"

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_batch = std::size_t{256} << 10;
constexpr std::string_view k_service = "/git-receive-pack";

std::string base_of(const Visit& visit) {
  std::string out = visit.request.target.substr(0, visit.request.target.find('?'));
  while (out.ends_with('/'))
    out.pop_back();
  if (out.ends_with(k_service)) out.resize(out.size() - k_service.size());
  return out;
}

} // namespace

HubGit::HubGit(Visit& visit, SideBand& band) : visit_(visit), band_(band), base_(base_of(visit)) {}

Task<std::unique_ptr<Exchange>> HubGit::ask(Fetch fetch, std::string& error) {
  fetch.headers.set("Git-Protocol", "version=2");
  fetch.headers.remove("Content-Type");
  if (fetch.has_body) fetch.headers.set("Content-Type", "application/x-git-upload-pack-request");
  Fetched got = co_await visit_.gate.upstream.follow(std::move(fetch));
  if (!got.last || got.left_origin) {
    error = got.error.empty() ? "the hub redirects git elsewhere" : got.error;
    co_return nullptr;
  }
  if (got.last->head.status != 200 || got.last->head.headers.has("content-encoding")) {
    error = "the hub answers " + std::to_string(got.last->head.status) + " to git-upload-pack";
    co_return nullptr;
  }
  co_return std::move(got.last);
}

Task<bool> HubGit::open(std::string& error) {
  if (features_) co_return true;
  std::string target = base_ + "/info/refs?service=git-upload-pack";
  Fetch fetch = git_fetch(visit_, "GET", std::move(target));
  auto answer = co_await ask(std::move(fetch), error);
  if (!answer) co_return false;
  auto body = co_await answer->read_all(k_refs_max);
  if (!body) {
    error = "the hub's answer broke off";
    co_return false;
  }
  auto features = read_features(*body);
  if (!features) {
    error = features.error().message;
    co_return false;
  }
  features_ = std::move(*features);
  co_return true;
}

Task<std::optional<git::Oid>> HubGit::ref(std::string name, std::string& error) {
  const bool opened = co_await open(error);
  if (!opened) co_return std::nullopt;
  std::string target = base_ + "/git-upload-pack";
  Fetch fetch = git_fetch(visit_, "POST", std::move(target));
  fetch.body = ref_request(*features_, name);
  fetch.has_body = true;
  auto answer = co_await ask(std::move(fetch), error);
  if (!answer) co_return std::nullopt;
  auto body = co_await answer->read_all(k_refs_max);
  if (!body) {
    error = "the hub's answer broke off";
    co_return std::nullopt;
  }
  auto found = read_ref(*body, name);
  if (!found) {
    error = found.error().message;
    co_return std::nullopt;
  }
  co_return *found;
}

// What is ready of the answer.
Task<bool> HubGit::take(std::shared_ptr<PackSpool>& spool, PullAnswer& answer, std::string& error) {
  using Kind = PullAnswer::Part::Kind;
  while (const auto part = answer.next()) {
    if (part->kind == Kind::line && as_text(part->bytes).substr(4).starts_with("ERR "))
      error = "the hub says: " + printable(as_text(part->bytes).substr(8), 200);
    if (part->kind == Kind::error) error = "the hub says: " + printable(as_text(part->bytes), 200);
    if (!error.empty()) co_return false;
    if (part->kind != Kind::pack) continue;
    if (!spool) {
      auto made = PackSpool::create(visit_);
      if (made)
        spool = std::move(*made);
      else
        error = made.error().message;
      if (!spool) co_return false;
    }
    const auto kept = spool->append(part->bytes);
    if (kept) continue;
    error = kept.error().message;
    co_return false;
  }
  if (answer.broken()) error = "the hub's answer can't be understood";
  co_return error.empty();
}

Task<std::shared_ptr<PackSpool>> HubGit::fetch(FetchWish wish, std::string& error) {
  const bool opened = co_await open(error);
  if (!opened) co_return nullptr;
  std::string target = base_ + "/git-upload-pack";
  Fetch fetch = git_fetch(visit_, "POST", std::move(target));
  fetch.body = fetch_request(*features_, wish);
  fetch.has_body = true;
  auto exchange = co_await ask(std::move(fetch), error);
  if (!exchange) co_return nullptr;
  PullAnswer answer(true);
  std::shared_ptr<PackSpool> spool;
  std::vector<std::uint8_t> buffer(k_batch);
  const PackCheck::Progress none;
  for (;;) {
    const std::int64_t n = co_await exchange->read(buffer);
    if (n == 0) break;
    if (n < 0) {
      error = "the hub's answer broke off: " + exchange->error();
      co_return nullptr;
    }
    visit_.gate.metrics.bytes_in += static_cast<std::uint64_t>(n);
    answer.feed({buffer.data(), static_cast<std::size_t>(n)});
    const bool more = co_await take(spool, answer, error);
    if (!more) co_return nullptr;
    const bool alive = co_await band_.progress(none, "asking the hub for what the push names");
    if (!alive) {
      error = "the client is gone";
      co_return nullptr;
    }
  }
  if (!spool || !answer.complete()) {
    error = "the hub's answer ends too early";
    co_return nullptr;
  }
  co_return spool;
}

Task<std::shared_ptr<PackedTrees>> open_trees(Visit& visit, SideBand& band,
                                              std::shared_ptr<PackCheck> check,
                                              std::shared_ptr<PackSpool> spool,
                                              std::string& error) {
  const PackCheck::World world = world_of(visit);
  std::shared_ptr<PackedTrees> out;
  std::function<Result<void>()> work = [&]() -> Result<void> {
    std::uint32_t count = 0;
    auto objects =
        HUBGATE_TRY(open_pack(world.pool, world.scratch, spool->folder(), check->id_size(), count));
    out = std::make_shared<PackedTrees>(std::move(objects), check->id_size(), spool);
    return {};
  };
  const Result<void> opened = co_await run_apart(visit, check, band, std::move(work));
  if (!opened) error = opened.error().message;
  co_return out;
}

} // namespace hubgate::proxy

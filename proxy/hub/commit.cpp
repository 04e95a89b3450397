#include "proxy/hub/commit.hpp"

#include "proxy/hub/commit_body.hpp"
#include "proxy/hub/listing.hpp"
#include "proxy/lfs/lfs.hpp"
#include "proxy/relay/object.hpp"

#include <boost/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::size_t k_samples_most = 1024;

/// One scan of the person's share, for as long as a commit is judged.
class ScanSeat {
public:
  explicit ScanSeat(Visit& visit) : quota_(visit.gate.quota), user_(visit.quota_user()) {
    ++quota_.scans_now;
    ++quota_.scans_of[user_];
  }
  ~ScanSeat() {
    --quota_.scans_now;
    if (const auto at = quota_.scans_of.find(user_); --at->second == 0) quota_.scans_of.erase(at);
  }
  ScanSeat(const ScanSeat&) = delete;
  ScanSeat& operator=(const ScanSeat&) = delete;

private:
  Quota& quota_;
  std::string user_;
};

Fetch forwarded(const Visit& visit, std::string body, std::string_view type) {
  Headers fields = forwarded_fields(visit);
  fields.set("Content-Type", type);
  Url url = visit.hub->base;
  url.target = visit.request.target;
  Fetch fetch("POST", std::move(url), std::move(fields));
  fetch.body = std::move(body);
  fetch.has_body = true;
  return fetch;
}

// A file of the commit, and what came of it.
struct Item {
  std::string path;
  Bytes bytes; ///< of an inline file
  ObjectDigest digest;
  const Report* report = nullptr;
  bool fresh = false;
};

Result<Fd> in_memory(const std::vector<Item*>& items, std::vector<BatchItem>& places) {
  Fd memory(memfd_create("hubgate-commit", MFD_CLOEXEC));
  if (!memory) return Error{"no memory for the files of a commit"};
  std::uint64_t at = 0;
  for (const Item* item: items) {
    for (Bytes rest = item->bytes; !rest.empty();) {
      const ssize_t n = write(memory.get(), rest.data(), rest.size());
      if (n <= 0) return Error{"no memory for the files of a commit"};
      rest = rest.subspan(static_cast<std::size_t>(n));
    }
    places.push_back({at, item->bytes.size()});
    at += item->bytes.size();
  }
  return memory;
}

// Scans what no record knows, in one worker. Blocks: for Loop::offload().
// `rules`: those of the gate when it began.
Result<void> judge_bytes(Gate& gate, const std::string& rules, std::vector<Item>& items,
                         std::deque<Report>& reports) {
  std::vector<Item*> unknown;
  for (Item& item: items) {
    if (item.report != nullptr) continue;
    BlockHasher hasher;
    hasher.update(item.bytes);
    item.digest = hasher.finish();
    auto stored = gate.keeper.lookup(item.digest.sha256, item.digest.size);
    if (stored && stored->current)
      item.report = &reports.emplace_back(std::move(stored->report));
    else
      unknown.push_back(&item);
  }
  if (unknown.empty()) return {};
  std::vector<BatchItem> places;
  const Fd memory = HUBGATE_TRY(in_memory(unknown, places));
  const std::uint64_t size = places.back().offset + places.back().length;
  const double seconds = std::chrono::duration<double>(gate.config.limits.scan).count();
  auto scanned = scan_batch(gate.pool, memory.get(), size, places, Limits{}, seconds);
  const auto batch = HUBGATE_TRY(gate.keeper.store().batch());
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    unknown[i]->report = &reports.emplace_back(std::move(scanned[i]));
    auto kept = gate.keeper.remember(unknown[i]->digest, *unknown[i]->report, rules);
    if (!kept) return kept;
  }
  return batch->commit();
}

// A pointer as Git would store it. The hub takes it for the object that it names, and nobody has
// judged that: files in LFS are named as such.
bool is_pointer(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, 1024);
  return head.find("version http") != std::string_view::npos &&
         (head.find("git-lfs") != std::string_view::npos ||
          head.find("hawser") != std::string_view::npos);
}

// The findings that the first bytes of a file already prove.
Report proven(Report report) {
  report.gaps.clear();
  std::erase_if(report.findings, [](const Finding& finding) {
    return finding.severity != Severity::malicious || finding.klass == "structure" ||
           finding.klass == "polyglot" || finding.klass == "bomb";
  });
  return report;
}

struct Samples {
  std::vector<std::string> bytes;
  std::vector<Item> items;
  std::string text; ///< the body to send on
};

Result<Samples> read_preupload(const std::string& body) {
  boost::system::error_code wrong;
  json::value asked = json::parse(body, wrong);
  if (wrong || !asked.is_object()) return Error{"the preupload request is no JSON object"};
  const auto* files = asked.get_object().if_contains("files");
  if (files == nullptr || !files->is_array() || files->get_array().size() > k_samples_most)
    return Error{"the preupload request has no list of files, or one that is too long"};
  Samples out;
  for (const auto& value: files->get_array()) {
    const auto* file = value.if_object();
    const auto* path = file != nullptr ? file->if_contains("path") : nullptr;
    if (path == nullptr || !path->is_string() || !is_repository_path(path->get_string()))
      return Error{"a file of the preupload request has no path of a repository"};
    const auto* sample = file->if_contains("sample");
    std::optional<std::string> bytes;
    if (sample != nullptr && sample->is_string()) bytes = from_base64(sample->get_string());
    out.items.emplace_back().path = std::string(path->get_string());
    out.bytes.push_back(bytes.value_or(""));
  }
  for (std::size_t i = 0; i < out.items.size(); ++i)
    out.items[i].bytes = as_bytes(out.bytes[i]);
  out.text = json::serialize(asked);
  return out;
}

Context context_of(const Visit& visit, const Item& item) {
  Context context = visit.context(Road::hub);
  context.path = item.path;
  context.sha256 = item.digest.sha256;
  context.size = item.digest.size;
  return context;
}

// The bytes of linked files: known, or fetched and scanned now. False: the client has been told.
Task<bool> judge_linked(Visit& visit, const CommitBody& commit, std::vector<Item>& items,
                        std::deque<Report>& reports) {
  for (const LinkedFile& file: commit.linked) {
    Gatekeeper& keeper = visit.gate.keeper;
    Item item;
    item.path = file.path;
    item.digest.sha256 = file.oid;
    item.digest.size = file.size;
    std::optional<StoredAnalysis> stored =
        co_await visit.gate.loop.offload([&] { return keeper.lookup(file.oid, file.size); });
    if (stored && stored->current) {
      item.report = &reports.emplace_back(std::move(stored->report));
    } else {
      std::string error;
      bool busy = false;
      const auto outcome = co_await judge_lfs_object(visit, file.oid, file.size, error, busy);
      if (!outcome) {
        std::string why = "the commit names an object that was not scanned: " + error;
        co_await reply_error(visit, busy ? 429 : 502, why);
        co_return false;
      }
      if (outcome->mismatch) {
        co_await refuse(visit, Road::hub, "hash-mismatch",
                        "the hub has other bytes under the sha256 that the commit names");
        co_return false;
      }
      item.report = &reports.emplace_back(outcome->report);
    }
    items.push_back(std::move(item));
  }
  co_return true;
}

// Decides on all files. False: the client has been told of the worst.
Task<bool> all_pass(Visit& visit, const std::vector<Item>& items) {
  std::vector<Gatekeeper::Case> cases;
  for (const Item& item: items)
    cases.push_back({item.report, context_of(visit, item)});
  Gatekeeper& keeper = visit.gate.keeper;
  std::vector<Decision> decisions =
      co_await visit.gate.loop.offload([&] { return keeper.decide_all(cases); });
  std::size_t worst = decisions.size();
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    ++visit.gate.metrics.decisions[std::string(to_string(decisions[i].action))];
    if (decisions[i].passes()) continue;
    if (worst == decisions.size() || decisions[i].verdict > decisions[worst].verdict) worst = i;
  }
  if (worst == decisions.size()) co_return true;
  co_await reply_refusal(visit, std::move(decisions[worst]), std::move(cases[worst].context));
  co_return false;
}

} // namespace

Task<void> serve_json_post(Visit& visit) {
  visit.direction = Direction::push;
  auto body = co_await read_request_body(visit, visit.gate.config.limits.request_body);
  if (!body) co_return;
  Fetch fetch = forwarded(visit, std::move(*body), "application/json");
  co_await pass_page(visit, std::move(fetch));
}

Task<void> serve_preupload(Visit& visit) {
  Gate& gate = visit.gate;
  visit.direction = Direction::push;
  auto body = co_await read_request_body(visit, gate.config.limits.request_body);
  if (!body) co_return;
  auto samples = read_preupload(*body);
  if (!samples) {
    std::string why = samples.error().message;
    co_await refuse(visit, Road::hub, "preupload-not-understood", std::move(why));
    co_return;
  }
  std::vector<BatchItem> places;
  std::vector<Item*> all;
  for (Item& item: samples->items)
    all.push_back(&item);
  auto memory = in_memory(all, places);
  if (!memory) {
    co_await reply_error(visit, 503, "the samples can't be looked at: try again");
    co_return;
  }
  std::vector<Report> reports(samples->items.size());
  if (!places.empty()) {
    const std::uint64_t size = places.back().offset + places.back().length;
    const double seconds = std::chrono::duration<double>(gate.config.limits.scan).count();
    const int fd = memory->get();
    reports = co_await gate.loop.offload(
        [&] { return scan_batch(gate.pool, fd, size, places, Limits{}, seconds); });
  }
  for (std::size_t i = 0; i < samples->items.size(); ++i) {
    const Report report = proven(std::move(reports[i]));
    Context context = visit.context(Road::hub);
    context.path = samples->items[i].path;
    if (gate.keeper.preview(report, context).passes()) continue;
    Gatekeeper& keeper = gate.keeper;
    Decision decision = co_await gate.loop.offload([&] { return keeper.decide(report, context); });
    if (decision.passes()) continue;
    co_await reply_refusal(visit, std::move(decision), std::move(context));
    co_return;
  }
  Fetch fetch = forwarded(visit, std::move(samples->text), "application/json");
  co_await pass_page(visit, std::move(fetch));
}

Task<void> serve_commit(Visit& visit) {
  Gate& gate = visit.gate;
  visit.direction = Direction::push;
  if (!visit.may_scan()) {
    co_await reply_error(visit, 429, "too many objects are being scanned at once; try again");
    co_return;
  }
  const ScanSeat seat(visit);
  auto body = co_await read_request_body(visit, gate.config.limits.commit);
  if (!body) co_return;
  Result<CommitBody> commit = co_await gate.loop.offload([&] { return read_commit_body(*body); });
  body.reset();
  if (!commit) {
    std::string why = commit.error().message;
    co_await refuse(visit, Road::hub, "commit-not-understood", std::move(why));
    co_return;
  }
  std::vector<Item> items;
  std::deque<Report> reports;
  for (const InlineFile& file: commit->files) {
    if (is_pointer(file.bytes)) {
      visit.asked.path = file.path;
      co_await refuse(visit, Road::hub, "pointer-inline",
                      "a Git LFS pointer came as a file: its object would pass unseen");
      co_return;
    }
    Item& item = items.emplace_back();
    item.path = file.path;
    item.bytes = as_bytes(file.bytes);
  }
  const std::string rules = gate.rules;
  const Result<void> judged =
      co_await gate.loop.offload([&] { return judge_bytes(gate, rules, items, reports); });
  if (!judged) {
    std::string why = "the files of the commit can't be judged: " + judged.error().message;
    co_await reply_error(visit, 503, std::move(why));
    co_return;
  }
  const bool known = co_await judge_linked(visit, *commit, items, reports);
  if (!known) co_return;
  const bool pass = co_await all_pass(visit, items);
  if (!pass) co_return;
  Fetch fetch = forwarded(visit, std::move(commit->text), "application/x-ndjson");
  co_await pass_page(visit, std::move(fetch));
}

} // namespace hubgate::proxy

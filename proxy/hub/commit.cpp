#include "proxy/hub/commit.hpp"

#include "proxy/hub/listing.hpp"
#include "proxy/hub/named.hpp"
#include "proxy/hub/tree.hpp"
#include "proxy/relay/scan_seat.hpp"

#include <boost/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

namespace hubgate::proxy {

namespace json = boost::json;

namespace {

constexpr std::size_t k_samples_most = 1024;

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

// Files that come with the request, scanned and waiting for their decision.
struct Brought {
  std::vector<Item> items;
  std::deque<Report> reports;
};

// False: the client has been told.
Task<bool> judge_brought(Visit& visit, const std::vector<InlineFile>& files, Brought& out) {
  Gate& gate = visit.gate;
  for (const InlineFile& file: files) {
    if (is_pointer(file.bytes)) {
      visit.asked.path = file.path;
      co_await refuse(visit, Road::hub, "pointer-inline",
                      "a Git LFS pointer came as a file: its object would pass unseen");
      co_return false;
    }
    Item& item = out.items.emplace_back();
    item.path = file.path;
    item.bytes = as_bytes(file.bytes);
  }
  const std::string rules = gate.rules;
  const Result<void> judged =
      co_await gate.loop.offload([&] { return judge_bytes(gate, rules, out.items, out.reports); });
  if (judged) co_return true;
  std::string why = "the files of the commit can't be judged: " + judged.error().message;
  co_await reply_error(visit, 503, std::move(why));
  co_return false;
}

std::vector<Gatekeeper::Case> cases_of(const Visit& visit, const std::vector<Item>& items) {
  std::vector<Gatekeeper::Case> out;
  for (const Item& item: items)
    out.push_back({item.report, context_of(visit, item)});
  return out;
}

// The sizes of copies on the server: of a file that the parent has, or of bytes seen before. False:
// the client has been told.
Task<bool> find_sizes(Visit& visit, CommitBody& commit, const std::string& parent) {
  const bool any = std::any_of(commit.linked.begin(), commit.linked.end(),
                               [](const LinkedFile& file) { return !file.size; });
  if (!any) co_return true;
  Headers fields = forwarded_fields(visit);
  const TimePoint until = Clock::now() + k_patience;
  const Listing listing = co_await list_files(visit.gate, *visit.hub, visit.asked.repo, parent,
                                              std::move(fields), until);
  for (LinkedFile& file: commit.linked) {
    if (file.size) continue;
    for (const ListedFile& listed: listing.files)
      if (listed.lfs == file.oid) file.size = listed.size;
    if (const auto* known = visit.gate.sizes.find(hex(file.oid)); !file.size && known != nullptr)
      file.size = *known;
    if (file.size) continue;
    visit.asked.path = file.path;
    co_await refuse(visit, Road::hub, "not-listed",
                    "the copied object is neither in the parent of the commit nor known to the "
                    "gate: pull it through the gate first, or upload it");
    co_return false;
  }
  co_return true;
}

std::shared_ptr<const TreeChange> change_of(const CommitBody& commit,
                                            const std::vector<Item>& brought,
                                            const std::vector<NamedFile>& linked) {
  auto out = std::make_shared<TreeChange>();
  out->deleted = commit.deleted;
  out->deleted_folders = commit.deleted_folders;
  for (const Item& item: brought)
    out->added.push_back(
        {item.path, item.digest.sha256, item.digest.size, item.report,
         std::string_view(reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size())});
  for (const NamedFile& file: linked)
    out->added.push_back({file.path, file.outcome->digest.sha256, file.outcome->digest.size,
                          &file.outcome->report, std::string_view()});
  return out;
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
  const ScanSeat seat(gate.quota, visit.quota_user());
  auto body = co_await read_request_body(visit, gate.config.limits.commit);
  if (!body) co_return;
  Result<CommitBody> commit = co_await gate.loop.offload([&] { return read_commit_body(*body); });
  body.reset();
  if (!commit) {
    std::string why = commit.error().message;
    co_await refuse(visit, Road::hub, "commit-not-understood", std::move(why));
    co_return;
  }
  const std::string parent = commit->parent.value_or(visit.asked.revision);
  const std::string repo = visit.asked.repo;
  Brought brought;
  const bool read = co_await judge_brought(visit, commit->files, brought);
  if (!read) co_return;
  const bool sized = co_await find_sizes(visit, *commit, parent);
  if (!sized) co_return;
  std::vector<NamedFile> linked;
  for (const LinkedFile& file: commit->linked) {
    NamedFile& named = linked.emplace_back();
    named.path = file.path;
    named.oid = file.oid;
    named.size = *file.size;
  }
  const bool known = co_await judge_named(visit, repo, "", linked);
  if (!known) co_return;
  std::vector<Gatekeeper::Case> cases = cases_of(visit, brought.items);
  for (const NamedFile& file: linked) {
    Context context = visit.context(Road::hub);
    context.path = file.path;
    context.sha256 = file.outcome->digest.sha256;
    context.size = file.outcome->digest.size;
    cases.push_back({&file.outcome->report, std::move(context)});
  }
  const bool pass = co_await all_pass(visit, std::move(cases));
  if (!pass) co_return;
  auto change = change_of(*commit, brought.items, linked);
  const bool together = co_await change_passes(visit, repo, parent, std::move(change));
  if (!together) co_return;
  for (std::size_t i = 0; i < commit->files.size(); ++i) {
    const Item& item = brought.items[i];
    keep_for_trees(gate, *visit.hub, repo, commit->files[i].bytes, item.digest.sha256, *item.report,
                   item.path);
  }
  Fetch fetch = forwarded(visit, std::move(commit->text), "application/x-ndjson");
  co_await pass_page(visit, std::move(fetch));
}

Task<bool> inline_files_pass(Visit& visit, const std::vector<InlineFile>& files) {
  if (files.empty()) co_return true;
  Brought brought;
  const bool read = co_await judge_brought(visit, files, brought);
  if (!read) co_return false;
  std::vector<Gatekeeper::Case> cases = cases_of(visit, brought.items);
  const bool pass = co_await all_pass(visit, std::move(cases));
  co_return pass;
}

} // namespace hubgate::proxy

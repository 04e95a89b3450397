#include "proxy/hub/tree.hpp"

#include "proxy/cache/cache.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/tree/paths.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <unordered_map>
#include <unordered_set>

namespace hubgate::proxy {

/// The work on one revision; whoever asks for it waits for `changed`.
struct TreeJob {
  explicit TreeJob(Loop& loop) : changed(loop) {}
  std::string key; ///< "": it is for one visit alone
  const Hub* hub = nullptr;
  std::string repo; ///< canonical
  std::string revision;
  std::string user;
  std::string rules; ///< Gate::rules when it began
  Headers fields;
  std::shared_ptr<const TreeChange> change; ///< of a commit on top of the revision, or null
  TimePoint until = Clock::now() + k_tree_time;

  std::vector<ListedFile> files;
  std::vector<TreeEntry> entries;  ///< as `files`
  std::vector<std::size_t> wanted; ///< indexes of what is fetched
  std::vector<std::string> missed; ///< wanted paths that could not be read, with the reason
  std::deque<Report> reports;
  std::unordered_map<std::size_t, std::string> code; ///< texts of modules, by entry
  std::uint64_t code_bytes = 0;
  Report together;       ///< what they do together
  std::vector<Gap> gaps; ///< about the listing as a whole
  std::size_t next = 0;  ///< of `wanted`
  std::size_t running = 0;
  std::uint64_t bytes = 0;
  bool closed = false; ///< late answers count no more

  Event changed;
  std::shared_ptr<const TreeVerdict> verdict; ///< when it is done
};

namespace {

constexpr std::size_t k_fetchers = 6;
constexpr std::size_t k_lookups = 2'000;
constexpr auto k_retry = std::chrono::seconds(60); ///< of an incomplete verdict
constexpr auto k_look = std::chrono::seconds(1);

void tell(TreeJob& job, Reason reason, Reach reach, const std::string& detail) {
  job.gaps.push_back(Gap{reason, reach, "", 0, printable(detail), {}});
}

bool lies_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// Takes the files out that the commit removes or replaces.
void remove_changed(TreeJob& job) {
  if (!job.change) return;
  std::unordered_set<std::string_view> gone;
  for (const auto& path: job.change->deleted)
    gone.insert(path);
  for (const auto& file: job.change->added)
    gone.insert(file.path);
  std::erase_if(job.files, [&](const ListedFile& file) {
    if (gone.count(file.path) != 0) return true;
    const auto& folders = job.change->deleted_folders;
    return std::any_of(folders.begin(), folders.end(),
                       [&](const std::string& folder) { return lies_below(file.path, folder); });
  });
}

bool is_code(std::string_view path) {
  return path.ends_with(".py") || path.ends_with(".ipynb");
}

void keep_code(TreeJob& job, std::size_t index, std::string_view text) {
  if (!is_code(job.entries[index].path)) return;
  if (text.size() > python::k_max_repository - job.code_bytes) return;
  job.code_bytes += text.size();
  job.code.emplace(index, text);
}

// Puts those in that it brings.
void add_changed(TreeJob& job) {
  if (!job.change) return;
  for (const auto& file: job.change->added) {
    ListedFile& listed = job.files.emplace_back();
    listed.path = file.path;
    listed.size = file.size;
    TreeEntry& entry = job.entries.emplace_back();
    entry.path = file.path;
    entry.size = file.size;
    entry.sha256 = hex(file.sha256);
    entry.report = file.report;
    keep_code(job, job.entries.size() - 1, file.text);
  }
}

void plan(TreeJob& job) {
  remove_changed(job);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < job.files.size(); ++i) {
    const ListedFile& file = job.files[i];
    TreeEntry& entry = job.entries.emplace_back();
    entry.path = file.path;
    entry.size = file.size;
    entry.sha256 = file.lfs ? hex(*file.lfs) : "git:" + file.oid;
    if (!fetched_for_tree(file.path)) continue;
    bytes += file.size;
    if (file.size > k_tree_file || bytes > k_tree_bytes || job.wanted.size() >= k_tree_fetches)
      job.missed.push_back(file.path);
    else
      job.wanted.push_back(i);
  }
  add_changed(job);
}

std::string blob_key(const Gate& gate, const Hub& hub, const std::string& repo,
                     const std::string& oid) {
  return gate.with_rules(hub.name + " " + repo + " " + oid);
}

// What is known of a file takes its place.
void take_blob(TreeJob& job, std::size_t index, const TreeBlob& blob) {
  TreeEntry& entry = job.entries[index];
  entry.sha256 = hex(blob.sha256);
  entry.size = blob.size;
  entry.report = &job.reports.emplace_back(blob.report);
  keep_code(job, index, blob.text);
}

void keep_blob(Gate& gate, const std::string& key, std::shared_ptr<const TreeBlob> blob) {
  if (!Store::storable(blob->report)) return;
  const std::size_t weight = 512 + blob->text.size() + 1024 * blob->report.findings.size();
  gate.tree_blobs.put(key, std::move(blob), weight);
}

// One file: fetched, hashed, looked up or scanned.
Task<void> fetch_one(Gate& gate, std::shared_ptr<TreeJob> job, std::size_t index) {
  const std::string path = job->files[index].path;
  const std::string key = blob_key(gate, *job->hub, job->repo, job->files[index].oid);
  if (const auto* known = gate.tree_blobs.find(key)) {
    take_blob(*job, index, **known);
    co_return;
  }
  Url url = job->hub->base;
  url.target = "/" + encoded_path(job->repo) + "/resolve/" + percent_encoded(job->revision) + "/" +
               encoded_path(path);
  Fetch fetch("GET", std::move(url), job->fields);
  Fetched got = co_await gate.upstream.follow(std::move(fetch));
  std::optional<std::string> body;
  if (got.last && got.last->head.status == 200) {
    const auto encoding = got.last->head.headers.get("content-encoding");
    if (!encoding || *encoding == "identity") body = co_await got.last->read_all(k_tree_file);
  }
  got.last.reset();
  if (body) {
    job->bytes += body->size();
    gate.metrics.bytes_in += body->size();
  }
  if (!body || job->bytes > k_tree_bytes) {
    if (!job->closed) job->missed.push_back(path);
    co_return;
  }
  BlockHasher hasher;
  hasher.update(as_bytes(*body));
  const ObjectDigest digest = hasher.finish();
  Gatekeeper& keeper = gate.keeper;
  std::optional<StoredAnalysis> stored =
      co_await gate.loop.offload([&] { return keeper.lookup(digest.sha256, digest.size); });
  auto blob = std::make_shared<TreeBlob>();
  blob->sha256 = digest.sha256;
  blob->size = digest.size;
  if (stored && stored->current) {
    blob->report = std::move(stored->report);
  } else {
    ++gate.metrics.scans_total;
    const std::string rules = gate.rules;
    blob->report = co_await scan_bytes(gate.loop, gate.pool, as_bytes(*body), gate.spool_directory,
                                       gate.config.limits.scan);
    const Result<void> kept =
        co_await gate.loop.offload([&] { return keeper.remember(digest, blob->report, rules); });
    if (!kept && gate.loop.on_error) gate.loop.on_error("store: " + kept.error().message);
  }
  if (is_code(path)) blob->text = std::move(*body);
  keep_blob(gate, key, blob);
  if (!job->closed) take_blob(*job, index, *blob);
}

Task<void> fetch_some(Gate& gate, std::shared_ptr<TreeJob> job) {
  while (job->next < job->wanted.size() && Clock::now() < job->until) {
    const std::size_t index = job->wanted[job->next++];
    co_await fetch_one(gate, job, index);
  }
  --job->running;
  job->changed.notify();
}

TreeOptions options_of(const TreeJob& job) {
  TreeOptions options;
  options.repo =
      std::string_view(job.repo).substr(job.repo.size() - split_repo(job.repo).name.size());
  options.all_scanned = false;
  return options;
}

// The code of the revision, followed across its files.
Task<void> follow_code(Gate& gate, std::shared_ptr<TreeJob> job) {
  const RepositoryCode code = repository_code(
      job->entries, options_of(*job), [&job](std::size_t i) -> std::optional<std::string> {
        const auto at = job->code.find(i);
        return at == job->code.end() ? std::nullopt : std::optional(at->second);
      });
  job->code.clear();
  if (code.wanted())
    job->together = co_await scan_code(gate.loop, gate.pool, code.bundle, k_tree_code_time);
  job->together.gaps.insert(job->together.gaps.end(), code.gaps.begin(), code.gaps.end());
}

// Reports of weights that somebody has pulled before.
void look_up_weights(Gatekeeper& keeper, TreeJob& job) {
  std::size_t lookups = 0;
  for (std::size_t i = 0; i < job.files.size() && lookups < k_lookups; ++i) {
    const ListedFile& file = job.files[i];
    if (!file.lfs || job.entries[i].report != nullptr || !is_model_file(file.path)) continue;
    ++lookups;
    auto stored = keeper.lookup(*file.lfs, file.size);
    if (stored && stored->current)
      job.entries[i].report = &job.reports.emplace_back(std::move(stored->report));
  }
}

std::shared_ptr<const TreeVerdict> verdict_of_job(Gatekeeper& keeper, TreeJob& job) {
  look_up_weights(keeper, job);
  TreeOptions options = options_of(job);
  options.repository = &job.together;
  auto out = std::make_shared<TreeVerdict>();
  const std::string key = tree_key(job.entries, options.repo);
  out->key = sha256_from_hex(key);
  out->report = judge_tree(job.entries, options);
  for (const auto& gap: job.gaps)
    out->report.gaps.push_back(gap);
  for (const auto& path: job.missed)
    out->report.gaps.push_back(Gap{Reason::unreadable,
                                   path.ends_with(".py") ? Reach::load : Reach::data,
                                   escaped(path),
                                   0,
                                   "this file was not read ahead of the weights",
                                   {}});
  // An incomplete one is judged anew; it must not stand for the next.
  if (out->report.complete())
    (void)keeper.store().remember_tree("tree:" + key, out->report, job.rules);
  return out;
}

// Ends the job however its work ended: nobody may wait for ever, and nothing that failed passes.
class Settle {
public:
  Settle(Gate& gate, TreeJob& job) : gate_(gate), job_(job) {}
  Settle(const Settle&) = delete;
  Settle& operator=(const Settle&) = delete;
  ~Settle() {
    job_.closed = true;
    if (!job_.verdict) {
      auto failed = std::make_shared<TreeVerdict>();
      failed->report.gaps.push_back(
          Gap{Reason::crash, Reach::load, "", 0, "the files of this revision were not judged"});
      job_.verdict = std::move(failed);
    }
    --gate_.quota.scans_now;
    if (auto at = gate_.quota.scans_of.find(job_.user); --at->second == 0)
      gate_.quota.scans_of.erase(at);
    if (!job_.key.empty()) {
      gate_.trees.put(job_.key, job_.verdict, 1 + job_.verdict->report.findings.size());
      gate_.tree_jobs.erase(job_.key);
    }
    job_.changed.notify();
  }

private:
  Gate& gate_;
  TreeJob& job_;
};

Task<void> run(Gate& gate, std::shared_ptr<TreeJob> job) {
  const Settle settle(gate, *job);
  Listing listing =
      co_await list_files(gate, *job->hub, job->repo, job->revision, job->fields, job->until);
  // A commit may be the first one.
  if (listing.gap && !(job->change && listing.missing))
    job->gaps.push_back(std::move(*listing.gap));
  job->files = std::move(listing.files);
  plan(*job);
  job->running = std::min(k_fetchers, job->wanted.size());
  for (std::size_t i = job->running; i > 0; --i)
    gate.loop.spawn([&gate, job] { return fetch_some(gate, job); });
  while (job->running > 0 && Clock::now() < job->until)
    co_await job->changed.wait(k_look);
  job->closed = true;
  for (std::size_t i = job->next; i < job->wanted.size(); ++i)
    job->missed.push_back(job->files[job->wanted[i]].path);
  if (job->running > 0)
    tell(*job, Reason::timeout, Reach::load, "the files that decide could not be fetched in time");
  co_await follow_code(gate, job);
  Gatekeeper& keeper = gate.keeper;
  std::shared_ptr<const TreeVerdict> verdict = co_await gate.loop.offload([&] {
    auto out = verdict_of_job(keeper, *job);
    // So that the revision is known after a restart, and when the hub can't be asked.
    if (gate.cache && !job->change && is_commit(job->revision) && out->key &&
        out->report.complete())
      (void)gate.cache->index().remember_tree(job->hub->name, job->repo, job->revision,
                                              hex(*out->key));
    return out;
  });
  job->verdict = std::move(verdict);
}

// The verdict that is known, if it still stands.
std::shared_ptr<const TreeVerdict> known_verdict(Gate& gate, const std::string& key, bool fixed) {
  const auto* found = gate.trees.find(key);
  if (!found) return nullptr;
  const bool lasting = fixed && (*found)->report.complete();
  if (!lasting && Clock::now() - (*found)->made > k_retry) {
    gate.trees.erase(key);
    return nullptr;
  }
  return *found;
}

// The verdict on a commit that the cache knows of and that today's rules made; null when there is
// none.
Task<std::shared_ptr<const TreeVerdict>> remembered_verdict(Visit& visit, std::string key,
                                                            std::string commit) {
  Gate& gate = visit.gate;
  if (!gate.cache || !is_commit(commit)) co_return nullptr;
  Gatekeeper& keeper = gate.keeper;
  std::shared_ptr<TreeVerdict> out =
      co_await gate.loop.offload([&]() -> std::shared_ptr<TreeVerdict> {
        const auto tree = gate.cache->index().tree(visit.hub->name, visit.asked.repo, commit);
        if (!tree || tree->empty()) return nullptr;
        auto stored = keeper.store().tree("tree:" + *tree);
        if (!stored || !*stored || !(*stored)->current) return nullptr;
        auto verdict = std::make_shared<TreeVerdict>();
        verdict->report = std::move((*stored)->report);
        verdict->key = sha256_from_hex(*tree);
        return verdict;
      });
  if (out) gate.trees.put(key, out, 1 + out->report.findings.size());
  co_return out;
}

std::shared_ptr<TreeJob> start_job(Visit& visit, std::string key, std::string repo,
                                   std::string revision, std::shared_ptr<const TreeChange> change) {
  Gate& gate = visit.gate;
  const std::string& user = visit.quota_user();
  ++gate.quota.scans_now;
  ++gate.quota.scans_of[user];
  auto job = std::make_shared<TreeJob>(gate.loop);
  job->key = std::move(key);
  job->hub = visit.hub;
  job->repo = std::move(repo);
  job->revision = std::move(revision);
  job->change = std::move(change);
  job->user = user;
  job->rules = gate.rules;
  job->fields = forwarded_fields(visit);
  if (!job->key.empty()) gate.tree_jobs[job->key] = job;
  gate.loop.spawn([&gate, job] { return run(gate, job); });
  return job;
}

// The running job for the revision, or a new one; null when there are too many.
std::shared_ptr<TreeJob> job_for(Visit& visit, const std::string& key, const std::string& repo,
                                 const std::string& revision) {
  Gate& gate = visit.gate;
  if (const auto at = gate.tree_jobs.find(key); at != gate.tree_jobs.end()) return at->second;
  if (!visit.may_scan()) return nullptr;
  return start_job(visit, key, repo, revision, nullptr);
}

// Null: the client is gone, or has been told.
Task<std::shared_ptr<const TreeVerdict>> wait_for(Visit& visit, std::shared_ptr<TreeJob> job) {
  if (!job) {
    co_await reply_error(visit, 429, "too many objects are being scanned at once; try again");
    co_return nullptr;
  }
  ++visit.gate.metrics.waiting;
  while (!job->verdict && !visit.connection.stream().gone())
    co_await job->changed.wait(k_look);
  --visit.gate.metrics.waiting;
  if (!job->verdict) visit.keep_alive = false;
  co_return job->verdict;
}

// Decides on what was found, if anything was. False: the client has been told. `passed` (may be
// null) gets a warning where the policy annotates.
Task<bool> verdict_passes(Visit& visit, std::shared_ptr<const TreeVerdict> verdict,
                          Headers* passed) {
  Gate& gate = visit.gate;
  const Report& report = verdict->report;
  if (report.findings.empty() && report.gaps.empty()) co_return true;
  Context context = visit.context(Road::hub);
  context.sha256 = verdict->key;
  const Decision plain = gate.keeper.preview(report, context);
  if (plain.action == Action::allow && plain.would_be == Action::allow) co_return true;
  Gatekeeper& keeper = gate.keeper;
  Decision decision = co_await gate.loop.offload([&] { return keeper.decide(report, context); });
  if (decision.passes()) {
    if (passed != nullptr) add_warning(*passed, decision, context);
    co_return true;
  }
  co_await reply_refusal(visit, std::move(decision), std::move(context));
  co_return false;
}

bool names(const Report& report, std::string_view path) {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [&](const Finding& finding) { return finding.where == escaped(path); });
}

} // namespace

Task<bool> tree_permits(Visit& visit, Described& what) {
  Gate& gate = visit.gate;
  if (visit.asked.repo.empty() || visit.asked.path.empty()) co_return true;
  std::string revision = visit.asked.revision;
  if (const auto commit = what.passed.get("x-repo-commit"); commit && is_commit(*commit))
    revision = std::string(*commit);
  const std::string key =
      gate.with_rules(visit.hub->name + "\n" + visit.asked.repo + "\n" + revision);
  std::shared_ptr<const TreeVerdict> verdict = known_verdict(gate, key, is_commit(revision));
  // What decides is judged by itself and fetched for the others; only code waits for what it does
  // together with other code.
  const bool decides = tree_decides(visit.asked.path);
  const bool code = lower_case(visit.asked.path).ends_with(".py");
  if (decides && !code && !(verdict && names(verdict->report, visit.asked.path))) co_return true;
  const bool waits = !visit.is_head() || visit.client == Client::rust;
  if (!verdict) verdict = co_await remembered_verdict(visit, key, revision);
  if (!verdict) {
    const std::shared_ptr<TreeJob> job = job_for(visit, key, visit.asked.repo, revision);
    if (!waits) co_return true;
    verdict = co_await wait_for(visit, job);
    if (!verdict) co_return false;
  }
  if (decides && !names(verdict->report, visit.asked.path)) co_return true;
  if (!waits) co_return true;
  const bool passes = co_await verdict_passes(visit, verdict, &what.passed);
  co_return passes;
}

Task<bool> revision_passes(Visit& visit, std::string repo, std::string commit) {
  const std::string key = visit.gate.with_rules(visit.hub->name + "\n" + repo + "\n" + commit);
  std::shared_ptr<const TreeVerdict> verdict = known_verdict(visit.gate, key, is_commit(commit));
  if (!verdict) {
    const std::shared_ptr<TreeJob> job = job_for(visit, key, repo, commit);
    verdict = co_await wait_for(visit, job);
    if (!verdict) co_return false;
  }
  const bool passes = co_await verdict_passes(visit, verdict, nullptr);
  co_return passes;
}

Task<bool> change_passes(Visit& visit, std::string repo, std::string parent,
                         std::shared_ptr<const TreeChange> change) {
  const std::shared_ptr<TreeJob> job =
      start_job(visit, "", std::move(repo), std::move(parent), std::move(change));
  // To the end, even if the client goes: what is judged is lent.
  while (!job->verdict)
    co_await job->changed.wait(k_look);
  const bool passes = co_await verdict_passes(visit, job->verdict, nullptr);
  co_return passes;
}

void keep_for_trees(Gate& gate, const Hub& hub, const std::string& repo, std::string_view bytes,
                    const Sha256& sha256, const Report& report, std::string_view path) {
  if (!fetched_for_tree(path) || bytes.size() > k_tree_file) return;
  auto blob = std::make_shared<TreeBlob>();
  blob->sha256 = sha256;
  blob->size = bytes.size();
  blob->report = report;
  if (is_code(path)) blob->text = bytes;
  keep_blob(gate, blob_key(gate, hub, repo, git_blob_id(bytes)), std::move(blob));
}

std::shared_ptr<const TreeBlob> known_for_trees(Gate& gate, const Hub& hub, const std::string& repo,
                                                const std::string& oid) {
  const auto* found = gate.tree_blobs.find(blob_key(gate, hub, repo, oid));
  return found == nullptr ? nullptr : *found;
}

void keep_for_trees(Gate& gate, const Hub& hub, const std::string& repo, const std::string& oid,
                    std::shared_ptr<const TreeBlob> blob) {
  keep_blob(gate, blob_key(gate, hub, repo, oid), std::move(blob));
}

bool fetched_for_tree(std::string_view path) {
  const std::string name = lower_case(name_of(path));
  static constexpr std::array<std::string_view, 6> k_suffixes{
      ".py", "config.json", ".index.json", ".yaml", ".yml", "modules.json"};
  static constexpr std::array<std::string_view, 4> k_names{"model_index.json", "mlmodel",
                                                           "requirements.txt", ".lfsconfig"};
  return std::any_of(k_suffixes.begin(), k_suffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); }) ||
         std::find(k_names.begin(), k_names.end(), name) != k_names.end();
}

} // namespace hubgate::proxy

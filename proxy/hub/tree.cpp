#include "proxy/hub/tree.hpp"

#include "proxy/cache/cache.hpp"
#include "proxy/hub/rewrite.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/tree/paths.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <unordered_map>

namespace hubgate::proxy {

/// The work on one revision; whoever asks for it waits for `changed`.
struct TreeJob {
  explicit TreeJob(Loop& loop) : changed(loop) {}
  std::string key;
  const Hub* hub = nullptr;
  std::string repo; ///< canonical
  std::string revision;
  std::string user;
  std::string rules; ///< Gate::rules when it began
  Headers fields;
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
constexpr std::size_t k_pages = 1'000;
constexpr std::size_t k_lookups = 2'000;
constexpr auto k_retry = std::chrono::seconds(60); ///< of an incomplete verdict
constexpr auto k_look = std::chrono::seconds(1);

/// Of a canonical name: "datasets" and "org/name".
struct RepoName {
  std::string kind = "models";
  std::string name;
};

RepoName split(std::string_view repo) {
  RepoName out;
  for (const std::string_view kind: {"datasets", "spaces", "kernels"}) {
    if (repo.starts_with(kind) && repo.size() > kind.size() && repo[kind.size()] == '/') {
      out.kind = kind;
      repo.remove_prefix(kind.size() + 1);
      break;
    }
  }
  out.name = repo;
  return out;
}

std::string encoded_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    out += percent_encoded(path.substr(0, end));
    if (end < path.size()) out += '/';
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return out;
}

void tell(TreeJob& job, Reason reason, Reach reach, const std::string& detail) {
  job.gaps.push_back(Gap{reason, reach, "", 0, printable(detail), {}});
}

// All pages of the listing. What goes wrong is a gap of the job.
Task<void> list(Gate& gate, std::shared_ptr<TreeJob> job) {
  const RepoName repo = split(job->repo);
  Url url = job->hub->base;
  url.target = "/api/" + repo.kind + "/" + encoded_path(repo.name) + "/tree/" +
               percent_encoded(job->revision) + "?recursive=true&expand=false";
  for (std::size_t page = 0; page < k_pages; ++page) {
    Fetch fetch("GET", url, job->fields);
    Fetched got = co_await gate.upstream.follow(std::move(fetch));
    const bool answered = got.last && !got.left_origin && got.last->head.status == 200;
    if (!answered) {
      std::string why = got.error;
      if (got.last) why = "status " + std::to_string(got.last->head.status);
      tell(*job, Reason::unreadable, Reach::data,
           "the hub gives no listing of this revision: " + why);
      co_return;
    }
    const std::string link = got.last->head.headers.joined("link");
    const std::optional<std::string> body = co_await got.last->read_all(gate.config.limits.json);
    if (!body) {
      std::string why = "the hub's listing of this revision broke off: " + got.last->error();
      tell(*job, Reason::unreadable, Reach::data, why);
      co_return;
    }
    got.last.reset();
    gate.metrics.bytes_in += body->size();
    auto files = co_await gate.loop.offload([&] { return parse_tree_page(*body); });
    if (!files) {
      std::string why = "the hub's listing can't be read: " + files.error().message;
      tell(*job, Reason::malformed, Reach::data, why);
      co_return;
    }
    std::move(files->begin(), files->end(), std::back_inserter(job->files));
    const auto next = next_page(link, job->hub->base.origin);
    if (!next) co_return;
    if (job->files.size() >= k_tree_files || Clock::now() >= job->until) break;
    url.target = *next;
  }
  tell(*job, Reason::budget, Reach::load,
       "this revision has too many files to judge them together");
}

void plan(TreeJob& job) {
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
}

// One file: fetched, hashed, looked up or scanned.
Task<void> fetch_one(Gate& gate, std::shared_ptr<TreeJob> job, std::size_t index) {
  const std::string path = job->files[index].path;
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
  Report report;
  if (stored && stored->current) {
    report = std::move(stored->report);
  } else {
    ++gate.metrics.scans_total;
    const std::string rules = gate.rules;
    report = co_await scan_bytes(gate.loop, gate.pool, as_bytes(*body), gate.spool_directory,
                                 gate.config.limits.scan);
    const Result<void> kept =
        co_await gate.loop.offload([&] { return keeper.remember(digest, report, rules); });
    if (!kept && gate.loop.on_error) gate.loop.on_error("store: " + kept.error().message);
  }
  if (job->closed) co_return;
  TreeEntry& entry = job->entries[index];
  entry.sha256 = hex(digest.sha256);
  entry.size = digest.size;
  entry.report = &job->reports.emplace_back(std::move(report));
  const bool code = path.ends_with(".py") || path.ends_with(".ipynb");
  if (!code || body->size() > python::k_max_repository - job->code_bytes) co_return;
  job->code_bytes += body->size();
  job->code.emplace(index, std::move(*body));
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
  options.repo = std::string_view(job.repo).substr(job.repo.size() - split(job.repo).name.size());
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
    gate_.trees.put(job_.key, job_.verdict, 1 + job_.verdict->report.findings.size());
    gate_.tree_jobs.erase(job_.key);
    job_.changed.notify();
  }

private:
  Gate& gate_;
  TreeJob& job_;
};

bool is_commit(std::string_view revision) {
  return revision.size() == 40 &&
         revision.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Task<void> run(Gate& gate, std::shared_ptr<TreeJob> job) {
  const Settle settle(gate, *job);
  co_await list(gate, job);
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
    if (gate.cache && is_commit(job->revision) && out->key && out->report.complete())
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

// The running job for the revision, or a new one; null when there are too many.
std::shared_ptr<TreeJob> job_for(Visit& visit, const std::string& key,
                                 const std::string& revision) {
  Gate& gate = visit.gate;
  if (const auto at = gate.tree_jobs.find(key); at != gate.tree_jobs.end()) return at->second;
  if (!visit.may_scan()) return nullptr;
  const std::string& user = visit.quota_user();
  ++gate.quota.scans_now;
  ++gate.quota.scans_of[user];
  auto job = std::make_shared<TreeJob>(gate.loop);
  job->key = key;
  job->hub = visit.hub;
  job->repo = visit.asked.repo;
  job->revision = revision;
  job->user = user;
  job->rules = gate.rules;
  job->fields = forwarded_fields(visit);
  gate.tree_jobs[key] = job;
  gate.loop.spawn([&gate, job] { return run(gate, job); });
  return job;
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
    const std::shared_ptr<TreeJob> job = job_for(visit, key, revision);
    if (!waits) co_return true;
    if (!job) {
      co_await reply_error(visit, 429, "too many objects are being scanned at once; try again");
      co_return false;
    }
    ++gate.metrics.waiting;
    while (!job->verdict && !visit.connection.stream().gone())
      co_await job->changed.wait(k_look);
    --gate.metrics.waiting;
    verdict = job->verdict;
    if (!verdict) {
      visit.keep_alive = false;
      co_return false;
    }
  }
  const Report& report = verdict->report;
  if (decides && !names(report, visit.asked.path)) co_return true;
  if (!waits || (report.findings.empty() && report.gaps.empty())) co_return true;
  Context context = visit.context(Road::hub);
  context.sha256 = verdict->key;
  const Decision plain = gate.keeper.preview(report, context);
  if (plain.action == Action::allow && plain.would_be == Action::allow) co_return true;
  Gatekeeper& keeper = gate.keeper;
  Decision decision = co_await gate.loop.offload([&] { return keeper.decide(report, context); });
  if (decision.passes()) {
    add_warning(what.passed, decision, context);
    co_return true;
  }
  co_await reply_refusal(visit, std::move(decision), std::move(context));
  co_return false;
}

Result<std::vector<ListedFile>> parse_tree_page(std::string_view json) {
  boost::system::error_code failed;
  boost::json::parse_options options;
  options.max_depth = 16;
  const auto value = boost::json::parse(json, failed, {}, options);
  if (failed || !value.is_array()) return Error{"it is no list"};
  const auto text = [](const boost::json::object& object, const char* name) {
    const auto* field = object.if_contains(name);
    return field && field->is_string() ? std::string(field->get_string()) : std::string();
  };
  const auto number = [](const boost::json::object& object, const char* name) -> std::uint64_t {
    const auto* field = object.if_contains(name);
    if (!field || !field->is_number()) return 0;
    boost::system::error_code none;
    const auto out = field->to_number<std::uint64_t>(none);
    return none ? 0 : out;
  };
  std::vector<ListedFile> out;
  for (const auto& item: value.get_array()) {
    if (!item.is_object()) return Error{"an entry is no object"};
    const auto& object = item.get_object();
    ListedFile file;
    file.path = text(object, "path");
    if (file.path.empty()) return Error{"an entry has no path"};
    if (text(object, "type") == "directory") continue;
    file.oid = text(object, "oid");
    file.size = number(object, "size");
    if (const auto* lfs = object.if_contains("lfs"); lfs && lfs->is_object()) {
      file.lfs = sha256_from_hex(text(lfs->get_object(), "oid"));
      file.size = number(lfs->get_object(), "size");
    }
    out.push_back(std::move(file));
  }
  return out;
}

std::optional<std::string> next_page(std::string_view link, const Origin& upstream) {
  while (!link.empty()) {
    const std::size_t open = link.find('<');
    const std::size_t close = link.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    const std::string_view address = link.substr(open + 1, close - open - 1);
    const std::size_t end = std::min(link.find('<', close), link.size());
    const std::string_view parameters = link.substr(close, end - close);
    if (parameters.find("rel=\"next\"") != std::string_view::npos) {
      const auto url = parse_url(address);
      if (!url || !(url->origin == upstream)) return std::nullopt;
      return url->target;
    }
    link.remove_prefix(end);
  }
  return std::nullopt;
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

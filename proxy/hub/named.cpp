#include "proxy/hub/named.hpp"

#include "proxy/hub/tree.hpp"
#include "proxy/lfs/lfs.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_at_once = 6;

struct Work {
  Work(Visit& visit_, std::vector<NamedFile>& files_)
      : visit(visit_), files(files_), changed(visit_.gate.loop) {}
  Visit& visit;
  std::vector<NamedFile>& files;
  std::string repo;
  std::string commit;
  TimePoint until = Clock::now() + k_patience;
  std::size_t next = 0;
  std::size_t running = 0;
  std::string error; ///< the first one
  bool busy = false;
  Event changed;
};

// What the store knows of an LFS object.
Task<std::shared_ptr<const Outcome>> recorded(Gate& gate, Sha256 oid, std::uint64_t size) {
  Gatekeeper& keeper = gate.keeper;
  std::optional<StoredAnalysis> stored =
      co_await gate.loop.offload([&] { return keeper.lookup(oid, size); });
  if (!stored || !stored->current) co_return nullptr;
  auto out = std::make_shared<Outcome>();
  out->rules = stored->rules;
  out->report = std::move(stored->report);
  out->digest.sha256 = oid;
  out->digest.size = size;
  co_return out;
}

Ask ask_for(const Work& work, const NamedFile& file) {
  Url url = work.visit.hub->base;
  url.target = "/" + encoded_path(work.repo) + "/resolve/" + percent_encoded(work.commit) + "/" +
               encoded_path(file.path);
  Ask ask(Fetch("GET", std::move(url), forwarded_fields(work.visit)), Road::hub);
  ask.oid = file.oid;
  if (file.oid) ask.size = file.size;
  ask.until = work.until;
  return ask;
}

Task<void> judge_file(Work& work, NamedFile& file) {
  if (file.outcome) co_return;
  if (file.oid) file.outcome = co_await recorded(work.visit.gate, *file.oid, file.size);
  if (file.outcome) co_return;
  std::string error;
  bool busy = false;
  if (work.commit.empty()) {
    file.outcome =
        co_await judge_lfs_object(work.visit, *file.oid, file.size, work.until, error, busy);
  } else {
    Ask ask = ask_for(work, file);
    file.outcome = co_await judge_object(work.visit, std::move(ask), error, busy);
  }
  if (file.outcome || !work.error.empty()) co_return;
  work.error = file.path + ": " + error;
  work.busy = busy;
}

Task<void> judge_some(Work& work) {
  while (work.next < work.files.size() && work.error.empty()) {
    NamedFile& file = work.files[work.next++];
    co_await judge_file(work, file);
  }
  --work.running;
  work.changed.notify();
}

} // namespace

Task<bool> judge_named(Visit& visit, std::string repo, std::string commit,
                       std::vector<NamedFile>& files) {
  Work work(visit, files);
  work.repo = std::move(repo);
  work.commit = std::move(commit);
  work.running = std::min(k_at_once, files.size());
  for (std::size_t i = work.running; i > 0; --i)
    visit.gate.loop.spawn([&work] { return judge_some(work); });
  while (work.running > 0) // to the end, for `work` is theirs too
    co_await work.changed.wait(std::chrono::seconds(1));
  if (!work.error.empty()) {
    std::string why = "this names an object that was not scanned: " + work.error;
    int status = 502;
    if (work.busy) status = 503;
    co_await reply_error(visit, status, std::move(why));
    co_return false;
  }
  for (const NamedFile& file: files) {
    visit.gate.sizes.put(hex(file.outcome->digest.sha256), file.outcome->digest.size);
    if (!file.outcome->mismatch) continue;
    visit.asked.path = file.path;
    co_await refuse(visit, Road::hub, "hash-mismatch",
                    "the hub has other bytes under the sha256 that is named");
    co_return false;
  }
  co_return true;
}

Task<bool> named_pass(Visit& visit, const std::vector<NamedFile>& files) {
  Gatekeeper& keeper = visit.gate.keeper;
  const Context common = visit.context(Road::hub);
  std::vector<Gatekeeper::Case> cases = co_await visit.gate.loop.offload([&] {
    std::vector<Gatekeeper::Case> out;
    for (const NamedFile& file: files) {
      Context context = common;
      context.path = file.path;
      context.sha256 = file.outcome->digest.sha256;
      context.size = file.outcome->digest.size;
      const Decision plain = keeper.preview(file.outcome->report, context);
      if (plain.action != Action::allow || plain.would_be != Action::allow)
        out.push_back({&file.outcome->report, std::move(context)});
    }
    return out;
  });
  const bool pass = co_await all_pass(visit, std::move(cases));
  co_return pass;
}

Task<bool> all_pass(Visit& visit, std::vector<Gatekeeper::Case> cases) {
  if (cases.empty()) co_return true;
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

Task<bool> reference_permitted(Visit& visit, std::string repo, std::string commit) {
  const TimePoint until = Clock::now() + k_patience;
  Headers fields = forwarded_fields(visit);
  Listing listing =
      co_await list_files(visit.gate, *visit.hub, repo, commit, std::move(fields), until);
  if (listing.gap) {
    std::string why = listing.gap->detail;
    co_await reply_error(visit, 502, std::move(why));
    co_return false;
  }
  std::vector<NamedFile> files;
  for (ListedFile& listed: listing.files) {
    NamedFile& file = files.emplace_back();
    file.path = std::move(listed.path);
    file.oid = listed.lfs;
    file.size = listed.size;
  }
  const bool judged = co_await judge_named(visit, repo, commit, files);
  if (!judged) co_return false;
  const bool pass = co_await named_pass(visit, files);
  if (!pass) co_return false;
  const bool together = co_await revision_passes(visit, repo, commit);
  co_return together;
}

} // namespace hubgate::proxy

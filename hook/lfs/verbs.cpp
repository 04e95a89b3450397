#include "hook/lfs/verbs.hpp"

#include "hook/context.hpp"
#include "hook/in_process.hpp"
#include "hook/install/layout.hpp"
#include "hook/inventory.hpp"
#include "hook/lfs/orphans.hpp"
#include "hook/lfs/pending.hpp"
#include "hook/lfs/references.hpp"
#include "hook/lfs_store.hpp"
#include "policy/commands/shared.hpp"
#include "policy/git/cases.hpp"
#include "policy/yaml.hpp"
#include "scanner/core/evidence.hpp"

#include <fcntl.h>

#include <csignal>
#include <iostream>
#include <map>

namespace hubgate {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

struct Flags {
  std::string path;
  std::string data;
  std::string policy;
  std::string config;
  std::string older_than = "1d";
  bool remove = false;
  bool quarantine = false;
  bool scan = false;
  bool json = false;
};

std::string repository_name(const fs::path& repository, const fs::path& root) {
  const fs::path path = repository.filename() == ".git" ? repository.parent_path() : repository;
  std::string name =
      path == root ? path.filename().string() : path.lexically_relative(root).string();
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  return name;
}

// The objects of all stores that PATH has, and the ids that its repositories point at.
struct Inventory {
  std::map<std::string, OrphanObject> objects; ///< by path
  std::set<std::string> wanted;
};

Result<Inventory> look_around(const Flags& flags, const LfsConfig& config) {
  std::error_code error;
  const fs::path root = fs::canonical(flags.path, error);
  if (error) return Error{printable(flags.path, 300) + ": " + error.message()};
  std::vector<fs::path> repositories;
  const bool one = install::is_repository(root) || install::is_repository(root / ".git");
  if (one)
    repositories.push_back(install::is_repository(root) ? root : root / ".git");
  else
    repositories = repositories_below(root);
  if (repositories.empty()) return Error{printable(flags.path, 300) + " holds no Git repository"};
  Inventory out;
  for (const auto& repository: repositories) {
    const auto wanted = HUBGATE_TRY(lfs_references(repository, LfsReach::reachable));
    out.wanted.insert(wanted.begin(), wanted.end());
    const LfsWorld world{repository, repository_name(repository, root), "", [] { return true; }};
    for (const auto& source: config.sources) {
      if (source.kind != LfsSourceConfig::Kind::folder) continue;
      if (source.shared && one)
        return Error{"the store " + printable(source.place, 200) +
                     " is shared: give the folder with all the repositories that use it"};
      std::string id;
      if ((source.place).find("{repo_id}") != std::string::npos)
        id = HUBGATE_TRY(soft_serve_repository(config.database, world.repo));
      for (auto& object: lfs_objects_in(source, world, id))
        out.objects.try_emplace(object.path, std::move(object));
    }
  }
  return out;
}

Result<int> orphans(const Flags& flags) {
  const HookConfig config = HUBGATE_TRY(load_hook_config(flags.config));
  const auto age = yaml::duration_from(flags.older_than);
  if (!age) return Error{"--older-than takes a time like 12h or 30d"};
  const Inventory found = HUBGATE_TRY(look_around(flags, config.lfs));
  const bool acts = flags.remove || flags.quarantine;
  const auto how = flags.remove ? LfsConfig::Orphans::remove : LfsConfig::Orphans::quarantine;
  std::size_t count = 0;
  std::size_t done = 0;
  std::size_t young = 0;
  std::size_t failures = 0;
  std::uint64_t bytes = 0;
  for (const auto& [path, object]: found.objects) {
    if (found.wanted.contains(object.oid)) continue;
    ++count;
    bytes += object.size;
    // An object comes before the push that names it: what is young may be on its way.
    const std::int64_t seconds = now() - object.changed;
    const bool old = seconds >= age->count() / 1000;
    std::string outcome = "listed";
    if (!old) ++young;
    if (acts && old) {
      const Fd held(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      const auto gone = held ? take_away(path, held, how, object.root, object.oid)
                             : Result<void>(Error{std::strerror(errno)});
      outcome = !gone ? "failed" : flags.remove ? "removed" : "quarantined";
      if (gone)
        ++done;
      else {
        ++failures;
        complain(printable(path, 300) + ": " + gone.error().message, exit_error);
      }
    } else if (acts) {
      outcome = "too young";
    }
    if (flags.json)
      std::cout << json::serialize(json::object{{"oid", object.oid},
                                                {"path", printable(path, 4096)},
                                                {"size", object.size},
                                                {"changed", to_iso(object.changed)},
                                                {"outcome", outcome}})
                << "\n";
    else
      std::cout << object.oid << "  " << human_size(object.size) << "  " << to_iso(object.changed)
                << "  " << printable(path, 4096) << (acts ? "  " + outcome : "") << "\n";
  }
  std::cout.flush();
  std::cerr << "hubgate: " << found.objects.size() << " LFS objects, " << count << " of them ("
            << human_size(bytes) << ") no commit refers to, " << young << " of these younger than "
            << flags.older_than;
  if (acts)
    std::cerr << "; " << done
              << (flags.remove ? " removed" : " moved to " + std::string(k_lfs_aside));
  else if (count != 0)
    std::cerr << "; nothing was changed (--remove, --quarantine)";
  std::cerr << "\n";
  return failures != 0 ? exit_error : exit_ok;
}

/// One object that is owed, looked for and judged.
class Settler {
public:
  Settler(InProcess& gate, const HookConfig& config) : gate_(gate), config_(config) {}
  /// Returns "absent", "allowed", "blocked" or "gone".
  Result<std::string> run(const PendingLfs& one);

private:
  InProcess& gate_;
  const HookConfig& config_;
};

Result<std::string> Settler::run(const PendingLfs& one) {
  LocalAuthority authority = gate_.authority(one.repo);
  const auto settle = [&](std::string outcome, const std::string& id) -> Result<std::string> {
    if (auto told = settle_pending(gate_.keeper(), one, outcome, id); !told) return told.error();
    return outcome;
  };
  if (!install::is_repository(one.git_dir)) return settle("gone", "");
  HookEnvironment environment;
  environment.git_dir = one.git_dir;
  environment.repo = one.repo;
  environment.user = one.user;
  environment.server = "pending";
  LfsStore store(config_, environment, gate_.scratch().string());
  Judge::Options options;
  options.scratch = gate_.scratch().string();
  Judge judge(authority, options);
  const std::optional<std::uint64_t> size = one.size == 0 ? std::nullopt : std::optional(one.size);
  if (auto asked = store.want({{one.oid, size}}, judge, authority); !asked) return asked.error();
  if (auto waited = judge.wait(); !waited) return waited.error();
  if (store.find(one.oid) == nullptr) return std::string("absent");

  // As the push would have been judged with the object there.
  const std::vector<git::RefUpdate> updates{{{}, {}, one.ref}};
  Judged pointer;
  pointer.pointer.emplace();
  pointer.pointer->oid = one.oid;
  pointer.pointer->size = size;
  const Place place{0, git::Oid::from_hex(one.commit).value_or(git::Oid{})};
  auto cases = CaseMaker(context_of(environment), updates, store.objects())
                   .of_blob(BlobEntry{}, BlobUse{one.path, false, place}, pointer);
  std::vector<Gatekeeper::Case> asked;
  for (const auto& each: cases)
    if (each.item.context.road == Road::lfs || !each.report->findings.empty())
      asked.push_back({each.report.get(), each.item.context});
  const auto decisions = HUBGATE_TRY(authority.decide(asked));
  std::vector<Item> items;
  std::string id;
  bool blocked = false;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (id.empty()) id = decisions[i].id;
    if (decisions[i].passes()) continue;
    if (!blocked) id = decisions[i].id;
    blocked = true;
    std::cerr << refusal_line(decisions[i], asked[i].context) << "\n";
  }
  if (!blocked) return settle("allowed", id);
  return settle("blocked", id);
}

Result<int> pending(const Flags& flags) {
  // Workers first of all, while there is one thread and nothing is open.
  std::unique_ptr<WorkerPool> pool;
  if (flags.scan) pool = HUBGATE_TRY(WorkerPool::start(all_formats()));
  const HookConfig config = HUBGATE_TRY(load_hook_config(flags.config));
  fs::path data = !flags.data.empty() ? flags.data : config.data;
  if (data.empty()) data = default_data_dir();
  std::error_code ignored;
  std::vector<PendingLfs> owed;
  std::unique_ptr<InProcess> gate;
  if (flags.scan) {
    gate = HUBGATE_TRY(InProcess::open(*pool, config, flags.data, flags.policy));
    owed = HUBGATE_TRY(pending_objects(gate->keeper().store()));
  } else if (fs::exists(data / "hubgate.db", ignored)) {
    const auto store = HUBGATE_TRY(open_for_reading(data));
    owed = HUBGATE_TRY(pending_objects(*store));
  }
  std::map<std::string, std::size_t> counts;
  std::size_t failures = 0;
  for (const auto& one: owed) {
    std::string outcome = "pending";
    if (gate) {
      auto settled = Settler(*gate, config).run(one);
      if (!settled) {
        ++failures;
        complain(printable(one.repo, 200) + ": " + settled.error().message, exit_error);
      }
      outcome = settled ? *settled : "failed";
    }
    ++counts[outcome];
    if (flags.json)
      std::cout << json::serialize(json::object{{"repo", one.repo},
                                                {"oid", one.oid},
                                                {"size", one.size},
                                                {"path", one.path},
                                                {"ref", one.ref},
                                                {"commit", one.commit},
                                                {"user", one.user},
                                                {"since", one.since},
                                                {"outcome", outcome}})
                << "\n";
    else
      std::cout << outcome << "  " << one.repo << "  " << one.oid << "  " << one.ref << "  "
                << one.path << "  since " << one.since << "\n";
  }
  std::cout.flush();
  std::cerr << "hubgate: " << owed.size() << " pending LFS objects";
  for (const auto& [outcome, count]: counts)
    if (outcome != "pending") std::cerr << ", " << count << " " << outcome;
  std::cerr << "\n";
  return counts["blocked"] != 0 ? exit_found : failures != 0 ? exit_error : exit_ok;
}

template <typename Work>
void on(CLI::App& verb, int& exit_code, const std::shared_ptr<Flags>& flags, Work work) {
  verb.add_option("--data", flags->data, "where records and waivers are kept")->type_name("DIR");
  verb.add_option("--config", flags->config, "hubgate.yaml")->type_name("FILE");
  verb.add_flag("--json", flags->json, "a JSON object a line");
  verb.callback([flags, &exit_code, work] {
    std::signal(SIGPIPE, SIG_IGN);
    const auto code = work(*flags);
    exit_code = code ? *code : complain(code.error().message, exit_error);
  });
}

} // namespace

void add_lfs_verbs(CLI::App& hook, int& exit_code) {
  {
    const auto flags = std::make_shared<Flags>();
    CLI::App& verb = *hook.add_subcommand(
        "orphans", "list LFS objects that no commit refers to, and take them away");
    verb.add_option("PATH", flags->path, "a repository, or the folder with all that share a store")
        ->required();
    CLI::Option* remove = verb.add_flag("--remove", flags->remove, "remove them");
    verb.add_flag("--quarantine", flags->quarantine,
                  "move them to hubgate-quarantine in their store")
        ->excludes(remove);
    verb.add_option("--older-than", flags->older_than,
                    "leave younger ones alone: their push may be on its way")
        ->type_name("TIME")
        ->capture_default_str();
    on(verb, exit_code, flags, orphans);
  }
  const auto flags = std::make_shared<Flags>();
  CLI::App& verb = *hook.add_subcommand(
      "pending", "list LFS objects that were let in before they were there (lfs.absent: pending)");
  verb.add_flag("--scan", flags->scan, "look for them, and judge those that have come");
  verb.add_option("--policy", flags->policy, "a policy file, or guarded, strict or audit")
      ->type_name("FILE|PRESET");
  on(verb, exit_code, flags, pending);
}

} // namespace hubgate

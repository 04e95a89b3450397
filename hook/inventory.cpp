#include "hook/inventory.hpp"

#include "hook/daemon/client.hpp"
#include "hook/in_process.hpp"
#include "hook/install/layout.hpp"
#include "hook/pre_receive.hpp"
#include "hook/program.hpp"
#include "policy/commands/scan_output.hpp"
#include "scanner/core/evidence.hpp"

#include <pwd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace hubgate {
namespace fs = std::filesystem;
namespace {

struct Flags {
  std::string path;
  std::string data;
  std::string policy;
  std::string config;
  std::string daemon;
  std::string format = "text";
  std::string output;
};

using install::is_repository;

std::string name_of(const fs::path& repository, const fs::path& root) {
  fs::path path = repository.filename() == ".git" ? repository.parent_path() : repository;
  std::string name =
      path == root ? path.filename().string() : path.lexically_relative(root).string();
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  return name;
}

std::string login() {
  const passwd* entry = getpwuid(getuid());
  return entry == nullptr ? std::to_string(getuid()) : std::string(entry->pw_name);
}

// Lines of a push that makes all these refs: "<id> <ref>" behind the id of nothing.
std::string creations(std::string_view refs) {
  std::string out;
  while (!refs.empty()) {
    const std::size_t end = std::min(refs.find('\n'), refs.size() - 1) + 1;
    const std::string_view line = refs.substr(0, end);
    out.append(std::min(line.find(' '), line.size()), '0');
    out += ' ';
    out += line;
    refs.remove_prefix(end);
  }
  return out;
}

/// Whom to ask: the daemon, or this process.
struct Gate {
  WorkerPool& pool;                     ///< whose processes read the objects
  const HookConfig& config;             ///< where a daemon is, if `here` is null
  std::unique_ptr<InProcess> here = {}; ///< null: the daemon is asked
};

/// All that the runs over several repositories share.
class Survey {
public:
  Survey(Gate& gate, ScanOutput& output) : gate_(gate), output_(output) {}

  /// An error is told and counted, and the next repository has its turn.
  void run(const fs::path& repository, const std::string& name);

  std::size_t repositories = 0;
  std::size_t refused = 0; ///< of them, that hold something that would be refused
  std::size_t failed = 0;
  std::size_t objects = 0; ///< that would be refused

private:
  Result<PushVerdict> judge(const fs::path& repository, const std::string& name);
  void tell(const PushCase& one, const std::string& name);

  Gate& gate_;
  ScanOutput& output_;
  Terminal terminal_{Terminal::Colour::off};
};

void Survey::tell(const PushCase& one, const std::string& name) {
  const Item& item = one.item;
  if (item.decision.action == Action::allow && item.decision.would_be == Action::allow) return;
  ScanResult result;
  result.tree = item.whole_tree;
  // As Git names a file of a commit.
  result.path = name + "@" + item.place.commit.brief() + ":" + item.context.path;
  result.size = item.context.size;
  if (item.context.sha256) result.sha256 = hex(*item.context.sha256);
  result.report = *one.report;
  result.verdict = verdict_of(*one.report, item.context.path);
  result.decision = item.decision;
  if (!item.decision.passes()) ++objects;
  output_.file(result);
}

Result<PushVerdict> Survey::judge(const fs::path& repository, const std::string& name) {
  // Git's own commands, which stream big blobs, find the repository by this.
  setenv("GIT_DIR", repository.c_str(), 1);
  HookEnvironment environment;
  environment.git_dir = repository;
  environment.incoming = repository / "objects";
  environment.repo = name;
  environment.user = login();
  environment.server = "inventory";
  const auto refs = HUBGATE_TRY(
      run_and_read({.words = {"git", "for-each-ref", "--format=%(objectname) %(refname)"}},
                   git::k_ref_lines_max));
  if (refs.status != 0) return Error{"git for-each-ref failed"};
  if (refs.output.empty()) return PushVerdict::pass;
  const Inventory inventory{[&](const PushCase& one) { tell(one, name); }};
  const std::string lines = creations(refs.output);
  const auto ask = [&](const fs::path& scratch, Authority& authority) {
    return pre_receive(
        {environment, gate_.config, scratch, gate_.pool, authority, terminal_, &inventory}, lines);
  };
  if (gate_.here) {
    LocalAuthority authority = gate_.here->authority(environment.repo);
    return ask(gate_.here->scratch(), authority);
  }
  const auto client = daemon::Client::connect(
      {.socket = gate_.config.daemon,
       .repo = environment.repo,
       .git_dir = environment.git_dir,
       // Nobody waits for it but the daemon's own limits.
       .deadline = daemon::Client::Clock::now() + std::chrono::hours(24 * 30)});
  if (!client) return Error{"the gate's daemon does not answer: " + client.error().message};
  return ask(fs::temp_directory_path(), **client);
}

void Survey::run(const fs::path& repository, const std::string& name) {
  ++repositories;
  if (isatty(STDERR_FILENO) == 1) terminal_.say("hubgate: " + printable(name, 200) + "\n");
  const auto verdict = judge(repository, name);
  if (!verdict) {
    ++failed;
    complain(printable(repository.string(), 300) + ": " + verdict.error().message, exit_error);
  } else if (*verdict == PushVerdict::refused) {
    ++refused;
  }
}

Result<int> survey(const Flags& flags, bool whole_server) {
  // Whoever calls us out of a hook or an alias: their objects are not what we look at.
  for (const char* variable: {"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                              "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_NAMESPACE"})
    unsetenv(variable);
  HookConfig config = HUBGATE_TRY(load_hook_config(flags.config));
  if (!flags.daemon.empty()) config.daemon = flags.daemon;
  const bool here = config.daemon.empty() || !flags.data.empty();
  if (!here && !flags.policy.empty())
    return Error{"the daemon at " + printable(config.daemon, 300) +
                 " has a policy of its own: leave --policy out, or scan without it (--data)"};
  // Behind a daemon only the objects are read here.
  const auto pool = HUBGATE_TRY(WorkerPool::start(here ? all_formats() : FormatTable{}));
  std::error_code error;
  const fs::path root = fs::canonical(flags.path, error);
  if (error) return Error{printable(flags.path, 300) + ": " + error.message()};
  std::vector<fs::path> repositories;
  if (whole_server)
    repositories = repositories_below(root);
  else if (is_repository(root))
    repositories.push_back(root);
  else if (is_repository(root / ".git"))
    repositories.push_back(root / ".git");
  if (repositories.empty())
    return Error{printable(flags.path, 300) +
                 (whole_server ? " holds no Git repository" : " is no Git repository")};

  Gate gate{*pool, config};
  if (here) gate.here = HUBGATE_TRY(InProcess::open(*pool, config, flags.data, flags.policy));

  std::ofstream file;
  if (!flags.output.empty()) {
    file.open(flags.output, std::ios::binary);
    if (!file) return Error{"can't write " + printable(flags.output, 300)};
  }
  std::ostream& out = flags.output.empty() ? std::cout : file;
  const ScanFormat format = flags.format == "jsonl"   ? ScanFormat::jsonl
                            : flags.format == "sarif" ? ScanFormat::sarif
                                                      : ScanFormat::text;
  const auto output = make_scan_output(
      format, out, here ? gate.here->keeper().store().rules() : rules_digest(all_formats()), false);
  output->begin();
  Survey survey(gate, *output);
  for (const fs::path& repository: repositories)
    survey.run(repository, name_of(repository, root));
  output->end();
  out.flush();
  std::cerr << "hubgate: " << survey.repositories << " repositories: " << survey.refused
            << " with objects that would be refused today (" << survey.objects << "), "
            << survey.failed << " that could not be read\n";
  if (!out) return Error{"the report could not be written"};
  return survey.refused != 0 ? exit_found : survey.failed != 0 ? exit_error : exit_ok;
}

void add_verb(CLI::App& hook, int& exit_code, bool whole_server) {
  const auto flags = std::make_shared<Flags>();
  CLI::App& verb =
      whole_server
          ? *hook.add_subcommand("scan-server", "judge everything in all repositories of a folder "
                                                "as if it were pushed now")
          : *hook.add_subcommand("scan-repo",
                                 "judge everything in a repository as if it were pushed now");
  verb.add_option("PATH", flags->path,
                  whole_server ? "the folder with the repositories" : "a repository")
      ->required();
  verb.add_option("--format", flags->format, "text, jsonl or sarif")
      ->check(CLI::IsMember({"text", "jsonl", "sarif"}));
  verb.add_option("--output", flags->output, "write the report there")->type_name("FILE");
  verb.add_option("--data", flags->data, "where records and waivers are kept")->type_name("DIR");
  verb.add_option("--policy", flags->policy, "a policy file, or guarded, strict or audit")
      ->type_name("FILE|PRESET");
  verb.add_option("--config", flags->config, "hubgate.yaml")->type_name("FILE");
  verb.add_option("--daemon", flags->daemon,
                  "socket of `hubgate serve`, which then scans, decides and keeps the records; "
                  "--data goes without it")
      ->type_name("SOCKET");
  verb.callback([flags, &exit_code, whole_server] {
    std::signal(SIGPIPE, SIG_IGN);
    const auto code = survey(*flags, whole_server);
    exit_code = code ? *code : complain(code.error().message, exit_error);
  });
}

} // namespace

std::vector<fs::path> repositories_below(const fs::path& root) {
  std::vector<fs::path> out;
  std::error_code error;
  auto at =
      fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code ignored;
    if (!at->is_directory(ignored) || !is_repository(at->path())) continue;
    at.disable_recursion_pending();
    out.push_back(at->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void add_inventory_verbs(CLI::App& hook, int& exit_code) {
  add_verb(hook, exit_code, false);
  add_verb(hook, exit_code, true);
}

} // namespace hubgate

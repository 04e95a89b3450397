#include "hook/install/verbs.hpp"

#include "hook/install/layout.hpp"
#include "hook/install/selftest.hpp"
#include "policy/policy.hpp"
#include "scanner/core/evidence.hpp"

#include <pwd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

namespace hubgate::install {
namespace fs = std::filesystem;
namespace {

struct Flags {
  std::string server;
  bool global = false;
  bool dry_run = false;
  std::string repo;
  std::string home;
  std::string hooks;
  std::string data;
  std::string policy;
  std::string config;
  std::string daemon;
  std::string program;
  bool lookup_only = false;
  std::string root;
  std::string url;
};

fs::path own_home() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return home;
  const passwd* entry = getpwuid(getuid());
  return entry == nullptr ? fs::path("/") : fs::path(entry->pw_dir);
}

Result<fs::path> own_program() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) return Error{"can't tell where this program is: " + error.message()};
  return path;
}

Result<Server> server_named(const std::string& name) {
  std::string known;
  for (const ServerInfo& entry: servers()) {
    if (entry.name == name) return entry.server;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return Error{"--server takes one of " + known};
}

Result<Request> request_from(const Flags& flags) {
  Request out;
  out.server = HUBGATE_TRY(server_named(flags.server));
  out.repo = flags.repo;
  out.home = flags.home.empty() ? own_home() : fs::absolute(flags.home);
  if (!flags.hooks.empty()) out.hooks = fs::absolute(flags.hooks);
  const std::string program =
      flags.program.empty() ? HUBGATE_TRY(own_program()).string() : flags.program;
  if (!fs::path(program).is_absolute()) return Error{"--program takes an absolute path"};
  out.command = shell_quoted(program) + " hook pre-receive --server " + flags.server;
  for (const auto& [flag, value]:
       {std::pair{"--data", flags.data}, std::pair{"--config", flags.config},
        std::pair{"--daemon", flags.daemon}})
    if (!value.empty())
      out.command += std::string(" ") + flag + " " + shell_quoted(fs::absolute(value).string());
  if (!flags.policy.empty()) {
    // A preset's name, or a file.
    std::error_code ignored;
    out.command += " --policy " + shell_quoted(fs::exists(flags.policy, ignored)
                                                   ? fs::absolute(flags.policy).string()
                                                   : flags.policy);
  }
  if (flags.lookup_only) out.command += " --lookup-only";
  if (const double patience = info(out.server).patience; patience > 0)
    out.command += " --deadline " + std::to_string(static_cast<int>(patience)) + "s";
  return out;
}

// A hook that can't read its settings refuses every push: better that nobody installs it. With
// --program the files are those of another machine.
Result<void> check_settings(const Flags& flags) {
  if (!flags.program.empty()) return {};
  const auto config = load_hook_config(flags.config);
  if (!config) return config.error();
  const auto policy = Policy::named(!flags.policy.empty() ? flags.policy : config->policy);
  if (!policy) return policy.error();
  return {};
}

enum class Direction { in, out };

int carry_out(const Flags& flags, Direction direction) {
  std::signal(SIGPIPE, SIG_IGN);
  if (flags.global != flags.repo.empty())
    return complain("say either --global or --repo PATH", exit_usage);
  const auto request = request_from(flags);
  if (!request) return complain(request.error().message, exit_usage);
  if (direction == Direction::in)
    if (const auto usable = check_settings(flags); !usable)
      return complain(usable.error().message, exit_usage);
  const auto plan = direction == Direction::in ? plan_install(*request) : plan_uninstall(*request);
  if (!plan) return complain(plan.error().message, exit_error);
  bool changed = false;
  for (const Change& change: *plan) {
    std::cout << (flags.dry_run && change.kind != Change::Kind::note ? "would " : "")
              << describe(change) << "\n";
    changed = changed || change.kind != Change::Kind::note;
    if (flags.dry_run) continue;
    if (const auto done = apply(change); !done) return complain(done.error().message, exit_error);
  }
  if (!changed)
    std::cout << (direction == Direction::in ? "nothing to do: it is installed\n"
                                             : "nothing to do: it is not installed\n");
  else if (direction == Direction::in && !flags.dry_run)
    std::cout << "now: hubgate hook self-test --server " << flags.server << " ...\n";
  return exit_ok;
}

int test(const Flags& flags) {
  std::signal(SIGPIPE, SIG_IGN);
  if (flags.url.empty() == flags.root.empty())
    return complain("say either --root DIR, the folder with the repositories, or --url URL of a "
                    "repository of the running server",
                    exit_usage);
  auto request = request_from(flags);
  if (!request) return complain(request.error().message, exit_usage);
  const Server server = request->server;
  if (flags.url.empty() &&
      (server == Server::gitlab || server == Server::ghes || server == Server::bitbucket))
    return complain(flags.server + " runs hooks by itself only: the test takes --url URL",
                    exit_usage);
  auto config = load_hook_config(flags.config);
  if (!config) return complain(config.error().message, exit_usage);
  if (!flags.daemon.empty()) config->daemon = fs::absolute(flags.daemon);
  SelfTest what{.request = std::move(*request),
                .root = flags.root.empty() ? fs::path() : fs::absolute(flags.root),
                .url = flags.url,
                .config = std::move(*config)};
  const auto good = self_test(what, [](const Line& line) {
    static constexpr std::string_view k_words[] = {"ok    ", "FAIL  ", "?     ", "open  "};
    std::cout << k_words[static_cast<std::size_t>(line.mark)] << line.text << std::endl;
  });
  if (!good) return complain(good.error().message, exit_error);
  std::cout << (*good ? "the gate holds; what is marked open passes no hook of this server\n"
                      : "the gate does NOT hold\n");
  return *good ? exit_ok : exit_found;
}

void add_common(CLI::App& verb, Flags& flags) {
  std::string names;
  for (const ServerInfo& entry: servers())
    names += (names.empty() ? "" : "|") + std::string(entry.name);
  verb.add_option("--server", flags.server, "what runs the repositories")
      ->type_name(names)
      ->required();
  verb.add_option("--home", flags.home,
                  "home of the account that runs the server's Git (default: ours)")
      ->type_name("DIR");
  verb.add_option("--hooks", flags.hooks,
                  "folder for the hook of all repositories, where it is not the usual one")
      ->type_name("DIR");
  verb.add_option("--data", flags.data, "for the hook: where records and waivers are kept")
      ->type_name("DIR");
  verb.add_option("--policy", flags.policy,
                  "for the hook: a policy file, or guarded, strict, audit")
      ->type_name("FILE|PRESET");
  verb.add_option("--config", flags.config, "for the hook: hubgate.yaml")->type_name("FILE");
  verb.add_option("--daemon", flags.daemon, "for the hook: socket of `hubgate serve`")
      ->type_name("SOCKET");
  verb.add_option("--program", flags.program,
                  "for the hook: where hubgate is on the server, if not where it is here")
      ->type_name("FILE");
  verb.add_flag("--lookup-only", flags.lookup_only,
                "for the hook: refuse what has no verdict yet instead of scanning it");
}

void add_installer(CLI::App& hook, int& exit_code, Direction direction) {
  const auto flags = std::make_shared<Flags>();
  CLI::App& verb =
      direction == Direction::in
          ? *hook.add_subcommand("install", "put the hook where a Git server runs it; hooks that "
                                            "are there run on, behind it")
          : *hook.add_subcommand("uninstall", "take it out again and put back what was there");
  add_common(verb, *flags);
  verb.add_flag("--global", flags->global, "for all repositories of the server, new ones too");
  verb.add_option("--repo", flags->repo, "for one repository")->type_name("PATH");
  verb.add_flag("--dry-run", flags->dry_run, "say what would be done, and do nothing");
  verb.callback([flags, &exit_code, direction] { exit_code = carry_out(*flags, direction); });
}

} // namespace

void add_verbs(CLI::App& hook, int& exit_code) {
  add_installer(hook, exit_code, Direction::in);
  add_installer(hook, exit_code, Direction::out);
  const auto flags = std::make_shared<Flags>();
  CLI::App& verb = *hook.add_subcommand(
      "self-test", "push clean and poisoned (inert) files and say what the server did");
  add_common(verb, *flags);
  verb.add_option("--root", flags->root,
                  "the folder with the repositories: a scratch one is made there and removed, and "
                  "the others are looked at for the hook")
      ->type_name("DIR");
  verb.add_option("--url", flags->url,
                  "push to this repository of the running server, to branches of its own that are "
                  "removed again")
      ->type_name("URL");
  verb.callback([flags, &exit_code] { exit_code = test(*flags); });
}

} // namespace hubgate::install

// `hubgate hook pre-receive`: what stands in hooks/pre-receive of a repository.
#include "hook/daemon/client.hpp"
#include "hook/gitolite.hpp"
#include "hook/in_process.hpp"
#include "hook/install/verbs.hpp"
#include "hook/inventory.hpp"
#include "hook/lfs/verbs.hpp"
#include "hook/pre_receive.hpp"
#include "hook/program.hpp"
#include "policy/commands/verb.hpp"
#include "scanner/core/evidence.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

namespace hubgate {
namespace {

constexpr std::string_view k_no_work = "PUSH REFUSED: the gate could not do its work: ";

struct Flags {
  std::string data;
  std::string policy;
  std::string config;
  std::string daemon;
  bool lookup_only = false;
  bool color = false;
  double deadline = 0; ///< seconds, 0 = that of the configuration
  std::string server;
  std::vector<std::string> then;
};

Result<std::string> read_ref_lines() {
  std::string out;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t n = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{std::string("can't read the ref updates: ") + std::strerror(errno)};
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
    if (out.size() > git::k_ref_lines_max) return Error{"more than 64 MiB of ref updates"};
  }
}

// Hooks that were here first: they judge what we let pass, by the same lines.
Result<PushVerdict> run_others(const std::vector<std::string>& hooks, std::string_view lines) {
  for (const std::string& hook: hooks) {
    const int status = HUBGATE_TRY(run_program(
        {.words = {hook}, .input = lines, .errors = Program::Errors::ours}, [](Bytes bytes) {
          std::fwrite(bytes.data(), 1, bytes.size(), stdout);
          std::fflush(stdout);
          return Result<void>();
        }));
    if (status != 0) return PushVerdict::refused;
  }
  return PushVerdict::pass;
}

// Whether this account could keep records of its own.
bool may_write(const Flags& flags, const HookConfig& config) {
  std::filesystem::path data = !flags.data.empty() ? flags.data : config.data;
  if (data.empty()) data = default_data_dir();
  data = std::filesystem::absolute(data);
  std::error_code ignored;
  while (!std::filesystem::exists(data, ignored) && data.has_relative_path())
    data = data.parent_path();
  return access(data.c_str(), W_OK | X_OK) == 0;
}

struct Push {
  const Flags& flags;
  const HookConfig& config;
  const HookEnvironment& environment;
  std::string_view lines;
  Terminal& terminal;
};

// A page of a mapped file that its disk does not give: the records' own index, those of packs. Git
// would refuse the push without a word.
void tell_of_lost_pages() {
  struct sigaction action{};
  action.sa_handler = [](int) {
    constexpr std::string_view k_words = "hubgate: PUSH REFUSED: the gate could not do its work: a "
                                         "file that it reads is gone or its "
                                         "disk fails (SIGBUS)\n";
    (void)!write(STDERR_FILENO, k_words.data(), k_words.size());
    _exit(exit_found);
  };
  sigaction(SIGBUS, &action, nullptr);
}

// A server that kills hooks after some time says nothing to the pusher. This process ends itself
// before: whatever it waits for then (a scan, a lock, a disk) is nothing that the push needs.
class Patience {
public:
  explicit Patience(double seconds)
      : ends_(Clock::now() + std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000))) {
    if (seconds > 0) thread_ = std::thread([this] { watch(); });
  }
  ~Patience() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;

  bool over() const { return thread_.joinable() && Clock::now() >= ends_; }
  [[noreturn]] static void refuse(const std::string& reason) {
    std::_Exit(complain(std::string(k_no_work) + reason, exit_found));
  }

private:
  using Clock = std::chrono::steady_clock;
  /// For who finds out by himself that it is late, and can say more.
  static constexpr std::chrono::milliseconds k_grace{400};

  void watch() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_until(lock, ends_ + k_grace, [&] { return done_; }))
      refuse("it took too long (hook.timeout) to find out anything");
  }

  Clock::time_point ends_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

Result<PushVerdict> judge_here(const Push& push) {
  // First of all, while there is one thread and nothing is open.
  const auto pool = HUBGATE_TRY(WorkerPool::start(all_formats()));
  tell_of_lost_pages(); // of this process; a worker's end is its object's
  const Patience patience(push.config.timeout);
  const auto gate =
      HUBGATE_TRY(InProcess::open(*pool, push.config, push.flags.data, push.flags.policy));
  LocalAuthority authority = gate->authority(push.environment.repo);
  auto verdict =
      pre_receive({push.environment, push.config, gate->scratch(), *pool, authority, push.terminal},
                  push.lines);
  if (!verdict && patience.over())
    Patience::refuse(verdict.error().message + ": push again, what was scanned so far is kept");
  return verdict;
}

// With the daemon, if there is one and it answers.
Result<PushVerdict> judge(const Push& push) {
  const HookConfig& config = push.config;
  if (config.daemon.empty()) return judge_here(push);
  // Processes that read Git's objects and scan nothing.
  auto readers = HUBGATE_TRY(WorkerPool::start({}));
  tell_of_lost_pages();
  daemon::Client::Options options{
      .socket = config.daemon, .repo = push.environment.repo, .git_dir = push.environment.git_dir};
  if (config.timeout > 0)
    options.deadline = daemon::Client::Clock::now() +
                       std::chrono::milliseconds(static_cast<std::int64_t>(config.timeout * 1000));
  auto client = daemon::Client::connect(options);
  if (client)
    // What is written aside goes where Git keeps the push: there is room, and it is ours.
    return pre_receive(
        {push.environment, config, push.environment.incoming, *readers, **client, push.terminal},
        push.lines);
  const std::string gone = "the gate's daemon does not answer: " + client.error().message;
  client = Error{gone};
  readers.reset();
  if (config.without_daemon == HookConfig::WithoutDaemon::refuse)
    return Error{gone + " (and hook.without_daemon is refuse)"};
  if (config.without_daemon == HookConfig::WithoutDaemon::scan_if_able &&
      !may_write(push.flags, config))
    return Error{gone + " (and this account has no data directory of its own to do without)"};
  push.terminal.say("hubgate: note: " + gone + "; this push is scanned without it\n");
  return judge_here(push);
}

Result<PushVerdict> run(const Flags& flags) {
  HookConfig config = HUBGATE_TRY(load_hook_config(flags.config));
  if (flags.deadline > 0) config.timeout = flags.deadline;
  if (!flags.daemon.empty()) config.daemon = flags.daemon;
  if (flags.lookup_only) config.mode = HookConfig::Mode::lookup;
  const bool asks_gitolite = config.groups_from == k_groups_of_gitolite;
  HookEnvironment environment = HUBGATE_TRY(
      read_environment(process_environment(), std::filesystem::current_path(),
                       {flags.server, asks_gitolite ? std::string() : config.groups_from}));
  if (asks_gitolite) {
    if (environment.server != k_groups_of_gitolite)
      return Error{"hook.groups_from is gitolite, and gitolite did not run this hook"};
    environment.groups = HUBGATE_TRY(gitolite_groups(environment.user));
  }
  const std::string lines = HUBGATE_TRY(read_ref_lines());

  Terminal terminal(flags.color ? Terminal::Colour::on : Terminal::Colour::off);
  const auto verdict = HUBGATE_TRY(judge({flags, config, environment, lines, terminal}));
  return verdict == PushVerdict::pass ? run_others(flags.then, lines) : verdict;
}

// Git takes any exit code but 0 for a refusal; so does everything that can go wrong here.
int pre_receive_verb(const Flags& flags) {
  // A pusher who hangs up must not look like a verdict.
  std::signal(SIGPIPE, SIG_IGN);
  std::string reason;
  try {
    const auto verdict = run(flags);
    if (verdict) return *verdict == PushVerdict::pass ? exit_ok : exit_found;
    reason = verdict.error().message;
  } catch (const std::exception& error) {
    reason = printable(error.what(), 300);
  }
  return complain(std::string(k_no_work) + reason, exit_found);
}

void set_up(CLI::App& app, int& exit_code) {
  app.require_subcommand(1);
  const auto flags = std::make_shared<Flags>();
  CLI::App& verb = *app.add_subcommand(
      "pre-receive", "judge a push: to be run by Git as hooks/pre-receive of a repository");
  verb.add_option("--data", flags->data, "where records and waivers are kept")->type_name("DIR");
  verb.add_option("--policy", flags->policy, "a policy file, or guarded, strict or audit")
      ->type_name("FILE|PRESET");
  verb.add_option("--config", flags->config, "hubgate.yaml")->type_name("FILE");
  verb.add_option("--daemon", flags->daemon,
                  "socket of `hubgate serve`, which then scans, decides and keeps the records")
      ->type_name("SOCKET");
  verb.add_flag("--lookup-only", flags->lookup_only,
                "refuse what has no verdict yet instead of scanning it");
  verb.add_option(
          "--deadline", flags->deadline,
          "refuse what is not decided by then, instead of hook.timeout of the configuration")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}}))
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  verb.add_option(
          "--then", flags->then,
          "another pre-receive hook, run with the same lines if this one lets the push pass")
      ->type_name("PROGRAM");
  verb.add_option("--server", flags->server,
                  "what runs this repository, as for `hook install`: only what that server says of "
                  "pusher and repository is believed")
      ->type_name("SERVER");
  verb.add_flag("--color", flags->color, "colours in the answer");
  verb.callback([flags, &exit_code] { exit_code = pre_receive_verb(*flags); });
  install::add_verbs(app, exit_code);
  add_inventory_verbs(app, exit_code);
  add_lfs_verbs(app, exit_code);
}

} // namespace

extern const Verb verb_hook;
const Verb verb_hook{"hook", "judge a push inside of a Git server", set_up};

} // namespace hubgate

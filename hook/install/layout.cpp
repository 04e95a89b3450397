#include "hook/install/layout.hpp"

#include "hook/program.hpp"
#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

namespace hubgate::install {
namespace fs = std::filesystem;
namespace {

// The second line of every script of ours; how uninstall knows them.
constexpr std::string_view k_mark = "# hubgate: ";
constexpr std::string_view k_hooks_path = "core.hooksPath";
constexpr std::string_view k_moved = "pre-receive.before-hubgate";

// What else Git looks for in core.hooksPath (githooks(5)). Not push-to-checkout: that the hook is
// there changes what Git does.
constexpr std::array<std::string_view, 23> k_other_hooks{
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "post-index-change",
    "p4-pre-submit",
    "p4-post-changelist",
};

std::string system_message(int error) {
  return std::strerror(error);
}

std::string shown(const fs::path& path) {
  return printable(path.string(), 300);
}

std::string script(std::string_view what, std::string_view body) {
  return "#!/bin/sh\n" + std::string(k_mark) + std::string(what) + "\n" + std::string(body) + "\n";
}

std::string gate_script(const Request& request, const std::string& then) {
  std::string command = "exec " + request.command;
  if (!then.empty()) command += " --then " + shell_quoted(then);
  return script("judges every push; written by `hubgate hook install`", command);
}

// For a folder that core.hooksPath names: the repository's own hooks run as well.
constexpr std::string_view k_own_hook = "own=\"$(git rev-parse --git-common-dir)/hooks/";

std::string global_gate_script(const Request& request) {
  return script("judges every push; written by `hubgate hook install`",
                std::string(k_own_hook) +
                    "pre-receive\"\n"
                    "[ -x \"$own\" ] && set -- --then \"$own\"\n"
                    "exec " +
                    request.command + " \"$@\"");
}

std::string pass_on_script() {
  return script("the repository's own hook, because core.hooksPath names this folder",
                std::string(k_own_hook) + "${0##*/}\"\n"
                                          "[ -x \"$own\" ] || exit 0\n"
                                          "exec \"$own\" \"$@\"");
}

std::optional<std::string> git_config(const fs::path& file, std::string_view key) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  const auto got = run_and_read(
      {.words = {"git", "config", "--file", file.string(), "--get", std::string(key)}});
  if (!got || got->status != 0) return std::nullopt;
  return got->output.substr(0, got->output.find('\n'));
}

fs::path expanded(const std::string& path, const fs::path& home) {
  if (path.starts_with("~/")) return home / path.substr(2);
  return path;
}

// The folder with HEAD and objects, for a path that a person names.
Result<fs::path> git_dir_of(const fs::path& path) {
  std::error_code ignored;
  const fs::path absolute = fs::weakly_canonical(path, ignored);
  if (is_repository(absolute)) return absolute;
  if (is_repository(absolute / ".git")) return absolute / ".git";
  return Error{shown(path) + " is no Git repository (no HEAD and objects in it)"};
}

// Where Git takes this repository's hooks from.
fs::path hooks_folder(const fs::path& repository, const fs::path& home) {
  for (const fs::path& file: {repository / "config", home / ".gitconfig"}) {
    const auto set = git_config(file, k_hooks_path);
    if (!set || set->empty()) continue;
    const fs::path path = expanded(*set, home);
    return path.is_absolute() ? path : repository / path;
  }
  return repository / "hooks";
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found &&
         fs::symlink_status(path, ignored).type() != fs::file_type::none;
}

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void add_write(Plan& plan, const fs::path& path, std::string text) {
  if (is_ours(path) && content_of(path) == text && access(path.c_str(), X_OK) == 0) return;
  plan.push_back({.kind = Change::Kind::write, .path = path, .text = std::move(text)});
}

void add_note(Plan& plan, std::string text) {
  plan.push_back({.kind = Change::Kind::note, .text = std::move(text)});
}

// pre-receive in a folder that may have one already: ours runs first, then the old one.
Result<void> take_over(Plan& plan, const Request& request, const fs::path& folder) {
  const fs::path path = folder / "pre-receive";
  const fs::path moved = folder / k_moved;
  if (is_there(path) && !is_ours(path)) {
    if (is_there(moved))
      return Error{"both " + shown(path) + " and " + shown(moved) +
                   " are there: it takes a person to say which one shall run"};
    plan.push_back({.kind = Change::Kind::move, .path = path, .to = moved});
    add_write(plan, path, gate_script(request, moved));
    return {};
  }
  add_write(plan, path, gate_script(request, is_there(moved) ? moved.string() : ""));
  return {};
}

void give_back(Plan& plan, const fs::path& folder) {
  const fs::path path = folder / "pre-receive";
  if (!is_ours(path)) return;
  plan.push_back({.kind = Change::Kind::remove, .path = path});
  if (is_there(folder / k_moved))
    plan.push_back({.kind = Change::Kind::move, .path = folder / k_moved, .to = path});
}

Result<fs::path> home_of(const Request& request) {
  std::error_code ignored;
  if (!fs::is_directory(request.home, ignored))
    return Error{shown(request.home) + " is no folder: --home is that of the account that runs "
                                       "the server's Git"};
  return fs::weakly_canonical(request.home, ignored);
}

// core.hooksPath of the account: works for every repository, those to come included.
Result<void> plan_global(Plan& plan, const Request& request) {
  const fs::path home = HUBGATE_TRY(home_of(request));
  const fs::path config = home / ".gitconfig";
  const fs::path wanted = request.hooks.empty() ? home / "hubgate-hooks" : request.hooks;
  const auto set = git_config(config, k_hooks_path);
  if (set && !set->empty() &&
      expanded(*set, home).lexically_normal() != wanted.lexically_normal()) {
    // Somebody's folder: stand in it, beside what is there.
    add_note(plan, shown(config) + " names " + printable(*set, 200) +
                       " as core.hooksPath already: hubgate goes in there");
    return take_over(plan, request, expanded(*set, home));
  }
  add_write(plan, wanted / "pre-receive", global_gate_script(request));
  for (const auto name: k_other_hooks)
    add_write(plan, wanted / name, pass_on_script());
  if (!set || set->empty())
    plan.push_back({.kind = Change::Kind::configure,
                    .path = config,
                    .to = wanted,
                    .text = std::string(k_hooks_path)});
  return {};
}

Result<void> plan_global_removal(Plan& plan, const Request& request) {
  const fs::path home = HUBGATE_TRY(home_of(request));
  const auto set = git_config(home / ".gitconfig", k_hooks_path);
  if (!set || set->empty()) return {};
  const fs::path folder = expanded(*set, home);
  bool ours_alone = is_ours(folder / "pre-receive");
  std::error_code ignored;
  for (const auto& entry: fs::directory_iterator(folder, ignored))
    ours_alone = ours_alone && is_ours(entry.path());
  if (!ours_alone) {
    give_back(plan, folder);
    return {};
  }
  plan.push_back({.kind = Change::Kind::forget,
                  .path = home / ".gitconfig",
                  .text = std::string(k_hooks_path)});
  for (const auto& entry: fs::directory_iterator(folder, ignored))
    plan.push_back({.kind = Change::Kind::remove, .path = entry.path()});
  return {};
}

// The folder of small scripts that a server runs beside its own hook.
Result<fs::path> drop_in(const Request& request) {
  switch (request.server) {
  case Server::gitea:
  case Server::forgejo:
  case Server::soft_serve:
    return HUBGATE_TRY(git_dir_of(request.repo)) / "hooks/pre-receive.d/hubgate";
  case Server::gitlab:
    if (!request.repo.empty())
      return HUBGATE_TRY(git_dir_of(request.repo)) / "custom_hooks/pre-receive.d/hubgate";
    return (request.hooks.empty() ? fs::path("/var/opt/gitlab/gitaly/custom_hooks")
                                  : request.hooks) /
           "pre-receive.d/hubgate";
  case Server::gitolite:
    return HUBGATE_TRY(home_of(request)) / "local/hooks/common/pre-receive";
  case Server::ghes:
  case Server::bitbucket:
    if (request.hooks.empty())
      return Error{"this server takes hooks by its web pages or API: --hooks DIR says where to "
                   "write the script that you then upload (see deploy/" +
                   std::string(info(request.server).name) + "/README.md)"};
    return request.hooks / "hubgate-pre-receive.sh";
  case Server::bare:
    break;
  }
  return Error{"no such layout"};
}

bool takes_drop_ins(const Request& request) {
  switch (request.server) {
  case Server::bare:
    return false;
  case Server::gitea:
  case Server::forgejo:
  case Server::soft_serve:
    return !request.repo.empty();
  default:
    return true;
  }
}

Result<void> check_scope(const Request& request) {
  const bool repo = !request.repo.empty();
  if (repo && (request.server == Server::gitolite || request.server == Server::ghes ||
               request.server == Server::bitbucket))
    return Error{std::string(info(request.server).name) +
                 " has no hook of one repository that would last: leave --repo out"};
  return {};
}

} // namespace

std::string shell_quoted(std::string_view word) {
  std::string out = "'";
  for (const char c: word) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

bool is_repository(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / "HEAD", ignored) && fs::is_directory(path / "objects", ignored);
}

bool is_ours(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(fs::symlink_status(path, ignored))) return false;
  std::ifstream in(path, std::ios::binary);
  std::string line;
  return std::getline(in, line) && line == "#!/bin/sh" && std::getline(in, line) &&
         line.starts_with(k_mark);
}

bool has_hook(const fs::path& repository, const fs::path& home) {
  const fs::path hooks = hooks_folder(repository, home);
  const auto runs_gate = [](const fs::path& path) {
    return access(path.c_str(), X_OK) == 0 &&
           content_of(path).find("hook pre-receive") != std::string::npos;
  };
  return runs_gate(hooks / "pre-receive") ||
         (access((hooks / "pre-receive").c_str(), X_OK) == 0 &&
          runs_gate(hooks / "pre-receive.d/hubgate")) ||
         runs_gate(repository / "custom_hooks/pre-receive") ||
         runs_gate(repository / "custom_hooks/pre-receive.d/hubgate");
}

Result<Plan> plan_install(const Request& request) {
  if (auto fits = check_scope(request); !fits) return fits.error();
  Plan plan;
  if (takes_drop_ins(request)) {
    const fs::path path = HUBGATE_TRY(drop_in(request));
    if (is_there(path) && !is_ours(path)) {
      if (request.server != Server::gitolite)
        return Error{shown(path) + " is there and is not ours"};
      if (auto taken = take_over(plan, request, path.parent_path()); !taken) return taken.error();
    } else {
      const fs::path moved = path.parent_path() / k_moved;
      const bool chained = request.server == Server::gitolite && is_there(moved);
      add_write(plan, path, gate_script(request, chained ? moved.string() : ""));
    }
  } else if (!request.repo.empty()) {
    const fs::path repository = HUBGATE_TRY(git_dir_of(request.repo));
    const fs::path folder = hooks_folder(repository, request.home);
    if (is_ours(folder / "pre-receive") &&
        content_of(folder / "pre-receive").find(k_own_hook) != std::string::npos)
      return Error{shown(folder) + " is the hook of all repositories (core.hooksPath), of this one "
                                   "too: change it with --global"};
    if (folder != repository / "hooks")
      add_note(plan,
               "core.hooksPath names " + shown(folder) + ": other repositories may use it too");
    if (auto taken = take_over(plan, request, folder); !taken) return taken.error();
  } else if (auto planned = plan_global(plan, request); !planned) {
    return planned.error();
  }
  if (request.server == Server::gitolite)
    add_note(plan, "in .gitolite.rc LOCAL_CODE must be \"$ENV{HOME}/local\"; then, as that "
                   "account: gitolite setup --hooks-only");
  if (request.server == Server::gitlab)
    add_note(plan, "do the same on every Gitaly node; custom hooks are not copied");
  return plan;
}

Result<Plan> plan_uninstall(const Request& request) {
  if (auto fits = check_scope(request); !fits) return fits.error();
  Plan plan;
  if (takes_drop_ins(request)) {
    const fs::path path = HUBGATE_TRY(drop_in(request));
    if (request.server == Server::gitolite)
      give_back(plan, path.parent_path());
    else if (is_ours(path))
      plan.push_back({.kind = Change::Kind::remove, .path = path});
  } else if (!request.repo.empty()) {
    const fs::path repository = HUBGATE_TRY(git_dir_of(request.repo));
    give_back(plan, hooks_folder(repository, request.home));
  } else if (auto planned = plan_global_removal(plan, request); !planned) {
    return planned.error();
  }
  if (request.server == Server::gitolite && !plan.empty())
    add_note(plan, "then, as that account: gitolite setup --hooks-only");
  return plan;
}

std::string describe(const Change& change) {
  switch (change.kind) {
  case Change::Kind::write:
    return "write " + shown(change.path);
  case Change::Kind::move:
    return "move " + shown(change.path) + " to " + shown(change.to);
  case Change::Kind::remove:
    return "remove " + shown(change.path);
  case Change::Kind::configure:
    return "set " + change.text + " to " + shown(change.to) + " in " + shown(change.path);
  case Change::Kind::forget:
    return "unset " + change.text + " in " + shown(change.path);
  case Change::Kind::note:
    break;
  }
  return "note: " + change.text;
}

namespace {

// As root in somebody's folder: what we make is theirs.
void give_to_owner(const fs::path& path) {
  struct stat folder{};
  if (geteuid() != 0 || stat(path.parent_path().c_str(), &folder) != 0) return;
  if (lchown(path.c_str(), folder.st_uid, folder.st_gid) != 0) return;
}

Result<void> make_folders(const fs::path& folder) {
  if (folder.empty() || fs::exists(folder)) return {};
  if (auto made = make_folders(folder.parent_path()); !made) return made;
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
    return Error{"can't make " + shown(folder) + ": " + system_message(errno)};
  give_to_owner(folder);
  return {};
}

// Complete under its name, or not there at all: Git may run it at any moment.
Result<void> write_script(const fs::path& path, const std::string& text) {
  if (auto made = make_folders(path.parent_path()); !made) return made;
  const fs::path fresh = path.string() + ".hubgate-new";
  std::error_code ignored;
  fs::remove(fresh, ignored);
  {
    std::ofstream out(fresh, std::ios::binary);
    if (!(out << text) || !out.flush())
      return Error{"can't write " + shown(fresh) + ": " + system_message(errno)};
  }
  if (chmod(fresh.c_str(), 0755) != 0 || rename(fresh.c_str(), path.c_str()) != 0) {
    const int error = errno;
    fs::remove(fresh, ignored);
    return Error{"can't write " + shown(path) + ": " + system_message(error)};
  }
  give_to_owner(path);
  return {};
}

Result<void> configure(const fs::path& file, std::vector<std::string> words) {
  words.insert(words.begin(), {"git", "config", "--file", file.string()});
  const auto done = run_and_read({.words = words, .errors = Program::Errors::with_output});
  if (!done) return done.error();
  if (done->status != 0)
    return Error{"can't change " + shown(file) + ": " + printable(done->output, 200)};
  give_to_owner(file);
  return {};
}

} // namespace

Result<void> apply(const Change& change) {
  switch (change.kind) {
  case Change::Kind::write:
    return write_script(change.path, change.text);
  case Change::Kind::move:
    if (rename(change.path.c_str(), change.to.c_str()) != 0)
      return Error{"can't " + describe(change) + ": " + system_message(errno)};
    return {};
  case Change::Kind::remove: {
    if (unlink(change.path.c_str()) != 0)
      return Error{"can't " + describe(change) + ": " + system_message(errno)};
    std::error_code not_empty;
    if (change.path.parent_path().filename() == "hubgate-hooks")
      fs::remove(change.path.parent_path(), not_empty);
    return {};
  }
  case Change::Kind::configure:
    return configure(change.path, {change.text, change.to.string()});
  case Change::Kind::forget:
    return configure(change.path, {"--unset", change.text});
  case Change::Kind::note:
    break;
  }
  return {};
}

} // namespace hubgate::install

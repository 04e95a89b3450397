#pragma once
// Where each Git server looks for hooks, and what putting hubgate there takes. A plan is a list of
// changes that can be shown before it is carried out; installing twice changes nothing, and
// uninstalling leaves what was there before. Facts about the servers: hook/install/README.md.
#include "scanner/core/result.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::install {

enum class Server { bare, gitea, forgejo, soft_serve, gitlab, gitolite, ghes, bitbucket };

struct ServerInfo {
  Server server;
  std::string_view name; ///< what `--server` takes
  /// Ways in that no pre-receive hook of this server sees, one a line; for the self-test.
  std::span<const std::string_view> side_doors;
  /// Seconds that the hook has at most, 0 = no limit known. The hook stops earlier and refuses.
  double patience = 0;
};
std::span<const ServerInfo> servers();
const ServerInfo& info(Server server);

struct Request {
  Server server = Server::bare;
  std::filesystem::path repo;  ///< one repository; "" = all of the server
  std::filesystem::path home;  ///< of the account that runs the server's Git: its .gitconfig
  std::filesystem::path hooks; ///< the folder for a hook of all repositories; "" = as usual there
  /// What the script runs, quoted for sh: "'/usr/bin/hubgate' hook pre-receive --data …".
  std::string command;
};

/// One change. Paths are absolute.
struct Change {
  enum class Kind {
    write,     ///< a script at `path`, executable, with `text`
    move,      ///< `path` to `to`
    remove,    ///< our own script at `path`
    configure, ///< key `text` of the Git configuration `path` is `to`
    forget,    ///< key `text` of the Git configuration `path` goes
    note,      ///< nothing: `text` is what a person has to do or know
  } kind = Kind::note;
  std::filesystem::path path = {};
  std::filesystem::path to = {};
  std::string text = {};
};
using Plan = std::vector<Change>;

/// What there is to do; looks at the file system and changes nothing. An error says what is missing
/// or in the way.
Result<Plan> plan_install(const Request& request);
Result<Plan> plan_uninstall(const Request& request);

/// One line for a person.
std::string describe(const Change& change);
/// Carries it out. New files belong to whom their folder belongs.
Result<void> apply(const Change& change);

/// Whether the folder is one that Git takes for a repository: the bare one, or a ".git".
bool is_repository(const std::filesystem::path& path);

/// Whether the file at `path` is a script of ours.
bool is_ours(const std::filesystem::path& path);

/// The script that Git would run as pre-receive in this repository, with core.hooksPath of
/// `home`/.gitconfig and of the repository, runs hubgate: directly, or out of pre-receive.d.
bool has_hook(const std::filesystem::path& repository, const std::filesystem::path& home);

/// 'quoted' for sh.
std::string shell_quoted(std::string_view word);

} // namespace hubgate::install

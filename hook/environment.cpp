#include "hook/environment.hpp"

#include "scanner/git/ref_lines.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace hubgate {
namespace fs = std::filesystem;
namespace {

fs::path absolute(const fs::path& path, const fs::path& cwd) {
  return (path.is_absolute() ? path : cwd / path).lexically_normal();
}

std::string without_suffix(std::string name) {
  while (!name.empty() && name.back() == '/')
    name.pop_back();
  if (name.ends_with(".git") && name.size() > 4) name.resize(name.size() - 4);
  return name;
}

std::string login_name() {
  const passwd* entry = getpwuid(getuid());
  return entry == nullptr ? "uid " + std::to_string(getuid()) : std::string(entry->pw_name);
}

struct Server {
  const char* name;
  const char* installed_as;      ///< other names of it, see hook/install
  std::vector<const char*> repo; ///< joined by '/'
  const char* user;
};

// The variables that each server sets; a server is known by those of its repository.
const std::vector<Server>& servers() {
  static const std::vector<Server> k_servers{
      {"gitolite", "gitolite", {"GL_REPO"}, "GL_USER"},
      {"forgejo", "gitea", {"GITEA_REPO_USER_NAME", "GITEA_REPO_NAME"}, "GITEA_PUSHER_NAME"},
      {"soft-serve", "soft-serve", {"SOFT_SERVE_REPO_NAME"}, "SOFT_SERVE_USERNAME"},
      {"gitlab", "gitlab", {"GL_PROJECT_PATH"}, "GL_USERNAME"},
      {"github", "ghes", {"GITHUB_REPO_NAME"}, "GITHUB_USER_LOGIN"},
      {"bitbucket", "bitbucket", {"BB_PROJECT_KEY", "BB_REPO_SLUG"}, "BB_USER_NAME"},
  };
  return k_servers;
}

bool believed(const Server& server, const std::string& known) {
  return known.empty() || known == server.name || known == server.installed_as;
}

void name_repository(HookEnvironment& out, const GetVariable& get, const ServerHints& hints) {
  for (const Server& server: servers()) {
    if (!believed(server, hints.server)) continue;
    std::string repo;
    bool all = true;
    for (const char* variable: server.repo) {
      const auto part = get(variable);
      if (!part || part->empty()) {
        all = false;
        break;
      }
      repo += (repo.empty() ? "" : "/") + *part;
    }
    if (!all) continue;
    out.server = server.name;
    out.repo = without_suffix(repo);
    out.user = get(server.user).value_or("");
    if (const auto key = get("GITEA_DEPLOY_KEY_ID");
        out.server == std::string_view("forgejo") && key && !key->empty() && *key != "0")
      out.groups.emplace_back("deploy-key");
    return;
  }
  if (get("SSH_CONNECTION")) return; // what comes then is of the web server
  // git http-backend knows the folder under which its repositories are.
  if (const auto root = get("GIT_PROJECT_ROOT"); root && !root->empty()) {
    out.server = "http-backend";
    const fs::path relative = out.git_dir.lexically_relative(fs::path(*root).lexically_normal());
    if (!relative.empty() && *relative.begin() != ".." && relative != ".")
      out.repo = without_suffix(relative.string());
  }
}

// "a,b c"; what is no plain name is dropped.
void read_groups(const std::string& list, std::vector<std::string>& out) {
  constexpr std::size_t k_groups = 1000;
  for (std::size_t at = 0; at < list.size() && out.size() < k_groups;) {
    const std::size_t end = std::min(list.find_first_of(", ;", at), list.size());
    if (end > at && end - at <= 200) out.push_back(list.substr(at, end - at));
    at = end + 1;
  }
}

} // namespace

GetVariable process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Result<HookEnvironment> read_environment(const GetVariable& get, const fs::path& cwd,
                                         const ServerHints& hints) {
  HookEnvironment out;
  const auto git_dir = get("GIT_DIR");
  if (!git_dir || git_dir->empty())
    return Error{"GIT_DIR is not set: Git runs this hook, not people"};
  out.git_dir = absolute(*git_dir, cwd);
  while (!out.git_dir.has_filename() && out.git_dir.has_parent_path() &&
         out.git_dir != out.git_dir.root_path())
    out.git_dir = out.git_dir.parent_path(); // "." leaves a slash at the end

  const fs::path own = out.git_dir / "objects";
  if (const auto directory = get("GIT_OBJECT_DIRECTORY"); directory && !directory->empty()) {
    const fs::path path = absolute(*directory, cwd);
    // Without a quarantine the objects of the push can't be told from those that were there.
    if (path != own) out.incoming = path;
  }
  if (const auto list = get("GIT_ALTERNATE_OBJECT_DIRECTORIES"); list && !list->empty()) {
    const auto entries = git::parse_alternates(*list);
    if (!entries) return Error{"GIT_ALTERNATE_OBJECT_DIRECTORIES has a broken quote"};
    for (const auto& entry: *entries)
      out.objects.push_back(absolute(entry, cwd));
  }
  if (out.objects.empty()) out.objects.push_back(own);

  out.server = "git";
  name_repository(out, get, hints);
  if (out.repo.empty()) out.repo = without_suffix(out.git_dir.filename().string());
  // A work tree's repository is named by the folder that holds ".git".
  if (out.repo == ".git") out.repo = out.git_dir.parent_path().filename().string();
  // sshd sets SSH_CONNECTION, and lets no pusher unset it. What a web server would set may then be
  // the pusher's own (SendEnv).
  const auto ssh = get("SSH_CONNECTION");
  if (out.user.empty() && !ssh) out.user = get("REMOTE_USER").value_or("");
  if (out.user.empty()) out.user = login_name();
  out.from = ssh ? ssh->substr(0, ssh->find(' ')) : get("REMOTE_ADDR").value_or("");
  if (!hints.groups_from.empty())
    if (const auto groups = get(hints.groups_from.c_str())) read_groups(*groups, out.groups);
  return out;
}

} // namespace hubgate

#include "hook/environment.hpp"

#include "hook/git/ref_lines.hpp"

#include <pwd.h>
#include <unistd.h>

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
  std::vector<const char*> repo; ///< joined by '/'
  const char* user;
};

// The variables that each server sets; a server is known by those of its repository.
const std::vector<Server>& servers() {
  static const std::vector<Server> k_servers{
      {"gitolite", {"GL_REPO"}, "GL_USER"},
      {"forgejo", {"GITEA_REPO_USER_NAME", "GITEA_REPO_NAME"}, "GITEA_PUSHER_NAME"},
      {"soft-serve", {"SOFT_SERVE_REPO_NAME"}, "SOFT_SERVE_USERNAME"},
      {"gitlab", {"GL_PROJECT_PATH"}, "GL_USERNAME"},
      {"github", {"GITHUB_REPO_NAME"}, "GITHUB_USER_LOGIN"},
  };
  return k_servers;
}

void name_repository(HookEnvironment& out, const GetVariable& get) {
  for (const Server& server: servers()) {
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
    return;
  }
  // git http-backend knows the folder under which its repositories are.
  if (const auto root = get("GIT_PROJECT_ROOT"); root && !root->empty()) {
    out.server = "http-backend";
    const fs::path relative = out.git_dir.lexically_relative(fs::path(*root).lexically_normal());
    if (!relative.empty() && *relative.begin() != ".." && relative != ".")
      out.repo = without_suffix(relative.string());
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

Result<HookEnvironment> read_environment(const GetVariable& get, const fs::path& cwd) {
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
  name_repository(out, get);
  if (out.repo.empty()) out.repo = without_suffix(out.git_dir.filename().string());
  // A work tree's repository is named by the folder that holds ".git".
  if (out.repo == ".git") out.repo = out.git_dir.parent_path().filename().string();
  if (out.user.empty()) out.user = get("REMOTE_USER").value_or("");
  if (out.user.empty()) out.user = login_name();
  out.from = get("REMOTE_ADDR").value_or("");
  if (const auto ssh = get("SSH_CONNECTION"); ssh && out.from.empty())
    out.from = ssh->substr(0, ssh->find(' '));
  return out;
}

} // namespace hubgate

// What is known of each server; sources are in hook/install/README.md.
#include "hook/install/layout.hpp"

#include <algorithm>
#include <array>

namespace hubgate::install {
namespace {

constexpr std::array<std::string_view, 4> k_plain_doors{
    "git fetch or a mirror job that writes into a repository: receive-pack does not run",
    "accounts that can write to the repository's folder",
    "sshd with more in AcceptEnv than GIT_PROTOCOL: a pusher who sends GIT_CONFIG_* turns hooks "
    "off",
    "git lfs push: the object is stored before (and without) a push; the hook judges it when a "
    "pointer names it",
};
constexpr std::array<std::string_view, 6> k_forge_doors{
    "releases and attachments of issues: uploaded files are no Git objects",
    "package registry: generic, npm, PyPI, container packages",
    "pull mirrors, migrations and imports: they fetch, receive-pack does not run",
    "wikis with a hook of their own per repository (a global hook covers them)",
    "git lfs push: the object is stored before (and without) a push",
    "avatars and other uploads of the web pages",
};
constexpr std::array<std::string_view, 3> k_soft_serve_doors{
    "git-lfs-transfer over SSH: the object is stored before (and without) a push, and its hash is "
    "not checked by the server; the hook hashes it when a pointer names it",
    "repository imports and mirrors: they fetch, receive-pack does not run",
    "accounts that can write to the data folder",
};
constexpr std::array<std::string_view, 6> k_gitlab_doors{
    "releases, uploads and attachments: no Git objects",
    "package and container registries, model registry",
    "imports and pull mirrors: they fetch, receive-pack does not run",
    "Geo secondaries and further Gitaly nodes: custom hooks are not copied there",
    "LFS uploads into an object store: Gitaly nodes have no file to read (configure lfs)",
    "CI artifacts and caches",
};
constexpr std::array<std::string_view, 5> k_ghes_doors{
    "releases, attachments and package registries: no Git objects",
    "LFS objects are not visible inside of the hook's environment",
    "all pre-receive hooks together have 5 seconds",
    "imports and migrations",
    "Actions artifacts and caches",
};
constexpr std::array<std::string_view, 4> k_bitbucket_doors{
    "attachments and downloads: no Git objects",
    "hook scripts are off since 8.18 unless feature.hook.scripts=true",
    "mirrors and imports",
    "LFS objects in the shared home or an object store",
};

constexpr std::array<ServerInfo, 8> k_servers{{
    {Server::bare, "bare", k_plain_doors},
    {Server::gitea, "gitea", k_forge_doors},
    {Server::forgejo, "forgejo", k_forge_doors},
    {Server::soft_serve, "soft-serve", k_soft_serve_doors},
    {Server::gitlab, "gitlab", k_gitlab_doors},
    {Server::gitolite, "gitolite", k_plain_doors},
    {Server::ghes, "ghes", k_ghes_doors, 4},
    {Server::bitbucket, "bitbucket", k_bitbucket_doors},
}};

} // namespace

std::span<const ServerInfo> servers() {
  return k_servers;
}

const ServerInfo& info(Server server) {
  return *std::find_if(k_servers.begin(), k_servers.end(),
                       [&](const ServerInfo& entry) { return entry.server == server; });
}

} // namespace hubgate::install

#pragma once
// What a Git server tells a hook by its environment: where the objects are, which repository it is
// and who pushes. Only named variables are read; the environment as a whole holds secrets of some
// servers and is never logged.
#include "scanner/core/result.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace hubgate {

struct HookEnvironment {
  std::filesystem::path git_dir; ///< absolute
  /// Where receive-pack keeps the objects of this push (gitnamespaces: "quarantine" in
  /// git-receive-pack(1)); empty when there is none, as for a push that only deletes.
  std::filesystem::path incoming;
  /// The repository's own object directories, for everything that was there before; empty when
  /// nothing was.
  std::vector<std::filesystem::path> objects;
  std::string repo;                ///< canonical name, without ".git"
  std::vector<std::string> groups; ///< of the user, as the server says
  std::string user;   ///< who pushes, as the server says; else the owner of this process
  std::string from;   ///< client's address, "" when local
  std::string server; ///< "gitolite", "forgejo", "http-backend", …; "git" when it says nothing
};

using GetVariable = std::function<std::optional<std::string>(const char*)>;

/// What is known beforehand, from the installation and hubgate.yaml.
struct ServerHints {
  /// As `hubgate hook install --server` has it: only that server's variables are believed. "":
  /// those of whichever server names a repository.
  std::string server;
  std::string groups_from; ///< variable with the pusher's groups; "" = none
};

/// `get` looks a variable up; `cwd` is what relative paths are relative to.
Result<HookEnvironment> read_environment(const GetVariable& get, const std::filesystem::path& cwd,
                                         const ServerHints& hints = {});

/// The environment of this process.
GetVariable process_environment();

} // namespace hubgate

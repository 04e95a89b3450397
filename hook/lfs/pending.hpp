#pragma once
// Pending: LFS objects that a push named before they were there, where the policy let it pass. The
// store keeps them until they came and were judged; the audit log tells both ("lfs-pending",
// "lfs-settled"). A hook that asks the daemon says so by the event alone: the daemon keeps the
// list.
#include "hook/environment.hpp"
#include "policy/git/answer.hpp"
#include "policy/judge/authority.hpp"
#include "policy/judge/owed.hpp"

#include <filesystem>

namespace hubgate {

struct PendingLfs {
  std::string git_dir;
  std::string repo;
  std::string oid;
  std::uint64_t size = 0; ///< as the pointer claims, 0: it does not
  std::string path;
  std::string ref;
  std::string commit; ///< hex
  std::string user;
  std::string since; ///< ISO time
  std::string key;   ///< in the store
};

/// Writes down what the items of a push that passes are still owed. An error: it must not pass.
Result<void> note_pending(Authority& authority, const HookEnvironment& environment,
                          const std::vector<git::RefUpdate>& updates,
                          const std::vector<Item>& items);

/// What is still owed, oldest first.
Result<std::vector<PendingLfs>> pending_objects(Store& store);

/// Writes down that it is owed no more: "allowed", "blocked", "gone".
Result<void> settle_pending(Gatekeeper& keeper, const PendingLfs& one, std::string_view outcome,
                            std::string_view decision);

} // namespace hubgate

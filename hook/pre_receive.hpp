#pragma once
// The pre-receive hook: reads the refs, looks at everything that the push brings or names, lets the
// policy decide, answers. Whatever goes wrong on the way refuses the push.
#include "hook/config.hpp"
#include "hook/terminal.hpp"
#include "policy/git/answer.hpp"
#include "policy/git/cases.hpp"
#include "policy/judge/authority.hpp"

namespace hubgate {

/// Where the objects are not a push but all that a repository holds (hook/inventory.hpp): nothing
/// is refused, each object that the policy would not plainly allow is told.
struct Inventory {
  std::function<void(const PushCase&)> tell;
};

struct PreReceive {
  HookEnvironment environment;
  HookConfig config;
  std::filesystem::path scratch; ///< folder for the unlinked files of big blobs
  WorkerPool& pool;              ///< whose processes read the objects
  Authority& authority;
  Terminal& terminal;
  const Inventory* inventory = nullptr; ///< null: a push
};

enum class PushVerdict { pass, refused };

/// Judges the push that `ref_lines` (all of standard input) describes. An error is a refusal too:
/// the reason is for the caller to print. With an inventory, whether such a push would pass.
Result<PushVerdict> pre_receive(const PreReceive& hook, std::string_view ref_lines);

} // namespace hubgate

#pragma once
// The pre-receive hook: reads the refs, looks at everything that the push brings or names, lets the
// policy decide, answers. Whatever goes wrong on the way refuses the push.
#include "hook/answer.hpp"
#include "hook/config.hpp"
#include "policy/gatekeeper.hpp"
#include "scanner/worker/worker.hpp"

namespace hubgate {

struct PreReceive {
  HookEnvironment environment;
  HookConfig config;
  std::filesystem::path data_dir; ///< big blobs wait in a folder below it
  Gatekeeper& keeper;
  WorkerPool& pool;
  Terminal& terminal;
};

enum class PushVerdict { pass, refused };

/// Judges the push that `ref_lines` (all of standard input) describes. An error is a refusal too:
/// the reason is for the caller to print.
Result<PushVerdict> pre_receive(const PreReceive& hook, std::string_view ref_lines);

} // namespace hubgate

#pragma once
// `hubgate hook orphans` and `hubgate hook pending`.
#include "policy/commands/verb.hpp"

namespace hubgate {

/// Adds the two to `hook`.
void add_lfs_verbs(CLI::App& hook, int& exit_code);

} // namespace hubgate

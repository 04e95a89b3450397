#pragma once
// `hubgate hook install`, `uninstall` and `self-test`.
#include "policy/commands/verb.hpp"

namespace hubgate::install {

/// Adds the three to `hook`.
void add_verbs(CLI::App& hook, int& exit_code);

} // namespace hubgate::install

#pragma once
// `hubgate hook scan-repo` and `scan-server`: what is in repositories already, judged as if it were
// pushed now, into the same store. Scans that are done are kept as it goes, so that a run that was
// ended goes on where it was, and the next push on top of what passed costs only what is new.
#include "policy/commands/verb.hpp"

#include <filesystem>
#include <vector>

namespace hubgate {

/// Every repository below `root`, by path; folders of repositories are not searched for more.
std::vector<std::filesystem::path> repositories_below(const std::filesystem::path& root);

/// Adds the two to `hook`.
void add_inventory_verbs(CLI::App& hook, int& exit_code);

} // namespace hubgate

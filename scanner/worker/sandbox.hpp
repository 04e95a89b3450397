#pragma once
// What a worker may still do: read what it holds, use memory, write its answer, end.
#include "scanner/core/budget.hpp"

#include <string>

namespace hubgate {

/// Sets rlimits, no_new_privs and the seccomp filter on the calling process, which must have one
/// thread. A system call outside the filter then kills it. Returns "" or what could not be set up.
std::string enter_sandbox(const Limits& limits);

} // namespace hubgate

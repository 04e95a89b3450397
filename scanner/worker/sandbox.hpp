#pragma once
// What a worker may still do: read what it holds, use memory, write its answer, end.
#include "scanner/core/budget.hpp"

#include <string>

namespace hubgate {

/// scan: reads the descriptors that it was born with. object_reader: also receives read-only
/// descriptors from the gate on its one socket, and writes to scratch files among them.
enum class SandboxFor { scan, object_reader };

/// Sets rlimits, no_new_privs and the seccomp filter on the calling process, which must have one
/// thread. A system call outside the filter then kills it. `inspector_seconds`: CPU time on top of
/// that of the limits. Returns "" or what could not be set up.
std::string enter_sandbox(const Limits& limits, double inspector_seconds, SandboxFor purpose);

} // namespace hubgate

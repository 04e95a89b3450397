#pragma once
// What is known of a push whatever the object, as policies match it.
#include "hook/environment.hpp"
#include "policy/model.hpp"

namespace hubgate {

/// No revision, no path.
Context context_of(const HookEnvironment& environment);

} // namespace hubgate

#pragma once
// Names of Python's own modules and of the packages that usual machines with models have.
#include <string_view>

namespace hubgate {

/// Whether Python or a usual package has a module of that name which no honest repository has in
/// its root.
bool is_library(std::string_view module);

} // namespace hubgate

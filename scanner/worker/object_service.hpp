#pragma once
// The side of ObjectReader that runs in the sandbox. Internal to scanner/worker.
#include <cstddef>

namespace hubgate {

/// Answers questions until the gate closes `questions`. Ends the process when it can't be heard.
void serve_objects(int questions, int answers, std::size_t id_size);

} // namespace hubgate

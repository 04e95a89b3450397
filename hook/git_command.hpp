#pragma once
// Runs Git itself for the two things that it does better than a library: streaming a big blob out
// of a pack, and asking whether a commit lies behind another. Replacement refs are off: objects are
// read as they are.
#include "scanner/core/bytes.hpp"
#include "scanner/core/result.hpp"

#include <functional>
#include <string>
#include <vector>

namespace hubgate {

/// Runs `git ARGUMENTS…` with `input` on its standard input and hands its output on in pieces; an
/// error of `take` ends it. Fails unless git exits with 0. The environment is the hook's own.
Result<void> run_git(const std::vector<std::string>& arguments, std::string_view input,
                     const std::function<Result<void>(Bytes)>& take);

} // namespace hubgate

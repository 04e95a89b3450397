#pragma once
// The self-test of an installed hook: pushes clean and poisoned (inert) files as a person would,
// and says what the server did with them.
#include "hook/config.hpp"
#include "hook/install/layout.hpp"

#include <functional>

namespace hubgate::install {

struct SelfTest {
  Request request; ///< as it was installed
  /// Repositories live below it; the scratch repository is made here and removed. "" with `url`.
  std::filesystem::path root;
  /// A repository of the running server to push to instead, by the road that people take. Only
  /// branches named hubgate-self-test-… are made there, and removed.
  std::string url;
  HookConfig config; ///< where the server keeps LFS objects
};

enum class Mark { good, bad, unknown, open };

struct Line {
  Mark mark = Mark::good;
  std::string text; ///< one line for a person, fit to be shown
};

/// Runs it, telling each line as it is known. Returns whether nothing was bad. An error: the test
/// itself could not be made.
Result<bool> self_test(const SelfTest& test, const std::function<void(const Line&)>& tell);

} // namespace hubgate::install

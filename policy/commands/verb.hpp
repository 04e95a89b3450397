#pragma once
// A verb of the program: `hubgate VERB …`. main.cpp lists them; each lives with the part it belongs
// to and exports `extern const Verb verb_NAME;`.
#include <CLI/CLI.hpp>

#include <memory>
#include <string_view>

namespace hubgate {

/// Exit codes that every verb shares; scripts rely on them.
enum Exit : int {
  exit_ok = 0,
  exit_found = 1, ///< the answer is bad news: something blocked, a log that was tampered with
  exit_usage = 2, ///< bad flags, a bad policy or configuration
  exit_error = 3, ///< something is missing, unreadable or failed
};

struct Verb {
  std::string_view name;
  std::string_view summary; ///< one line for `hubgate --help`
  /// Adds flags and positionals to `app` and sets its callback, which stores the exit code in
  /// `exit_code` (an Exit). State lives in a shared_ptr that the callback holds.
  void (*setup)(CLI::App& app, int& exit_code);
};

/// Prints "hubgate: MESSAGE" on standard error and returns `code`.
int complain(std::string_view message, Exit code);

} // namespace hubgate

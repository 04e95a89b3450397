#pragma once
// Terminal: standard error of the hook, which Git shows to the pusher as "remote: …".
#include <chrono>
#include <string>

namespace hubgate {

/// Standard error, line by line.
class Terminal {
public:
  enum class Colour { off, on };
  explicit Terminal(Colour colour) : colour_(colour) {}

  /// One or more lines, each ending in '\n'. Failures are the pusher's loss, not the push's.
  void say(const std::string& lines);
  /// A refusal or warning: coloured when colours are on.
  void refuse(const std::string& lines) { say(painted(lines, "\x1b[1;31m")); }
  void warn(const std::string& lines) { say(painted(lines, "\x1b[33m")); }
  /// A line of progress, at most one in two seconds.
  void progress(const std::string& line);

private:
  std::string painted(const std::string& lines, const char* start) const;
  Colour colour_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

} // namespace hubgate

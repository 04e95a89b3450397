#pragma once
// Pace: how often somebody may do something that costs the gate more than them: some times at once,
// then at a steady rate. Bounded in memory; whoever was not seen for the longest starts anew.
#include "proxy/net/loop.hpp"
#include "proxy/relay/recent.hpp"

#include <string_view>

namespace hubgate::proxy {

class Pace {
public:
  /// `burst` at once, and one more each `every`.
  Pace(unsigned burst, Duration every) : burst_(burst), every_(every) {}

  /// Until `who` may do it; zero or less: now.
  Duration wait(const std::string& who, TimePoint now);
  /// Counts one that was done.
  void count(const std::string& who, TimePoint now);
  /// Counts one if it may be done now.
  bool take(const std::string& who, TimePoint now);

private:
  unsigned burst_;
  Duration every_;
  Recent<TimePoint> free_{4096}; ///< when all that was done is forgotten
};

/// Whom an address stands for: an IPv4 address itself, of IPv6 the /64 that one machine may have.
std::string neighbourhood(std::string_view address);

} // namespace hubgate::proxy

#pragma once
// ScanSeat: one scan of a person's share, for as long as a worker runs for them outside of a
// flight.
#include "proxy/relay/flight.hpp"

namespace hubgate::proxy {

class ScanSeat {
public:
  /// `user`: as Visit::quota_user() says. `quota` outlives it.
  ScanSeat(Quota& quota, std::string user) : quota_(quota), user_(std::move(user)) {
    ++quota_.scans_now;
    ++quota_.scans_of[user_];
  }
  ~ScanSeat() {
    --quota_.scans_now;
    if (const auto at = quota_.scans_of.find(user_); --at->second == 0) quota_.scans_of.erase(at);
  }
  ScanSeat(const ScanSeat&) = delete;
  ScanSeat& operator=(const ScanSeat&) = delete;

private:
  Quota& quota_;
  std::string user_;
};

} // namespace hubgate::proxy

#include "proxy/relay/pace.hpp"

#include <algorithm>

namespace hubgate::proxy {

Duration Pace::wait(const std::string& who, TimePoint now) {
  const TimePoint* free = free_.find(who);
  if (free == nullptr) return Duration::zero();
  return *free - now - every_ * (burst_ - 1);
}

void Pace::count(const std::string& who, TimePoint now) {
  const TimePoint* free = free_.find(who);
  const TimePoint from = free == nullptr ? now : std::max(*free, now);
  free_.put(who, from + every_);
}

bool Pace::take(const std::string& who, TimePoint now) {
  if (wait(who, now) > Duration::zero()) return false;
  count(who, now);
  return true;
}

std::string neighbourhood(std::string_view address) {
  boost::system::error_code none;
  const auto v6 = asio::ip::make_address_v6(std::string(address), none);
  if (none) return std::string(address);
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes).to_string() + "/64";
}

} // namespace hubgate::proxy

#include "proxy/forward/original.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <memory>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

/// SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; the kernel's headers that name them don't go together
/// with those of the C library.
constexpr int k_original_destination = 80;

bool turn_on(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

} // namespace

Result<CaptureSocket> bind_captured(const Address& address) {
  const std::string text = address.host + ":" + std::to_string(address.port);
  boost::system::error_code wrong;
  const auto host = asio::ip::make_address(address.host, wrong);
  if (wrong) return Error{"--transparent: " + address.host + " is no address"};
  const Endpoint endpoint(host, address.port);
  CaptureSocket out;
  out.fd = Fd(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int fd = out.fd.get();
  out.tproxy = turn_on(fd, SOL_IP, IP_TRANSPARENT);
  if (host.is_v6()) out.tproxy = turn_on(fd, SOL_IPV6, IPV6_TRANSPARENT) && out.tproxy;
  if (!turn_on(fd, SOL_SOCKET, SO_REUSEADDR) ||
      ::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
    return Error{text + ": can't listen there: " + std::strerror(errno)};
  return out;
}

void drop_network_capabilities() {
  constexpr std::uint32_t k_both = 1U << CAP_NET_ADMIN | 1U << CAP_NET_RAW;
  for (const unsigned long one: {CAP_NET_ADMIN, CAP_NET_RAW}) {
    (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, one, 0, 0);
    (void)::prctl(PR_CAPBSET_DROP, one, 0, 0, 0); // only root may; others could not use it
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return;
  sets[0].effective &= ~k_both;
  sets[0].permitted &= ~k_both;
  sets[0].inheritable &= ~k_both;
  (void)::syscall(SYS_capset, &header, sets.data());
}

Endpoint unmapped(const Endpoint& endpoint) {
  const auto address = endpoint.address();
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return endpoint;
  return {asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()), endpoint.port()};
}

std::optional<Endpoint> original_destination(asio::ip::tcp::socket& socket) {
  boost::system::error_code failed;
  const Endpoint local = unmapped(socket.local_endpoint(failed));
  if (failed) return std::nullopt;
  Endpoint out = local;
  socklen_t size = static_cast<socklen_t>(out.capacity());
  const int level = local.address().is_v4() ? SOL_IP : SOL_IPV6;
  // Fails for connections that nobody tracks: TPROXY works without.
  if (::getsockopt(socket.native_handle(), level, k_original_destination, out.data(), &size) != 0)
    return local;
  out.resize(size);
  return unmapped(out);
}

bool is_own_address(const asio::ip::address& address) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return true; // what can't be told is not connected to
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> guard(all, ::freeifaddrs);
  const Endpoint wanted(address, 0);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != wanted.data()->sa_family) continue;
    if (address.is_v4()) {
      const auto* given = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      if (ntohl(given->sin_addr.s_addr) == address.to_v4().to_uint()) return true;
    } else {
      const auto* given = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      const auto bytes = address.to_v6().to_bytes();
      if (std::equal(bytes.begin(), bytes.end(), std::begin(given->sin6_addr.s6_addr))) return true;
    }
  }
  return false;
}

} // namespace hubgate::proxy

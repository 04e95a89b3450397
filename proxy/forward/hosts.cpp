#include "proxy/forward/hosts.hpp"

#include "proxy/http/head.hpp"

#include <algorithm>

namespace hubgate::proxy {

namespace ip = boost::asio::ip;

namespace {

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

// Resolvers take "127.1", "0x7f000001" and "2130706433" for addresses.
bool ends_in_number(std::string_view host) {
  const std::string_view label = host.substr(host.rfind('.') + 1);
  if (label.starts_with("0x")) return true;
  return label.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.front() != '-' &&
         host.find("..") == std::string_view::npos &&
         std::all_of(host.begin(), host.end(), is_host_char) && !ends_in_number(host);
}

} // namespace

std::string Authority::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Authority> parse_authority(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Error{"CONNECT wants HOST:PORT"};
  const std::string_view digits = text.substr(colon + 1);
  const auto port = parse_decimal(digits);
  if (!port || *port == 0 || *port > 65535 || digits.size() > 5)
    return Error{"a port that is none"};
  Authority out;
  out.port = static_cast<std::uint16_t>(*port);
  std::string_view host = text.substr(0, colon);
  boost::system::error_code wrong;
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto address = ip::make_address_v6(std::string(host.substr(1, host.size() - 2)), wrong);
    if (wrong || host.find('%') != std::string_view::npos) return Error{"a broken address"};
    out.host = address.to_string();
    out.is_address = true;
    return out;
  }
  out.host = lower(host);
  const auto v4 = ip::make_address_v4(out.host, wrong);
  if (!wrong) {
    out.host = v4.to_string();
    out.is_address = true;
    return out;
  }
  if (out.host.size() > 1 && out.host.back() == '.') out.host.pop_back();
  if (!is_name(out.host)) return Error{"a host that is none"};
  return out;
}

Result<Network> Network::parse(std::string_view text) {
  Network out;
  const std::size_t slash = std::min(text.find('/'), text.size());
  boost::system::error_code wrong;
  out.first_ = ip::make_address(std::string(text.substr(0, slash)), wrong);
  const unsigned most = out.first_.is_v4() ? 32 : 128;
  out.bits_ = most;
  if (slash < text.size()) {
    const auto bits = parse_decimal(text.substr(slash + 1));
    if (!bits || *bits > most)
      return Error{"\"" + std::string(text) + "\" has no prefix length that fits its address"};
    out.bits_ = static_cast<unsigned>(*bits);
  }
  if (wrong) return Error{"\"" + std::string(text) + "\" is no network like 10.0.0.0/8"};
  return out;
}

bool Network::contains(const ip::address& given) const {
  ip::address address = given;
  if (given.is_v6() && given.to_v6().is_v4_mapped())
    address = ip::make_address_v4(ip::v4_mapped, given.to_v6());
  if (address.is_v4() != first_.is_v4()) return false;
  const auto same = [this](const auto& a, const auto& b) {
    for (unsigned bit = 0; bit < bits_; ++bit) {
      const auto mask = static_cast<std::uint8_t>(0x80 >> bit % 8);
      if ((a[bit / 8] & mask) != (b[bit / 8] & mask)) return false;
    }
    return true;
  };
  if (address.is_v4()) return same(address.to_v4().to_bytes(), first_.to_v4().to_bytes());
  return same(address.to_v6().to_bytes(), first_.to_v6().to_bytes());
}

bool contains(const std::vector<Network>& networks, const ip::address& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(address); });
}

bool host_matches(std::string_view host, std::string_view pattern) {
  if (!pattern.starts_with("*.")) return host == pattern;
  const std::string_view suffix = pattern.substr(1);
  return host.size() > suffix.size() && host.ends_with(suffix);
}

bool host_matches(std::string_view host, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return host_matches(host, pattern); });
}

std::vector<std::string> default_intercept_hosts(const Origin& hub) {
  if (hub.host != "huggingface.co") return {};
  return {"*.huggingface.co", "*.hf.co", "hf-hub-lfs-us-east-1.s3-accelerate.amazonaws.com",
          "hf-hub-lfs-us-east-1.s3.us-east-1.amazonaws.com",
          "hf-hub-lfs-eu-west-3.s3.eu-west-3.amazonaws.com"};
}

std::vector<std::string> aliases_of(const Origin& hub) {
  if (hub.host != "huggingface.co") return {};
  return {"hf.co", "www.huggingface.co"};
}

} // namespace hubgate::proxy

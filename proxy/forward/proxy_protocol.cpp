#include "proxy/forward/proxy_protocol.hpp"

#include "proxy/http/head.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace hubgate::proxy {

namespace {

namespace ip = boost::asio::ip;

constexpr std::string_view k_v1 = "PROXY ";
constexpr std::string_view k_v2_signature("\r\n\r\n\0\r\nQUIT\n", 12); // with one NUL
constexpr std::size_t k_v1_max = 107;
constexpr std::size_t k_v2_head = 16;

ProxyHeader broken() {
  ProxyHeader out;
  out.kind = ProxyHeader::Kind::broken;
  return out;
}

bool is_port(std::string_view text) {
  const auto port = parse_decimal(text);
  return port && *port <= 65535 && text.size() <= 5;
}

// "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n"
ProxyHeader read_v1(std::string_view text) {
  const std::size_t end = text.substr(0, k_v1_max).find("\r\n");
  if (end == std::string_view::npos) return text.size() >= k_v1_max ? broken() : ProxyHeader{};
  ProxyHeader out;
  out.kind = ProxyHeader::Kind::complete;
  out.size = end + 2;
  std::string_view line = text.substr(k_v1.size(), end - k_v1.size());
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return out;
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t space = std::min(line.find(' '), line.size());
    words.push_back(line.substr(0, space));
    line.remove_prefix(std::min(space + 1, line.size()));
  }
  if (words.size() != 5 || !is_port(words[3]) || !is_port(words[4])) return broken();
  boost::system::error_code wrong;
  const auto client = ip::make_address(std::string(words[1]), wrong);
  if (wrong) return broken();
  const auto server = ip::make_address(std::string(words[2]), wrong);
  if (wrong || client.is_v4() != (words[0] == "TCP4") || client.is_v6() != (words[0] == "TCP6") ||
      server.is_v4() != client.is_v4())
    return broken();
  out.client = client.to_string();
  return out;
}

ProxyHeader read_v2(Bytes bytes) {
  if (bytes.size() < k_v2_head) return {};
  const std::uint8_t version = bytes[12] >> 4;
  const std::uint8_t command = bytes[12] & 15;
  const std::size_t length = static_cast<std::size_t>(bytes[14]) << 8 | bytes[15];
  if (version != 2 || command > 1 || length > k_max_proxy_header - k_v2_head) return broken();
  if (bytes.size() - k_v2_head < length) return {};
  ProxyHeader out;
  out.kind = ProxyHeader::Kind::complete;
  out.size = k_v2_head + length;
  if (command == 0) return out; // LOCAL: a health check
  const Bytes body = bytes.subspan(k_v2_head, length);
  const std::uint8_t family = bytes[13] >> 4;
  if (family == 1 && length >= 12) {
    ip::address_v4::bytes_type raw{};
    std::copy_n(body.begin(), raw.size(), raw.begin());
    out.client = ip::make_address_v4(raw).to_string();
  } else if (family == 2 && length >= 36) {
    ip::address_v6::bytes_type raw{};
    std::copy_n(body.begin(), raw.size(), raw.begin());
    out.client = ip::make_address_v6(raw).to_string();
  } else if (family != 0) {
    return broken();
  }
  return out;
}

} // namespace

ProxyHeader read_proxy_header(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  const auto begins = [&](std::string_view mark) {
    const std::size_t n = std::min(mark.size(), text.size());
    return text.substr(0, n) == mark.substr(0, n);
  };
  if (begins(k_v1)) return text.size() < k_v1.size() ? ProxyHeader{} : read_v1(text);
  if (begins(k_v2_signature)) return read_v2(bytes);
  return broken();
}

} // namespace hubgate::proxy

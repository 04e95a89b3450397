#include "proxy/forward/config.hpp"

#include "policy/yaml.hpp"
#include "proxy/http/head.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace hubgate::proxy {

namespace {

bool is_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  const auto parsed = parse_authority(std::string(text) + ":1");
  return parsed && lower(text) == text;
}

// %41 and so on; user information in a URL is written so.
std::string decoded(std::string_view text) {
  auto value = query_value("x=" + std::string(text), "x");
  return value.value_or(std::string(text));
}

std::string base64(std::string_view text) {
  std::string out((text.size() + 2) / 3 * 4 + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(text.data()),
                                static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

const char* environment(const char* upper, const char* lower_case) {
  const char* value = std::getenv(lower_case);
  if (value == nullptr || *value == '\0') value = std::getenv(upper);
  return value == nullptr ? "" : value;
}

// NO_PROXY as curl and Python read it: "example.org" means everything below it too.
void add_exceptions(std::string_view text, std::vector<std::string>& into) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(", "), text.size());
    std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item == "*") into.emplace_back("*");
    if (item.starts_with("*.")) item.remove_prefix(2);
    if (item.starts_with(".")) item.remove_prefix(1);
    if (item.empty() || !is_pattern(lower(item))) continue;
    into.push_back(lower(item));
    into.push_back("*." + lower(item));
  }
}

} // namespace

void read_hosts(yaml::Mapping& map, const char* key, std::vector<std::string>& into) {
  const auto hosts = map.list(key);
  if (!hosts) return;
  for (const yaml::Item& host: *hosts) {
    if (is_pattern(host.text))
      into.push_back(host.text);
    else
      map.error(key, host,
                "\"" + host.text + "\" is no host name (lower case, perhaps with *. before)");
  }
}

void read_networks(yaml::Mapping& map, const char* key, std::vector<Network>& into) {
  const auto networks = map.list(key);
  if (!networks) return;
  for (const yaml::Item& item: *networks) {
    if (auto network = Network::parse(item.text))
      into.push_back(*network);
    else
      map.error(key, item, network.error().message);
  }
}

namespace {

void read_certificates(yaml::Mapping& map, CertificateRules& rules) {
  rules.ca = map.text("ca").value_or("");
  rules.crl = map.text("crl").value_or("");
  if (rules.ca.empty()) map.error("ca", "names the file of the authorities that issue them");
  static constexpr std::array<std::string_view, 5> k_users = {"cn", "email", "upn", "uri", "dns"};
  if (const auto choice = map.choice("user", k_users))
    rules.user = static_cast<CertificateRules::User>(*choice);
  static constexpr std::array<std::string_view, 3> k_groups = {"none", "ou", "o"};
  if (const auto choice = map.choice("groups", k_groups))
    rules.groups = static_cast<CertificateRules::Groups>(*choice);
  map.finish();
}

} // namespace

void read_forward(yaml::Mapping& map, ForwardConfig& config) {
  config.listen = map.text("listen").value_or("");
  config.transparent = map.text("transparent").value_or("");
  if (auto tls = map.mapping("tls")) {
    config.tls_cert = tls->text("cert").value_or("");
    config.tls_key = tls->text("key").value_or("");
    if (config.tls_cert.empty() || config.tls_key.empty())
      tls->error("", "give both \"cert\" and \"key\"");
    tls->finish();
  }
  if (const auto hubs = map.list("hubs")) {
    for (const yaml::Item& item: *hubs) {
      auto url = parse_url(item.text);
      if (url && url->target == "/" && url->origin.tls)
        config.hubs.push_back(std::move(*url));
      else
        map.error("hubs", item, "must be https://HOST, without a path");
    }
  }
  read_hosts(map, "intercept", config.intercept);
  read_hosts(map, "tunnel", config.tunnel);
  static constexpr std::array<std::string_view, 2> k_choices = {"tunnel", "refuse"};
  config.refuse_others = map.choice("default", k_choices) == 1u;
  if (const auto ports = map.list("ports")) {
    config.ports.clear();
    for (const yaml::Item& item: *ports) {
      const auto port = parse_decimal(item.text);
      if (port && *port > 0 && *port <= 65535)
        config.ports.push_back(static_cast<std::uint16_t>(*port));
      else
        map.error("ports", item, "is no port");
    }
  }
  read_networks(map, "reach", config.reach);
  if (auto auth = map.mapping("auth")) {
    config.users = auth->text("users").value_or("");
    if (const auto helper = auth->list("helper"))
      for (const yaml::Item& word: *helper)
        config.helper.push_back(word.text);
    if (auto certificates = auth->mapping("certificates"))
      read_certificates(*certificates, config.certificates);
    const bool by_certificate = !config.certificates.ca.empty();
    if (!config.users.empty() && !config.helper.empty())
      auth->error("", "give either \"users\" or \"helper\"");
    if (config.users.empty() && config.helper.empty() && !by_certificate)
      auth->error("", "give \"users\", \"helper\" or \"certificates\"");
    if (by_certificate && config.tls_cert.empty())
      auth->error("certificates", "needs \"tls:\" of the proxy");
    auth->finish();
  }
  map.finish();
}

Result<OutwardProxy> parse_outward_proxy(std::string_view text) {
  OutwardProxy out;
  // The text may hold a password: errors don't repeat it.
  const Error wrong{"a proxy must be http://[USER:PASSWORD@]HOST:PORT"};
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    if (lower(text.substr(0, scheme)) != "http") return wrong;
    text.remove_prefix(scheme + 3);
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = text.substr(0, at);
    const std::size_t colon = std::min(user.find(':'), user.size());
    const std::string_view password = user.substr(std::min(colon + 1, user.size()));
    out.authorization = "Basic " + base64(decoded(user.substr(0, colon)) + ":" + decoded(password));
    text.remove_prefix(at + 1);
  }
  const auto authority = parse_authority(text);
  if (!authority) return wrong;
  out.host = authority->host;
  out.port = authority->port;
  return out;
}

void read_outward(yaml::Mapping& top, OutwardConfig& config) {
  if (auto names = top.mapping("resolve")) {
    for (const std::string& name: names->keys()) {
      const auto text = names->text(name);
      if (!text) continue;
      OutwardConfig::Place place;
      boost::system::error_code no_address;
      boost::asio::ip::make_address(*text, no_address);
      if (!no_address) {
        place.host = *text;
      } else if (const auto authority = parse_authority(*text)) {
        place = {authority->host, authority->port};
      } else {
        names->error(name, "must be ADDRESS or ADDRESS:PORT");
      }
      if (!is_pattern(name) || name.starts_with("*"))
        names->error(name, "is no host name in lower case");
      config.resolve[name] = std::move(place);
    }
    names->finish();
  }
  read_hosts(top, "no_proxy", config.direct);
  if (!top.has("no_proxy")) add_exceptions(environment("NO_PROXY", "no_proxy"), config.direct);
  const auto given = top.text("upstream_proxy");
  const std::string text = given ? *given : environment("HTTPS_PROXY", "https_proxy");
  if (text.empty() || (given && text == "none")) return;
  auto proxy = parse_outward_proxy(text);
  if (proxy)
    config.proxy = std::move(*proxy);
  else
    top.error(given ? "upstream_proxy" : "",
              (given ? "" : "HTTPS_PROXY: ") + proxy.error().message);
}

bool goes_through(const OutwardConfig& config, std::string_view host) {
  if (!config.proxy || is_loopback_host(host) || config.resolve.contains(std::string(host)))
    return false;
  return !host_matches(host, config.direct) &&
         std::find(config.direct.begin(), config.direct.end(), "*") == config.direct.end();
}

} // namespace hubgate::proxy

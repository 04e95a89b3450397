#include "proxy/config.hpp"

#include "policy/yaml.hpp"
#include "proxy/http/head.hpp"

#include <array>
#include <fstream>
#include <iterator>

namespace hubgate::proxy {

namespace {

constexpr std::uint64_t k_least_cache = std::uint64_t{1} << 20;

std::optional<Error> check_host_pattern(std::string_view host) {
  std::string_view name = host.starts_with("*.") ? host.substr(2) : host;
  if (name.empty() ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_:") != std::string_view::npos)
    return Error{"\"" + std::string(host) +
                 "\" is no host name (lower case, perhaps with *. before)"};
  return std::nullopt;
}

void read_limits(yaml::Mapping& map, ServeLimits& limits) {
  const auto count = [&](const char* key, std::uint32_t& into) {
    const auto value = map.number(key);
    if (!value) return;
    if (*value == 0 || *value > 1'000'000)
      map.error(key, "must be between 1 and 1000000");
    else
      into = static_cast<std::uint32_t>(*value);
  };
  const auto bytes = [&](const char* key, std::uint64_t& into) {
    if (const auto value = map.size(key)) into = *value;
  };
  const auto time = [&](const char* key, std::chrono::milliseconds& into) {
    const auto value = map.duration(key);
    if (!value) return;
    if (value->count() < 1000)
      map.error(key, "must be at least 1s");
    else
      into = *value;
  };
  count("connections", limits.connections);
  count("scans", limits.scans);
  count("scans_per_user", limits.scans_per_user);
  bytes("spool", limits.spool);
  bytes("spool_per_user", limits.spool_per_user);
  bytes("json", limits.json);
  bytes("request_body", limits.request_body);
  bytes("commit", limits.commit);
  time("head", limits.head);
  time("idle", limits.idle);
  time("stall", limits.stall);
  time("scan", limits.scan);
  map.finish();
}

// Hands a field's value to `parse` and notes its error at the field.
template <typename Parse> void read_text(yaml::Mapping& map, const char* key, Parse parse) {
  const auto text = map.text(key);
  if (!text) return;
  if (Result<void> done = parse(*text); !done.ok()) map.error(key, done.error().message);
}

Result<void> set_listen(ServeConfig& config, std::string_view text) {
  auto address = parse_address(text);
  if (!address) return address.error();
  config.listen = *address;
  return {};
}

Result<void> set_address(std::optional<Address>& to, std::string_view text) {
  auto address = parse_address(text);
  if (!address) return address.error();
  to = *address;
  return {};
}

Result<void> set_upstream(ServeConfig& config, std::string_view text) {
  auto url = parse_url(text);
  if (!url) return Error{"\"" + std::string(text) + "\": " + url.error().message};
  if (url->target != "/") return Error{"the upstream must be a host, without a path"};
  config.upstream = *url;
  return {};
}

Result<void> set_public_url(ServeConfig& config, std::string_view text) {
  auto url = parse_url(text);
  if (!url) return Error{"\"" + std::string(text) + "\": " + url.error().message};
  if (url->target != "/") return Error{"the gate's URL must have no path"};
  config.public_url = url->origin.text();
  return {};
}

Result<void> set_tls(ServeConfig& config, std::string_view text) {
  if (text == "off")
    config.tls = ServeConfig::Tls::off;
  else if (text == "self-made")
    config.tls = ServeConfig::Tls::self_made;
  else
    return Error{"\"" + std::string(text) + "\" is neither \"off\" nor \"self-made\""};
  return {};
}

void read_tls(yaml::Mapping& top, ServeConfig& config) {
  auto tls = top.mapping("tls");
  if (!tls) return;
  read_text(*tls, "mode", [&](const std::string& text) { return set_tls(config, text); });
  config.tls_cert = tls->text("cert").value_or("");
  config.tls_key = tls->text("key").value_or("");
  config.upstream_ca = tls->text("upstream_ca").value_or("");
  tls->finish();
}

void read_cache(yaml::Mapping& top, CacheConfig& config) {
  auto cache = top.mapping("cache");
  if (!cache) return;
  config.on = true;
  config.path = cache->text("path").value_or("");
  config.size = cache->size("size").value_or(config.size);
  config.offline = cache->flag("offline").value_or(false);
  if (config.size < k_least_cache) cache->error("size", "must be at least 1MiB");
  cache->finish();
}

void read_file(yaml::Mapping& top, ServeConfig& config) {
  read_text(top, "listen", [&](const std::string& text) { return set_listen(config, text); });
  read_text(top, "admin", [&](const std::string& text) { return set_address(config.admin, text); });
  read_text(top, "icap", [&](const std::string& text) { return set_address(config.icap, text); });
  read_text(top, "upstream", [&](const std::string& text) { return set_upstream(config, text); });
  read_text(top, "public_url",
            [&](const std::string& text) { return set_public_url(config, text); });
  read_tls(top, config);
  config.data = top.text("data").value_or("");
  config.policy = top.text("policy").value_or("");
  read_hosts(top, "follow", config.follow);
  if (auto proxy = top.mapping("proxy")) {
    config.proxy.emplace();
    read_forward(*proxy, *config.proxy);
  }
  read_outward(top, config.outward);
  read_networks(top, "proxy_protocol", config.balancers);
  if (auto git = top.mapping("git")) {
    static constexpr std::array<std::string_view, 3> k_packs = {"scan", "pass", "refuse"};
    if (const auto choice = git->choice("packs", k_packs))
      config.packs = static_cast<ServeConfig::Packs>(*choice);
    git->finish();
  }
  static constexpr std::array<std::string_view, 3> k_xet = {"strip", "terminate", "refuse"};
  if (const auto choice = top.choice("xet", k_xet))
    config.xet = static_cast<ServeConfig::Xet>(*choice);
  if (const auto trickle = top.duration("trickle")) {
    if (trickle->count() < 500 || trickle->count() > 9000)
      top.error("trickle", "must be between 500ms and 9s: clients give up after 10s of silence");
    else
      config.trickle = *trickle;
  }
  if (const auto life = top.duration("link_life"))
    config.link_life = std::chrono::duration_cast<std::chrono::seconds>(*life);
  read_cache(top, config.cache);
  if (auto limits = top.mapping("limits")) read_limits(*limits, config.limits);
  for (const std::string_view of_the_hook: {"hook", "lfs", "socket", "socket_mode", "socket_group"})
    top.skip(of_the_hook);
  top.finish();
}

Result<void> flag(std::string_view name, Result<void> result) {
  if (result.ok()) return result;
  return Error{std::string(name) + ": " + result.error().message};
}

Result<void> apply_flags(ServeConfig& config, const ServeFlags& flags) {
  if (!flags.proxy.empty()) {
    if (!config.proxy) config.proxy.emplace();
    config.proxy->listen = flags.proxy;
  }
  if (!flags.transparent.empty()) {
    if (!config.proxy) config.proxy.emplace();
    config.proxy->transparent = flags.transparent;
  }
  if (!flags.listen.empty())
    if (auto done = flag("--listen", set_listen(config, flags.listen)); !done) return done;
  if (!flags.admin.empty())
    if (auto done = flag("--admin", set_address(config.admin, flags.admin)); !done) return done;
  if (!flags.icap.empty())
    if (auto done = flag("--icap", set_address(config.icap, flags.icap)); !done) return done;
  if (!flags.upstream.empty())
    if (auto done = flag("--upstream", set_upstream(config, flags.upstream)); !done) return done;
  if (!flags.tls.empty())
    if (auto done = flag("--tls", set_tls(config, flags.tls)); !done) return done;
  if (!flags.tls_cert.empty()) config.tls_cert = flags.tls_cert;
  if (!flags.tls_key.empty()) config.tls_key = flags.tls_key;
  if (!flags.upstream_ca.empty()) config.upstream_ca = flags.upstream_ca;
  if (!flags.data.empty()) config.data = flags.data;
  if (!flags.policy.empty()) config.policy = flags.policy;
  if (!flags.cache.empty()) {
    const auto size = yaml::size_from(flags.cache);
    if (!size || *size < k_least_cache)
      return Error{"--cache: \"" + flags.cache + "\" is no size of at least 1MiB (e.g. 100GiB)"};
    config.cache.on = true;
    config.cache.size = *size;
  }
  for (const std::string& host: flags.follow) {
    if (auto error = check_host_pattern(host)) return Error{"--follow: " + error->message};
    config.follow.push_back(host);
  }
  return {};
}

constexpr std::string_view k_default_hub = "https://huggingface.co";
constexpr std::string_view k_default_proxy = "127.0.0.1:3128";

// What the forward proxy needs beside what was said of it.
Result<void> complete_proxy(ServeConfig& config) {
  if (!config.proxy) return {};
  ForwardConfig& proxy = *config.proxy;
  if (proxy.listen.empty() && proxy.transparent.empty()) proxy.listen = k_default_proxy;
  if (!proxy.transparent.empty()) {
    auto captured = parse_address(proxy.transparent);
    if (!captured) return Error{"proxy.transparent: " + captured.error().message};
    config.transparent_listen = *captured;
  }
  if (!proxy.listen.empty()) {
    auto listen = parse_address(proxy.listen);
    if (!listen) return Error{"proxy.listen: " + listen.error().message};
    config.proxy_listen = *listen;
    const auto& outer = config.outward.proxy;
    if (outer && outer->port == listen->port &&
        (outer->host == listen->host || is_loopback_host(outer->host)))
      return Error{"the gate is its own upstream proxy: HTTPS_PROXY is for its clients"};
  }
  if (config.upstream.target.empty()) {
    config.endpoint = false;
    if (auto done = set_upstream(config, k_default_hub); !done) return done;
  }
  const auto add_files_of = [&](const Origin& hub) {
    for (std::string& host: default_intercept_hosts(hub))
      proxy.intercept.push_back(std::move(host));
  };
  add_files_of(config.upstream.origin);
  for (const Url& hub: proxy.hubs)
    add_files_of(hub.origin);
  return {};
}

} // namespace

Result<Address> parse_address(std::string_view text) {
  const std::string shown = "\"" + std::string(text) + "\"";
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Error{shown + " is not HOST:PORT"};
  const auto port = parse_decimal(text.substr(colon + 1));
  if (!port || *port > 65535) return Error{shown + " has no port between 0 and 65535"};
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return Error{shown + " is not HOST:PORT"};
  return Address{host.empty() ? "0.0.0.0" : std::string(host), static_cast<std::uint16_t>(*port)};
}

Result<ServeConfig> config_from(std::string_view text, std::string_view source,
                                const ServeFlags& flags) {
  ServeConfig config;
  auto document = yaml::parse(text, source);
  auto top = document.top();
  read_file(top, config);
  if (auto error = document.first_error()) return *error;
  if (auto done = apply_flags(config, flags); !done) return done.error();
  if (auto done = complete_proxy(config); !done) return done.error();
  if (config.upstream.target.empty()) {
    // Then the gate answers Git hooks and relays nothing.
    if (top.has("socket")) return config;
    return Error{"no upstream: give --upstream URL or \"upstream:\" in the configuration (or "
                 "\"socket:\", to answer Git hooks alone)"};
  }
  if (config.tls_cert.empty() != config.tls_key.empty())
    return Error{"a certificate needs its key: give both --tls-cert and --tls-key"};
  if (!config.tls_cert.empty()) {
    if (config.tls == ServeConfig::Tls::off)
      return Error{"--tls off and a certificate exclude each other"};
    config.tls = ServeConfig::Tls::files;
  }
  if (config.endpoint && config.tls == ServeConfig::Tls::off &&
      !is_loopback_host(config.listen.host))
    return Error{"--tls off is for loopback addresses only, and " + config.listen.host +
                 " is none"};
  for (std::string& host: default_follow_hosts(config.upstream.origin))
    config.follow.push_back(std::move(host));
  return config;
}

Result<ServeConfig> load_config(const ServeFlags& flags) {
  if (flags.config.empty()) return config_from("{}\n", "defaults", flags);
  std::ifstream file(flags.config);
  if (!file) return Error{flags.config + ": can't be read"};
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return config_from(text, flags.config, flags);
}

} // namespace hubgate::proxy

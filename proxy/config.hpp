#pragma once
// Configuration of `hubgate serve`: hubgate.yaml, then flags over it. Every value has a default
// that works on one machine.
#include "proxy/forward/config.hpp"
#include "proxy/hub/follow.hpp"
#include "scanner/core/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hubgate::proxy {

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

struct ServeLimits {
  std::uint32_t connections = 1024; ///< of clients, at once
  std::uint32_t scans = 64;         ///< objects being fetched and scanned at once
  std::uint32_t scans_per_user = 48;
  std::uint64_t spool = std::uint64_t{64} << 30; ///< bytes on disk, all objects
  std::uint64_t spool_per_user = std::uint64_t{32} << 30;
  std::uint64_t json = std::uint64_t{8} << 20; ///< listings and pages
  std::uint64_t request_body = std::uint64_t{8} << 20;
  std::uint64_t commit = std::uint64_t{64} << 20; ///< a commit with the files that it brings
  std::chrono::milliseconds head{15'000};  ///< from the first byte of a request head to its last
  std::chrono::milliseconds idle{75'000};  ///< between requests
  std::chrono::milliseconds stall{60'000}; ///< without any progress of either side
  std::chrono::milliseconds scan{300'000}; ///< a worker without any answer
};

/// The pull-through cache: off unless the configuration or a flag asks for it.
struct CacheConfig {
  bool on = false;
  std::filesystem::path path;                    ///< empty: DATA/cache
  std::uint64_t size = std::uint64_t{100} << 30; ///< bytes of objects
  bool offline = false; ///< answer from it when the upstream can't be asked
};

struct ServeConfig {
  Address listen{"127.0.0.1", 8443};
  Url upstream;
  enum class Tls { self_made, files, off } tls = Tls::self_made;
  std::string tls_cert, tls_key; ///< PEM files
  std::string upstream_ca;       ///< PEM file; empty: the system's store
  std::filesystem::path data;    ///< empty: the default of the policy store
  std::string policy;            ///< preset or file; empty: the default preset
  std::vector<std::string> follow;
  std::optional<Address> admin;
  std::optional<Address> icap; ///< where other proxies ask
  bool endpoint = true;        ///< whether the upstream is offered at `listen`
  std::optional<ForwardConfig> proxy;
  std::optional<Address> proxy_listen;       ///< for CONNECT
  std::optional<Address> transparent_listen; ///< for what the network redirects
  OutwardConfig outward;
  std::vector<Network> balancers; ///< whose connections begin with the PROXY protocol
  std::string public_url;         ///< how clients reach the gate; empty: what their Host field says
  /// Packs of Git: judged object by object, passed on unread (pulls only), or refused.
  enum class Packs { scan, pass, refuse } packs = Packs::scan;
  /// Transfers over Xet: read here in both directions, negotiated away, or refused.
  enum class Xet { strip, terminate, refuse } xet = Xet::strip;
  std::chrono::milliseconds trickle{4'000}; ///< longest silence while a client waits for a scan
  std::chrono::seconds link_life{3'600};    ///< of links to LFS objects
  CacheConfig cache;
  ServeLimits limits;
};

/// What the flags say; empty means "not given".
struct ServeFlags {
  std::string listen, upstream, tls, tls_cert, tls_key, data, policy, config, admin, icap,
      upstream_ca, proxy, transparent, cache;
  std::vector<std::string> follow;
};

/// Reads the file that `flags.config` names, if any, and puts the flags over it. The error is one
/// line that names file, line and field, or the flag.
Result<ServeConfig> load_config(const ServeFlags& flags);

/// The same from the text of a file; `source` names it in errors.
Result<ServeConfig> config_from(std::string_view yaml_text, std::string_view source,
                                const ServeFlags& flags);

/// "HOST:PORT", "[::1]:PORT", ":PORT" (all addresses).
Result<Address> parse_address(std::string_view text);

} // namespace hubgate::proxy

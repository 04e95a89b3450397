// `hubgate serve`: puts the parts together and runs them: the proxy, and the daemon that answers
// Git hooks, either or both.
#include "hook/config.hpp"
#include "hook/daemon/server.hpp"
#include "policy/commands/verb.hpp"
#include "proxy/cache/cache.hpp"
#include "proxy/config.hpp"
#include "proxy/forward/forward.hpp"
#include "proxy/git/transfer.hpp"
#include "proxy/server.hpp"
#include "proxy/xet/decode_service.hpp"
#include "proxy/xet/shard_service.hpp"
#include "scanner/core/evidence.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace hubgate {

using namespace proxy;

namespace {

constexpr auto k_grace = std::chrono::seconds(30);
constexpr std::size_t k_key_bytes = 32;

// A secret that stays the same over restarts, so that links stay good; owner-only.
Result<std::string> secret_key(const std::filesystem::path& file) {
  {
    std::ifstream in(file, std::ios::binary);
    std::string key{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (key.size() == k_key_bytes) return key;
  }
  std::array<unsigned char, k_key_bytes> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return Error{"no random bytes can be had"};
  const std::string temporary = file.string() + ".new";
  ::unlink(temporary.c_str());
  const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd || ::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
      ::rename(temporary.c_str(), file.c_str()) != 0)
    return Error{file.string() + ": can't be written"};
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

struct Tls {
  TlsContext server;
  TlsContext client;
  std::optional<OwnCertificate> own;
};

Result<TlsContext> load_server_tls(const ServeConfig& config, const std::filesystem::path& data,
                                   std::optional<OwnCertificate>& own) {
  if (config.tls == ServeConfig::Tls::off || !config.endpoint) return TlsContext{};
  if (config.tls == ServeConfig::Tls::files) return server_context(config.tls_cert, config.tls_key);
  auto made = own_certificate(data / "tls", config.listen.host);
  if (!made) return made.error();
  own = *made;
  return server_context(made->cert_file, made->key_file);
}

// Of the forward proxy's own port.
Result<TlsContext> load_proxy_tls(const ServeConfig& config) {
  if (!config.proxy || config.proxy->tls_cert.empty()) return TlsContext{};
  const ForwardConfig& proxy = *config.proxy;
  if (proxy.certificates.ca.empty()) return server_context(proxy.tls_cert, proxy.tls_key);
  return asking_context(proxy.tls_cert, proxy.tls_key, proxy.certificates.ca,
                        proxy.certificates.crl);
}

// Accounts by name or number.
Result<std::vector<uid_t>> accounts(const std::vector<std::string>& users) {
  std::vector<uid_t> out;
  for (const std::string& user: users) {
    uid_t uid = 0;
    const auto number = std::from_chars(user.data(), user.data() + user.size(), uid);
    if (number.ec == std::errc() && number.ptr == user.data() + user.size()) {
      out.push_back(uid);
    } else if (const passwd* entry = getpwnam(user.c_str()); entry != nullptr) {
      out.push_back(entry->pw_uid);
    } else {
      return Error{"hook.trusted_users: there is no account " + printable(user, 100)};
    }
  }
  return out;
}

std::filesystem::path data_of(const ServeConfig& config) {
  return config.data.empty() ? default_data_dir() : config.data;
}

Result<void> prepare_directory(const std::filesystem::path& dir) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (!failed) std::filesystem::permissions(dir, std::filesystem::perms::owner_all, failed);
  if (failed) return Error{dir.string() + ": " + failed.message()};
  return {};
}

// Hooks hand files over, uploads over Xet lie in many: the usual 1,024 descriptors are few.
void want_descriptors() {
  constexpr rlim_t k_descriptors = 65536;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < k_descriptors) {
    limit.rlim_cur = std::min(limit.rlim_max, k_descriptors);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// What answers Git hooks.
Result<std::unique_ptr<daemon::Server>> start_daemon(const HookConfig& config,
                                                     const std::string& policy, Gatekeeper& keeper,
                                                     WorkerPool& pool,
                                                     const std::filesystem::path& data) {
  daemon::Server::Options options;
  options.socket = std::filesystem::absolute(config.socket);
  options.mode = config.socket_mode;
  options.group = config.socket_group;
  options.trusted = HUBGATE_TRY(accounts(config.trusted_users));
  options.policy_text = [policy]() -> Result<daemon::Welcome> {
    const auto presets = preset_names();
    if (policy.empty()) return daemon::Welcome{std::string(presets.front()), ""};
    if (std::find(presets.begin(), presets.end(), policy) != presets.end())
      return daemon::Welcome{policy, ""};
    constexpr std::uintmax_t k_most = std::uintmax_t{4} << 20;
    return daemon::Welcome{policy, HUBGATE_TRY(yaml::read_file(policy, k_most))};
  };
  options.scratch = data / "tmp";
  if (auto made = prepare_directory(options.scratch); !made) return made.error();
  return daemon::Server::start(keeper, pool, std::move(options));
}

Result<std::unique_ptr<Cache>> open_cache(const CacheConfig& config,
                                          const std::filesystem::path& data) {
  Cache::Options options;
  options.dir = config.path.empty() ? data / "cache" : std::filesystem::absolute(config.path);
  options.size = config.size;
  options.offline = config.offline;
  return Cache::open(std::move(options));
}

std::string hooks_line(const HookConfig& config) {
  return "hubgate: answering Git hooks on " + config.socket + "\n";
}

void say_hello(const ServeConfig& config, const Server& server, const Gatekeeper& keeper,
               const std::filesystem::path& data, const std::optional<OwnCertificate>& own,
               bool tproxy) {
  const bool tls = config.tls != ServeConfig::Tls::off;
  const std::string url = !config.public_url.empty()
                              ? config.public_url
                              : (tls ? "https://" : "http://") + server.address();
  const std::string upstream = config.upstream.origin.text();
  std::string text = "hubgate: policy " + keeper.policy().name() + "\n";
  if (config.endpoint) text += "hubgate: listening on " + url + ", upstream " + upstream + "\n";
  if (config.transparent_listen)
    text += "hubgate: takes what the network redirects to " + server.transparent_address() +
            (tproxy ? " (REDIRECT, TPROXY)\n" : " (REDIRECT; TPROXY would need CAP_NET_ADMIN)\n") +
            "hubgate: machines behind it trust its authority: hubgate ca export\n";
  const std::string scheme = config.proxy && !config.proxy->tls_cert.empty() ? "https" : "http";
  if (config.proxy_listen)
    text += "hubgate: proxy on " + scheme + "://" + server.proxy_address() + ", opens " + upstream +
            (config.proxy->hubs.empty() ? "" : " and others") + "\n" +
            "hubgate: clients: export HTTPS_PROXY=" + scheme + "://" + server.proxy_address() +
            ", and trust its authority: hubgate ca export\n";
  if (config.admin) text += "hubgate: admin pages on http://" + server.admin_address() + "\n";
  if (config.icap)
    text += "hubgate: ICAP services icap://" + server.icap_address() + "/respmod and /reqmod\n";
  text += "hubgate: audit log in " + (data / "audit").string() + "\n";
  if (config.endpoint) text += "hubgate: clients: export HF_ENDPOINT=" + url + "\n";
  if (own) {
    text += "hubgate: certificate " + own->cert_file + (own->made_now ? " (made now)" : "") +
            "\nhubgate: sha256 fingerprint " + own->fingerprint +
            "\nhubgate: to trust it: export SSL_CERT_FILE=" + own->cert_file +
            " (Python, Rust), NODE_EXTRA_CA_CERTS (Node), git config http.sslCAInfo; or copy it to "
            "/usr/local/share/ca-certificates/hubgate.crt and run update-ca-certificates\n";
  }
  std::cerr << text << std::flush;
}

/// What both parts stand on. It is never destroyed: finish() ends the process.
struct Running {
  ServeConfig config;
  HookConfig hook_config;
  std::filesystem::path data;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<Signer> signer; ///< null: no forward proxy
  CaptureSocket capture;
  std::unique_ptr<Gatekeeper> keeper;
  std::unique_ptr<daemon::Server> hooks; ///< null: no socket
};

struct Flags : ServeFlags {
  std::string socket;
};

// SIGTERM and SIGINT drain; SIGHUP reads policy and certificate again. Without `server` the loop
// runs for the signals alone.
Task<void> obey_signals(Running& running, Loop& loop, Gate* gate, Server* server) {
  Gatekeeper& keeper = *running.keeper;
  const ServeConfig& config = running.config;
  asio::signal_set signals(loop.context(), SIGTERM, SIGINT, SIGHUP);
  for (;;) {
    auto [failed, number] = co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
    if (failed) co_return;
    if (number != SIGHUP) {
      std::cerr << "hubgate: ending: waiting for running requests\n";
      if (running.hooks) running.hooks->drain();
      if (server != nullptr)
        server->drain(k_grace);
      else
        loop.stop();
      co_return;
    }
    std::optional<OwnCertificate> own;
    auto tls =
        server != nullptr ? load_server_tls(config, running.data, own) : Result(TlsContext{});
    auto policy = co_await loop.offload([&] { return Policy::named(config.policy); });
    boost::json::object fields;
    auto proxy_tls = load_proxy_tls(config);
    std::string failure = !tls ? tls.error().message : !policy ? policy.error().message : "";
    if (!proxy_tls) failure = proxy_tls.error().message;
    if (failure.empty()) {
      fields["policy"] = policy->name();
      fields["digest"] = policy->digest();
      // Nothing else runs on this loop meanwhile: what begins before is remembered under the old
      // rules, what begins afterwards is scanned with the new ones.
      const auto replaced = keeper.replace_policy(std::move(*policy));
      if (!replaced) failure = replaced.error().message;
    }
    if (!failure.empty()) {
      std::cerr << "hubgate: not reloaded: " << failure << "\n";
      continue;
    }
    if (gate != nullptr) gate->rules = keeper.store().rules();
    if (running.hooks) running.hooks->policy_changed();
    if (server != nullptr) {
      server->replace_tls(std::move(*tls));
      server->replace_proxy_tls(std::move(*proxy_tls));
    }
    const bool noted =
        co_await loop.offload([&] { return keeper.event("policy-reloaded", fields).ok(); });
    std::cerr << (server != nullptr ? "hubgate: reloaded policy and certificate"
                                    : "hubgate: reloaded policy")
              << (noted ? "" : " (not logged)") << "\n";
  }
}

// Behind the loop. Requests that outlived the grace time hold on to what is on the stack of the
// caller, in an order that nobody knows. Store and workers are closed in order, the rest ends with
// the process; so does a scan that nobody waits for, and the store takes no harm from that.
[[noreturn]] void finish(Running& running) {
  // Pushes that are in the middle of something get the time that requests get.
  const auto until = std::chrono::steady_clock::now() + k_grace;
  while (running.hooks && running.hooks->guests() != 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const Result<void> noted = running.keeper->event("stop", {});
  const int code = noted ? exit_ok : complain(noted.error().message, exit_error);
  if (running.hooks && running.hooks->scans()) std::_Exit(code);
  running.hooks.reset();
  running.keeper.reset();
  running.pool.reset();
  std::_Exit(code);
}

// Returns only when it could not be started.
int run_hooks(Running& running) {
  Gatekeeper& keeper = *running.keeper;
  boost::json::object fields;
  fields["socket"] = running.hook_config.socket;
  fields["policy"] = keeper.policy().name();
  fields["version"] = engine_version();
  if (auto noted = keeper.event("start", fields); !noted)
    return complain(noted.error().message, exit_error);
  std::cerr << "hubgate: policy " + keeper.policy().name() + ", audit log in " +
                   (running.data / "audit").string() + "\n"
            << hooks_line(running.hook_config) << std::flush;
  Loop loop;
  loop.on_error = [](const std::string& what) { std::cerr << "hubgate: " << what << "\n"; };
  loop.spawn([&] { return obey_signals(running, loop, nullptr, nullptr); });
  loop.run();
  finish(running);
}

int run_proxy(Running& running) {
  const ServeConfig& config = running.config;
  const std::filesystem::path& data = running.data;
  Gatekeeper& keeper = *running.keeper;
  if (auto made = prepare_directory(data / "spool"); !made)
    return complain(made.error().message, exit_error);
  remove_old_packs(data / "spool");
  auto key = secret_key(data / "links.key");
  if (!key) return complain(key.error().message, exit_error);

  std::optional<OwnCertificate> own;
  auto server_tls = load_server_tls(config, data, own);
  if (!server_tls)
    return complain(server_tls.error().message,
                    config.tls == ServeConfig::Tls::files ? exit_usage : exit_error);
  auto client_tls = client_context(config.upstream_ca);
  if (!client_tls) return complain(client_tls.error().message, exit_usage);

  Loop loop;
  loop.on_error = [](const std::string& what) { std::cerr << "hubgate: " << what << "\n"; };
  Gate gate(loop, config, keeper, *running.pool, client_tls->get());
  gate.link_key = *key;
  gate.rules = keeper.store().rules();
  gate.spool_directory = data / "spool";
  std::unique_ptr<Cache> cache;
  if (config.cache.on) {
    auto opened = open_cache(config.cache, data);
    if (!opened) return complain(opened.error().message, exit_error);
    cache = std::move(*opened);
    gate.cache = cache.get();
  }
  Server server(gate, std::move(*server_tls));
  if (running.signer) {
    std::vector<Certificate> chain;
    if (auto cross = read_certificate(CaFiles(data / "ca").cross()))
      chain.push_back(std::move(cross));
    if (auto ready = server.intercept(*running.signer, std::move(chain)); !ready)
      return complain(ready.error().message, exit_usage);
  }
  auto proxy_tls = load_proxy_tls(config);
  if (!proxy_tls) return complain(proxy_tls.error().message, exit_usage);
  server.replace_proxy_tls(std::move(*proxy_tls));
  const bool tproxy = running.capture.tproxy;
  server.capture(std::move(running.capture));
  if (auto bound = server.bind(); !bound) return complain(bound.error().message, exit_error);
  boost::json::object fields;
  fields["upstream"] = config.upstream.origin.text();
  if (config.endpoint) fields["listen"] = server.address();
  if (config.proxy_listen) fields["proxy"] = server.proxy_address();
  if (config.transparent_listen) fields["transparent"] = server.transparent_address();
  if (running.hooks) fields["socket"] = running.hook_config.socket;
  fields["policy"] = keeper.policy().name();
  fields["version"] = engine_version();
  if (auto noted = keeper.event("start", fields); !noted)
    return complain(noted.error().message, exit_error);
  if (running.hooks) std::cerr << hooks_line(running.hook_config);
  say_hello(config, server, keeper, data, own, tproxy);
  server.start();
  loop.spawn([&] { return obey_signals(running, loop, &gate, &server); });
  loop.run();
  if (cache) cache->flush(); // what was kept last becomes an entry
  finish(running);
}

// The process that signs for intercepted hosts; before threads, and behind the workers' parent, so
// that no worker inherits the way to it. Makes the authority when there is none.
Result<void> start_signer(Running& running, Fd pin) {
  const ServeConfig& config = running.config;
  if (!config.proxy) return {};
  const CaFiles files(data_of(config) / "ca");
  const auto hosts = intercepted_hosts(config);
  if (!std::filesystem::exists(files.cert())) {
    if (auto made = prepare_directory(data_of(config)); !made) return made;
    if (auto made = make_ca(files, hosts); !made) return made;
    std::cerr << "hubgate: made an authority for intercepted hosts in " << files.dir.string()
              << "\n";
  }
  const CaFacts facts = HUBGATE_TRY(ca_facts(files.cert()));
  if (const auto missing = not_covered(facts, hosts); !missing.empty())
    return Error{files.cert().string() + ": the authority may not sign for " + missing.front() +
                 ", which is to be intercepted: hubgate ca rotate"};
  if (facts.expired) return Error{files.cert().string() + ": has expired: hubgate ca rotate"};
  running.signer = HUBGATE_TRY(Signer::start(files, hosts, std::move(pin)));
  return {};
}

int run_serve(const Flags& flags) {
  Running running;
  const bool hooks_alone = flags.config.empty() && !flags.socket.empty();
  auto config =
      hooks_alone ? config_from("socket: given\n", "defaults", flags) : load_config(flags);
  if (!config) return complain(config.error().message, exit_usage);
  running.config = std::move(*config);
  auto hook_config = load_hook_config(flags.config);
  if (!hook_config) return complain(hook_config.error().message, exit_usage);
  running.hook_config = std::move(*hook_config);
  if (!flags.socket.empty()) running.hook_config.socket = flags.socket;
  auto policy = Policy::named(running.config.policy);
  if (!policy) return complain(policy.error().message, exit_usage);
  Fd pin = Signer::hide_pin();
  // Before threads, sockets and keys: what a worker inherits, it has.
  auto pool = WorkerPool::start(all_formats(), {&xet::serve_decoding, &xet::serve_shard_reading});
  if (!pool) return complain(pool.error().message, exit_error);
  running.pool = std::move(*pool);
  std::signal(SIGPIPE, SIG_IGN);
  want_descriptors();
  if (auto signer = start_signer(running, std::move(pin)); !signer)
    return complain(signer.error().message, exit_error);
  if (running.config.transparent_listen) {
    auto bound = bind_captured(*running.config.transparent_listen);
    if (!bound) return complain(bound.error().message, exit_error);
    running.capture = std::move(*bound);
    drop_network_capabilities(); // before there are threads: each has its own
  }

  Gatekeeper::Options options{.data_dir = data_of(running.config),
                              .policy = std::move(*policy),
                              .rules = rules_digest(all_formats()),
                              .workers = running.pool.get()};
  running.data = std::filesystem::absolute(options.data_dir);
  auto keeper = Gatekeeper::open(std::move(options));
  if (!keeper) return complain(keeper.error().message, exit_error);
  running.keeper = std::move(*keeper);
  if (!running.hook_config.socket.empty()) {
    auto hooks = start_daemon(running.hook_config, running.config.policy, *running.keeper,
                              *running.pool, running.data);
    if (!hooks) return complain(hooks.error().message, exit_error);
    running.hooks = std::move(*hooks);
  }
  return running.config.upstream.target.empty() ? run_hooks(running) : run_proxy(running);
}

void set_up(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--listen", flags->listen, "HOST:PORT for clients (127.0.0.1:8443)");
  app.add_option("--upstream", flags->upstream, "URL of the hub, e.g. https://huggingface.co");
  app.add_option("--proxy", flags->proxy,
                 "HOST:PORT for clients with HTTPS_PROXY; hub hosts are opened, see hubgate ca");
  app.add_option("--transparent", flags->transparent,
                 "ADDRESS:PORT where the network redirects connections to (REDIRECT, TPROXY)");
  app.add_option("--tls", flags->tls,
                 "\"self-made\" (the default: an own certificate), or \"off\" on loopback");
  app.add_option("--tls-cert", flags->tls_cert, "certificate chain, PEM");
  app.add_option("--tls-key", flags->tls_key, "its private key, PEM");
  app.add_option("--upstream-ca", flags->upstream_ca,
                 "certificates to trust upstream, PEM (the system's store)");
  app.add_option("--data", flags->data, "directory of store, audit log, quarantine and spool");
  app.add_option("--policy", flags->policy, "preset (guarded, strict, audit) or file");
  app.add_option("--config", flags->config, "hubgate.yaml; flags go over it");
  app.add_option(
      "--socket", flags->socket,
      "PATH of a socket on which Git hooks are answered; then an upstream is not needed");
  app.add_option("--follow", flags->follow,
                 "host that the upstream may redirect to (*.example.org: all below); repeatable")
      ->expected(1);
  app.add_option("--cache", flags->cache,
                 "SIZE: keep what passes on disk, up to so many bytes, and serve it from there");
  app.add_option("--admin", flags->admin, "HOST:PORT for /healthz, /readyz and /metrics");
  app.add_option("--icap", flags->icap, "HOST:PORT where other proxies ask by ICAP");
  app.footer("SIGHUP reads the policy and the certificate again; SIGTERM ends when the running "
             "requests are answered.");
  app.callback([flags, &exit_code] { exit_code = run_serve(*flags); });
}

} // namespace

extern const Verb verb_serve;
const Verb verb_serve{"serve", "stand in front of a hub and scan what is pulled; answer Git hooks",
                      set_up};

} // namespace hubgate

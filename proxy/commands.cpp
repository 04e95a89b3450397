// `hubgate serve`: puts the parts together and runs them.
#include "policy/commands/verb.hpp"
#include "proxy/config.hpp"
#include "proxy/server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <openssl/rand.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sys/stat.h>
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
  if (config.tls == ServeConfig::Tls::off) return TlsContext{};
  if (config.tls == ServeConfig::Tls::files) return server_context(config.tls_cert, config.tls_key);
  auto made = own_certificate(data / "tls", config.listen.host);
  if (!made) return made.error();
  own = *made;
  return server_context(made->cert_file, made->key_file);
}

void say_hello(const ServeConfig& config, const Server& server, const Gatekeeper& keeper,
               const std::filesystem::path& data, const std::optional<OwnCertificate>& own) {
  const bool tls = config.tls != ServeConfig::Tls::off;
  const std::string url = !config.public_url.empty()
                              ? config.public_url
                              : (tls ? "https://" : "http://") + server.address();
  std::string text = "hubgate: listening on " + url + ", upstream " +
                     config.upstream.origin.text() + ", policy " + keeper.policy().name() + "\n";
  if (config.admin) text += "hubgate: admin pages on http://" + server.admin_address() + "\n";
  text += "hubgate: audit log in " + (data / "audit").string() + "\n";
  text += "hubgate: clients: export HF_ENDPOINT=" + url + "\n";
  if (own) {
    text += "hubgate: certificate " + own->cert_file + (own->made_now ? " (made now)" : "") +
            "\nhubgate: sha256 fingerprint " + own->fingerprint +
            "\nhubgate: to trust it: export SSL_CERT_FILE=" + own->cert_file +
            " (Python, Rust), NODE_EXTRA_CA_CERTS (Node), git config http.sslCAInfo; or copy it to "
            "/usr/local/share/ca-certificates/hubgate.crt and run update-ca-certificates\n";
  }
  std::cerr << text << std::flush;
}

// SIGTERM and SIGINT drain; SIGHUP reads policy and certificate again.
Task<void> obey_signals(Gate& gate, Server& server, std::filesystem::path data) {
  Loop& loop = gate.loop;
  Gatekeeper& keeper = gate.keeper;
  const ServeConfig& config = gate.config;
  asio::signal_set signals(loop.context(), SIGTERM, SIGINT, SIGHUP);
  for (;;) {
    auto [failed, number] = co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
    if (failed) co_return;
    if (number != SIGHUP) {
      std::cerr << "hubgate: ending: waiting for running requests\n";
      server.drain(k_grace);
      co_return;
    }
    std::optional<OwnCertificate> own;
    auto tls = load_server_tls(config, data, own);
    auto policy = co_await loop.offload([&] { return Policy::named(config.policy); });
    boost::json::object fields;
    std::string failure = !tls ? tls.error().message : !policy ? policy.error().message : "";
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
    gate.rules = keeper.store().rules();
    server.replace_tls(std::move(*tls));
    const bool noted =
        co_await loop.offload([&] { return keeper.event("policy-reloaded", fields).ok(); });
    std::cerr << "hubgate: reloaded policy and certificate" << (noted ? "" : " (not logged)")
              << "\n";
  }
}

Result<void> prepare_directory(const std::filesystem::path& dir) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (!failed) std::filesystem::permissions(dir, std::filesystem::perms::owner_all, failed);
  if (failed) return Error{dir.string() + ": " + failed.message()};
  return {};
}

int run_serve(const ServeFlags& flags) {
  auto config = load_config(flags);
  if (!config) return complain(config.error().message, exit_usage);
  auto policy = Policy::named(config->policy);
  if (!policy) return complain(policy.error().message, exit_usage);
  // Before threads, sockets and keys: what a worker inherits, it has.
  auto pool = WorkerPool::start(all_formats());
  if (!pool) return complain(pool.error().message, exit_error);
  std::signal(SIGPIPE, SIG_IGN);

  Gatekeeper::Options options{.data_dir = config->data.empty() ? default_data_dir() : config->data,
                              .policy = std::move(*policy),
                              .rules = rules_digest(all_formats()),
                              .workers = pool->get()};
  const std::filesystem::path data = options.data_dir;
  auto keeper = Gatekeeper::open(std::move(options));
  if (!keeper) return complain(keeper.error().message, exit_error);
  if (auto made = prepare_directory(data / "spool"); !made)
    return complain(made.error().message, exit_error);
  auto key = secret_key(data / "links.key");
  if (!key) return complain(key.error().message, exit_error);

  std::optional<OwnCertificate> own;
  auto server_tls = load_server_tls(*config, data, own);
  if (!server_tls)
    return complain(server_tls.error().message,
                    config->tls == ServeConfig::Tls::files ? exit_usage : exit_error);
  auto client_tls = client_context(config->upstream_ca);
  if (!client_tls) return complain(client_tls.error().message, exit_usage);

  Loop loop;
  loop.on_error = [](const std::string& what) { std::cerr << "hubgate: " << what << "\n"; };
  Gate gate(loop, *config, **keeper, **pool, client_tls->get());
  gate.link_key = *key;
  gate.rules = (*keeper)->store().rules();
  gate.spool_directory = data / "spool";
  gate.hub_name = config->upstream.origin.host;
  Server server(gate, std::move(*server_tls));
  if (auto bound = server.bind(); !bound) return complain(bound.error().message, exit_error);
  boost::json::object fields;
  fields["upstream"] = config->upstream.origin.text();
  fields["listen"] = server.address();
  fields["policy"] = (*keeper)->policy().name();
  fields["version"] = engine_version();
  if (auto noted = (*keeper)->event("start", fields); !noted)
    return complain(noted.error().message, exit_error);
  say_hello(*config, server, **keeper, data, own);
  server.start();
  loop.spawn([&] { return obey_signals(gate, server, data); });
  loop.run();
  const Result<void> noted = (*keeper)->event("stop", {});
  const int code = noted ? exit_ok : complain(noted.error().message, exit_error);
  // Requests that outlived the grace time hold on to what is on this stack, in an order that nobody
  // knows. Store and workers are closed in order, the rest ends with the process.
  keeper->reset();
  pool->reset();
  std::_Exit(code);
}

void set_up(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<ServeFlags>();
  app.add_option("--listen", flags->listen, "HOST:PORT for clients (127.0.0.1:8443)");
  app.add_option("--upstream", flags->upstream, "URL of the hub, e.g. https://huggingface.co");
  app.add_option("--tls", flags->tls,
                 "\"self-made\" (the default: an own certificate), or \"off\" on loopback");
  app.add_option("--tls-cert", flags->tls_cert, "certificate chain, PEM");
  app.add_option("--tls-key", flags->tls_key, "its private key, PEM");
  app.add_option("--upstream-ca", flags->upstream_ca,
                 "certificates to trust upstream, PEM (the system's store)");
  app.add_option("--data", flags->data, "directory of store, audit log, quarantine and spool");
  app.add_option("--policy", flags->policy, "preset (guarded, strict, audit) or file");
  app.add_option("--config", flags->config, "hubgate.yaml; flags go over it");
  app.add_option("--follow", flags->follow,
                 "host that the upstream may redirect to (*.example.org: all below); repeatable")
      ->expected(1);
  app.add_option("--admin", flags->admin, "HOST:PORT for /healthz, /readyz and /metrics");
  app.footer("SIGHUP reads the policy and the certificate again; SIGTERM ends when the running "
             "requests are answered.");
  app.callback([flags, &exit_code] { exit_code = run_serve(*flags); });
}

} // namespace

extern const Verb verb_serve;
const Verb verb_serve{"serve", "stand in front of a hub and scan what is pulled", set_up};

} // namespace hubgate

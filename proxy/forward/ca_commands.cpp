// `hubgate ca`: the authority that the forward proxy opens hub hosts with: made, shown, renewed,
// and looked for on the machines of people.
#include "policy/commands/verb.hpp"
#include "policy/gatekeeper.hpp"
#include "policy/private_dir.hpp"
#include "proxy/forward/ca_check.hpp"
#include "proxy/forward/forward.hpp"
#include "proxy/tls/ca_key.hpp"
#include "proxy/tls/signer.hpp"

#include <openssl/crypto.h>

#include <cstdlib>
#include <iostream>

namespace hubgate {

using namespace proxy;

namespace {

struct CaFlags {
  std::string data, config, out, ca, proxy, token;
  std::vector<std::string> reads;
  bool sockets = false;
};

struct Place {
  CaFiles files;
  std::vector<std::string> hosts; ///< that are intercepted
};

Result<Place> place_of(const CaFlags& flags) {
  ServeFlags serve;
  serve.config = flags.config;
  serve.data = flags.data;
  // What it listens on is the configuration's to say; what it opens must be known here.
  ServeConfig config;
  if (flags.config.empty()) {
    serve.proxy = "127.0.0.1:0";
    config = HUBGATE_TRY(config_from("{}\n", "defaults", serve));
  } else {
    config = HUBGATE_TRY(load_config(serve));
  }
  if (!config.proxy) return Error{flags.config + ": has no \"proxy:\""};
  const auto data = config.data.empty() ? default_data_dir() : config.data;
  return Place{CaFiles(data / "ca"), intercepted_hosts(config)};
}

// What the flags say of a token; nothing: they name none.
Result<std::optional<TokenPlace>> token_of(const CaFlags& flags) {
  if (flags.token.empty()) {
    if (!flags.reads.empty() || flags.sockets)
      return Error{"--module-reads and --module-sockets belong to --pkcs11"};
    return std::optional<TokenPlace>();
  }
  TokenPlace out;
  out.uri = HUBGATE_TRY(TokenUri::parse(flags.token));
  out.reads = flags.reads;
  out.sockets = flags.sockets;
  return std::optional<TokenPlace>(std::move(out));
}

// The gate's own way to the key, sandbox and all: what does not work is found out now.
Result<void> try_signer(const Place& place) {
  const auto token = HUBGATE_TRY(read_token_place(place.files));
  if (!token) return {};
  auto signer = Signer::start(place.files, place.hosts, Signer::hide_pin());
  if (!signer) return signer.error();
  return {};
}

using Make = Result<void> (*)(const CaFiles&, const std::vector<std::string>&, const KeyWish&);

Result<Place> make(const CaFlags& flags, Make how) {
  Place place = HUBGATE_TRY(place_of(flags));
  const auto token = HUBGATE_TRY(token_of(flags));
  if (auto owner = act_as_owner_of(place.files.dir); !owner) return owner.error();
  KeyWish wish;
  wish.token = token ? &*token : nullptr;
  const char* pin = std::getenv("HUBGATE_PKCS11_PIN");
  if (pin != nullptr) wish.pin = pin;
  auto made = how(place.files, place.hosts, wish);
  OPENSSL_cleanse(wish.pin.data(), wish.pin.size());
  if (!made) return made.error();
  return place;
}

int show(const CaFiles& files, const std::string& proxy) {
  const auto facts = ca_facts(files.cert());
  if (!facts) return complain(facts.error().message, exit_error);
  std::cout << "authority " << files.cert().string() << ", until " << facts->ends
            << "\nsha256 fingerprint " << facts->fingerprint << "\n";
  if (const auto place = read_token_place(files); place && *place)
    std::cout << "its key is in a token: " << (*place)->uri.text() << "\n";
  std::cout << "good for";
  for (const std::string& host: facts->hosts)
    std::cout << " " << host;
  std::cout << " and what is below them, and for nothing else\n\n"
            << instructions(files.cert().string(), proxy);
  return exit_ok;
}

// Shows a new authority, unless the gate could not use it.
int present(const Place& place, const CaFlags& flags) {
  if (auto tried = try_signer(place); !tried)
    return complain("the authority is made, but hubgate serve can't use it: " +
                        tried.error().message,
                    exit_error);
  return show(place.files, flags.proxy);
}

int init(const CaFlags& flags) {
  const auto place = make(flags, make_ca);
  if (!place) return complain(place.error().message, exit_error);
  return present(*place, flags);
}

int rotate(const CaFlags& flags) {
  const auto place = make(flags, rotate_ca);
  if (!place) return complain(place.error().message, exit_error);
  const auto before = ca_facts(place->files.previous());
  std::cout
      << "The new authority is signed by the one before, so machines that trust that one go on "
         "working; give them the new one (hubgate ca export) before " +
             std::string(before ? before->ends : "") + ". Restart hubgate serve.\n\n";
  return present(*place, flags);
}

int export_ca(const CaFlags& flags) {
  const auto place = place_of(flags);
  if (!place) return complain(place.error().message, exit_usage);
  const auto bundle = ca_bundle(place->files);
  if (!bundle) return complain(bundle.error().message, exit_error);
  if (flags.out.empty()) {
    std::cout << *bundle;
    return exit_ok;
  }
  const auto written = write_private(flags.out, 0644, [&](FILE* file) {
    return std::fwrite(bundle->data(), bundle->size(), 1, file) == 1 ? 1 : 0;
  });
  if (!written) return complain(written.error().message, exit_error);
  std::cout << instructions(flags.out, flags.proxy);
  return exit_ok;
}

int check(const CaFlags& flags) {
  std::string file = flags.ca;
  if (file.empty()) {
    const auto place = place_of(flags);
    if (!place) return complain(place.error().message, exit_usage);
    file = place->files.cert();
  }
  const auto facts = ca_facts(file);
  if (!facts)
    return complain(facts.error().message + " (--ca FILE: what hubgate ca export wrote)",
                    exit_error);
  bool missing = facts->expired;
  if (facts->expired) std::cout << "MISSING  the authority ended on " << facts->ends << "\n";
  for (const Check& one: check_machine(this_machine(), file, flags.proxy)) {
    const bool bad = one.state == Check::State::missing;
    missing = missing || bad;
    std::cout << (bad                             ? "MISSING  "
                  : one.state == Check::State::ok ? "ok       "
                                                  : "-        ")
              << one.what << ": " << one.detail << "\n";
    if (!one.remedy.empty()) std::cout << "         " << one.remedy << "\n";
  }
  return missing ? exit_found : exit_ok;
}

void set_up(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<CaFlags>();
  const auto verb = [&](const char* name, const char* what, int (*run)(const CaFlags&)) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("--data", flags->data, "directory of hubgate serve");
    sub->add_option("--config", flags->config, "hubgate.yaml: which hosts are intercepted");
    sub->add_option("--proxy", flags->proxy, "URL of the proxy, for the instructions");
    sub->callback([flags, run, &exit_code] { exit_code = run(*flags); });
    return sub;
  };
  const auto key_options = [&](CLI::App* sub) {
    sub->add_option("--pkcs11", flags->token,
                    "key in a token: pkcs11:token=T;object=KEY?module-path=FILE[&pin-source=FILE]");
    sub->add_option("--module-reads", flags->reads,
                    "file or directory that the module reads when it signs; may be repeated");
    sub->add_flag("--module-sockets", flags->sockets, "the module talks to a server when it signs");
  };
  key_options(verb("init", "make the authority, and say how machines are told of it", init));
  key_options(
      verb("rotate", "make a new one, signed by the one before; its old key is deleted", rotate));
  CLI::App* exported = verb("export", "write what machines must trust, PEM", export_ca);
  exported->add_option("--out", flags->out, "file; else standard output");
  CLI::App* checked = verb("check", "tell what this machine still lacks", check);
  checked->add_option("--ca", flags->ca, "the authority on this machine, PEM");
  app.require_subcommand(1);
}

} // namespace

extern const Verb verb_ca;
const Verb verb_ca{"ca", "the authority that intercepted hosts are opened with", set_up};

} // namespace hubgate

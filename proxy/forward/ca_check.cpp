#include "proxy/forward/ca_check.hpp"

#include <openssl/pem.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

namespace hubgate {

namespace {

using namespace proxy;

std::optional<std::string> read_text(const std::string& file) {
  std::ifstream in(file);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

// Whether a PEM bundle has the certificate in it.
bool holds(const std::string& bundle, X509* wanted) {
  const File file(std::fopen(bundle.c_str(), "re"));
  if (!file) return false;
  for (;;) {
    const Certificate one(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
    if (!one) {
      (void)openssl_error();
      return false;
    }
    if (X509_cmp(one.get(), wanted) == 0) return true;
  }
}

bool on_path(const Machine& machine, const std::string& program) {
  const std::string path = machine.variable("PATH");
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    std::error_code ignored;
    if (std::filesystem::exists(path.substr(begin, end - begin) + "/" + program, ignored))
      return true;
    begin = end + 1;
  }
  return false;
}

// A variable that names a bundle; where it is not set, the system's store counts if `falls_back`.
Check by_variable(const Machine& machine, X509* ca, const std::string& ca_file, std::string what,
                  const std::string& name, bool in_system, bool falls_back, bool adds) {
  Check out{Check::State::ok, std::move(what), "", ""};
  const std::string value = machine.variable(name);
  if (!value.empty()) {
    out.detail = name + "=" + value;
    if (holds(value, ca)) return out;
    out.state = Check::State::missing;
    out.detail += ", which does not hold the authority";
    out.remedy = adds ? "export " + name + "=" + ca_file : "cat " + ca_file + " >> " + value;
    return out;
  }
  if (falls_back && in_system) {
    out.detail = "the system's store";
    return out;
  }
  out.state = Check::State::missing;
  out.detail = name + " is not set";
  out.remedy = "export " + name + "=" + ca_file;
  return out;
}

// http.sslCAInfo of ~/.gitconfig, as far as it can be read without asking git.
std::string git_bundle(const std::string& text) {
  std::size_t begin = 0;
  bool http = false;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    std::transform(
        line.begin(),
        line.begin() + static_cast<std::ptrdiff_t>(std::min(line.find('='), line.size())),
        line.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (line.starts_with("[")) http = line.starts_with("[http]");
    if (!http || !line.starts_with("sslcainfo")) continue;
    const std::size_t at = line.find('=');
    if (at == std::string::npos) continue;
    std::string value = line.substr(at + 1);
    value.erase(0, std::min(value.find_first_not_of(" \t\""), value.size()));
    value.erase(std::min(value.find_last_not_of(" \t\"\r") + 1, value.size()));
    return value;
  }
  return {};
}

Check check_git(const Machine& machine, X509* ca, const std::string& ca_file, bool in_system) {
  Check out{Check::State::ok, "git, git-lfs", "the system's store", ""};
  std::string bundle = machine.variable("GIT_SSL_CAINFO");
  if (bundle.empty()) bundle = git_bundle(read_text(machine.home + "/.gitconfig").value_or(""));
  if (!bundle.empty()) out.detail = bundle;
  if (bundle.empty() ? in_system : holds(bundle, ca)) return out;
  out.state = Check::State::missing;
  out.detail =
      bundle.empty() ? "http.sslCAInfo is not set" : bundle + " does not hold the authority";
  out.remedy = "git config --global http.sslCAInfo " + ca_file;
  return out;
}

Check check_proxy(const Machine& machine, const std::string& proxy) {
  Check out{Check::State::ok, "HTTPS_PROXY", "", ""};
  std::string value = machine.variable("HTTPS_PROXY");
  if (value.empty()) value = machine.variable("https_proxy");
  // A password may stand in it.
  std::string shown = value;
  if (const std::size_t at = shown.rfind('@'); at != std::string::npos)
    shown = shown.substr(0, shown.find("://") + 3) + "...@" + shown.substr(at + 1);
  const std::string except =
      machine.variable(machine.variable("NO_PROXY").empty() ? "no_proxy" : "NO_PROXY");
  out.detail = shown;
  if (value.empty() ||
      (!proxy.empty() && value.find(proxy.substr(proxy.find("://") + 3)) == std::string::npos)) {
    out.state = Check::State::missing;
    out.detail = value.empty() ? "is not set" : shown + " is another proxy";
    out.remedy = "export HTTPS_PROXY=" + (proxy.empty() ? "http://GATE:PORT" : proxy);
  } else if (except.find("hf.co") != std::string::npos ||
             except.find("huggingface") != std::string::npos || except == "*") {
    out.state = Check::State::missing;
    out.detail = "NO_PROXY=" + except + " goes around the gate";
    out.remedy = "unset NO_PROXY no_proxy";
  }
  return out;
}

Check check_docker(const Machine& machine) {
  Check out{Check::State::ok, "Docker", "~/.docker/config.json names a proxy", ""};
  if (!on_path(machine, "docker")) return {Check::State::unused, out.what, "is not installed", ""};
  const std::string text = read_text(machine.home + "/.docker/config.json").value_or("");
  if (text.find("httpsProxy") != std::string::npos) return out;
  out.state = Check::State::missing;
  out.detail = "~/.docker/config.json names no proxies.default.httpsProxy";
  out.remedy = "proxies.default.httpsProxy there; in builds COPY the authority to "
               "/usr/local/share/ca-certificates/ and RUN update-ca-certificates";
  return out;
}

} // namespace

Machine this_machine() {
  Machine out;
  out.variable = [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
  out.home = out.variable("HOME");
  out.stores = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
  return out;
}

std::vector<Check> check_machine(const Machine& machine, const std::string& ca_file,
                                 const std::string& proxy) {
  const Certificate ca = read_certificate(ca_file);
  std::vector<Check> out;
  std::string store;
  for (const std::string& file: machine.stores) {
    std::error_code ignored;
    if (store.empty() && std::filesystem::exists(file, ignored)) store = file;
  }
  const bool in_system = !store.empty() && holds(store, ca.get());
  out.push_back(check_proxy(machine, proxy));
  out.push_back({in_system ? Check::State::ok : Check::State::missing, "system's store", store,
                 in_system ? ""
                           : "sudo cp " + ca_file +
                                 " /usr/local/share/ca-certificates/hubgate.crt && sudo "
                                 "update-ca-certificates"});
  const auto variable = [&](std::string what, const std::string& name, bool falls_back, bool adds) {
    out.push_back(by_variable(machine, ca.get(), ca_file, std::move(what), name, in_system,
                              falls_back, adds));
  };
  variable("Python (httpx: huggingface_hub), Rust, hf_xet", "SSL_CERT_FILE", true, false);
  if (on_path(machine, "python3"))
    variable("Python (requests, pip)", "REQUESTS_CA_BUNDLE", false, false);
  if (on_path(machine, "curl")) variable("curl", "CURL_CA_BUNDLE", true, false);
  if (on_path(machine, "node")) variable("Node", "NODE_EXTRA_CA_CERTS", false, true);
  if (on_path(machine, "git")) out.push_back(check_git(machine, ca.get(), ca_file, in_system));
  if (on_path(machine, "conda")) {
    const bool set =
        read_text(machine.home + "/.condarc").value_or("").find("ssl_verify:") != std::string::npos;
    out.push_back({set ? Check::State::ok : Check::State::missing, "conda",
                   set ? "ssl_verify is set" : "ssl_verify is not set",
                   set ? "" : "conda config --set ssl_verify " + ca_file});
  }
  if (on_path(machine, "java")) {
    const bool set = machine.variable("JAVA_TOOL_OPTIONS").find("trustStore") != std::string::npos;
    out.push_back(
        {set ? Check::State::ok : Check::State::missing, "Java",
         set ? "JAVA_TOOL_OPTIONS names a trust store" : "has a store of its own",
         set ? ""
             : "keytool -importcert -cacerts -noprompt -alias hubgate -storepass changeit -file " +
                   ca_file});
  }
  out.push_back(check_docker(machine));
  return out;
}

std::string instructions(const std::string& ca_file, const std::string& proxy) {
  const std::string url = proxy.empty() ? "http://GATE:PORT" : proxy;
  return "On each machine, with the authority as " + ca_file +
         ":\n"
         "  all tools      export HTTPS_PROXY=" +
         url +
         "\n"
         "  Debian, Ubuntu sudo cp " +
         ca_file +
         " /usr/local/share/ca-certificates/hubgate.crt && sudo update-ca-certificates\n"
         "  Red Hat, SUSE  sudo cp " +
         ca_file +
         " /etc/pki/ca-trust/source/anchors/hubgate.pem && sudo update-ca-trust\n"
         "  macOS          sudo security add-trusted-cert -d -r trustRoot -k "
         "/Library/Keychains/System.keychain " +
         ca_file +
         "\n"
         "  Windows        certutil -addstore Root " +
         ca_file +
         "\n"
         "  Python, Rust   export SSL_CERT_FILE=BUNDLE (replaces the system's store: a file with "
         "its certificates and this one)\n"
         "  requests, pip  export REQUESTS_CA_BUNDLE=BUNDLE\n"
         "  Node           export NODE_EXTRA_CA_CERTS=" +
         ca_file +
         "\n"
         "  git, git-lfs   git config --global http.sslCAInfo BUNDLE\n"
         "  Java           keytool -importcert -cacerts -noprompt -alias hubgate -storepass "
         "changeit -file " +
         ca_file +
         "\n"
         "  conda          conda config --set ssl_verify BUNDLE\n"
         "  Docker         builds: COPY it to /usr/local/share/ca-certificates/hubgate.crt, RUN "
         "update-ca-certificates;\n"
         "                 proxies.default.httpsProxy in ~/.docker/config.json\n"
         "BUNDLE: cat /etc/ssl/certs/ca-certificates.crt " +
         ca_file + " > bundle.pem\n";
}

} // namespace hubgate

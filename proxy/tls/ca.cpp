#include "proxy/tls/ca.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

constexpr long k_root_seconds = 3652L * 24 * 3600;
constexpr std::size_t k_max_common_name = 64;

// The names that constraints speak of: each covers what is below it.
std::vector<std::string> constraint_names(const std::vector<std::string>& hosts) {
  std::set<std::string> names;
  for (const std::string& host: hosts)
    names.insert(host.starts_with("*.") ? host.substr(2) : host);
  std::vector<std::string> out;
  for (const std::string& name: names) {
    const bool below = std::any_of(names.begin(), names.end(), [&](const std::string& other) {
      return name.size() > other.size() && name.ends_with("." + other);
    });
    if (!below) out.push_back(name);
  }
  return out;
}

std::string root_name() {
  std::array<char, 65> host{};
  gethostname(host.data(), host.size() - 1);
  std::array<char, 16> day{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(day.data(), day.size(), "%Y-%m-%d", &parts);
  // Two authorities must not have one name, or chains lead to the wrong one.
  std::array<unsigned char, 2> random{};
  RAND_bytes(random.data(), random.size());
  std::array<char, 8> mark{};
  std::snprintf(mark.data(), mark.size(), " %02x%02x", random[0], random[1]);
  const std::string end = std::string(" ") + day.data() + mark.data();
  return ("hubgate CA " + std::string(host.data())).substr(0, k_max_common_name - end.size()) + end;
}

bool extend_root(X509* certificate, X509* issuer, const std::vector<std::string>& hosts,
                 int below) {
  std::string names = "critical,excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::";
  for (const std::string& name: constraint_names(hosts))
    names += ",permitted;DNS:" + name;
  return add_extension(certificate, issuer, NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:" + std::to_string(below)) &&
         add_extension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
         add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
         add_extension(certificate, issuer, NID_name_constraints, names);
}

struct Root {
  Key key;
  Certificate certificate;
};

Result<Root> make_root(const std::vector<std::string>& hosts) {
  if (hosts.empty()) return Error{"an authority must be made for some host"};
  Root out;
  out.key.reset(EVP_EC_gen("P-256"));
  if (!out.key) return Error{"no key could be made: " + openssl_error()};
  out.certificate = blank_certificate(out.key.get(), k_root_seconds);
  if (!out.certificate) return Error{"no certificate could be made: " + openssl_error()};
  X509_NAME* name = X509_get_subject_name(out.certificate.get());
  set_common_name(name, root_name());
  X509_set_issuer_name(out.certificate.get(), name);
  if (!extend_root(out.certificate.get(), nullptr, hosts, 1) ||
      X509_sign(out.certificate.get(), out.key.get(), EVP_sha256()) == 0)
    return Error{"no certificate could be made: " + openssl_error()};
  return out;
}

// The new root once more, under the old one.
Result<Certificate> make_cross(const Root& root, X509* old, EVP_PKEY* old_key,
                               const std::vector<std::string>& hosts) {
  Certificate cross = blank_certificate(root.key.get(), k_root_seconds);
  if (!cross) return Error{"no certificate could be made: " + openssl_error()};
  X509_set_subject_name(cross.get(), X509_get_subject_name(root.certificate.get()));
  X509_set_issuer_name(cross.get(), X509_get_subject_name(old));
  X509_set1_notAfter(cross.get(), X509_get0_notAfter(old));
  if (!extend_root(cross.get(), old, hosts, 0) ||
      !add_extension(cross.get(), old, NID_authority_key_identifier, "keyid") ||
      X509_sign(cross.get(), old_key, EVP_sha256()) == 0)
    return Error{"no certificate could be made: " + openssl_error()};
  return cross;
}

Result<void> write_root(const CaFiles& files, const Root& root) {
  auto written = write_private(files.key(), 0600, [&](FILE* file) {
    return PEM_write_PrivateKey(file, root.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (!written) return written;
  return write_private(files.cert(), 0644,
                       [&](FILE* file) { return PEM_write_X509(file, root.certificate.get()); });
}

Result<Key> read_key(const CaFiles& files) {
  const File file(std::fopen(files.key().c_str(), "re"));
  if (!file) return Error{files.key().string() + ": can't be read: make one by: hubgate ca init"};
  struct stat status{};
  if (fstat(fileno(file.get()), &status) != 0 || (status.st_mode & 077) != 0)
    return Error{files.key().string() + ": others than its owner may read it: chmod 600"};
  Key key(PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr));
  if (!key) return Error{files.key().string() + ": no private key in PEM form"};
  return key;
}

std::optional<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

} // namespace

Result<void> make_ca(const CaFiles& files, const std::vector<std::string>& hosts) {
  std::error_code failed;
  std::filesystem::create_directories(files.dir, failed);
  if (failed) return Error{files.dir.string() + ": " + failed.message()};
  std::filesystem::permissions(files.dir, std::filesystem::perms::owner_all, failed);
  if (std::filesystem::exists(files.key()) || std::filesystem::exists(files.cert()))
    return Error{files.dir.string() +
                 ": has an authority already; to change it: hubgate ca rotate"};
  const Root root = HUBGATE_TRY(make_root(hosts));
  return write_root(files, root);
}

Result<void> rotate_ca(const CaFiles& files, const std::vector<std::string>& hosts) {
  const Key old_key = HUBGATE_TRY(read_key(files));
  const Certificate old = read_certificate(files.cert());
  if (!old) return Error{files.cert().string() + ": no certificate in PEM form"};
  const Root root = HUBGATE_TRY(make_root(hosts));
  const Certificate cross = HUBGATE_TRY(make_cross(root, old.get(), old_key.get(), hosts));
  auto written = write_private(files.previous(), 0644,
                               [&](FILE* file) { return PEM_write_X509(file, old.get()); });
  if (!written) return written;
  written = write_private(files.cross(), 0644,
                          [&](FILE* file) { return PEM_write_X509(file, cross.get()); });
  if (!written) return written;
  return write_root(files, root);
}

Result<CaFacts> ca_facts(const std::filesystem::path& path) {
  const Certificate certificate = read_certificate(path);
  if (!certificate) return Error{path.string() + ": no certificate in PEM form"};
  CaFacts out;
  out.fingerprint = fingerprint_of(certificate.get());
  const ASN1_TIME* end = X509_get0_notAfter(certificate.get());
  std::tm parts{};
  std::array<char, 16> day{};
  if (ASN1_TIME_to_tm(end, &parts) == 1) std::strftime(day.data(), day.size(), "%Y-%m-%d", &parts);
  out.ends = day.data();
  out.expired = X509_cmp_current_time(end) <= 0;
  const std::unique_ptr<NAME_CONSTRAINTS, Deleter<NAME_CONSTRAINTS_free>> constraints(
      static_cast<NAME_CONSTRAINTS*>(
          X509_get_ext_d2i(certificate.get(), NID_name_constraints, nullptr, nullptr)));
  const int count = constraints ? sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees) : 0;
  for (int i = 0; i < count; ++i) {
    const GENERAL_NAME* base = sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)->base;
    if (base->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(base->d.dNSName));
    out.hosts.emplace_back(text, static_cast<std::size_t>(ASN1_STRING_length(base->d.dNSName)));
  }
  return out;
}

Result<std::string> ca_bundle(const CaFiles& files) {
  auto text = read_text(files.cert());
  if (!text) return Error{files.cert().string() + ": there is no authority: hubgate ca init"};
  if (const auto facts = ca_facts(files.previous()); facts && !facts->expired)
    *text += read_text(files.previous()).value_or("");
  return *text;
}

std::vector<std::string> not_covered(const CaFacts& facts, const std::vector<std::string>& hosts) {
  std::vector<std::string> out;
  for (const std::string& host: hosts) {
    const std::string name = host.starts_with("*.") ? host.substr(2) : host;
    const bool covered =
        std::any_of(facts.hosts.begin(), facts.hosts.end(), [&](const std::string& permitted) {
          return name == permitted || name.ends_with("." + permitted);
        });
    if (!covered && !facts.hosts.empty()) out.push_back(host);
  }
  return out;
}

Result<Issuer> Issuer::open(const CaFiles& files) {
  Issuer out;
  out.key_ = HUBGATE_TRY(read_key(files));
  out.root_ = read_certificate(files.cert());
  if (!out.root_) return Error{files.cert().string() + ": no certificate in PEM form"};
  if (X509_check_private_key(out.root_.get(), out.key_.get()) != 1)
    return Error{files.key().string() + ": is not the key of " + files.cert().string()};
  return out;
}

Result<std::string> Issuer::issue(const std::string& host, std::string_view spki) const {
  const auto* at = reinterpret_cast<const unsigned char*>(spki.data());
  const Key key(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  if (!key) return Error{"no public key"};
  const Certificate leaf = blank_certificate(key.get(), k_leaf_seconds);
  if (!leaf) return Error{"no certificate could be made: " + openssl_error()};
  set_common_name(X509_get_subject_name(leaf.get()), host.substr(0, k_max_common_name));
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(root_.get()));
  const bool extended =
      add_extension(leaf.get(), root_.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(leaf.get(), root_.get(), NID_key_usage, "critical,digitalSignature") &&
      add_extension(leaf.get(), root_.get(), NID_ext_key_usage, "serverAuth") &&
      add_extension(leaf.get(), root_.get(), NID_authority_key_identifier, "keyid") &&
      add_extension(leaf.get(), root_.get(), NID_subject_alt_name, "DNS:" + host);
  if (!extended || X509_sign(leaf.get(), key_.get(), EVP_sha256()) == 0)
    return Error{"no certificate could be made: " + openssl_error()};
  unsigned char* der = nullptr;
  const int length = i2d_X509(leaf.get(), &der);
  if (length <= 0) return Error{"no certificate could be made: " + openssl_error()};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

} // namespace hubgate::proxy

#include "proxy/tls/ca.hpp"

#include "proxy/tls/ca_key.hpp"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

constexpr long k_root_seconds = 3652L * 24 * 3600;

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

Result<Certificate> make_root(const CaKey& key, const std::vector<std::string>& hosts) {
  if (hosts.empty()) return Error{"an authority must be made for some host"};
  Certificate out = blank_certificate(key.key(), k_root_seconds);
  if (!out) return Error{"no certificate could be made: " + openssl_error()};
  X509_NAME* name = X509_get_subject_name(out.get());
  set_common_name(name, root_name());
  X509_set_issuer_name(out.get(), name);
  if (!extend_root(out.get(), nullptr, hosts, 1))
    return Error{"no certificate could be made: " + openssl_error()};
  if (auto signed_ = key.sign(out.get()); !signed_) return signed_.error();
  return out;
}

// The new root once more, under the old one.
Result<Certificate> make_cross(X509* root, X509* old, const CaKey& old_key,
                               const std::vector<std::string>& hosts) {
  Certificate cross = blank_certificate(X509_get0_pubkey(root), k_root_seconds);
  if (!cross) return Error{"no certificate could be made: " + openssl_error()};
  X509_set_subject_name(cross.get(), X509_get_subject_name(root));
  X509_set_issuer_name(cross.get(), X509_get_subject_name(old));
  X509_set1_notAfter(cross.get(), X509_get0_notAfter(old));
  if (!extend_root(cross.get(), old, hosts, 0) ||
      !add_extension(cross.get(), old, NID_authority_key_identifier, "keyid"))
    return Error{"no certificate could be made: " + openssl_error()};
  if (auto signed_ = old_key.sign(cross.get()); !signed_) return signed_.error();
  return cross;
}

Result<void> write_root(const CaFiles& files, const std::optional<TokenPlace>& place,
                        const CaKey& key, X509* certificate) {
  auto written =
      place ? write_token_place(files, *place) : write_private(files.key(), 0600, [&](FILE* file) {
        return PEM_write_PrivateKey(file, key.key(), nullptr, nullptr, 0, nullptr, nullptr);
      });
  if (!written) return written;
  return write_private(files.cert(), 0644,
                       [&](FILE* file) { return PEM_write_X509(file, certificate); });
}

// After a rotation into a token. A key that somebody else made there is theirs to remove.
Result<void> forget_old_key(const CaFiles& files, const std::optional<TokenPlace>& old,
                            const std::string& pin) {
  std::error_code ignored;
  std::filesystem::remove(files.key(), ignored);
  if (!old || !old->made_here) return {};
  const CaKey key = HUBGATE_TRY(CaKey::in_token(old->uri, CaKey::Make::never, pin));
  return key.token()->destroy();
}

// The key of a new root, and where it is. A token's module is started once at a time: one key is
// closed before the next is opened.
Result<CaKey> new_key(const KeyWish& wish, std::optional<TokenPlace>& place) {
  if (wish.token == nullptr) return CaKey::make_in_memory();
  CaKey key = HUBGATE_TRY(CaKey::in_token(
      wish.token->uri, wish.another ? CaKey::Make::another : CaKey::Make::if_missing, wish.pin));
  place = *wish.token;
  place->uri = key.token()->uri();
  place->made_here = key.made_now();
  return key;
}

std::optional<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

} // namespace

Result<void> make_ca(const CaFiles& files, const std::vector<std::string>& hosts,
                     const KeyWish& wish) {
  std::error_code failed;
  std::filesystem::create_directories(files.dir, failed);
  if (failed) return Error{files.dir.string() + ": " + failed.message()};
  std::filesystem::permissions(files.dir, std::filesystem::perms::owner_all, failed);
  for (const auto& file: {files.key(), files.cert(), files.token()})
    if (std::filesystem::exists(file))
      return Error{files.dir.string() +
                   ": has an authority already; to change it: hubgate ca rotate"};
  std::optional<TokenPlace> place;
  const CaKey key = HUBGATE_TRY(new_key(wish, place));
  const Certificate root = HUBGATE_TRY(make_root(key, hosts));
  return write_root(files, place, key, root.get());
}

Result<void> rotate_ca(const CaFiles& files, const std::vector<std::string>& hosts,
                       const KeyWish& wish) {
  const Certificate old = read_certificate(files.cert());
  if (!old) return Error{files.cert().string() + ": no certificate in PEM form"};
  const auto old_place = HUBGATE_TRY(read_token_place(files));
  KeyWish here = wish;
  TokenPlace beside;
  if (old_place && wish.token == nullptr) { // another key of the same name in the same token
    beside = *old_place;
    beside.uri.id.clear();
    here.token = &beside;
    here.another = true;
  }
  std::optional<TokenPlace> place;
  Result<CaKey> key = new_key(here, place);
  if (!key) return key.error();
  if (EVP_PKEY_eq(key->key(), X509_get0_pubkey(old.get())) == 1)
    return Error{"that is the key of the authority which is to be replaced"};
  const Certificate root = HUBGATE_TRY(make_root(*key, hosts));
  if (place) key = HUBGATE_TRY(CaKey::make_in_memory()); // closes the token; not written
  Certificate cross;
  {
    const CaKey old_key = HUBGATE_TRY(CaKey::open(files, wish.pin));
    cross = HUBGATE_TRY(make_cross(root.get(), old.get(), old_key, hosts));
  }
  auto written = write_private(files.previous(), 0644,
                               [&](FILE* file) { return PEM_write_X509(file, old.get()); });
  if (!written) return written;
  written = write_private(files.cross(), 0644,
                          [&](FILE* file) { return PEM_write_X509(file, cross.get()); });
  if (!written) return written;
  written = write_root(files, place, *key, root.get());
  if (!written || !place) return written;
  return forget_old_key(files, old_place, wish.pin);
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

} // namespace hubgate::proxy

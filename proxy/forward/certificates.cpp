#include "proxy/forward/certificates.hpp"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_max_name = 200;
constexpr std::size_t k_max_groups = 64;

struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// As UTF-8; nothing when it is none, too long, or would forge lines of a log.
std::optional<std::string> text_of(const ASN1_STRING* string) {
  unsigned char* bytes = nullptr;
  const int length = ASN1_STRING_to_UTF8(&bytes, string);
  if (length < 0) return std::nullopt;
  std::string out(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  OPENSSL_free(bytes);
  const bool control = std::any_of(out.begin(), out.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (out.empty() || out.size() > k_max_name || control) return std::nullopt;
  return out;
}

using Texts = std::vector<std::optional<std::string>>;

Texts of_subject(x509_st* certificate, int nid) {
  Texts out;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  for (int at = X509_NAME_get_index_by_NID(subject, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, nid, at))
    out.push_back(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  return out;
}

Texts of_alternatives(x509_st* certificate, CertificateRules::User kind) {
  Texts out;
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_EMAIL && kind == CertificateRules::User::email)
      out.push_back(text_of(name->d.rfc822Name));
    if (name->type == GEN_URI && kind == CertificateRules::User::uri)
      out.push_back(text_of(name->d.uniformResourceIdentifier));
    if (name->type == GEN_DNS && kind == CertificateRules::User::dns)
      out.push_back(text_of(name->d.dNSName));
    if (name->type == GEN_OTHERNAME && kind == CertificateRules::User::upn &&
        OBJ_obj2nid(name->d.otherName->type_id) == NID_ms_upn &&
        name->d.otherName->value->type == V_ASN1_UTF8STRING)
      out.push_back(text_of(name->d.otherName->value->value.utf8string));
  }
  return out;
}

} // namespace

Result<Person> person_of(x509_st* certificate, const CertificateRules& rules) {
  static constexpr std::array<const char*, 5> k_kinds = {"common name", "e-mail address",
                                                         "user principal name", "URI", "DNS name"};
  const std::string kind = k_kinds[static_cast<std::size_t>(rules.user)];
  const bool common = rules.user == CertificateRules::User::cn;
  Texts users =
      common ? of_subject(certificate, NID_commonName) : of_alternatives(certificate, rules.user);
  if (users.size() != 1)
    return Error{"the certificate has " + std::string(users.empty() ? "no " : "more than one ") +
                 kind};
  if (!users[0]) return Error{"the " + kind + " of the certificate can't be read"};
  Person out;
  out.name = std::move(*users[0]);
  if (rules.groups == CertificateRules::Groups::none) return out;
  const bool units = rules.groups == CertificateRules::Groups::ou;
  Texts groups = of_subject(certificate, units ? NID_organizationalUnitName : NID_organizationName);
  if (groups.size() > k_max_groups) return Error{"the certificate names too many groups"};
  for (auto& group: groups) {
    if (!group) return Error{"a group of the certificate can't be read"};
    out.groups.push_back(std::move(*group));
  }
  return out;
}

} // namespace hubgate::proxy

#include "proxy/forward/certificates.hpp"

#include "proxy/tls/x509.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>

namespace hubgate::proxy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Rules = CertificateRules;

// A certificate that nobody signed: TLS has looked at that.
Certificate made(const std::vector<std::pair<const char*, std::string>>& subject,
                 const char* alternatives = nullptr) {
  Certificate out(X509_new());
  X509_NAME* name = X509_get_subject_name(out.get());
  for (const auto& [field, value]: subject)
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.data()),
                               static_cast<int>(value.size()), -1, 0);
  if (alternatives != nullptr) {
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives);
    EXPECT_NE(extension, nullptr);
    X509_add_ext(out.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  return out;
}

Rules rules(Rules::User user, Rules::Groups groups = Rules::Groups::ou) {
  Rules out;
  out.user = user;
  out.groups = groups;
  return out;
}

std::string name_in(const Certificate& certificate, Rules::User user) {
  const auto person = person_of(certificate.get(), rules(user));
  return person ? person->name : "error: " + person.error().message;
}

TEST(Certificates, name_a_user_and_groups) {
  const auto one = made({{"CN", "alice"}, {"OU", "research"}, {"OU", "gpu"}, {"O", "Example"}});
  const auto person = person_of(one.get(), rules(Rules::User::cn));
  ASSERT_TRUE(person) << person.error().message;
  EXPECT_EQ(person->name, "alice");
  EXPECT_THAT(person->groups, ElementsAre("research", "gpu"));
  EXPECT_THAT(person_of(one.get(), rules(Rules::User::cn, Rules::Groups::o))->groups,
              ElementsAre("Example"));
  EXPECT_THAT(person_of(one.get(), rules(Rules::User::cn, Rules::Groups::none))->groups, IsEmpty());
}

TEST(Certificates, name_users_beside_the_subject) {
  const auto one = made({{"CN", "Alice Example"}},
                        "email:alice@example.org,URI:spiffe://example.org/ns/a,DNS:ci.example.org,"
                        "otherName:msUPN;UTF8:alice@corp.example");
  EXPECT_EQ(name_in(one, Rules::User::email), "alice@example.org");
  EXPECT_EQ(name_in(one, Rules::User::uri), "spiffe://example.org/ns/a");
  EXPECT_EQ(name_in(one, Rules::User::dns), "ci.example.org");
  EXPECT_EQ(name_in(one, Rules::User::upn), "alice@corp.example");
}

TEST(Certificates, name_exactly_one_user) {
  EXPECT_THAT(name_in(made({{"O", "Example"}}), Rules::User::cn), HasSubstr("no common name"));
  EXPECT_THAT(name_in(made({{"CN", "a"}}), Rules::User::email), HasSubstr("no e-mail"));
  EXPECT_THAT(name_in(made({{"CN", "a"}, {"CN", "b"}}), Rules::User::cn), HasSubstr("more than"));
  EXPECT_THAT(name_in(made({{"CN", "a"}}, "email:a@x,email:b@x"), Rules::User::email),
              HasSubstr("more than"));
}

TEST(Certificates, forge_no_lines) {
  for (const std::string& name: {std::string("a\nb"), std::string("a\0b", 3), std::string("a\x7f")})
    EXPECT_THAT(name_in(made({{"CN", name}}), Rules::User::cn), HasSubstr("can't be read"));
  const auto group = made({{"CN", "a"}, {"OU", "x\ry"}});
  EXPECT_FALSE(person_of(group.get(), rules(Rules::User::cn)));
}

} // namespace
} // namespace hubgate::proxy

#include "proxy/tls/ca.hpp"
#include "proxy/tls/signer.hpp"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <sys/stat.h>
#include <unistd.h>

namespace hubgate::proxy {
namespace {

class CaFolder : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "hubgate-ca-XXXXXX";
    dir_ = mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // Whether a client that trusts `root` accepts `leaf` for `host`; "" or what is wrong.
  static std::string judged(X509* root, X509* leaf, const std::string& host, X509* between) {
    X509_STORE* store = X509_STORE_new();
    X509_STORE_add_cert(store, root);
    STACK_OF(X509)* chain = sk_X509_new_null();
    if (between) sk_X509_push(chain, between);
    X509_STORE_CTX* context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store, leaf, chain);
    X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), host.c_str(), host.size());
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    std::string out;
    if (X509_verify_cert(context) != 1)
      out = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
    X509_STORE_CTX_free(context);
    sk_X509_free(chain);
    X509_STORE_free(store);
    return out;
  }

  std::filesystem::path dir_;
};

TEST_F(CaFolder, is_good_for_its_hosts_and_for_nothing_else) {
  const CaFiles files(dir_ / "ca");
  ASSERT_TRUE(make_ca(files, {"hub.test", "*.cdn.test", "a.hub.test"}));
  EXPECT_FALSE(make_ca(files, {"hub.test"}));
  struct stat status{};
  ASSERT_EQ(stat(files.key().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const auto facts = ca_facts(files.cert());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->hosts, (std::vector<std::string>{"cdn.test", "hub.test"}));
  EXPECT_EQ(not_covered(*facts, {"b.hub.test", "x.cdn.test", "other.test"}),
            std::vector<std::string>{"other.test"});
  const auto signer = Signer::start(files, {"hub.test", "*.cdn.test", "evil.test"});
  ASSERT_TRUE(signer) << signer.error().message;
  const Certificate root = read_certificate(files.cert());
  for (const char* host: {"hub.test", "x.cdn.test"}) {
    const auto leaf = (*signer)->sign(host);
    ASSERT_TRUE(leaf) << leaf.error().message;
    EXPECT_EQ(judged(root.get(), leaf->get(), host, nullptr), "");
    EXPECT_NE(judged(root.get(), leaf->get(), "other.test", nullptr), "");
  }
  // What is not intercepted is not signed; what the root was not made for is not accepted.
  for (const char* host: {"other.test", "cdn.test", "hub.test,DNS:other.test", "Hub.test", "", "*",
                          "127.0.0.1", "hub.test\n"})
    EXPECT_FALSE((*signer)->sign(host)) << host;
  const auto evil = (*signer)->sign("evil.test");
  ASSERT_TRUE(evil);
  EXPECT_EQ(judged(root.get(), evil->get(), "evil.test", nullptr), "permitted subtree violation");
}

TEST_F(CaFolder, a_rotated_one_is_trusted_by_those_who_trust_the_old_one) {
  const CaFiles files(dir_ / "ca");
  ASSERT_TRUE(make_ca(files, {"hub.test"}));
  const Certificate old = read_certificate(files.cert());
  ASSERT_TRUE(rotate_ca(files, {"hub.test"}));
  const Certificate root = read_certificate(files.cert());
  const Certificate cross = read_certificate(files.cross());
  EXPECT_NE(fingerprint_of(old.get()), fingerprint_of(root.get()));
  const auto signer = Signer::start(files, {"hub.test"});
  ASSERT_TRUE(signer);
  const auto leaf = (*signer)->sign("hub.test");
  ASSERT_TRUE(leaf);
  EXPECT_EQ(judged(root.get(), leaf->get(), "hub.test", cross.get()), "");
  EXPECT_EQ(judged(old.get(), leaf->get(), "hub.test", cross.get()), "");
  EXPECT_NE(judged(old.get(), leaf->get(), "hub.test", nullptr), "");
}

TEST_F(CaFolder, a_key_that_others_can_read_is_not_used) {
  const CaFiles files(dir_ / "ca");
  ASSERT_TRUE(make_ca(files, {"hub.test"}));
  ASSERT_EQ(chmod(files.key().c_str(), 0640), 0);
  const auto signer = Signer::start(files, {"hub.test"});
  ASSERT_FALSE(signer);
  EXPECT_NE(signer.error().message.find("chmod 600"), std::string::npos);
}

TEST_F(CaFolder, a_dead_signer_is_an_error) {
  const CaFiles files(dir_ / "ca");
  ASSERT_TRUE(make_ca(files, {"hub.test"}));
  const auto signer = Signer::start(files, {"hub.test"});
  ASSERT_TRUE(signer);
  ASSERT_EQ(kill((*signer)->pid(), SIGKILL), 0);
  const auto leaf = (*signer)->sign("hub.test");
  ASSERT_FALSE(leaf);
  EXPECT_EQ(leaf.error().message, "the signer has ended");
}

} // namespace
} // namespace hubgate::proxy

#include "proxy/config.hpp"

#include <gmock/gmock.h>

namespace hubgate::proxy {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

ServeFlags flags() {
  ServeFlags out;
  out.upstream = "https://huggingface.co";
  return out;
}

std::string problem(std::string_view yaml, const ServeFlags& given = flags()) {
  const auto config = config_from(yaml, "hubgate.yaml", given);
  return config ? "none" : config.error().message;
}

TEST(Config, needs_nothing_but_an_upstream) {
  const auto config = config_from("{}\n", "defaults", flags());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen.port, 8443);
  EXPECT_EQ(config->tls, ServeConfig::Tls::self_made);
  EXPECT_EQ(config->packs, ServeConfig::Packs::scan);
  EXPECT_THAT(config->follow, Contains("cdn-lfs.huggingface.co"));
  EXPECT_THAT(problem("{}\n", ServeFlags{}), HasSubstr("--upstream"));
}

TEST(Config, the_cache_is_off_unless_it_is_asked_for) {
  EXPECT_FALSE(config_from("{}\n", "defaults", flags())->cache.on);
  const auto plain = config_from("cache: {}\n", "hubgate.yaml", flags());
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_TRUE(plain->cache.on);
  EXPECT_FALSE(plain->cache.offline);
  EXPECT_EQ(plain->cache.size, std::uint64_t{100} << 30);
  ServeFlags given = flags();
  given.cache = "2GiB";
  const auto config =
      config_from("cache: {path: /var/c, size: 1GiB, offline: true}\n", "hubgate.yaml", given);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->cache.path, "/var/c");
  EXPECT_EQ(config->cache.size, std::uint64_t{2} << 30);
  EXPECT_TRUE(config->cache.offline);
  EXPECT_THAT(problem("cache: {size: 12}\n"), HasSubstr("at least 1MiB"));
  EXPECT_THAT(problem("cache: {sise: 1GiB}\n"), HasSubstr("size"));
  given.cache = "lots";
  EXPECT_THAT(problem("{}\n", given), HasSubstr("--cache"));
}

TEST(Config, is_read_and_flags_go_over_it) {
  ServeFlags given = flags();
  given.listen = "127.0.0.1:1";
  given.follow = {"*.a.example"};
  const auto config = config_from("listen: 127.0.0.1:9\n"
                                  "admin: '[::1]:10'\n"
                                  "upstream: https://hub.example\n"
                                  "follow: [cdn.example]\n"
                                  "git:\n  packs: pass\n"
                                  "trickle: 2s\n"
                                  "xet: terminate\n"
                                  "limits:\n  spool: 1GiB\n  stall: 5s\n  scans: 7\n",
                                  "hubgate.yaml", given);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen.port, 1);
  EXPECT_EQ(config->admin->host, "::1");
  EXPECT_EQ(config->upstream.origin.host, "huggingface.co");
  EXPECT_THAT(config->follow, AllOf(Contains("cdn.example"), Contains("*.a.example")));
  EXPECT_EQ(config->packs, ServeConfig::Packs::pass);
  EXPECT_EQ(config->xet, ServeConfig::Xet::terminate);
  EXPECT_EQ(config->limits.spool, std::uint64_t{1} << 30);
  EXPECT_EQ(config->limits.scans, 7u);
  EXPECT_EQ(config->trickle.count(), 2000);
}

TEST(Config, says_in_one_line_what_is_wrong) {
  EXPECT_THAT(problem("listne: a\n"), AllOf(HasSubstr("hubgate.yaml:1"), HasSubstr("listen")));
  EXPECT_THAT(problem("listen: nowhere\n"), AllOf(HasSubstr("listen"), HasSubstr("HOST:PORT")));
  EXPECT_THAT(problem("git:\n  packs: yes please\n"), HasSubstr("packs"));
  EXPECT_THAT(problem("limits:\n  scans: 0\n"), HasSubstr("scans"));
  EXPECT_THAT(problem("trickle: 60s\n"), HasSubstr("trickle"));
  EXPECT_THAT(problem("follow: [https://x/]\n"), HasSubstr("host"));
  EXPECT_THAT(problem("upstream: ftp://x\n"), HasSubstr("http"));
  for (const char* address: {"x", "x:", "x:99999", "::1:80", "x:-1"}) {
    ServeFlags given = flags();
    given.listen = address;
    EXPECT_THAT(problem("{}\n", given), HasSubstr("--listen")) << address;
  }
}

TEST(Config, listens_for_what_it_is_told_to) {
  const auto given = [](const char* text, const ServeFlags& more = {}) {
    auto config = config_from(text, "hubgate.yaml", more);
    EXPECT_TRUE(config) << config.error().message;
    return std::pair(config->proxy_listen ? config->proxy_listen->port : 0,
                     config->transparent_listen ? config->transparent_listen->port : 0);
  };
  EXPECT_EQ(given("proxy: {default: refuse}\n"), std::pair(3128, 0));
  EXPECT_EQ(given("proxy: {transparent: '[::]:3129'}\n"), std::pair(0, 3129));
  EXPECT_EQ(given("proxy: {listen: ':1', transparent: ':2'}\n"), std::pair(1, 2));
  ServeFlags more;
  more.transparent = "[::]:7";
  EXPECT_EQ(given("{}\n", more), std::pair(0, 7));
  EXPECT_EQ(given("proxy: {listen: ':1', transparent: ':2'}\n", more), std::pair(1, 7));
  EXPECT_THAT(problem("proxy: {transparent: nowhere}\n"), HasSubstr("transparent"));
}

TEST(Config, asks_for_certificates_under_tls_only) {
  const std::string tls = "  tls: {cert: a, key: b}\n";
  const std::string auth = "  auth: {certificates: {ca: c, user: email, groups: o}}\n";
  const auto config = config_from("proxy:\n" + tls + auth, "hubgate.yaml", {});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->proxy->certificates.user, CertificateRules::User::email);
  EXPECT_EQ(config->proxy->certificates.groups, CertificateRules::Groups::o);
  EXPECT_THAT(problem("proxy:\n" + auth), HasSubstr("tls"));
  EXPECT_THAT(problem("proxy:\n  tls: {cert: a}\n"), HasSubstr("key"));
  EXPECT_THAT(problem("proxy:\n" + tls + "  auth: {certificates: {user: cn}}\n"),
              HasSubstr("authorities"));
  EXPECT_THAT(problem("proxy:\n" + tls + "  auth: {}\n"), HasSubstr("certificates"));
}

TEST(Config, keeps_plain_http_on_loopback) {
  ServeFlags given = flags();
  given.tls = "off";
  EXPECT_EQ(problem("{}\n", given), "none");
  given.listen = "0.0.0.0:80";
  EXPECT_THAT(problem("{}\n", given), HasSubstr("loopback"));
  given.tls = "maybe";
  EXPECT_THAT(problem("{}\n", given), HasSubstr("--tls"));
  given = flags();
  given.tls_cert = "a.pem";
  EXPECT_THAT(problem("{}\n", given), HasSubstr("--tls-key"));
}

} // namespace
} // namespace hubgate::proxy

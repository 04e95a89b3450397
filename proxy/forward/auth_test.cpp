#include "proxy/forward/auth.hpp"
#include "proxy/forward/config.hpp"

#include "policy/yaml.hpp"

#include <crypt.h>
#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

std::string hash_of(const char* password, const char* salt) {
  crypt_data data{};
  return crypt_r(password, salt, &data);
}

TEST(Users, are_checked_by_their_hash) {
  const std::string text = "# people\n\nalice:" + hash_of("p:w", "$6$salt$") +
                           ":research, staff\nbob:" + hash_of("x", "$5$salt$") + "\r\n";
  const auto users = Users::parse(text, "users");
  ASSERT_TRUE(users) << users.error().message;
  const auto alice = users->check("alice", "p:w");
  ASSERT_TRUE(alice);
  EXPECT_EQ(alice->groups, (std::vector<std::string>{"research", "staff"}));
  EXPECT_TRUE(users->check("bob", "x"));
  EXPECT_FALSE(users->check("alice", "x"));
  EXPECT_FALSE(users->check("alice", ""));
  EXPECT_FALSE(users->check("carol", "x"));
  EXPECT_FALSE(users->check("ALICE", "p:w"));
}

TEST(Users, weak_hashes_and_broken_lines_are_errors) {
  for (const char* line:
       {"alice", ":x", "alice:plain", "alice:$1$salt$hashhashhashhashhashha", "alice:$6$",
        "alice:aaTcUGnSaIbQg", "alice:$apr1$x$aaaaaaaaaaaaaaaaaaaaaa"}) {
    const auto users = Users::parse("# one\n" + std::string(line), "users");
    ASSERT_FALSE(users) << line;
    EXPECT_EQ(users.error().message.substr(0, 8), "users:2:");
  }
  const std::string one = "a:" + hash_of("x", "$5$salt$") + "\n";
  EXPECT_FALSE(Users::parse(one + one, "users"));
}

TEST(Credentials, basic_in_one_reading) {
  const auto both = basic_credentials("Basic YWxpY2U6cDp3"); // alice:p:w
  ASSERT_TRUE(both);
  EXPECT_EQ(both->first, "alice");
  EXPECT_EQ(both->second, "p:w");
  EXPECT_EQ(basic_credentials("bAsIc YTo=")->second, "");
  for (const char* field: {"", "Basic", "Basic ", "Bearer YTo=", "Basic YTo", "Basic !!!!",
                           "Basic YWxpY2U=", "Basic OnB3", "Basic YQ06Yg=="})
    EXPECT_FALSE(basic_credentials(field)) << field;
  EXPECT_FALSE(basic_credentials("Basic " + std::string(8000, 'A')));
}

TEST(Helper, answers) {
  EXPECT_FALSE(helper_groups(""));
  EXPECT_FALSE(helper_groups("ERR"));
  EXPECT_FALSE(helper_groups("OKAY"));
  EXPECT_FALSE(helper_groups("BH message=broken"));
  EXPECT_TRUE(helper_groups("OK")->empty());
  EXPECT_EQ(*helper_groups("OK group=a tag=x group=\"b\""), (std::vector<std::string>{"a", "b"}));
}

OutwardConfig outward(const std::string& text, std::string& error) {
  OutwardConfig config;
  auto document = yaml::parse(text, "file");
  auto top = document.top();
  read_outward(top, config);
  top.finish();
  if (const auto first = document.first_error()) error = first->message;
  return config;
}

TEST(Outward, who_is_asked_through_the_proxy) {
  std::string error;
  const auto config = outward("upstream_proxy: http://me:p%40ss@proxy.example.org:3128\n"
                              "no_proxy: [\"*.intern.example.org\"]\nresolve: {a.test: 192.0.2.1, "
                              "b.test: \"192.0.2.1:8443\"}\n",
                              error);
  EXPECT_EQ(error, "");
  ASSERT_TRUE(config.proxy);
  EXPECT_EQ(config.proxy->host, "proxy.example.org");
  EXPECT_EQ(config.proxy->authorization, "Basic bWU6cEBzcw=="); // me:p@ss
  EXPECT_TRUE(goes_through(config, "huggingface.co"));
  EXPECT_FALSE(goes_through(config, "hub.intern.example.org"));
  EXPECT_FALSE(goes_through(config, "localhost"));
  EXPECT_FALSE(goes_through(config, "a.test"));
  EXPECT_EQ(config.resolve.at("b.test").port, 8443);
}

TEST(Outward, errors_do_not_repeat_passwords) {
  for (const char* wrong: {"https://me:secret@proxy:1", "http://me:secret@proxy", "me:secret@:1"}) {
    std::string error;
    (void)outward("upstream_proxy: \"" + std::string(wrong) + "\"\n", error);
    EXPECT_NE(error, "") << wrong;
    EXPECT_EQ(error.find("secret"), std::string::npos) << error;
  }
  std::string error;
  (void)outward("resolve: {A.test: 192.0.2.1}\n", error);
  EXPECT_NE(error, "");
}

} // namespace
} // namespace hubgate::proxy

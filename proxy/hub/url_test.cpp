#include "proxy/hub/follow.hpp"
#include "proxy/hub/url.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

namespace ip = boost::asio::ip;

TEST(Target, is_decoded_once) {
  const auto target = parse_target("/ns/name/resolve/main/a%20b/c%C3%A9.bin?x=%2F");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path(4), "a b/c\xc3\xa9.bin");
  EXPECT_EQ(target->query, "x=%2F");
  EXPECT_EQ(query_value(target->query, "x"), "/");
}

TEST(Target, that_can_be_read_in_two_ways_is_refused) {
  for (const char* text: {"/a/../b",
                          "/a/./b",
                          "/a/%2e%2e/b",
                          "/a/%2E/b",
                          "/a%2Fb",
                          "/a%2fb",
                          "/a/%252e%252e/b",
                          "/a/%2525",
                          "//a",
                          "/a//b",
                          "/a/%00",
                          "/a/%0a",
                          "/a/%7f",
                          "/a/%zz",
                          "/a/%2",
                          "/a\\b",
                          "/a%5cb",
                          "a",
                          "",
                          "*",
                          "/a#b",
                          "/a b",
                          "http://x/a",
                          "/refs%2F..%2Fmain",
                          "/refs%2F",
                          "/a\xff",
                          "/%c0%ae%c0%ae/x",
                          "/%e0%80%ae",
                          "/%ed%a0%80",
                          "/%f4%90%80%80",
                          "/%e4%bd"})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(Target, may_hold_any_letters) {
  for (const char* text: {"/%C3%A4", "/\xc3\xa4", "/%e4%bd%a0%e5%a5%bd", "/%f0%9f%a4%97.bin"})
    EXPECT_TRUE(parse_target(text)) << text;
}

TEST(Target, may_name_a_revision_with_slashes) {
  const auto target = parse_target("/ns/name/resolve/refs%2Fpr%2F1/a.bin");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments[3], "refs/pr/1");
  for (const char* text: {"/ns/name/resolve/feature%2Fx/a.bin", "/name/raw/feature%2fx/a.bin",
                          "/datasets/ns/name/tree/a%2Fb%2Fc", "/api/models/ns/name/commit/a%2Fb",
                          "/api/models/ns/name/branch/a%2Fb"})
    EXPECT_TRUE(parse_target(text)) << text;
  EXPECT_EQ(parse_target("/ns/name/resolve/feature%2Fx/a.bin")->segments[3], "feature/x");
  // Only there, and only what is a path.
  for (const char* text: {"/ns/name/resolve/main/a%2Fb", "/ns%2Fname/resolve/main/a",
                          "/ns/name/resolve/main/resolve/a%2Fb", "/ns/name/resolve/a%2F..%2Fb/c",
                          "/ns/name/resolve/%2Fa/c", "/ns/name/resolve/a%2F/c", "/resolve/a%2Fb",
                          "/ns/name/resolve/a%2F%2Fb/c", "/ns/name/resolve/a%252Fb/c",
                          "/ns/name/resolve/..%2Fb/c", "/ns/name/info/a%2Fb"})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(Url, has_one_origin) {
  const auto url = parse_url("HTTPS://HuggingFace.co.:443/a?b#c");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->origin.text(), "https://huggingface.co");
  EXPECT_EQ(url->target, "/a?b");
  EXPECT_EQ(url->without_query(), "https://huggingface.co/a");
  EXPECT_EQ(parse_url("http://[::1]:81")->origin.text(), "http://[::1]:81");
  for (const char* text: {"ftp://a/", "//a/", "https://", "https://u@a/", "https://a:0/",
                          "https://a:x/", "https://a:70000/", "https://a b/", "https://a\r\n/",
                          "https://[::1/", "https:///a", "https://a%2fb/", "javascript:alert(1)"})
    EXPECT_FALSE(parse_url(text)) << text;
}

TEST(Follow, goes_to_configured_hosts_only) {
  FollowRules rules;
  rules.upstream = parse_url("https://hub.example")->origin;
  rules.hosts = {"cdn.example", "*.store.example"};
  const auto followed = [&](const char* text) { return !rules.refusal(*parse_url(text)); };
  EXPECT_TRUE(followed("https://hub.example/x"));
  EXPECT_TRUE(followed("https://cdn.example/x"));
  EXPECT_TRUE(followed("https://a.b.store.example/x"));
  EXPECT_FALSE(followed("https://store.example/x"));
  EXPECT_FALSE(followed("https://evilstore.example/x"));
  EXPECT_FALSE(followed("https://hub.example:8443/x"));
  EXPECT_FALSE(followed("http://cdn.example/x"));
  EXPECT_FALSE(followed("https://127.0.0.1/x"));
  EXPECT_FALSE(followed("https://cdn.example.evil/x"));
}

TEST(Follow, stays_on_loopback_when_the_upstream_is_there) {
  FollowRules rules;
  rules.upstream = parse_url("http://127.0.0.1:8000")->origin;
  EXPECT_FALSE(rules.refusal(*parse_url("http://127.0.0.1:9000/x")));
  EXPECT_FALSE(rules.refusal(*parse_url("http://localhost:9000/x")));
  EXPECT_TRUE(rules.refusal(*parse_url("http://10.0.0.1/x")));
  EXPECT_TRUE(rules.refusal(*parse_url("http://127.0.0.1.evil.example/x")));
}

TEST(Follow, judges_addresses_by_how_near_they_are) {
  const auto kind = [](const char* text) { return reachability(ip::make_address(text)); };
  for (const char* text: {"127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"})
    EXPECT_EQ(kind(text), Reachability::loopback) << text;
  for (const char* text:
       {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "fc00::1", "fe80::1", "ff02::1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "::ffff:169.254.169.254"})
    EXPECT_EQ(kind(text), Reachability::local) << text;
  for (const char* text: {"8.8.8.8", "172.32.0.1", "2606:4700::1"})
    EXPECT_EQ(kind(text), Reachability::global) << text;
  FollowRules rules;
  rules.upstream = parse_url("https://hub.example")->origin;
  const Origin cdn = parse_url("https://cdn.example")->origin;
  const auto metadata = ip::make_address("169.254.169.254");
  EXPECT_FALSE(address_allowed(rules, cdn, metadata, Reachability::global));
  EXPECT_TRUE(address_allowed(rules, rules.upstream, metadata, Reachability::global));
  EXPECT_TRUE(address_allowed(rules, cdn, ip::make_address("10.0.0.1"), Reachability::local));
  EXPECT_FALSE(address_allowed(rules, cdn, ip::make_address("127.0.0.1"), Reachability::local));
}

} // namespace
} // namespace hubgate::proxy

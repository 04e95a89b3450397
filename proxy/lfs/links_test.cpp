#include "proxy/lfs/links.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

constexpr std::string_view k_key = "0123456789abcdef0123456789abcdef";

LfsLink sample() {
  LfsLink link;
  link.url = "https://store.example/o?X-Signature=abc&x=1";
  link.fields.add("Authorization", "Basic abc");
  link.user = "token:01234567";
  link.hub = "hub.example";
  link.repo = "ns/name";
  link.oid = sha256(as_bytes("x"));
  link.size = 123;
  link.expires = 1000;
  return link;
}

Result<LfsLink> read(const std::string& text, std::string_view key = k_key,
                     std::int64_t now = 999) {
  auto target = parse_target(text);
  if (!target) return target.error();
  return read_link(*target, key, now);
}

TEST(Links, carry_what_the_batch_answer_said) {
  const auto link = read(make_link(sample(), k_key));
  ASSERT_TRUE(link) << link.error().message;
  EXPECT_EQ(link->url, sample().url);
  EXPECT_EQ(link->fields.get("authorization"), "Basic abc");
  EXPECT_EQ(link->user, "token:01234567");
  EXPECT_EQ(link->hub, "hub.example");
  EXPECT_EQ(link->repo, "ns/name");
  EXPECT_EQ(link->oid, sample().oid);
  EXPECT_EQ(link->size, 123u);
}

TEST(Links, expire) {
  EXPECT_FALSE(read(make_link(sample(), k_key), k_key, 1000));
}

TEST(Links, of_another_gate_are_refused) {
  EXPECT_FALSE(read(make_link(sample(), "another key"), k_key));
}

TEST(Links, changed_in_any_character_are_refused) {
  const std::string good = make_link(sample(), k_key);
  for (std::size_t i = good.find("lfs/") + 4; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    // The last character of base64 may hold bits that mean nothing.
    if (changed[i] == good[i] || i + 1 == good.size() || i + 1 == good.find("&s=")) continue;
    EXPECT_FALSE(read(changed)) << i;
  }
}

TEST(Links, name_one_object_only) {
  LfsLink other = sample();
  other.oid = sha256(as_bytes("y"));
  std::string text = make_link(sample(), k_key);
  text.replace(text.find(hex(sample().oid)), 64, hex(other.oid));
  EXPECT_FALSE(read(text));
}

TEST(Links, encode_every_byte) {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
    EXPECT_EQ(from_base64url(base64url(all)), all);
  }
  EXPECT_FALSE(from_base64url("a+b"));
}

} // namespace
} // namespace hubgate::proxy

#include "proxy/cas/ticket.hpp"

#include <gmock/gmock.h>

namespace hubgate::proxy {
namespace {

using testing::HasSubstr;

CasTicket example() {
  CasTicket out;
  out.write = true;
  out.cas = "https://cas.example.org";
  out.token = "secret-of-the-cas";
  out.user = "token:12345678";
  out.name = "token:12345678";
  out.repo = "datasets/a/b";
  out.expires = 1000;
  return out;
}

TEST(Ticket, ComesBackAsItWas) {
  const std::string text = seal_ticket(example(), "key");
  EXPECT_EQ(text.find("secret"), std::string::npos);
  const auto back = open_ticket(text, "key", 999);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(back->write);
  EXPECT_EQ(back->cas, "https://cas.example.org");
  EXPECT_EQ(back->token, "secret-of-the-cas");
  EXPECT_EQ(back->user, "token:12345678");
  EXPECT_EQ(back->repo, "datasets/a/b");
  EXPECT_EQ(back->expires, 1000);
}

TEST(Ticket, NoTwoAreTheSame) {
  EXPECT_NE(seal_ticket(example(), "key"), seal_ticket(example(), "key"));
}

TEST(Ticket, IsForOneUse) {
  CasTicket link = example();
  link.use = "file";
  link.file = "ab";
  link.path = "a/b.bin";
  link.size = 7;
  const std::string text = seal_ticket(link, "key");
  EXPECT_FALSE(open_ticket(text, "key", 1));
  EXPECT_FALSE(open_ticket(seal_ticket(example(), "key"), "key", 1, "file"));
  const auto back = open_ticket(text, "key", 1, "file");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->file, "ab");
  EXPECT_EQ(back->path, "a/b.bin");
  EXPECT_EQ(back->size, 7u);
}

TEST(Ticket, SessionsAreOfTheirFileAndKey) {
  CasTicket other = example();
  other.file = "cd";
  EXPECT_EQ(session_name(example(), "key"), session_name(example(), "key"));
  EXPECT_NE(session_name(example(), "key"), session_name(other, "key"));
  EXPECT_NE(session_name(example(), "key"), session_name(example(), "other key"));
}

TEST(Ticket, AnExpiredOneIsRefused) {
  const auto late = open_ticket(seal_ticket(example(), "key"), "key", 1000);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("expired"));
}

TEST(Ticket, ChangedOnesAndForeignOnesAreRefused) {
  const std::string text = seal_ticket(example(), "key");
  EXPECT_FALSE(open_ticket(text, "other key", 1));
  EXPECT_FALSE(open_ticket("", "key", 1));
  EXPECT_FALSE(open_ticket("xet_0123456789", "key", 1));
  EXPECT_FALSE(open_ticket(std::string(100'000, 'A'), "key", 1));
  for (std::size_t at = 0; at < text.size() - 1; at += 7) { // the last digit has spare bits
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(open_ticket(changed, "key", 1)) << at;
  }
  for (std::size_t n = 0; n < text.size(); n += 5)
    EXPECT_FALSE(open_ticket(text.substr(0, n), "key", 1)) << n;
}

} // namespace
} // namespace hubgate::proxy

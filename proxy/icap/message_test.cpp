#include "proxy/icap/message.hpp"

#include <gmock/gmock.h>

namespace hubgate::proxy::icap {
namespace {

using ::testing::HasSubstr;

std::string head(std::string_view method, std::string_view fields) {
  return std::string(method) + " icap://gate:1344/respmod?x=1 ICAP/1.0\r\nHost: gate\r\n" +
         std::string(fields) + "\r\n";
}

std::string refusal(std::string_view text) {
  const auto parsed = parse_head(text);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(IcapHead, says_where_heads_and_body_lie) {
  const auto read = parse_head(head("RESPMOD", "Allow: 204, 206\r\nPreview: 1024\r\nEncapsulated: "
                                               "req-hdr=0, res-hdr=137, res-body=296\r\n"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->service, "/respmod");
  EXPECT_TRUE(read->allows_204);
  EXPECT_EQ(read->preview, 1024u);
  EXPECT_EQ(read->request_head, 137u);
  EXPECT_EQ(read->response_head, 159u);
  EXPECT_TRUE(read->has_body);
  const auto bare = parse_head(head("REQMOD", "Encapsulated: req-hdr=0, null-body=170\r\n"));
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->request_head, 170u);
  EXPECT_FALSE(bare->has_body);
  EXPECT_FALSE(bare->allows_204);
  EXPECT_TRUE(parse_head(head("OPTIONS", "")));
}

TEST(IcapHead, takes_nothing_that_could_be_cut_in_two_ways) {
  for (const char* list:
       {"", "req-hdr=0", "req-hdr=1, res-hdr=2, res-body=3", "res-hdr=0, res-hdr=9, res-body=20",
        "res-hdr=0, req-hdr=9, res-body=20", "req-hdr=0, res-hdr=0, res-body=20",
        "req-hdr=0, res-hdr=30, res-body=20", "res-body=0", "req-hdr=0, res-body=20",
        "res-hdr=0, req-body=20", "res-hdr=0, res-body=20, req-hdr=40", "res-hdr=0, res-body=-1",
        "res-hdr=0, res-body=99999999999999999999", "res-hdr=0, res-body=999999",
        "res-hdr, res-body=1", "res-hdr=0, opt-body=20"})
    EXPECT_NE(refusal(head("RESPMOD", "Encapsulated: " + std::string(list) + "\r\n")), "accepted")
        << list;
  EXPECT_NE(refusal(head("REQMOD", "Encapsulated: req-hdr=0, res-hdr=9, req-body=20\r\n")),
            "accepted");
  const std::string good = "Encapsulated: res-hdr=0, res-body=20\r\n";
  EXPECT_EQ(refusal(head("RESPMOD", good)), "accepted");
  EXPECT_THAT(refusal(head("RESPMOD", good + "Content-Length: 5\r\n")), HasSubstr("not wrapped"));
  EXPECT_NE(refusal(head("RESPMOD", good + "Preview: x\r\n")), "accepted");
  EXPECT_NE(refusal(head("RESPMOD", good + "Preview: 99999999\r\n")), "accepted");
  EXPECT_NE(refusal(head("RESPMOD", good + "X: a\r\n b\r\n")), "accepted");
  EXPECT_NE(refusal(head("GET", good)), "accepted");
  EXPECT_NE(refusal("RESPMOD /x ICAP/1.0\r\nHost: a\r\n" + good + "\r\n"), "accepted");
  EXPECT_NE(refusal("RESPMOD icap://a/x HTTP/1.1\r\nHost: a\r\n" + good + "\r\n"), "accepted");
}

} // namespace
} // namespace hubgate::proxy::icap

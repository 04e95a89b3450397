#include "proxy/http/head.hpp"

#include <gmock/gmock.h>

namespace hubgate::proxy {
namespace {

using ::testing::HasSubstr;

std::string refusal(std::string_view head) {
  const auto parsed = parse_request(head);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(Head, reads_a_request_line_and_its_fields) {
  const auto head =
      parse_request("GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-One:  1 \r\nx-one: 2\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->method, "GET");
  EXPECT_EQ(head->target, "/a?b=c");
  EXPECT_EQ(head->headers.get("X-ONE"), "1");
  EXPECT_EQ(head->headers.joined("x-one"), "1, 2");
  EXPECT_EQ(head->framing, Framing::none);
  EXPECT_TRUE(head->keep_alive);
}

TEST(Head, takes_no_message_that_could_be_framed_in_two_ways) {
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  EXPECT_NE(refusal(post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Content-Length: 5, 5\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Content-Length: +5\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Content-Length: -5\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Content-Length: 0x5\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Content-Length: 99999999999999999999\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Transfer-Encoding: gzip, chunked\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "accepted");
  EXPECT_NE(refusal(post + "Transfer-Encoding: xchunked\r\n\r\n"), "accepted");
  EXPECT_NE(refusal(post + "Transfer-Encoding : chunked\r\n\r\n"), "accepted");
  EXPECT_NE(refusal("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "accepted");
}

TEST(Head, takes_no_line_that_ends_in_two_ways) {
  EXPECT_THAT(refusal("GET / HTTP/1.1\nHost: x\n\n"), HasSubstr("LF"));
  EXPECT_THAT(refusal("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"), HasSubstr("folded"));
  EXPECT_THAT(refusal("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"), HasSubstr("CR"));
  EXPECT_THAT(refusal(std::string("GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 33)),
              HasSubstr("control"));
  EXPECT_NE(refusal("GET / HTTP/1.1\r\n\r\n"), "accepted");
  EXPECT_NE(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), "accepted");
  EXPECT_NE(refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), "accepted");
  std::string many = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 300; ++i)
    many += "A: b\r\n";
  EXPECT_NE(refusal(many + "\r\n"), "accepted");
}

TEST(Head, finds_the_end_of_a_head_that_comes_in_any_pieces) {
  const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\nbody";
  const std::size_t end = text.find("body");
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    const std::string_view first = std::string_view(text).substr(0, cut);
    EXPECT_EQ(head_end(first, 0), cut >= end ? end : 0) << cut;
    EXPECT_EQ(head_end(text, cut >= end ? 0 : cut), end) << cut;
  }
  EXPECT_NE(head_end("GET / HTTP/1.1\n\n", 0), 0u);
}

TEST(Head, is_never_taken_before_it_is_complete) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: \"a\"\r\n\r\n";
  for (std::size_t cut = 0; cut < text.size(); ++cut)
    EXPECT_FALSE(parse_response(text.substr(0, cut), false)) << cut;
  EXPECT_TRUE(parse_response(text, false));
}

TEST(Head, frames_responses_by_status_and_fields) {
  const auto framing = [](const std::string& text, bool to_head = false) {
    const auto head = parse_response("HTTP/1.1 " + text + "\r\n\r\n", to_head);
    EXPECT_TRUE(head) << text;
    return head ? head->framing : Framing::none;
  };
  EXPECT_EQ(framing("200 OK\r\nContent-Length: 3"), Framing::length);
  EXPECT_EQ(framing("200 OK\r\nTransfer-Encoding: chunked"), Framing::chunked);
  EXPECT_EQ(framing("200 OK"), Framing::until_close);
  EXPECT_EQ(framing("200 OK\r\nContent-Length: 3", true), Framing::none);
  EXPECT_EQ(framing("204 No Content"), Framing::none);
  EXPECT_EQ(framing("304 Not Modified\r\nContent-Length: 3"), Framing::none);
  EXPECT_FALSE(
      parse_response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", false));
}

TEST(Head, leaves_out_values_that_would_break_a_line) {
  Headers headers;
  headers.add("A", "one\r\nB: two");
  headers.add("C", "three");
  std::string out;
  headers.write(out);
  EXPECT_EQ(out, "C: three\r\n");
}

} // namespace
} // namespace hubgate::proxy

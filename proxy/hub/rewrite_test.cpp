#include "proxy/hub/rewrite.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

const Origin k_hub = parse_url("https://hub.example")->origin;
constexpr std::string_view k_gate = "https://gate:8443";

std::string rewritten(std::string_view text) {
  auto out = rewrite_json(text, k_hub, k_gate);
  return out ? *out : "error: " + out.error().message;
}

TEST(Rewrite, takes_xet_hashes_out_at_any_depth) {
  EXPECT_EQ(rewritten(R"([{"path":"a","xetHash":"00","lfs":{"xetHash":"11","oid":"22"}}])"),
            R"([{"path":"a","lfs":{"oid":"22"}}])");
  EXPECT_EQ(rewritten(R"({"x\u0065tHash":"00","a":1})"), R"({"a":1})");
}

TEST(Rewrite, leaves_other_bytes_alone) {
  const std::string text = "{ \"a\" : 1.50, \"b\": [ ] }\n";
  EXPECT_EQ(rewritten(text), text);
}

TEST(Rewrite, points_urls_of_the_upstream_at_the_gate) {
  EXPECT_EQ(rewritten(R"({"url":"https://hub.example/a?b"})"),
            R"({"url":"https://gate:8443/a?b"})");
  EXPECT_EQ(rewritten(R"({"url":"HTTPS://HUB.example:443/a"})"),
            R"({"url":"https://gate:8443/a"})");
  EXPECT_EQ(rewritten(R"({"url":"http://hub.example/a"})"), R"({"url":"https://gate:8443/a"})");
  const std::string other =
      R"({"url":"https://hub.example.org/a","text":"see https://hub.example"})";
  EXPECT_EQ(rewritten(other), other);
}

TEST(Rewrite, refuses_what_is_no_json) {
  EXPECT_EQ(rewritten("{").substr(0, 6), "error:");
  EXPECT_EQ(rewritten(std::string(1000, '[')).substr(0, 6), "error:");
}

TEST(Rewrite, keeps_pagination_on_the_gate) {
  EXPECT_EQ(rewrite_link("<https://hub.example/api/x?cursor=a,b>; rel=\"next\"", k_hub, k_gate),
            "<https://gate:8443/api/x?cursor=a,b>; rel=\"next\"");
  EXPECT_EQ(
      rewrite_link("</api/x>; rel=next, <https://other.example/>; rel=\"prev\"", k_hub, k_gate),
      "<https://gate:8443/api/x>; rel=next");
  EXPECT_EQ(rewrite_link(
                "<https://hub.example/t>; rel=\"xet-auth\", <https://hub.example/n>; rel=\"next\"",
                k_hub, k_gate),
            "<https://gate:8443/n>; rel=\"next\"");
  EXPECT_EQ(rewrite_link("garbage", k_hub, k_gate), "");
}

TEST(Rewrite, drops_the_media_type_of_xet) {
  EXPECT_EQ(accept_without_xet("application/vnd.xet-fileinfo+json, */*"), "*/*");
  EXPECT_EQ(accept_without_xet("application/vnd.xet-fileinfo+json"), "");
  EXPECT_EQ(accept_without_xet("text/html, application/json;q=0.9"),
            "text/html, application/json;q=0.9");
}

} // namespace
} // namespace hubgate::proxy

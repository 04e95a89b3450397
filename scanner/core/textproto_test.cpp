#include "scanner/core/textproto.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

struct Walk {
  std::string events;
  TextProtoFailure failure;
};

Walk walk(std::string_view text, std::size_t bytes = 1000) {
  MemorySource source(as_bytes(text));
  TextProtoReader reader(source, 0, text.size(), bytes);
  Walk out;
  for (;;) {
    switch (reader.next()) {
    case TextProtoEvent::scalar:
      out.events += reader.name() + (reader.quoted() ? "='" : "=") + reader.text() + " ";
      continue;
    case TextProtoEvent::message_begin:
      out.events += reader.name() + "{ ";
      continue;
    case TextProtoEvent::message_end:
      out.events += "} ";
      continue;
    case TextProtoEvent::end:
    case TextProtoEvent::error:
      break;
    }
    out.failure = reader.failure();
    return out;
  }
}

TEST(TextProto, reads_fields_messages_and_lists) {
  EXPECT_EQ(walk("a: 1 b { c: -2.5e+3 d <e: true> } # x\nf: 'y' \"z\"; [t.u/v] { w: INF },").events,
            "a=1 b{ c=-2.5e+3 d{ e=true } } f='yz [t.u/v]{ w=INF } ");
  EXPECT_EQ(walk("a: [1, 2] b: [{c: 1}, <d: 2>] e: [] f: 3").events,
            "a=1 a=2 b{ c=1 } b{ d=2 } f=3 ");
  EXPECT_EQ(walk("a [ { b [ < c: 1 > ] } ]").events, "a{ b{ c=1 } } ");
}

TEST(TextProto, unescapes) {
  EXPECT_EQ(walk(R"(a: "\n\x41\102\u00e9\"\\\U0001F600")").events,
            "a='\nAB\xc3\xa9\"\\\xf0\x9f\x98\x80 ");
  EXPECT_EQ(walk(R"(a: "\q")").failure, TextProtoFailure::malformed);
}

TEST(TextProto, a_cut_is_truncated) {
  const std::string_view whole = "a { b: 'cd' e: [1, 2] }";
  for (std::size_t n = 1; n < whole.size(); ++n)
    EXPECT_EQ(walk(whole.substr(0, n)).failure, TextProtoFailure::truncated) << n;
  EXPECT_EQ(walk(whole).failure, TextProtoFailure::none);
}

TEST(TextProto, other_text_is_malformed) {
  for (const std::string_view text:
       {"Hello, world", "{\"a\": 1}", "a = 1", "<xml>", "a: }", "a }", "- a: b", "a: 'x\ny'"})
    EXPECT_NE(walk(text).failure, TextProtoFailure::none) << text;
}

TEST(TextProto, is_bounded) {
  std::string deep;
  for (int i = 0; i < 101; ++i)
    deep += "a{";
  EXPECT_EQ(walk(deep).failure, TextProtoFailure::limit);
  EXPECT_EQ(walk("a: '" + std::string(2000, 'x') + "'").failure, TextProtoFailure::limit);
}

} // namespace
} // namespace hubgate

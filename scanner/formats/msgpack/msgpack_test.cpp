#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;
using namespace std::string_literals;

constexpr const char* k_corpus = "scanner/formats/msgpack/corpus";

TEST(Msgpack, checkpoints_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(test::is_clean(report)) << name << show(report);
    EXPECT_EQ(report.format, "msgpack");
  }
}

TEST(Msgpack, a_cut_checkpoint_is_never_clean) {
  const std::string whole = test::corpus(k_corpus, "good_flax").at("good_flax");
  for (std::size_t n = 32; n < whole.size(); ++n)
    EXPECT_FALSE(test::is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << n;
}

TEST(Msgpack, every_rule_fires) {
  EXPECT_NE(find_rule(scan_bytes("\x81\xa6params\xdf\xff\xff\xff\xff"s), "msgpack-size"), nullptr);
  EXPECT_NE(find_rule(scan_bytes("\x81\xa6params\xd6\x2a"
                                 "abcd"s),
                      "msgpack-extension"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(test::corpus(k_corpus, "bad_").at("bad_shape")), "msgpack-array"),
            nullptr);
}

TEST(Msgpack, bytes_that_begin_like_a_map_are_not_claimed) {
  for (const std::string& bytes:
       {"\x81\xa6params\xc1 and more"s, "\x82\xa4name\x01 and then something else"s,
        "\x80"s + std::string(50, 'x')})
    EXPECT_NE(scan_bytes(bytes).format, "msgpack") << show(scan_bytes(bytes));
}

} // namespace
} // namespace hubgate

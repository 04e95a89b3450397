#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string file(const std::string& name) {
  return test::corpus("scanner/formats/tensorizer/corpus", name).at(name);
}

TEST(Tensorizer, a_file_whose_headers_agree_is_clean) {
  const Report report = scan_bytes(file("good_one"));
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_TRUE(report.findings.empty()) << show(report);
  EXPECT_EQ(report.format, "tensorizer");
}

TEST(Tensorizer, is_never_clean_when_cut) {
  const std::string whole = file("good_one");
  for (std::size_t n = 6; n < whole.size(); ++n) {
    const Report report = scan_bytes(std::string_view(whole).substr(0, n));
    EXPECT_FALSE(is_clean(report)) << n << " " << show(report);
  }
}

TEST(Tensorizer, headers_that_differ_are_told) {
  for (const char* name: {"bad_length", "bad_shape"}) {
    const Report report = scan_bytes(file(name));
    EXPECT_NE(find_rule(report, "tensorizer-two-headers"), nullptr) << name << show(report);
    EXPECT_TRUE(has_gap(report, Reason::malformed)) << name;
  }
}

TEST(Tensorizer, every_changed_byte_of_the_headers_is_harmless_or_seen) {
  const std::string whole = file("good_one");
  // From the count on; hashes and the module's index are nobody's business.
  std::size_t quiet = 0;
  for (std::size_t i = 57; i < whole.size() - 16; ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x41);
    quiet += is_clean(scan_bytes(bytes)) ? 1 : 0;
  }
  EXPECT_LE(quiet, 6U);
}

TEST(Tensorizer, encrypted_tensors_are_a_gap) {
  std::string bytes = file("good_one");
  bytes[5] = 4;
  bytes[9] = 1;
  EXPECT_TRUE(has_gap(scan_bytes(bytes), Reason::encrypted));
}

TEST(Tensorizer, an_unknown_version_is_unsupported) {
  std::string bytes = file("good_one");
  bytes[5] = 9;
  EXPECT_TRUE(has_gap(scan_bytes(bytes), Reason::unsupported));
}

} // namespace
} // namespace hubgate

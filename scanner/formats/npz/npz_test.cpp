#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string file(const std::string& name) {
  return test::corpus("scanner/formats/npz/corpus", name).at(name);
}

TEST(Npz, an_archive_of_arrays_is_clean_and_called_npz) {
  const Report report = scan_bytes(file("good_deflated"));
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_EQ(report.format, "npz");
}

TEST(Npz, is_never_clean_when_cut) {
  const std::string whole = file("good_deflated");
  for (std::size_t n = 1; n < whole.size(); ++n) {
    const Report report = scan_bytes(std::string_view(whole).substr(0, n));
    EXPECT_FALSE(is_clean(report) && report.format != "text") << n << " " << show(report);
  }
}

TEST(Npz, a_member_that_lies_about_being_an_array_is_told) {
  EXPECT_NE(find_rule(scan_bytes(file("bad_pickle")), "npz-member-content"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(file("bad_foreign")), "npz-foreign-member"), nullptr);
  EXPECT_EQ(find_rule(scan_bytes(file("bad_object")), "npz-member-content"), nullptr);
}

} // namespace
} // namespace hubgate

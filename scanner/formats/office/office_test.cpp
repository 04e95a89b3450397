#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

TEST(Office, fields_that_start_programs) {
  const auto files = test::corpus("scanner/formats/office/corpus", "rtf_018_dde_field");
  const Report report = scan_bytes(files.begin()->second);
  EXPECT_EQ(report.format, "office");
  EXPECT_NE(find_rule(report, "office-dde"), nullptr) << show(report);
}

TEST(Office, links_to_other_files) {
  const auto files = test::corpus("scanner/formats/office/corpus", "rtf_018_external_link");
  EXPECT_NE(find_rule(scan_bytes(files.begin()->second), "office-external-link"), nullptr);
}

} // namespace
} // namespace hubgate

#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

TEST(Eicar, is_malicious_and_its_name_alone_is_not) {
  const std::string whole =
      std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$") + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";
  const Report report = test::scan_bytes(whole);
  ASSERT_NE(test::find_rule(report, "eicar-test-file"), nullptr) << test::show(report);
  EXPECT_NE(test::find_rule(test::scan_bytes("see: " + whole + "\n"), "eicar-test-file"), nullptr);
  EXPECT_TRUE(test::is_clean(test::scan_bytes(whole.substr(1))));
}

} // namespace
} // namespace hubgate

#include "tests/support/quiet.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_quiet;
using test::scan_bytes;
using test::show;

TEST(SitePth, lines_that_python_executes_are_found_under_the_name) {
  const Report report = scan_bytes("./lib\nimport os; os.system('echo hubgate')\n");
  const Finding* finding = find_rule(report, "pth-import");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_EQ(finding->condition, "*.pth");
  EXPECT_EQ(finding->severity, Severity::malicious);
}

TEST(SitePth, what_setuptools_writes_is_informational) {
  const Report report = scan_bytes(
      "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') "
      "== 'local'; enabled and __import__('_distutils_hack').add_shim(); \n");
  EXPECT_TRUE(is_quiet(report, {"pth-", "python-"})) << show(report);
}

TEST(SitePth, directories_are_nothing) {
  EXPECT_EQ(find_rule(scan_bytes("./lib\nimportant\n# import os\n"), "pth-import"), nullptr);
}

} // namespace
} // namespace hubgate

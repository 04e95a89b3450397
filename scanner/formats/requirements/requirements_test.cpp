#include "tests/support/quiet.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_quiet;
using test::scan_bytes;
using test::show;

TEST(Requirements, each_rule_once) {
  const std::vector<std::pair<std::string, std::string_view>> cases{
      {"--index-url http://127.0.0.1/simple", "requirements-index"},
      {"--extra-index-url=https://packages.example.test/simple", "requirements-index"},
      {"--trusted-host 127.0.0.1", "requirements-index"},
      {"tool @ http://127.0.0.1/tool.whl", "requirements-direct"},
      {"git+https://git.example.test/a/b.git", "requirements-direct"},
      {"-e git+http://127.0.0.1/a/b.git#egg=b", "requirements-direct"},
      {"file:///tmp/a.whl", "requirements-direct"},
      {"reqeusts==2.0", "requirements-typosquat"},
      {"torchtriton", "requirements-typosquat"},
      {"urllib", "requirements-misnamed"},
      {"git+https://github.com/huggingface/transformers.git", "requirements-source"},
      {"  - pip:\n    - tool @ http://127.0.0.1/tool.tar.gz", "requirements-direct"},
      {"dependencies = [\"numpy\", \"tool @ http://127.0.0.1/tool.whl\"]", "requirements-direct"}};
  for (const auto& [line, rule]: cases) {
    const Report report = scan_bytes("numpy>=1.20\n" + line + "\n");
    const Finding* finding = find_rule(report, rule);
    ASSERT_NE(finding, nullptr) << line << show(report);
    EXPECT_FALSE(finding->condition.empty());
  }
}

TEST(Requirements, what_is_not_read_is_a_gap_of_package_lists_only) {
  const Report report = scan_bytes(std::string(std::size_t{5} << 20, '\n'));
  ASSERT_EQ(report.gaps.size(), 1u);
  EXPECT_EQ(report.gaps[0].reason, Reason::budget);
  EXPECT_TRUE(report.gaps[0].condition.find("*requirements*.txt") != std::string::npos);
  EXPECT_EQ(report.format, "text");
}

TEST(Requirements, a_long_line_is_read_from_its_beginning) {
  EXPECT_NE(
      find_rule(scan_bytes("numpy\n--index-url http://127.0.0.1/x" + std::string(5000, ' ') + "\n"),
                "requirements-index"),
      nullptr);
}

TEST(Requirements, honest_files_are_clean) {
  const Report report =
      scan_bytes("# comment: git+https://evil.example.test/x\ntorch==2.1.0\n--extra-index-url "
                 "https://download.pytorch.org/whl/cu118\nrequests>=2; python_version > '3.8'\n"
                 "git+https://github.com/huggingface/peft.git@main\n-r other.txt\n-e .\n");
  EXPECT_TRUE(is_quiet(report, {"requirements-"})) << show(report);
}

} // namespace
} // namespace hubgate

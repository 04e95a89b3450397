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

std::string code(const std::string& name) {
  return test::corpus("scanner/code/marshal/corpus", name).at(name);
}

std::string pyc(unsigned magic, const std::string& rest_of_header, const std::string& code) {
  return std::string{static_cast<char>(magic & 0xff), static_cast<char>(magic >> 8), '\r', '\n'} +
         rest_of_header + code;
}

std::string flags(char value) {
  return std::string{value, 0, 0, 0} + std::string(8, 'h');
}

TEST(Pyc, is_told_in_every_version) {
  const std::map<unsigned, std::string> versions{{3394, "37"},  {3413, "38"},  {3425, "39"},
                                                 {3439, "310"}, {3495, "311"}, {3531, "312"},
                                                 {3571, "313"}};
  for (const auto& [magic, version]: versions) {
    const Report report = scan_bytes(pyc(magic, flags(0), code("module_" + version)));
    EXPECT_EQ(report.format, "pyc") << version;
    EXPECT_TRUE(report.complete()) << version << show(report);
    ASSERT_NE(find_rule(report, "pyc-bytecode"), nullptr) << version;
    EXPECT_NE(find_rule(report, "pyc-bytecode")->evidence.find("Popen"), std::string::npos);
    ASSERT_NE(find_rule(report, "pyc-dangerous-call"), nullptr) << version;
    EXPECT_EQ(find_rule(report, "pyc-unchecked-hash"), nullptr);
    EXPECT_FALSE(report.references.empty());
  }
  EXPECT_NE(
      find_rule(scan_bytes(pyc(3379, std::string(8, 't'), code("module_36"))), "pyc-bytecode"),
      nullptr);
  EXPECT_NE(
      find_rule(scan_bytes(pyc(62211, std::string(4, 't'), code("module_27"))), "pyc-bytecode"),
      nullptr);
}

// What could be made source again has been judged as source.
TEST(Pyc, is_suspicious_when_it_was_not_read_in_full) {
  const std::string honest = pyc(3495, flags(0), code("honest_311"));
  EXPECT_TRUE(is_clean(scan_bytes(honest))) << show(scan_bytes(honest));
  const Report unknown = scan_bytes(pyc(3699, flags(0), code("honest_311")));
  ASSERT_NE(find_rule(unknown, "pyc-bytecode"), nullptr);
  EXPECT_EQ(find_rule(unknown, "pyc-bytecode")->severity, Severity::suspicious);
  const Report cut = scan_bytes(honest.substr(0, honest.size() - 1));
  ASSERT_NE(find_rule(cut, "pyc-bytecode"), nullptr);
  EXPECT_EQ(find_rule(cut, "pyc-bytecode")->severity, Severity::suspicious);
}

TEST(Pyc, unchecked_hash_is_malicious) {
  const Report report = scan_bytes(pyc(3495, flags(1), code("honest_311")));
  ASSERT_NE(find_rule(report, "pyc-unchecked-hash"), nullptr) << show(report);
  EXPECT_EQ(find_rule(report, "pyc-unchecked-hash")->severity, Severity::malicious);
  EXPECT_EQ(find_rule(scan_bytes(pyc(3495, flags(3), code("honest_311"))), "pyc-unchecked-hash"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(pyc(3495, flags(4), code("honest_311"))), "pyc-flags"), nullptr);
}

TEST(Pyc, is_never_clean_when_cut) {
  const std::string whole = pyc(3495, flags(0), code("lambda_311"));
  for (std::size_t n = 16; n < whole.size(); ++n)
    EXPECT_FALSE(test::is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << n;
  EXPECT_TRUE(has_gap(scan_bytes(std::string_view(whole).substr(0, 60)), Reason::truncated));
}

TEST(Pyc, scans_what_follows_the_code) {
  const Report report = scan_bytes(pyc(3495, flags(0), code("honest_311")) +
                                   "cos\nsystem\n(S'echo hubgate-inert-marker'\ntR.");
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
}

} // namespace
} // namespace hubgate

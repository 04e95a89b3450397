#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::has_gap;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/executable/corpus";

TEST(Executable, each_kind_is_recognised_and_whole) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "")) {
    const Report report = scan_bytes(bytes);
    EXPECT_EQ(report.format, "executable") << name << show(report);
    EXPECT_TRUE(report.complete()) << name << show(report);
    const bool native =
        name.starts_with("elf") || name.starts_with("pe") || name.starts_with("mach");
    EXPECT_NE(find_rule(report, native ? "native-code" : "bytecode"), nullptr)
        << name << show(report);
  }
}

TEST(Executable, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, ""))
    for (std::size_t n = 8; n < bytes.size(); n += 1 + n / 16) {
      const Report report = scan_bytes(std::string_view(bytes).substr(0, n));
      EXPECT_FALSE(report.complete() && report.findings.empty())
          << name << " " << n << show(report);
    }
}

TEST(Executable, is_malicious_behind_the_end_of_another_object) {
  std::string gguf = "GGUF";
  gguf += std::string("\3\0\0\0", 4) + std::string(24, '\0');
  const Report report = scan_bytes(gguf + test::corpus(k_corpus, "elf").at("elf"));
  const Finding* finding = find_rule(report, "native-code");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_EQ(finding->severity, Severity::malicious);
}

TEST(Executable, bytes_that_only_begin_alike_are_not_claimed) {
  for (const std::string& bytes:
       {std::string("MZ is how this text begins"), std::string("dex\n0 some text"),
        std::string("\x7f"
                    "ELF") +
            std::string(100, '\xff'),
        std::string("\xca\xfe\xba\xbe") + std::string(40, '\xee')})
    EXPECT_NE(scan_bytes(bytes).format, "executable") << bytes;
}

} // namespace
} // namespace hubgate

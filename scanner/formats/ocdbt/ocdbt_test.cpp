#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/ocdbt/corpus";

TEST(Ocdbt, HonestRecordsAreClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "ocdbt") << name;
  }
}

TEST(Ocdbt, EveryRuleFires) {
  for (const auto& [name, rule]:
       std::map<std::string, std::string>{{"bad_path", "ocdbt-path"},
                                          {"bad_file", "ocdbt-structure"},
                                          {"bad_count", "ocdbt-structure"},
                                          {"bad_versions", "ocdbt-structure"},
                                          {"bad_checksum", "ocdbt-checksum"}}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
  }
}

// good_nodes is two records: a cut between them leaves a whole one.
TEST(Ocdbt, ACutIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    for (std::size_t n = 8; n < bytes.size(); ++n) {
      if (name == "good_nodes" && n >= 617 && n < 621) continue;
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
      test::ArrivingSource arriving(as_bytes(bytes).first(n));
      EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << name << n;
    }
  }
}

TEST(Ocdbt, AChangedByteIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      std::string broken = bytes;
      broken[n] = static_cast<char>(broken[n] ^ 0x5a);
      const Report report = scan_bytes(broken);
      EXPECT_FALSE(is_clean(report)) << name << n;
      EXPECT_FALSE(test::has_gap(report, Reason::crash)) << name << n;
    }
}

TEST(Ocdbt, SaysWhichFilesItDescribes) {
  const Report report = scan_bytes(test::corpus(k_corpus, "good_nodes").at("good_nodes"));
  std::string described;
  for (const auto& reference: report.references)
    if (reference.kind == "described") described += reference.target + ";";
  EXPECT_EQ(described, "../d/fedcba9876543210fedcba9876543210 617;"
                       "../ocdbt.process_0/d/0123456789abcdef0123456789abcdef 32800;");
}

} // namespace
} // namespace hubgate

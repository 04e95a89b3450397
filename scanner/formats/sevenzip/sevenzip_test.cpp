#include "scanner/formats/sevenzip/header.hpp"
#include "tests/support/known_content.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hubgate {

extern const Format format_sevenzip;

namespace {

using namespace test;

const std::filesystem::path k_corpus = "scanner/formats/sevenzip/corpus";

std::string file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Every corpus file holds texts, which only the format "text" knows: opaque is fine here.
bool only_opaque(const Report& report) {
  return std::all_of(report.gaps.begin(), report.gaps.end(),
                     [](const Gap& gap) { return gap.reason == Reason::opaque; });
}

TEST(SevenZip, ReadsWhat7ZipPacks) {
  int seen = 0;
  for (const auto& entry: std::filesystem::directory_iterator(k_corpus)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("good_") && !name.ends_with("_near")) continue;
    ++seen;
    const Report report = scan_with({&format_sevenzip}, file(entry.path()));
    EXPECT_TRUE(report.findings.empty()) << name << ": " << show(report);
    EXPECT_TRUE(only_opaque(report)) << name << ": " << show(report);
    EXPECT_FALSE(report.gaps.empty()) << name << ": no member was seen";
    EXPECT_EQ(report.format, "7z");
  }
  EXPECT_GE(seen, 9);
}

TEST(SevenZip, TheCorpusShowsEachRule) {
  const std::vector<std::pair<std::string, std::string>> expected{
      {"ppmd", "archive-exotic-method"},
      {"bcj2", "archive-exotic-method"},
      {"pw", "archive-encrypted"},
      {"pwh", "archive-encrypted"},
      {"arc_004_duplicate", "archive-duplicate-name"},
      {"arc_012_link_escapes", "archive-link-escape"},
      {"arc_014_encrypted_data", "archive-encrypted"},
      {"arc_017_encrypted_header", "archive-encrypted"},
      {"arc_017_unknown_coder", "archive-exotic-method"},
  };
  for (const auto& [name, rule]: expected) {
    ASSERT_TRUE(std::filesystem::exists(k_corpus / name)) << name;
    const Report report = scan_with({&format_sevenzip}, file(k_corpus / name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << ": " << show(report);
    EXPECT_FALSE(is_clean(report)) << name << ": " << show(report);
  }
}

TEST(SevenZip, IsNeverCompleteWhenCut) {
  for (const std::string name: {"good_lzma", "good_copy", "arc_017_near"}) {
    const std::string whole = file(k_corpus / name);
    for (std::size_t cut = 6; cut < whole.size(); ++cut) {
      const Report report = scan_with({&format_sevenzip}, whole.substr(0, cut));
      EXPECT_TRUE(has_gap(report, Reason::truncated)) << name << " cut at " << cut << show(report);
    }
  }
}

TEST(SevenZip, EveryFlippedByteIsHandled) {
  for (const auto& entry: std::filesystem::directory_iterator(k_corpus)) {
    const std::string whole = file(entry.path());
    for (std::size_t at = 6; at < whole.size(); ++at) {
      std::string broken = whole;
      broken[at] = static_cast<char>(~broken[at]);
      scan_with({&format_sevenzip}, broken);
    }
  }
}

TEST(SevenZip, SeesAWrongChecksum) {
  // The Copy coder has no checksum of its own: the archive's is all there is.
  std::string bytes = file(k_corpus / "good_copy");
  bytes[32] = static_cast<char>(bytes[32] ^ 1);
  const Report report = scan_with({&format_sevenzip}, bytes);
  EXPECT_NE(find_rule(report, "sevenzip-bad-crc"), nullptr) << show(report);
}

TEST(SevenZip, ScansBytesThatBelongToNoStream) {
  // The header moves behind, and the signature header says so.
  std::string bytes = file(k_corpus / "arc_017_near");
  const auto start = sevenzip::read_signature_header(as_bytes(bytes));
  ASSERT_TRUE(start);
  const std::string hidden = "known: evil";
  bytes.insert(32 + static_cast<std::size_t>(start->next_offset), hidden);
  for (int i = 0; i < 8; ++i)
    bytes[12 + static_cast<std::size_t>(i)] =
        static_cast<char>((start->next_offset + hidden.size()) >> (8 * i) & 255);
  const Report report = scan_with({&format_sevenzip}, bytes);
  EXPECT_NE(find_rule(report, "sevenzip-gap"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "known-evil"), nullptr) << show(report);
}

TEST(SevenZip, SpendsTheBudgetAndNoMore) {
  Limits limits;
  limits.decoded_bytes = 100;
  const Report report = scan_with({&format_sevenzip}, file(k_corpus / "good_lzma"), limits);
  EXPECT_TRUE(has_gap(report, Reason::budget)) << show(report);
}

TEST(SevenZipHeader, RefusesCountsThatCanNotBe) {
  using sevenzip::Failure;
  // Files: 2^40 of them.
  const std::string_view many("\x01\x05\xfc\0\0\0\0\x01\x01", 9);
  EXPECT_EQ(sevenzip::parse_header(as_bytes(many), 1000).failure, Failure::too_large);
  EXPECT_EQ(sevenzip::parse_header(as_bytes("\x01\x04\x06"), 1000).failure, Failure::malformed);
  EXPECT_EQ(sevenzip::parse_header(as_bytes("\x02"), 1000).failure, Failure::malformed);
  EXPECT_EQ(sevenzip::parse_header({}, 1000).failure, Failure::malformed);
}

} // namespace
} // namespace hubgate

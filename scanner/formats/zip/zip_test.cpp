#include "scanner/formats/zip/reader.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/known_content.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hubgate {

extern const Format format_zip;

namespace {

using namespace test;

std::string le(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i)
    out += static_cast<char>(i < 8 ? value >> (8 * i) & 255 : 0);
  return out;
}

struct Item {
  std::string name;
  std::string data;
  bool deflate = false;
  bool streamed = false;
};

std::uint32_t crc_of(const std::string& data) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
}

// A plain zip; tests/fixtures/containers.py has the crooked ones, and corpus/ what it makes.
std::string zip_of(const std::vector<Item>& items) {
  std::string out;
  std::string directory;
  for (const Item& item: items) {
    const std::string stored = item.deflate ? deflated(item.data, -15) : item.data;
    const std::string values =
        le(crc_of(item.data), 4) + le(stored.size(), 4) + le(item.data.size(), 4);
    const std::string common =
        le(20, 2) + le(item.streamed ? 8 : 0, 2) + le(item.deflate ? 8 : 0, 2) + le(0, 4);
    directory += "PK\1\2" + le(20, 2) + common + values + le(item.name.size(), 2) + le(0, 2) +
                 le(0, 2) + le(0, 2) + le(0, 2) + le(0, 4) + le(out.size(), 4) + item.name;
    out += "PK\3\4" + common + (item.streamed ? le(0, 12) : values) + le(item.name.size(), 2) +
           le(0, 2) + item.name + stored;
    if (item.streamed) out += "PK\7\x08" + values;
  }
  const std::size_t begin = out.size();
  return out + directory + "PK\5\6" + le(0, 4) + le(items.size(), 2) + le(items.size(), 2) +
         le(directory.size(), 4) + le(begin, 4) + le(0, 2);
}

std::string file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Zip, IsCleanWhenItsMembersAre) {
  for (const bool deflate: {false, true})
    for (const bool streamed: {false, true}) {
      const Report report = scan_with(
          {&format_zip}, zip_of({{"a", "known: one", deflate, streamed},
                                 {"b/", "", false, false},
                                 {"b/c", "known: " + std::string(5000, 'x'), deflate, streamed},
                                 {"empty", "", deflate, streamed}}));
      EXPECT_TRUE(is_clean(report)) << show(report);
      EXPECT_EQ(report.format, "zip");
    }
}

TEST(Zip, ScansEveryMember) {
  const Report report = scan_with({&format_zip}, zip_of({{"a", "known: evil one", true, true},
                                                         {"b", "known: fine"},
                                                         {"c", "known: evil two", false, true}}));
  ASSERT_EQ(report.findings.size(), 2u) << show(report);
  EXPECT_EQ(report.findings[0].where, "a");
  EXPECT_EQ(report.findings[1].where, "c");
}

TEST(Zip, IsNeverCleanWhenCut) {
  for (const bool streamed: {false, true}) {
    const std::string whole =
        zip_of({{"a", "known: one", true, streamed}, {"b", "known: two", false, streamed}});
    for (std::size_t cut = 4; cut < whole.size(); ++cut) {
      const Report report = scan_with({&format_zip}, whole.substr(0, cut));
      EXPECT_FALSE(is_clean(report)) << "cut at " << cut << " " << show(report);
      EXPECT_FALSE(report.complete()) << "cut at " << cut << " " << show(report);
    }
  }
}

// What a cut transfer leaves behind must not be an archive whose content was not yet scanned.
class ReleaseRecorder final : public ReportSink {
public:
  void on_finding(const Finding& finding) override { last_finding = finding.where; }
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t offset) override {
    released = offset;
    if (last_finding.empty()) released_before_finding = offset;
  }
  void on_rest_is_inert(std::uint64_t) override {}
  std::string last_finding;
  std::uint64_t released = 0;
  std::uint64_t released_before_finding = 0;
};

TEST(Zip, ReleasesMemberByMemberBehindTheScan) {
  const std::string first = zip_of({{"a", "known: one"}});
  const std::size_t member = 31 + 10; // header, name, data
  const std::string both = zip_of({{"a", "known: one"}, {"b", "known: evil"}});
  ReleaseRecorder recorder;
  scan_with({&format_zip}, both, {}, &recorder);
  EXPECT_EQ(recorder.released_before_finding, member);
  EXPECT_EQ(recorder.released, both.size());
}

TEST(Zip, JudgesAnInnerEndRecordBeforeItLeaves) {
  // Inside of the stored member stands a whole directory that points, from the file's start, at
  // bytes in the middle of the same member: cut behind it, the file is another archive.
  const std::string hidden = zip_of({{"hidden", "known: evil", true}});
  const std::size_t local = hidden.find("PK\1\2");
  const std::size_t base = 30 + 1 + 20; // local header and name of the outer member, padding
  std::string directory = hidden.substr(local, 46 + 6);
  directory.replace(42, 4, le(base, 4));
  const std::string inner = std::string("known: padding text.", 20) + hidden.substr(0, local);
  const std::string end = "PK\5\6" + le(0, 4) + le(1, 2) + le(1, 2) + le(directory.size(), 4) +
                          le(31 + inner.size(), 4) + le(0, 2);
  ReleaseRecorder recorder;
  const std::string whole = zip_of({{"a", inner + directory + end}, {"b", "known: two"}});
  const Report report = scan_with({&format_zip}, whole, {}, &recorder);
  EXPECT_NE(find_rule(report, "known-evil"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "zip-multiple-ends"), nullptr) << show(report);
  EXPECT_LE(recorder.released_before_finding, 31u);
}

TEST(Zip, ScansANestedStoredArchiveOnce) {
  const Report report = scan_with(
      {&format_zip}, zip_of({{"inner.zip", zip_of({{"x", "known: evil"}})}, {"b", "known: two"}}));
  ASSERT_EQ(report.findings.size(), 1u) << show(report);
  EXPECT_EQ(report.findings[0].where, "inner.zip!x");
  EXPECT_TRUE(report.complete());
}

TEST(Zip, SaysThatMembersAreTooMany) {
  std::vector<Item> items;
  for (int i = 0; i < 200; ++i)
    items.push_back({std::to_string(i), "known: x"});
  Limits limits;
  limits.entries = 100;
  const Report report = scan_with({&format_zip}, zip_of(items), limits);
  EXPECT_TRUE(has_gap(report, Reason::budget)) << show(report);
}

TEST(Zip, FindsAnArchiveBehindAPrefix) {
  const Report report =
      scan_with({&format_zip}, "known: prefix text" + zip_of({{"x", "known: evil"}}));
  EXPECT_NE(find_rule(report, "zip-prefix"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "known-evil"), nullptr) << show(report);
}

TEST(Zip, TheCorpusShowsEachRule) {
  // corpus/arc_NNN_…: what tests/fixtures/families/arc.py makes.
  const std::vector<std::pair<std::string, std::string>> expected{
      {"arc_001_other_local_name", "zip-header-mismatch"},
      {"arc_001_other_local_method", "zip-header-mismatch"},
      {"arc_001_other_local_size", "zip-header-mismatch"},
      {"arc_001_other_local_crc", "zip-header-mismatch"},
      {"arc_002_marked_encrypted_both", "zip-flag-tampering"},
      {"arc_002_marked_encrypted_central", "zip-header-mismatch"},
      {"arc_002_marked_patched", "zip-flag-tampering"},
      {"arc_003_bad_crc", "zip-bad-crc"},
      {"arc_004_duplicate", "archive-duplicate-name"},
      {"arc_005_end_in_comment", "zip-multiple-ends"},
      {"arc_005_end_without_directory", "zip-multiple-ends"},
      {"arc_005_two_archives", "zip-multiple-ends"},
      {"arc_005_wrong_count", "zip-directory-mismatch"},
      {"arc_005_short_directory", "zip-directory-mismatch"},
      {"arc_006_all_ones_no_field", "zip-zip64-mismatch"},
      {"arc_006_conflict", "zip-zip64-mismatch"},
      {"arc_006_end_conflict", "zip-zip64-mismatch"},
      {"arc_006_locator", "zip-zip64-mismatch"},
      {"arc_007_prefix", "zip-prefix"},
      {"arc_008_unlisted", "zip-unlisted-member"},
      {"arc_008_gap", "zip-gap"},
      {"arc_009_quoted_overlap", "zip-overlap"},
      {"arc_009_same_member_twice", "zip-overlap"},
      {"arc_010_other_unicode_name", "zip-unicode-name"},
      {"arc_011_traversal_parent", "archive-traversal"},
      {"arc_011_traversal_drive", "archive-traversal"},
      {"arc_011_trick_rtl", "archive-name-trick"},
      {"arc_011_trick_nul", "archive-name-trick"},
      {"arc_011_case_collision", "archive-case-collision"},
      {"arc_012_link_escapes", "archive-link-escape"},
      {"arc_012_link_inside", "archive-link"},
      {"arc_013_ppmd", "archive-exotic-method"},
      {"arc_014_zipcrypto", "archive-encrypted"},
      {"arc_014_aes", "archive-encrypted"},
      {"arc_025_descriptor_lies", "zip-descriptor-mismatch"},
      {"arc_026_folder_with_data", "archive-directory-data"},
      {"arc_026_empty_with_payload", "archive-directory-data"},
      {"arc_027_name_of_5000_bytes", "archive-name-too-long"},
  };
  const std::filesystem::path corpus = "scanner/formats/zip/corpus";
  for (const auto& [name, rule]: expected) {
    ASSERT_TRUE(std::filesystem::exists(corpus / name)) << name;
    const Report report = scan_with({&format_zip}, file(corpus / name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << ": " << show(report);
  }
}

TEST(Zip, HonestArchivesOfManyToolsShowNothing) {
  const std::filesystem::path corpus = "scanner/formats/zip/corpus";
  for (const auto& entry: std::filesystem::directory_iterator(corpus)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("good_") && !name.ends_with("_near")) continue;
    const Report report = scan_with({&format_zip}, file(entry.path()));
    EXPECT_TRUE(report.findings.empty()) << name << ": " << show(report);
    for (const Gap& gap: report.gaps)
      EXPECT_EQ(gap.reason, Reason::opaque) << name << ": " << show(report);
  }
}

TEST(Zip, EveryCutOfEveryCorpusFileIsHandled) {
  for (const auto& entry: std::filesystem::directory_iterator("scanner/formats/zip/corpus")) {
    const std::string whole = file(entry.path());
    if (whole.size() > 1500) continue;
    for (std::size_t cut = 4; cut < whole.size(); ++cut)
      scan_with({&format_zip}, std::string_view(whole).substr(0, cut));
  }
}

TEST(ZipReader, GivesTheDirectoryAndItsContent) {
  const std::string bytes = zip_of({{"a", "known: one", true}, {"b", "known: two", false, true}});
  MemorySource source(as_bytes(bytes));
  Budget budget(Limits{});
  const auto directory = zip::read_directory(source, budget);
  ASSERT_TRUE(directory);
  ASSERT_EQ(directory->members.size(), 2u);
  EXPECT_EQ(directory->members[0].central.name, "a");
  EXPECT_EQ(as_text(directory->members[0].open(source, budget)->view(0, 100)), "known: one");
  EXPECT_EQ(as_text(directory->members[1].open(source, budget)->view(0, 100)), "known: two");
}

TEST(ZipReader, AStoredMemberOfUnknownLengthEndsAtItsDescriptor) {
  // Bytes that look like a descriptor of another length don't end it.
  const std::string data = "one PK\7\x08" + le(1, 4) + le(2, 4) + le(3, 4) + std::string(9000, 'z');
  const std::string bytes =
      data + "PK\7\x08" + le(crc_of(data), 4) + le(data.size(), 8) + le(data.size(), 8) + "PK\3\4";
  MemorySource source(as_bytes(bytes));
  Budget budget(Limits{});
  zip::MemberContent content(source, 0, std::nullopt, zip::k_stored, std::nullopt, budget);
  EXPECT_EQ(content.wait_end(), data.size());
  EXPECT_EQ(content.crc(), crc_of(data));
  EXPECT_FALSE(content.is_unbounded());
  const auto descriptor = zip::read_descriptor(source, data.size(), data.size(), data.size());
  EXPECT_EQ(descriptor.length, 24u);
}

} // namespace
} // namespace hubgate

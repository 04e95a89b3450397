#include "scanner/formats/tar/header.hpp"
#include "tests/support/known_content.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hubgate {

extern const Format format_tar;

namespace {

using namespace test;

const std::filesystem::path k_corpus = "scanner/formats/tar/corpus";

std::string file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string octal(std::uint64_t value, std::size_t width) {
  std::string out(width - 1, '0');
  for (std::size_t i = width - 1; i-- > 0; value /= 8)
    out[i] = static_cast<char>('0' + value % 8);
  return out + '\0';
}

std::string header(std::string name, std::uint64_t size, char type = '0') {
  name.resize(100);
  std::string head = name + octal(0644, 8) + octal(0, 8) + octal(0, 8) + octal(size, 12) +
                     octal(0, 12) + std::string(8, ' ') + type + std::string(100, '\0') +
                     std::string("ustar\0"
                                 "00",
                                 8);
  head.resize(512);
  std::uint64_t sum = 0;
  for (const char c: head)
    sum += static_cast<std::uint8_t>(c);
  head.replace(148, 8, octal(sum, 7) + ' ');
  return head;
}

std::string member(const std::string& name, std::string data, char type = '0') {
  const std::string head = header(name, data.size(), type);
  data.resize((data.size() + 511) / 512 * 512);
  return head + data;
}

const std::string k_end(1024, '\0');

TEST(Tar, IsCleanWhenItsMembersAre) {
  const Report report =
      scan_with({&format_tar}, member("a", "known: one") + member("b", "known: two") + k_end);
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_EQ(report.format, "tar");
}

TEST(Tar, ScansEveryMember) {
  const Report report = scan_with(
      {&format_tar}, member("a", "known: evil") + member("b", "known: " + std::string(600, 'x')) +
                         member("c", "known: evil") + k_end);
  ASSERT_EQ(report.findings.size(), 2u) << show(report);
  EXPECT_EQ(report.findings[1].where, "c");
}

TEST(Tar, IsNeverCleanWhenCut) {
  const std::string whole = member("a", "known: one") + member("b", "known: two") + k_end;
  for (std::size_t cut = 263; cut < whole.size(); ++cut) {
    // One zero block is an end to all readers.
    if (cut >= whole.size() - 512) break;
    const Report report = scan_with({&format_tar}, whole.substr(0, cut));
    EXPECT_FALSE(is_clean(report)) << "cut at " << cut << " " << show(report);
    EXPECT_FALSE(report.complete()) << "cut at " << cut << " " << show(report);
  }
}

class ReleaseRecorder final : public ReportSink {
public:
  void on_finding(const Finding&) override { found = true; }
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t offset) override {
    released = offset;
    if (!found) released_before_finding = offset;
  }
  void on_rest_is_inert(std::uint64_t) override {}
  bool found = false;
  std::uint64_t released = 0;
  std::uint64_t released_before_finding = 0;
};

TEST(Tar, ReleasesMemberByMemberBehindTheScan) {
  const std::string whole = member("a", "known: one") + member("b", "known: evil") + k_end;
  ReleaseRecorder recorder;
  scan_with({&format_tar}, whole, {}, &recorder);
  EXPECT_EQ(recorder.released_before_finding, 1024u);
  EXPECT_EQ(recorder.released, whole.size());
}

TEST(Tar, WalksBothWaysWhereSizesDisagree) {
  // By the pax size the inner member is content; by the header's size of 0 it is a member.
  const std::string inner = member("hidden", "known: evil");
  const std::string records = "13 size=1024\n";
  const Report report =
      scan_with({&format_tar}, member("pax", records, 'x') + header("outer", 0) + inner + k_end);
  EXPECT_NE(find_rule(report, "tar-desync"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "known-evil"), nullptr) << show(report);
}

TEST(Tar, GoesOnBehindTheEndMark) {
  const Report report = scan_with({&format_tar}, member("a", "known: one") + k_end +
                                                     member("b", "known: evil") + k_end);
  EXPECT_NE(find_rule(report, "tar-after-end"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "known-evil"), nullptr) << show(report);
}

TEST(Tar, SkipsJunkToTheNextHeader) {
  const Report report =
      scan_with({&format_tar}, member("a", "known: one") + std::string(1024, 'j') +
                                   member("b", "known: evil") + k_end);
  EXPECT_NE(find_rule(report, "tar-bad-header"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "known-evil"), nullptr) << show(report);
  EXPECT_FALSE(report.complete());
}

TEST(Tar, ExpandsSparseMembersOfEveryForm) {
  for (const std::string name: {"sparse_pax0.0", "sparse_pax0.1", "sparse_pax1.0", "sparse_gnu"}) {
    const Report report = scan_with({&format_tar}, file(k_corpus / name));
    const Finding* found = nullptr;
    for (const Finding& finding: report.findings)
      if (finding.rule == "known-evil" && finding.where == "sp") found = &finding;
    ASSERT_NE(found, nullptr) << name << show(report);
    EXPECT_EQ(found->offset, 40000u) << name;
    EXPECT_EQ(find_rule(report, "tar-sparse"), nullptr) << name << show(report);
  }
  // More pieces than the header holds: the map goes on in blocks of its own.
  const Report report = scan_with({&format_tar}, file(k_corpus / "sparse_gnu_many"));
  EXPECT_EQ(find_rule(report, "tar-sparse"), nullptr) << show(report);
}

TEST(Tar, ASparseMemberOfManyZerosCostsTheBudgetAndNoMore) {
  std::string head = header("sparse", 512, 'S');
  head.replace(257, 8, std::string("ustar  \0", 8));
  head.replace(386, 24, octal(0, 12) + octal(512, 12));
  head.replace(483, 12, std::string("\x80\0\0\0\x7f\0\0\0\0\0\0\0", 12));
  head.replace(148, 8, std::string(8, ' '));
  std::uint64_t sum = 0;
  for (const char c: head)
    sum += static_cast<std::uint8_t>(c);
  head.replace(148, 8, octal(sum, 7) + ' ');
  Limits limits;
  limits.decoded_bytes = 1 << 20;
  const Report report =
      scan_with({&format_tar}, head + "known:" + std::string(506, 'x') + k_end, limits);
  EXPECT_TRUE(has_gap(report, Reason::budget)) << show(report);
}

TEST(Tar, TheCorpusShowsEachRule) {
  const std::vector<std::pair<std::string, std::string>> expected{
      {"arc_004_duplicate", "archive-duplicate-name"},
      {"arc_011_traversal_parent", "archive-traversal"},
      {"arc_012_link_escapes", "archive-link-escape"},
      {"arc_012_write_through", "archive-link-through"},
      {"arc_012_hardlink_escapes", "archive-link-escape"},
      {"arc_012_link_inside", "archive-link"},
      {"arc_012_device", "archive-device"},
      {"arc_019_pax_size", "tar-desync"},
      {"arc_019_pax_size_on_long_name", "tar-desync"},
      {"arc_019_base256_negative", "tar-desync"},
      {"arc_019_duplicate_pax_key", "tar-desync"},
      {"arc_019_global_path", "tar-desync"},
      {"arc_019_bad_pax_record", "tar-desync"},
      {"arc_019_sparse_conflict", "tar-sparse"},
      {"arc_020_after_end", "tar-after-end"},
      {"arc_020_one_zero_block", "tar-after-end"},
      {"arc_021_long_name_of_gigabytes", "tar-oversized-header"},
      {"arc_021_pax_of_gigabytes", "tar-oversized-header"},
  };
  for (const auto& [name, rule]: expected) {
    ASSERT_TRUE(std::filesystem::exists(k_corpus / name)) << name;
    const Report report = scan_with({&format_tar}, file(k_corpus / name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << ": " << show(report);
  }
}

TEST(Tar, HonestArchivesOfManyToolsShowNothing) {
  for (const auto& entry: std::filesystem::directory_iterator(k_corpus)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("good_") && !name.ends_with("_near")) continue;
    const Report report = scan_with({&format_tar}, file(entry.path()));
    EXPECT_TRUE(report.findings.empty()) << name << ": " << show(report);
    for (const Gap& gap: report.gaps)
      EXPECT_EQ(gap.reason, Reason::opaque) << name << ": " << show(report);
  }
}

TEST(TarHeader, ReadsNumbers) {
  using tar::read_number;
  EXPECT_EQ(read_number(as_bytes("0000644 ")).value, 0644u);
  EXPECT_EQ(read_number(as_bytes(std::string_view(" 12\0\0\0", 6))).value, 012u);
  EXPECT_TRUE(read_number(as_bytes("12x4")).malformed);
  EXPECT_EQ(read_number(as_bytes(std::string_view("\x80\0\0\1\0", 5))).value, 256u);
  EXPECT_TRUE(read_number(as_bytes("\xff\xff\xff")).negative);
  EXPECT_TRUE(read_number(as_bytes("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff")).malformed);
  EXPECT_TRUE(read_number(as_bytes("7777777777777777777777777")).malformed);
}

TEST(TarHeader, ReadsPaxRecordsStrictly) {
  using tar::read_pax;
  const auto good = read_pax(as_bytes("12 path=abc\n13 size=1024\n"));
  ASSERT_TRUE(good);
  EXPECT_EQ((*good)[0].value, "abc");
  for (const std::string_view bad: {"12 path=abcd\n", "13 path=abc\n", "0 a=b\n", "x", "5 a=\n\n",
                                    "-6 a=b\n", "99999999999999999999 a=b\n", "6 =abc\n"})
    EXPECT_FALSE(read_pax(as_bytes(bad))) << bad;
}

} // namespace
} // namespace hubgate

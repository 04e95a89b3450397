#include "scanner/yara/yara.hpp"

#include "scanner/worker/worker.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

namespace hubgate::yara {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view k_marker = R"(
rule Marker : test {
  meta:
    description = "the marker of the tests"
    severity = "malicious"
    class = "proof-of-concept"
    cwe = "CWE-506"
    atlas = "AML.T0011.000"
  strings:
    $a = "ORGANISATION-MARKER"
  condition:
    $a
}
)";

std::unique_ptr<Compiled> compiled(std::string_view text, std::vector<Problem>& problems) {
  return compile({{"rules/own.yar", space_of("rules/own.yar"), std::string(text)}}, problems);
}

std::vector<std::uint8_t> bytes_of(std::string_view text) {
  std::vector<Problem> problems;
  const auto out = compiled(text, problems);
  for (const Problem& problem: problems)
    ADD_FAILURE() << problem.file << ":" << problem.line << ": " << problem.message;
  return out ? out->bytes : std::vector<std::uint8_t>();
}

Report scan(Bytes rules, std::string_view content, Blocks blocks = {}, double seconds = 60) {
  const auto loaded = Rules::load(rules, blocks, seconds);
  EXPECT_NE(loaded, nullptr);
  MemorySource source(as_bytes(content));
  return scan_object(all_formats(), source, {}, nullptr, loaded.get());
}

std::string problem_of(std::string_view text, std::size_t* line = nullptr) {
  std::vector<Problem> problems;
  EXPECT_EQ(compiled(text, problems), nullptr);
  for (const Problem& problem: problems) {
    if (problem.warning) continue;
    EXPECT_EQ(problem.file, "rules/own.yar");
    if (line != nullptr) *line = problem.line;
    return problem.message;
  }
  ADD_FAILURE() << "no problem";
  return "";
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Compile, tells_what_it_made) {
  std::vector<Problem> problems;
  const auto out =
      compiled(std::string(k_marker) + "private rule Inner { condition: true }", problems);
  ASSERT_NE(out, nullptr);
  EXPECT_THAT(problems, IsEmpty());
  ASSERT_EQ(out->rules.size(), 1U) << "a private rule finds nothing by itself";
  const RuleFacts& rule = out->rules[0];
  EXPECT_EQ(rule.id, "yara:own.Marker");
  EXPECT_EQ(rule.severity, Severity::malicious);
  EXPECT_EQ(rule.klass, "proof-of-concept");
  EXPECT_EQ(rule.description, "the marker of the tests");
  EXPECT_EQ(rule.file, "rules/own.yar");
  EXPECT_EQ(rule.line, 2U);
}

TEST(Compile, digest_is_of_the_sources) {
  std::vector<Problem> problems;
  const auto one = compiled(k_marker, problems);
  const auto same = compiled(k_marker, problems);
  const auto other = compiled(std::string(k_marker) + "// a comment\n", problems);
  ASSERT_TRUE(one && same && other);
  EXPECT_EQ(one->digest, same->digest);
  EXPECT_NE(one->digest, other->digest);
}

TEST(Compile, names_the_line_of_an_error) {
  std::size_t line = 0;
  EXPECT_THAT(problem_of("rule A {\n condition:\n  $missing\n}\n", &line), HasSubstr("missing"));
  EXPECT_GE(line, 3U) << "libyara names the line behind, sometimes";
}

TEST(Compile, goes_on_behind_a_file_with_errors) {
  std::vector<Problem> problems;
  EXPECT_EQ(
      compile({{"a.yar", "a", "rule A {"}, {"b.yar", "b", "rule B { condition: $x }"}}, problems),
      nullptr);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].file, "a.yar");
  EXPECT_EQ(problems[1].file, "b.yar");
}

TEST(Compile, files_are_namespaces_of_their_own) {
  std::vector<Problem> problems;
  const std::string rule = "rule Same { condition: false }";
  EXPECT_NE(compile({{"a.yar", "a", rule}, {"b.yar", "b", rule}}, problems), nullptr);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(compile({{"x/a.yar", "a", rule}, {"y/a.yar", "a", rule}}, problems), nullptr);
  EXPECT_EQ(space_of("rules/hub rules.v2.yar"), "hub_rules_v2");
  EXPECT_EQ(space_of(".yar"), "rules");
}

TEST(Compile, refuses_includes) {
  std::size_t line = 0;
  problem_of("\ninclude \"/etc/passwd\"\nrule A { condition: true }", &line);
  EXPECT_EQ(line, 2U);
}

TEST(Compile, refuses_modules_that_read_by_themselves) {
  for (const std::string module: {"pe", "elf", "magic", "cuckoo", "time", "console", "dotnet"}) {
    std::size_t line = 0;
    const std::string text =
        "import \"hash\" /* first */ import\n  \"" + module + "\"\nrule A { condition: true }";
    EXPECT_THAT(problem_of(text, &line), HasSubstr(module));
    EXPECT_EQ(line, 2U) << module;
  }
  EXPECT_FALSE(bytes_of("import \"math\"\nimport \"hash\"\nrule A { condition: "
                        "math.entropy(0, filesize) > 9 and hash.md5(0, 1) == \"\" }")
                   .empty());
}

TEST(Compile, refuses_a_severity_that_is_none) {
  EXPECT_THAT(problem_of("rule A { meta: severity = \"high\" condition: true }"),
              HasSubstr("severity"));
  std::vector<Problem> problems;
  EXPECT_NE(
      compiled("rule A { meta: severity = 90 class = \"My Class\" condition: true }", problems),
      nullptr);
  EXPECT_EQ(problems.size(), 2U) << "other people's meta is a warning";
}

TEST(Match, finds_in_plain_bytes_and_tells_what) {
  const Report report = scan(bytes_of(k_marker), "{\"a\": \"ORGANISATION-MARKER\"}");
  const Finding* found = test::find_rule(report, "yara:own.Marker");
  ASSERT_NE(found, nullptr) << test::show(report);
  EXPECT_EQ(found->offset, 7U);
  EXPECT_EQ(found->length, 19U);
  EXPECT_EQ(found->severity, Severity::malicious);
  EXPECT_EQ(found->klass, "proof-of-concept");
  EXPECT_EQ(found->cwe, "CWE-506");
  EXPECT_EQ(found->atlas, "AML.T0011.000");
  EXPECT_EQ(found->evidence, "the marker of the tests: $a at 7: ORGANISATION-MARKER");
  EXPECT_TRUE(test::is_clean(scan(bytes_of(k_marker), "{\"a\": \"else\"}")));
}

TEST(Match, is_suspicious_where_a_rule_says_nothing) {
  const Report report =
      scan(bytes_of("rule Bare { strings: $x = \"abc\" private condition: $x }"), "{\"abc\": 1}");
  const Finding* found = test::find_rule(report, "yara:own.Bare");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->severity, Severity::suspicious);
  EXPECT_EQ(found->klass, "yara");
  EXPECT_EQ(found->evidence, "") << "a private string is not shown";
}

TEST(Match, looks_into_containers) {
  const std::string content = "{\"a\": \"ORGANISATION-MARKER\"}";
  const Report report = scan(bytes_of(k_marker), gzip(content));
  const Finding* found = test::find_rule(report, "yara:own.Marker");
  ASSERT_NE(found, nullptr) << test::show(report);
  EXPECT_EQ(found->where, "content");
  const Report twice = scan(bytes_of(k_marker), gzip(gzip(content)));
  EXPECT_NE(test::find_rule(twice, "yara:own.Marker"), nullptr) << test::show(twice);
}

TEST(Match, crosses_the_borders_of_blocks) {
  const auto rules = bytes_of(k_marker);
  for (std::size_t at = 0; at < 400; at += 3) {
    std::string content(600, ' ');
    content.replace(at, 19, "ORGANISATION-MARKER");
    const Report report = scan(rules, content, {64, 32});
    const Finding* found = test::find_rule(report, "yara:own.Marker");
    ASSERT_NE(found, nullptr) << at;
    EXPECT_EQ(found->offset, at);
  }
}

TEST(Match, counts_what_lies_in_two_blocks_once) {
  const auto rules = bytes_of("rule Two { strings: $a = \"xyzzy\" condition: #a == 2 }"
                              "rule Far { strings: $a = \"xyzzy\" condition: @a[2] == 500 and "
                              "uint8(500) == 0x78 and filesize == 600 }");
  std::string content(600, ' ');
  content.replace(66, 5, "xyzzy"); // in the first block's overlap and in the second block
  content.replace(500, 5, "xyzzy");
  const Report report = scan(rules, content, {64, 32});
  EXPECT_NE(test::find_rule(report, "yara:own.Two"), nullptr) << test::show(report);
  EXPECT_NE(test::find_rule(report, "yara:own.Far"), nullptr) << test::show(report);
}

// libyara keeps the parts of such a string by their place in the block they were in.
TEST(Match, parts_of_a_string_belong_to_one_place) {
  const auto rules = bytes_of("rule Parts { strings: $a = { 41 41 41 41 [250-300] 42 42 42 42 "
                              "[250-300] 43 43 43 43 } condition: $a }");
  std::string whole(8192, ' ');
  whole.replace(5000, 4, "AAAA");
  whole.replace(5264, 4, "BBBB");
  whole.replace(5528, 4, "CCCC");
  whole.replace(3900, 4, "BBBB"); // a decoy in the block before, farther behind its begin
  EXPECT_NE(test::find_rule(scan(rules, whole, {4096, 1024}), "yara:own.Parts"), nullptr);
  std::string torn(8192, ' ');
  torn.replace(100, 4, "AAAA");
  torn.replace(4096 + 364, 4, "BBBB");
  torn.replace(4096 + 628, 4, "CCCC");
  EXPECT_EQ(test::find_rule(scan(rules, torn, {4096, 1024}), "yara:own.Parts"), nullptr);
}

TEST(Match, modules_see_the_whole_stream) {
  const auto rules =
      bytes_of("import \"hash\"\nrule Whole { condition: hash.sha256(0, filesize) == "
               "\"2b8a7d1a0b4dcc7ac7bf1ba8fba1b83cdd5c4b3d1c9bd2c7d5ee5a6ff51e6a5a\" "
               "or hash.md5(0, filesize) == \"" +
               std::string("cb5e100e5a9a3e7f6d1fd97512215282") + "\" }");
  // printf 'error\n' | md5sum is cb5e10…
  EXPECT_EQ(test::find_rule(scan(rules, "errors\n"), "yara:own.Whole"), nullptr);
}

TEST(Match, ends_within_its_time) {
  const Report report = scan(bytes_of(k_marker), "{\"a\": 1}", {}, -1);
  EXPECT_TRUE(test::has_gap(report, Reason::budget)) << test::show(report);
  EXPECT_TRUE(scan(bytes_of(k_marker), "{\"a\": 1}").complete());
}

// A source that counts how much is read of it, and at some point is late.
class Counted final : public Source {
public:
  explicit Counted(Bytes bytes) : inner_(bytes) {}
  std::optional<std::uint64_t> size() override { return inner_.size(); }
  Bytes view(std::uint64_t offset, std::size_t n) override {
    const Bytes out = inner_.view(offset, n);
    read += out.size();
    return out;
  }
  bool random_access() override { return true; }
  std::uint64_t wait_end() override { return inner_.wait_end(); }
  std::uint64_t read = 0;

private:
  MemorySource inner_;
};

TEST(Match, a_condition_reads_again_only_what_it_looks_at) {
  std::string content(64 << 10, ' ');
  content.replace(60'000, 4, "deep");
  const auto cost = [&](std::string_view condition, bool expected) {
    const auto rules = Rules::load(
        bytes_of("rule Deep { condition: " + std::string(condition) + " }"), {1024, 64});
    Counted source(as_bytes(content));
    const Report report = scan_object({}, source, {}, nullptr, rules.get());
    EXPECT_EQ(test::find_rule(report, "yara:own.Deep") != nullptr, expected) << condition;
    return source.read;
  };
  const std::uint64_t without = cost("filesize == 1", false);
  EXPECT_LE(cost("uint32(60000) == 0x70656564 and uint8(60001) == 0x65", true), without + 4096);
  EXPECT_LE(cost("uint8(0) == 0x20 and uint8(65535) == 0x20 and filesize == 65536", true),
            without + 4096);
}

// What a condition could not look at any more must not count as looked at.
TEST(Match, a_condition_that_is_late_is_a_gap) {
  const std::string content(256 << 10, 'x');
  const auto rules = bytes_of("rule Slow { condition: for all i in (0..200000): "
                              "(uint8(i) + uint8(262143 - i) == 240) }");
  const Report report = scan(rules, content, {1024, 64}, 0.2);
  EXPECT_TRUE(test::has_gap(report, Reason::budget)) << test::show(report);
}

TEST(Match, a_string_that_is_there_too_often_is_a_gap) {
  const auto rules =
      bytes_of("rule Often { strings: $a = \"abab\" condition: #a > 2000000 or @a[5] == 0 }");
  std::string content;
  for (int i = 0; i < 600'000; ++i)
    content += "abab";
  const Report report = scan(rules, content);
  EXPECT_TRUE(test::has_gap(report, Reason::budget)) << test::show(report);
}

// Nothing leaves before the rules have seen the last byte.
class Watch final : public ReportSink {
public:
  void on_finding(const Finding&) override { ++findings; }
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t offset) override { released = offset; }
  void on_rest_is_inert(std::uint64_t) override { inert = true; }
  std::uint64_t released = 0;
  bool inert = false;
  int findings = 0;
};

std::string safetensors(std::size_t size) {
  std::string head = R"({"w":{"dtype":"F32","shape":[)" + std::to_string(size / 4) +
                     R"(],"data_offsets":[0,)" + std::to_string(size) + "]}}";
  head.resize((head.size() + 7) / 8 * 8, ' ');
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i)
    out[i] = static_cast<char>(head.size() >> (8 * i));
  return out + head + std::string(size, '\0');
}

TEST(Match, releases_nothing_of_what_arrives) {
  std::string file = safetensors(std::size_t{6} << 20);
  Watch without;
  {
    test::ArrivingSource source(as_bytes(file));
    scan_object(all_formats(), source, {}, &without);
  }
  EXPECT_GT(without.released, 0U);
  file.replace(5 << 20, 19, "ORGANISATION-MARKER");
  const auto rules = Rules::load(bytes_of(k_marker));
  ASSERT_NE(rules, nullptr);
  Watch watch;
  test::ArrivingSource source(as_bytes(file));
  const Report report = scan_object(all_formats(), source, {}, &watch, rules.get());
  EXPECT_EQ(watch.released, 0U);
  EXPECT_FALSE(watch.inert);
  EXPECT_EQ(watch.findings, 1);
  EXPECT_NE(test::find_rule(report, "yara:own.Marker"), nullptr) << test::show(report);
}

TEST(Match, reads_again_without_paying_twice) {
  // Twice as much as may be unpacked, if the rules' reading counted too.
  const std::string content = gzip("{\"a\": \"" + std::string(3 << 20, 'x') + "\"}");
  Limits limits;
  limits.decoded_bytes = 4 << 20;
  limits.decode_window = 64 << 10;
  const auto rules = Rules::load(bytes_of(k_marker));
  MemorySource source(as_bytes(content));
  const Report without = scan_object(all_formats(), source, limits, nullptr);
  const Report with = scan_object(all_formats(), source, limits, nullptr, rules.get());
  EXPECT_EQ(test::show(with), test::show(without));
}

// In the workers, under their sandbox.
class InWorker : public testing::Test {
protected:
  static Report run(WorkerPool& pool, std::string_view content) {
    const Fd file(memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::write(file.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    return scan_file(pool, file.get(), content.size(), {});
  }
};

TEST_F(InWorker, rules_hold_from_the_next_job_on) {
  auto pool = WorkerPool::start(all_formats());
  ASSERT_TRUE(pool.ok()) << pool.error().message;
  constexpr std::string_view k_content = "{\"a\": \"ORGANISATION-MARKER\"}";
  EXPECT_EQ(test::find_rule(run(**pool, k_content), "yara:own.Marker"), nullptr);
  // hash takes what libcrypto needs, math the tables of libm.
  const auto rules = bytes_of("import \"hash\"\nimport \"math\"\n" + std::string(k_marker) +
                              "rule Sums { condition: hash.sha256(0, filesize) != \"\" and "
                              "hash.md5(0, filesize) != \"\" and math.entropy(0, filesize) > 1 }");
  ASSERT_TRUE((*pool)->set_rules(rules).ok());
  const Report report = run(**pool, k_content);
  EXPECT_NE(test::find_rule(report, "yara:own.Marker"), nullptr) << test::show(report);
  EXPECT_NE(test::find_rule(report, "yara:own.Sums"), nullptr) << test::show(report);
  EXPECT_TRUE(report.complete()) << test::show(report);
  ASSERT_TRUE((*pool)->set_rules({}).ok());
  EXPECT_EQ(test::find_rule(run(**pool, k_content), "yara:own.Marker"), nullptr);
}

TEST_F(InWorker, broken_rules_make_everything_inconclusive) {
  auto pool = WorkerPool::start(all_formats());
  ASSERT_TRUE(pool.ok()) << pool.error().message;
  auto rules = bytes_of(k_marker);
  rules.resize(rules.size() / 2);
  ASSERT_TRUE((*pool)->set_rules(rules).ok());
  EXPECT_TRUE(test::has_gap(run(**pool, "{\"a\": 1}"), Reason::crash));
  ASSERT_TRUE((*pool)->set_rules(as_bytes("no rules at all")).ok());
  EXPECT_TRUE(test::has_gap(run(**pool, "{\"a\": 1}"), Reason::crash));
  ASSERT_TRUE((*pool)->set_rules(bytes_of(k_marker)).ok());
  EXPECT_TRUE(run(**pool, "{\"a\": 1}").complete()) << "and good ones mend it";
}

} // namespace
} // namespace hubgate::yara

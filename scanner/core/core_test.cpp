#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/listings.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>

namespace hubgate {
namespace {

TEST(Reader, never_reads_past_the_end) {
  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  Reader reader(bytes);
  EXPECT_FALSE(reader.le<std::uint32_t>());
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_EQ(reader.le<std::uint16_t>(), 0x0201);
  EXPECT_FALSE(reader.take(~std::uint64_t{0}));
  EXPECT_FALSE(reader.at(2, ~std::uint64_t{0}));
  EXPECT_EQ(reader.remaining(), 1u);
}

TEST(Reader, reads_both_byte_orders) {
  const std::array<std::uint8_t, 4> bytes{0x12, 0x34, 0x12, 0x34};
  Reader reader(bytes);
  EXPECT_EQ(reader.be<std::uint16_t>(), 0x1234);
  EXPECT_EQ(reader.le<std::int16_t>(), 0x3412);
}

TEST(Reader, counts_are_checked_before_memory_is_taken) {
  const std::array<std::uint8_t, 16> bytes{};
  const Reader reader(bytes);
  EXPECT_TRUE(reader.can_hold(2, 8));
  EXPECT_FALSE(reader.can_hold(3, 8));
  EXPECT_FALSE(reader.can_hold(~std::uint64_t{0}, 8));
}

TEST(Evidence, escapes_what_deceives) {
  EXPECT_EQ(printable("a\nb\x1b[31m"), "a\\nb\\x1b[31m");
  EXPECT_EQ(printable("x\u202ey"), "x\\u{202e}y");
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf"); // overlong '/'
  EXPECT_EQ(printable("grün"), "grün");
}

TEST(Evidence, is_bounded_at_a_character) {
  const std::string shown = printable(std::string(10'000, 'a') + "é", 10);
  EXPECT_EQ(shown, "aaaaaaaaaa…");
  EXPECT_EQ(printable("aéé", 2), "a…");
}

TEST(Evidence, masks_secrets) {
  EXPECT_EQ(printable("token=hf_abcdefghijklmnopqrstuvwxyz012345 x"), "token=hf_**** x");
  EXPECT_EQ(printable("hf_short"), "hf_short");
  EXPECT_EQ(printable("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
            "-----BEGIN … PRIVATE KEY-----****-----END RSA PRIVATE KEY-----");
}

TEST(Digest, is_sha256_and_checks_blocks_alone) {
  EXPECT_EQ(hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::string text(2 * k_block_size + 5, 'x');
  text[k_block_size + 7] = 'y';
  BlockHasher hasher;
  hasher.update(as_bytes(text).first(1000));
  hasher.update(as_bytes(text).subspan(1000));
  const ObjectDigest digest = hasher.finish();
  EXPECT_EQ(digest.sha256, sha256(as_bytes(text)));
  ASSERT_EQ(digest.blocks.size(), 2u);
  const Bytes bytes = as_bytes(text);
  EXPECT_TRUE(block_matches(digest, 0, bytes.first(k_block_size)));
  EXPECT_TRUE(block_matches(digest, 1, bytes.subspan(k_block_size, k_block_size)));
  EXPECT_TRUE(block_matches(digest, 2, bytes.subspan(2 * k_block_size)));
  EXPECT_FALSE(block_matches(digest, 1, bytes.first(k_block_size)));
  EXPECT_FALSE(block_matches(digest, 2, bytes.last(4)));
  EXPECT_FALSE(block_matches(digest, 3, {}));
}

TEST(Digest, an_object_of_whole_blocks_ends_with_an_empty_one) {
  const std::string text(k_block_size, 'x');
  BlockHasher hasher;
  hasher.update(as_bytes(text));
  const ObjectDigest digest = hasher.finish();
  EXPECT_TRUE(block_matches(digest, 0, as_bytes(text)));
  EXPECT_TRUE(block_matches(digest, 1, {}));
  EXPECT_FALSE(block_matches(digest, 0, as_bytes(text).first(5)));
}

// Formats for the engine: "A…" and "B…" claim by first byte, "box" holds one member.
constexpr std::array<Rule, 1> k_rules{
    {{"test-found", "test", Severity::suspicious, Reach::load, "", "", "", "found"}}};

Reading scan_valid(Source& source, Session&) {
  source.wait_end();
  return Reading::valid;
}
Reading scan_none(Source&, Session&) {
  return Reading::none;
}
Reading scan_broken(Source&, Session& session) {
  session.find(k_rules[0], 0, 1, "before the break");
  session.gap(Reason::malformed, Reach::load, 1, "broken");
  return Reading::broken;
}
Reading scan_box(Source& source, Session& session) {
  SubSource inner(source, 1, source.wait_end() - 1);
  session.member("in\nside", inner);
  return Reading::valid;
}
Reading scan_raw_box(Source& source, Session& session) {
  SubSource inner(source, 1, source.wait_end() - 1);
  session.raw_member("inside");
  session.member("inside", inner);
  return Reading::valid;
}
Reading scan_head(Source&, Session& session) {
  session.ends_at(1);
  return Reading::valid;
}
Reading scan_gaps(Source&, Session& session) {
  session.gap(Reason::opaque, Reach::data, 0, "one");
  session.gap(Reason::opaque, Reach::data, 1, "two");
  session.gap(Reason::truncated, Reach::load, 2, "three");
  return Reading::valid;
}
Reading scan_refers(Source&, Session& session) {
  session.refer("code", 3, "model\n.py", "config.json");
  session.refer("code", 9, "model\n.py", "config.json");
  for (std::size_t i = 0; i <= k_max_references; ++i)
    session.refer("file", 0, std::to_string(i));
  return Reading::valid;
}
Reading scan_shows(Source&, Session& session) {
  session.show("code", 3, "one\n  t\x1bwo\n\nfour");
  return Reading::valid;
}
// Lines that are ten bytes apart, and something between two of them.
void show_lines(Session& session, std::uint64_t count) {
  session.find(k_rules[0], 5004, 1, "here");
  for (std::uint64_t i = 0; i < count; ++i)
    session.show("disassembly", i * 10, std::to_string(i * 10));
}
Reading scan_shows_many(Source&, Session& session) {
  show_lines(session, 1000);
  return Reading::valid;
}
Reading scan_shows_few(Source&, Session& session) {
  show_lines(session, 400);
  return Reading::valid;
}
Reading scan_throws(Source&, Session&) {
  throw std::runtime_error("boom");
}

Claim starts(const Probe& probe, char c) {
  return !probe.head.empty() && probe.head[0] == static_cast<std::uint8_t>(c) ? Claim::yes
                                                                              : Claim::no;
}
Claim ends_with_z(const Probe& probe) {
  return !probe.tail.empty() && probe.tail.back() == 'z' ? Claim::yes : Claim::no;
}

const Format k_a{"a", "a", [](const Probe& p) { return starts(p, 'a'); }, scan_valid, k_rules};
const Format k_a_fine{"a-fine", "a", [](const Probe& p) { return starts(p, 'a'); }, scan_valid,
                      k_rules};
const Format k_none{"none", "none", [](const Probe& p) { return starts(p, 'a'); }, scan_none,
                    k_rules};
const Format k_broken{"broken", "broken", [](const Probe& p) { return starts(p, 'x'); },
                      scan_broken, k_rules};
const Format k_box{"box", "box", [](const Probe& p) { return starts(p, 'b'); }, scan_box, k_rules};
const Format k_raw{"raw", "raw", [](const Probe& p) { return starts(p, 'r'); }, scan_raw_box,
                   k_rules};
const Format k_tail{"tail", "tail", ends_with_z, scan_valid, k_rules};
const Format k_head{"head", "head", [](const Probe& p) { return starts(p, 'h'); }, scan_head,
                    k_rules};
const Format k_throws{"throws", "throws", [](const Probe& p) { return starts(p, 't'); },
                      scan_throws, k_rules};
const Format k_gaps{"gaps", "gaps", [](const Probe& p) { return starts(p, 'g'); }, scan_gaps,
                    k_rules};
const Format k_refers{"refers", "refers", [](const Probe& p) { return starts(p, 'c'); },
                      scan_refers, k_rules};
const Format k_shows{"shows", "shows", [](const Probe& p) { return starts(p, 's'); }, scan_shows,
                     k_rules};
const Format k_shows_many{"shows-many", "shows", [](const Probe& p) { return starts(p, '1'); },
                          scan_shows_many, k_rules};
const Format k_shows_few{"shows-few", "shows", [](const Probe& p) { return starts(p, '2'); },
                         scan_shows_few, k_rules};
constexpr const Format* k_table[] = {&k_a,      &k_a_fine, &k_none,       &k_broken,   &k_box,
                                     &k_raw,    &k_tail,   &k_head,       &k_throws,   &k_gaps,
                                     &k_refers, &k_shows,  &k_shows_many, &k_shows_few};

Report scan(std::string_view text, const Limits& limits = {}, ReportSink* sink = nullptr) {
  MemorySource source(as_bytes(text));
  return scan_object(k_table, source, limits, sink);
}

TEST(Engine, nothing_claimed_is_opaque_and_never_complete) {
  const Report report = scan("\x01\x02");
  EXPECT_FALSE(report.complete());
  EXPECT_EQ(report.gaps[0].reason, Reason::opaque);
  EXPECT_EQ(report.format, "");
}

TEST(Engine, an_empty_object_is_complete) {
  EXPECT_TRUE(scan("").complete());
}

TEST(Engine, a_refinement_names_the_format_and_is_no_polyglot) {
  const Report report = scan("a");
  EXPECT_EQ(report.format, "a-fine");
  EXPECT_TRUE(report.findings.empty());
  EXPECT_TRUE(report.complete());
}

TEST(Engine, two_valid_readings_are_a_finding) {
  const Report report = scan("a...z");
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].rule, "polyglot");
}

TEST(Engine, a_weak_reading_is_no_polyglot_and_names_nothing_else) {
  Format weak = k_a;
  weak.name = weak.family = "weak";
  weak.weak = true;
  const std::array<const Format*, 2> table{&weak, &k_a};
  MemorySource source(as_bytes("a"));
  const Report report = scan_object(table, source, {}, nullptr);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.format, "a");
}

TEST(Engine, findings_outlive_a_break) {
  const Report report = scan("x");
  EXPECT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.gaps[0].reason, Reason::malformed);
}

TEST(Engine, members_are_scanned_under_their_escaped_path) {
  const Report report = scan("bbx");
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].where, "in\\nside!in\\nside");
}

TEST(Engine, depth_is_bounded_and_said) {
  const Report report = scan(std::string(100, 'b'));
  ASSERT_EQ(report.gaps.size(), 1u);
  EXPECT_EQ(report.gaps[0].reason, Reason::budget);
}

TEST(Engine, entries_are_bounded_and_said) {
  Limits limits;
  limits.entries = 1;
  EXPECT_EQ(scan("bba", limits).gaps[0].reason, Reason::budget);
}

TEST(Engine, raw_members_are_not_opaque) {
  EXPECT_FALSE(scan("b\x01").complete());
  EXPECT_TRUE(scan("r\x01").complete());
}

TEST(Engine, what_follows_the_end_is_an_object_of_its_own) {
  const Report report = scan("hx");
  ASSERT_EQ(report.findings.size(), 2u);
  EXPECT_EQ(report.findings[0].rule, "trailing-data");
  EXPECT_EQ(report.findings[1].where, "@0x1");
  EXPECT_TRUE(scan(std::string_view("h\0\0\n", 4)).complete());
}

TEST(Engine, an_exception_is_a_gap) {
  EXPECT_EQ(scan("t").gaps[0].reason, Reason::crash);
}

TEST(Engine, a_reference_is_listed_once_and_too_many_are_a_gap) {
  const Report report = scan("c");
  ASSERT_EQ(report.references.size(), k_max_references);
  EXPECT_EQ(report.references[0].kind, "code");
  EXPECT_EQ(report.references[0].target, "model\\n.py");
  EXPECT_EQ(report.references[0].offset, 3u);
  EXPECT_EQ(report.references[0].condition, "config.json");
  EXPECT_EQ(report.references[1].target, "0");
  ASSERT_EQ(report.gaps.size(), 1u);
  EXPECT_EQ(report.gaps[0].reason, Reason::budget);
}

struct Lines final : ReportSink {
  std::vector<Listing> seen;
  void on_finding(const Finding&) override {}
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t) override {}
  void on_rest_is_inert(std::uint64_t) override {}
  void on_listing(const Listing& listing) override { seen.push_back(listing); }

  std::vector<std::string> of(std::string_view kind) const {
    std::vector<std::string> out;
    for (const Listing& listing: seen)
      if (listing.kind == kind) out.push_back(listing.text);
    return out;
  }
};

Lines lines_of(std::string_view text, const Limits& limits) {
  Lines lines;
  scan(text, limits, &lines);
  return lines;
}

TEST(Engine, listings_are_shown_to_who_asks_and_are_bounded) {
  Limits limits;
  EXPECT_TRUE(lines_of("s", limits).seen.empty());
  limits.listings = 9;
  const Lines all = lines_of("s", limits);
  EXPECT_EQ(all.of("code"), (std::vector<std::string>{"one", "  t\\x1bwo", "", "four"}));
  EXPECT_EQ(all.seen.back().offset, 3u);
  EXPECT_EQ(all.of("format"), std::vector<std::string>{"shows"});
  EXPECT_EQ(all.of("bytes"),
            std::vector<std::string>{"73                                                |s|"});
  limits.listings = 2;
  const Lines some = lines_of("s", limits);
  EXPECT_EQ(some.of("code"), (std::vector<std::string>{"one", "  t\\x1bwo"}));
  EXPECT_EQ(some.of("left-out"), std::vector<std::string>{"2"});
}

TEST(Engine, of_a_large_object_the_neighbourhood_of_what_was_found_is_shown) {
  Limits limits;
  limits.listings = 1000;
  const std::vector<std::string> near = lines_of("1", limits).of("disassembly");
  ASSERT_EQ(near.size(), 82u);
  EXPECT_EQ(near.front(), "… 461 lines left out");
  EXPECT_EQ(near[1], "4610");
  EXPECT_EQ(near[40], "5000"); // the finding lies in it
  EXPECT_EQ(near[80], "5400");
  EXPECT_EQ(near.back(), "… 459 lines left out");
  EXPECT_EQ(lines_of("2", limits).of("disassembly").size(), 400u);
  limits.listings |= k_list_all;
  EXPECT_EQ(lines_of("1", limits).of("disassembly").size(), 1000u);
}

TEST(Engine, too_many_findings_are_counted_and_the_worst_stays) {
  Limits limits;
  limits.findings = 1;
  const Report report = scan("bx..z", limits);
  EXPECT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.dropped, 1u);
}

TEST(Engine, a_gap_that_a_loader_would_execute_is_never_crowded_out) {
  Limits limits;
  limits.findings = 2;
  const Report report = scan("g", limits);
  ASSERT_EQ(report.gaps.size(), 2u);
  EXPECT_TRUE(report.gaps[0].reach == Reach::load || report.gaps[1].reach == Reach::load);
}

TEST(RulesDigest, changes_with_the_rules) {
  constexpr const Format* less[] = {&k_a};
  EXPECT_NE(rules_digest(k_table), rules_digest(less));
  EXPECT_EQ(rules_digest(k_table), rules_digest(k_table));
}

// A decoder that counts up, for windows and restarts.
class Counter final : public Decoder {
public:
  explicit Counter(std::uint64_t size) : size_(size) {}
  void restart() override { at_ = 0, ++restarts; }
  std::size_t produce(std::span<std::uint8_t> out) override {
    std::size_t n = 0;
    while (n < out.size() && at_ < size_)
      out[n++] = static_cast<std::uint8_t>(at_++ / 1000);
    return n;
  }
  State state() const override { return at_ < size_ ? State::more : State::end; }
  int restarts = 0;

private:
  std::uint64_t size_;
  std::uint64_t at_ = 0;
};

TEST(DecodedSource, reads_forward_and_back_in_bounded_memory) {
  Limits limits;
  limits.decode_window = 1 << 20;
  Budget budget(limits);
  auto decoder = std::make_unique<Counter>(20'000'000);
  const Counter* counter = decoder.get();
  DecodedSource source(std::move(decoder), budget);
  EXPECT_EQ(source.wait_end(), 20'000'000u);
  EXPECT_EQ(source.view(19'999'999, 10).size(), 1u);
  EXPECT_EQ(counter->restarts, 0);
  EXPECT_EQ(source.view(5000, 1)[0], 5);
  EXPECT_EQ(counter->restarts, 1);
  EXPECT_EQ(source.view(2'000'000, 1)[0], static_cast<std::uint8_t>(2000));
  EXPECT_EQ(counter->restarts, 1);
}

TEST(DecodedSource, stops_at_the_budget) {
  Limits limits;
  limits.decoded_bytes = 1'000'000;
  Budget budget(limits);
  DecodedSource source(std::make_unique<Counter>(20'000'000), budget);
  EXPECT_LT(source.wait_end(), 2'000'000u);
  EXPECT_EQ(source.fault(), Fault::budget);
}

} // namespace
} // namespace hubgate

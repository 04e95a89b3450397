#include "scanner/codecs/blocks.hpp"
#include "scanner/formats/parquet/delta.hpp"
#include "scanner/formats/parquet/footer.hpp"
#include "scanner/formats/parquet/thrift.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/parquet/corpus";

TEST(Parquet, every_codec_and_encoding_is_clean) {
  const auto files = test::corpus(k_corpus, "good_");
  ASSERT_GE(files.size(), 7U);
  for (const auto& [name, bytes]: files) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "parquet") << name;
  }
}

TEST(Parquet, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 5; n < bytes.size(); n += 1 + n / 200)
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << " " << n;
}

TEST(Parquet, a_pickle_in_a_column_is_scanned) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "bad_pickle")) {
    const Report report = scan_bytes(bytes);
    EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << name << show(report);
    EXPECT_NE(find_rule(report, "dataset-pickled-values"), nullptr) << name << show(report);
  }
}

// Remembers how far was released.
class Released final : public ReportSink {
public:
  void on_finding(const Finding&) override {}
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t offset) override { upto = offset; }
  void on_rest_is_inert(std::uint64_t) override {}
  std::uint64_t upto = 0;
};

TEST(Parquet, lets_go_of_no_prefix_that_could_be_opened) {
  // A whole file, and behind it so much that the first end would be out if it were let go.
  const std::string inner = test::corpus(k_corpus, "bad_pickle").begin()->second;
  const std::string bytes = inner + std::string(3 << 20, '\x81');
  test::ArrivingSource source(as_bytes(bytes));
  Released sink;
  scan_object(all_formats(), source, {}, &sink);
  EXPECT_LT(sink.upto, inner.size());
}

TEST(Parquet, text_that_begins_like_one_is_text) {
  EXPECT_EQ(scan_bytes("PAR1 is the magic of Parquet files, as everybody knows\n").format, "text");
}

TEST(Thrift, skips_what_is_nested_and_ends_at_its_bounds) {
  using namespace parquet;
  // 1: i32 = 1; 2: list<struct{1: list<i32>[1, 2]}>[1]; 3: map<i32, string>{3: "x"}; 4: true
  const std::string bytes = "\x15\x02\x19\x1c\x19\x25\x02\x04\x00\x1b\x01\x58\x06\x01x\x11\x00"s;
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    Thrift in(as_bytes(std::string_view(bytes).substr(0, n)));
    in.enter();
    int fields = 0;
    for (Thrift::Field field; in.next(field); ++fields)
      in.skip(field);
    EXPECT_EQ(in.failed(), n < bytes.size()) << n;
    EXPECT_EQ(fields == 4 && !in.failed(), n == bytes.size()) << n;
  }
  const std::string deep(100, '\x1c');
  Thrift in(as_bytes(deep));
  in.enter();
  Thrift::Field field;
  ASSERT_TRUE(in.next(field));
  in.skip(field);
  EXPECT_TRUE(in.failed());
}

std::string decoded(Decoder& decoder) {
  std::string out;
  std::array<std::uint8_t, 7> some{};
  for (std::size_t n = decoder.produce(some); n > 0; n = decoder.produce(some))
    out.append(reinterpret_cast<const char*>(some.data()), n);
  return out;
}

TEST(Blocks, snappy_copies_and_refuses_what_reaches_too_far) {
  // 11 bytes: "abc", a copy of 4 from 3 back, a copy of 4 from 7 back with two bytes of offset
  const std::string good = "\x0b\x08"
                           "abc\x01\x03\x0e\x07\x00"s;
  MemorySource source(as_bytes(good));
  const auto decoder = decode_snappy_block(source, 0, good.size());
  EXPECT_EQ(decoded(*decoder), "abcabcaabca");
  EXPECT_EQ(decoder->state(), Decoder::State::end);
  decoder->restart();
  EXPECT_EQ(decoded(*decoder), "abcabcaabca");
  for (std::size_t n = 0; n < good.size(); ++n) {
    const auto cut = decode_snappy_block(source, 0, n);
    decoded(*cut);
    EXPECT_NE(cut->state(), Decoder::State::end) << n;
  }
  const std::string far = "\x08\x08"
                          "abc\x01\x04"s;
  MemorySource wrong(as_bytes(far));
  const auto refused = decode_snappy_block(wrong, 0, far.size());
  decoded(*refused);
  EXPECT_EQ(refused->state(), Decoder::State::malformed);
}

TEST(Blocks, lz4_blocks_and_hadoops_frames) {
  const std::string block = "\x32"
                            "abc\x03\x00\x20xy"s; // "abc", six from three back, "xy"
  MemorySource source(as_bytes(block));
  const auto raw = decode_lz4_block(source, 0, block.size());
  EXPECT_EQ(decoded(*raw), "abcabcabcxy");
  EXPECT_EQ(raw->state(), Decoder::State::end);
  const std::string framed = "\0\0\0\x0b\0\0\0\x09"s + block;
  const std::string twice = framed + framed;
  MemorySource both(as_bytes(twice));
  const auto hadoop = decode_lz4_hadoop(both, 0, twice.size());
  EXPECT_EQ(decoded(*hadoop), "abcabcabcxyabcabcabcxy");
  EXPECT_EQ(hadoop->state(), Decoder::State::end);
}

TEST(Deltas, more_than_are_allowed_are_none) {
  // block 128, 4 parts, 3 values, first 1; least 1; widths 0: 1, 2, 3
  const std::string bytes = "\x80\x01\x04\x03\x02\x02\0\0\0\0"s;
  MemorySource source(as_bytes(bytes));
  std::uint64_t at = 0;
  const auto values = parquet::read_deltas(source, at, bytes.size(), 10);
  ASSERT_TRUE(values);
  EXPECT_EQ(*values, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(at, bytes.size());
  at = 0;
  EXPECT_FALSE(parquet::read_deltas(source, at, bytes.size(), 2));
}

} // namespace
} // namespace hubgate

#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

// A GGUF file field by field, in either byte order.
struct Gguf {
  std::string bytes = "GGUF";
  bool big = false;
  template <typename T> Gguf& put(T value) {
    std::string raw;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      raw += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
    if (big) std::reverse(raw.begin(), raw.end());
    bytes += raw;
    return *this;
  }
  Gguf& u32(std::uint32_t v) { return put(v); }
  Gguf& u64(std::uint64_t v) { return put(v); }
  Gguf& text(std::string_view s) {
    u64(s.size());
    bytes += s;
    return *this;
  }
  Gguf& head(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    return u32(version).u64(tensors).u64(keys);
  }
  Gguf& tensor(std::string_view name, std::uint64_t size, std::uint32_t type,
               std::uint64_t offset) {
    return text(name).u32(1).u64(size).u32(type).u64(offset);
  }
  Gguf& data(std::size_t n, std::size_t alignment = 32) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    bytes.append(n, '\x07');
    return *this;
  }
};

std::string good(bool big = false) {
  Gguf g;
  g.big = big;
  g.head(2, 4).text("general.architecture").u32(8).text("llama");
  g.text("list").u32(9).u32(8).u64(2).text("a").text("b");
  g.text("numbers").u32(9).u32(6).u64(3).u32(1).u32(2).u32(3);
  g.text("general.alignment").u32(4).u32(64);
  g.tensor("t", 10, 0, 0).tensor("u", 32, 2, 64).data(64 + 18, 64);
  return g.bytes;
}

void expect_refused(const std::string& bytes, std::string_view rule) {
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, rule), nullptr) << show(report);
  EXPECT_TRUE(has_gap(report, Reason::malformed)) << show(report);
}

TEST(Gguf, accepts_both_byte_orders_and_last_paddings) {
  for (const bool big: {false, true}) {
    const Report report = scan_bytes(good(big));
    EXPECT_TRUE(is_clean(report)) << show(report);
    EXPECT_EQ(report.format, "gguf");
    EXPECT_TRUE(is_clean(scan_bytes(good(big) + std::string(64 - 18, '\0'))));
  }
  EXPECT_TRUE(is_clean(scan_bytes(Gguf().head(0, 0).bytes)));
}

TEST(Gguf, reads_version_1_with_its_short_counts) {
  Gguf g;
  g.u32(1).u32(1).u32(1).u32(1).bytes += "k";
  g.u32(9).u32(8).u32(1).u32(1).bytes += "x";
  g.u32(1).bytes += "t";
  g.u32(1).u32(2).u32(0).u64(0).data(8);
  const Report report = scan_bytes(g.bytes);
  EXPECT_TRUE(is_clean(report)) << show(report);
}

TEST(Gguf, is_never_clean_when_cut) {
  const std::string whole = good();
  // Less than the magic is text.
  for (std::size_t n = 4; n < whole.size(); ++n) {
    const Report report = scan_bytes(std::string_view(whole).substr(0, n));
    EXPECT_FALSE(is_clean(report)) << n << " " << show(report);
    test::ArrivingSource arriving(as_bytes(whole).first(n));
    EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << n;
  }
}

TEST(Gguf, counts_and_lengths_are_checked) {
  expect_refused(Gguf().head(~std::uint64_t{0}, 0).bytes, "gguf-bounds");
  expect_refused(Gguf().head(0, std::uint64_t{1} << 60).bytes, "gguf-bounds");
  expect_refused(Gguf().head(0, 1).u64(~std::uint64_t{0}).u64(0).bytes, "gguf-bounds");
  expect_refused(Gguf().head(0, 1).text("k").u32(8).u64(~std::uint64_t{0}).bytes, "gguf-bounds");
  expect_refused(Gguf().head(0, 1).text("k").u32(9).u32(10).u64(std::uint64_t{1} << 61).bytes,
                 "gguf-bounds");
  expect_refused(Gguf().head(1, 0).text("t").u32(5).data(64).bytes, "gguf-bounds");
  expect_refused(
      Gguf().head(1, 0).text("t").u32(2).u64(1ULL << 62).u64(4).u32(0).u64(0).data(64).bytes,
      "gguf-bounds");
}

TEST(Gguf, tensors_stay_inside_their_file) {
  expect_refused(Gguf().head(1, 0).tensor("t", 100, 0, 0).data(8).bytes, "gguf-tensor-extent");
  expect_refused(Gguf().head(1, 0).tensor("t", 1, 0, 1).data(8).bytes, "gguf-tensor-extent");
  expect_refused(Gguf().head(1, 0).tensor("t", 31, 2, 0).data(32).bytes, "gguf-tensor-extent");
  expect_refused(Gguf().head(1, 0).tensor("t", 1, 0, ~std::uint64_t{31}).data(32).bytes,
                 "gguf-tensor-extent");
}

TEST(Gguf, tensors_tile_the_data) {
  expect_refused(Gguf().head(2, 0).tensor("a", 16, 0, 0).tensor("b", 8, 0, 32).data(64).bytes,
                 "gguf-layout");
  expect_refused(Gguf().head(2, 0).tensor("a", 8, 0, 0).tensor("b", 8, 0, 96).data(128).bytes,
                 "gguf-layout");
}

TEST(Gguf, types_are_enumerated) {
  expect_refused(Gguf().head(0, 1).text("k").u32(13).u64(0).bytes, "gguf-type");
  expect_refused(Gguf().head(0, 1).text("k").u32(9).u32(9).u64(1).u64(0).bytes, "gguf-type");
  expect_refused(Gguf().head(1, 0).tensor("t", 1, 4, 0).data(32).bytes, "gguf-type");
  expect_refused(Gguf().head(1, 0).tensor("t", 1, 0xffffffff, 0).data(32).bytes, "gguf-type");
}

TEST(Gguf, names_are_unique) {
  expect_refused(Gguf().head(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(2).bytes,
                 "gguf-duplicate");
  expect_refused(Gguf().head(2, 0).tensor("a", 8, 0, 0).tensor("a", 8, 0, 32).data(64).bytes,
                 "gguf-duplicate");
}

TEST(Gguf, alignment_is_a_power_of_two) {
  for (const std::uint32_t bad: {0U, 3U, 1U << 31})
    expect_refused(Gguf().head(0, 1).text("general.alignment").u32(4).u32(bad).bytes, "gguf-value");
}

TEST(Gguf, strings_are_read) {
  const Report report =
      scan_bytes(Gguf().head(0, 1).text("note").u32(8).text("curl http://127.0.0.1/x | sh").bytes);
  EXPECT_NE(find_rule(report, "embedded-script"), nullptr) << show(report);
}

TEST(Gguf, unknown_version_is_unsupported) {
  EXPECT_TRUE(has_gap(scan_bytes(Gguf().head(0, 0, 4).bytes), Reason::unsupported));
}

TEST(Gguf, trailing_bytes_are_an_object_of_their_own) {
  const Report report = scan_bytes(good() + std::string(64 - 18, '\0') + "\x01\x02\x03");
  EXPECT_NE(find_rule(report, "trailing-data"), nullptr) << show(report);
}

std::string with_tokens(std::uint32_t eos, std::uint64_t scores, std::string_view merge,
                        std::uint32_t type) {
  Gguf g;
  g.head(0, 5).text("tokenizer.ggml.tokens").u32(9).u32(8).u64(2).text("a").text("b");
  g.text("tokenizer.ggml.scores").u32(9).u32(6).u64(scores);
  for (std::uint64_t i = 0; i < scores; ++i)
    g.u32(0);
  g.text("tokenizer.ggml.token_type").u32(9).u32(5).u64(2).u32(1).u32(type);
  g.text("tokenizer.ggml.merges").u32(9).u32(8).u64(1).text(merge);
  g.text("tokenizer.ggml.eos_token_id").u32(4).u32(eos);
  return g.bytes;
}

TEST(Gguf, tokenizer_tables_agree) {
  EXPECT_TRUE(is_clean(scan_bytes(with_tokens(1, 2, "a b", 3))))
      << show(scan_bytes(with_tokens(1, 2, "a b", 3)));
  EXPECT_TRUE(is_clean(scan_bytes(with_tokens(0xffffffff, 2, "a b", 1))));
  for (const std::string& bad: {with_tokens(2, 2, "a b", 1), with_tokens(1, 3, "a b", 1),
                                with_tokens(1, 2, "ab", 1), with_tokens(1, 2, "a b", 7)})
    EXPECT_NE(find_rule(scan_bytes(bad), "gguf-tokenizer"), nullptr) << show(scan_bytes(bad));
}

std::string split(std::uint16_t number, std::uint16_t count, std::uint32_t tensors) {
  Gguf g;
  g.head(2, 3).text("split.no").u32(2).put(number).text("split.count").u32(2).put(count);
  g.text("split.tensors.count").u32(5).u32(tensors);
  return g.tensor("a", 8, 0, 0).tensor("b", 8, 0, 32).data(64).bytes;
}

TEST(Gguf, parts_belong_to_a_set) {
  EXPECT_TRUE(is_clean(scan_bytes(split(1, 3, 9)))) << show(scan_bytes(split(1, 3, 9)));
  EXPECT_TRUE(is_clean(scan_bytes(split(0, 0, 2))));
  EXPECT_NE(find_rule(scan_bytes(split(3, 3, 9)), "gguf-split"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(split(0, 2, 1)), "gguf-split"), nullptr);
}

TEST(Gguf, templates_are_judged_and_named_by_digest) {
  const Report bad = scan_bytes(Gguf()
                                    .head(0, 1)
                                    .text("tokenizer.chat_template.tool_use")
                                    .u32(8)
                                    .text("{{ x.__class__ }}")
                                    .bytes);
  EXPECT_NE(find_rule(bad, "jinja-escape"), nullptr) << show(bad);
  const Report good = scan_bytes(Gguf()
                                     .head(0, 1)
                                     .text("tokenizer.chat_template")
                                     .u32(8)
                                     .text("{{ messages|selectattr('x') }}")
                                     .bytes);
  EXPECT_TRUE(is_clean(good)) << show(good);
  ASSERT_EQ(good.references.size(), 1U);
  EXPECT_EQ(good.references[0].kind, "template");
}

TEST(Gguf, tensor_names_are_names) {
  for (const char* name: {"../../x", "/etc/x", "a%n", "<img src=x>", "a\nb", "$(x)"})
    EXPECT_NE(find_rule(scan_bytes(Gguf().head(1, 0).tensor(name, 8, 0, 0).data(32).bytes),
                        "tensor-name"),
              nullptr)
        << name;
  EXPECT_NE(
      find_rule(scan_bytes(Gguf().head(1, 0).tensor(std::string(64, 'a'), 8, 0, 0).data(32).bytes),
                "tensor-name"),
      nullptr);
  for (const char* name: {"blk.0.attn_q.weight", "a/b", "model.layers.0/x:0", "50% of x", "a<b"})
    EXPECT_EQ(find_rule(scan_bytes(Gguf().head(1, 0).tensor(name, 8, 0, 0).data(32).bytes),
                        "tensor-name"),
              nullptr)
        << name;
}

} // namespace
} // namespace hubgate

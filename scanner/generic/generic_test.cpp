#include "scanner/generic/text_value.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace hubgate {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

// Bytes that nothing claims: no control-free run, no magic.
std::string noise(std::size_t n, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::string out(n, '\0');
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(out.data() + i, &word, 8);
  }
  if (n > 1) out[0] = '\x01';
  return out;
}

std::string le(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i)
    out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string elf64() {
  return "\x7f"
         "ELF\x02\x01\x01"s +
         std::string(9, '\0') + le(2, 2) + le(62, 2) + le(1, 4) + le(0x401000, 8) + le(64, 8) +
         le(0, 8) + le(0, 4) + le(64, 2) + le(56, 2) + le(1, 2) + le(64, 2) + le(0, 2) + le(0, 2) +
         std::string(56, '\0');
}

std::string pe64() {
  return "MZ"s + std::string(58, '\0') + le(64, 4) + "PE\0\0"s + le(0x8664, 2) + le(1, 2) +
         std::string(12, '\0') + le(240, 2) + le(0x2022, 2) + le(0x20b, 2) + std::string(238, '\0');
}

std::string mach() {
  return le(0xfeedfacf, 4) + le(0x0100000c, 4) + le(0, 4) + le(2, 4) + le(16, 4) + le(1024, 4) +
         std::string(64, '\0');
}

TEST(Generic, executables_are_found_anywhere) {
  for (const std::string& program: {elf64(), pe64(), mach()}) {
    for (const std::size_t before: {1U, 7U, 4096U, (512U << 10) - 1, (512U << 10) - 3, 700'001U}) {
      const Report report = scan_bytes(noise(before) + program + noise(1000));
      const Finding* finding = find_rule(report, "generic-executable");
      ASSERT_NE(finding, nullptr) << before << " " << show(report);
      EXPECT_EQ(finding->offset, before);
      EXPECT_EQ(finding->severity, Severity::malicious);
    }
  }
}

TEST(Generic, a_header_that_does_not_hold_is_only_suspicious_or_nothing) {
  std::string elf = elf64();
  elf[18] = '\xee'; // no such machine
  const Report report = scan_bytes(noise(100) + elf + noise(100));
  ASSERT_NE(find_rule(report, "generic-executable"), nullptr);
  EXPECT_EQ(find_rule(report, "generic-executable")->severity, Severity::suspicious);
  std::string pe = pe64();
  pe[64] = 'Q';
  EXPECT_EQ(find_rule(scan_bytes(noise(100) + pe + noise(100)), "generic-executable"), nullptr);
  EXPECT_EQ(find_rule(scan_bytes(noise(100) + "MZ" + noise(100)), "generic-executable"), nullptr);
}

TEST(Generic, commands_in_bytes_are_found) {
  const Report report =
      scan_bytes(noise(5000) + "\0bash -i >& /dev/tcp/127.0.0.1/9 0>&1\0"s + noise(5000));
  const Finding* finding = find_rule(report, "generic-script");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_EQ(finding->severity, Severity::suspicious);
  EXPECT_NE(
      find_rule(scan_bytes(noise(50) + "\0#!/bin/sh\necho\n\0"s + noise(50)), "generic-script"),
      nullptr);
}

TEST(Generic, pickles_that_call_something_are_found) {
  for (const std::string& pickle: {"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x06"
                                   "echo x\x85R."s,
                                   "cos\nsystem\n(S'echo x'\ntR."s,
                                   "\x8c\x02os\x94\x8c\x06system\x94\x93\x8c\x06"
                                   "echo x\x85R."s,
                                   "(S'echo x'\nios\nsystem\n."s}) {
    const Report report = scan_bytes(noise(4096) + pickle + noise(4096));
    EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << pickle << " " << show(report);
  }
  // Plain data does nothing, and does not explain the bytes around it.
  const Report data = scan_bytes(noise(4096) +
                                 "\x80\x04]\x94(K\x01K\x02"
                                 "e." +
                                 noise(4096));
  EXPECT_EQ(find_rule(data, "pickle-dangerous-call"), nullptr);
  for (const Finding& finding: data.findings)
    EXPECT_EQ(finding.severity, Severity::informational) << show(data);
  EXPECT_TRUE(has_gap(data, Reason::opaque)) << show(data);
}

// Rows of a table: each a pickle of data, one of them not.
TEST(Generic, thousands_of_pickles_are_read_to_the_last) {
  std::string bytes = "\xff\xfe\x01rows";
  const auto row = [&bytes](std::string_view pickle) {
    bytes += '\x06';
    bytes += static_cast<char>(pickle.size());
    bytes += pickle;
  };
  for (int i = 0; i < 4000; ++i)
    row("\x80\x04\x95\x0f\0\0\0\0\0\0\0}\x94(\x8c\x02id\x94K\x07u."sv);
  row("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x19"
      "echo hubgate-inert-marker\x85R."sv);
  const Report report = scan_bytes(bytes);
  EXPECT_FALSE(test::has_gap(report, Reason::budget)) << show(report);
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
  EXPECT_EQ(report.dropped, 0U);
}

TEST(Generic, nothing_found_is_opaque) {
  const Report report = scan_bytes(noise(100'000));
  EXPECT_TRUE(report.findings.empty()) << show(report);
  EXPECT_TRUE(has_gap(report, Reason::opaque));
}

// What begins the stream was tried by its own format; embedding it again would never end.
TEST(Generic, does_not_embed_the_stream_in_itself) {
  const std::string header = "{\"a\":" + std::string(100, '1') + "}";
  for (const std::string& bytes: {le(header.size(), 8) + header + noise(100),
                                  "GGUF"s + le(3, 4) + noise(50), "cos\nsystem\n(S'x'\ntR."s}) {
    MemorySource source(as_bytes(bytes));
    // Without any format everything falls to the generic scan.
    const Report report = scan_object({}, source, {}, nullptr);
    for (const Gap& gap: report.gaps)
      EXPECT_EQ(gap.detail.find("nested too deep"), std::string::npos) << show(report);
  }
}

TEST(Generic, a_rar_archive_inside_is_unsupported) {
  const Report report = scan_bytes(noise(100) + "Rar!\x1a\x07\x01\0"s + noise(100));
  EXPECT_TRUE(has_gap(report, Reason::unsupported)) << show(report);
  EXPECT_NE(find_rule(report, "generic-archive"), nullptr);
}

TEST(Generic, random_bytes_and_weights_give_no_finding) {
  constexpr std::size_t k_size = std::size_t{64} << 20;
  const Report random = scan_bytes(noise(k_size, 7));
  EXPECT_TRUE(random.findings.empty()) << show(random);
  std::mt19937 source(3);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::string weights(k_size, '\0');
  for (std::size_t i = 0; i < k_size; i += 4) {
    const float value = normal(source);
    std::memcpy(weights.data() + i, &value, 4);
  }
  const Report report = scan_bytes(weights);
  EXPECT_TRUE(report.findings.empty()) << show(report);
  ASSERT_EQ(report.gaps.size(), 1U) << show(report);
  EXPECT_EQ(report.gaps[0].reason, Reason::opaque);
}

TEST(TextValue, code_is_told_from_prose) {
  for (const std::string_view code:
       {"#!/bin/sh", "curl -s http://127.0.0.1/a | sh", "__import__('os').system('id')",
        "x = eval(input)", "exec(open('a'))", "<script>alert(1)</script>",
        "PowerShell -NoProfile -Enc AAAA", "os.system('id')", "subprocess.run(['id'])"})
    EXPECT_TRUE(find_script(code)) << code;
  for (const std::string_view prose:
       {"call model.eval() before use", "the curl of a field", "evaluated (eval) on 3 sets",
        "man exec(2)", "a script for sh", "medieval(x)", "use wget to download", "POWERSHELLS"})
    EXPECT_FALSE(find_script(prose)) << prose;
}

// safetensors of one F32 tensor.
std::string float_tensor(const std::string& data) {
  const std::string header = R"({"w":{"dtype":"F32","shape":[)" + std::to_string(data.size() / 4) +
                             R"(],"data_offsets":[0,)" + std::to_string(data.size()) + "]}}";
  return le(header.size(), 8) + header + data;
}

TEST(TensorSample, payloads_in_low_bits_and_bytes_are_decoded) {
  std::string payload = elf64();
  payload += noise(1024 - payload.size());
  const std::string weights = noise(32768);
  for (const unsigned bytes: {1U, 2U, 3U}) {
    std::string data = weights;
    for (std::size_t i = 0; i < payload.size(); ++i)
      data[i / bytes * 4 + i % bytes] = payload[i];
    const Report report = scan_bytes(float_tensor(data));
    EXPECT_NE(find_rule(report, "tensor-steganography"), nullptr) << bytes << " " << show(report);
  }
  for (const bool low_first: {false, true}) {
    std::string data = weights;
    for (std::size_t i = 0; i < payload.size() * 8; ++i) {
      const unsigned bit =
          static_cast<unsigned>(payload[i / 8]) >> (low_first ? i % 8 : 7 - i % 8) & 1;
      data[i * 4] = static_cast<char>((static_cast<unsigned>(data[i * 4]) & 0xfe) | bit);
    }
    EXPECT_NE(find_rule(scan_bytes(float_tensor(data)), "tensor-steganography"), nullptr);
  }
  EXPECT_EQ(find_rule(scan_bytes(float_tensor(weights)), "tensor-steganography"), nullptr);
}

TEST(TensorSample, programs_and_infinite_numbers_are_told) {
  EXPECT_NE(find_rule(scan_bytes(float_tensor(elf64() + noise(1000 - elf64().size() % 4))),
                      "generic-executable"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(float_tensor(std::string(1000, '\0') + le(0x7fc00000, 4))),
                      "tensor-not-finite"),
            nullptr);
  EXPECT_EQ(find_rule(scan_bytes(float_tensor(std::string(1000, '\0') + le(0x7f7fffff, 4))),
                      "tensor-not-finite"),
            nullptr);
}

} // namespace
} // namespace hubgate

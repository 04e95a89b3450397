// Streams that C takes and stricter readers leave: each was once left to another format.
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;

const std::string k_call = "cos\nsystem\n(S'echo hubgate-inert-marker'\ntR."s;

void expect_caught(const std::string& bytes, std::string_view rule) {
  const Report report = test::scan_bytes(bytes);
  EXPECT_NE(test::find_rule(report, rule), nullptr) << test::show(report);
}

TEST(PickleClaim, NumbersAsCTakesThem) {
  for (const auto& first: {"I\x0b"
                           "1\n0"s,
                           "FINF\n0"s, "I0x_10\n0"s, "Np1_0\n0"s, "Np-0\n0"s})
    expect_caught(first + k_call, "pickle-dangerous-call");
}

TEST(PickleClaim, ProtocolAnywhere) {
  expect_caught("N0\x80\x02"s + k_call, "pickle-protocol");
}

TEST(PickleClaim, LiteralLongerThanTheHead) {
  expect_caught("X\x10\x27\0\0"s + std::string(10000, 'A') + "0" + k_call, "pickle-dangerous-call");
}

TEST(PickleClaim, ManySmallPicklesFirst) {
  std::string bytes;
  for (int i = 0; i < 6000; ++i)
    bytes += "N.";
  expect_caught(bytes + k_call, "pickle-dangerous-call");
}

TEST(PickleClaim, NamesFromLinesAndOddNames) {
  expect_caught("Vos\nVsystem\n\x93(S'echo'\ntR."s, "pickle-dangerous-call");
  expect_caught("cmy-module\nrun\n(S'echo'\ntR."s, "pickle-malformed-name");
}

TEST(PickleClaim, BehindBytesOfNoFormat) {
  std::string junk;
  for (int i = 0; i < 40; ++i)
    junk += "\0\xff\x13junk"s;
  expect_caught(junk + k_call, "pickle-dangerous-call");
}

// The beginning of an array of random numbers, met in a checkpoint.
TEST(PickleClaim, NumbersThatCallAnExtension) {
  const Report report = test::scan_bytes(
      "\x29\x83\xda\x3f\x52\xc7\xa3\xbe\x7f\xbe\x1b\x3e\x3f\x1c\x0d\xbf"s + std::string(64, '\1'));
  EXPECT_EQ(report.format, "") << test::show(report);
  expect_caught("\x82\x01)R."s, "pickle-extension");
}

TEST(PickleClaim, ListsOfWordsAreText) {
  for (const auto& text: {"cat\ndog\nfish\n"s, "cos, sin\n1\n"s, "(see below)\nVery well.\n"s,
                          "I am text.\n"s, "(install)=\n# How to install\n\nText.\n"s}) {
    const Report report = test::scan_bytes(text);
    EXPECT_TRUE(test::is_clean(report)) << test::show(report);
    EXPECT_TRUE(report.format == "text" || report.format == "csv") << report.format;
  }
}

TEST(PickleMachine, MinusOneIsNoTruthValue) {
  const Report report = test::scan_bytes("(I-1\nI01\nI00\nI5\nl."s);
  EXPECT_EQ(test::find_rule(report, "pickle-literal-boolean"), nullptr) << test::show(report);
}

TEST(PickleMachine, ShortTextHidesAPickle) {
  // base64 of "cos\nsystem\n(S'echo'\ntR."
  const std::string hidden = "Y29zCnN5c3RlbQooUydlY2hvJwp0Ui4=";
  expect_caught("\x80\x04]\x8c"s + static_cast<char>(hidden.size()) + hidden + "a.",
                "pickle-encoded");
}

TEST(PickleMachine, ModulesUnderPrivateNames) {
  expect_caught("\x80\x04\x8c\x0b"
                "collections\x8c\x0c_sys.modules\x93."s,
                "pickle-dangerous-import");
}

TEST(PickleMachine, BytesOfTerabytes) {
  expect_caught("cbuiltins\nbytes\n(I1099511627776\ntR."s, "pickle-number-size");
}

} // namespace
} // namespace hubgate

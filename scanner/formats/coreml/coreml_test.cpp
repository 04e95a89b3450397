#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number(std::uint32_t field, std::uint64_t value) {
  return varint(field << 3) + varint(value);
}
std::string bytes(std::uint32_t field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}
std::string model(const std::string& type, const std::string& description = "") {
  return number(1, 5) + bytes(2, bytes(1, bytes(1, "x")) + description) + type;
}
std::string layer(const std::string& kind) {
  return bytes(1, bytes(1, "l") + bytes(2, "x") + bytes(3, "y") + kind);
}
std::string custom() {
  return layer(bytes(500, bytes(10, "AAPLCustom")));
}
std::string program(const std::string& operations) {
  const std::string block = bytes(3, operations);
  return bytes(502, number(1, 1) +
                        bytes(2, bytes(1, "main") +
                                     bytes(2, bytes(2, "ios17") +
                                                  bytes(3, bytes(1, "ios17") + bytes(2, block)))));
}
std::string constant(const std::string& file) {
  return bytes(1, "const") +
         bytes(5, bytes(1, "val") + bytes(2, bytes(5, bytes(1, file) + number(2, 64))));
}

void expect(const std::string& bytes, std::string_view rule) {
  const Report report = scan_bytes(bytes);
  EXPECT_EQ(report.format, "coreml");
  EXPECT_NE(find_rule(report, rule), nullptr) << show(report);
}

TEST(CoreMl, ordinary_models_are_clean) {
  for (const std::string& good:
       {model(bytes(500, layer(bytes(130, "")))), model(bytes(300, "")),
        model(program(bytes(1, "linear"))), model(program(bytes(1, "ios18.linear"))),
        model(bytes(202, bytes(1, model(bytes(604, ""))) + bytes(2, "s"))),
        model(program(constant("@model_path/weights/weight.bin")))}) {
    const Report report = scan_bytes(good);
    EXPECT_EQ(report.format, "coreml");
    EXPECT_TRUE(is_clean(report)) << show(report);
  }
}

TEST(CoreMl, code_of_the_application) {
  expect(model(bytes(500, custom())), "coreml-custom-code");
  expect(model(bytes(403, custom())), "coreml-custom-code");
  expect(model(bytes(555, bytes(10, "Mine"))), "coreml-custom-code");
  expect(model(program(bytes(1, "my_operation"))), "coreml-custom-code");
  // Inside of pipelines, whatever version the inner model claims, and of branches and loops.
  expect(model(bytes(202, bytes(1, bytes(500, custom())))), "coreml-custom-code");
  expect(model(bytes(200, bytes(1, bytes(1, bytes(202, bytes(1, bytes(555, bytes(10, "Mine")))))))),
         "coreml-custom-code");
  expect(model(bytes(500, layer(bytes(605, bytes(2, custom()))))), "coreml-custom-code");
  expect(model(bytes(500, layer(bytes(615, bytes(4, custom()))))), "coreml-custom-code");
  expect(bytes(500, custom()) + bytes(2, ""), "coreml-custom-code");
}

TEST(CoreMl, paths_stay_in_the_package) {
  expect(model(program(constant("../../weights.bin"))), "coreml-path");
  expect(model(program(constant("@model_path/../../../x"))), "coreml-path");
  expect(model(bytes(556, bytes(1, bytes(1, bytes(1, "/tmp/other.mlmodelc"))))), "coreml-path");
  expect(model(bytes(556, bytes(1, bytes(1, bytes(1, "other"))))), "coreml-linked-model");
  const Report report = scan_bytes(model(program(constant("@model_path/weights/weight.bin"))));
  ASSERT_EQ(report.references.size(), 2U);
  EXPECT_EQ(report.references[0].target, "weights/weight.bin");
}

TEST(CoreMl, texts_and_unknown_fields) {
  expect(model(bytes(300, ""), bytes(100, bytes(1, "os.system('echo x')"))), "embedded-script");
  expect(model(bytes(300, "")) + bytes(700, std::string(2000, 'x')), "coreml-unknown-field");
}

TEST(CoreMl, other_protobufs_are_not_claimed) {
  EXPECT_NE(scan_bytes(number(1, 1) + bytes(2, bytes(1, "tags"))).format, "coreml");
}

TEST(CoreMl, manifests) {
  const auto manifest = [](const std::string& path) {
    return "{\"fileFormatVersion\": \"1.0.0\", \"itemInfoEntries\": {\"A\": {\"path\": \"" + path +
           "\"}}, \"rootModelIdentifier\": \"A\"}";
  };
  const Report good = scan_bytes(manifest("com.apple.CoreML/model.mlmodel"));
  EXPECT_EQ(good.format, "coreml_package");
  EXPECT_TRUE(is_clean(good)) << show(good);
  EXPECT_NE(find_rule(scan_bytes(manifest("../../x")), "coreml-package-path"), nullptr);
}

TEST(CoreMl, weights) {
  const auto u64 = [](std::uint64_t v, std::size_t n = 8) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i)
      out += static_cast<char>(v >> (8 * i));
    return out;
  };
  const auto file = [&](std::uint64_t begin, std::uint64_t size) {
    return u64(1, 4) + u64(2, 4) + std::string(56, '\0') + u64(0xdeadbeef, 4) + u64(1, 4) +
           u64(size) + u64(begin) + std::string(40, '\0') + std::string(16, '\x55');
  };
  const Report good = scan_bytes(file(128, 16));
  EXPECT_EQ(good.format, "coreml_weights");
  EXPECT_TRUE(is_clean(good)) << show(good);
  EXPECT_NE(find_rule(scan_bytes(file(128, 17)), "coreml-weights-extent"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(file(8, 16)), "coreml-weights-extent"), nullptr);
  EXPECT_FALSE(
      is_clean(scan_bytes(file(128, 16) + std::string(100, '\x01') + std::string(100, '\xff'))));
}

TEST(CoreMl, is_never_clean_when_cut) {
  const std::string whole = model(bytes(500, layer(bytes(130, std::string(40, 'x')))));
  for (std::size_t n = 16; n < whole.size(); ++n)
    EXPECT_FALSE(is_clean(scan_bytes(whole.substr(0, n)))) << n;
}

} // namespace
} // namespace hubgate

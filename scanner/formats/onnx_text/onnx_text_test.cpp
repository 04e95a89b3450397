#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

std::string proto(const std::string& node, const std::string& external) {
  return "ir_version: 8\ngraph {\n  node { input: \"x\" output: \"y\" " + node +
         " }\n  initializer { dims: 4 data_type: 1 name: \"w\" external_data { key: \"location\" "
         "value: \"" +
         external + "\" } }\n}\nopset_import { domain: \"local\" version: 17 }\n";
}
std::string json(const std::string& node, const std::string& external) {
  return "{\"irVersion\": \"8\", \"graph\": {\"node\": [{\"input\": [\"x\"], " + node +
         "}], \"initializer\": [{\"externalData\": [{\"key\": \"location\", \"value\": \"" +
         external + "\"}]}]}, \"opsetImport\": [{\"version\": \"17\"}]}";
}
std::string own(const std::string& call, const std::string& external) {
  return "<ir_version: 8, opset_import: [\"\" : 17]>\ng (float[N] x) => (float[N] y)\n<float[4] w "
         "= "
         "[\"location\": \"" +
         external + "\", \"offset\": \"0\"]>\n{ y = " + call + "(x) }\n";
}

TEST(OnnxText, ordinary_models_are_clean) {
  for (const std::string& text:
       {proto("op_type: \"Relu\"", "w.bin"), json("\"opType\": \"Relu\"", "w.bin"),
        own("Relu", "w.bin"), own("ai.onnx.ml.Scaler", "w.bin"),
        own("mine.F", "w.bin") + "<domain: \"mine\">\nF (a) => (b) { b = Relu(a) }\n",
        proto("op_type: \"F\" domain: \"local\"", "w.bin") +
            "functions { name: \"F\" node { op_type: \"Relu\" } domain: \"local\" }"}) {
    const Report report = scan_bytes(text);
    EXPECT_EQ(report.format, "onnx_text") << text << show(report);
    // What other readings of text say, they say under names of their own.
    for (const Finding& finding: report.findings)
      EXPECT_FALSE(finding.condition.empty() && finding.severity != Severity::informational)
          << text << show(report);
  }
}

TEST(OnnxText, the_rules_of_onnx_hold) {
  for (const std::string& text: {proto("op_type: \"Relu\"", "../../w"),
                                 json("\"opType\": \"Relu\"", "/etc/passwd"), own("Relu", "../w")})
    EXPECT_NE(find_rule(scan_bytes(text), "onnx-external-path"), nullptr) << text;
  for (const std::string& text: {proto("op_type: \"Thing\" domain: \"com.example\"", "w"),
                                 json("\"opType\": \"Thing\", \"domain\": \"com.example\"", "w"),
                                 own("com.example.Thing", "w")})
    EXPECT_NE(find_rule(scan_bytes(text), "onnx-custom-operator"), nullptr)
        << text << show(scan_bytes(text));
  EXPECT_NE(find_rule(scan_bytes(proto("op_type: \"PyOp\" domain: \"com.microsoft\"", "w")),
                      "onnx-python-operator"),
            nullptr);
}

TEST(OnnxText, prose_is_not_a_model) {
  EXPECT_NE(scan_bytes("The ir_versions of files.\n").format, "onnx_text");
}

} // namespace
} // namespace hubgate

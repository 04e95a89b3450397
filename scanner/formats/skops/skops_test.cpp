#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string node(const std::string& loader, const std::string& module, const std::string& name,
                 const std::string& content = "{}") {
  return "{\"__class__\": \"" + name + "\", \"__module__\": \"" + module +
         "\", \"__loader__\": \"" + loader + "\", \"content\": " + content + "}";
}

void expect(const std::string& text, std::string_view rule) {
  const Report report = scan_bytes(text);
  EXPECT_EQ(report.format, "skops") << text;
  EXPECT_NE(find_rule(report, rule), nullptr) << text << show(report);
}

TEST(Skops, what_skops_writes_is_clean) {
  for (const std::string& text:
       {node("ObjectNode", "sklearn.preprocessing._data", "StandardScaler",
             node("DictNode", "builtins", "dict",
                  "{\"a\": " + node("JsonNode", "builtins", "str", "\"1\"") + "}")),
        node("FunctionNode", "numpy", "log1p",
             "{\"module_path\": \"numpy\", \"function\": \"log1p\"}"),
        node("OperatorFuncNode", "operator", "itemgetter")}) {
    const Report report = scan_bytes(text);
    EXPECT_EQ(report.format, "skops");
    EXPECT_TRUE(is_clean(report)) << show(report);
  }
}

TEST(Skops, nodes_that_call) {
  expect(node("OperatorFuncNode", "sklearn.linear_model", "methodcaller"), "skops-operator-node");
  expect(node("OperatorFuncNode", "operator", "call"), "skops-operator-node");
  expect(node("MethodNode", "builtins", "str", "{\"func\": \"__globals__\", \"obj\": {}}"),
         "skops-method-node");
  expect(node("ListNode", "builtins", "list", "[[" + node("TypeNode", "builtins", "eval") + "]]"),
         "skops-dangerous-type");
  // What is claimed outside and what is loaded inside.
  expect(
      node("FunctionNode", "numpy", "log1p", "{\"module_path\": \"os\", \"function\": \"system\"}"),
      "skops-dangerous-type");
  expect(node("ObjectNode", "my_code", "Mine"), "skops-unknown-type");
  expect(node("MagicNode", "builtins", "dict"), "skops-unknown-loader");
}

TEST(Skops, keys_that_stand_twice) {
  expect("{\"__loader__\": \"DictNode\", \"__module__\": \"builtins\", \"__class__\": \"dict\", "
         "\"__class__\": \"dict\"}",
         "skops-duplicate-key");
}

TEST(Skops, other_json_is_not_skops) {
  EXPECT_NE(scan_bytes("{\"__loader__\": 1}").format, "skops");
}

} // namespace
} // namespace hubgate

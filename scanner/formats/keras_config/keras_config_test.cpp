#include "scanner/formats/keras_config/judge.hpp"
#include "scanner/formats/keras_config/names.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using keras::Standing;
using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/keras_config/corpus";

std::string model(const std::string& layer) {
  return R"({"module": "keras", "class_name": "Sequential", "config": {"layers": [)" + layer +
         "]}}";
}

TEST(KerasConfig, honest_models_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "keras_config") << name;
  }
}

TEST(KerasConfig, every_rule_fires) {
  const std::map<std::string, std::string> rules{
      {R"({"class_name": "__lambda__", "config": {"code": "4wAAAA=="}})", "keras-lambda"},
      {R"({"class_name": "Lambda", "config": {"function": "f"}})", "keras-lambda-named"},
      {R"({"class_name": "Lambda", "config": {"function": "lambda x: x"}})", "keras-string-code"},
      {R"({"module": "os", "class_name": "system", "config": {}})", "keras-arbitrary-import"},
      {R"({"module": "keras.utils", "class_name": "get_file", "config": {}})", "keras-gadget"},
      {R"({"class_name": "Dense", "config": {"x": "enable_unsafe_deserialization"}})",
       "keras-unsafe-switch"},
      {R"({"class_name": "TorchModuleWrapper", "config": {"module": "AAAA"}})",
       "keras-torch-module"},
      {R"({"class_name": "StringLookup", "config": {"vocabulary": "v.txt"}})",
       "keras-external-file"},
      {R"({"class_name": "TFSMLayer", "config": {"filepath": "x"}})", "keras-external-model"},
      {R"({"class_name": "Dense", "config": {"name": "../x"}})", "keras-name-traversal"},
      {R"({"class_name": "Mine", "config": {}, "registered_name": "a>Mine"})",
       "keras-custom-object"},
      {R"({"module": "keras.layers", "class_name": "Nothing", "config": {}})",
       "keras-unknown-name"},
      {R"({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}})",
       "keras-tensorflow-function"},
      {R"({"class_name": "Dense", "class_name": "Dense", "config": {}})", "keras-duplicate-key"},
      {R"({"class_name": "JaxLayer", "config": {}})", "keras-foreign-function"}};
  for (const auto& [layer, rule]: rules) {
    const Report report = scan_bytes(model(layer));
    EXPECT_NE(find_rule(report, rule), nullptr) << layer << " " << show(report);
    EXPECT_EQ(report.format, "keras_config") << layer;
  }
}

TEST(KerasConfig, does_not_depend_on_where_the_class_stands) {
  const std::string bad = model(R"({"config": {}, "\u0063lass_name": "system", "module": "os"})");
  EXPECT_NE(find_rule(scan_bytes(bad), "keras-arbitrary-import"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(std::string(9000, ' ') + bad), "keras-arbitrary-import"), nullptr);
  EXPECT_NE(find_rule(scan_bytes("\xef\xbb\xbf" + bad), "keras-arbitrary-import"), nullptr);
}

TEST(KerasConfig, findings_outlive_errors) {
  const std::string cut = R"({"module": "os", "class_name": "system", "config": {"a": )";
  const Report report = scan_bytes(cut);
  EXPECT_NE(find_rule(report, "keras-arbitrary-import"), nullptr) << show(report);
  EXPECT_FALSE(report.complete());
}

TEST(KerasConfig, leaves_other_json_alone) {
  for (const std::string text: {R"({"class_name": "Thing", "items": [1, 2]})",
                                R"([{"class_name": "A", "path": "x"}])", R"({"a": "class_name"})"})
    EXPECT_NE(scan_bytes(text).format, "keras_config") << text;
}

TEST(KerasConfig, judges_names_exactly) {
  EXPECT_EQ(keras::judge_class("keras.layers", "Dense", "").standing, Standing::allowed);
  EXPECT_EQ(keras::judge_class("", "Dense", "").standing, Standing::allowed);
  EXPECT_EQ(keras::judge_class("keras.src.models.functional", "Functional", "Functional").standing,
            Standing::allowed);
  EXPECT_EQ(keras::judge_class("keras.layers", "Dense", "x>Dense").standing, Standing::custom);
  EXPECT_EQ(keras::judge_class("kerasx.layers", "Dense", "").standing, Standing::custom);
  EXPECT_EQ(keras::judge_class("keras.layers", "Dens", "").standing, Standing::unknown);
  EXPECT_EQ(keras::judge_class("keras.layers", "Dense Dropout", "").standing, Standing::unknown);
  EXPECT_EQ(keras::judge_class("subprocess", "Popen", "").standing, Standing::dangerous);
  EXPECT_EQ(keras::judge_class("keras.utils", "get_file", "").standing, Standing::gadget);
  EXPECT_EQ(keras::judge_function("builtins", "relu").standing, Standing::allowed);
  EXPECT_EQ(keras::judge_function("builtins", "exec").standing, Standing::dangerous);
  EXPECT_EQ(keras::judge_function("keras.ops", "matmul").standing, Standing::allowed);
  EXPECT_EQ(keras::judge_function("keras.saving", "load_model").standing, Standing::gadget);
  EXPECT_EQ(keras::judge_symbol("math.multiply").standing, Standing::allowed);
  EXPECT_EQ(keras::judge_symbol("io.write_file").standing, Standing::gadget);
  EXPECT_EQ(keras::judge_symbol("compat.v1.py_func").standing, Standing::unknown);
}

} // namespace
} // namespace hubgate

#include "scanner/core/protobuf.hpp"
#include "scanner/formats/tensorflow/graph.hpp"
#include "scanner/formats/tensorflow/ops.hpp"
#include "scanner/formats/tensorflow/paths.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace tensorflow;
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
std::string field(unsigned number, std::string_view bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
std::string number(unsigned at, std::uint64_t value) {
  return varint(at << 3) + varint(value);
}
std::string node(std::string_view name, std::string_view op,
                 std::initializer_list<std::string_view> inputs = {},
                 const std::string& more = {}) {
  std::string out = field(1, name) + field(2, op);
  for (const auto input: inputs)
    out += field(3, input);
  return field(1, out + more);
}
std::string attr(std::string_view key, const std::string& value) {
  return field(5, field(1, key) + field(2, value));
}
std::string text(std::string_view name, std::string_view value) {
  return node(name, "Const", {}, attr("value", field(8, number(1, 7) + field(8, value))));
}
std::string saved_model(const std::string& graph, const std::string& more = {}) {
  return number(1, 1) + field(2, field(1, field(4, "serve")) + field(2, graph) + more);
}
std::string evil(std::string_view path = "/root/x") {
  return text("p", path) + node("drop", "WriteFile", {"p", "p"});
}

TEST(Tensorflow, every_effect_names_a_registered_operator) {
  for (const OpEffect& effect: op_effects())
    EXPECT_TRUE(is_registered(effect.op)) << effect.op;
  EXPECT_TRUE(is_registered("Abort"));
  EXPECT_TRUE(is_registered("_Send"));
  EXPECT_FALSE(is_registered("Abor"));
  EXPECT_FALSE(is_registered(""));
}

TEST(Tensorflow, paths_are_judged_as_file_systems_read_them) {
  EXPECT_EQ(kind_of("vocab.txt"), PathKind::relative);
  EXPECT_EQ(kind_of("a/b..c"), PathKind::relative);
  EXPECT_EQ(kind_of("ram://x"), PathKind::relative);
  EXPECT_EQ(kind_of("/data/x"), PathKind::absolute);
  EXPECT_EQ(kind_of("D:\\x\\y"), PathKind::absolute);
  EXPECT_EQ(kind_of("file:///etc/passwd"), PathKind::sensitive);
  EXPECT_EQ(kind_of("a/../../x"), PathKind::sensitive);
  EXPECT_EQ(kind_of("C:\\Windows\\x"), PathKind::sensitive);
  EXPECT_EQ(kind_of("/home/u/.ssh/id_rsa"), PathKind::sensitive);
  EXPECT_EQ(kind_of("gs://bucket/x"), PathKind::network);
}

TEST(Tensorflow, the_three_messages_are_recognised) {
  for (const std::string& bytes:
       {saved_model(evil()), field(1, field(5, "2.21")) + field(2, evil()), evil()}) {
    const Report report = scan_bytes(bytes);
    EXPECT_EQ(report.format, "tensorflow");
    EXPECT_NE(find_rule(report, "tensorflow-file-write"), nullptr) << show(report);
  }
}

TEST(Tensorflow, fields_before_the_graph_do_not_hide_it) {
  const std::string padding = field(900, std::string(10'000, 'x'));
  for (const std::string& bytes: {padding + saved_model(evil()), padding + evil()}) {
    const Report report = scan_bytes(bytes);
    EXPECT_NE(find_rule(report, "tensorflow-file-write"), nullptr) << show(report);
    EXPECT_NE(find_rule(report, "tensorflow-odd-field"), nullptr) << show(report);
  }
}

TEST(Tensorflow, bytes_that_are_two_messages_are_judged_as_both) {
  const std::string both = saved_model(node("x", "Placeholder")).substr(2) + evil();
  EXPECT_NE(find_rule(scan_bytes(both), "tensorflow-file-write"), nullptr);
}

TEST(Tensorflow, a_cut_is_never_clean) {
  const std::string whole = saved_model(node("x", "Placeholder") + node("y", "Identity", {"x"}));
  EXPECT_TRUE(is_clean(scan_bytes(whole))) << show(scan_bytes(whole));
  for (std::size_t n = 3; n < whole.size(); ++n) {
    EXPECT_FALSE(is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << n;
    test::ArrivingSource arriving(as_bytes(whole).first(n));
    EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << n;
  }
}

TEST(Tensorflow, findings_outlive_the_break) {
  const Report report = scan_bytes(saved_model(evil()) + "\x0a\xff\xff");
  EXPECT_NE(find_rule(report, "tensorflow-file-write"), nullptr) << show(report);
  EXPECT_TRUE(test::has_gap(report, Reason::truncated)) << show(report);
}

TEST(Tensorflow, origins_are_followed_through_calls_and_joins) {
  const std::string call = attr("f", field(10, field(1, "go")));
  const std::string body =
      field(2, field(1, field(1, field(1, "go") + field(2, field(1, "arg"))) +
                            field(3, node("w", "WriteFile", {"arg", "arg"}).substr(2))));
  const std::string graph = text("a", "/ro") + text("b", "ot/x") +
                            node("j", "StringJoin", {"a", "b"}) + node("i", "Identity", {"j:0"}) +
                            node("c", "StatefulPartitionedCall", {"i"}, call) + body;
  const Report report = scan_bytes(saved_model(graph));
  const Finding* finding = find_rule(report, "tensorflow-file-write");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_NE(finding->evidence.find("\"/root/x\""), std::string::npos) << finding->evidence;
  EXPECT_NE(finding->evidence.find("function go"), std::string::npos) << finding->evidence;
}

TEST(Tensorflow, functions_that_call_themselves_end) {
  Model model;
  model.graphs.resize(2);
  model.graphs[1].function = "f";
  model.graphs[1].arguments = {"a"};
  model.graphs[1].nodes.push_back({.name = "c",
                                   .op = "PartitionedCall",
                                   .inputs = {"a"},
                                   .functions = {"f"},
                                   .texts = {},
                                   .constant = {}});
  model.graphs[0].nodes.push_back({.name = "i",
                                   .op = "Identity",
                                   .inputs = {"i"},
                                   .functions = {"f"},
                                   .texts = {},
                                   .constant = {}});
  model.load_nodes = {"i"};
  model.index();
  EXPECT_EQ(model.graphs[1].nodes[0].reached, Reached::at_load);
  EXPECT_EQ(model.origin(1, model.graphs[1].nodes[0], 0).kind, Origin::Kind::unknown);
  EXPECT_EQ(model.origin(0, model.graphs[0].nodes[0], 0).kind, Origin::Kind::unknown);
}

TEST(Tensorflow, resources_of_the_object_graph_start_at_load) {
  const std::string library = field(
      2, field(1, field(1, field(1, "boot")) + field(3, (text("p", "/root/x") + "").substr(2)) +
                      field(3, node("w", "WriteFile", {"p:output:0", "p:output:0"}).substr(2))));
  const std::string objects = field(7, field(1, field(1, number(1, 1) + field(2, "_initialize"))) +
                                           field(1, field(6, field(1, "boot"))));
  const Report report = scan_bytes(saved_model(node("x", "Placeholder") + library, objects));
  const Finding* finding = find_rule(report, "tensorflow-file-write");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_NE(finding->evidence.find("when the model is loaded"), std::string::npos)
      << finding->evidence;
}

TEST(Tensorflow, text_reads_like_the_wire) {
  const Report report = scan_bytes("# c\nnode { name: 'p' op: 'Const' attr { key: 'value' value { "
                                   "tensor { string_val: '/root/x' } } } }\n"
                                   "node < name: 'w' op: 'WriteFile' input: ['p', 'p'] >");
  EXPECT_EQ(report.format, "tensorflow");
  EXPECT_NE(find_rule(report, "tensorflow-file-write"), nullptr) << show(report);
  EXPECT_TRUE(is_clean(scan_bytes("node: a yaml file\nother: 1\n")));
  EXPECT_TRUE(is_clean(scan_bytes("# only a comment\n")));
}

TEST(Tensorflow, other_messages_are_left_alone) {
  // ONNX: ir_version, producer_name, graph; a map<string, string>; CoreML: version, description.
  for (const std::string& bytes:
       {number(1, 8) + field(2, "pytorch") + field(7, field(1, field(4, "Relu"))),
        field(1, field(1, "key") + field(2, "value")),
        number(1, 4) + field(2, field(1, field(1, "input") + field(2, "words")))})
    EXPECT_NE(scan_bytes(bytes).format, "tensorflow");
}

TEST(Tensorflow, corpus_of_bad_files_is_caught) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/tensorflow/corpus", "bad_"))
    EXPECT_FALSE(is_clean(scan_bytes(bytes))) << name;
  for (const auto& [name, bytes]: test::corpus("scanner/formats/tensorflow/corpus", "good_")) {
    Report report = scan_bytes(bytes);
    // What a text is under the names of YAML files is not asked here.
    std::erase_if(report.gaps, [](const Gap& gap) { return !gap.condition.empty(); });
    EXPECT_TRUE(is_clean(report)) << name << show(report);
  }
}

} // namespace
} // namespace hubgate

#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
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
std::string i64s(std::initializer_list<std::int64_t> values) {
  std::string out;
  for (const std::int64_t value: values)
    for (unsigned i = 0; i < 8; ++i)
      out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  return out;
}

std::string tensor(const std::string& name, std::initializer_list<std::int64_t> dims,
                   std::uint64_t type, const std::string& rest) {
  std::string out;
  for (const std::int64_t n: dims)
    out += number(1, static_cast<std::uint64_t>(n));
  return out + number(2, type) + bytes(8, name) + rest;
}
std::string raw(const std::string& value) {
  return bytes(9, value);
}
std::string entry(std::uint32_t field, const std::string& key, const std::string& value) {
  return bytes(field, bytes(1, key) + bytes(2, value));
}
std::string external(const std::string& location, const std::string& offset = "0",
                     const std::string& length = "16") {
  return entry(13, "location", location) + entry(13, "offset", offset) +
         entry(13, "length", length) + number(14, 1);
}
std::string node(const std::string& op, std::initializer_list<std::string> inputs,
                 std::initializer_list<std::string> outputs, const std::string& rest = "",
                 const std::string& domain = "") {
  std::string out;
  for (const auto& name: inputs)
    out += bytes(1, name);
  for (const auto& name: outputs)
    out += bytes(2, name);
  out += bytes(3, "n_" + op) + bytes(4, op) + rest;
  return bytes(1, domain.empty() ? out : out + bytes(7, domain));
}
std::string graph(const std::string& nodes, const std::string& rest = "") {
  return nodes + bytes(2, "g") + rest + bytes(11, bytes(1, "x")) + bytes(12, bytes(1, "y"));
}
std::string init(const std::string& value) {
  return bytes(5, value);
}
std::string model(const std::string& graph, const std::string& rest = "") {
  return number(1, 8) + bytes(2, "test") + bytes(7, graph) + rest + bytes(8, number(2, 17));
}
std::string floats(std::size_t n) {
  return std::string(n * 4, '\x01');
}
std::string with_weights(const std::string& rest,
                         std::initializer_list<std::int64_t> dims = {2, 2}) {
  return model(graph(node("MatMul", {"x", "w"}, {"y"}), init(tensor("w", dims, 1, rest))));
}

void expect(const std::string& bytes, std::string_view rule) {
  const Report report = scan_bytes(bytes);
  EXPECT_EQ(report.format, "onnx");
  EXPECT_NE(find_rule(report, rule), nullptr) << show(report);
}

TEST(Onnx, ordinary_models_are_clean) {
  for (const std::string& good:
       {with_weights(raw(floats(4))), with_weights(bytes(4, floats(4))),
        model(graph(node("Relu", {"x"}, {"y"}))), with_weights(external("weights.bin")),
        model(graph(node("Mine", {"x"}, {"y"}, "", "local")),
              bytes(25, bytes(1, "Mine") + bytes(4, "a") + bytes(5, "b") +
                            bytes(7, bytes(1, "a") + bytes(2, "b") + bytes(4, "Relu")) +
                            bytes(10, "local")))}) {
    const Report report = scan_bytes(good);
    EXPECT_EQ(report.format, "onnx");
    EXPECT_TRUE(is_clean(report)) << show(report);
  }
}

TEST(Onnx, tensor_and_sequence_files_are_known) {
  for (const std::string& good:
       {tensor("x", {2}, 1, raw(floats(2))), tensor("s", {1}, 8, bytes(6, "text")),
        bytes(1, "s") + number(2, 1) + bytes(3, tensor("x", {2}, 1, raw(floats(2)))),
        bytes(1, "optional_input") + number(2, 0)}) {
    const Report report = scan_bytes(good);
    EXPECT_EQ(report.format, "onnx");
    EXPECT_TRUE(is_clean(report)) << show(report);
  }
}

TEST(Onnx, external_data_stays_in_its_folder) {
  for (const std::string& location:
       {"../../etc/passwd"s, "/etc/passwd"s, "a/../../b"s, "C:\\x"s, "\\\\host\\x"s, "file:///x"s,
        "https://127.0.0.1/x"s, "#/../x"s, "a\0b"s, "*/_ORT_MEM_ADDR_/*"s, "%2e%2e/x"s})
    expect(with_weights(external(location)), "onnx-external-path");
  const Report report = scan_bytes(with_weights(external("sub/w.bin", "4")));
  EXPECT_TRUE(is_clean(report)) << show(report);
  ASSERT_EQ(report.references.size(), 3U);
  EXPECT_EQ(report.references[0].target, "sub/w.bin");
  EXPECT_EQ(report.references[1].kind, "extent");
  EXPECT_EQ(report.references[1].target, "sub/w.bin 20");
  EXPECT_EQ(report.references[2].kind, "described");
  EXPECT_EQ(report.references[2].target, "sub/w.bin 20");
}

TEST(Onnx, external_places_make_sense) {
  expect(with_weights(external("w", "-1")), "onnx-external-extent");
  expect(with_weights(external("w", "18446744073709551615")), "onnx-external-extent");
  expect(with_weights(external("w", "0", "17")), "onnx-external-extent");
  expect(with_weights(number(14, 1)), "onnx-external-extent");
  expect(with_weights(external("w") + entry(13, "__class__", "x")), "onnx-external-key");
  const auto two = [](const std::string& offset) {
    return model(graph(node("MatMul", {"x", "w"}, {"y"}),
                       init(tensor("w", {4}, 1, external("f", "0"))) +
                           init(tensor("v", {4}, 1, external("f", offset)))));
  };
  expect(two("8"), "onnx-external-overlap");
  EXPECT_TRUE(is_clean(scan_bytes(two("16"))));
  EXPECT_TRUE(is_clean(scan_bytes(two("0"))));
}

TEST(Onnx, tensors_fit_their_bytes) {
  expect(with_weights(raw(floats(3))), "onnx-tensor-size");
  expect(with_weights(bytes(4, floats(5))), "onnx-tensor-size");
  expect(with_weights(raw(floats(4)), {-1}), "onnx-tensor-size");
  expect(with_weights(raw(floats(4)), {1L << 40, 1L << 40}), "onnx-tensor-size");
  expect(with_weights(raw(floats(4)) + bytes(4, floats(4))), "onnx-tensor-twofold");
  expect(with_weights(raw(floats(4)) + external("w")), "onnx-tensor-twofold");
  expect(with_weights("", {1L << 30}), "onnx-bomb");
}

TEST(Onnx, operators_from_elsewhere) {
  expect(model(graph(node("Thing", {"x"}, {"y"}, "", "com.example"))), "onnx-custom-operator");
  expect(model(graph(node("PyOp", {"x"}, {"y"}, bytes(5, bytes(1, "module") + bytes(4, "os")),
                          "com.microsoft"))),
         "onnx-python-operator");
}

TEST(Onnx, hidden_places_are_read) {
  const std::string bad = node("Thing", {"x"}, {"y"}, "", "com.example");
  const std::string branch = bytes(5, bytes(1, "then_branch") + bytes(6, graph(bad)));
  expect(model(graph(node("If", {"x"}, {"y"}, branch))), "onnx-custom-operator");
  expect(model(graph(node("Relu", {"x"}, {"y"})), bytes(20, bytes(2, graph(bad)))),
         "onnx-custom-operator");
  expect(model(graph(node("Relu", {"x"}, {"y"})),
               bytes(25, bytes(1, "F") + bytes(7, bytes(4, "Thing") + bytes(7, "com.example")) +
                             bytes(10, "local"))),
         "onnx-custom-operator");
}

TEST(Onnx, compiled_contexts) {
  const auto context = [](const std::string& value, std::uint64_t embedded) {
    return model(graph(node("EPContext", {"x"}, {"y"},
                            bytes(5, bytes(1, "embed_mode") + number(3, embedded)) +
                                bytes(5, bytes(1, "ep_cache_context") + bytes(4, value)),
                            "com.microsoft")));
  };
  expect(context("\x7f"
                 "ELF and so on",
                 1),
         "onnx-compiled-context");
  expect(context("../x.bin", 0), "onnx-external-path");
  EXPECT_EQ(find_rule(scan_bytes(context("x.bin", 0)), "onnx-external-path"), nullptr);
}

std::string constant_vector(const std::string& name) {
  return init(tensor(name, {4}, 1, raw(floats(4))));
}

TEST(Onnx, a_trigger_that_chooses_a_constant) {
  const std::string weights = init(tensor("w", {2, 2}, 1, raw(floats(4)))) + constant_vector("c") +
                              init(tensor("t", {2}, 1, raw(floats(2))));
  const std::string honest = node("MatMul", {"x", "w"}, {"m"});
  const std::string trigger = node("Equal", {"x", "t"}, {"e"}) + node("Cast", {"e"}, {"f"}) +
                              node("ReduceMin", {"f"}, {"r"});
  expect(model(graph(honest + trigger + node("Where", {"r", "c", "m"}, {"z"}) +
                         node("Softmax", {"z"}, {"y"}),
                     weights)),
         "onnx-shadow-logic");
  expect(model(graph(honest + trigger + node("Mul", {"r", "c"}, {"i"}) +
                         node("Add", {"m", "i"}, {"y"}),
                     weights)),
         "onnx-shadow-logic");
  const auto branch = [](const std::string& name, const std::string& op, const std::string& in) {
    return bytes(5, bytes(1, name) +
                        bytes(6, bytes(1, bytes(1, in) + bytes(2, name + "o") + bytes(4, op)) +
                                     bytes(12, bytes(1, name + "o"))));
  };
  expect(model(graph(honest + trigger +
                         node("If", {"r"}, {"y"},
                              branch("then_branch", "Identity", "c") +
                                  branch("else_branch", "Identity", "m")),
                     weights)),
         "onnx-shadow-logic");
  // A mask in front of the weights, a scalar, and a test of what the model computed are honest.
  EXPECT_TRUE(is_clean(scan_bytes(model(
      graph(trigger + node("Where", {"r", "c", "x"}, {"z"}) + node("MatMul", {"z", "w"}, {"y"}),
            weights)))));
  EXPECT_TRUE(is_clean(scan_bytes(model(
      graph(honest + node("Greater", {"m", "t"}, {"g"}) + node("Where", {"g", "c", "m"}, {"y"}),
            weights)))));
}

TEST(Onnx, bombs) {
  const auto shaped = [](const std::string& op, std::initializer_list<std::string> inputs,
                         std::initializer_list<std::int64_t> values) {
    return model(
        graph(node(op, inputs, {"y"}),
              init(tensor("s", {static_cast<std::int64_t>(values.size())}, 7, raw(i64s(values))))));
  };
  expect(shaped("Tile", {"x", "s"}, {1 << 20, 1 << 20}), "onnx-bomb");
  expect(shaped("ConstantOfShape", {"s"}, {1 << 20, 1 << 20}), "onnx-bomb");
  EXPECT_TRUE(is_clean(scan_bytes(shaped("Tile", {"x", "s"}, {1, 16}))));
  std::string functions;
  for (int i = 1; i < 12; ++i) {
    std::string body;
    for (int k = 0; k < 10; ++k)
      body += bytes(7, bytes(4, i == 1 ? "Relu" : "f" + std::to_string(i - 1)) +
                           (i == 1 ? "" : bytes(7, "local")));
    functions += bytes(25, bytes(1, "f" + std::to_string(i)) + body + bytes(10, "local"));
  }
  expect(model(graph(node("f11", {"x"}, {"y"}, "", "local")), functions), "onnx-bomb");
  expect(model(graph(node("f", {"x"}, {"y"}, "", "local")),
               bytes(25, bytes(1, "f") + bytes(7, bytes(4, "f") + bytes(7, "local")) +
                             bytes(10, "local"))),
         "onnx-recursion");
}

TEST(Onnx, texts_are_scanned) {
  expect(model(graph(node("Relu", {"x"}, {"y"})), entry(14, "note", "run os.system('echo x') now")),
         "embedded-script");
  expect(model(graph(node("Relu", {"x"}, {"y"}, bytes(6, "import os; os.system('echo x')")))),
         "embedded-script");
  const std::string pickle = "\x80\x04"
                             "cos\nsystem\nX\x04\0\0\0echo\x85R."s;
  expect(model(graph(node("Relu", {"x"}, {"y"}), init(tensor("s", {1}, 8, bytes(6, pickle))))),
         "pickle-dangerous-call");
  expect(
      model(graph(node("Relu", {"x"}, {"y"}),
                  init(tensor("s", {64}, 2, raw(pickle + std::string(64 - pickle.size(), '\0')))))),
      "pickle-dangerous-call");
  EXPECT_NE(find_rule(scan_bytes(model(graph(node("Relu", {"x"}, {"y"})),
                                       bytes(99, std::string(2000, 'x')))),
                      "onnx-unknown-field"),
            nullptr);
}

TEST(Onnx, is_never_clean_when_cut) {
  const std::string whole = with_weights(raw(floats(4)));
  for (std::size_t n = 12; n < whole.size() - 4; ++n)
    EXPECT_FALSE(is_clean(scan_bytes(whole.substr(0, n)))) << n;
}

TEST(Onnx, deep_graphs_end) {
  std::string inner = graph(node("Relu", {"x"}, {"y"}));
  for (int i = 0; i < 60; ++i)
    inner = graph(node("If", {"x"}, {"y"}, bytes(5, bytes(1, "then_branch") + bytes(6, inner))));
  const Report report = scan_bytes(model(inner));
  EXPECT_FALSE(is_clean(report)) << show(report);
}

} // namespace
} // namespace hubgate

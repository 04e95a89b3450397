#include "scanner/formats/onnx/flow.hpp"

#include <algorithm>
#include <array>

namespace hubgate::onnx {

namespace {

constexpr unsigned k_depth = 40; ///< subgraphs and functions in each other
constexpr std::uint64_t k_unknown = ~std::uint64_t{0};
constexpr std::uint64_t k_ceiling = std::uint64_t{1} << 60;
/// Elements of one value: 32 GiB of floats.
constexpr std::uint64_t k_too_large = std::uint64_t{1} << 33;
/// Nodes after every function is put in its place.
constexpr std::uint64_t k_too_many = 50'000'000;

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// Where the model's weights act.
constexpr std::array<std::string_view, 22> k_heavy_ops{
    "Conv",
    "ConvTranspose",
    "ConvInteger",
    "QLinearConv",
    "MatMul",
    "MatMulInteger",
    "QLinearMatMul",
    "MatMulNBits",
    "FusedMatMul",
    "Gemm",
    "FusedGemm",
    "FusedConv",
    "LSTM",
    "GRU",
    "RNN",
    "Einsum",
    "Attention",
    "MultiHeadAttention",
    "GroupQueryAttention",
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
};
constexpr std::array<std::string_view, 8> k_heavy_ml_ops{
    "LinearClassifier", "LinearRegressor",         "SVMClassifier", "SVMRegressor",
    "DeformConv",       "EmbedLayerNormalization", "QAttention",    "QGemm"};
constexpr std::array<std::string_view, 5> k_compare_ops{"Equal", "Greater", "Less",
                                                        "GreaterOrEqual", "LessOrEqual"};

bool is_heavy(const std::string& op) {
  return is_one_of(k_heavy_ops, op) || is_one_of(k_heavy_ml_ops, op);
}

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  return a != 0 && b > k_ceiling / a ? k_ceiling : a * b;
}

// Elements of a shape that is known; dimensions of 0 and -1 keep what is there.
std::uint64_t product(const std::vector<std::int64_t>& shape) {
  std::uint64_t out = 1;
  for (const std::int64_t n: shape)
    if (n > 0) out = times(out, static_cast<std::uint64_t>(n));
  return out;
}

} // namespace

ValueId value_id(std::string_view name) {
  if (name.empty()) return 0;
  ValueId hash = 0xcbf29ce484222325;
  for (const char c: name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return (hash ^ (hash >> 29)) | 1;
}

std::optional<std::size_t> Flow::find_function(const NodeRecord& node) const {
  const auto at = by_name_.find({node.domain, node.op});
  return at == by_name_.end() ? std::nullopt : std::optional(at->second);
}

std::uint64_t Flow::expanded(const GraphRecord& graph, unsigned depth) {
  std::uint64_t sum = 0;
  for (const NodeRecord& node: graph.nodes) {
    const auto function = find_function(node);
    sum = std::min(k_ceiling, sum + (function ? expanded(*function, depth + 1) : 1));
    for (const auto& inner: node.graphs)
      if (inner && depth < k_depth) sum = std::min(k_ceiling, sum + expanded(*inner, depth + 1));
  }
  return sum;
}

std::uint64_t Flow::expanded(std::size_t function, unsigned depth) {
  if (sizes_[function] != k_unknown) return sizes_[function];
  const FunctionRecord& record = functions[function];
  if (open_[function] || depth >= k_depth) {
    if (open_[function])
      findings_.push_back({FlowFinding::Kind::recursion,
                           record.graph.nodes.empty() ? 0 : record.graph.nodes.front().offset,
                           "function " + record.domain + "::" + record.name + " calls itself"});
    return 1;
  }
  open_[function] = true;
  const std::uint64_t size = expanded(record.graph, depth);
  open_[function] = false;
  sizes_[function] = size;
  return size;
}

// Sizes of values that a constant decides, and shapes that are themselves computed from constants.
void Flow::grow(const NodeRecord& node, const std::vector<Value>& in, Value& out) {
  const std::string& op = node.op;
  std::uint64_t largest = 1;
  for (const Value& value: in)
    largest = std::max(largest, value.elements);
  if (node.constant && in.empty()) {
    out.elements = std::max<std::uint64_t>(1, node.constant->elements);
    out.values = node.constant->values;
    // RandomNormal and its kin: the attribute is the shape.
    if (op != "Constant") out.elements = product(node.constant->values);
  } else if (op == "ConstantOfShape" && in.size() == 1) {
    out.elements = product(in[0].values);
  } else if (op == "Expand" && in.size() > 1) {
    out.elements = std::max(in[0].elements, product(in[1].values));
  } else if (op == "Tile" && in.size() > 1) {
    out.elements = times(in[0].elements, product(in[1].values));
  } else if (op == "Range" && in.size() == 3 && in[0].values.size() == 1 &&
             in[1].values.size() == 1 && in[2].values.size() == 1 && in[2].values[0] > 0 &&
             in[1].values[0] > in[0].values[0]) {
    const auto span =
        static_cast<std::uint64_t>(in[1].values[0]) - static_cast<std::uint64_t>(in[0].values[0]);
    out.elements = std::max<std::uint64_t>(1, span / static_cast<std::uint64_t>(in[2].values[0]));
  } else if (op == "Concat") {
    out.elements = 0;
    for (const Value& value: in) {
      out.elements = std::min(k_ceiling, out.elements + value.elements);
      if (out.values.size() < 16)
        out.values.insert(out.values.end(), value.values.begin(), value.values.end());
    }
    for (const Value& value: in)
      if (value.values.empty()) out.values.clear();
  } else if (op == "Identity" || op == "Cast" || op == "Unsqueeze" || op == "Squeeze" ||
             op == "Reshape" || op == "Relu" || op == "Neg" || op == "Transpose") {
    if (!in.empty()) {
      out.elements = in[0].elements;
      out.values = in[0].values;
    }
  } else if (op == "Add" || op == "Mul" || op == "Sub" || op == "Div") {
    out.elements = largest;
  }
  if (out.elements > k_too_large && largest <= k_too_large)
    findings_.push_back(
        {FlowFinding::Kind::bomb, node.offset,
         op + (node.name.empty() ? "" : " \"" + node.name + "\"") + " makes " +
             (out.elements >= k_ceiling ? "more than 2^60" : std::to_string(out.elements)) +
             " elements"});
}

// Where, If and the arithmetic that does the same: a trigger that decides between the model's own
// answer and a vector of constants.
void Flow::choice(const NodeRecord& node, const std::vector<Value>& in,
                  const std::vector<Value>& branches, Value& out) const {
  const auto is_trigger = [](const Value& value) {
    return (value.state & k_trigger) != 0 && (value.state & k_heavy) == 0;
  };
  const auto is_vector = [](const Value& value) {
    return value.state == k_const && value.elements > 1;
  };
  const auto is_model = [](const Value& value) { return (value.state & k_heavy) != 0; };
  const auto patch = [&] {
    out.state |= k_patched;
    out.patched_at = node.offset;
    out.patched_by = node.op + (node.name.empty() ? "" : " \"" + node.name + "\"");
  };
  if (node.op == "Where" && in.size() == 3 && is_trigger(in[0])) {
    if ((is_vector(in[1]) && is_model(in[2])) || (is_vector(in[2]) && is_model(in[1]))) patch();
  } else if (node.op == "If" && !in.empty() && is_trigger(in[0]) && branches.size() == 2) {
    if ((is_vector(branches[0]) && is_model(branches[1])) ||
        (is_vector(branches[1]) && is_model(branches[0])))
      patch();
  } else if (node.op == "Mul" && in.size() == 2) {
    if ((is_trigger(in[0]) && is_vector(in[1])) || (is_trigger(in[1]) && is_vector(in[0])))
      out.state |= k_inject;
  } else if ((node.op == "Add" || node.op == "Sub") && in.size() == 2) {
    const bool injected = ((in[0].state & k_inject) != 0 && is_model(in[1])) ||
                          ((in[1].state & k_inject) != 0 && is_model(in[0]));
    if (injected) patch();
  }
}

Flow::Value Flow::step(const NodeRecord& node, Scope& scope, unsigned depth) {
  std::vector<Value> in;
  for (const ValueId id: node.inputs) {
    const auto at = scope.find(id);
    in.push_back(at == scope.end() ? Value{} : at->second);
  }
  std::vector<Value> branches;
  for (const auto& graph: node.graphs)
    if (graph && depth < k_depth) branches.push_back(run(*graph, scope, depth + 1));

  Value out;
  bool all_const = true;
  for (const Value& value: in) {
    out.state |= value.state & ~static_cast<unsigned>(k_const);
    all_const = all_const && (value.state == k_const || value.state == k_none);
    if ((value.state & k_patched) != 0) {
      out.patched_at = value.patched_at;
      out.patched_by = value.patched_by;
    }
  }
  for (const Value& value: branches)
    out.state |= value.state & ~static_cast<unsigned>(k_const);
  if (all_const && out.state == k_none) out.state = k_const;

  const bool moves = out.state != k_const;
  if (moves && is_one_of(k_compare_ops, node.op) && (out.state & k_heavy) == 0 &&
      (out.state & k_input) != 0)
    out.state = k_input | k_trigger;
  // Embeddings: rows of a constant table, chosen by the input.
  const bool embeds = node.op == "Gather" && in.size() > 1 && in[0].state == k_const &&
                      in[0].elements > 1024 && moves;
  const auto function = find_function(node);
  if (function) {
    const auto& result = results_[*function];
    if (result) out.state |= result->state & static_cast<unsigned>(k_heavy | k_trigger);
  }
  choice(node, in, branches, out);
  if (embeds || (moves && is_heavy(node.op))) out.state = k_heavy;
  // The shape of the input says nothing of its content.
  if (node.op == "Shape" || node.op == "Size") out.state = k_none;
  if (branches.empty()) grow(node, in, out);
  return out;
}

// Values of a subgraph stay in the scope: their names are their own in what loaders accept.
Flow::Value Flow::run(const GraphRecord& graph, Scope& scope, unsigned depth) {
  for (const ValueId id: graph.inputs)
    scope[id] = Value{k_input, 1, {}, 0, {}};
  for (const auto& [id, constant]: graph.constants)
    scope[id] =
        Value{k_const, std::max<std::uint64_t>(1, constant.elements), constant.values, 0, {}};
  for (const NodeRecord& node: graph.nodes) {
    const Value out = step(node, scope, depth);
    for (const ValueId id: node.outputs)
      if (id != 0) scope[id] = out;
  }
  Value all;
  bool all_const = !graph.outputs.empty();
  for (const ValueId id: graph.outputs) {
    const auto at = scope.find(id);
    if (at == scope.end()) continue;
    all.state |= at->second.state;
    all.elements = std::max(all.elements, at->second.elements);
    all_const = all_const && at->second.state == k_const;
    if ((at->second.state & k_patched) != 0 && findings_.size() < 64) {
      const bool known =
          std::any_of(findings_.begin(), findings_.end(), [&](const FlowFinding& finding) {
            return finding.kind == FlowFinding::Kind::shadow &&
                   finding.offset == at->second.patched_at;
          });
      if (!known)
        findings_.push_back({FlowFinding::Kind::shadow, at->second.patched_at,
                             at->second.patched_by +
                                 " chooses between the model's answer and a constant by a test of "
                                 "the input"});
    }
  }
  if (!all_const) all.state &= ~static_cast<unsigned>(k_const);
  return all;
}

std::vector<FlowFinding> Flow::judge() {
  for (std::size_t i = 0; i < functions.size(); ++i)
    by_name_.emplace(std::pair(functions[i].domain, functions[i].name), i);
  sizes_.assign(functions.size(), k_unknown);
  open_.assign(functions.size(), false);
  results_.assign(functions.size(), std::nullopt);
  // Callees come first in what exporters write; a result that is not there yet is no weight.
  for (std::size_t i = 0; i < functions.size(); ++i) {
    Scope scope;
    results_[i] = run(functions[i].graph, scope, 1);
  }
  for (const GraphRecord& graph: graphs) {
    Scope scope;
    run(graph, scope, 0);
    const std::uint64_t nodes = expanded(graph, 0);
    if (nodes > k_too_many)
      findings_.push_back(
          {FlowFinding::Kind::bomb, 0,
           "functions make " +
               (nodes >= k_ceiling ? std::string("more than 2^60") : std::to_string(nodes)) +
               " nodes of the graph"});
  }
  // Functions that no graph calls recurse as well.
  for (std::size_t i = 0; i < functions.size(); ++i)
    expanded(i, 0);
  return std::move(findings_);
}

} // namespace hubgate::onnx

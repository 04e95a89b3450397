#include "scanner/formats/tensorflow/graph.hpp"

#include <algorithm>

namespace hubgate::tensorflow {
namespace {

constexpr int k_max_hops = 24;
constexpr std::size_t k_max_callers = 64;
constexpr std::uint64_t k_max_steps = 200'000;

// Operators that pass their first input on as it is.
bool passes_on(std::string_view op) {
  return op == "Identity" || op == "Snapshot" || op == "StopGradient" || op == "EnsureShape" ||
         op == "Reshape" || op == "ExpandDims" || op == "Squeeze" || op == "IdentityN" ||
         op == "PlaceholderWithDefault" || op == "StringStrip" || op == "GuaranteeConst" ||
         op == "PreventGradient" || op == "CheckNumerics" || op == "TensorSliceDataset";
}

bool joins(std::string_view op) {
  return op == "StringJoin" || op == "Pack" || op == "Concat" || op == "ConcatV2" || op == "Add" ||
         op == "AddV2" || op == "AddN" || op == "ReduceJoin";
}

// Inputs of a calling operator that stand before the function's arguments.
std::size_t leading_inputs(std::string_view op) {
  return op == "If" || op == "StatelessIf" || op == "_If" || op == "Case" ||
                 op == "StatelessCase" || op == "RemoteCall"
             ? 1
             : 0;
}

} // namespace

std::string_view node_of(std::string_view reference) {
  if (reference.starts_with('^')) reference.remove_prefix(1);
  return reference.substr(0, reference.find(':'));
}

bool Model::charge(const Node& node) {
  std::size_t bytes = sizeof(Node) + node.name.capacity() + node.op.capacity();
  for (const auto& input: node.inputs)
    bytes += sizeof(std::string) + input.capacity();
  for (const auto& name: node.functions)
    bytes += sizeof(std::string) + name.capacity();
  for (const auto& [key, text]: node.texts)
    bytes += 2 * sizeof(std::string) + key.capacity() + text.capacity();
  if (node.constant) bytes += node.constant->capacity();
  if (bytes > k_max_bytes - bytes_) return false;
  bytes_ += bytes;
  return true;
}

std::uint32_t Model::find(const Graph& graph, std::string_view name) const {
  const auto at = std::lower_bound(graph.by_name.begin(), graph.by_name.end(), name,
                                   [&](std::uint32_t index, std::string_view wanted) {
                                     return graph.nodes[index].name < wanted;
                                   });
  return at != graph.by_name.end() && graph.nodes[*at].name == name ? *at : k_none;
}

std::uint32_t Model::function(std::string_view name) const {
  const auto at = std::lower_bound(functions_.begin(), functions_.end(), name,
                                   [&](std::uint32_t index, std::string_view wanted) {
                                     return graphs[index].function < wanted;
                                   });
  return at != functions_.end() && graphs[*at].function == name ? *at : k_none;
}

void Model::index() {
  functions_.clear();
  for (std::uint32_t g = 0; g < graphs.size(); ++g) {
    Graph& graph = graphs[g];
    graph.by_name.resize(graph.nodes.size());
    for (std::uint32_t n = 0; n < graph.nodes.size(); ++n)
      graph.by_name[n] = n;
    std::stable_sort(graph.by_name.begin(), graph.by_name.end(),
                     [&](std::uint32_t a, std::uint32_t b) {
                       return graph.nodes[a].name < graph.nodes[b].name;
                     });
    if (g != 0) functions_.push_back(g);
  }
  std::stable_sort(functions_.begin(), functions_.end(), [&](std::uint32_t a, std::uint32_t b) {
    return graphs[a].function < graphs[b].function;
  });
  for (std::uint32_t g = 0; g < graphs.size(); ++g) {
    for (std::uint32_t n = 0; n < graphs[g].nodes.size(); ++n) {
      Node& node = graphs[g].nodes[n];
      // Graphs of TensorFlow 1 call a function by using its name as an operator.
      if (function(node.op) != k_none) node.functions.push_back(node.op);
      for (const auto& name: node.functions) {
        const std::uint32_t callee = function(name);
        if (callee != k_none && graphs[callee].callers.size() < k_max_callers)
          graphs[callee].callers.emplace_back(g, n);
      }
    }
  }
  using Place = std::pair<std::uint32_t, std::uint32_t>;
  for (const Reached how: {Reached::at_load, Reached::by_signature}) {
    std::vector<Place> queue;
    if (!graphs.empty()) {
      for (const auto& name: how == Reached::at_load ? load_nodes : signature_nodes)
        if (const auto n = find(graphs[0], node_of(name)); n != k_none) queue.emplace_back(0, n);
    }
    if (how == Reached::at_load)
      for (const auto& name: load_functions)
        reach_function(function(name), how, queue);
    reach(std::move(queue), how);
  }
}

void Model::reach_function(std::uint32_t graph, Reached how,
                           std::vector<std::pair<std::uint32_t, std::uint32_t>>& queue) {
  if (graph == k_none || graphs[graph].reached >= how) return;
  graphs[graph].reached = how;
  // Every node of a body: what has a side effect is kept by control edges, and whether the rest is
  // pruned is not ours to bet on.
  for (std::uint32_t n = 0; n < graphs[graph].nodes.size(); ++n)
    queue.emplace_back(graph, n);
}

void Model::reach(std::vector<std::pair<std::uint32_t, std::uint32_t>> queue, Reached how) {
  while (!queue.empty()) {
    const auto [g, n] = queue.back();
    queue.pop_back();
    Node& node = graphs[g].nodes[n];
    if (node.reached >= how) continue;
    node.reached = how;
    for (const auto& name: node.functions)
      reach_function(function(name), how, queue);
    if (g != 0) continue;
    for (const auto& input: node.inputs)
      if (const auto at = find(graphs[g], node_of(input)); at != k_none) queue.emplace_back(g, at);
  }
}

Origin Model::origin(std::uint32_t graph, const Node& node, int input) const {
  if (input < 0 || static_cast<std::size_t>(input) >= node.inputs.size()) return {};
  return origin_of(graph, node.inputs[static_cast<std::size_t>(input)], 0);
}

// The constant parts of a text that is put together; "…" for what is not known.
Origin Model::joined(std::uint32_t graph, const Node& node, int depth) const {
  Origin out;
  for (const auto& input: node.inputs) {
    if (input.starts_with('^')) continue;
    const Origin part = origin_of(graph, input, depth + 1);
    if (part.kind == Origin::Kind::asset) return part;
    if (part.kind == Origin::Kind::constant) out.kind = Origin::Kind::constant;
    if (out.text.size() < 4096)
      out.text += part.kind == Origin::Kind::constant ? part.text : std::string("…");
  }
  return out;
}

Origin Model::origin_of(std::uint32_t graph, std::string_view reference, int depth) const {
  if (depth > k_max_hops || ++steps_ > k_max_steps) return {};
  const Graph& here = graphs[graph];
  const std::string_view name = node_of(reference);
  if (graph == 0 && std::find(assets.begin(), assets.end(), name) != assets.end())
    return {Origin::Kind::asset, ""};
  const std::uint32_t n = find(here, name);
  if (n != k_none) {
    const Node& node = here.nodes[n];
    if (node.constant) return {Origin::Kind::constant, *node.constant};
    if (passes_on(node.op) && !node.inputs.empty())
      return origin_of(graph, node.inputs[0], depth + 1);
    if (joins(node.op)) return joined(graph, node, depth);
    return {};
  }
  const auto argument = std::find(here.arguments.begin(), here.arguments.end(), name);
  if (argument == here.arguments.end()) return {};
  const auto index = static_cast<std::size_t>(argument - here.arguments.begin());
  Origin found;
  for (const auto& [g, at]: here.callers) {
    const Node& call = graphs[g].nodes[at];
    const std::size_t input = index + leading_inputs(call.op);
    if (input >= call.inputs.size()) continue;
    const Origin origin = origin_of(g, call.inputs[input], depth + 1);
    if (origin.kind == Origin::Kind::constant) return origin;
    if (origin.kind == Origin::Kind::asset) found = origin;
  }
  return found;
}

} // namespace hubgate::tensorflow

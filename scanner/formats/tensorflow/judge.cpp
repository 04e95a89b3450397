// What a graph's operators do, where their paths come from, and how they come to run.
#include "scanner/formats/tensorflow/paths.hpp"
#include "scanner/formats/tensorflow/scan.hpp"

#include <algorithm>

namespace hubgate::tensorflow {
namespace {

constexpr std::string_view k_atlas = "AML.T0011.000";

std::string_view words_of(Reached reached) {
  switch (reached) {
  case Reached::at_load:
    return "runs when the model is loaded";
  case Reached::by_signature:
    return "runs when the model is called";
  case Reached::no:
    break;
  }
  return "no initialiser or signature reaches it";
}

bool is_placeholder(std::string_view op) {
  return op == "Placeholder" || op == "PlaceholderV2" || op == "PlaceholderWithDefault";
}

// Targets of custom calls that the XLA compiler itself expands.
bool is_compilers_own(std::string_view target) {
  return target == "Sharding" || target == "SPMDFullToShardShape" ||
         target == "SPMDShardToFullShape" || target == "AllocateBuffer" || target == "TopK" ||
         target == "ApproxTopK" || target == "X64Combine" || target == "X64SplitLow" ||
         target == "X64SplitHigh" || target == "annotate_device_placement";
}

// Operators that pick one of two tensors by a condition; the inputs that are picked.
std::pair<std::size_t, std::size_t> picks(std::string_view op) {
  if (op == "Select" || op == "SelectV2") return {1, 3};
  if (op == "Merge" || op == "RefMerge") return {0, 2};
  return {0, 0};
}

} // namespace

constexpr std::array<Rule, 15> make_rules() {
  return {{
      {"tensorflow-file-write", "dangerous-call", Severity::malicious, Reach::load, "CWE-73",
       k_atlas, "TFX-001 TFX-002", "the graph writes a file of its own choice"},
      {"tensorflow-file-read", "dangerous-call", Severity::malicious, Reach::load, "CWE-73",
       k_atlas, "TFX-001 TFX-002", "the graph reads a file outside of the model"},
      {"tensorflow-network", "dangerous-call", Severity::malicious, Reach::load, "CWE-918", k_atlas,
       "TFX-011", "the graph opens a connection or serves one"},
      {"tensorflow-python", "dangerous-call", Severity::malicious, Reach::load, "CWE-94", k_atlas,
       "TFX-003", "the graph calls a Python function"},
      {"tensorflow-process", "dangerous-call", Severity::suspicious, Reach::load, "CWE-400",
       k_atlas, "TFX-002", "the graph ends or reconfigures the process that runs it"},
      {"tensorflow-checkpoint", "reference", Severity::informational, Reach::load, "CWE-73",
       k_atlas, "TFX-002", "the graph saves or restores its variables, as saved models do"},
      {"tensorflow-native-call", "unknown-call", Severity::suspicious, Reach::load, "CWE-829",
       k_atlas, "TFX-008", "the graph calls native code that is registered under a name"},
      {"tensorflow-unknown-op", "unknown-call", Severity::suspicious, Reach::load, "CWE-829",
       k_atlas, "TFX-008",
       "an operator that TensorFlow does not have: it needs a native library that comes from "
       "somewhere"},
      {"tensorflow-library", "code", Severity::informational, Reach::load, "", k_atlas, "TFX-008",
       "an operator of a well-known native library beside TensorFlow, or of an accelerator"},
      {"tensorflow-asset-path", "traversal", Severity::malicious, Reach::load, "CWE-22",
       "AML.T0010.003", "TFX-009", "an asset's file name leads out of the model's folder"},
      {"tensorflow-duplicate-field", "structure", Severity::suspicious, Reach::load, "CWE-436",
       "AML.T0076", "TFX-012", "a field stands twice, so two readers see two graphs"},
      {"tensorflow-odd-field", "structure", Severity::suspicious, Reach::data, "CWE-436",
       "AML.T0076", "TFX-012", "a field that TensorFlow does not read: a place to hide something"},
      {"tensorflow-trigger", "backdoor", Severity::suspicious, Reach::load, "CWE-506",
       "AML.T0018.001", "TFX-016",
       "the model's output is a comparison's choice between what it computed and a constant"},
      {"tensorflow-keras-lambda", "code", Severity::suspicious, Reach::load, "CWE-502", k_atlas,
       "TFX-007", "Keras keeps a function's bytecode here and runs it when it revives the layer"},
      {"tensorflow-checkpoint-path", "reference", Severity::informational, Reach::load, "CWE-73",
       k_atlas, "TFX-010", "the list of checkpoints names one outside of its folder"},
  }};
}
constexpr std::array<Rule, 15> k_rules = make_rules();
const Rule& k_write = k_rules[0];
const Rule& k_read = k_rules[1];
const Rule& k_network = k_rules[2];
const Rule& k_python = k_rules[3];
const Rule& k_process = k_rules[4];
const Rule& k_checkpoint = k_rules[5];
const Rule& k_native = k_rules[6];
const Rule& k_unknown_op = k_rules[7];
const Rule& k_library = k_rules[8];
const Rule& k_asset = k_rules[9];
const Rule& k_duplicate = k_rules[10];
const Rule& k_odd_field = k_rules[11];
const Rule& k_trigger = k_rules[12];
const Rule& k_keras_lambda = k_rules[13];
const Rule& k_checkpoint_path = k_rules[14];

void Scan::report(const Rule& rule, const Graph& graph, const Node& node, std::string what,
                  Severity severity, std::string_view techniques) {
  std::string evidence = node.op + " " + std::move(what) + " (node " + node.name;
  if (!graph.function.empty()) evidence += " in function " + graph.function;
  evidence += "; ";
  evidence += words_of(node.reached);
  evidence += ")";
  std::string ids(techniques.empty() ? rule.techniques : techniques);
  if (node.reached == Reached::at_load) ids += " TFX-004";
  if (!graph.function.empty()) ids += " TFX-006";
  if (origins_ == Origins::text) ids += " TFX-005";
  session_.find(rule, at(node.offset), 0, evidence, {.severity = severity, .techniques = ids});
}

void Scan::judge() {
  for (std::uint32_t g = 0; g < model_.graphs.size(); ++g)
    for (const Node& node: model_.graphs[g].nodes)
      judge_node(g, node);
  judge_triggers();
}

// What an operator does, with what, and whether loading the model runs it.
void Scan::show_node(std::uint32_t g, const Node& node, const OpEffect& effect) {
  const Graph& graph = model_.graphs[g];
  std::string line = node.op + "  " + node.name;
  if (!graph.function.empty()) line += " (in function " + graph.function + ")";
  line += "  ";
  line += effect.effect == Effect::none ? "is no operator of TensorFlow"
                                        : tensorflow::words_of(effect.effect);
  if (!model_full_ && effect.path_input >= 0) {
    const Origin origin = model_.origin(g, node, effect.path_input);
    if (origin.kind == Origin::Kind::constant) line += " \"" + origin.text + "\"";
    if (origin.kind == Origin::Kind::asset) line += " of the model's assets";
  }
  for (const auto& [key, text]: node.texts)
    line += "  " + key + "=\"" + text.substr(0, 200) + "\"";
  line += "; " + std::string(words_of(node.reached));
  session_.show("operator", at(node.offset), line);
}

void Scan::judge_node(std::uint32_t g, const Node& node) {
  const OpEffect effect = effect_of(node.op);
  const Graph& graph = model_.graphs[g];
  if (session_.showing() &&
      (effect.effect != Effect::none ||
       !(is_registered(node.op) || node.op.empty() || model_.function(node.op) != k_none)))
    show_node(g, node, effect);
  if (effect.effect == Effect::none) {
    if (is_registered(node.op) || node.op.empty() || model_.function(node.op) != k_none) return;
    if (reported_.insert("op" + node.op).second)
      report(k_unknown_op, graph, node, "is no operator of TensorFlow", Severity::suspicious, "");
    return;
  }
  if (!effect.path_attr.empty()) {
    for (const auto& [key, text]: node.texts) {
      if (key != effect.path_attr) continue;
      // Values that name no file: a standard stream, the program's own descriptors, no file at all.
      if (text.empty() || text == "local://" || text.starts_with("bytes://")) continue;
      if (key == "output_stream" && !text.starts_with("file://")) continue;
      if (key == "memory_region_name" && text.starts_with("memmapped_package://")) continue;
      judge_effect(effect, graph, node, {Origin::Kind::constant, text});
    }
    return;
  }
  judge_effect(effect, graph, node,
               model_full_ ? Origin{} : model_.origin(g, node, effect.path_input));
}

void Scan::judge_effect(const OpEffect& op, const Graph& graph, const Node& node,
                        const Origin& origin) {
  const bool constant = origin.kind == Origin::Kind::constant;
  const PathKind path = constant ? kind_of(origin.text) : PathKind::relative;
  const std::string named = constant ? " \"" + origin.text + "\"" : std::string();
  const std::string words(tensorflow::words_of(op.effect));
  const auto once = [&](std::string_view what) {
    return reported_.insert(std::string(what) + std::string(node.op)).second;
  };
  switch (op.effect) {
  case Effect::none:
    return;
  case Effect::write_file:
    // A cache without a name is memory; summaries and caches go where the caller says.
    if (constant && origin.text.empty()) return;
    if (path == PathKind::network)
      return report(k_network, graph, node, "sends to" + named, Severity::malicious, "");
    if (!constant && node.op != "WriteFile")
      return report(k_write, graph, node, words + " that its caller names", Severity::suspicious,
                    "");
    return report(k_write, graph, node,
                  constant ? words + named : words + " whose name is computed or handed in",
                  Severity::malicious, "");
  case Effect::read_file:
  case Effect::read_records:
  case Effect::table_file:
    if (origin.kind == Origin::Kind::asset || (constant && origin.text.empty())) return;
    if (path == PathKind::network)
      return report(k_network, graph, node, "reads from" + named, Severity::malicious,
                    "TFX-002 TFX-011");
    // A vocabulary's path is filled in by the loader, a data set's is a leftover of training.
    if (!constant && op.effect == Effect::table_file) return;
    if (path == PathKind::sensitive ||
        (path == PathKind::absolute && op.effect == Effect::read_file))
      return report(k_read, graph, node, words + named, Severity::malicious, "");
    return report(k_read, graph, node,
                  constant ? words + named : words + " whose name is computed or handed in",
                  Severity::suspicious, "");
  case Effect::read_checkpoint:
  case Effect::write_checkpoint:
    if (constant && path != PathKind::relative) {
      const bool writes = op.effect == Effect::write_checkpoint;
      return report(
          writes ? k_write : k_read, graph, node, words + named,
          writes || path == PathKind::sensitive ? Severity::malicious : Severity::suspicious, "");
    }
    if (once("checkpoint")) report(k_checkpoint, graph, node, words, Severity::informational, "");
    return;
  case Effect::network:
    return report(k_network, graph, node, words + named,
                  constant || op.path_input < 0 ? Severity::malicious : Severity::suspicious, "");
  case Effect::distributed:
    if (once("distributed"))
      report(k_network, graph, node, words,
             node.op.find("Collective") != std::string::npos ||
                     node.op.find("Nccl") != std::string::npos
                 ? Severity::informational
                 : Severity::suspicious,
             "");
    return;
  case Effect::python:
    return report(k_python, graph, node, words, Severity::malicious, "");
  case Effect::process:
    return report(k_process, graph, node, words, Severity::suspicious, "");
  case Effect::configure:
    return report(k_process, graph, node, words, Severity::suspicious, "TFX-011");
  case Effect::native:
    if (once("native" + origin.text))
      report(k_native, graph, node, words + named,
             is_compilers_own(origin.text) ? Severity::informational : Severity::suspicious, "");
    return;
  case Effect::library:
  case Effect::accelerator:
    if (once("library")) report(k_library, graph, node, words, Severity::informational, "");
    return;
  }
}

// What nobody reads is the output of a function, or of a frozen graph.
std::vector<std::uint32_t> Scan::unread(const Graph& graph) {
  std::vector<std::string_view> read;
  for (const Node& node: graph.nodes)
    for (const auto& input: node.inputs)
      read.push_back(node_of(input));
  std::sort(read.begin(), read.end());
  std::vector<std::uint32_t> out;
  for (std::uint32_t n = 0; n < graph.nodes.size(); ++n)
    if (!std::binary_search(read.begin(), read.end(), std::string_view(graph.nodes[n].name)))
      out.push_back(n);
  return out;
}

// A backdoor without weights: the last step of the model picks a constant when the input looks
// like this. Honest models mask with scalars and pick between two things that were computed.
// TensorFlow 2 has all of it in functions that the outputs call.
void Scan::judge_triggers() {
  if (model_.graphs.empty() || model_full_) return;
  constexpr std::size_t k_most_functions = 64;
  std::vector<std::uint32_t> outputs;
  for (const auto& name: model_.signature_nodes)
    if (const auto n = model_.find(model_.graphs[0], node_of(name)); n != k_none)
      outputs.push_back(n);
  if (outputs.empty()) outputs = unread(model_.graphs[0]);
  std::vector<std::pair<std::uint32_t, std::vector<std::uint32_t>>> work{{0, std::move(outputs)}};
  std::vector<bool> seen(model_.graphs.size(), false);
  for (std::size_t i = 0; i < work.size() && i < k_most_functions; ++i) {
    const std::uint32_t graph = work[i].first;
    for (const std::uint32_t output: std::vector<std::uint32_t>(work[i].second)) {
      const std::uint32_t last = judge_output(model_.graphs[graph], output);
      if (!model_.graphs[graph].nodes[last].op.ends_with("PartitionedCall")) continue;
      for (std::uint32_t f = 1; f < model_.graphs.size() && work.size() < k_most_functions; ++f) {
        const auto& callers = model_.graphs[f].callers;
        if (seen[f] ||
            std::find(callers.begin(), callers.end(), std::pair(graph, last)) == callers.end())
          continue;
        seen[f] = true;
        work.emplace_back(f, unread(model_.graphs[f]));
      }
    }
  }
}

// Looks at what an output is made of last; gives the node where its identities begin.
std::uint32_t Scan::judge_output(const Graph& graph, std::uint32_t n) {
  for (int hops = 0; hops < 8; ++hops) {
    const Node& node = graph.nodes[n];
    const auto [first, last] = picks(node.op);
    for (std::size_t i = first; i < last && i < node.inputs.size(); ++i) {
      const auto picked = model_.find(graph, node_of(node.inputs[i]));
      if (picked == k_none || graph.nodes[picked].op != "Const" || graph.nodes[picked].elements < 2)
        continue;
      report(k_trigger, graph, node,
             "chooses between a result and the constant " + graph.nodes[picked].name,
             Severity::suspicious, "");
    }
    if (last != 0 || is_placeholder(node.op) || node.inputs.empty()) return n;
    if (node.op != "Identity" && node.op != "IdentityN" && node.op != "Cast") return n;
    const auto next = model_.find(graph, node_of(node.inputs[0]));
    if (next == k_none) return n;
    n = next;
  }
  return n;
}

} // namespace hubgate::tensorflow

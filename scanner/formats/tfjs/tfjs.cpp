// TensorFlow.js: model.json, with the topology of a Keras model or of a graph, and the names of the
// files that hold the weights. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/json_path.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/tensorflow/embedded.hpp"
#include "scanner/formats/tensorflow/ops.hpp"
#include "scanner/formats/tensorflow/paths.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::size_t k_max_graph = std::size_t{32} << 20;

constexpr std::array<Rule, 2> k_rules{{
    {"tfjs-weights-path", "traversal", Severity::malicious, Reach::load, "CWE-22", "AML.T0010.003",
     "TFX-017", "the weights are taken from outside of the model's folder"},
    {"tfjs-weights-url", "reference", Severity::suspicious, Reach::load, "CWE-829", "AML.T0010.003",
     "TFX-017", "the weights are taken from an address on the network"},
}};
const Rule& k_path = k_rules[0];
const Rule& k_url = k_rules[1];

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  void text(const std::string& path, const std::string& value, std::uint64_t offset);
  void node();

  Source& source_;
  Session& session_;
  std::vector<std::pair<std::string, std::uint64_t>> weights_;
  std::string name_;
  std::string op_;
  std::vector<std::string> inputs_;
  std::string graph_; ///< nodes as a GraphDef
  bool topology_ = false;
  bool manifest_ = false;
};

void Scan::text(const std::string& path, const std::string& value, std::uint64_t offset) {
  if (path == "weightsManifest[].paths[]") weights_.emplace_back(value, offset);
  if (path == "modelTopology.node[].name") name_ = value;
  if (path == "modelTopology.node[].op") op_ = value;
  if (path == "modelTopology.node[].input[]" && inputs_.size() < 1024) inputs_.push_back(value);
}

// A node is over: only those that do something are kept, and only their names.
void Scan::node() {
  const auto effect = tensorflow::effect_of(op_).effect;
  if (!op_.empty() && graph_.size() < k_max_graph &&
      (effect != tensorflow::Effect::none || !tensorflow::is_registered(op_))) {
    std::string wire = tensorflow::node_of(name_, op_);
    for (const auto& input: inputs_)
      tensorflow::put_field(wire, 3, input);
    tensorflow::put_field(graph_, 1, wire);
  }
  name_.clear();
  op_.clear();
  inputs_.clear();
}

Reading Scan::run() {
  JsonPaths paths(source_, 0, ~std::uint64_t{0}, {.dialect = JsonOptions::Dialect::python});
  for (;;) {
    const JsonEvent event = paths.next();
    if (event == JsonEvent::end || event == JsonEvent::error) break;
    if (event == JsonEvent::object_begin) {
      topology_ = topology_ || paths.path() == "modelTopology";
      manifest_ = manifest_ || paths.path() == "weightsManifest[]";
    } else if (event == JsonEvent::object_end) {
      if (paths.path() == "modelTopology.node[]") node();
    } else if (event == JsonEvent::string) {
      text(paths.path(), paths.json().text(), paths.json().offset());
    }
  }
  if (!topology_ || (!manifest_ && graph_.empty())) return Reading::none;
  for (const auto& [file, offset]: weights_) {
    switch (tensorflow::kind_of(file)) {
    case tensorflow::PathKind::relative:
      session_.refer("file", offset, file);
      break;
    case tensorflow::PathKind::network:
      session_.refer("url", offset, file);
      session_.find(k_url, offset, file.size(), file);
      break;
    case tensorflow::PathKind::absolute:
    case tensorflow::PathKind::sensitive:
      session_.find(k_path, offset, file.size(), file);
      break;
    }
  }
  if (!graph_.empty()) tensorflow::scan_graph(session_, graph_);
  // Whether the JSON is whole, the base format says; a Keras topology is read by keras_config.
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  const auto first = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return first != std::string_view::npos && head[first] == '{' ? Claim::maybe : Claim::no;
}

// A first look for the two words, so that other JSON is not parsed once more.
Reading scan(Source& source, Session& session) {
  constexpr std::size_t k_step = std::size_t{256} << 10;
  for (std::uint64_t at = 0;;) {
    const Bytes piece = source.view(at, k_step);
    if (as_text(piece).find("modelTopology") != std::string_view::npos)
      return Scan(source, session).run();
    if (piece.size() < k_step) return Reading::none;
    at += piece.size() - 16;
  }
}

} // namespace

extern const Format format_tfjs;
const Format format_tfjs{"tfjs", "json", probe, scan, k_rules};

} // namespace hubgate

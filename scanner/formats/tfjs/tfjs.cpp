// TensorFlow.js: model.json, with the topology of a Keras model or of a graph, and the names of the
// files that hold the weights. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/json_path.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/tensorflow/embedded.hpp"
#include "scanner/formats/tensorflow/ops.hpp"
#include "scanner/formats/tensorflow/paths.hpp"

#include <algorithm>
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
  void number(const std::string& path, const JsonReader& json);
  void node();
  void weight();
  void group();

  Source& source_;
  Session& session_;
  std::vector<std::pair<std::string, std::uint64_t>> weights_;
  std::string name_;
  std::string op_;
  std::vector<std::string> inputs_;
  std::string graph_; ///< nodes as a GraphDef
  // Of a group of weightsManifest: its files hold its weights one behind the other.
  std::vector<std::string> group_files_;
  std::uint64_t group_bytes_ = 0; ///< 0: not known
  bool group_known_ = true;
  std::uint64_t weight_elements_ = 1;
  std::string weight_type_;
  std::vector<std::pair<std::uint64_t, std::vector<std::string>>> groups_; ///< bytes, files
  bool topology_ = false;
  bool manifest_ = false;
};

void Scan::text(const std::string& path, const std::string& value, std::uint64_t offset) {
  if (path == "weightsManifest[].paths[]") weights_.emplace_back(value, offset);
  if (path == "weightsManifest[].paths[]") group_files_.push_back(value);
  if (path == "weightsManifest[].weights[].dtype" && weight_type_.empty()) weight_type_ = value;
  // Stored as this, whatever it becomes when it is read.
  if (path == "weightsManifest[].weights[].quantization.dtype") weight_type_ = value;
  if (path == "modelTopology.node[].name") name_ = value;
  if (path == "modelTopology.node[].op") op_ = value;
  if (path == "modelTopology.node[].input[]" && inputs_.size() < 1024) inputs_.push_back(value);
}

void Scan::number(const std::string& path, const JsonReader& json) {
  if (path != "weightsManifest[].weights[].shape[]") return;
  const auto count = json.as_u64();
  if (!count || __builtin_mul_overflow(weight_elements_, *count, &weight_elements_))
    group_known_ = false;
}

// A weight is over. Those of variable length (string) leave the group unknown.
void Scan::weight() {
  struct Type {
    std::string_view name;
    std::uint64_t bytes;
  };
  constexpr std::array<Type, 7> k_types{{{"float32", 4},
                                         {"float16", 2},
                                         {"int32", 4},
                                         {"uint16", 2},
                                         {"uint8", 1},
                                         {"bool", 1},
                                         {"complex64", 8}}};
  const auto* type = std::find_if(k_types.begin(), k_types.end(),
                                  [&](const Type& known) { return known.name == weight_type_; });
  std::uint64_t bytes = 0;
  if (type == k_types.end() || __builtin_mul_overflow(weight_elements_, type->bytes, &bytes) ||
      __builtin_add_overflow(group_bytes_, bytes, &group_bytes_))
    group_known_ = false;
  weight_elements_ = 1;
  weight_type_.clear();
}

void Scan::group() {
  if (group_known_ && group_bytes_ > 0) groups_.emplace_back(group_bytes_, group_files_);
  group_files_.clear();
  group_bytes_ = 0;
  group_known_ = true;
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
      if (paths.path() == "weightsManifest[].weights[]") weight();
      if (paths.path() == "weightsManifest[]") group();
    } else if (event == JsonEvent::number) {
      number(paths.path(), paths.json());
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
  for (std::size_t i = 0; i < groups_.size(); ++i)
    for (const auto& file: groups_[i].second)
      session_.refer("described", i, file + " " + std::to_string(groups_[i].first));
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

#pragma once
// The scan of a SavedModel, MetaGraphDef or GraphDef in the wire format: reads the messages into a
// Model (read_graph.cpp, read_meta.cpp) and judges it (judge.cpp). Not for use outside this folder.
#include "scanner/core/protobuf.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/tensorflow/graph.hpp"
#include "scanner/formats/tensorflow/ops.hpp"

#include <array>
#include <set>

namespace hubgate::tensorflow {

enum class Shape { saved_model, meta_graph, graph };

/// What the message in [0, end) can be read as; empty when no graph with nodes is in it.
std::vector<Shape> recognise(ProtoInput& input, std::uint64_t end);

/// The messages whose fields are checked.
enum class Message : std::uint8_t {
  saved_model,
  meta_graph,
  meta_info,
  graph,
  library,
  function,
  node,
  attribute,
  list,
  tensor,
  name_attributes,
  collection,
  signature,
  tensor_info,
  asset,
  saver,
};

extern const std::array<Rule, 15> k_rules;
extern const Rule& k_write;
extern const Rule& k_read;
extern const Rule& k_network;
extern const Rule& k_python;
extern const Rule& k_process;
extern const Rule& k_checkpoint;
extern const Rule& k_native;
extern const Rule& k_unknown_op;
extern const Rule& k_library;
extern const Rule& k_asset;
extern const Rule& k_duplicate;
extern const Rule& k_odd_field;
extern const Rule& k_trigger;
extern const Rule& k_keras_lambda;
extern const Rule& k_checkpoint_path;

/// What the offsets of the messages mean.
enum class Origins {
  wire, ///< places in the object
  text, ///< nothing: they were written as text
  none, ///< nothing: another format made them
};

/// A layer's configuration as Keras keeps it in a SavedModel (JSON): scanned as an object of its
/// own; bytecode in it is a finding.
void scan_keras_metadata(Session& session, Source& source, std::uint64_t begin, std::uint64_t size,
                         std::string_view name);

class Scan {
public:
  Scan(ProtoInput& input, Session& session, Origins origins)
      : input_(input), session_(session), origins_(origins) {}

  /// Reads and judges; false when the wire format broke (a gap was reported).
  bool run(Shape shape, std::uint64_t end);

private:
  // read_meta.cpp
  void saved_model(ProtoReader reader);
  void meta_graph(ProtoReader reader);
  void collection(ProtoReader entry);
  void signature(ProtoReader entry);
  void asset(ProtoReader reader);
  void saver(ProtoReader reader);
  void object_graph(ProtoReader reader);
  void finish_model();
  std::string tensor_name(ProtoReader reader);

  // read_graph.cpp
  void graph(ProtoReader reader);
  void library(ProtoReader reader);
  void function(ProtoReader reader);
  void signature_arguments(ProtoReader reader, Graph& graph);
  void node(ProtoReader reader, Graph& graph, std::uint64_t offset);
  void attribute(ProtoReader entry, Node& node);
  void attribute_value(ProtoReader reader, std::string_view key, Node& node);
  void name_attributes(ProtoReader reader, Node& node);
  void bytes_value(ProtoReader& reader, const ProtoField& field, std::string_view key, Node& node);
  void tensor(ProtoReader reader, Node& node);
  void unexpected(ProtoReader& reader, const ProtoField& field, Message message);
  bool known(ProtoReader& reader, const ProtoField& field, Message message);
  void note(const ProtoReader& reader);

  // judge.cpp
  void judge();
  void show_node(std::uint32_t g, const Node& node, const OpEffect& effect);
  void judge_node(std::uint32_t graph, const Node& node);
  void judge_path(const OpEffect& op, std::uint32_t graph, const Node& node);
  void judge_effect(const OpEffect& op, const Graph& graph, const Node& node, const Origin& origin);
  void judge_triggers();
  static std::vector<std::uint32_t> unread(const Graph& graph);
  std::uint32_t judge_output(const Graph& graph, std::uint32_t n);
  void report(const Rule& rule, const Graph& graph, const Node& node, std::string what,
              Severity severity, std::string_view techniques);

  std::uint64_t at(std::uint64_t offset) const { return origins_ == Origins::wire ? offset : 0; }
  void examine(std::string_view name, const ProtoField& field);

  ProtoInput& input_;
  Session& session_;
  Origins origins_;
  Model model_;
  bool model_full_ = false;
  ProtoFailure failure_ = ProtoFailure::none;
  std::uint64_t failed_at_ = 0;
  std::set<std::string, std::less<>> reported_; ///< what is said once an object
  std::uint64_t nodes_ = 0;
};

} // namespace hubgate::tensorflow

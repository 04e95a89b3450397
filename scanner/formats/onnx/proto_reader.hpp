#pragma once
// Walks ModelProto, TensorProto and what is inside of them (onnx/onnx.proto, IR version 13), field
// by field: facts go to the judge, reduced nodes to the flow. Weights are ranges that are stepped
// over.
#include "scanner/core/protobuf.hpp"
#include "scanner/formats/onnx/model.hpp"

namespace hubgate::onnx {

/// What a message is, by its fields and their wire types alone.
enum class Kind { none, model, tensor, sequence };

/// Looks at the fields in [begin, end), at most some hundreds of them. `whole`: the range ends
/// where the message does; otherwise it may be cut anywhere.
Kind recognise(ProtoInput& input, std::uint64_t end, bool whole);

class ProtoWalker {
public:
  ProtoWalker(Source& source, ProtoInput& input, Session& session, Judge& judge, Flow& flow)
      : source_(source), input_(input), session_(session), judge_(judge), flow_(flow) {}

  /// Each returns false when the bytes can't be read to the end of the message; a gap was reported.
  bool model(std::uint64_t end);
  bool tensor_file(std::uint64_t end);
  bool sequence_file(std::uint64_t end);

private:
  bool graph(ProtoReader in, GraphRecord& out, unsigned level);
  bool node(ProtoReader in, GraphRecord& graph, unsigned level);
  bool attribute(ProtoReader in, Node& node, NodeRecord& record, unsigned level);
  bool tensor(ProtoReader in, std::uint64_t offset, Tensor& out);
  bool sparse_tensor(ProtoReader in, GraphRecord* graph, unsigned level);
  bool function(ProtoReader in, unsigned level);
  bool training(ProtoReader in, unsigned level);
  bool entry(ProtoReader in, std::string& key, std::string& value, std::uint64_t& value_at);
  bool metadata(const ProtoReader& in, const ProtoField& field, std::string_view owner);
  bool name_of(ProtoReader in, std::uint32_t number, std::string& out);
  void text(ProtoReader& in, const ProtoField& field, const std::string& name, bool element);
  void unknown(const ProtoField& field, std::string_view message);
  bool finished(const ProtoReader& in);
  bool in_time(std::uint64_t at);

  Source& source_;
  ProtoInput& input_;
  Session& session_;
  Judge& judge_;
  Flow& flow_;
  std::uint64_t steps_ = 0;
};

} // namespace hubgate::onnx

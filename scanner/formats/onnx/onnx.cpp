// ONNX: ModelProto, and the TensorProto and SequenceProto files of its tests. A protobuf has no
// magic: its fields decide. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/formats/onnx/proto_reader.hpp"

#include <algorithm>

namespace hubgate {
namespace {

Claim probe(const Probe& probe) {
  if (probe.head.size() < 4) return Claim::no;
  MemorySource source(probe.head);
  ProtoInput input(source);
  const bool whole = probe.size_known && probe.size == probe.head.size();
  const std::uint64_t end = probe.size_known ? probe.size : ~std::uint64_t{0};
  if (onnx::recognise(input, end, whole) != onnx::Kind::none) return Claim::maybe;
  // A tensor's file begins with its shape, its type or its name.
  const std::uint8_t tag = probe.head[0];
  return tag == 0x08 || tag == 0x0a || tag == 0x10 ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  ProtoInput input(source);
  const std::uint64_t end = source.size().value_or(~std::uint64_t{0});
  onnx::Kind kind = onnx::recognise(input, end, true);
  if (kind == onnx::Kind::none) return Reading::none;
  onnx::Judge judge(source, session);
  onnx::Flow flow;
  onnx::ProtoWalker walker(source, input, session, judge, flow);
  const bool whole = kind == onnx::Kind::model    ? walker.model(end)
                     : kind == onnx::Kind::tensor ? walker.tensor_file(end)
                                                  : walker.sequence_file(end);
  judge.finish(flow);
  return whole ? Reading::valid : Reading::broken;
}

} // namespace

extern const Format format_onnx;
const Format format_onnx{.name = "onnx",
                         .family = "onnx",
                         .probe = probe,
                         .scan = scan,
                         .rules = onnx::rules(),
                         .data_version = "1"};

} // namespace hubgate

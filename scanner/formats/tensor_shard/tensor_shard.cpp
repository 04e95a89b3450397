// A data shard of a TensorFlow 2 checkpoint: tensors one behind the other, the last of which is the
// object graph (trackable_object_graph.proto). Nothing else tells it from noise. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/protobuf.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/tensor_sample.hpp"

#include <algorithm>
#include <vector>

namespace hubgate {
namespace {

constexpr std::string_view k_attribute = "/.ATTRIBUTES/";
constexpr std::uint64_t k_max_graph = std::uint64_t{16} << 20;
constexpr std::uint64_t k_crc = 4; ///< of the lengths, between them and the text

// Of [at, …): the length that a string tensor of one element begins with, when it ends with the
// file.
bool ends_with_file(Bytes bytes, std::size_t at, std::size_t& content) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 5 && at + i < bytes.size(); ++i) {
    length |= std::uint64_t{bytes[at + i] & 0x7fU} << (7 * i);
    if (bytes[at + i] >= 0x80) continue;
    content = at + i + 1 + k_crc;
    return content < bytes.size() && length == bytes.size() - content && bytes[content] == 0x0a;
  }
  return false;
}

// TrackableObjectGraph: 1 nodes {1 children, 2 attributes {1 name, 3 checkpoint_key}, …}.
bool is_object_graph(Bytes bytes) {
  MemorySource source(bytes);
  ProtoInput input(source);
  ProtoReader reader(input, 0, bytes.size());
  ProtoField field;
  std::uint64_t keys = 0;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) return false;
    ProtoReader node = reader.inside(field);
    ProtoField part;
    while (node.next(part)) {
      if (part.number > 5 || part.wire != ProtoWire::bytes) return false;
      if (part.number != 2) continue;
      ProtoReader attribute = node.inside(part);
      ProtoField value;
      while (attribute.next(value))
        if (value.is_bytes(3) && attribute.text(value, 4096).find(k_attribute) != std::string::npos)
          ++keys;
      if (attribute.failure() != ProtoFailure::none) return false;
    }
    if (node.failure() != ProtoFailure::none) return false;
  }
  return reader.failure() == ProtoFailure::none && keys > 0;
}

Claim probe(const Probe& probe) {
  return holds(as_text(probe.tail), k_attribute) ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  const std::uint64_t begin = size - std::min(size, k_max_graph);
  std::vector<std::uint8_t> tail;
  tail.reserve(static_cast<std::size_t>(size - begin));
  while (tail.size() < size - begin) {
    const Bytes piece = source.view(
        begin + tail.size(),
        static_cast<std::size_t>(std::min<std::uint64_t>(size - begin - tail.size(), 1 << 20)));
    if (piece.empty()) return Reading::none;
    tail.insert(tail.end(), piece.begin(), piece.end());
  }
  for (std::size_t at = 0; at < tail.size(); ++at) {
    std::size_t content = 0;
    if (!ends_with_file(tail, at, content) || !is_object_graph(Bytes(tail).subspan(content)))
      continue;
    // The tensors are numbers; what hides among them is found by its structure.
    if (begin + at > 0) {
      sample_tensor(source, session, 0, begin + at, Element::float32, "tensors");
      SubSource tensors(source, 0, begin + at);
      session.embedded("tensors", tensors);
    }
    return Reading::valid;
  }
  return Reading::none;
}

} // namespace

extern const Format format_tensor_shard;
const Format format_tensor_shard{"tensor_shard", "tensor_shard", probe, scan, {}};

} // namespace hubgate

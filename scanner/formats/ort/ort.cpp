// ONNX Runtime's own format (onnxruntime/core/flatbuffers/schema/ort.fbs): the same model as a
// flatbuffer, judged by the same rules. See README.md.
#include "scanner/core/flatbuffer.hpp"
#include "scanner/core/format.hpp"
#include "scanner/formats/onnx/model.hpp"

#include <algorithm>

namespace hubgate {
namespace {

using onnx::Constant;
using onnx::GraphRecord;
using onnx::NodeRecord;
using onnx::value_id;

constexpr std::string_view k_identifier = "ORTM";
constexpr unsigned k_max_level = 32;
constexpr std::size_t k_max_name = 4096;
constexpr std::uint32_t k_small_values = 16;

// Field numbers of ort.fbs.
namespace session_fields {
constexpr std::uint16_t k_model = 1;
}
namespace model_fields {
constexpr std::uint16_t k_doc = 6, k_graph = 7, k_graph_doc = 8, k_metadata = 9;
}
namespace graph_fields {
constexpr std::uint16_t k_initializers = 0, k_nodes = 2, k_inputs = 5, k_outputs = 6, k_sparse = 7;
}
namespace node_fields {
constexpr std::uint16_t k_name = 0, k_doc = 1, k_domain = 2, k_op = 5, k_inputs = 8, k_outputs = 9,
                        k_attributes = 10;
}
namespace attribute_fields {
constexpr std::uint16_t k_name = 0, k_doc = 1, k_i = 4, k_s = 5, k_t = 6, k_g = 7, k_ints = 9,
                        k_strings = 10, k_tensors = 11, k_graphs = 12;
}
namespace tensor_fields {
constexpr std::uint16_t k_name = 0, k_doc = 1, k_dims = 2, k_type = 3, k_raw = 4, k_strings = 5,
                        k_external = 6;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), buffer_size_(source.wait_end()),
        buffer_(source, 0, buffer_size_), judge_(source, session) {}
  Reading run();

private:
  bool graph(const FlatTable& table, GraphRecord& out, unsigned level);
  bool node(const FlatTable& table, GraphRecord& out, unsigned level);
  bool attribute(const FlatTable& table, onnx::Node& node, NodeRecord& record, unsigned level);
  void tensor(const FlatTable& table, onnx::Tensor& out);
  void text(const FlatTable& table, std::uint16_t id, const std::string& name);
  void names(const FlatTable& table, std::uint16_t id, std::vector<onnx::ValueId>& out);
  std::string name(const FlatTable& table, std::uint16_t id) {
    return buffer_.string(table, id, k_max_name).value_or("");
  }
  bool in_time() {
    if (++steps_ % 1024 != 0 || session_.budget().time_left()) return true;
    session_.gap(Reason::budget, Reach::load, 0, "out of time");
    return false;
  }

  Source& source_;
  Session& session_;
  std::uint64_t buffer_size_;
  Flatbuffer buffer_;
  onnx::Judge judge_;
  onnx::Flow flow_;
  std::uint64_t steps_ = 0;
};

void Scan::text(const FlatTable& table, std::uint16_t id, const std::string& name) {
  const auto place = buffer_.vector(table, id, 1);
  if (!place) return;
  if (place->count > onnx::k_max_text)
    judge_.long_text(name, buffer_.offset(place->at), place->count);
  else if (const auto value = buffer_.string(table, id, onnx::k_max_text))
    judge_.text(name, *value, buffer_.offset(place->at), false);
}

void Scan::names(const FlatTable& table, std::uint16_t id, std::vector<onnx::ValueId>& out) {
  const auto list = buffer_.vector(table, id, 4);
  for (std::uint32_t i = 0; list && i < list->count; ++i) {
    const auto name = buffer_.string_at(*list, i, k_max_name);
    if (!name) return;
    out.push_back(value_id(*name));
  }
}

void Scan::tensor(const FlatTable& table, onnx::Tensor& out) {
  namespace f = tensor_fields;
  out.offset = buffer_.offset(table.at);
  out.name = name(table, f::k_name);
  out.type = buffer_.number<std::int32_t>(table, f::k_type, 0);
  text(table, f::k_doc, "doc_string");
  if (const auto dims = buffer_.vector(table, f::k_dims, 8))
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(dims->count, 4096); ++i)
      out.dims.push_back(buffer_.number_at<std::int64_t>(*dims, i).value_or(-1));
  if (const auto raw = buffer_.vector(table, f::k_raw, 1)) {
    out.raw_bytes = raw->count;
    out.raw_begin = buffer_.offset(raw->at);
    if (out.type == 7 && raw->count <= k_small_values * 8)
      for (std::uint32_t i = 0; i + 8 <= raw->count; i += 8)
        out.values.push_back(buffer_.load<std::int64_t>(raw->at + i).value_or(0));
  }
  if (const auto strings = buffer_.vector(table, f::k_strings, 4)) {
    out.typed_fields = 1;
    out.typed_elements = strings->count;
    for (std::uint32_t i = 0; i < strings->count && in_time(); ++i) {
      const auto value = buffer_.string_at(*strings, i, onnx::k_max_text);
      if (!value) break;
      judge_.text("tensor " + out.name, *value, buffer_.offset(strings->at), true);
    }
  }
  // Its bytes are in a file that the caller of the runtime chooses.
  if (buffer_.number<std::int64_t>(table, f::k_external, -1) >= 0) return;
  judge_.tensor(out);
}

bool Scan::attribute(const FlatTable& table, onnx::Node& node, NodeRecord& record, unsigned level) {
  namespace f = attribute_fields;
  onnx::Attribute item;
  item.offset = buffer_.offset(table.at);
  item.name = name(table, f::k_name);
  item.has_i = buffer_.has(table, f::k_i);
  item.i = buffer_.number<std::int64_t>(table, f::k_i, 0);
  text(table, f::k_doc, "doc_string");
  if (const auto place = buffer_.vector(table, f::k_s, 1)) {
    item.s = name(table, f::k_s);
    item.s_begin = buffer_.offset(place->at);
    item.s_size = place->count;
    if (item.name != "ep_cache_context") text(table, f::k_s, node.op + "." + item.name);
  }
  if (const auto value = buffer_.table(table, f::k_t)) {
    onnx::Tensor constant;
    tensor(*value, constant);
    record.constant = Constant{constant.elements().value_or(1), constant.values};
  }
  if (const auto list = buffer_.vector(table, f::k_tensors, 4))
    for (std::uint32_t i = 0; i < list->count && in_time(); ++i) {
      const auto value = buffer_.table_at(*list, i);
      if (!value) return false;
      onnx::Tensor ignored;
      tensor(*value, ignored);
    }
  if (const auto ints = buffer_.vector(table, f::k_ints, 8);
      ints && ints->count <= k_small_values &&
      (item.name == "value_ints" || item.name == "shape")) {
    Constant constant{ints->count, {}};
    for (std::uint32_t i = 0; i < ints->count; ++i)
      constant.values.push_back(buffer_.number_at<std::int64_t>(*ints, i).value_or(0));
    record.constant = std::move(constant);
  }
  if (const auto strings = buffer_.vector(table, f::k_strings, 4))
    for (std::uint32_t i = 0; i < strings->count && in_time(); ++i) {
      const auto value = buffer_.string_at(*strings, i, onnx::k_max_text);
      if (!value) return false;
      judge_.text(item.name, *value, buffer_.offset(strings->at), true);
    }
  std::vector<FlatTable> graphs;
  if (const auto one = buffer_.table(table, f::k_g)) graphs.push_back(*one);
  if (const auto list = buffer_.vector(table, f::k_graphs, 4))
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(list->count, 4096); ++i)
      if (const auto one = buffer_.table_at(*list, i)) graphs.push_back(*one);
  for (const FlatTable& one: graphs) {
    auto inner = std::make_unique<GraphRecord>();
    if (!graph(one, *inner, level + 1)) return false;
    record.graphs.push_back(std::move(inner));
  }
  if (node.attributes.size() < 64) node.attributes.push_back(std::move(item));
  return buffer_.failure() == FlatFailure::none;
}

bool Scan::node(const FlatTable& table, GraphRecord& out, unsigned level) {
  namespace f = node_fields;
  onnx::Node node;
  NodeRecord record;
  node.offset = buffer_.offset(table.at);
  node.name = name(table, f::k_name);
  node.op = name(table, f::k_op);
  node.domain = name(table, f::k_domain);
  text(table, f::k_doc, "doc_string");
  names(table, f::k_inputs, record.inputs);
  names(table, f::k_outputs, record.outputs);
  if (const auto list = buffer_.vector(table, f::k_attributes, 4))
    for (std::uint32_t i = 0; i < list->count; ++i) {
      const auto one = buffer_.table_at(*list, i);
      if (!one || !in_time() || !attribute(*one, node, record, level)) return false;
    }
  judge_.node(node);
  record.op = node.op;
  record.domain = node.domain == "ai.onnx" ? "" : node.domain;
  record.name = node.name.substr(0, 100);
  record.offset = node.offset;
  out.nodes.push_back(std::move(record));
  return buffer_.failure() == FlatFailure::none;
}

bool Scan::graph(const FlatTable& table, GraphRecord& out, unsigned level) {
  namespace f = graph_fields;
  if (level > k_max_level) {
    session_.gap(Reason::budget, Reach::load, buffer_.offset(table.at), "graphs nest too deep");
    return false;
  }
  if (const auto list = buffer_.vector(table, f::k_initializers, 4))
    for (std::uint32_t i = 0; i < list->count; ++i) {
      const auto one = buffer_.table_at(*list, i);
      if (!one || !in_time()) return false;
      onnx::Tensor value;
      tensor(*one, value);
      out.constants[value_id(value.name)] = {value.elements().value_or(1), value.values};
    }
  if (const auto list = buffer_.vector(table, f::k_sparse, 4))
    for (std::uint32_t i = 0; i < list->count; ++i) {
      const auto one = buffer_.table_at(*list, i);
      if (!one || !in_time()) return false;
      for (const std::uint16_t part: {std::uint16_t{0}, std::uint16_t{1}})
        if (const auto values = buffer_.table(*one, part)) {
          onnx::Tensor value;
          tensor(*values, value);
        }
    }
  names(table, f::k_inputs, out.inputs);
  names(table, f::k_outputs, out.outputs);
  if (const auto list = buffer_.vector(table, f::k_nodes, 4))
    for (std::uint32_t i = 0; i < list->count; ++i) {
      const auto one = buffer_.table_at(*list, i);
      if (!one || !in_time() || !node(*one, out, level)) return false;
    }
  return buffer_.failure() == FlatFailure::none;
}

Reading Scan::run() {
  namespace f = model_fields;
  const auto root = buffer_.root();
  const auto model = root ? buffer_.table(*root, session_fields::k_model) : std::nullopt;
  bool whole = model.has_value();
  if (model) {
    text(*model, f::k_doc, "doc_string");
    text(*model, f::k_graph_doc, "doc_string");
    if (const auto list = buffer_.vector(*model, f::k_metadata, 4))
      for (std::uint32_t i = 0; i < list->count && in_time(); ++i)
        if (const auto entry = buffer_.table_at(*list, i)) text(*entry, 1, name(*entry, 0));
    if (const auto table = buffer_.table(*model, f::k_graph)) {
      GraphRecord record;
      whole = graph(*table, record, 0);
      flow_.graphs.push_back(std::move(record));
    }
  }
  judge_.finish(flow_);
  if (whole && buffer_.failure() == FlatFailure::none) {
    // Tables that nothing above asks for (kernels' types), or whatever else stands behind.
    if (const std::uint64_t at = buffer_.reached(); at < buffer_size_) {
      SubSource rest(source_, at, buffer_size_ - at);
      session_.embedded("behind the graph", rest);
    }
    return Reading::valid;
  }
  session_.gap(buffer_.failure() == FlatFailure::limit   ? Reason::budget
               : buffer_.failure() == FlatFailure::ended ? Reason::truncated
                                                         : Reason::malformed,
               Reach::load, buffer_.offset(buffer_.failed_at()),
               "an offset of the flatbuffer leads nowhere");
  return Reading::broken;
}

Claim probe(const Probe& probe) {
  return probe.head.size() >= 8 && starts_with(probe.head.subspan(4), k_identifier) ? Claim::yes
                                                                                    : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_ort;
const Format format_ort{
    .name = "ort", .family = "ort", .probe = probe, .scan = scan, .rules = onnx::rules()};

} // namespace hubgate

// GraphDef and what is in it: NodeDef, AttrValue, TensorProto, FunctionDefLibrary
// (tensorflow/core/framework/*.proto). Field numbers as in those files.
#include "scanner/formats/tensorflow/scan.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>

namespace hubgate::tensorflow {
namespace {

constexpr std::size_t k_max_name = 4096;
constexpr std::size_t k_max_text = 4096;
constexpr std::uint64_t k_script_length = 32;  ///< shorter strings hold no code
constexpr std::uint64_t k_examined = 64;       ///< shorter values hold no file
constexpr std::uint64_t k_max_value = 1 << 16; ///< longer strings are scanned as streams
constexpr std::uint64_t k_unknown_number = 64; ///< no message has such field numbers

// Bit n: field n exists.
constexpr std::uint64_t bits(std::initializer_list<int> fields) {
  std::uint64_t out = 0;
  for (const int field: fields)
    out |= std::uint64_t{1} << field;
  return out;
}
constexpr std::uint64_t k_fields[] = {
    bits({1, 2}),                                                          // saved_model
    bits({1, 2, 3, 4, 5, 6, 7}),                                           // meta_graph
    bits({1, 2, 3, 4, 5, 6, 7, 8}),                                        // meta_info
    bits({1, 2, 3, 4, 5}),                                                 // graph
    bits({1, 2, 3}),                                                       // library
    bits({1, 2, 3, 4, 5, 6, 7, 8}),                                        // function
    bits({1, 2, 3, 4, 5, 6, 7}),                                           // node
    bits({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}),                                 // attribute
    bits({2, 3, 4, 5, 6, 7, 8, 9}),                                        // list
    bits({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}), // tensor
    bits({1, 2}),                                                          // name_attributes
    bits({1, 2, 3, 4, 5}),                                                 // collection
    bits({1, 2, 3, 4}),                                                    // signature
    bits({1, 2, 3, 4, 5}),                                                 // tensor_info
    bits({1, 2}),                                                          // asset
    bits({1, 2, 3, 4, 5, 6, 7}),                                           // saver
};
constexpr std::string_view k_names[] = {
    "SavedModel",         "MetaGraphDef", "MetaInfoDef",  "GraphDef",
    "FunctionDefLibrary", "FunctionDef",  "NodeDef",      "AttrValue",
    "ListValue",          "TensorProto",  "NameAttrList", "CollectionDef",
    "SignatureDef",       "TensorInfo",   "AssetFileDef", "SaverDef",
};

bool is_path_attribute(std::string_view key) {
  return key == "output_stream" || key == "debug_urls" || key == "log_dir_path" ||
         key == "output_file_path" || key == "memory_region_name" || key == "vocab_file" ||
         key == "filename" || key == "descriptor_source" || key == "file_pattern" ||
         key == "target_name" || key == "call_target_name";
}

} // namespace

void Scan::note(const ProtoReader& reader) {
  if (failure_ != ProtoFailure::none || reader.failure() == ProtoFailure::none) return;
  failure_ = reader.failure();
  failed_at_ = reader.position();
}

// What TensorFlow would not look at is where something can be parked.
void Scan::unexpected(ProtoReader& reader, const ProtoField& field, Message message) {
  const std::string_view name = k_names[static_cast<std::size_t>(message)];
  const std::string what = std::string(name) + " has a field " + std::to_string(field.number) +
                           (field.wire == ProtoWire::group ? " that is a group" : "") + ", " +
                           std::to_string(field.size()) + " bytes";
  const bool odd = field.wire == ProtoWire::group || field.number >= k_unknown_number;
  if (reported_.insert("field" + std::string(name) + std::to_string(field.number)).second)
    session_.find(k_odd_field, at(field.offset), field.end - field.offset,
                  what + ": " + reader.text(field, 64),
                  {.severity = odd ? Severity::suspicious : Severity::informational});
  if (field.wire == ProtoWire::bytes || field.wire == ProtoWire::group)
    examine("field " + std::to_string(field.number), field);
}

// True for a field that the message has, in a form that it may have.
bool Scan::known(ProtoReader& reader, const ProtoField& field, Message message) {
  if (field.number < 64 && field.wire != ProtoWire::group &&
      (k_fields[static_cast<std::size_t>(message)] >> field.number & 1) != 0)
    return true;
  unexpected(reader, field, message);
  return false;
}

void Scan::examine(std::string_view name, const ProtoField& field) {
  if (field.size() < k_examined) return;
  SubSource value(input_.source(), field.begin, field.size());
  session_.embedded(name, value);
}

void Scan::graph(ProtoReader reader) {
  ProtoField field;
  while (failure_ != ProtoFailure::limit && reader.next(field)) {
    if (!known(reader, field, Message::graph) || field.wire != ProtoWire::bytes) continue;
    if (field.number == 1) node(reader.inside(field), model_.graphs[0], field.offset);
    if (field.number == 2) library(reader.inside(field));
  }
  note(reader);
}

void Scan::library(ProtoReader reader) {
  ProtoField field;
  while (reader.next(field))
    if (known(reader, field, Message::library) && field.is_bytes(1)) function(reader.inside(field));
  note(reader);
}

// FunctionDef: 1 signature (OpDef), 3 node_def, 5 attr.
void Scan::function(ProtoReader reader) {
  model_.graphs.emplace_back();
  Graph& graph = model_.graphs.back();
  ProtoField field;
  while (reader.next(field)) {
    if (!known(reader, field, Message::function) || field.wire != ProtoWire::bytes) continue;
    if (field.number == 1) signature_arguments(reader.inside(field), graph);
    if (field.number == 3) node(reader.inside(field), graph, field.offset);
  }
  note(reader);
}

// OpDef: 1 name, 2 input_arg {1 name}.
void Scan::signature_arguments(ProtoReader reader, Graph& graph) {
  ProtoField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) graph.function = reader.text(field, k_max_name);
    if (!field.is_bytes(2)) continue;
    ProtoReader argument = reader.inside(field);
    ProtoField part;
    while (argument.next(part))
      if (part.is_bytes(1) && graph.arguments.size() < 65536)
        graph.arguments.push_back(argument.text(part, k_max_name));
    note(argument);
  }
  note(reader);
}

// NodeDef: 1 name, 2 op, 3 input, 5 attr. A parser keeps the last of a field that stands twice; a
// careless scanner looks at the first. Both are judged.
void Scan::node(ProtoReader reader, Graph& graph, std::uint64_t offset) {
  Node node;
  node.offset = offset;
  bool named = false;
  std::vector<std::string> earlier;
  ProtoField field;
  while (reader.next(field)) {
    if (!known(reader, field, Message::node) || field.wire != ProtoWire::bytes) continue;
    switch (field.number) {
    case 1:
      if (named)
        session_.find(k_duplicate, at(field.offset), 0,
                      "a NodeDef names itself twice: " + node.name);
      named = true;
      node.name = reader.text(field, k_max_name);
      break;
    case 2:
      if (!node.op.empty()) earlier.push_back(node.op);
      node.op = reader.text(field, k_max_name);
      break;
    case 3:
      if (node.inputs.size() < 65536) node.inputs.push_back(reader.text(field, k_max_name));
      break;
    case 5:
      attribute(reader.inside(field), node);
      break;
    default:
      break;
    }
  }
  note(reader);
  if (++nodes_ % 4096 == 0 && !session_.budget().time_left()) {
    failure_ = failure_ == ProtoFailure::none ? ProtoFailure::limit : failure_;
    return;
  }
  for (const auto& op: earlier) {
    session_.find(k_duplicate, at(offset), 0,
                  "the operator of node " + node.name + " is both " + op + " and " + node.op);
    Node other = node;
    other.op = op;
    if (model_.charge(other)) graph.nodes.push_back(std::move(other));
  }
  if (model_.charge(node)) {
    graph.nodes.push_back(std::move(node));
    return;
  }
  // No room to follow edges: the operator is judged by itself.
  model_full_ = true;
  judge_node(0, node);
}

// map<string, AttrValue>: 1 key, 2 value.
void Scan::attribute(ProtoReader entry, Node& node) {
  std::string key;
  ProtoField field;
  std::vector<ProtoField> values;
  while (entry.next(field)) {
    if (field.is_bytes(1)) key = entry.text(field, k_max_name);
    if (field.is_bytes(2) && values.size() < 16) values.push_back(field);
  }
  note(entry);
  for (const auto& value: values)
    attribute_value(entry.inside(value), key, node);
}

// AttrValue: 1 list, 2 s, 8 tensor, 10 func. ListValue: 2 s, 8 tensor, 9 func.
void Scan::attribute_value(ProtoReader reader, std::string_view key, Node& node) {
  ProtoField field;
  while (reader.next(field)) {
    if (!known(reader, field, Message::attribute) || field.wire != ProtoWire::bytes) continue;
    if (field.number == 2) bytes_value(reader, field, key, node);
    if (field.number == 8) tensor(reader.inside(field), node);
    if (field.number == 10) name_attributes(reader.inside(field), node);
    if (field.number != 1) continue;
    ProtoReader list = reader.inside(field);
    ProtoField item;
    while (list.next(item)) {
      if (!known(list, item, Message::list) || item.wire != ProtoWire::bytes) continue;
      if (item.number == 2) bytes_value(list, item, key, node);
      if (item.number == 8) tensor(list.inside(item), node);
      if (item.number == 9) name_attributes(list.inside(item), node);
    }
    note(list);
  }
  note(reader);
}

// A string or bytes attribute. Serialized engines, vocabularies and programs come this way.
void Scan::bytes_value(ProtoReader& reader, const ProtoField& field, std::string_view key,
                       Node& node) {
  if (is_path_attribute(key) && node.texts.size() < 256)
    node.texts.emplace_back(std::string(key), reader.text(field, k_max_text));
  if (key == "config_proto") return;
  if (key == "module") {
    // StableHLO that jax2tf wrote: a call back into Python has one of these targets.
    const std::string program = reader.text(field, std::size_t{1} << 20);
    for (const std::string_view target: {"xla_python_cpu_callback", "xla_ffi_python_cpu_callback",
                                         "xla_python_gpu_callback", "xla_ffi_python_gpu_callback"})
      if (program.find(target) != std::string::npos)
        node.texts.emplace_back("module", std::string(target));
  }
  examine(std::string(key), field);
}

// NameAttrList: 1 name, 2 attr.
void Scan::name_attributes(ProtoReader reader, Node& node) {
  ProtoField field;
  while (reader.next(field)) {
    if (!known(reader, field, Message::name_attributes)) continue;
    if (field.is_bytes(1) && node.functions.size() < 4096)
      node.functions.push_back(reader.text(field, k_max_name));
    if (field.is_bytes(2)) attribute(reader.inside(field), node);
  }
  note(reader);
}

// TensorProto: 1 dtype, 2 tensor_shape {2 dim {1 size}}, 4 tensor_content, 8 string_val.
void Scan::tensor(ProtoReader reader, Node& node) {
  std::uint64_t type = 0;
  std::uint64_t elements = 1;
  std::vector<ProtoField> contents;
  ProtoField field;
  while (reader.next(field)) {
    if (!known(reader, field, Message::tensor)) continue;
    if (field.is(1, ProtoWire::varint)) type = field.value;
    if (field.is_bytes(2)) {
      ProtoReader shape = reader.inside(field);
      ProtoField dim;
      while (shape.next(dim)) {
        if (!dim.is_bytes(2)) continue;
        ProtoReader size = shape.inside(dim);
        ProtoField value;
        std::uint64_t length = 0; // zero is not written
        while (size.next(value))
          if (value.is(1, ProtoWire::varint)) length = value.value;
        if (__builtin_mul_overflow(elements, length, &elements)) elements = ~std::uint64_t{0};
        note(size);
      }
      note(shape);
    }
    if (field.is_bytes(4) && contents.size() < 16) contents.push_back(field);
    if (!field.is_bytes(8)) continue;
    if (!node.constant) node.constant = reader.text(field, k_max_text);
    if (field.size() < k_script_length) continue;
    if (field.size() > k_max_value)
      examine("string of " + node.name, field);
    else
      scan_text_value(session_, "string of " + node.name,
                      reader.text(field, static_cast<std::size_t>(k_max_value)), at(field.begin));
  }
  note(reader);
  // Bytes, 8-bit integers and strings can be a file; a float is a float.
  for (const auto& content: contents)
    if (type == 4 || type == 6 || type == 7) examine("tensor of " + node.name, content);
  node.elements = elements;
}

} // namespace hubgate::tensorflow

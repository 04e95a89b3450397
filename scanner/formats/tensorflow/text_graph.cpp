#include "scanner/formats/tensorflow/text_graph.hpp"

#include <array>
#include <cstdlib>
#include <vector>

namespace hubgate::tensorflow {
namespace {

enum class M : std::uint8_t {
  none, // a number, word or string
  skip, // a message that is read over
  saved_model,
  meta_graph,
  graph,
  library,
  function,
  op_def,
  argument,
  node,
  attribute_entry,
  attribute,
  list,
  name_attributes,
  tensor,
  shape,
  dim,
  collection_entry,
  collection,
  strings,
  signature_entry,
  signature,
  info_entry,
  info,
  asset,
  saver,
  object_graph,
  object,
  child,
  user_object,
  saved_function,
  bare_function,
};

struct Field {
  M in;
  std::string_view name;
  std::uint32_t number;
  M child;
};

// clang-format off
constexpr std::array<Field, 69> k_schema{{
    {M::saved_model, "saved_model_schema_version", 1, M::none},
    {M::saved_model, "meta_graphs", 2, M::meta_graph},
    {M::meta_graph, "meta_info_def", 1, M::skip},
    {M::meta_graph, "graph_def", 2, M::graph},
    {M::meta_graph, "saver_def", 3, M::saver},
    {M::meta_graph, "collection_def", 4, M::collection_entry},
    {M::meta_graph, "signature_def", 5, M::signature_entry},
    {M::meta_graph, "asset_file_def", 6, M::asset},
    {M::meta_graph, "object_graph_def", 7, M::object_graph},
    {M::graph, "node", 1, M::node},
    {M::graph, "library", 2, M::library},
    {M::graph, "version", 3, M::none},
    {M::graph, "versions", 4, M::skip},
    {M::library, "function", 1, M::function},
    {M::library, "gradient", 2, M::skip},
    {M::function, "signature", 1, M::op_def},
    {M::function, "node_def", 3, M::node},
    {M::op_def, "name", 1, M::none},
    {M::op_def, "input_arg", 2, M::argument},
    {M::argument, "name", 1, M::none},
    {M::node, "name", 1, M::none},
    {M::node, "op", 2, M::none},
    {M::node, "input", 3, M::none},
    {M::node, "device", 4, M::none},
    {M::node, "attr", 5, M::attribute_entry},
    {M::attribute_entry, "key", 1, M::none},
    {M::attribute_entry, "value", 2, M::attribute},
    {M::attribute, "list", 1, M::list},
    {M::attribute, "s", 2, M::none},
    {M::attribute, "tensor", 8, M::tensor},
    {M::attribute, "func", 10, M::name_attributes},
    {M::list, "s", 2, M::none},
    {M::list, "tensor", 8, M::tensor},
    {M::list, "func", 9, M::name_attributes},
    {M::name_attributes, "name", 1, M::none},
    {M::name_attributes, "attr", 2, M::attribute_entry},
    {M::tensor, "dtype", 1, M::none},
    {M::tensor, "tensor_shape", 2, M::shape},
    {M::tensor, "tensor_content", 4, M::none},
    {M::tensor, "string_val", 8, M::none},
    {M::shape, "dim", 2, M::dim},
    {M::dim, "size", 1, M::none},
    {M::collection_entry, "key", 1, M::none},
    {M::collection_entry, "value", 2, M::collection},
    {M::collection, "node_list", 1, M::strings},
    {M::collection, "bytes_list", 2, M::strings},
    {M::strings, "value", 1, M::none},
    {M::signature_entry, "key", 1, M::none},
    {M::signature_entry, "value", 2, M::signature},
    {M::signature, "inputs", 1, M::info_entry},
    {M::signature, "outputs", 2, M::info_entry},
    {M::info_entry, "key", 1, M::none},
    {M::info_entry, "value", 2, M::info},
    {M::info, "name", 1, M::none},
    {M::asset, "tensor_info", 1, M::info},
    {M::asset, "filename", 2, M::none},
    {M::saver, "restore_op_name", 3, M::none},
    {M::object_graph, "nodes", 1, M::object},
    {M::object, "children", 1, M::child},
    {M::object, "user_object", 4, M::user_object},
    {M::object, "function", 6, M::saved_function},
    {M::object, "bare_concrete_function", 8, M::bare_function},
    {M::child, "node_id", 1, M::none},
    {M::child, "local_name", 2, M::none},
    {M::user_object, "identifier", 1, M::none},
    {M::user_object, "metadata", 3, M::none},
    {M::saved_function, "concrete_functions", 1, M::none},
    {M::bare_function, "concrete_function_name", 1, M::none},
    {M::saver, "filename_tensor_name", 1, M::none},
}};
// clang-format on

const Field* field_of(M in, std::string_view name) {
  for (const Field& field: k_schema)
    if (field.in == in && field.name == name) return &field;
  return nullptr;
}

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_bytes(std::string& out, std::uint32_t number, std::string_view bytes) {
  put_varint(out, std::uint64_t{number} << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}

// Numbers, booleans and the data types that matter.
std::uint64_t value_of(const std::string& word) {
  if (word == "true" || word == "t") return 1;
  if (word == "DT_UINT8") return 4;
  if (word == "DT_INT8") return 6;
  if (word == "DT_STRING") return 7;
  return static_cast<std::uint64_t>(std::strtoll(word.c_str(), nullptr, 0));
}

struct Open {
  M message;
  std::uint32_t number;
  std::string wire;
};

} // namespace

bool root_of(std::string_view field, Root& root) {
  if (field_of(M::saved_model, field) != nullptr)
    root = Root::saved_model;
  else if (field_of(M::meta_graph, field) != nullptr)
    root = Root::meta_graph;
  else if (field_of(M::graph, field) != nullptr)
    root = Root::graph;
  else
    return false;
  return true;
}

Encoded encode(Source& source, std::uint64_t end, Root root, std::size_t max) {
  TextProtoReader reader(source, 0, end);
  std::vector<Open> open(1);
  open[0].message = root == Root::saved_model  ? M::saved_model
                    : root == Root::meta_graph ? M::meta_graph
                                               : M::graph;
  std::size_t total = 0;
  const auto close = [&] {
    Open done = std::move(open.back());
    open.pop_back();
    if (done.message != M::skip) put_bytes(open.back().wire, done.number, done.wire);
  };
  Encoded out;
  for (bool more = true; more;) {
    switch (reader.next()) {
    case TextProtoEvent::scalar: {
      const Field* field = field_of(open.back().message, reader.name());
      if (field == nullptr || field->child != M::none) break;
      total += reader.text().size() + 16;
      std::string& wire = open.back().wire;
      if (reader.quoted()) {
        put_bytes(wire, field->number, reader.text());
      } else {
        put_varint(wire, std::uint64_t{field->number} << 3);
        put_varint(wire, value_of(reader.text()));
      }
      break;
    }
    case TextProtoEvent::message_begin: {
      const Field* field = field_of(open.back().message, reader.name());
      const bool read = field != nullptr && field->child != M::none;
      open.push_back({read ? field->child : M::skip, read ? field->number : 0, {}});
      total += 16;
      break;
    }
    case TextProtoEvent::message_end:
      close();
      break;
    case TextProtoEvent::end:
    case TextProtoEvent::error:
      more = false;
      break;
    }
    if (total <= max) continue;
    out.failure = TextProtoFailure::limit;
    more = false;
  }
  if (out.failure == TextProtoFailure::none) out.failure = reader.failure();
  out.position = reader.position();
  while (open.size() > 1)
    close();
  out.wire = std::move(open[0].wire);
  return out;
}

} // namespace hubgate::tensorflow

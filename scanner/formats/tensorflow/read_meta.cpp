// SavedModel and MetaGraphDef (tensorflow/core/protobuf/*.proto): what runs at load, what a
// signature can reach, assets, and the object graph of TensorFlow 2.
#include "scanner/formats/tensorflow/scan.hpp"

#include <algorithm>
#include <map>

namespace hubgate::tensorflow {
namespace {

constexpr std::size_t k_max_name = 4096;
constexpr std::size_t k_max_listed = 65536;

bool is_initializer(std::string_view key) {
  return key == "saved_model_main_op" || key == "legacy_init_op" || key == "saved_model_init_op" ||
         key == "__saved_model_init_op" || key == "init_op" || key == "local_init_op" ||
         key == "ready_op" || key == "table_initializer" || key == "tables_initializer";
}

// A file name inside assets/: nothing that leads elsewhere.
bool leads_out(std::string_view name) {
  if (name.starts_with('/') || name.starts_with('\\') || name.starts_with('~')) return true;
  if (name.size() > 1 && name[1] == ':') return true;
  if (name.find("://") != std::string_view::npos) return true;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find_first_of("/\\", begin), name.size());
    if (name.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

} // namespace

// SavedModel: 1 saved_model_schema_version, 2 meta_graphs.
void Scan::saved_model(ProtoReader reader) {
  ProtoField field;
  while (reader.next(field))
    if (known(reader, field, Message::saved_model) && field.is_bytes(2))
      meta_graph(reader.inside(field));
  note(reader);
}

// MetaGraphDef: 1 meta_info_def, 2 graph_def, 3 saver_def, 4 collection_def, 5 signature_def,
// 6 asset_file_def, 7 object_graph_def.
void Scan::meta_graph(ProtoReader reader) {
  model_ = {};
  model_.graphs.emplace_back();
  ProtoField field;
  while (reader.next(field)) {
    if (!known(reader, field, Message::meta_graph) || field.wire != ProtoWire::bytes) continue;
    switch (field.number) {
    case 2:
      graph(reader.inside(field));
      break;
    case 3:
      saver(reader.inside(field));
      break;
    case 4:
      collection(reader.inside(field));
      break;
    case 5:
      signature(reader.inside(field));
      break;
    case 6:
      asset(reader.inside(field));
      break;
    case 7:
      object_graph(reader.inside(field));
      break;
    default:
      break;
    }
  }
  note(reader);
  finish_model();
}

void Scan::finish_model() {
  model_.index();
  judge();
}

// map<string, CollectionDef>: node_list and bytes_list hold repeated strings in their field 1.
void Scan::collection(ProtoReader entry) {
  std::string key;
  std::vector<ProtoField> values;
  ProtoField field;
  while (entry.next(field)) {
    if (field.is_bytes(1)) key = entry.text(field, k_max_name);
    if (field.is_bytes(2) && values.size() < 16) values.push_back(field);
  }
  note(entry);
  for (const auto& value: values) {
    ProtoReader def = entry.inside(value);
    while (def.next(field)) {
      if (!known(def, field, Message::collection) || field.wire != ProtoWire::bytes) continue;
      if (field.number != 1 && field.number != 2) continue;
      const bool nodes = field.number == 1;
      ProtoReader list = def.inside(field);
      ProtoField item;
      while (list.next(item)) {
        if (!item.is_bytes(1)) continue;
        if (nodes && is_initializer(key) && model_.load_nodes.size() < k_max_listed)
          model_.load_nodes.push_back(list.text(item, k_max_name));
        // Serialized protobufs of variables and queues, or whatever somebody put there.
        if (!nodes) examine("collection " + key, item);
      }
      note(list);
    }
    note(def);
  }
}

// TensorInfo: 1 name; 4 coo_sparse and 5 composite_tensor hold more of them.
std::string Scan::tensor_name(ProtoReader reader) {
  std::string out;
  ProtoField field;
  while (reader.next(field))
    if (known(reader, field, Message::tensor_info) && field.is_bytes(1))
      out = reader.text(field, k_max_name);
  note(reader);
  return out;
}

// map<string, SignatureDef>: 1 inputs, 2 outputs, both map<string, TensorInfo>.
void Scan::signature(ProtoReader entry) {
  std::string key;
  std::vector<ProtoField> values;
  ProtoField field;
  while (entry.next(field)) {
    if (field.is_bytes(1)) key = entry.text(field, k_max_name);
    if (field.is_bytes(2) && values.size() < 16) values.push_back(field);
  }
  note(entry);
  auto& nodes = is_initializer(key) ? model_.load_nodes : model_.signature_nodes;
  for (const auto& value: values) {
    ProtoReader def = entry.inside(value);
    while (def.next(field)) {
      if (!known(def, field, Message::signature) || !field.is_bytes(2)) continue;
      ProtoReader output = def.inside(field);
      ProtoField part;
      while (output.next(part))
        if (part.is_bytes(2) && nodes.size() < k_max_listed)
          nodes.push_back(tensor_name(output.inside(part)));
      note(output);
    }
    note(def);
  }
}

// AssetFileDef: 1 tensor_info, 2 filename (below assets/).
void Scan::asset(ProtoReader reader) {
  std::string file;
  std::string tensor;
  std::uint64_t offset = reader.position();
  ProtoField field;
  while (reader.next(field)) {
    if (!known(reader, field, Message::asset)) continue;
    if (field.is_bytes(1)) tensor = tensor_name(reader.inside(field));
    if (field.is_bytes(2)) {
      file = reader.text(field, k_max_name);
      offset = field.begin;
    }
  }
  note(reader);
  if (leads_out(file)) {
    session_.find(k_asset, at(offset), file.size(), "the asset file " + file);
    return;
  }
  if (!file.empty()) session_.refer("file", at(offset), "assets/" + file);
  if (model_.assets.size() < k_max_listed) model_.assets.emplace_back(node_of(tensor));
}

// SaverDef: 1 filename_tensor_name, 2 save_tensor_name, 3 restore_op_name. Restoring is loading.
void Scan::saver(ProtoReader reader) {
  ProtoField field;
  while (reader.next(field))
    if (known(reader, field, Message::saver) && field.is_bytes(3))
      model_.load_nodes.push_back(reader.text(field, k_max_name));
  note(reader);
}

// SavedObjectGraph: 1 nodes (SavedObject: 1 children {1 node_id, 2 local_name}, 4 user_object
// {1 identifier, 3 metadata}, 6 function {1 concrete_functions}, 8 bare_concrete_function
// {1 concrete_function_name}, 10 resource). tf.saved_model.load calls _create_resource and
// _initialize of every resource.
void Scan::object_graph(ProtoReader reader) {
  std::map<std::uint64_t, std::vector<std::string>> functions;
  std::vector<std::uint64_t> started;
  std::uint64_t id = 0;
  ProtoField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    ProtoReader object = reader.inside(field);
    ProtoField part;
    while (object.next(part)) {
      if (part.wire != ProtoWire::bytes) continue;
      ProtoReader inner = object.inside(part);
      ProtoField value;
      if (part.number == 1) {
        std::uint64_t child = 0;
        std::string local;
        while (inner.next(value)) {
          if (value.is(1, ProtoWire::varint)) child = value.value;
          if (value.is_bytes(2)) local = inner.text(value, 256);
        }
        if ((local == "_initialize" || local == "_create_resource" ||
             local == "_destroy_resource") &&
            started.size() < k_max_listed)
          started.push_back(child);
      } else if (part.number == 4) {
        // What Keras of TensorFlow 2.0 to 2.4 kept here, a layer's configuration, is read as such.
        while (inner.next(value))
          if (value.is_bytes(3))
            scan_keras_metadata(session_, input_.source(), value.begin, value.size(),
                                "metadata of object " + std::to_string(id));
      } else if (part.number == 6 || part.number == 8) {
        while (inner.next(value))
          if (value.is_bytes(1) && functions[id].size() < 256)
            functions[id].push_back(inner.text(value, k_max_name));
      }
      note(inner);
    }
    note(object);
    ++id;
  }
  note(reader);
  for (const std::uint64_t child: started)
    if (const auto at = functions.find(child); at != functions.end())
      model_.load_functions.insert(model_.load_functions.end(), at->second.begin(),
                                   at->second.end());
}

bool Scan::run(Shape shape, std::uint64_t end) {
  ProtoReader reader(input_, 0, end);
  if (shape == Shape::saved_model) {
    saved_model(reader);
  } else if (shape == Shape::meta_graph) {
    meta_graph(reader);
  } else {
    model_.graphs.emplace_back();
    graph(reader);
    finish_model();
  }
  if (failure_ == ProtoFailure::none) return true;
  const Reason reason = failure_ == ProtoFailure::truncated ? Reason::truncated
                        : failure_ == ProtoFailure::limit   ? Reason::budget
                                                            : Reason::malformed;
  session_.gap(reason, Reach::load, at(failed_at_),
               failure_ == ProtoFailure::limit ? "the messages are nested too deep, or too many"
                                               : "the protobuf can't be read to its end");
  return false;
}

} // namespace hubgate::tensorflow

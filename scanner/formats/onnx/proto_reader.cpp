#include "scanner/formats/onnx/proto_reader.hpp"

#include "scanner/core/reader.hpp"

#include <algorithm>

namespace hubgate::onnx {

namespace {

constexpr std::size_t k_max_name = 4096;
constexpr std::size_t k_max_ids = 100'000; ///< inputs or outputs of one node
constexpr std::size_t k_max_nodes = 4'000'000;
constexpr std::uint64_t k_count_limit = std::uint64_t{64} << 20; ///< bytes of packed numbers
constexpr std::size_t k_small_values = 16;
constexpr unsigned k_max_level = 32;     ///< graphs in graphs
constexpr std::uint64_t k_hidden = 1024; ///< bytes of an unknown field that are more than a flag

} // namespace

bool ProtoWalker::finished(const ProtoReader& in) {
  switch (in.failure()) {
  case ProtoFailure::none:
    return true;
  case ProtoFailure::truncated:
    session_.gap(Reason::truncated, Reach::load, in.position(), "the ONNX message ends early");
    return false;
  case ProtoFailure::limit:
    session_.gap(Reason::budget, Reach::load, in.position(), "graphs nest too deep");
    return false;
  case ProtoFailure::malformed:
    break;
  }
  session_.gap(Reason::malformed, Reach::load, in.position(), "a field that protobuf can't have");
  return false;
}

bool ProtoWalker::in_time(std::uint64_t at) {
  if (++steps_ % 4096 != 0) return true;
  // A message that is cut inside of a field is no message: nothing before the end can be loaded.
  session_.release(at - std::min(at, k_held_tail));
  if (session_.budget().time_left()) return true;
  session_.gap(Reason::budget, Reach::load, at, "out of time");
  return false;
}

void ProtoWalker::unknown(const ProtoField& field, std::string_view message) {
  judge_.structure(field.offset,
                   std::string(message) + " has the field " + std::to_string(field.number) +
                       " of " + std::to_string(field.size()) + " bytes",
                   field.size() < k_hidden);
  if (field.wire != ProtoWire::bytes || field.size() < 16) return;
  SubSource inner(source_, field.begin, field.size());
  session_.embedded("field " + std::to_string(field.number), inner);
}

void ProtoWalker::text(ProtoReader& in, const ProtoField& field, const std::string& name,
                       bool element) {
  if (field.size() > k_max_text)
    judge_.long_text(name, field.begin, field.size());
  else
    judge_.text(name, in.text(field, k_max_text), field.begin, element);
}

bool ProtoWalker::name_of(ProtoReader in, std::uint32_t number, std::string& out) {
  ProtoField field;
  while (in.next(field))
    if (field.is_bytes(number)) out = in.text(field, k_max_name);
  return finished(in);
}

bool ProtoWalker::entry(ProtoReader in, std::string& key, std::string& value,
                        std::uint64_t& value_at) {
  ProtoField field;
  while (in.next(field)) {
    if (field.is_bytes(1)) key = in.text(field, k_max_name);
    if (field.is_bytes(2)) {
      if (field.size() > k_max_text) judge_.long_text(key, field.begin, field.size());
      value = in.text(field, k_max_text);
      value_at = field.begin;
    }
  }
  return finished(in);
}

bool ProtoWalker::metadata(const ProtoReader& in, const ProtoField& field, std::string_view owner) {
  std::string key;
  std::string value;
  std::uint64_t at = field.begin;
  if (!entry(in.inside(field), key, value, at)) return false;
  judge_.text(std::string(owner) + key, value, at, false);
  return true;
}

bool ProtoWalker::tensor(ProtoReader in, std::uint64_t offset, Tensor& out) {
  out.offset = offset;
  const auto count = [&](const ProtoField& field, std::uint64_t width) {
    if (field.wire != ProtoWire::bytes) {
      ++out.typed_elements;
      return;
    }
    if (width != 0) {
      out.typed_elements += field.size() / width;
      return;
    }
    if (field.size() > k_count_limit) {
      out.typed_uncounted = true;
      return;
    }
    // Each varint has one byte without the high bit.
    for (std::uint64_t at = field.begin; at < field.end;) {
      const Bytes piece = input_.bytes(
          at, static_cast<std::size_t>(std::min<std::uint64_t>(65536, field.end - at)));
      if (piece.empty()) break;
      out.typed_elements += static_cast<std::uint64_t>(
          std::count_if(piece.begin(), piece.end(), [](std::uint8_t c) { return c < 0x80; }));
      at += piece.size();
    }
  };
  const auto small = [&](const ProtoField& field) {
    if (field.wire == ProtoWire::varint) {
      if (out.values.size() <= k_small_values)
        out.values.push_back(static_cast<std::int64_t>(field.value));
      return;
    }
    if (field.wire != ProtoWire::bytes || field.size() > k_small_values * 10) return;
    ProtoReader numbers = in.inside(field);
    while (const auto value = numbers.packed_varint())
      if (out.values.size() <= k_small_values)
        out.values.push_back(static_cast<std::int64_t>(*value));
  };
  std::uint32_t typed = 0;
  ProtoField field;
  while (in.next(field)) {
    if (!in_time(field.offset)) return false;
    switch (field.number) {
    case 1: {
      if (field.wire == ProtoWire::varint) {
        out.dims.push_back(static_cast<std::int64_t>(field.value));
      } else if (field.wire == ProtoWire::bytes && field.size() <= 4096) {
        ProtoReader numbers = in.inside(field);
        while (const auto value = numbers.packed_varint())
          out.dims.push_back(static_cast<std::int64_t>(*value));
      }
      if (out.dims.size() > 4096) out.dims.resize(4096);
      break;
    }
    case 2:
      out.type = static_cast<std::int64_t>(field.value);
      break;
    case 8:
      if (field.wire == ProtoWire::bytes) out.name = in.text(field, k_max_name);
      break;
    case 9:
      if (field.wire != ProtoWire::bytes) break;
      out.raw_bytes = field.size();
      out.raw_begin = field.begin;
      break;
    case 4:
    case 5:
    case 7:
    case 10:
    case 11:
      // An empty packed field is written by some exporters beside raw_data.
      if (field.wire == ProtoWire::bytes && field.size() == 0) break;
      if (typed != field.number) ++out.typed_fields;
      typed = field.number;
      count(field, field.number == 4 ? 4 : field.number == 10 ? 8 : 0);
      if (field.number == 7) small(field);
      break;
    case 6:
      if (field.wire != ProtoWire::bytes) break;
      if (typed != 6) ++out.typed_fields;
      typed = 6;
      ++out.typed_elements;
      text(in, field, "tensor " + out.name, true);
      break;
    case 12:
      if (field.wire == ProtoWire::bytes) text(in, field, "doc_string", false);
      break;
    case 13: {
      if (field.wire != ProtoWire::bytes || out.external_data.size() >= 64) break;
      std::string key;
      std::string value;
      std::uint64_t at = 0;
      if (!entry(in.inside(field), key, value, at)) return false;
      out.external_data.emplace_back(std::move(key), std::move(value));
      break;
    }
    case 14:
      out.external = field.value == 1;
      break;
    case 16:
      if (field.wire == ProtoWire::bytes && !metadata(in, field, "")) return false;
      break;
    case 3:
      break;
    default:
      unknown(field, "a tensor");
    }
  }
  if (!finished(in)) return false;
  // Small integers decide shapes; they may lie in raw_data.
  if (out.type == 7 && out.values.empty() && out.raw_bytes &&
      *out.raw_bytes <= k_small_values * 8) {
    const Bytes raw = input_.bytes(out.raw_begin, static_cast<std::size_t>(*out.raw_bytes));
    Reader numbers(raw);
    while (const auto value = numbers.le<std::int64_t>())
      out.values.push_back(*value);
  }
  if (out.values.size() > k_small_values) out.values.clear();
  judge_.tensor(out);
  return true;
}

bool ProtoWalker::sparse_tensor(ProtoReader in, GraphRecord* graph, unsigned level) {
  (void)level;
  ProtoField field;
  while (in.next(field)) {
    if (!field.is_bytes(1) && !field.is_bytes(2)) continue;
    Tensor part;
    if (!tensor(in.inside(field), field.offset, part)) return false;
    if (graph != nullptr && field.number == 1)
      graph->constants[value_id(part.name)] = {part.elements().value_or(1), {}};
  }
  return finished(in);
}

bool ProtoWalker::attribute(ProtoReader in, Node& node, NodeRecord& record, unsigned level) {
  Attribute item;
  std::vector<std::int64_t> ints;
  std::uint64_t int_count = 0;
  ProtoField field;
  while (in.next(field)) {
    if (item.offset == 0) item.offset = field.offset;
    if (!in_time(field.offset)) return false;
    const bool bytes = field.wire == ProtoWire::bytes;
    switch (field.number) {
    case 1:
      if (bytes) item.name = in.text(field, k_max_name);
      break;
    case 3:
      item.i = static_cast<std::int64_t>(field.value);
      item.has_i = true;
      break;
    case 4:
      if (!bytes) break;
      item.s = in.text(field, k_max_name);
      item.s_begin = field.begin;
      item.s_size = field.size();
      // A compiled context is no text, and is judged as what it is.
      if (item.name != "ep_cache_context")
        text(in, field, node.op.empty() ? item.name : node.op + "." + item.name, false);
      break;
    case 5:
    case 10: {
      if (!bytes) break;
      Tensor value;
      if (!tensor(in.inside(field), field.offset, value)) return false;
      if (field.number == 5) record.constant = Constant{value.elements().value_or(1), value.values};
      break;
    }
    case 6:
    case 11: {
      if (!bytes) break;
      auto inner = std::make_unique<GraphRecord>();
      if (!graph(in.inside(field), *inner, level + 1)) return false;
      record.graphs.push_back(std::move(inner));
      break;
    }
    case 8:
      if (field.wire == ProtoWire::varint) {
        ++int_count;
        if (ints.size() < k_small_values) ints.push_back(static_cast<std::int64_t>(field.value));
      } else if (bytes && field.size() <= k_small_values * 10) {
        ProtoReader numbers = in.inside(field);
        while (const auto value = numbers.packed_varint()) {
          ++int_count;
          if (ints.size() < k_small_values) ints.push_back(static_cast<std::int64_t>(*value));
        }
      } else {
        int_count += field.size();
      }
      break;
    case 9:
      if (bytes) text(in, field, item.name, true);
      break;
    case 13:
      if (bytes) text(in, field, "doc_string", false);
      break;
    case 22:
    case 23:
      if (bytes && !sparse_tensor(in.inside(field), nullptr, level)) return false;
      break;
    case 2:
    case 7:
    case 14:
    case 15:
    case 20:
    case 21:
      break;
    default:
      unknown(field, "an attribute");
    }
  }
  if (!finished(in)) return false;
  const bool shapes = item.name == "value_ints" || item.name == "shape";
  if (shapes && !ints.empty()) {
    if (int_count > k_small_values) ints.clear();
    record.constant = Constant{int_count, ints};
  } else if (item.name == "value_int" && item.has_i) {
    record.constant = Constant{1, {item.i}};
  } else if (item.name.starts_with("value_") && !record.constant) {
    record.constant = Constant{2, {}};
  }
  if (node.attributes.size() < 64) node.attributes.push_back(std::move(item));
  return true;
}

bool ProtoWalker::node(ProtoReader in, GraphRecord& graph, unsigned level) {
  Node node;
  NodeRecord record;
  node.offset = in.position();
  ProtoField field;
  while (in.next(field)) {
    if (!in_time(field.offset)) return false;
    if (field.wire != ProtoWire::bytes) {
      unknown(field, "a node");
      continue;
    }
    switch (field.number) {
    case 1:
      if (record.inputs.size() < k_max_ids)
        record.inputs.push_back(value_id(in.text(field, k_max_name)));
      break;
    case 2:
      if (record.outputs.size() < k_max_ids)
        record.outputs.push_back(value_id(in.text(field, k_max_name)));
      break;
    case 3:
      node.name = in.text(field, k_max_name);
      break;
    case 4:
      node.op = in.text(field, k_max_name);
      break;
    case 5:
      if (!attribute(in.inside(field), node, record, level)) return false;
      break;
    case 6:
      text(in, field, "doc_string", false);
      break;
    case 7:
      node.domain = in.text(field, k_max_name);
      break;
    case 8:
      node.overload = in.text(field, k_max_name);
      break;
    case 9:
      if (!metadata(in, field, "")) return false;
      break;
    case 10:
      break;
    default:
      unknown(field, "a node");
    }
  }
  if (!finished(in)) return false;
  judge_.node(node);
  record.op = node.op;
  record.domain = node.domain == "ai.onnx" ? "" : node.domain;
  record.name = node.name.substr(0, 100);
  record.offset = node.offset;
  if (graph.nodes.size() < k_max_nodes) graph.nodes.push_back(std::move(record));
  return true;
}

bool ProtoWalker::graph(ProtoReader in, GraphRecord& out, unsigned level) {
  if (level > k_max_level) {
    session_.gap(Reason::budget, Reach::load, in.position(), "graphs nest too deep");
    return false;
  }
  ProtoField field;
  while (in.next(field)) {
    if (!in_time(field.offset)) return false;
    if (field.wire != ProtoWire::bytes) {
      unknown(field, "a graph");
      continue;
    }
    switch (field.number) {
    case 1:
      if (!node(in.inside(field), out, level)) return false;
      break;
    case 5: {
      Tensor value;
      if (!tensor(in.inside(field), field.offset, value)) return false;
      out.constants[value_id(value.name)] = {value.elements().value_or(1), value.values};
      break;
    }
    case 10:
      text(in, field, "doc_string", false);
      break;
    case 11:
    case 12: {
      std::string name;
      if (!name_of(in.inside(field), 1, name)) return false;
      (field.number == 11 ? out.inputs : out.outputs).push_back(value_id(name));
      break;
    }
    case 15:
      if (!sparse_tensor(in.inside(field), &out, level)) return false;
      break;
    case 16:
      if (!metadata(in, field, "")) return false;
      break;
    case 2:
    case 13:
    case 14:
      break;
    default:
      unknown(field, "a graph");
    }
  }
  return finished(in);
}

bool ProtoWalker::function(ProtoReader in, unsigned level) {
  FunctionRecord record;
  ProtoField field;
  while (in.next(field)) {
    if (!in_time(field.offset)) return false;
    if (field.wire != ProtoWire::bytes) continue;
    switch (field.number) {
    case 1:
      record.name = in.text(field, k_max_name);
      break;
    case 4:
      record.graph.inputs.push_back(value_id(in.text(field, k_max_name)));
      break;
    case 5:
      record.graph.outputs.push_back(value_id(in.text(field, k_max_name)));
      break;
    case 7:
      if (!node(in.inside(field), record.graph, level)) return false;
      break;
    case 8:
      text(in, field, "doc_string", false);
      break;
    case 10:
      record.domain = in.text(field, k_max_name);
      break;
    case 11: {
      Node holder;
      NodeRecord unused;
      if (!attribute(in.inside(field), holder, unused, level)) return false;
      break;
    }
    case 14:
      if (!metadata(in, field, "")) return false;
      break;
    default:
      break;
    }
  }
  if (!finished(in)) return false;
  judge_.function(record.domain, record.name);
  flow_.functions.push_back(std::move(record));
  return true;
}

bool ProtoWalker::training(ProtoReader in, unsigned level) {
  ProtoField field;
  while (in.next(field)) {
    if (!field.is_bytes(1) && !field.is_bytes(2)) continue;
    GraphRecord record;
    if (!graph(in.inside(field), record, level)) return false;
    flow_.graphs.push_back(std::move(record));
  }
  return finished(in);
}

bool ProtoWalker::model(std::uint64_t end) {
  ProtoReader in(input_, 0, end);
  ProtoField field;
  while (in.next(field)) {
    if (!in_time(field.offset)) return false;
    const bool bytes = field.wire == ProtoWire::bytes;
    switch (field.number) {
    case 6:
      if (bytes) text(in, field, "doc_string", false);
      break;
    case 7: {
      if (!bytes) break;
      GraphRecord record;
      if (!graph(in.inside(field), record, 0)) return false;
      flow_.graphs.push_back(std::move(record));
      break;
    }
    case 14:
      if (bytes && !metadata(in, field, "")) return false;
      break;
    case 20:
      if (bytes && !training(in.inside(field), 0)) return false;
      break;
    case 25:
      if (bytes && !function(in.inside(field), 0)) return false;
      break;
    case 2:
    case 3:
    case 4:
      if (bytes) text(in, field, "producer", false);
      break;
    case 1:
    case 5:
    case 8:
    case 26:
      break;
    default:
      unknown(field, "the model");
    }
  }
  return finished(in);
}

bool ProtoWalker::tensor_file(std::uint64_t end) {
  Tensor value;
  return tensor(ProtoReader(input_, 0, end), 0, value);
}

bool ProtoWalker::sequence_file(std::uint64_t end) {
  // Sequences of sequences: a list of what is still to be read, not the stack.
  std::vector<ProtoReader> open{ProtoReader(input_, 0, end)};
  while (!open.empty()) {
    ProtoReader in = open.back();
    open.pop_back();
    ProtoField field;
    while (in.next(field)) {
      if (!in_time(field.offset)) return false;
      if (field.is_bytes(3)) {
        Tensor value;
        if (!tensor(in.inside(field), field.offset, value)) return false;
      } else if (field.is_bytes(4)) {
        if (!sparse_tensor(in.inside(field), nullptr, 0)) return false;
      } else if (field.is_bytes(5) || field.is_bytes(7)) {
        if (open.size() < 4096) open.push_back(in.inside(field));
      }
    }
    if (!finished(in)) return false;
  }
  return true;
}

} // namespace hubgate::onnx

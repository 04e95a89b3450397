#include "scanner/formats/tensorflow/embedded.hpp"

#include "scanner/formats/tensorflow/scan.hpp"

namespace hubgate::tensorflow {
namespace {

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

} // namespace

void put_field(std::string& out, std::uint32_t number, std::string_view bytes) {
  put_varint(out, std::uint64_t{number} << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}

std::string node_of(std::string_view name, std::string_view op) {
  std::string out;
  put_field(out, 1, name);
  put_field(out, 2, op);
  return out;
}

std::string graph_of(std::string_view node, const std::vector<std::string>& inputs) {
  std::string out;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = "in" + std::to_string(i);
    std::string constant = node_of(name, inputs[i].empty() ? "Placeholder" : "Const");
    if (!inputs[i].empty()) {
      // attr { key: "value" value { tensor { string_val: … } } }
      std::string tensor;
      put_field(tensor, 8, inputs[i]);
      std::string value;
      put_field(value, 8, tensor);
      std::string entry;
      put_field(entry, 1, "value");
      put_field(entry, 2, value);
      put_field(constant, 5, entry);
    }
    put_field(out, 1, constant);
  }
  MemorySource source(as_bytes(node));
  ProtoInput input(source);
  ProtoReader reader(input, 0, node.size());
  ProtoField field;
  std::string copy;
  while (reader.next(field)) {
    if (field.is_bytes(3)) continue;
    copy += node.substr(static_cast<std::size_t>(field.offset),
                        static_cast<std::size_t>(reader.position() - field.offset));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i)
    put_field(copy, 3, "in" + std::to_string(i));
  put_field(out, 1, copy);
  return out;
}

bool scan_graph(Session& session, std::string_view wire) {
  MemorySource source(as_bytes(wire));
  ProtoInput input(source);
  return Scan(input, session, Origins::none).run(Shape::graph, wire.size());
}

} // namespace hubgate::tensorflow

// SavedModel, MetaGraphDef and GraphDef, in the wire format and as text. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/formats/tensorflow/companions.hpp"
#include "scanner/formats/tensorflow/scan.hpp"
#include "scanner/formats/tensorflow/text_graph.hpp"

#include <algorithm>

namespace hubgate {

namespace tensorflow {
namespace {

constexpr std::size_t k_max_text = std::size_t{64} << 20;

bool is_identifier(std::string_view text) {
  return !text.empty() && text.size() < 512 &&
         std::all_of(
             text.begin(), text.end(),
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("_>./-\\:$").find(c) != std::string_view::npos;
             });
}

// NodeDef: a name and an operator that TensorFlow has, or attributes as only a node has them.
bool is_node(ProtoReader reader) {
  std::string op;
  bool named = false;
  bool attributes = false;
  ProtoField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) named = is_identifier(reader.text(field, 600));
    if (field.is_bytes(2)) op = reader.text(field, 600);
    if (field.number <= 5 && field.wire != ProtoWire::bytes) return false;
    if (!field.is_bytes(5)) continue;
    ProtoReader entry = reader.inside(field);
    ProtoField part;
    while (entry.next(part))
      if (part.is_bytes(1)) attributes = is_identifier(entry.text(part, 600));
  }
  if (reader.failure() != ProtoFailure::none && reader.failure() != ProtoFailure::truncated)
    return false;
  return named && is_identifier(op) && (attributes || is_registered(op));
}

bool is_graph(ProtoReader reader) {
  ProtoField field;
  while (reader.next(field)) {
    if (field.is_bytes(1) && is_node(reader.inside(field))) return true;
    if (!field.is_bytes(2)) continue;
    // A library may stand before the nodes, or without any.
    ProtoReader library = reader.inside(field);
    ProtoField function;
    while (library.next(function)) {
      if (!function.is_bytes(1)) continue;
      ProtoReader body = library.inside(function);
      ProtoField node;
      while (body.next(node))
        if (node.is_bytes(3) && is_node(body.inside(node))) return true;
    }
  }
  return false;
}

bool is_meta_graph(ProtoReader reader) {
  ProtoField field;
  while (reader.next(field))
    if (field.is_bytes(2) && is_graph(reader.inside(field))) return true;
  return false;
}

// The head is protobuf as far as it goes.
bool looks_like_protobuf(const Probe& probe) {
  MemorySource head(probe.head);
  ProtoInput input(head);
  const std::uint64_t end = probe.size_known ? probe.size : ~std::uint64_t{0};
  ProtoReader reader(input, 0, end);
  ProtoField field;
  bool any = false;
  while (reader.position() < probe.head.size() && reader.next(field))
    any = true;
  if (reader.failure() == ProtoFailure::none) return any;
  // Cut where the head ends.
  return reader.failure() == ProtoFailure::truncated &&
         reader.position() + 16 > probe.head.size() && (!probe.size_known || any);
}

// The name of the first field of a text, "#" when the head is all comments.
std::string first_field(const Probe& probe) {
  std::size_t at = 0;
  const std::string_view head = as_text(probe.head);
  if (head.starts_with("\xef\xbb\xbf")) at = 3;
  while (at < head.size()) {
    if (head[at] == '#')
      at = std::min(head.find('\n', at), head.size());
    else if (head[at] == ' ' || head[at] == '\t' || head[at] == '\n' || head[at] == '\r')
      ++at;
    else
      break;
  }
  if (at >= head.size()) return head.find('#') != std::string_view::npos ? "#" : "";
  const std::size_t begin = at;
  while (at < head.size() && (head[at] == '_' || (head[at] >= 'a' && head[at] <= 'z')))
    ++at;
  return std::string(head.substr(begin, at - begin));
}

Claim probe(const Probe& probe) {
  Root root{};
  const std::string first = first_field(probe);
  if (first == "#" || root_of(first, root) || is_checkpoint_field(first)) return Claim::maybe;
  if (probe.head.empty()) return Claim::no;
  if (!probe.tail.empty() && looks_like_protobuf(probe)) return Claim::maybe;
  // Still arriving, or broken further on: only what shows itself in the head, so that nobody waits
  // for a trial.
  MemorySource head(probe.head);
  ProtoInput input(head);
  return recognise(input, ~std::uint64_t{0}).empty() ? Claim::no : Claim::maybe;
}

// Which message the file is, its name tells the loader: bytes that are two of them are judged as
// both.
bool run_all(ProtoInput& input, Session& session, const std::vector<Shape>& shapes,
             std::uint64_t end, Origins origins) {
  bool whole = true;
  for (const Shape shape: shapes)
    whole = Scan(input, session, origins).run(shape, end) && whole;
  return whole;
}

Reading scan_text(Source& source, Session& session) {
  const std::uint64_t size = source.size().value_or(~std::uint64_t{0});
  TextProtoReader first(source, 0, size, 4096);
  Root root{};
  const TextProtoEvent event = first.next();
  if (event != TextProtoEvent::scalar && event != TextProtoEvent::message_begin)
    return Reading::none;
  if (is_checkpoint_field(first.name())) return scan_checkpoint_state(source, session, size);
  if (!root_of(first.name(), root)) return Reading::none;
  const Encoded text = encode(source, size, root, k_max_text);
  MemorySource wire(as_bytes(text.wire));
  ProtoInput input(wire);
  const auto shapes = recognise(input, text.wire.size());
  if (shapes.empty()) return Reading::none;
  const bool whole = run_all(input, session, shapes, text.wire.size(), Origins::text);
  if (text.failure == TextProtoFailure::none) return whole ? Reading::valid : Reading::broken;
  session.gap(text.failure == TextProtoFailure::truncated ? Reason::truncated
              : text.failure == TextProtoFailure::limit   ? Reason::budget
                                                          : Reason::malformed,
              Reach::load, text.position, "the text of the graph can't be read to its end");
  return Reading::broken;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.size().value_or(~std::uint64_t{0});
  ProtoInput input(source);
  const auto shapes = recognise(input, size);
  if (shapes.empty()) {
    const Reading companion = scan_companion(input, session, size);
    return companion != Reading::none ? companion : scan_text(source, session);
  }
  return run_all(input, session, shapes, size, Origins::wire) ? Reading::valid : Reading::broken;
}

} // namespace

std::vector<Shape> recognise(ProtoInput& input, std::uint64_t end) {
  std::vector<Shape> out;
  ProtoReader saved(input, 0, end);
  ProtoField field;
  bool found = false;
  while (!found && saved.next(field))
    found = field.is_bytes(2) && is_meta_graph(saved.inside(field));
  if (found) out.push_back(Shape::saved_model);
  if (is_meta_graph(ProtoReader(input, 0, end))) out.push_back(Shape::meta_graph);
  if (is_graph(ProtoReader(input, 0, end))) out.push_back(Shape::graph);
  return out;
}

} // namespace tensorflow

extern const Format format_tensorflow;
const Format format_tensorflow{.name = "tensorflow",
                               .family = "tensorflow",
                               .probe = tensorflow::probe,
                               .scan = tensorflow::scan,
                               .rules = tensorflow::k_rules,
                               .data_version = "2.21 effects 2"};

} // namespace hubgate

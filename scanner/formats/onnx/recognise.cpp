#include "scanner/formats/onnx/proto_reader.hpp"

#include <algorithm>

namespace hubgate::onnx {

namespace {

constexpr std::size_t k_looked_at = 256;

// Wire types of a message's fields, by number: 'v' varint, 'b' bytes, 'f' fixed32; 'p' a repeated
// number (packed or not).
struct Shape {
  std::uint32_t number;
  char wire;
};

constexpr std::array<Shape, 12> k_model{{{1, 'v'},
                                         {2, 'b'},
                                         {3, 'b'},
                                         {4, 'b'},
                                         {5, 'v'},
                                         {6, 'b'},
                                         {7, 'b'},
                                         {8, 'b'},
                                         {14, 'b'},
                                         {20, 'b'},
                                         {25, 'b'},
                                         {26, 'b'}}};
constexpr std::array<Shape, 10> k_graph{{{1, 'b'},
                                         {2, 'b'},
                                         {5, 'b'},
                                         {10, 'b'},
                                         {11, 'b'},
                                         {12, 'b'},
                                         {13, 'b'},
                                         {14, 'b'},
                                         {15, 'b'},
                                         {16, 'b'}}};
constexpr std::array<Shape, 10> k_node{{{1, 'b'},
                                        {2, 'b'},
                                        {3, 'b'},
                                        {4, 'b'},
                                        {5, 'b'},
                                        {6, 'b'},
                                        {7, 'b'},
                                        {8, 'b'},
                                        {9, 'b'},
                                        {10, 'b'}}};
constexpr std::array<Shape, 15> k_tensor{{{1, 'p'},
                                          {2, 'v'},
                                          {3, 'b'},
                                          {4, 'f'},
                                          {5, 'p'},
                                          {6, 'b'},
                                          {7, 'p'},
                                          {8, 'b'},
                                          {9, 'b'},
                                          {10, 'p'},
                                          {11, 'p'},
                                          {12, 'b'},
                                          {13, 'b'},
                                          {14, 'v'},
                                          {16, 'b'}}};
constexpr std::array<Shape, 7> k_sequence{
    {{1, 'b'}, {2, 'v'}, {3, 'b'}, {4, 'b'}, {5, 'b'}, {6, 'b'}, {7, 'b'}}};

struct Seen {
  bool fits = false; ///< every field that was looked at is one of the message
  std::array<bool, 32> has{};
  std::uint32_t unknown = 0;
  std::uint32_t fields = 0;
  bool broken = false;
};

bool wire_fits(char shape, ProtoWire wire) {
  switch (shape) {
  case 'v':
    return wire == ProtoWire::varint;
  case 'b':
    return wire == ProtoWire::bytes;
  default: // numbers, packed or one by one
    return wire != ProtoWire::group;
  }
}

template <std::size_t N> Seen look(ProtoReader in, const std::array<Shape, N>& shapes) {
  Seen seen;
  seen.fits = true;
  ProtoField field;
  while (seen.fields < k_looked_at && in.next(field)) {
    ++seen.fields;
    const auto at = std::find_if(shapes.begin(), shapes.end(),
                                 [&](const Shape& s) { return s.number == field.number; });
    if (at == shapes.end()) {
      // Parsers step over what they don't know.
      ++seen.unknown;
      continue;
    }
    if (!wire_fits(at->wire, field.wire)) seen.fits = false;
    if (field.number < seen.has.size()) seen.has[field.number] = true;
  }
  seen.broken = in.failure() != ProtoFailure::none;
  seen.fits = seen.fits && seen.unknown * 2 <= seen.fields;
  return seen;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':' || c == '-' || c == '/';
  });
}

// A node has a type whose name is a word.
bool is_node(ProtoReader in) {
  const Seen seen = look(in, k_node);
  if (!seen.fits || !seen.has[4]) return false;
  ProtoField field;
  while (in.next(field))
    if (field.is_bytes(4)) return is_word(in.text(field, 256));
  return false;
}

bool is_graph(ProtoReader in) {
  if (!look(in, k_graph).fits) return false;
  ProtoField field;
  for (std::size_t i = 0; i < k_looked_at && in.next(field); ++i)
    if (field.is_bytes(1)) return is_node(in.inside(field));
  // Without nodes: values and initialisers alone; such graphs are written by tests.
  const Seen seen = look(in, k_graph);
  return in.failure() == ProtoFailure::none && seen.fields > 0 && seen.has[2] &&
         (seen.has[5] || seen.has[11] || seen.has[12]);
}

// A tensor file: dims, a type that exists, and one kind of values.
bool is_tensor(const ProtoReader& in) {
  const Seen seen = look(in, k_tensor);
  if (!seen.fits || seen.unknown > 0 || seen.broken || !seen.has[2]) return false;
  ProtoReader again = in;
  ProtoField field;
  std::uint64_t type = 0;
  while (again.next(field))
    if (field.is(2, ProtoWire::varint)) type = field.value;
  const bool values = seen.has[4] || seen.has[5] || seen.has[6] || seen.has[7] || seen.has[9] ||
                      seen.has[10] || seen.has[11] || seen.has[13];
  return type >= 1 && type <= static_cast<std::uint64_t>(k_last_type) &&
         (values || (seen.has[1] && seen.has[8]));
}

// SequenceProto and OptionalProto: an element type, then the elements, each a tensor.
bool is_sequence(const ProtoReader& in) {
  const Seen seen = look(in, k_sequence);
  if (!seen.fits || seen.unknown > 0 || seen.broken || !seen.has[2]) return false;
  ProtoReader again = in;
  ProtoField field;
  while (again.next(field)) {
    if (field.is(2, ProtoWire::varint) && field.value > 6) return false;
    if (field.is_bytes(3)) return is_tensor(again.inside(field));
    if (field.is_bytes(5)) return is_sequence(again.inside(field));
  }
  // Empty ones.
  return seen.has[1] && seen.fields == 2;
}

} // namespace

Kind recognise(ProtoInput& input, std::uint64_t end, bool whole) {
  const ProtoReader in(input, 0, end);
  const Seen model = look(in, k_model);
  if (model.fits && (model.has[7] || model.has[20] || model.has[25])) {
    ProtoReader again = in;
    ProtoField field;
    while (again.next(field)) {
      if (field.is_bytes(7) && is_graph(again.inside(field))) return Kind::model;
      // A library of functions, without a graph of its own.
      if (field.is_bytes(25) && model.has[1] && model.has[8]) return Kind::model;
    }
  }
  if (!whole) return model.fits && !model.broken ? Kind::model : Kind::none;
  // A sequence first: its name could be a tensor's packed shape, but its elements are messages.
  if (is_sequence(in)) return Kind::sequence;
  if (is_tensor(in)) return Kind::tensor;
  return Kind::none;
}

} // namespace hubgate::onnx

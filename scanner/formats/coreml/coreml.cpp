// Core ML: Model.proto, with models inside of models, layers of the reader's own code and ML
// programs (MIL.proto of coremltools). A protobuf has no magic: its fields decide. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/path_kind.hpp"
#include "scanner/core/protobuf.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/coreml/operations.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

namespace hubgate {
namespace {

constexpr std::size_t k_told = 5;
constexpr std::size_t k_max_name = 4096;
constexpr std::size_t k_max_text = std::size_t{1} << 20;
constexpr std::size_t k_shortest_text = 16;
constexpr std::uint64_t k_long_element = 512;
constexpr std::uint64_t k_hidden = 1024;
constexpr std::size_t k_max_open = 4'000'000;
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 4> k_rules{{
    {"coreml-custom-code", "unknown-class", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "RTF-006", "a layer, model or operation that is code of the application, found by its name"},
    {"coreml-path", "traversal", Severity::malicious, Reach::load, "CWE-22", k_atlas, "RTF-006",
     "weights or a linked model are to be read from outside of the package"},
    {"coreml-linked-model", "reference", Severity::informational, Reach::load, "", k_atlas,
     "RTF-006", "another compiled model is loaded with this one"},
    {"coreml-unknown-field", "structure", Severity::informational, Reach::data, "", "AML.T0076",
     "RTF-006", "bytes in the model that no reader of it looks at"},
}};

const Rule& k_custom = k_rules[0];
const Rule& k_path = k_rules[1];
const Rule& k_linked = k_rules[2];
const Rule& k_unknown = k_rules[3];

// The fields of Model that hold a model: oneof Type.
constexpr std::array<std::uint32_t, 35> k_types{
    200, 201, 202, 300, 301, 302, 303, 304, 400, 401, 402, 403,  404,  500,  501,  502,  555, 556,
    560, 600, 601, 602, 603, 604, 606, 607, 609, 610, 900, 2000, 2001, 2002, 2003, 2004, 2005};
constexpr std::array<std::uint32_t, 2> k_new_types{2006, 3000};

bool is_type(std::uint32_t number) {
  return std::binary_search(k_types.begin(), k_types.end(), number) ||
         std::find(k_new_types.begin(), k_new_types.end(), number) != k_new_types.end();
}

// What a message on the list of those still to be read is.
enum class Message {
  model,
  description,
  metadata,
  pipeline_holder,
  pipeline,
  network,
  layer,
  branch,
  loop,
  custom,
  linked,
  linked_file,
  program,
  function,
  block,
  operation,
  value,
  argument,
  map_of_function,
  map_of_block,
  map_of_value,
  map_of_argument,
  map_of_text,
};

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session), input_(source) {}
  Reading run();

private:
  struct Open {
    Message message;
    ProtoReader reader;
    std::uint64_t offset;
  };
  bool read(Open open);
  void field(const Open& open, ProtoReader& in, const ProtoField& field);
  void model_field(const ProtoReader& in, const ProtoField& field);
  void push(Message message, const ProtoReader& in, const ProtoField& field) {
    if (open_.size() < k_max_open) open_.push_back({message, in.inside(field), field.offset});
  }
  void text(ProtoReader& in, const ProtoField& field, const std::string& name, bool element);
  void path(std::string_view what, std::string path, std::uint64_t offset);
  void blob(ProtoReader in, std::uint64_t offset);
  void strings(ProtoReader in);
  void tell(const Rule& rule, std::uint64_t offset, const std::string& evidence,
            std::optional<Severity> severity = std::nullopt) {
    if (++told_[rule.id] <= k_told)
      session_.find(rule, offset, 0, evidence, {severity, {}, {}, {}, {}});
  }

  Source& source_;
  Session& session_;
  ProtoInput input_;
  std::vector<Open> open_;
  std::map<std::string_view, std::size_t> told_;
  std::map<std::string, std::uint64_t> extents_;
  std::uint64_t steps_ = 0;
};

void Scan::text(ProtoReader& in, const ProtoField& field, const std::string& name, bool element) {
  if (field.size() < k_shortest_text || (element && field.size() < k_long_element)) return;
  if (field.size() > k_max_text) {
    session_.gap(Reason::budget, Reach::data, field.begin, name + " is too long a text");
    SubSource inner(source_, field.begin, field.size());
    session_.embedded(name, inner);
    return;
  }
  scan_text_value(session_, name, in.text(field, k_max_text), field.begin);
}

void Scan::path(std::string_view what, std::string path, std::uint64_t offset) {
  constexpr std::string_view k_here = "@model_path/";
  if (path.starts_with(k_here)) path.erase(0, k_here.size());
  const PathKind kind = path_kind(path);
  if (kind == PathKind::plain)
    session_.refer("file", offset, path);
  else
    tell(k_path, offset,
         std::string(what) + " \"" + path + "\", which " + std::string(to_string(kind)));
}

// BlobFileValue: fileName 1, offset 2 (of the blob's metadata).
void Scan::blob(ProtoReader in, std::uint64_t offset) {
  std::string name;
  std::uint64_t at = 0;
  ProtoField field;
  while (in.next(field)) {
    if (field.is_bytes(1)) name = in.text(field, k_max_name);
    if (field.is(2, ProtoWire::varint)) at = field.value;
  }
  if (name.empty()) return;
  if (extents_.size() > 4096) return;
  const auto [place, added] = extents_.try_emplace(name, 0);
  if (added) path("weights are in", name, offset);
  if (at < (std::uint64_t{1} << 62)) place->second = std::max(place->second, at + 64);
}

// ImmediateValue → TensorValue → strings 4 → values 1; lists and dictionaries hold values.
void Scan::strings(ProtoReader in) {
  ProtoField outer;
  while (in.next(outer)) {
    if (outer.is_bytes(1)) {
      ProtoReader tensor = in.inside(outer);
      ProtoField kind;
      while (tensor.next(kind)) {
        if (!kind.is_bytes(4)) continue;
        ProtoReader list = tensor.inside(kind);
        ProtoField item;
        while (list.next(item))
          if (item.is_bytes(1)) text(list, item, "a string", false);
      }
    } else if (outer.is_bytes(2) || outer.is_bytes(3)) {
      ProtoReader list = in.inside(outer);
      ProtoField item;
      while (list.next(item))
        if (item.is_bytes(1)) push(Message::value, list, item);
    } else if (outer.is_bytes(4)) {
      ProtoReader list = in.inside(outer);
      ProtoField item;
      while (list.next(item))
        if (item.is_bytes(1)) push(Message::map_of_value, list, item);
    }
  }
}

void Scan::model_field(const ProtoReader& in, const ProtoField& field) {
  switch (field.number) {
  case 2:
    return push(Message::description, in, field);
  case 200:
  case 201:
    return push(Message::pipeline_holder, in, field);
  case 202:
    return push(Message::pipeline, in, field);
  case 303:
  case 403:
  case 500:
    return push(Message::network, in, field);
  case 502:
    return push(Message::program, in, field);
  case 555:
    return push(Message::custom, in, field);
  case 556:
    return push(Message::linked, in, field);
  case 3000: {
    SubSource inner(source_, field.begin, field.size());
    return session_.embedded("serializedModel", inner);
  }
  default:
    break;
  }
  if (is_type(field.number) || field.number == 1 || field.number == 10) return;
  tell(k_unknown, field.offset,
       "a model has the field " + std::to_string(field.number) + " of " +
           std::to_string(field.size()) + " bytes",
       field.size() < k_hidden ? std::nullopt : std::optional(Severity::suspicious));
  SubSource inner(source_, field.begin, field.size());
  session_.embedded("field " + std::to_string(field.number), inner);
}

void Scan::field(const Open& open, ProtoReader& in, const ProtoField& field) {
  const bool bytes = field.wire == ProtoWire::bytes;
  if (!bytes) return;
  const std::uint32_t n = field.number;
  switch (open.message) {
  case Message::model:
    return model_field(in, field);
  case Message::description:
    if (n == 100) push(Message::metadata, in, field);
    return;
  case Message::metadata:
    if (n == 100) return push(Message::map_of_text, in, field);
    return text(in, field, "metadata", false);
  case Message::pipeline_holder:
    if (n == 1) push(Message::pipeline, in, field);
    return;
  case Message::pipeline:
    if (n == 1) push(Message::model, in, field);
    return;
  case Message::network:
    if (n == 1) push(Message::layer, in, field);
    return;
  case Message::layer:
    if (n == 500) push(Message::custom, in, field);
    if (n == 605) push(Message::branch, in, field);
    if (n == 615) push(Message::loop, in, field);
    return;
  case Message::branch:
    if (n == 1 || n == 2) push(Message::network, in, field);
    return;
  case Message::loop:
    if (n == 3 || n == 4) push(Message::network, in, field);
    return;
  case Message::custom:
    if (n == 10) tell(k_custom, open.offset, "class \"" + in.text(field, k_max_name) + "\"");
    if (n == 30) push(Message::map_of_text, in, field);
    if (n == 40) text(in, field, "description", false);
    return;
  case Message::linked:
    if (n == 1) push(Message::linked_file, in, field);
    return;
  case Message::linked_file: {
    if (n != 1 && n != 2) return;
    ProtoReader parameter = in.inside(field);
    ProtoField value;
    while (parameter.next(value)) {
      if (!value.is_bytes(1)) continue;
      const std::string target = parameter.text(value, k_max_name);
      tell(k_linked, field.offset, (n == 1 ? "model \"" : "searched in \"") + target + "\"");
      // "." and names without a suffix: the file is found by the application's bundle.
      if (path_kind(target) != PathKind::plain) path("a linked model is", target, field.offset);
    }
    return;
  }
  case Message::program:
    if (n == 2) push(Message::map_of_function, in, field);
    if (n == 3) text(in, field, "docString", false);
    if (n == 4) push(Message::map_of_value, in, field);
    return;
  case Message::map_of_function:
    if (n == 2) push(Message::function, in, field);
    return;
  case Message::function:
    if (n == 3) push(Message::map_of_block, in, field);
    if (n == 4) push(Message::map_of_value, in, field);
    return;
  case Message::map_of_block:
    if (n == 2) push(Message::block, in, field);
    return;
  case Message::block:
    if (n == 3) push(Message::operation, in, field);
    if (n == 4) push(Message::map_of_value, in, field);
    return;
  case Message::operation:
    if (n == 1) {
      std::string type = in.text(field, k_max_name);
      const std::size_t dot = type.rfind('.');
      if (!coreml::is_operation(dot == std::string::npos ? std::string_view(type)
                                                         : std::string_view(type).substr(dot + 1)))
        tell(k_custom, open.offset, "operation \"" + type + "\"");
    }
    if (n == 2) push(Message::map_of_argument, in, field);
    if (n == 4) push(Message::block, in, field);
    if (n == 5) push(Message::map_of_value, in, field);
    return;
  case Message::map_of_argument:
    if (n == 2) push(Message::argument, in, field);
    return;
  case Message::argument: {
    if (n != 1) return;
    ProtoReader binding = in.inside(field);
    ProtoField value;
    while (binding.next(value))
      if (value.is_bytes(2)) push(Message::value, binding, value);
    return;
  }
  case Message::map_of_value:
    if (n == 1) text(in, field, "a key", true);
    if (n == 2) push(Message::value, in, field);
    return;
  case Message::value:
    if (n == 1) text(in, field, "docString", false);
    if (n == 3) strings(in.inside(field));
    if (n == 5) blob(in.inside(field), field.offset);
    return;
  case Message::map_of_text:
    if (n == 1) text(in, field, "a key", true);
    // A string, or the value of a custom layer's parameter, whose strings are field 20.
    if (n == 2) text(in, field, "a value", false);
    return;
  }
}

bool Scan::read(Open open) {
  ProtoField item;
  while (open.reader.next(item)) {
    field(open, open.reader, item);
    if (++steps_ % 4096 == 4095 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, item.offset, "out of time");
      return false;
    }
  }
  if (open.reader.failure() == ProtoFailure::none) return true;
  session_.gap(open.reader.failure() == ProtoFailure::truncated ? Reason::truncated
               : open.reader.failure() == ProtoFailure::limit   ? Reason::budget
                                                                : Reason::malformed,
               Reach::load, open.reader.position(), "a message of the model can't be read");
  return false;
}

// A model: a version, a description, and one type. Any of the first two may be left out.
bool is_model(ProtoReader in) {
  std::size_t types = 0;
  std::size_t unknown = 0;
  ProtoField field;
  for (std::size_t i = 0; i < 64 && in.next(field); ++i) {
    if (field.number == 1 || field.number == 10) {
      if (field.wire != ProtoWire::varint) return false;
    } else if (field.number == 2) {
      if (field.wire != ProtoWire::bytes) return false;
    } else if (is_type(field.number) && field.wire == ProtoWire::bytes) {
      ++types;
    } else {
      ++unknown;
    }
  }
  return types > 0 && types >= unknown;
}

Reading Scan::run() {
  const std::uint64_t end = source_.size().value_or(~std::uint64_t{0});
  const ProtoReader root(input_, 0, end);
  if (!is_model(root)) return Reading::none;
  open_.push_back({Message::model, root, 0});
  bool whole = true;
  while (!open_.empty()) {
    const Open next = open_.back();
    open_.pop_back();
    whole = read(next) && whole;
  }
  for (const auto& [name, bytes]: extents_) {
    constexpr std::string_view k_here = "@model_path/";
    const std::string shown = name.starts_with(k_here) ? name.substr(k_here.size()) : name;
    if (path_kind(shown) == PathKind::plain)
      session_.refer("extent", 0, shown + " " + std::to_string(bytes));
  }
  return whole ? Reading::valid : Reading::broken;
}

Claim probe(const Probe& probe) {
  if (probe.head.size() < 4) return Claim::no;
  MemorySource source(probe.head);
  ProtoInput input(source);
  const std::uint64_t end = probe.size_known ? probe.size : ~std::uint64_t{0};
  if (is_model(ProtoReader(input, 0, end))) return Claim::maybe;
  // A long description hides the type from the first bytes.
  const std::uint8_t tag = probe.head[0];
  return (tag == 0x08 && probe.head[1] < 64 && probe.head[2] == 0x12) || tag == 0x12 ? Claim::maybe
                                                                                     : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_coreml;
const Format format_coreml{
    .name = "coreml", .family = "coreml", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate

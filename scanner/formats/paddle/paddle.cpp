// PaddlePaddle: programs (framework.proto) and combined parameters. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/protobuf.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/paddle/op_names.hpp"
#include "scanner/formats/tensorflow/paths.hpp"
#include "scanner/generic/tensor_sample.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace hubgate {
namespace {

using tensorflow::kind_of;
using tensorflow::PathKind;

constexpr std::string_view k_atlas = "AML.T0011.000";
constexpr std::size_t k_max_name = 4096;
constexpr std::uint64_t k_examined = 64;
constexpr std::uint64_t k_max_lod = 1 << 20;

constexpr std::array<Rule, 6> k_rules{{
    {"paddle-python-op", "dangerous-call", Severity::malicious, Reach::load, "CWE-94", k_atlas,
     "RTF-008", "the program calls a Python function"},
    {"paddle-file-op", "dangerous-call", Severity::malicious, Reach::load, "CWE-73", k_atlas,
     "RTF-008", "the program reads or writes a file of its own choice"},
    {"paddle-network-op", "dangerous-call", Severity::suspicious, Reach::load, "CWE-918", k_atlas,
     "RTF-008", "the program talks to other machines"},
    {"paddle-unknown-op", "unknown-call", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "RTF-008", "an operator that PaddlePaddle does not have: a native library must bring it"},
    {"paddle-extent", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "RTF-008", "a parameter's description can't be true"},
    {"paddle-odd-field", "structure", Severity::suspicious, Reach::data, "CWE-436", "AML.T0076",
     "RTF-008", "a field that PaddlePaddle does not read: a place to hide something"},
}};
const Rule& k_python = k_rules[0];
const Rule& k_file = k_rules[1];
const Rule& k_network = k_rules[2];
const Rule& k_unknown = k_rules[3];
const Rule& k_extent = k_rules[4];
const Rule& k_odd = k_rules[5];

bool is_one_of(std::string_view op, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), op) != names.end();
}

bool is_identifier(std::string_view text) {
  return !text.empty() && text.size() < 256 &&
         std::all_of(
             text.begin(), text.end(),
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_';
             });
}

// ProgramDesc: 1 blocks {1 idx, 2 parent_idx, 3 vars, 4 ops {3 type, 4 attrs}}.
bool is_program(ProtoInput& input, std::uint64_t end) {
  ProtoReader reader(input, 0, end);
  ProtoField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    ProtoReader block = reader.inside(field);
    ProtoField part;
    bool numbered = false;
    bool named = false;
    while (block.next(part)) {
      if (part.number <= 2 && part.wire != ProtoWire::varint) return false;
      numbered = numbered || part.number == 1;
      if (!part.is_bytes(4) || named) continue;
      ProtoReader op = block.inside(part);
      ProtoField value;
      while (op.next(value))
        if (value.is_bytes(3)) named = is_identifier(op.text(value, 300));
    }
    if (numbered && named) return true;
  }
  return false;
}

class Program {
public:
  Program(ProtoInput& input, Session& session) : input_(input), session_(session) {}
  Reading run(std::uint64_t end);

private:
  void block(ProtoReader reader);
  void op(ProtoReader reader, std::uint64_t offset);
  void judge(const std::string& type, const std::vector<std::string>& texts, std::uint64_t offset);
  void note(const ProtoReader& reader);

  ProtoInput& input_;
  Session& session_;
  ProtoFailure failure_ = ProtoFailure::none;
  std::uint64_t failed_at_ = 0;
  std::set<std::string, std::less<>> said_;
};

void Program::note(const ProtoReader& reader) {
  if (failure_ != ProtoFailure::none || reader.failure() == ProtoFailure::none) return;
  failure_ = reader.failure();
  failed_at_ = reader.position();
}

// OpDesc: 1 inputs, 2 outputs, 3 type, 4 attrs {1 name, 5 s, 8 strings}, 5 is_target.
void Program::op(ProtoReader reader, std::uint64_t offset) {
  std::vector<std::string> types;
  std::vector<std::string> texts;
  ProtoField field;
  while (reader.next(field)) {
    if (field.is_bytes(3)) types.push_back(reader.text(field, k_max_name));
    if (field.number > 5 && said_.insert("field" + std::to_string(field.number)).second)
      session_.find(k_odd, field.offset, field.end - field.offset,
                    "an operator has a field " + std::to_string(field.number));
    if (!field.is_bytes(4)) continue;
    ProtoReader attribute = reader.inside(field);
    ProtoField value;
    std::string name;
    while (attribute.next(value)) {
      if (value.is_bytes(1)) name = attribute.text(value, k_max_name);
      // Where the operator was made, line by line: "op_callstack" is the writer's own source.
      if (name == "op_callstack" || (!value.is_bytes(5) && !value.is_bytes(8))) continue;
      if (value.size() > 0 && texts.size() < 1024 && !name.starts_with("op_"))
        texts.push_back(name + "=" + attribute.text(value, k_max_name));
      if (value.size() < k_examined) continue;
      SubSource bytes(input_.source(), value.begin, value.size());
      session_.embedded(name, bytes);
    }
    note(attribute);
  }
  note(reader);
  // A parser keeps the last; a careless scanner sees the first.
  for (const auto& type: types)
    judge(type, texts, offset);
}

void Program::judge(const std::string& type, const std::vector<std::string>& texts,
                    std::uint64_t offset) {
  std::string named;
  PathKind path = PathKind::relative;
  for (const auto& text: texts) {
    const auto equals = text.find('=');
    const std::string key = text.substr(0, equals);
    const std::string value = text.substr(equals + 1);
    if (key != "file_path" && key != "filename" && key.find("endpoint") == std::string::npos &&
        key.find("epmap") == std::string::npos)
      continue;
    named += " " + value;
    path = std::max(path, kind_of(value));
  }
  if (is_one_of(type, {"py_func", "pylayer", "create_py_reader", "py_layer"})) {
    session_.find(k_python, offset, 0, type + " calls a Python function of the process");
  } else if (is_one_of(type, {"save", "save_combine", "load", "load_combine", "read_file"})) {
    const bool writes = type.starts_with("save");
    session_.find(k_file, offset, 0, type + (writes ? " writes" : " reads") + named,
                  {.severity = path != PathKind::relative || writes ? Severity::malicious
                                                                    : Severity::suspicious});
  } else if (is_one_of(type, {"listen_and_serv", "heter_listen_and_serv", "send", "send_and_recv",
                              "send_barrier", "fetch_barrier", "recv", "prefetch",
                              "distributed_lookup_table", "distributed_push_sparse", "rpc_call",
                              "checkpoint_notify", "gen_nccl_id", "c_gen_nccl_id"})) {
    session_.find(k_network, offset, 0, type + named,
                  {.severity = named.empty() ? Severity::suspicious : Severity::malicious});
  } else if (!paddle::is_registered(type) && !type.ends_with("_grad") &&
             said_.insert("op" + type).second) {
    session_.find(k_unknown, offset, 0, "the operator " + type);
  }
}

void Program::block(ProtoReader reader) {
  ProtoField field;
  while (reader.next(field))
    if (field.is_bytes(4)) op(reader.inside(field), field.offset);
  note(reader);
}

Reading Program::run(std::uint64_t end) {
  ProtoReader reader(input_, 0, end);
  ProtoField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) block(reader.inside(field));
    if (field.number <= 8) continue;
    session_.find(k_odd, field.offset, field.end - field.offset,
                  "the program has a field " + std::to_string(field.number));
    if (field.wire != ProtoWire::bytes || field.size() < k_examined) continue;
    SubSource bytes(input_.source(), field.begin, field.size());
    session_.embedded("field " + std::to_string(field.number), bytes);
  }
  note(reader);
  if (failure_ == ProtoFailure::none) return Reading::valid;
  session_.gap(failure_ == ProtoFailure::truncated ? Reason::truncated
               : failure_ == ProtoFailure::limit   ? Reason::budget
                                                   : Reason::malformed,
               Reach::load, failed_at_, "the program can't be read to its end");
  return Reading::broken;
}

// VarType.Type: bytes of an element; 0 where there is none.
std::uint64_t size_of(std::uint64_t type) {
  constexpr std::array<std::uint8_t, 7> k_small{1, 2, 4, 8, 2, 4, 8};
  if (type < k_small.size()) return k_small[type];
  switch (type) {
  case 20: // uint8
  case 21: // int8
    return 1;
  case 22: // bfloat16
    return 2;
  case 23: // complex64
    return 8;
  case 24: // complex128
    return 16;
  default:
    return 0;
  }
}

// One after the other: u32 0; u64 levels, each u64 bytes and offsets; u32 0; i32 length;
// TensorDesc {1 data_type, 2 dims}; the data.
Reading parameters(Source& source, Session& session) {
  const auto known = source.size();
  Cursor cursor(source, 0, known.value_or(~std::uint64_t{0}));
  ProtoInput input(source);
  for (std::uint64_t count = 0;; ++count) {
    const std::uint64_t begin = cursor.position();
    const Bytes more = source.view(begin, 1);
    if (more.empty()) return count > 0 ? Reading::valid : Reading::none;
    const auto broken = [&](std::string_view why) {
      if (count == 0) return Reading::none;
      session.find(k_extent, begin, 0,
                   "parameter " + std::to_string(count) + " " + std::string(why));
      session.gap(Reason::malformed, Reach::load, begin, "the parameters can't be followed");
      return Reading::broken;
    };
    const auto version = cursor.le<std::uint32_t>();
    const auto levels = cursor.le<std::uint64_t>();
    if (!version || !levels) return broken("is cut");
    if (*version != 0 || *levels > 8) return broken("has an unknown version");
    for (std::uint64_t i = 0; i < *levels; ++i) {
      const auto bytes = cursor.le<std::uint64_t>();
      if (!bytes || *bytes > k_max_lod || !cursor.skip(*bytes)) return broken("has no such levels");
    }
    const auto inner = cursor.le<std::uint32_t>();
    const auto length = cursor.le<std::uint32_t>();
    if (!inner || !length) return broken("is cut");
    if (*inner != 0 || *length < 2 || *length > 4096) return broken("has no description");
    ProtoReader reader(input, cursor.position(), cursor.position() + *length);
    ProtoField field;
    std::uint64_t type = ~std::uint64_t{0};
    std::uint64_t bytes = 1;
    bool negative = false;
    const auto dimension = [&](std::uint64_t value) {
      negative = negative || value > std::uint64_t{INT64_MAX} ||
                 __builtin_mul_overflow(bytes, value, &bytes);
    };
    while (reader.next(field)) {
      if (field.is(1, ProtoWire::varint)) type = field.value;
      if (field.is(2, ProtoWire::varint)) dimension(field.value);
      if (!field.is_bytes(2)) continue;
      ProtoReader packed = reader.inside(field);
      while (const auto value = packed.packed_varint())
        dimension(*value);
    }
    if (reader.failure() != ProtoFailure::none || size_of(type) == 0)
      return broken("has no description");
    cursor.skip(*length);
    if (negative || __builtin_mul_overflow(bytes, size_of(type), &bytes) ||
        (known && bytes > *known - std::min(*known, cursor.position())))
      return broken("is larger than the file");
    if (count < k_sampled_tensors)
      sample_tensor(source, session, cursor.position(), bytes,
                    type == 5   ? Element::float32
                    : type == 6 ? Element::float64
                    : type == 4 ? Element::float16
                                : Element::other,
                    "parameter " + std::to_string(count));
    if (!cursor.skip(bytes)) return broken("ends beyond any file");
    if (!known && bytes > 0 && source.view(cursor.position() - 1, 1).empty()) {
      session.gap(Reason::truncated, Reach::load, begin, "the bytes end inside a parameter");
      return Reading::broken;
    }
    session.release(cursor.position());
  }
}

bool starts_like_parameters(Bytes head) {
  return head.size() >= 24 &&
         std::all_of(head.begin(), head.begin() + 4, [](std::uint8_t c) { return c == 0; }) &&
         head[4] <= 8 &&
         std::all_of(head.begin() + 5, head.begin() + 12, [](std::uint8_t c) { return c == 0; });
}

Claim probe(const Probe& probe) {
  if (starts_like_parameters(probe.head)) return Claim::maybe;
  // A program begins with its first block, whose first field is its number.
  MemorySource head(probe.head);
  ProtoInput input(head);
  if (probe.head.empty() || (probe.head[0] & 7) == 7) return Claim::no;
  if (!probe.tail.empty()) {
    ProtoReader reader(input, 0, probe.size);
    ProtoField field;
    return reader.next(field) ? Claim::maybe : Claim::no;
  }
  return is_program(input, ~std::uint64_t{0}) ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  if (starts_like_parameters(source.view(0, 24))) return parameters(source, session);
  const std::uint64_t end = source.size().value_or(~std::uint64_t{0});
  ProtoInput input(source);
  if (!is_program(input, end)) return Reading::none;
  return Program(input, session).run(end);
}

} // namespace

extern const Format format_paddle;
const Format format_paddle{"paddle", "paddle", probe, scan, k_rules, "2.6.2"};

} // namespace hubgate

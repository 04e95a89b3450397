// MXNet: symbols (JSON) and parameters (.params). See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json_path.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/mxnet/op_names.hpp"
#include "scanner/generic/tensor_sample.hpp"

#include <array>
#include <set>

namespace hubgate {
namespace {

constexpr std::string_view k_atlas = "AML.T0011.000";
constexpr std::uint64_t k_list_magic = 0x112;
constexpr std::uint32_t k_array_v1 = 0xf993fac8;
constexpr std::uint32_t k_array_v2 = 0xf993fac9;
constexpr std::uint32_t k_array_v3 = 0xf993faca;
constexpr std::uint64_t k_max_arrays = 1 << 20;
constexpr std::uint64_t k_max_name = 4096;

constexpr std::array<Rule, 4> k_rules{{
    {"mxnet-native-op", "dangerous-call", Severity::malicious, Reach::load, "CWE-822", k_atlas,
     "RTF-009", "the operator's attribute is the address of a function in memory"},
    {"mxnet-custom-op", "unknown-call", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "RTF-009", "an operator that a Python program or a native library must bring"},
    {"mxnet-extent", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "RTF-009", "an array's description can't be true"},
    {"mxnet-library", "code", Severity::suspicious, Reach::load, "CWE-829", k_atlas, "RTF-009",
     "the symbol names a native library"},
}};
const Rule& k_native = k_rules[0];
const Rule& k_custom = k_rules[1];
const Rule& k_extent = k_rules[2];
const Rule& k_library = k_rules[3];

// enum TypeFlag: bytes of an element, 0 where there is none.
std::uint64_t size_of(std::int32_t type) {
  constexpr std::array<std::uint8_t, 13> k_sizes{4, 8, 2, 1, 4, 1, 8, 1, 2, 2, 4, 8, 2};
  return type >= 0 && static_cast<std::size_t>(type) < k_sizes.size()
             ? k_sizes[static_cast<std::size_t>(type)]
             : 0;
}

class Parameters {
public:
  Parameters(Source& source, Session& session)
      : source_(source), session_(session), size_(source.wait_end()), cursor_(source, 0, size_) {}
  Reading run();

private:
  std::optional<std::uint64_t> shape(std::uint32_t magic);
  bool array(std::uint64_t index);
  Reading broken(std::string_view why);

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  Cursor cursor_;
};

// The number of elements.
std::optional<std::uint64_t> Parameters::shape(std::uint32_t magic) {
  // Before V1 the magic itself is the number of dimensions, and those have 32 bits.
  const bool old = magic != k_array_v1 && magic != k_array_v2 && magic != k_array_v3;
  const auto count = old ? std::optional<std::uint32_t>(magic) : cursor_.le<std::uint32_t>();
  if (!count || *count > 32) return std::nullopt;
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto wide = old ? std::nullopt : cursor_.le<std::int64_t>();
    const auto narrow = old ? cursor_.le<std::uint32_t>() : std::nullopt;
    if ((!wide && !narrow) || (wide && *wide < 0)) return std::nullopt;
    const std::uint64_t length = wide ? static_cast<std::uint64_t>(*wide) : *narrow;
    if (__builtin_mul_overflow(elements, length, &elements)) return std::nullopt;
  }
  return *count == 0 ? 0 : elements;
}

// magic, [storage type, storage shape], shape, context, type, [aux], data, [aux data].
bool Parameters::array(std::uint64_t index) {
  const auto magic = cursor_.le<std::uint32_t>();
  if (!magic) return false;
  std::int32_t storage = 0;
  std::optional<std::uint64_t> stored;
  if (*magic == k_array_v2 || *magic == k_array_v3) {
    const auto type = cursor_.le<std::int32_t>();
    if (!type || *type < 0 || *type > 2) return false;
    storage = *type;
    if (storage != 0 && !(stored = shape(*magic))) return false;
  }
  const auto elements = shape(*magic);
  if (!elements) return false;
  if (*elements == 0 && *magic != k_array_v3) return true; // an array without anything ends here
  const auto device = cursor_.le<std::int32_t>();
  const auto number = cursor_.le<std::int32_t>();
  const auto type = cursor_.le<std::int32_t>();
  if (!device || !number || !type || size_of(*type) == 0) return false;
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(stored.value_or(*elements), size_of(*type), &bytes)) return false;
  std::uint64_t behind = 0;
  for (std::int32_t i = 0; i < storage; ++i) {
    const auto kind = cursor_.le<std::int32_t>();
    const auto count = shape(*magic);
    std::uint64_t more = 0;
    if (!kind || !count || __builtin_mul_overflow(*count, size_of(*kind), &more) ||
        __builtin_add_overflow(behind, more, &behind))
      return false;
  }
  if (index < k_sampled_tensors)
    sample_tensor(source_, session_, cursor_.position(), bytes,
                  *type == 0   ? Element::float32
                  : *type == 1 ? Element::float64
                  : *type == 2 ? Element::float16
                               : Element::other,
                  "array " + std::to_string(index));
  return cursor_.skip(bytes) && cursor_.skip(behind);
}

Reading Parameters::broken(std::string_view why) {
  session_.find(k_extent, cursor_.position(), 0, why);
  session_.gap(Reason::malformed, Reach::load, cursor_.position(),
               "the parameters can't be followed");
  return Reading::broken;
}

// u64 magic, u64 0, u64 arrays, the arrays, u64 names, each u64 length and text.
Reading Parameters::run() {
  cursor_.skip(16);
  const auto count = cursor_.le<std::uint64_t>();
  if (!count) return Reading::none;
  if (*count > k_max_arrays) return broken(std::to_string(*count) + " arrays");
  for (std::uint64_t i = 0; i < *count; ++i)
    if (!array(i)) return broken("array " + std::to_string(i) + " can't be true");
  const auto names = cursor_.le<std::uint64_t>();
  if (!names) {
    session_.gap(Reason::truncated, Reach::load, cursor_.position(),
                 "the bytes end before the names");
    return Reading::broken;
  }
  if (*names > *count) return broken(std::to_string(*names) + " names");
  for (std::uint64_t i = 0; i < *names; ++i) {
    const auto length = cursor_.le<std::uint64_t>();
    if (!length || *length > k_max_name || !cursor_.skip(*length)) return broken("a name is cut");
  }
  session_.ends_at(cursor_.position());
  return Reading::valid;
}

// nodes: {op, name, attrs (attr, param before 1.0), inputs}, arg_nodes, heads.
Reading symbol(Source& source, Session& session) {
  JsonPaths paths(source, 0, ~std::uint64_t{0}, {.dialect = JsonOptions::Dialect::python});
  struct Op {
    std::string name;
    std::uint64_t offset;
  };
  std::vector<Op> ops;
  std::vector<Op> libraries;
  std::string custom;
  bool heads = false;
  bool arguments = false;
  for (;;) {
    const JsonEvent event = paths.next();
    if (event == JsonEvent::end || event == JsonEvent::error) break;
    heads = heads || paths.path() == "heads[]";
    arguments = arguments || paths.path() == "arg_nodes[]";
    if (event != JsonEvent::string) continue;
    const std::string& path = paths.path();
    if (path == "nodes[].op") ops.push_back({paths.json().text(), paths.json().offset()});
    if (path.starts_with("nodes[].attr") || path.starts_with("nodes[].param")) {
      if (path.ends_with(".op_type")) custom = paths.json().text();
      if (path.ends_with(".library") || path.ends_with(".lib_path"))
        libraries.push_back({paths.json().text(), paths.json().offset()});
    }
  }
  if (ops.empty() || (!heads && !arguments)) return Reading::none;
  std::set<std::string> said;
  for (const auto& op: ops) {
    if (op.name == "null" || !said.insert(op.name).second) continue;
    if (op.name == "_Native" || op.name == "_NDArray" || op.name == "_CustomFunction")
      session.find(k_native, op.offset, op.name.size(), op.name);
    else if (op.name == "Custom" || op.name == "_npi_Custom")
      session.find(k_custom, op.offset, op.name.size(), "Custom, of the type " + custom);
    else if (!mxnet::is_registered(op.name))
      session.find(k_custom, op.offset, op.name.size(), op.name);
  }
  for (const auto& library: libraries)
    session.find(k_library, library.offset, library.name.size(), library.name);
  return Reading::valid;
}

bool is_parameters(Bytes head) {
  Reader reader(head);
  return reader.le<std::uint64_t>() == k_list_magic && reader.le<std::uint64_t>() == 0 &&
         reader.remaining() >= 8;
}

Claim probe(const Probe& probe) {
  if (is_parameters(probe.head)) return Claim::yes;
  const std::string_view head = as_text(probe.head);
  const auto first = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return first != std::string_view::npos && head[first] == '{' && holds(head, "\"nodes\"")
             ? Claim::maybe
             : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return is_parameters(source.view(0, 24)) ? Parameters(source, session).run()
                                           : symbol(source, session);
}

} // namespace

// A symbol is JSON: the base format reads it too.
extern const Format format_mxnet;
const Format format_mxnet{"mxnet", "json", probe, scan, k_rules, "1.9.1"};

} // namespace hubgate

#include "scanner/core/extents.hpp"
#include "scanner/core/path_kind.hpp"
#include "scanner/formats/onnx/model.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

namespace hubgate::onnx {

namespace {

constexpr std::size_t k_told = 5; ///< findings of one rule in one model
constexpr std::size_t k_max_extents = 1'000'000;
constexpr std::uint64_t k_long_element = 512;
constexpr std::uint64_t k_shortest_text = 16;
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 13> k_rules{{
    {"onnx-external-path", "traversal", Severity::malicious, Reach::load, "CWE-22", k_atlas,
     "ONX-001 ONX-004",
     "weights are to be read from, and written back to, a place outside of the model's folder"},
    {"onnx-external-extent", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "ONX-005", "the place of weights in another file is impossible, or not that of the tensor"},
    {"onnx-external-overlap", "structure", Severity::suspicious, Reach::load, "CWE-125",
     "AML.T0029", "ONX-005", "weights of two tensors overlap in another file"},
    {"onnx-external-key", "structure", Severity::suspicious, Reach::load, "CWE-915", k_atlas,
     "ONX-001", "an external tensor sets fields that no loader needs"},
    {"onnx-custom-operator", "unknown-class", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "ONX-006 ONX-008", "an operator that only a native library brought along can run"},
    {"onnx-python-operator", "dangerous-call", Severity::malicious, Reach::load, "CWE-829", k_atlas,
     "ONX-006 ONX-008", "an operator that calls Python code by its name"},
    {"onnx-compiled-context", "code", Severity::suspicious, Reach::load, "CWE-506", "AML.T0018.002",
     "ONX-007", "a compiled program for an accelerator, which nobody can read"},
    {"onnx-shadow-logic", "structure", Severity::suspicious, Reach::load, "CWE-506",
     "AML.T0018.001", "ONX-009 TFX-016",
     "the graph answers with a constant when the input passes a test: a backdoor's shape"},
    {"onnx-bomb", "bomb", Severity::suspicious, Reach::load, "CWE-770", "AML.T0029", "ONX-010",
     "a few bytes of the model ask for more memory than machines have"},
    {"onnx-recursion", "bomb", Severity::suspicious, Reach::load, "CWE-674", "AML.T0029", "ONX-010",
     "a function of the model calls itself"},
    {"onnx-tensor-size", "structure", Severity::suspicious, Reach::load, "CWE-131", "AML.T0076",
     "ONX-012", "a tensor's bytes do not fit its shape and type"},
    {"onnx-tensor-twofold", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "ONX-012", "a tensor has its values twice, and readers differ in which they take"},
    {"onnx-unknown-field", "structure", Severity::informational, Reach::data, "", "AML.T0076",
     "ONX-008", "bytes in the model that no reader of it looks at"},
}};

const Rule& k_path = k_rules[0];
const Rule& k_extent = k_rules[1];
const Rule& k_overlap = k_rules[2];
const Rule& k_key = k_rules[3];
const Rule& k_custom = k_rules[4];
const Rule& k_python = k_rules[5];
const Rule& k_context = k_rules[6];
const Rule& k_shadow = k_rules[7];
const Rule& k_bomb = k_rules[8];
const Rule& k_recursion = k_rules[9];
const Rule& k_tensor_size = k_rules[10];
const Rule& k_twofold = k_rules[11];
const Rule& k_unknown_field = k_rules[12];

// Domains whose operators onnx, ONNX Runtime and PyTorch's exporter bring themselves.
constexpr std::array<std::string_view, 12> k_domains{
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.microsoft.experimental",
    "com.microsoft.dml",
    "com.ms.internal.nhwc",
    "org.pytorch.aten",
};

// Keys of external_data: those of the specification, and ONNX Runtime's.
constexpr std::array<std::string_view, 5> k_keys{"location", "offset", "length", "checksum",
                                                 "basepath"};

// ONNX Runtime's mark for weights that are in memory already: the offset is an address there.
constexpr std::string_view k_memory_mark = "_ORT_MEM_ADDR_";

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || text.empty()) return std::nullopt;
  return value;
}

bool begins_like_container(std::string_view text) {
  return text.starts_with("PK\x03\x04") ||
         text.starts_with("\x7f"
                          "ELF") ||
         (text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5 &&
          (text[2] == '\x95' || text[2] == 'c' || text[2] == ']' || text[2] == '}' ||
           text[2] == '('));
}

} // namespace

std::span<const Rule> rules() {
  return k_rules;
}

unsigned bits_of(std::int64_t type) {
  constexpr std::array<std::uint8_t, 27> k_bits{
      0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4, 4, 8, 2, 2};
  return type >= 0 && type <= k_last_type ? k_bits[static_cast<std::size_t>(type)] : 0;
}

std::optional<std::uint64_t> Tensor::elements() const {
  std::uint64_t product = 1;
  for (const std::int64_t n: dims) {
    if (n < 0) return std::nullopt;
    const auto wide = static_cast<std::uint64_t>(n);
    if (wide != 0 && product > (std::uint64_t{1} << 56) / wide) return std::nullopt;
    product *= wide;
  }
  return product;
}

void Judge::tell(const Rule& rule, std::uint64_t offset, const std::string& evidence,
                 const FindOptions& options) {
  if (++told_[rule.id] <= k_told) session_.find(rule, offset, 0, evidence, options);
}

namespace {
// Git runs what lies there; whoever saves the model again writes it.
bool is_git_folder(std::string path) {
  for (char& c: path) {
    if (c == '\\') c = '/';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return path.starts_with(".git/") || path.find("/.git/") != std::string::npos;
}
} // namespace

void Judge::outside_path(std::string_view what, const std::string& path, std::uint64_t offset) {
  const PathKind kind = path_kind(path);
  if (path.find(k_memory_mark) != std::string::npos)
    tell(k_path, offset, std::string(what) + " " + quoted(path) + ", an address in memory");
  else if (kind != PathKind::plain)
    tell(k_path, offset,
         std::string(what) + " " + quoted(path) + ", which " + std::string(to_string(kind)));
  else if (is_git_folder(path))
    tell(k_path, offset, std::string(what) + " " + quoted(path) + ", which is Git's own");
  else
    session_.refer("file", offset, path);
}

void Judge::external(const Tensor& tensor) {
  const std::string* location = nullptr;
  std::optional<std::uint64_t> begin = 0;
  std::optional<std::uint64_t> length;
  bool has_length = false;
  if (session_.showing()) {
    std::string line = "tensor " + tensor.name + " lies outside:";
    for (const auto& [key, value]: tensor.external_data)
      line += " " + key + "=" + quoted(value.substr(0, 200));
    session_.show("node", tensor.offset, line);
  }
  for (const auto& [key, value]: tensor.external_data) {
    if (key == "location") {
      outside_path("tensor " + quoted(tensor.name) + " is in", value, tensor.offset);
      location = &value;
    } else if (key == "offset") {
      begin = number(value);
    } else if (key == "length") {
      length = number(value);
      has_length = true;
    } else if (std::find(k_keys.begin(), k_keys.end(), key) == k_keys.end() &&
               !key.starts_with("prepacked")) {
      tell(k_key, tensor.offset,
           "tensor " + quoted(tensor.name) + " sets " + quoted(key) + " to " + quoted(value));
    }
  }
  const auto refuse = [&](const std::string& why) {
    tell(k_extent, tensor.offset, "tensor " + quoted(tensor.name) + " " + why);
  };
  if (location == nullptr || location->empty()) return refuse("names no file");
  if (!begin || (has_length && !length)) return refuse("has an offset or length that is no number");
  const auto elements = tensor.elements();
  const unsigned bits = bits_of(tensor.type);
  if (!elements) return; // told as the tensor's own
  const std::uint64_t needed =
      bits == 0 ? 0 : *elements / 8 * bits + (*elements % 8 * bits + 7) / 8;
  if (length && bits != 0 && *length != needed)
    refuse("has " + std::to_string(*length) + " bytes and needs " + std::to_string(needed));
  const std::uint64_t size = length.value_or(needed);
  if (size > ~std::uint64_t{0} - *begin || *begin + size > (std::uint64_t{1} << 62))
    return refuse("lies at " + std::to_string(*begin));
  if (size == 0) return;
  if (++extent_count_ <= k_max_extents)
    extents_[*location].push_back({*begin, size, tensor.name.substr(0, 100)});
}

void Judge::tensor(const Tensor& tensor) {
  const std::string shown = "tensor " + quoted(tensor.name);
  const auto elements = tensor.elements();
  const unsigned bits = bits_of(tensor.type);
  if (!elements || *elements > (std::uint64_t{1} << 50))
    return tell(k_tensor_size, tensor.offset, shown + " has an impossible shape");
  if (tensor.type < 1 || tensor.type > k_last_type) {
    tell(k_tensor_size, tensor.offset,
         shown + " has the unknown type " + std::to_string(tensor.type));
  }
  if (tensor.external || !tensor.external_data.empty()) {
    external(tensor);
    if (tensor.raw_bytes || tensor.typed_fields > 0)
      tell(k_twofold, tensor.offset, shown + " is in another file and in the model");
    return;
  }
  if (tensor.typed_fields + (tensor.raw_bytes ? 1 : 0) > 1) {
    tell(k_twofold, tensor.offset, shown + " has its values in more than one field");
    return;
  }
  if (tensor.raw_bytes && bits != 0) {
    const std::uint64_t needed = *elements / 8 * bits + (*elements % 8 * bits + 7) / 8;
    if (*tensor.raw_bytes != needed)
      tell(k_tensor_size, tensor.offset,
           shown + " has " + std::to_string(*tensor.raw_bytes) + " bytes and needs " +
               std::to_string(needed));
  } else if (tensor.typed_fields == 1 && !tensor.typed_uncounted) {
    // Complex numbers are two; narrow ones may be packed several to a number.
    const std::uint64_t per = tensor.type == 14 || tensor.type == 15 ? 2 : 1;
    const bool packed = bits < 8 && bits != 0;
    const bool fits = tensor.typed_elements == *elements * per ||
                      (packed && tensor.typed_elements == (*elements * bits + 7) / 8);
    if (!fits)
      tell(k_tensor_size, tensor.offset,
           shown + " has " + std::to_string(tensor.typed_elements) + " values and needs " +
               std::to_string(*elements * per));
  } else if (!tensor.raw_bytes && tensor.typed_fields == 0 &&
             *elements > (std::uint64_t{1} << 28)) {
    tell(k_bomb, tensor.offset,
         shown + " has no bytes and asks for " + std::to_string(*elements) + " elements");
  }
  // Weights are not read; one that is a file of its own shows in its first bytes.
  if (tensor.raw_bytes && *tensor.raw_bytes >= 64) {
    const Bytes head = source_.view(tensor.raw_begin, 16);
    if (begins_like_container(as_text(head)) || starts_with(head, "MZ\x90")) {
      SubSource inner(source_, tensor.raw_begin, *tensor.raw_bytes);
      session_.embedded("tensor " + tensor.name, inner);
    }
  }
}

void Judge::context(const Node& node) {
  bool embedded = true;
  const Attribute* cache = nullptr;
  for (const Attribute& item: node.attributes) {
    if (item.name == "embed_mode" && item.has_i) embedded = item.i != 0;
    if (item.name == "ep_cache_context") cache = &item;
    if (item.name == "onnx_model_filename" && !item.s.empty())
      outside_path("a compiled model came from", item.s, item.offset);
  }
  if (cache == nullptr) return;
  if (!embedded) outside_path("a compiled program is in", cache->s, cache->offset);
  tell(k_context, node.offset,
       embedded ? "node " + quoted(node.name) + " holds " + std::to_string(cache->s_size) + " bytes"
                : "node " + quoted(node.name) + " loads " + quoted(cache->s.substr(0, 200)));
  if (embedded && cache->s_size >= k_shortest_text) {
    SubSource inner(source_, cache->s_begin, cache->s_size);
    session_.embedded("ep_cache_context", inner);
  }
}

void Judge::node(const Node& node) {
  const bool known = std::find(k_domains.begin(), k_domains.end(), node.domain) != k_domains.end();
  if (session_.showing() && (!known || node.op == "EPContext"))
    session_.show("operator", node.offset,
                  node.domain + (node.domain.empty() ? "" : ".") + node.op + "  " + node.name);
  if (node.op == "EPContext") context(node);
  if (node.op == "PyOp" || node.op.starts_with("PyCustomOp") || node.op == "PythonOp" ||
      node.op == "PythonOpGrad") {
    std::string call;
    for (const Attribute& item: node.attributes)
      if (item.name == "module" || item.name == "class_name" || item.name == "compute" ||
          item.name == "func_name" || item.name == "opcode")
        call += " " + item.name + "=" + quoted(item.s.substr(0, 100));
    tell(k_python, node.offset, node.domain + "::" + node.op + call);
    return;
  }
  if ((!known || node.op == "TritonOp") && custom_.size() < 4096)
    custom_.try_emplace({node.domain, node.op}, Custom{node.domain, node.op, node.offset});
}

void Judge::function(const std::string& domain, const std::string& name) {
  if (functions_.size() < 1'000'000) functions_.emplace(domain, name);
}

void Judge::structure(std::uint64_t offset, const std::string& evidence, bool informational) {
  FindOptions options;
  if (!informational) options.severity = Severity::suspicious;
  tell(k_unknown_field, offset, evidence, options);
}

void Judge::text(const std::string& name, std::string_view value, std::uint64_t offset,
                 bool element) {
  if (value.size() < k_shortest_text) return;
  if (element && value.size() < k_long_element && !begins_like_container(value)) return;
  // Exporters write the same stack trace beside thousands of nodes.
  if (texts_.size() < 1'000'000 && !texts_.insert(std::hash<std::string_view>()(value)).second)
    return;
  scan_text_value(session_, name, value, offset);
}

void Judge::long_text(const std::string& name, std::uint64_t begin, std::uint64_t size) {
  session_.gap(Reason::budget, Reach::data, begin, name + " is too long a text");
  SubSource inner(source_, begin, size);
  session_.embedded(name, inner);
}

void Judge::finish(Flow& flow) {
  for (const auto& [key, custom]: custom_)
    if (!functions_.contains(key))
      tell(k_custom, custom.offset, quoted(custom.domain) + "::" + custom.op);
  for (auto& [location, extents]: extents_) {
    std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.size < b.size;
    });
    std::uint64_t end = 0;
    const Extent* last = nullptr;
    Extents described;
    for (const Extent& extent: extents) {
      described.add(extent.begin, extent.size);
      // Tied weights are the same bytes; a part of another tensor's is not.
      const bool same = last != nullptr && last->begin == extent.begin && last->size == extent.size;
      if (last != nullptr && !same && extent.begin < end)
        tell(k_overlap, 0,
             quoted(last->name) + " and " + quoted(extent.name) + " in " + quoted(location));
      if (last == nullptr || extent.begin + extent.size > end) {
        end = extent.begin + extent.size;
        last = &extent;
      }
    }
    session_.refer("extent", 0, location + " " + std::to_string(end));
    if (const auto whole = described.whole(); whole && extent_count_ <= k_max_extents)
      session_.refer("described", ++described_, location + " " + std::to_string(*whole));
  }
  for (const FlowFinding& finding: flow.judge()) {
    const Rule& rule = finding.kind == FlowFinding::Kind::shadow ? k_shadow
                       : finding.kind == FlowFinding::Kind::bomb ? k_bomb
                                                                 : k_recursion;
    tell(rule, finding.offset, finding.evidence);
  }
}

} // namespace hubgate::onnx

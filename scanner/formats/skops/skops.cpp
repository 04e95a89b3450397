// schema.json of skops archives (skops/io): a tree of nodes, each with the loader that rebuilds it
// and the module and class that it names. A refinement of JSON; the archive itself is zip. See
// README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/pickle/names.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

namespace hubgate {
namespace {

constexpr std::size_t k_told = 20;
constexpr std::uint32_t k_max_depth = 1000; ///< of JSON; skops recurses, so Python stops before
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 6> k_rules{{
    {"skops-operator-node", "dangerous-call", Severity::malicious, Reach::load, "CWE-502", k_atlas,
     "JNP-014",
     "a node that calls a function of Python's operator module whatever module it claims to be of"},
    {"skops-method-node", "dangerous-call", Severity::malicious, Reach::load, "CWE-502", k_atlas,
     "JNP-014",
     "a node that fetches attributes of what it loads, past the check of what is trusted"},
    {"skops-dangerous-type", "dangerous-import", Severity::malicious, Reach::load, "CWE-502",
     k_atlas, "JNP-014", "a type or function that runs code or reaches the system"},
    {"skops-unknown-type", "unknown-class", Severity::suspicious, Reach::load, "CWE-502", k_atlas,
     "JNP-014", "a type or function that is not known to be harmless"},
    {"skops-unknown-loader", "unknown-call", Severity::suspicious, Reach::load, "CWE-502", k_atlas,
     "JNP-014", "a loader that skops does not have"},
    {"skops-duplicate-key", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "JNP-014", "a node has a key twice, so what is checked and what is loaded may differ"},
}};

const Rule& k_operator = k_rules[0];
const Rule& k_method = k_rules[1];
const Rule& k_dangerous = k_rules[2];
const Rule& k_unknown_type = k_rules[3];
const Rule& k_unknown_loader = k_rules[4];
const Rule& k_duplicate = k_rules[5];

// NODE_TYPE_MAPPING of skops 0.1 to 0.16.
constexpr std::array<std::string_view, 28> k_loaders{
    "BytearrayNode",   "BytesNode",       "CachedNode",         "ConstructorFromReduceNode",
    "DTypeNode",       "DefaultDictNode", "DictNode",           "FunctionNode",
    "JsonNode",        "ListNode",        "LossNode",           "MaskedArrayNode",
    "MethodNode",      "NdArrayNode",     "ObjectNode",         "OperatorFuncNode",
    "OrderedDictNode", "PartialNode",     "QuantileForestNode", "RandomGeneratorNode",
    "RandomStateNode", "SetNode",         "SliceNode",          "SparseMatrixNode",
    "TreeNode",        "TupleNode",       "TypeNode",           "SklearnNode"};

// What skops itself trusts beyond what pickles of honest models name: containers, numbers, numpy's
// and scipy's universal functions.
constexpr std::array<std::string_view, 22> k_plain{"builtins.int",
                                                   "builtins.float",
                                                   "builtins.str",
                                                   "builtins.bool",
                                                   "builtins.list",
                                                   "builtins.set",
                                                   "builtins.map",
                                                   "builtins.tuple",
                                                   "builtins.dict",
                                                   "builtins.bytes",
                                                   "builtins.bytearray",
                                                   "builtins.slice",
                                                   "builtins.complex",
                                                   "builtins.NoneType",
                                                   "builtins.frozenset",
                                                   "builtins.type",
                                                   "functools.partial",
                                                   "collections.defaultdict",
                                                   "collections.OrderedDict",
                                                   "numpy.random.mtrand.RandomState",
                                                   "numpy.random._generator.Generator",
                                                   "numpy.dtype"};

constexpr std::string_view k_ufuncs =
    " abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and "
    "bitwise_not "
    "bitwise_or bitwise_xor cbrt ceil clip conj conjugate copysign cos cosh deg2rad degrees divide "
    "divmod equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod frexp gcd "
    "greater greater_equal heaviside hypot invert isfinite isinf isnan isnat lcm ldexp left_shift "
    "less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or "
    "logical_xor matmul maximum minimum mod modf multiply negative nextafter not_equal positive "
    "power rad2deg radians reciprocal remainder right_shift rint sign signbit sin sinh spacing "
    "sqrt "
    "square subtract tan tanh true_divide trunc float64 float32 float16 int64 int32 int16 int8 "
    "uint64 uint32 uint16 uint8 bool bool_ complex64 complex128 str_ bytes_ ndarray longdouble "
    "datetime64 timedelta64 intc uintc longlong ulonglong object_ void mean median nanmean "
    "nanmedian std var sum min max ";

bool is_plain(std::string_view module, std::string_view name) {
  const std::string full = std::string(module) + "." + std::string(name);
  if (std::find(k_plain.begin(), k_plain.end(), full) != k_plain.end()) return true;
  if (module == "numpy" || module == "numpy.random" || module == "numpy.ma")
    return k_ufuncs.find(" " + std::string(name) + " ") != std::string_view::npos ||
           name == "MT19937" || name == "PCG64" || name == "PCG64DXSM" || name == "Philox" ||
           name == "SFC64" || name == "MaskedArray";
  return module == "scipy.special._special_ufuncs" || module == "scipy.special._ufuncs";
}

struct Node {
  std::string loader;
  std::string module;
  std::string name;
  std::string function;    ///< of a content: the function or method that it names
  std::string module_path; ///< and the module
  std::uint64_t offset = 0;
  bool has_loader = false;
};

class Scan {
public:
  Scan(Source& source, Session& session, std::uint64_t size)
      : session_(session), in_(source, 0, size, {JsonOptions::Dialect::python, k_max_depth}) {}
  Reading run();

private:
  void close(const Node& node, Node* parent);
  void judge(const Node& node);
  void type(const Node& node, std::string_view module, std::string_view name);
  void tell(const Rule& rule, const Node& node, const std::string& evidence) {
    if (++told_[rule.id] <= k_told) session_.find(rule, node.offset, 0, evidence);
  }

  Session& session_;
  JsonReader in_;
  std::vector<Node> open_;
  std::vector<Node> nodes_; ///< held until the text is known to be a schema
  std::map<std::string_view, std::size_t> told_;
};

void Scan::type(const Node& node, std::string_view module, std::string_view name) {
  if (module.empty() && name.empty()) return;
  if (is_plain(module, name)) return;
  const pickle::Verdict verdict = pickle::judge_name(module, name);
  const std::string shown = node.loader + " " + std::string(module) + "." + std::string(name);
  if (verdict.standing == pickle::Standing::dangerous)
    tell(k_dangerous, node, shown + ", which " + std::string(verdict.effect));
  else if (verdict.standing != pickle::Standing::allowed)
    tell(k_unknown_type, node, shown);
}

void Scan::judge(const Node& node) {
  const std::string shown = node.module + "." + node.name;
  if (node.loader == "OperatorFuncNode") {
    // getattr(operator, class)(*attributes): itemgetter is what honest code holds.
    const bool honest =
        (node.module == "operator" || node.module == "_operator") && node.name == "itemgetter";
    if (!honest) tell(k_operator, node, "OperatorFuncNode calls operator." + node.name);
    return;
  }
  if (node.loader == "MethodNode") {
    tell(k_method, node,
         "MethodNode of " + shown +
             (node.function.empty() ? "" : " fetches \"" + node.function + "\""));
    return;
  }
  if (std::find(k_loaders.begin(), k_loaders.end(), node.loader) == k_loaders.end())
    tell(k_unknown_loader, node, node.loader + " for " + shown);
  type(node, node.module, node.name);
  if (!node.function.empty() && (node.function != node.name || node.module_path != node.module))
    type(node, node.module_path.empty() ? node.module : node.module_path, node.function);
}

// An object of the JSON ends: a node of its own, or the content of the one around it.
void Scan::close(const Node& node, Node* parent) {
  if (node.has_loader) {
    nodes_.push_back(node);
  } else if (parent != nullptr) {
    if (parent->function.empty()) parent->function = node.function;
    if (parent->module_path.empty()) parent->module_path = node.module_path;
  }
}

Reading Scan::run() {
  std::string key;
  for (JsonEvent event = in_.next();; event = in_.next()) {
    if (event == JsonEvent::end) break;
    if (event == JsonEvent::error) {
      if (nodes_.empty() || in_.failure() != JsonFailure::limit) return Reading::none;
      session_.gap(Reason::budget, Reach::load, in_.position(), "the schema nests too deep");
      break;
    }
    switch (event) {
    case JsonEvent::object_begin:
      open_.push_back({});
      open_.back().offset = in_.offset();
      break;
    case JsonEvent::object_end: {
      const Node node = std::move(open_.back());
      open_.pop_back();
      close(node, open_.empty() ? nullptr : &open_.back());
      if (nodes_.size() % 4096 == 4095 && !session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::load, in_.position(), "out of time");
        return Reading::broken;
      }
      break;
    }
    case JsonEvent::key:
      key = in_.text();
      break;
    case JsonEvent::string: {
      if (open_.empty()) break;
      Node& node = open_.back();
      if (key == "__loader__") {
        node.loader = in_.text();
        node.has_loader = true;
      } else if (key == "__module__") {
        node.module = in_.text();
      } else if (key == "__class__") {
        node.name = in_.text();
      } else if (key == "func" || key == "function") {
        node.function = in_.text();
      } else if (key == "module_path") {
        node.module_path = in_.text();
      }
      break;
    }
    default:
      break;
    }
  }
  if (nodes_.empty()) return Reading::none;
  for (const Node& node: nodes_)
    judge(node);
  if (in_.duplicates() > 0)
    session_.find(k_duplicate, in_.first_duplicate(), 0,
                  std::to_string(in_.duplicates()) + " keys stand twice in their node");
  return in_.failure() == JsonFailure::none ? Reading::valid : Reading::broken;
}

Claim probe(const Probe& probe) {
  return holds(as_text(probe.head), "\"__loader__\"") ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session, source.wait_end()).run();
}

} // namespace

extern const Format format_skops;
const Format format_skops{.name = "skops",
                          .family = "json",
                          .probe = probe,
                          .scan = scan,
                          .rules = k_rules,
                          .data_version = pickle::k_names_version};

} // namespace hubgate

#include "scanner/formats/keras_config/judge.hpp"

#include "scanner/code/marshal/marshal.hpp"
#include "scanner/code/python/bytecode.hpp"
#include "scanner/formats/keras_config/names.hpp"
#include "scanner/formats/keras_config/rules.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <map>

namespace hubgate::keras {
namespace {

using Kind = Tree::Kind;

constexpr std::size_t k_told = 30;
constexpr std::size_t k_least_code = 8; ///< bytes of base64: shorter is a name

bool is_any(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// What serialization_lib writes for Python values that JSON has not.
bool is_plain_value(std::string_view name) {
  return is_any(name,
                {"__tuple__", "__bytes__", "__numpy__", "__ndarray__", "__tensor__", "__ellipsis__",
                 "__slice__", "__complex__", "__set__", "__none__", "__keras_tensor__"});
}

// The same as older releases wrote them, which are looked up like classes.
bool is_old_plain_value(std::string_view module, std::string_view name) {
  return (module.empty() || is_any(module, {"builtins", "numpy", "__main__"})) &&
         is_any(name, {"ndarray", "Ellipsis", "slice"});
}

bool is_base64(std::string_view text) {
  return text.size() >= k_least_code && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/' || c == '=' || c == '-' || c == '_' || c == '\n' ||
                  c == '\r' || c == ' ';
         });
}

std::string from_base64(std::string_view text) {
  std::string out;
  std::uint32_t value = 0;
  unsigned bits = 0;
  for (const char c: text) {
    int digit = -1;
    if (c >= 'A' && c <= 'Z') digit = c - 'A';
    if (c >= 'a' && c <= 'z') digit = c - 'a' + 26;
    if (c >= '0' && c <= '9') digit = c - '0' + 52;
    if (c == '+' || c == '-') digit = 62;
    if (c == '/' || c == '_') digit = 63;
    if (digit < 0) continue;
    value = value << 6 | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(value >> bits & 0xff);
  }
  return out;
}

bool is_url(std::string_view text) {
  const std::size_t colon = text.find("://");
  return colon != std::string_view::npos && colon > 0 && colon < 12;
}

// A path that leads out of the folder that the model lies in.
bool is_outside(std::string_view path) {
  if (is_url(path) || path.starts_with('/') || path.starts_with('~') || path.starts_with('\\'))
    return true;
  if (path.size() > 2 && path[1] == ':' && (path[2] == '\\' || path[2] == '/')) return true;
  std::size_t at = 0;
  while (at <= path.size()) {
    const std::size_t end = std::min(path.find_first_of("/\\", at), path.size());
    if (path.substr(at, end - at) == "..") return true;
    at = end + 1;
  }
  return false;
}

class Judge {
public:
  Judge(const Tree& tree, Session& session) : tree_(tree), session_(session) {}
  void run();

private:
  void find(const Rule& rule, std::uint32_t at, std::string_view evidence,
            const FindOptions& options = {}) {
    if (++told_[rule.id] > k_told) return;
    session_.find(rule, tree_.node(at).offset, 0, evidence, options);
  }
  void object(std::uint32_t at);
  void show(std::uint32_t at, std::uint32_t config);
  void named(std::uint32_t at, std::string_view module, std::string_view name);
  void function(std::uint32_t at, std::string_view module, std::string_view name,
                std::string_view registered);
  void report(std::uint32_t at, const Judgement& judgement, std::string_view module,
              std::string_view name, std::string_view registered);
  void lambda_layer(std::uint32_t at, std::uint32_t config);
  void lambda_value(std::uint32_t at, std::uint32_t value);
  void code(std::uint32_t at, std::string_view text);
  void torch_module(std::uint32_t at, std::uint32_t config);
  void paths(std::uint32_t config);
  void name_of(std::uint32_t at, std::uint32_t config);
  void texts(std::uint32_t at);

  const Tree& tree_;
  Session& session_;
  std::map<std::string_view, std::size_t> told_;
};

void Judge::code(std::uint32_t at, std::string_view text) {
  const std::string bytes = from_base64(text);
  const marshal::Object object = marshal::read_any(as_bytes(bytes));
  if (object.codes.empty()) {
    // No bytecode that any Python reads; a loader that decodes it otherwise would still run it.
    MemorySource inner(as_bytes(bytes));
    session_.embedded("lambda@" + std::to_string(tree_.node(at).offset), inner);
    find(k_lambda, at, "a Lambda whose code is not readable: " + std::string(text.substr(0, 80)));
    return;
  }
  const marshal::Listing listing = marshal::list(as_bytes(bytes), object);
  const marshal::Danger danger = marshal::find_danger(listing);
  std::string evidence;
  if (!danger.effect.empty()) evidence = danger.text + " " + std::string(danger.effect) + "; ";
  evidence += "Python " + std::to_string(listing.version / 100) + "." +
              std::to_string(listing.version % 100) + " " + listing.text;
  FindOptions options;
  if (!danger.effect.empty()) options.klass = "dangerous-call";
  find(k_lambda, at, evidence, options);
  python::Unit unit;
  unit.kind = python::UnitKind::weights;
  unit.offset = tree_.node(at).offset;
  unit.title = "bytecode of a Lambda";
  const python::Summary summary =
      python::analyse_bytecode(as_bytes(bytes), object, unit, session_, listing.version);
  if (!summary.complete && listing.version >= 306)
    session_.gap(Reason::unsupported, Reach::load, unit.offset,
                 "bytecode of a Lambda that can't be followed in full");
  constexpr std::size_t k_strings = 64;
  for (std::size_t i = 0; i < std::min(listing.strings.size(), k_strings); ++i)
    if (listing.strings[i].size() >= 16)
      scan_text_value(session_, "constant", listing.strings[i], tree_.node(at).offset);
}

// What stands for a function in a Lambda: bytecode as text, as a list of legacy files or as an
// object, or the name of a function.
void Judge::lambda_value(std::uint32_t at, std::uint32_t value) {
  if (tree_.is(value, Kind::object)) {
    // A tuple, as TensorFlow writes it; other objects are judged as such.
    if (tree_.get_text(value, "class_name") != "__tuple__") return;
    value = tree_.get(value, "items");
    if (value == k_none) return;
  }
  std::uint32_t text = value;
  if (tree_.is(value, Kind::list)) text = tree_.node(value).first;
  if (!tree_.is(text, Kind::text)) return;
  const std::string_view content = tree_.text(text);
  if (tree_.is(value, Kind::list)) {
    code(at, content);
  } else if (is_base64(content) &&
             !marshal::read_any(as_bytes(from_base64(content))).codes.empty()) {
    code(at, content);
  } else if (content.find_first_of("( \n") != std::string_view::npos) {
    find(k_text, at, content);
    python::Unit unit;
    unit.kind = python::UnitKind::weights;
    unit.offset = tree_.node(text).offset;
    unit.verbatim = false;
    unit.title = "text of a Lambda";
    python::analyse_python(content, unit, session_);
  } else {
    find(k_lambda_named, at, content);
  }
}

void Judge::lambda_layer(std::uint32_t at, std::uint32_t config) {
  for (const std::string_view key: {"function", "output_shape", "mask"}) {
    const std::uint32_t value = tree_.get(config, key);
    if (value == k_none) continue;
    const bool shape = key != "function";
    // A shape is a list of numbers; as code it is said to be a lambda, or begins with text.
    if (shape && tree_.is(value, Kind::list) && !tree_.is(tree_.node(value).first, Kind::text))
      continue;
    if (shape && tree_.is(value, Kind::text) &&
        !is_any(tree_.get_text(config, std::string(key) + "_type"), {"lambda", "function"}))
      continue;
    lambda_value(at, value);
    if (tree_.is(value, Kind::object) && tree_.get_text(value, "class_name") == "function")
      find(k_lambda_named, at,
           std::string(tree_.get_text(value, "module")) + "." +
               std::string(tree_.get_text(value, "config")));
  }
  if (const std::string_view module = tree_.get_text(config, "module");
      !module.empty() && module != "__main__" && !is_keras_module(module))
    session_.refer("import", tree_.node(at).offset, module);
}

void Judge::torch_module(std::uint32_t at, std::uint32_t config) {
  const std::uint32_t module = tree_.get(config, "module");
  std::string_view text = tree_.is(module, Kind::text) ? tree_.text(module) : std::string_view{};
  if (tree_.is(module, Kind::object)) text = tree_.get_text(tree_.get(module, "config"), "value");
  find(k_torch, at, "TorchModuleWrapper of " + std::to_string(text.size()) + " characters");
  if (text.empty()) return;
  const std::string bytes = from_base64(text);
  MemorySource inner(as_bytes(bytes));
  session_.embedded("torch module@" + std::to_string(tree_.node(at).offset), inner);
}

void Judge::paths(std::uint32_t config) {
  for (const std::string_view key: {"vocabulary", "idf_weights", "merges", "filepath", "file_path",
                                    "vocabulary_path", "vocab_file", "proto"}) {
    const std::uint32_t value = tree_.get(config, key);
    if (!tree_.is(value, Kind::text)) continue;
    const std::string_view path = tree_.text(value);
    constexpr std::size_t k_longest_path = 1024; // a SentencePiece model in base64 is no path
    if (path.empty() || path.size() > k_longest_path) continue;
    session_.refer(is_url(path) ? "url" : "file", tree_.node(value).offset, path);
    FindOptions options;
    if (is_outside(path)) options.severity = Severity::malicious;
    find(k_file, value, std::string(key) + " = " + std::string(path), options);
  }
}

void Judge::name_of(std::uint32_t at, std::uint32_t config) {
  const std::string_view name = tree_.get_text(config, "name");
  if (name.empty()) return;
  // "conv1/bn" is usual; what climbs, or is absolute, is not.
  const bool climbs = is_outside(name) && !is_url(name);
  if (climbs || name.find('\\') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos)
    find(k_traversal, at, name);
}

void Judge::report(std::uint32_t at, const Judgement& judgement, std::string_view module,
                   std::string_view name, std::string_view registered) {
  std::string what(module);
  if (!what.empty()) what += '.';
  what += name;
  if (!registered.empty() && registered != name)
    what += " registered as " + std::string(registered);
  if (!judgement.effect.empty()) what += " " + std::string(judgement.effect);
  switch (judgement.standing) {
  case Standing::allowed:
    return;
  case Standing::custom:
    find(k_custom, at, what);
    if (!module.empty() && module != "builtins" && module != "__main__" && !is_keras_module(module))
      session_.refer("import", tree_.node(at).offset, module);
    return;
  case Standing::unknown:
    find(k_unknown, at, what);
    return;
  case Standing::gadget:
    find(k_gadget, at, what);
    return;
  case Standing::foreign:
    find(k_unknown, at, what);
    session_.refer("import", tree_.node(at).offset, module);
    return;
  case Standing::dangerous:
    find(k_import, at, what);
    return;
  }
}

void Judge::function(std::uint32_t at, std::string_view module, std::string_view name,
                     std::string_view registered) {
  if (registered.find('>') != std::string_view::npos) name = registered;
  report(at, judge_function(module, name), module, name, registered);
}

void Judge::named(std::uint32_t at, std::string_view module, std::string_view name) {
  const std::uint32_t config = tree_.get(at, "config");
  const std::string_view registered = tree_.get_text(at, "registered_name");
  if (name == "__lambda__") {
    const std::uint32_t value = tree_.get(config, "code");
    if (tree_.is(value, Kind::text))
      code(at, tree_.text(value));
    else
      find(k_lambda, at, "a lambda without code");
    return;
  }
  if (name == "function") {
    const std::uint32_t inner = tree_.get(config, "name");
    const std::string_view called = tree_.is(config, Kind::text) ? tree_.text(config)
                                    : inner != k_none            ? tree_.text(inner)
                                                                 : std::string_view{};
    return function(at, module, called, registered);
  }
  if (is_plain_value(name) || is_old_plain_value(module, name)) return;
  // The class of a TypeSpec stands under a key of its own.
  if (name == "__typespec__") {
    const std::string_view spec = tree_.get_text(at, "spec_name");
    const bool known = module.empty() || is_keras_module(module) || module == "tensorflow" ||
                       module.starts_with("tensorflow.");
    if (!known) report(at, judge_class(module, spec, registered), module, spec, registered);
    return;
  }
  const std::string_view bare =
      name.find('>') == std::string_view::npos ? name : name.substr(name.find('>') + 1);
  if (bare == "Lambda") {
    if (!tree_.is(config, Kind::object))
      find(k_lambda, at, "a Lambda layer without a configuration");
    return lambda_layer(at, config);
  }
  if (bare == "TorchModuleWrapper") return torch_module(at, config);
  if (bare == "TFSMLayer") {
    const std::string_view path = tree_.get_text(config, "filepath");
    FindOptions options;
    if (is_outside(path)) options.severity = Severity::malicious;
    session_.refer(is_url(path) ? "url" : "file", tree_.node(at).offset, path);
    find(k_model, at, "TFSMLayer of " + std::string(path), options);
    return;
  }
  if (is_any(bare, {"JaxLayer", "FlaxLayer", "ModuleWrapper"})) {
    find(k_foreign, at, bare);
    return;
  }
  if (is_any(bare, {"TFOpLambda", "SlicingOpLambda"})) {
    const std::string_view symbol = tree_.get_text(config, "function");
    const Judgement judgement = judge_symbol(symbol);
    if (judgement.standing == Standing::gadget)
      find(k_tensorflow, at, std::string(symbol) + " " + std::string(judgement.effect));
    else if (judgement.standing == Standing::unknown)
      find(k_unknown, at, "TensorFlow's " + std::string(symbol));
    return;
  }
  if (bare == "ClassMethod") {
    // A method of a class that TensorFlow exports under this name.
    const std::string_view symbol = tree_.get_text(config, "cls_symbol");
    if (judge_symbol(symbol).standing == Standing::gadget)
      find(k_tensorflow, at,
           std::string(symbol) + "." + std::string(tree_.get_text(config, "fn_name")) +
               " touches files, processes or Python");
    return;
  }
  if (is_any(bare, {"InstanceMethod", "InstanceProperty"})) return;
  report(at, judge_class(module, name, registered), module, name, registered);
}

// "Dense "d" of keras.layers, registered as package>Dense".
void Judge::show(std::uint32_t at, std::uint32_t config) {
  std::string line(tree_.get_text(at, "class_name"));
  if (const auto name = tree_.get_text(config, "name"); !name.empty())
    line += " \"" + std::string(name) + "\"";
  if (const auto module = tree_.get_text(at, "module"); !module.empty())
    line += " of " + std::string(module);
  if (const auto registered = tree_.get_text(at, "registered_name"); !registered.empty())
    line += ", registered as " + std::string(registered);
  if (tree_.is(config, Kind::text)) line += ": " + std::string(tree_.text(config));
  session_.show("layer", tree_.node(at).offset, line);
}

void Judge::object(std::uint32_t at) {
  // With duplicates, every class under every module.
  std::vector<std::uint32_t> classes;
  std::vector<std::uint32_t> modules;
  constexpr std::size_t k_most = 4;
  for (std::uint32_t child = tree_.node(at).first; child != k_none;
       child = tree_.node(child).next) {
    if (!tree_.is(child, Kind::text)) continue;
    if (tree_.key(child) == "class_name" && classes.size() < k_most) classes.push_back(child);
    if (tree_.key(child) == "module" && modules.size() < k_most) modules.push_back(child);
  }
  const std::uint32_t config = tree_.get(at, "config");
  if (classes.empty()) return;
  if (session_.showing()) show(at, config);
  for (const std::uint32_t name: classes) {
    if (modules.empty()) named(at, {}, tree_.text(name));
    for (const std::uint32_t module: modules)
      named(at, tree_.text(module), tree_.text(name));
  }
  paths(config);
  name_of(at, config);
}

// Texts that act wherever they stand.
void Judge::texts(std::uint32_t at) {
  const std::string_view text = tree_.text(at);
  if (text.find("enable_unsafe_deserialization") != std::string_view::npos)
    find(k_switch, at, text);
  // fn_module and the like: a module by itself.
  const std::string_view key = tree_.key(at);
  if (key.ends_with("_module") && !is_keras_module(text) && text != "builtins" && !text.empty() &&
      text.find_first_of("/ ") == std::string_view::npos) {
    const Judgement judgement = judge_class(text, "*", {});
    if (judgement.standing == Standing::dangerous) find(k_import, at, text);
  }
}

void Judge::run() {
  if (tree_.duplicates() != 0)
    session_.find(k_duplicate, tree_.first_duplicate(), 0,
                  std::to_string(tree_.duplicates()) + " keys appear again in their object");
  for (std::uint32_t at = 0; at < tree_.size(); ++at) {
    if (tree_.node(at).kind == Kind::object) object(at);
    if (tree_.node(at).kind == Kind::text) texts(at);
  }
}

} // namespace

bool is_keras(const Tree& tree) {
  if (tree.size() == 0) return false;
  if (tree.get(0, "class_name") != k_none && tree.get(0, "config") != k_none) return true;
  for (std::uint32_t at = 0; at < tree.size(); ++at) {
    if (tree.node(at).kind != Kind::object) continue;
    const std::string_view name = tree.get_text(at, "class_name");
    if (name.empty()) continue;
    const bool shaped = tree.get(at, "config") != k_none;
    const std::string_view module = tree.get_text(at, "module");
    if (shaped && (is_keras_module(module) || is_known_class(name) || name == "Lambda" ||
                   name == "__lambda__" || tree.get(at, "registered_name") != k_none))
      return true;
  }
  return false;
}

void judge(const Tree& tree, Session& session) {
  Judge(tree, session).run();
}

} // namespace hubgate::keras

// The listing of code objects: a walk over the bytecode with a stack of expressions as text. Jumps
// are not followed; where the stack is unknown the walk goes on with an empty one. Good enough to
// read `os.system('id')` out of what attackers write; the names of the code are judged besides.
#include "scanner/code/marshal/decompile.hpp"
#include "scanner/code/marshal/marshal.hpp"
#include "scanner/code/marshal/opcodes.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/formats/pickle/names.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace hubgate::marshal {
namespace {

constexpr std::size_t k_expression = 160; ///< bytes of one expression's text
constexpr std::size_t k_stack = 64;
constexpr std::size_t k_text = 4000;
constexpr std::size_t k_instructions = 200'000; ///< of one listing
constexpr std::size_t k_codes = 2'000;
constexpr std::size_t k_string = std::size_t{1} << 20;

bool is_text_type(std::uint8_t type) {
  return std::string_view("utaAzZs").find(static_cast<char>(type)) != std::string_view::npos;
}

/// An expression of the walk: its text, and the dotted path if it is one that begins with a name.
struct Expression {
  std::string text;
  std::string path;
};

using OpMap = std::array<Op, 256>;

OpMap expand(const Table& table) {
  OpMap map{};
  for (std::size_t i = 0; i < map.size(); ++i)
    map[i] = (table.defined[i / 64] >> (i % 64) & 1) != 0 ? Op::other : Op::undefined;
  for (const Row& row: table.rows)
    map[row.number] = row.op;
  return map;
}

Layout layout_of(int version) {
  return version < 300   ? Layout::python27
         : version < 308 ? Layout::python36
         : version < 311 ? Layout::python38
                         : Layout::python311;
}

class Lister {
public:
  Lister(Bytes input, const Object& object) : input_(input), object_(object) {}
  Listing run(int version);
  int guess_version() const;
  std::size_t misfits(int version) const;

private:
  std::string_view raw(std::uint32_t node) const;
  std::string quoted(std::string_view text) const;
  std::string constant(std::uint32_t node, int depth = 0) const;
  std::string item_name(std::uint32_t tuple, std::uint32_t index) const;
  std::uint32_t item(std::uint32_t tuple, std::uint32_t index) const;
  void walk(const Code& code);
  void step(const Code& code, Op op, std::uint32_t argument);
  void collect(const Code& code);
  bool first_loaded_ = false; ///< the first constant, by an instruction

  void push(Expression expression) {
    if (stack_.size() >= k_stack) stack_.erase(stack_.begin());
    if (expression.text.size() > k_expression) expression.text.resize(k_expression);
    if (expression.path.size() > k_expression) expression.path.clear();
    stack_.push_back(std::move(expression));
  }
  Expression pop() {
    if (stack_.empty()) return {"?", {}};
    Expression top = std::move(stack_.back());
    stack_.pop_back();
    return top;
  }
  void load_name(const std::string& name);
  void attribute(const std::string& name);
  void bind(const std::string& name);
  void call(const Code& code, std::size_t arguments, bool has_null);
  void note(const Code& code, const std::string& path, const std::string& text);

  Bytes input_;
  const Object& object_;
  OpMap map_{};
  int version_ = 0;
  Listing out_;
  std::set<std::string> names_;
  std::vector<Expression> stack_;
  std::map<std::string, std::string> aliases_; ///< what a name was bound to by an import
  std::map<std::string, std::string> locals_;  ///< the same of the code object that is walked
  std::size_t instructions_ = 0;
};

std::string_view Lister::raw(std::uint32_t node) const {
  if (node == k_no_node) return {};
  const Node& at = object_.nodes[node];
  if (!is_text_type(at.type)) return {};
  return as_text(input_.subspan(at.begin, at.size));
}

std::uint32_t Lister::item(std::uint32_t tuple, std::uint32_t index) const {
  if (tuple == k_no_node) return k_no_node;
  const Node& at = object_.nodes[tuple];
  return index < at.count ? object_.links[at.first + index] : k_no_node;
}

std::string Lister::item_name(std::uint32_t tuple, std::uint32_t index) const {
  const std::string name(raw(item(tuple, index)).substr(0, k_expression));
  return name.empty() ? "?" : name;
}

std::string Lister::quoted(std::string_view text) const {
  std::string out = "'";
  out += text.substr(0, k_expression);
  if (text.size() > k_expression) out += "…";
  return out + "'";
}

std::string Lister::constant(std::uint32_t node, int depth) const {
  if (node == k_no_node) return "?";
  const Node& at = object_.nodes[node];
  switch (at.type) {
  case 'N':
    return "None";
  case 'T':
    return "True";
  case 'F':
    return "False";
  case '.':
    return "...";
  case 'i': {
    Reader reader(input_.subspan(at.begin, at.size));
    return std::to_string(reader.le<std::int32_t>().value_or(0));
  }
  case 'I':
  case 'l':
    return "…";
  case 'g':
  case 'f':
  case 'x':
  case 'y':
    return "0.0";
  case 'c':
    return "<code " + std::string(raw(object_.codes[at.begin].name).substr(0, 80)) + ">";
  default:
    break;
  }
  if (is_text_type(at.type)) {
    const bool bytes = at.type == 's' && object_.layout != Layout::python27;
    return (bytes ? "b" : "") + quoted(raw(node));
  }
  std::string out = "(";
  constexpr std::uint32_t k_items = 8;
  for (std::uint32_t i = 0; i < std::min(at.count, k_items) && depth < 2; ++i)
    out += (i == 0 ? "" : ", ") + constant(object_.links[at.first + i], depth + 1);
  return out + (at.count > k_items || depth >= 2 ? ", …)" : ")");
}

// Until 3.9 jumps count bytes, in 3.10 units of two; its table of lines covers all of the bytecode,
// the older ones stop where the last line begins. How much speaks against a version.
std::size_t Lister::misfits(int version) const {
  if (layout_of(version) != Layout::python38) return 0;
  std::size_t out = 0;
  std::size_t seen = 0;
  for (const Code& code: object_.codes) {
    const std::string_view bytes = raw(code.bytecode);
    const std::string_view lines = raw(code.lines);
    std::size_t covered = 0;
    for (std::size_t i = 0; i < lines.size(); i += 2)
      covered += static_cast<std::uint8_t>(lines[i]);
    if ((covered == bytes.size()) != (version == 310)) ++out;
    std::size_t extended = 0;
    for (std::size_t at = 0; at + 1 < bytes.size() && seen < 20'000; at += 2, ++seen) {
      constexpr std::uint8_t k_first_jump = 111; // JUMP_IF_FALSE_OR_POP …
      constexpr std::uint8_t k_last_jump = 115;  // … POP_JUMP_IF_TRUE, all absolute
      constexpr std::uint8_t k_extended = 144;
      const auto number = static_cast<std::uint8_t>(bytes[at]);
      const std::size_t argument = extended | static_cast<std::uint8_t>(bytes[at + 1]);
      extended = number == k_extended ? (argument << 8) & 0xffffff : 0;
      if (number < k_first_jump || number > k_last_jump) continue;
      const std::size_t target = version == 310 ? 2 * argument : argument;
      if (target >= bytes.size() || target % 2 != 0) ++out;
    }
  }
  return out;
}

// The version of the layout whose table knows the most of the opcodes, and of equals the one whose
// first opcode is its RESUME.
int Lister::guess_version() const {
  int best = 0;
  std::size_t best_unknown = ~std::size_t{0};
  for (const Table& table: opcode_tables()) {
    if (layout_of(table.version) != object_.layout) continue;
    const OpMap map = expand(table);
    std::size_t unknown = 0;
    std::size_t seen = 0;
    for (const Code& code: object_.codes) {
      const std::string_view bytes = raw(code.bytecode);
      bool calls = false;
      bool precall = false;
      for (std::size_t at = 0; at + 1 < bytes.size() && seen < 20'000; at += 2, ++seen) {
        const Op op = map[static_cast<std::uint8_t>(bytes[at])];
        unknown += op == Op::undefined ? 1 : 0;
        precall = precall || (table.version == 311 && static_cast<std::uint8_t>(bytes[at]) == 166);
        calls = calls || op == Op::call;
      }
      // 3.11 and 3.12 share their numbers; only 3.11 announces a call.
      if (table.version == 311 && calls && !precall) ++unknown;
      constexpr std::array<std::pair<int, int>, 4> k_resume{
          {{311, 151}, {312, 151}, {313, 149}, {314, 128}}};
      for (const auto& [version, number]: k_resume)
        if (version == table.version && !bytes.empty() &&
            bytes.find(static_cast<char>(number)) == std::string_view::npos)
          unknown += 4;
    }
    unknown += misfits(table.version);
    if (unknown < best_unknown) {
      best_unknown = unknown;
      best = table.version;
    }
  }
  return best;
}

void Lister::note(const Code& code, const std::string& path, const std::string& text) {
  if (out_.calls.size() >= k_listed) return;
  Call call;
  const std::size_t dot = path.rfind('.');
  call.module = dot == std::string::npos ? "builtins" : path.substr(0, dot);
  call.name = dot == std::string::npos ? path : path.substr(dot + 1);
  call.text = text;
  call.offset = code.offset;
  if (out_.text.size() < k_text) {
    if (!out_.text.empty()) out_.text += "; ";
    out_.text += text;
  }
  out_.calls.push_back(std::move(call));
}

void Lister::load_name(const std::string& name) {
  for (const auto* table: {&locals_, &aliases_})
    if (const auto at = table->find(name); at != table->end()) {
      push({name, at->second});
      return;
    }
  push({name, name});
}

void Lister::attribute(const std::string& name) {
  Expression of = pop();
  push({of.text + "." + name, of.path.empty() ? "" : of.path + "." + name});
}

void Lister::bind(const std::string& name) {
  Expression value = pop();
  auto& table = locals_;
  if (value.path.empty())
    table.erase(name);
  else if (value.path != name && table.size() < k_listed)
    table[name] = value.path;
}

void Lister::call(const Code& code, std::size_t arguments, bool has_null) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < std::min(arguments, k_stack); ++i)
    texts.push_back(pop().text);
  // Since 3.11 a null lies below or above the callee.
  if (has_null && !stack_.empty() && stack_.back().text.empty()) pop();
  Expression callee = pop();
  if (has_null && callee.text.empty()) callee = pop();
  if (has_null && !stack_.empty() && stack_.back().text.empty()) pop();
  std::string text = callee.text + "(";
  for (std::size_t i = texts.size(); i-- > 0;) {
    text += texts[i];
    if (i != 0) text += ", ";
  }
  text += ")";
  if (text.size() > 2 * k_expression) text.resize(2 * k_expression);
  // __import__('os') and importlib.import_module('os') are the module that they name.
  std::string result;
  if ((callee.path == "__import__" || callee.path == "importlib.import_module") && !texts.empty()) {
    const std::string& what = texts.back();
    if (what.size() > 2 && what.front() == '\'' && what.back() == '\'')
      result = what.substr(1, what.size() - 2);
  }
  if (callee.path == "getattr" && texts.size() >= 2) {
    const std::string& what = texts[texts.size() - 2];
    if (what.size() > 2 && what.front() == '\'')
      result = texts.back() + "." + what.substr(1, what.size() - 2);
  }
  if (!callee.path.empty()) note(code, callee.path, text);
  push({std::move(text), std::move(result)});
}

void Lister::step(const Code& code, Op op, std::uint32_t argument) {
  const bool wide = version_ >= 311;
  switch (op) {
  case Op::load_const:
    first_loaded_ = first_loaded_ || argument == 0;
    push({constant(item(code.constants, argument)), {}});
    break;
  case Op::load_small_int:
    push({std::to_string(argument), {}});
    break;
  case Op::load_name:
    load_name(item_name(code.names, argument));
    break;
  case Op::load_global:
    if (version_ == 311 || version_ == 312) {
      if ((argument & 1) != 0) push({"", {}});
      load_name(item_name(code.names, argument >> 1));
    } else if (wide) {
      load_name(item_name(code.names, argument >> 1));
      if ((argument & 1) != 0) push({"", {}});
    } else {
      load_name(item_name(code.names, argument));
    }
    break;
  case Op::load_fast:
    load_name(item_name(code.locals, argument));
    break;
  case Op::load_fast_twice:
    load_name(item_name(code.locals, argument >> 4));
    load_name(item_name(code.locals, argument & 15));
    break;
  case Op::load_deref:
    load_name(wide ? item_name(code.locals, argument) : item_name(code.frees, argument));
    break;
  case Op::load_attr:
    if (version_ >= 312) {
      attribute(item_name(code.names, argument >> 1));
      if ((argument & 1) != 0) push({"", {}});
    } else {
      attribute(item_name(code.names, argument));
    }
    break;
  case Op::load_method:
    attribute(item_name(code.names, argument));
    break;
  case Op::import_name: {
    const std::string list = pop().text;
    pop();
    const std::string name = item_name(code.names, argument);
    // `import a.b` leaves a, `import a.b as c` and `from a.b import c` leave what follows takes
    // from it: the whole path serves both.
    note(code, name, "import " + name);
    push({name, list == "None" ? name.substr(0, name.find('.')) : name});
    break;
  }
  case Op::import_from: {
    const Expression module = stack_.empty() ? Expression{"?", {}} : stack_.back();
    const std::string name = item_name(code.names, argument);
    const std::string path = module.path.empty() ? "" : module.path + "." + name;
    if (!path.empty()) note(code, path, "from " + module.path + " import " + name);
    push({name, path});
    break;
  }
  case Op::store_name:
    if (!stack_.empty() && !stack_.back().path.empty() && aliases_.size() < k_listed)
      aliases_[item_name(code.names, argument)] = stack_.back().path;
    pop();
    break;
  case Op::store_fast:
    bind(item_name(code.locals, argument));
    break;
  case Op::pop:
    pop();
    break;
  case Op::duplicate:
    if (!stack_.empty()) push(Expression(stack_.back()));
    break;
  case Op::call_function:
  case Op::call_method:
    call(code, argument, false);
    break;
  case Op::call_python2:
    call(code, (argument & 0xff) + 2 * (argument >> 8 & 0xff), false);
    break;
  case Op::call_function_kw:
    pop();
    call(code, argument, false);
    break;
  case Op::call_kw:
    pop();
    call(code, argument, true);
    break;
  case Op::call:
    call(code, argument, true);
    break;
  case Op::call_function_ex:
    if ((argument & 1) != 0 || version_ >= 314) pop();
    call(code, 1, wide);
    break;
  case Op::push_null:
    push({"", {}});
    break;
  case Op::make_function: {
    Expression function = pop();
    if (version_ < 311 && version_ >= 300) function = pop(); // below its qualified name
    if (version_ < 313)
      for (const std::uint32_t flag: {1U, 2U, 4U, 8U})
        if ((argument & flag) != 0) pop();
    push({std::move(function.text), {}});
    break;
  }
  case Op::set_function_attribute: {
    Expression function = pop();
    pop();
    push(std::move(function));
    break;
  }
  case Op::build_map:
    argument *= 2;
    [[fallthrough]];
  case Op::build_key_map:
  case Op::build: {
    if (op == Op::build_key_map) pop();
    std::string text = ")";
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(argument, k_stack); ++i)
      text = pop().text + (i == 0 ? "" : ", ") + text;
    push({"(" + text, {}});
    break;
  }
  case Op::subscript: {
    const Expression key = pop();
    const Expression of = pop();
    push({of.text + "[" + key.text + "]", of.path.empty() ? "" : of.path + ".[]"});
    break;
  }
  case Op::binary: {
    const Expression right = pop();
    const Expression left = pop();
    push({left.text + " ∘ " + right.text, {}});
    break;
  }
  case Op::undefined:
  case Op::other:
    stack_.clear();
    break;
  case Op::other_keeps:
  case Op::extended_arg:
    break;
  }
}

void Lister::walk(const Code& code) {
  const std::string_view bytes = raw(code.bytecode);
  stack_.clear();
  locals_.clear();
  std::uint32_t extended = 0;
  for (std::size_t at = 0; at < bytes.size() && instructions_ < k_instructions; ++instructions_) {
    const auto number = static_cast<std::uint8_t>(bytes[at]);
    const Op op = map_[number];
    std::uint32_t argument = 0;
    if (version_ < 300) {
      if (number < 90) {
        ++at;
      } else {
        if (at + 2 >= bytes.size()) break;
        argument = static_cast<std::uint8_t>(bytes[at + 1]) |
                   static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[at + 2])) << 8;
        at += 3;
      }
    } else {
      if (at + 1 >= bytes.size()) break;
      argument = static_cast<std::uint8_t>(bytes[at + 1]);
      at += 2;
    }
    if (op == Op::extended_arg) {
      extended = (extended | argument) << (version_ < 300 ? 16 : 8);
      continue;
    }
    step(code, op, extended | argument);
    extended = 0;
  }
}

void Lister::collect(const Code& code) {
  const auto each = [&](std::uint32_t tuple, auto visit) {
    if (tuple == k_no_node) return;
    const Node& at = object_.nodes[tuple];
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(at.count, 65536); ++i)
      visit(object_.links[at.first + i]);
  };
  each(code.names, [&](std::uint32_t node) {
    if (const auto name = raw(node); !name.empty() && names_.size() < k_listed)
      names_.emplace(name.substr(0, k_expression));
  });
  // What a function says of itself is prose, until something reads it: decompile() keeps it.
  const std::uint32_t documentation =
      first_loaded_ ? k_no_node : documentation_of(object_, code, version_);
  each(code.constants, [&](std::uint32_t node) {
    const auto take = [&](std::uint32_t at) {
      const auto text = raw(at);
      if (text.size() >= k_least_string && out_.strings.size() < k_listed)
        out_.strings.emplace_back(text.substr(0, k_string));
    };
    if (node == documentation) return;
    take(node);
    if (is_text_type(object_.nodes[node].type) || object_.nodes[node].type == 'c') return;
    each(node, take);
  });
}

Listing Lister::run(int version) {
  version_ = version != 0 ? version : guess_version();
  for (const Table& table: opcode_tables())
    if (table.version == version_) map_ = expand(table);
  out_.version = version_;
  // The outermost was finished last.
  std::size_t codes = 0;
  for (auto code = object_.codes.rbegin(); code != object_.codes.rend() && codes < k_codes;
       ++code, ++codes) {
    const std::string name(raw(code->name).substr(0, 80));
    if (out_.text.size() < k_text)
      out_.text += std::string(out_.text.empty() ? "" : "; ") + "<" + name + ">:";
    first_loaded_ = false;
    walk(*code);
    collect(*code);
  }
  out_.names.assign(names_.begin(), names_.end());
  return std::move(out_);
}

// What honest code calls everywhere, of modules whose other functions act.
constexpr std::array<std::string_view, 12> k_harmless{
    "os.path", "os.environ", "posixpath", "ntpath",  "numpy.testing", "sympy",
    "pytest",  "unittest",   "typing",    "logging", "functools",     "inspect"};

// Ways to reach something else: in code they are seen by what they reach.
constexpr std::array<std::string_view, 2> k_only_in_pickles{
    "reaches any attribute or calls what it is given", "imports or finds any function by name"};

// Of the dangerous builtins these harm by themselves; the others (getattr, map, …) are dangerous in
// a pickle only, where nothing honest needs them.
constexpr std::array<std::string_view, 8> k_builtins{"eval", "exec",     "compile",    "__import__",
                                                     "open", "execfile", "breakpoint", "input"};

} // namespace

std::uint32_t documentation_of(const Object& object, const Code& code, int version) {
  constexpr std::uint32_t k_new_locals = 2; // a function, no module or class
  constexpr std::uint32_t k_has_docstring = 0x4000000;
  if (version < 300 || (code.flags & k_new_locals) == 0) return k_no_node;
  if (version >= 314 && (code.flags & k_has_docstring) == 0) return k_no_node;
  if (code.constants == k_no_node || object.nodes[code.constants].count == 0) return k_no_node;
  const std::uint32_t first = object.links[object.nodes[code.constants].first];
  return is_text_type(object.nodes[first].type) && object.nodes[first].type != 's' ? first
                                                                                   : k_no_node;
}

int guess_version(Bytes input, const Object& object) {
  return Lister(input, object).guess_version();
}

Listing list(Bytes input, const Object& object, int version) {
  return Lister(input, object).run(version);
}

std::string_view effect_of(std::string_view module, std::string_view name) {
  if (module == "builtins") {
    if (std::find(k_builtins.begin(), k_builtins.end(), name) == k_builtins.end()) return {};
    return pickle::judge_name(module, name).effect;
  }
  for (const std::string_view harmless: k_harmless)
    if (module == harmless || (module.starts_with(harmless) && module.size() > harmless.size() &&
                               module[harmless.size()] == '.'))
      return {};
  // Local variables and parameters are names too: only what begins like a module counts.
  const std::string_view first = module.substr(0, module.find('.'));
  if (!pickle::is_usual_package(first)) return {};
  const std::string_view effect = pickle::judge_name(module, name).effect;
  for (const std::string_view only_in_pickles: k_only_in_pickles)
    if (effect == only_in_pickles) return {};
  return effect;
}

Danger find_danger(const Listing& listing) {
  Danger imported;
  for (const Call& call: listing.calls) {
    const bool import = call.text.starts_with("import ");
    const std::string_view effect =
        import
            ? effect_of(call.module == "builtins" ? call.name : call.module + "." + call.name, "*")
            : effect_of(call.module, call.name);
    if (effect.empty()) continue;
    if (!import && !call.text.starts_with("from ")) return {effect, call.text};
    if (imported.effect.empty()) imported = {effect, call.text};
  }
  return imported;
}

} // namespace hubgate::marshal

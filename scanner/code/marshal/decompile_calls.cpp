// Calls in the conventions of all versions, imports, functions and classes.
#include "scanner/code/marshal/decompiler.hpp"

#include <algorithm>

namespace hubgate::marshal {
namespace {

constexpr std::size_t k_deepest_code = 24;
constexpr std::uint8_t k_most_copies = 2;
constexpr std::uint32_t k_flag_varargs = 4;
constexpr std::uint32_t k_flag_keywords = 8;
constexpr std::uint32_t k_most_parameters = 255;

// What a code object is called, as a part of a name: "_lambda" of "<lambda>".
std::string own_name(std::string_view name) {
  std::string out = "_";
  for (const char c: name.substr(0, 80))
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')
      out += c;
  return out;
}

} // namespace

void Decompiler::finish_call(Expression callee, std::string arguments) {
  if (callee.kind == Kind::leave) return push_lost();
  if (callee.kind == Kind::enter) return push_name(callee.text);
  push(operand(callee) + "(" + arguments + ")");
}

// `arguments` are above the callee; `null`: so is, or below it, what goes with it since 3.11.
void Decompiler::write_call(std::vector<Expression> arguments,
                            const std::vector<std::string>& keywords, bool null) {
  Expression callee = pop();
  if (null) {
    Expression below = pop();
    if (below.kind == Kind::leave) return push_lost();
    if (callee.kind == Kind::null) {
      callee = std::move(below);
    } else if (below.kind != Kind::null && below.kind != Kind::lost) {
      // A function that came without a null: what lies above it is its first argument.
      arguments.insert(arguments.begin(), std::move(callee));
      callee = std::move(below);
    }
  } else if (callee.kind == Kind::null && frame_->stack != frame_->bottom) {
    callee = pop(); // a method that is called as a function: what goes with it is left below
  }
  // What lies below a handler of exceptions is not known.
  if (callee.kind == Kind::lost && frame_->stack == frame_->bottom && !frame_->handlers &&
      !frame_->dead)
    complete_ = false;
  if (callee.kind == Kind::build_class) return define_class(std::move(arguments), keywords);
  std::string text;
  const std::size_t plain = arguments.size() - std::min(arguments.size(), keywords.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (i != 0) text += ", ";
    if (i >= plain) text += keywords[i - plain] + "=";
    text += value(arguments[i]);
  }
  finish_call(std::move(callee), std::move(text));
}

bool Decompiler::calls(const Step& step) {
  using enum Instruction;
  const std::uint32_t argument = step.argument;
  switch (step.instruction) {
  case push_null:
    push({.text = "None", .kind = Kind::null, .atom = true});
    return true;
  case call_function:
    write_call(pop_many(argument), {}, false);
    return true;
  case call_method:
    write_call(pop_many(argument), {}, true);
    return true;
  case call_function_kw: {
    const std::vector<std::string> keywords = names_in(pop().node);
    write_call(pop_many(argument), keywords, false);
    return true;
  }
  case kw_names:
    frame_->keywords = item(code().constants, argument);
    return true;
  case call: {
    const std::vector<std::string> keywords = names_in(frame_->keywords);
    frame_->keywords = k_no_node;
    write_call(pop_many(argument), keywords, true);
    return true;
  }
  case call_kw: {
    const std::vector<std::string> keywords = names_in(pop().node);
    write_call(pop_many(argument), keywords, true);
    return true;
  }
  case call_function_ex: {
    std::string text;
    Expression named;
    if ((argument & 1) != 0 || version_ >= 314) named = pop();
    const std::string given = take();
    if (given != "()") text = "*" + given;
    if (!named.text.empty() && named.kind != Kind::null) {
      if (!text.empty()) text += ", ";
      // "{**x}", which is how "**x" is handed over
      const std::string& all = named.text;
      const bool plain = all.starts_with("{**") && all.ends_with("}") &&
                         all.find_first_of(",:([", 3) == std::string::npos;
      text += "**" + (plain ? all.substr(3, all.size() - 4) : value(named));
    }
    Expression callee = pop();
    if (version_ >= 311) {
      if (callee.kind == Kind::null)
        callee = pop();
      else if (peek(1).kind == Kind::null)
        pop();
    }
    finish_call(std::move(callee), std::move(text));
    return true;
  }
  case call_intrinsic_1:
    if (argument == 1) {
      discard(pop());
      push_lost();
    } else if (argument == 2) {
      import_all(pop());
      push_lost();
    }
    return true;
  case call_intrinsic_2:
    pop();
    return true;
  case import_star: {
    import_all(pop());
    return true;
  }
  case import_name:
    write_import(step);
    return true;
  case import_from:
    take_import(step);
    return true;
  case make_function:
    write_function(step);
    return true;
  case set_function_attribute: {
    Expression function = pop();
    const Expression attribute = pop(); // read when the function was made
    constexpr std::uint32_t k_annotations = 4;
    if (argument == k_annotations) discard(attribute);
    push(std::move(function));
    return true;
  }
  default:
    return false;
  }
}

void Decompiler::import_all(const Expression& module) {
  if (module.kind == Kind::from_module)
    line("from " + module.other + " import *");
  else
    discard(module);
}

void Decompiler::write_import(const Step& step) {
  const Expression names = pop();
  const Expression level = pop();
  const std::string_view written = raw(item(code().names, step.argument));
  std::string path;
  const bool relative = level.text.size() == 1 && level.text[0] >= '1' && level.text[0] <= '9';
  bool odd = written.empty() && (!relative || names.text == "None");
  for (std::size_t at = 0; at <= written.size() && !written.empty();) {
    const std::size_t end = std::min(written.find('.', at), written.size());
    odd = odd || end == at;
    if (!path.empty()) path += '.';
    path += identifier(written.substr(at, end - at));
    at = end + 1;
  }
  if (odd) return push("__import__('" + path + "')");
  if (names.text != "None") {
    std::string dots;
    if (relative) dots.assign(static_cast<std::size_t>(level.text[0] - '0'), '.');
    return push({.text = path, .kind = Kind::from_module, .atom = true, .other = dots + path});
  }
  const std::string root = path.substr(0, path.find('.'));
  const std::string stored = stored_name();
  if (stored == root) {
    line("import " + path);
    return push_name(root);
  }
  if (root == path) {
    const std::string called = stored.empty() ? fresh("m") : stored;
    line("import " + path + " as " + called);
    return push_name(called);
  }
  push({.text = path, .kind = Kind::module_root, .atom = true, .other = root});
}

// Takes a name out of the module on top, which stays.
void Decompiler::take_import(const Step& step) {
  const Expression module = peek(1);
  const bool packed = step.instruction == Instruction::load_attr && version_ >= 312;
  const std::string called = name(packed ? step.argument >> 1 : step.argument);
  if (module.kind == Kind::module_root) {
    const std::string path = module.other + "." + called;
    if (path == module.text) {
      const std::string as = fresh("m");
      line("import " + path + " as " + as);
      return push_name(as);
    }
    if (module.text.starts_with(path + "."))
      return push({.text = module.text, .kind = Kind::module_root, .atom = true, .other = path});
    return push(value(module) + "." + called);
  }
  if (module.kind != Kind::from_module) return push(operand(module) + "." + called);
  std::string as = stored_name();
  if (as.empty()) as = fresh("m");
  line("from " + module.other + " import " + called + (as == called ? "" : " as " + as));
  push_name(as);
}

void Decompiler::write_function(const Step& step) {
  if (version_ < 311) pop(); // the qualified name
  const Expression what = pop();
  std::string defaults;
  std::string keyword_defaults;
  const auto named = [&](const Expression& expression) {
    if (expression.atom) return expression.text;
    std::string called = fresh("d");
    line(called + " = " + value(expression));
    return called;
  };
  std::uint32_t count = 0;
  const auto count_of = [&](const Expression& expression) {
    if (expression.node != k_no_node) return object_.nodes[expression.node].count;
    return expression.other.empty() || expression.other.size() > 4
               ? 0
               : static_cast<std::uint32_t>(std::strtoul(expression.other.c_str(), nullptr, 10));
  };
  std::size_t after = 1;
  if (version_ < 313) {
    if ((step.argument & 8) != 0) pop();
    if ((step.argument & 4) != 0) discard(pop());
    if ((step.argument & 2) != 0) keyword_defaults = named(pop());
    if ((step.argument & 1) != 0) {
      const Expression tuple = pop();
      count = count_of(tuple);
      defaults = named(tuple);
    }
  } else {
    // What the next instructions will set lies below.
    for (std::uint32_t depth = 1;; ++depth, ++after) {
      const Step* const next = following(after);
      if (next == nullptr || next->instruction != Instruction::set_function_attribute || depth > 5)
        break;
      const Expression attribute = peek(depth);
      if (next->argument == 1) {
        count = count_of(attribute);
        defaults = named(attribute);
      } else if (next->argument == 2) {
        keyword_defaults = named(attribute);
      }
    }
  }
  if (what.node == k_no_node || object_.nodes[what.node].type != 'c') return push_lost();
  const std::uint32_t index = object_.nodes[what.node].begin;
  // The body of a class, if it is given to __build_class__.
  constexpr std::uint32_t k_near = 4;
  for (std::uint32_t depth = 1; depth <= k_near; ++depth) {
    const Kind kind = peek(depth).kind;
    if (kind == Kind::klass) break;
    if (kind == Kind::build_class)
      return push({.text = "_class", .kind = Kind::klass, .atom = true, .node = what.node});
    if (peek(depth).node != k_no_node && kind != Kind::null && version_ < 313) break;
  }
  std::string called = stored_name(after);
  if (called.empty()) called = fresh("f") + own_name(raw(object_.codes[index].name));
  if (count > 0) defaults += ":" + std::to_string(count);
  push_name(function(index, called, defaults, keyword_defaults));
  // Since 3.14 a function gives the annotations of a class: the fields of a dataclass.
  if (!frame_->klass || !called.starts_with("__annotate")) return;
  const std::uint32_t texts = object_.codes[index].constants;
  constexpr std::uint32_t k_most_fields = 256;
  for (std::uint32_t i = 0; i < k_most_fields && item(texts, i) != k_no_node; ++i)
    if (const std::string_view field = raw(item(texts, i)); !field.empty())
      line(identifier(field) + ": None");
}

// Writes the function and returns its name.
std::string Decompiler::function(std::uint32_t index, std::string called,
                                 const std::string& defaults, const std::string& keyword_defaults) {
  const Code& inner = object_.codes[index];
  if (written_[index] >= k_most_copies || nesting_ >= k_deepest_code) {
    complete_ = complete_ && written_[index] != 0;
    return called;
  }
  ++written_[index];
  const std::string_view short_name = raw(inner.name);
  const bool generator = short_name == "<genexpr>";
  // Names of parameters are those of the inner code.
  Frame names;
  names.code = &inner;
  decode(names);
  for (const Step& step: names.steps)
    if (step.instruction == Instruction::load_global ||
        step.instruction == Instruction::load_name) {
      const std::uint32_t at = step.instruction == Instruction::load_global && version_ >= 311
                                   ? step.argument >> 1
                                   : step.argument;
      names.globals.insert(identifier(raw(item(inner.names, at))));
    }
  Frame* const outer = frame_;
  names.bottom = names.stack = outer->stack;
  std::string text;
  std::uint32_t at = 0;
  const std::uint32_t locals = inner.locals == k_no_node ? 0 : object_.nodes[inner.locals].count;
  const std::uint32_t positional = std::min({inner.arguments, locals, k_most_parameters});
  const std::uint32_t keyword = std::min({inner.keyword_only, locals, k_most_parameters});
  const std::size_t colon = defaults.rfind(':');
  const std::string tuple = defaults.substr(0, colon);
  const std::uint32_t given =
      colon == std::string::npos
          ? 0
          : static_cast<std::uint32_t>(std::strtoul(defaults.c_str() + colon + 1, nullptr, 10));
  frame_ = &names;
  const auto add = [&](const std::string& parameter) {
    if (!text.empty()) text += ", ";
    text += parameter;
  };
  for (; at < positional; ++at) {
    std::string parameter = local(at);
    if (at + given >= positional)
      parameter += "=" + tuple + "[" + std::to_string(at + given - positional) + "]";
    add(parameter);
  }
  const std::uint32_t after = positional + keyword;
  if ((inner.flags & k_flag_varargs) != 0)
    add("*" + local(after));
  else if (keyword > 0)
    add("*");
  for (; at < after; ++at) {
    std::string parameter = local(at);
    if (!keyword_defaults.empty())
      parameter += "=" + keyword_defaults + "['" +
                   std::string(identifier(raw(item(inner.locals, at)))) + "']";
    add(parameter);
  }
  if ((inner.flags & k_flag_keywords) != 0)
    add("**" + local(after + ((inner.flags & k_flag_varargs) != 0 ? 1 : 0)));
  frame_ = outer;
  line("def " + called + "(" + text + "):");
  nested(inner, false, false, generator);
  return called;
}

void Decompiler::define_class(std::vector<Expression> arguments,
                              const std::vector<std::string>& keywords) {
  if (arguments.empty() || arguments[0].kind != Kind::klass) return push_lost();
  const std::uint32_t index = object_.nodes[arguments[0].node].begin;
  std::string called = stored_name();
  if (called.empty()) called = fresh("c") + own_name(raw(object_.codes[index].name));
  if (written_[index] >= k_most_copies || nesting_ >= k_deepest_code) {
    complete_ = complete_ && written_[index] != 0;
    return push_name(called);
  }
  ++written_[index];
  std::string text;
  const std::size_t plain = arguments.size() - std::min(arguments.size(), keywords.size());
  for (std::size_t i = 2; i < arguments.size(); ++i) {
    if (!text.empty()) text += ", ";
    if (i >= plain) text += keywords[i - plain] + "=";
    text += value(arguments[i]);
  }
  line("class " + called + "(" + text + "):");
  nested(object_.codes[index], true, false, false);
  push_name(called);
}

} // namespace hubgate::marshal

#include "scanner/code/python/evaluator.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr std::size_t k_max_path = 200;
constexpr Labels k_handed_on = ~(k_process | k_code | k_pieces);

/// Modules that a bare name may be: the last part of an alias that is no import of this unit.
bool is_plain_word(std::string_view path) {
  return path.find('.') == std::string_view::npos;
}

} // namespace

Value Evaluator::call(NodeId id) {
  const NodeId callee_node = tree_.kid(id, 0);
  const auto argument_nodes = tree_.kids(id).subspan(1);
  if (tree_[callee_node].kind == NodeKind::attribute) {
    const auto stored = scope().names.find(tree_.slice(callee_node));
    if (stored != scope().names.end()) return apply(stored->second, arguments(argument_nodes), id);
    const NodeId object_node = tree_.kid(callee_node, 0);
    const std::string_view method_name = tree_.slice(tree_.kid(callee_node, 1));
    const Value object = evaluate(object_node);
    Arguments given = arguments(argument_nodes);
    if (method_name == "startswith" && (object.labels & k_environ) != 0) {
      const Value prefix = given.get(0);
      environ_picked_ |= prefix.is_text() && !prefix.partial && raw(prefix).size() > 5;
    }
    Value result;
    if (method(object, method_name, object_node, given, id, result)) return result;
    return apply(attribute(object, method_name, callee_node), given, id);
  }
  const Value callee = evaluate(callee_node);
  const Arguments given = arguments(argument_nodes);
  if (tree_[callee_node].kind == NodeKind::call && given.positional.size() == 1)
    register_function(given.positional.front(), tree_.kid(callee_node, 0));
  return apply(callee, given, id);
}

Value Evaluator::apply(const Value& callee, const Arguments& arguments, NodeId at) {
  if (!tick() || depth_ > 2 * k_max_depth) return unknown(0, at);
  switch (callee.kind) {
  case Kind::function:
    return invoke(callee.ref, nullptr, arguments);
  case Kind::method: {
    Value self{.kind = Kind::instance};
    self.ref = static_cast<std::uint32_t>(callee.number);
    return invoke(callee.ref, &self, arguments);
  }
  case Kind::klass: {
    const std::uint32_t meta = classes_[callee.ref].metaclass;
    if (meta != k_nowhere)
      if (const Value made = class_attribute(meta, "__call__"); made.kind == Kind::function)
        return invoke(made.ref, &callee, arguments);
    return construct(callee.ref, arguments);
  }
  case Kind::instance: {
    const Value method = class_attribute(callee.ref, "__call__");
    if (method.kind == Kind::function) return invoke(method.ref, &callee, arguments);
    break;
  }
  case Kind::partial: {
    Arguments all;
    const auto& stored = lists_[callee.ref];
    all.positional.assign(stored.begin() + 1, stored.end());
    all.positional.insert(all.positional.end(), arguments.positional.begin(),
                          arguments.positional.end());
    all.named = arguments.named;
    ++depth_;
    const Value out = apply(stored.front(), all, at);
    --depth_;
    return out;
  }
  case Kind::name:
    return call_name(callee, arguments, at);
  case Kind::module: // SourceFileLoader(…).load_module()
    return callee;
  default:
    break;
  }
  if ((callee.labels & k_any_class) != 0) judge_any_class(callee, arguments, at);
  Labels labels = callee.labels;
  std::uint32_t from = callee.step;
  for (const Value& value: arguments.positional) {
    labels |= value.labels;
    if (from == 0) from = value.step;
  }
  labels |= call_callbacks(arguments, at);
  return unknown(labels & k_handed_on, at, from);
}

// A class that was searched for among all that are loaded, called with a text.
void Evaluator::judge_any_class(const Value& callee, const Arguments& arguments, NodeId at) {
  if (std::any_of(arguments.positional.begin(), arguments.positional.end(),
                  [](const Value& value) { return value.is_text() || value.kind == Kind::list; }))
    report(R::hidden_call, at, &callee, "calls one of all classes that are loaded");
}

Value Evaluator::construct(std::uint32_t klass, const Arguments& arguments) {
  Value self{.kind = Kind::instance};
  self.ref = klass;
  const Value init = class_attribute(klass, "__init__");
  if (init.kind == Kind::function) {
    invoke(init.ref, &self, arguments);
    return self;
  }
  // A dataclass or the like, and exceptions.
  auto& attributes = classes_[klass].attributes;
  const auto& fields = classes_[klass].fields;
  for (std::size_t i = 0; i < fields.size() && i < arguments.positional.size(); ++i)
    attributes[fields[i]] = arguments.positional[i];
  for (const auto& [name, value]: arguments.named)
    if (std::find(fields.begin(), fields.end(), name) != fields.end()) attributes[name] = value;
  if (fields.empty() && !arguments.positional.empty() && !arguments.open) {
    Labels labels = 0;
    for (const Value& value: arguments.positional)
      labels |= value.labels;
    attributes["args"] = make_list(arguments.positional, labels);
  }
  if (const Value post = class_attribute(klass, "__post_init__"); post.kind == Kind::function)
    invoke(post.ref, &self, {});
  return self;
}

// Functions that are handed to something else will be called by it, perhaps with what is handed
// over with them: pool.map(f, [x]), finalize(o, f, x), sorted(x, key=f). Gives what their results
// carry.
Labels Evaluator::call_callbacks(const Arguments& arguments, NodeId at) {
  Labels out = 0;
  const auto one = [&](const Value& value, std::size_t next) {
    const bool own = value.kind == Kind::function || value.kind == Kind::method;
    if (!own && value.kind != Kind::name && value.kind != Kind::partial) return;
    if (value.kind == Kind::name) {
      const Callable* known = find_callable(canonical(raw(value)));
      if (known == nullptr || !runs_something(known->op)) return;
    }
    Arguments inner;
    bool matters = false;
    const auto give = [&](const Value& given) {
      inner.positional.push_back(given);
      matters = matters || given.labels != 0 || (!own && given.is_text());
    };
    for (std::size_t i = next; i < arguments.positional.size(); ++i) {
      const Value& given = arguments.positional[i];
      if (given.kind != Kind::list || lists_[given.ref].size() > 8) {
        give(given.kind == Kind::list ? element_of(given, at) : given);
        continue;
      }
      for (const Value& part: std::vector<Value>(lists_[given.ref]))
        give(part.kind == Kind::list ? element_of(part, at) : part);
    }
    if (own && functions_[value.ref].asked) return; // called later, with what somebody sends
    if (!matters && (!own || functions_[value.ref].called)) return;
    inner.open = !matters;
    if (!matters) inner.positional.clear();
    if (depth_ > k_max_depth) return;
    ++depth_;
    out |= apply(value, inner, at).labels & k_handed_on;
    --depth_;
  };
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    one(arguments.positional[i], i + 1);
  for (const auto& [name, value]: arguments.named)
    one(value, 0);
  return out;
}

// Thread(target=f, args=(…)), Timer(5, f, …), atexit.register(f, …)
Value Evaluator::call_deferred(const Arguments& arguments, std::size_t position, NodeId at) {
  Value callee = arguments.get(position, "target");
  if (callee.kind == Kind::unknown) callee = arguments.get(position, "function");
  Arguments inner;
  if (const Value* list = arguments.find("args"); list != nullptr && list->kind == Kind::list)
    inner.positional = lists_[list->ref];
  else
    for (std::size_t i = position + 1; i < arguments.positional.size(); ++i) {
      const Value& value = arguments.positional[i];
      if (value.kind == Kind::list)
        inner.positional.insert(inner.positional.end(), lists_[value.ref].begin(),
                                lists_[value.ref].end());
      else
        inner.positional.push_back(value);
    }
  return apply(callee, inner, at);
}

// Builtins whose result is made of their arguments, whatever those are.
bool Evaluator::call_builtin(const std::string& path, const Value& callee,
                             const Arguments& arguments, NodeId at, Value& out) {
  const Value first = arguments.get(0);
  if (path == "os.getcwd" || path == "pathlib.Path.cwd") note(f_folder, tree_[at].begin);
  if (path == "super" && klass_ != k_nowhere) {
    out = {.kind = Kind::instance};
    out.ref = klass_;
    out.number = k_super;
    return true;
  }
  if (path == "vars" && !arguments.positional.empty()) {
    if (first.kind == Kind::instance || first.kind == Kind::klass) return out = first, true;
    if (first.kind != Kind::name) return false;
    return out = make_name(raw(first) + ".__dict__", first.labels, first.step), true;
  }
  if (path == "dict" && arguments.positional.empty() && !arguments.named.empty() &&
      !arguments.open) {
    std::vector<Value> pairs;
    Labels labels = 0;
    for (const auto& [name, value]: arguments.named) {
      pairs.push_back(make_text(std::string(name), 0, false));
      pairs.push_back(value);
      labels |= value.labels & k_handed_on;
    }
    out = make_list(std::move(pairs), labels);
    out.kind = Kind::dict;
    return true;
  }
  if ((path == "sys.path.append" || path == "sys.path.insert" || path == "site.addsitedir") &&
      !arguments.positional.empty()) {
    const std::string folder = text_of(arguments.positional.back());
    for (const auto& [file, labels]: dropped_)
      if ((labels & k_net) != 0 && file == folder && folder.size() > 2)
        report(R::download_run, at, &arguments.positional.back(),
               "modules are imported out of a downloaded archive",
               (labels & k_hub) != 0 ? Severity::informational : Severity::suspicious);
    return false;
  }
  if (path == "dir" && first.kind == Kind::name) {
    const std::string& module = raw(first);
    for (const std::string_view one:
         {"os", "builtins", "subprocess", "posix", "nt", "__builtins__"})
      if (module == one) return out = unknown(k_computed, at, step(at, 0)), true;
    return false;
  }
  // getattr(os, NAME)(…) where NAME was searched for in dir(os)
  if (path.ends_with(".?") && first.is_text()) {
    report(R::hidden_call, at, &callee,
           "the name of a function of " + path.substr(0, path.size() - 2) + " is searched for");
    return out = unknown(0, at), true;
  }
  if ((path == "zip" || path == "enumerate") && !arguments.positional.empty()) {
    std::vector<std::vector<Value>> columns(path == "zip" ? arguments.positional.size() : 1);
    std::size_t rows = k_max_items;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Value& column = arguments.positional[i];
      if (column.kind == Kind::unknown || !reads_as_list(column, columns[i])) return false;
      for (Value& value: columns[i])
        value.labels |= column.labels & k_handed_on;
      if (path == "enumerate") {
        rows = columns[0].size();
        columns.insert(columns.begin(), std::vector<Value>());
        for (std::size_t n = 0; n < rows; ++n)
          columns[0].push_back(make_integer(static_cast<std::int64_t>(n)));
        break;
      }
      rows = std::min(rows, columns[i].size());
    }
    if (!charge(rows * columns.size() * sizeof(Value))) return false;
    std::vector<Value> list;
    Labels labels = 0;
    for (std::size_t n = 0; n < rows; ++n) {
      std::vector<Value> row;
      for (const auto& column: columns) {
        row.push_back(column[n]);
        labels |= column[n].labels;
      }
      list.push_back(make_list(std::move(row), 0));
    }
    for (const Value& column: arguments.positional)
      labels |= column.labels & k_handed_on;
    out = make_list(std::move(list), labels);
    return true;
  }
  return false;
}

Value Evaluator::call_name(const Value& callee, const Arguments& arguments, NodeId at) {
  std::string path = canonical(raw(callee));
  // A function of this unit that is found by its name through globals().
  if (is_plain_word(path)) {
    const Map& names = scopes_[own_module_scope()].names;
    const auto own = names.find(path);
    if (own != names.end() && own->second.kind == Kind::function && depth_ < 400) {
      ++depth_;
      const Value out = apply(own->second, arguments, at);
      --depth_;
      return out;
    }
  }
  note_call(path, arguments, tree_[at].begin);
  note_split(path, arguments);
  for (const Value& value: arguments.positional)
    hand_to_bot(value, path);
  // What others may call by name and with arguments of their own.
  if (path.starts_with("xmlrpc.server.") && path.ends_with(".register_function"))
    if (const Value served = arguments.get(0, "function"); served.kind == Kind::name)
      if (const Callable* run = find_callable(canonical(raw(served)));
          run != nullptr && runs_something(run->op))
        report(R::remote_control, at, &served, "others may call it over the network");
  for (const auto& [name, value]: arguments.named)
    hand_to_bot(value, path);
  if (Value known_here; call_about_modules(path, arguments, known_here)) return known_here;
  if (Value result; call_unbound(path, arguments, at, result)) return result;
  const Callable* known = find_callable(path);
  if (known != nullptr && known->op != Op::fold)
    return call_known(*known, path, callee, arguments, at);
  if (Value folded; known != nullptr && fold_call(path, arguments, at, folded)) return folded;
  if (path == "range" || path == "xrange") {
    const Value last = arguments.get(arguments.positional.size() > 1 ? 1 : 0);
    const std::int64_t begin = arguments.positional.size() > 1 ? arguments.get(0).number : 0;
    const Value stride = arguments.get(2);
    const std::int64_t by = stride.kind == Kind::integer ? stride.number : 1;
    if (last.kind == Kind::integer && by > 0 && last.number >= begin &&
        (last.number - begin) / by <= 4096) {
      std::vector<Value> numbers;
      for (std::int64_t n = begin; n < last.number; n += by)
        numbers.push_back(make_integer(n));
      return make_list(std::move(numbers), 0);
    }
  }
  Value made;
  if (call_builtin(path, callee, arguments, at, made)) return made;
  Labels labels = callee.labels | call_callbacks(arguments, at);
  std::uint32_t from = callee.step;
  for (const Value& value: arguments.positional) {
    labels |= value.labels;
    if (from == 0) from = value.step;
  }
  for (const auto& [name, value]: arguments.named) {
    // what is given as env= goes to the programs that the call starts, not into what it gives
    labels |= name == "env" ? value.labels & ~Labels{k_environ} : value.labels;
    if (from == 0) from = value.step;
  }
  labels &= k_handed_on;
  if ((callee.labels & k_any_class) != 0) judge_any_class(callee, arguments, at);
  if (path.ends_with(".__subclasses__") &&
      (path.starts_with("object.") || path.find("__base") != std::string::npos ||
       path.find("__mro__") != std::string::npos)) {
    labels |= k_any_class;
    from = step(at, from);
  }
  if (path.size() + 2 > k_max_path || path.ends_with("()()")) return unknown(labels, at, from);
  return make_name(path + "()", labels, from);
}

} // namespace hubgate::python

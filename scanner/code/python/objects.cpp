// Attributes, items, operators and iteration of the unit's own objects and of modules: everything
// that Python looks up by a name or by a special method.
#include "scanner/code/python/evaluator.hpp"
#include "scanner/code/python/identifier.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr std::size_t k_max_path = 200;
constexpr std::size_t k_max_bases = 48; ///< classes above a class that are looked into
constexpr Labels k_sticky = ~(k_process | k_code);
constexpr Labels k_hidden = k_decoded | k_computed | k_pieces;

/// Base classes whose methods are called with a connection: self.rfile, self.request.
bool is_connection(std::string_view base, std::string_view name) {
  const bool handler = (base.find("socketserver.") != std::string_view::npos ||
                        base.find("SocketServer.") != std::string_view::npos ||
                        base.find("http.server.") != std::string_view::npos ||
                        base.find("BaseHTTPServer.") != std::string_view::npos) &&
                       base.find("Handler") != std::string_view::npos;
  return handler && (name == "rfile" || name == "wfile" || name == "request");
}

} // namespace

Value Evaluator::class_attribute(std::uint32_t klass, std::string_view name) {
  const auto found = classes_[klass].attributes.find(name);
  return found != classes_[klass].attributes.end() ? found->second : base_attribute(klass, name);
}

// The nearest class above that has it; each is looked at once.
Value Evaluator::base_attribute(std::uint32_t klass, std::string_view name) {
  std::vector<std::uint32_t> order{klass};
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0) {
      if (!tick()) break;
      const auto& attributes = classes_[order[i]].attributes;
      if (const auto found = attributes.find(name); found != attributes.end()) {
        const Value& value = found->second;
        if (value.kind != Kind::unknown || value.labels != 0) return value;
      }
    }
    for (const Value& base: classes_[order[i]].bases)
      if (base.kind == Kind::klass && order.size() < k_max_bases &&
          std::find(order.begin(), order.end(), base.ref) == order.end())
        order.push_back(base.ref);
  }
  return {};
}

// instance.name and Class.name: methods are bound, properties and descriptors evaluated.
Value Evaluator::own_attribute(const Value& object, std::string_view name, NodeId at) {
  const bool instance = object.kind == Kind::instance;
  if (name == "__dict__") return object;
  if (name == "__doc__") return documentation(classes_[object.ref].node, 2);
  Value value = object.number == k_super ? base_attribute(object.ref, name)
                                         : class_attribute(object.ref, name);
  // What is stored in an attribute is not bound; what the class defines is.
  if (value.kind == Kind::function && instance && functions_[value.ref].klass != k_nowhere) {
    if (functions_[value.ref].property) return invoke(value.ref, &object, {});
    value.kind = Kind::method;
    value.number = object.ref;
  }
  if (value.kind == Kind::instance && value.ref != object.ref && calls_ < k_max_calls) {
    const Value get = class_attribute(value.ref, "__get__");
    if (get.kind == Kind::function) {
      Arguments arguments;
      arguments.positional = {object, {}};
      return invoke(get.ref, &value, arguments);
    }
  }
  if (value.kind != Kind::unknown || value.labels != 0) return value;
  if (instance && !name.starts_with("__")) {
    const Value hook = class_attribute(object.ref, "__getattr__");
    if (hook.kind == Kind::function) {
      Arguments arguments;
      arguments.positional = {make_text(std::string(name), 0, false)};
      return invoke(hook.ref, &object, arguments);
    }
  }
  // A base class from elsewhere: self.run_cell is Base().run_cell.
  for (const Value& base: classes_[object.ref].bases)
    if (base.kind == Kind::name && raw(base).size() + name.size() < k_max_path) {
      const Labels socket = is_connection(raw(base), name) ? Labels{k_socket} : Labels{0};
      return make_name(raw(base) + "()." + std::string(name), object.labels | socket,
                       socket != 0 ? step(at, object.step) : object.step);
    }
  return unknown(object.labels, at, object.step);
}

// The text that stands first in a module, class or function; `block`: which kid of its node it is.
Value Evaluator::documentation(NodeId node, std::size_t block) {
  if (node == k_no_node || tree_[node].kind == NodeKind::lambda) return {};
  const NodeId body = node == tree_.root ? node : tree_.kid(node, block);
  if (body == k_no_node || tree_.kids(body).empty()) return {};
  const NodeId first = tree_.kid(body, 0);
  if (tree_[first].kind != NodeKind::expression) return {};
  const NodeId text = tree_.kid(first, 0);
  return tree_[text].kind == NodeKind::string ? literal(text) : Value{};
}

Value Evaluator::attribute(const Value& object, std::string_view name, NodeId at) {
  bool folded = false;
  if (!is_ascii(name)) { // Python folds such letters here, too
    pool_.push_back(normalised(name));
    folded = pool_.back() != name;
    name = pool_.back();
  }
  if (name == "__builtins__") return make_name("__builtins__", object.labels, object.step);
  switch (object.kind) {
  case Kind::name: {
    if (name == "PROT_EXEC") note(f_virtual_alloc, tree_[at].begin);
    if (raw(object).size() + name.size() > k_max_path) break;
    Value out = make_name(raw(object) + "." + std::string(name), object.labels, object.step);
    if (folded && find_callable(canonical(raw(out))) != nullptr)
      report(R::hidden_source, at, nullptr, "a name that Python reads as " + raw(out));
    if (name == "hosts" && raw(object) == "netrc.netrc()") {
      out.labels |= k_sensitive;
      out.step = step(at, object.step);
    }
    if (name == "environ" && canonical(raw(out)) == "os.environ") {
      out.labels |= k_environ;
      out.step = step(at, object.step);
    }
    return out;
  }
  case Kind::instance:
  case Kind::klass:
    return own_attribute(object, name, at);
  case Kind::module:
    return module_attribute(object, name);
  case Kind::function:
    if (name == "__doc__") return documentation(functions_[object.ref].node, 2);
    break;
  case Kind::bytes:
    // uuid.UUID("…").bytes, ipaddress.IPv4Address("…").packed: text that is no text
    if (name == "bytes" || name == "bytes_le" || name == "packed") {
      Value out = object;
      out.labels |= k_decoded;
      out.step = step(at, object.step);
      return out;
    }
    [[fallthrough]];
  case Kind::text:
  case Kind::handle:
    // Path("~").name and the like; open(x).buffer
    if (name == "parent" || name == "buffer" || name == "name" || name == "stdin") return object;
    break;
  case Kind::partial:
    if (name == "func") return lists_[object.ref].empty() ? Value{} : lists_[object.ref][0];
    break;
  default:
    break;
  }
  // "".__class__.__base__.__subclasses__(): all classes there are
  if (name == "__class__" &&
      (object.kind == Kind::list || object.kind == Kind::dict || object.is_text() ||
       object.kind == Kind::integer || object.kind == Kind::none))
    return make_name("object.__class__", object.labels & k_sticky);
  // What functions of other modules can reach: a way to names that nobody imported.
  if (name == "__globals__") return make_name("object.__globals__", object.labels);
  if (object.labels & k_process && name == "stdin") return unknown(k_process, at, object.step);
  return unknown(object.labels & k_sticky, at, object.step);
}

void Evaluator::set_attribute(const Value& object, std::string_view name, const Value& value,
                              std::string_view spelled, NodeId at) {
  if (name == "__code__") judge_code(value, at, "__code__");
  if ((value.labels & k_socket) != 0 && object.kind == Kind::name && raw(object) == "sys" &&
      name == "stdin")
    stdin_of_socket_ = step(at, value.step);
  if (object.kind == Kind::name) hand_to_bot(value, canonical(raw(object)));
  if (object.kind == Kind::module) {
    scopes_[object.ref + 1].names[name] = value;
  } else if (object.kind == Kind::instance || object.kind == Kind::klass) {
    Value& slot = classes_[object.ref].attributes[name];
    slot = merge(slot, value);
  } else {
    scope().names[spelled] = value;
  }
  const bool replaced =
      object.kind == Kind::name && (raw(object) == "builtins" || raw(object) == "__builtins__");
  if ((name.starts_with("__") || replaced) && value.kind == Kind::name)
    judge_hidden_name(value, canonical(raw(value)), Op::getattr, at);
}

// One of several values, when it is not known which: the one that matters most.
Value Evaluator::choice(std::span<const Value> values, std::size_t stride, NodeId at) {
  const Value* best = nullptr;
  int best_rank = 0;
  Labels labels = 0;
  for (std::size_t i = stride - 1; i < values.size(); i += stride) {
    const Value& value = values[i];
    labels |= value.labels & k_sticky;
    int rank = 1;
    if (value.kind == Kind::name) {
      const Callable* known = find_callable(canonical(raw(value)));
      rank = known != nullptr && runs_something(known->op) ? 6 : known != nullptr ? 5 : 3;
    } else if (value.kind == Kind::function || value.kind == Kind::klass) {
      rank = 4;
    } else if (value.labels != 0) {
      rank = 2;
    }
    if (rank > best_rank) {
      best_rank = rank;
      best = &value;
    }
  }
  if (best == nullptr) return unknown(labels, at);
  if (best_rank > 2) return *best;
  return best->is_text() ? *best : unknown(labels, at, best->step);
}

Value Evaluator::subscript(NodeId id) {
  const NodeId index_node = tree_.kid(id, 1);
  const Value object = evaluate(tree_.kid(id, 0));
  if (tree_[index_node].kind == NodeKind::slice) return slice(object, index_node, id);
  return item(object, evaluate(index_node), id);
}

Value Evaluator::slice(const Value& object, NodeId index_node, NodeId at) {
  const Labels labels = object.labels & k_sticky;
  const Value begin = evaluate(tree_.kid(index_node, 0));
  const Value end = evaluate(tree_.kid(index_node, 1));
  const Value stride = evaluate(tree_.kid(index_node, 2));
  const bool backwards = stride.kind == Kind::integer && stride.number == -1;
  if (object.is_text() && charge(raw(object).size())) {
    std::string text = raw(object);
    if (backwards) {
      std::reverse(text.begin(), text.end());
      return make_text(std::move(text), labels | k_computed, object.partial, object.kind);
    }
    const auto clamp = [&](const Value& value, std::int64_t otherwise) {
      std::int64_t n = value.kind == Kind::integer ? value.number : otherwise;
      const auto size = static_cast<std::int64_t>(text.size());
      if (n < 0) n = std::max<std::int64_t>(0, n + size);
      return static_cast<std::size_t>(std::min(n, size));
    };
    const std::size_t from = clamp(begin, 0);
    const std::size_t upto = clamp(end, static_cast<std::int64_t>(text.size()));
    if (stride.kind == Kind::integer && stride.number > 1) {
      std::string picked;
      for (std::size_t i = from; i < upto; i += static_cast<std::size_t>(stride.number))
        picked += text[i];
      return make_text(std::move(picked), labels | k_computed, object.partial, object.kind);
    }
    Value out = make_text(from < upto ? text.substr(from, upto - from) : "", labels, object.partial,
                          object.kind);
    out.step = object.step;
    return out;
  }
  if (object.kind == Kind::list && backwards && charge(lists_[object.ref].size() * 8)) {
    std::vector<Value> list = lists_[object.ref];
    std::reverse(list.begin(), list.end());
    return make_list(std::move(list), labels);
  }
  if (object.kind == Kind::list && stride.kind != Kind::integer &&
      (begin.kind == Kind::integer || end.kind == Kind::integer)) {
    const std::vector<Value>& all = lists_[object.ref];
    const auto size = static_cast<std::int64_t>(all.size());
    const auto clamp = [&](const Value& value, std::int64_t otherwise) {
      const std::int64_t n = value.kind == Kind::integer ? value.number : otherwise;
      return std::clamp<std::int64_t>(n < 0 ? n + size : n, 0, size);
    };
    const std::int64_t from = clamp(begin, 0);
    const std::int64_t upto = clamp(end, size);
    const bool known = (begin.kind == Kind::integer || tree_.kid(index_node, 0) == k_no_node) &&
                       (end.kind == Kind::integer || tree_.kid(index_node, 1) == k_no_node);
    if (known && from < upto && charge(static_cast<std::size_t>(upto - from) * 8))
      return make_list(std::vector<Value>(all.begin() + from, all.begin() + upto), labels);
  }
  return object.kind == Kind::list ? object : unknown(labels, at, object.step);
}

// module.__dict__[…], globals()[…], sys.modules[…], os.environ[…]
bool Evaluator::named_item(const Value& object, const Value& key, NodeId at, Value& out) {
  const std::string& path = raw(object);
  if (canonical(path) == "os.environ") {
    Arguments arguments;
    arguments.positional.push_back(key);
    out = environment(arguments, at);
    return true;
  }
  if (!key.is_text() || key.partial) return false;
  const std::string& word = raw(key);
  const Labels hidden = (key.labels & k_hidden) | (object.labels & k_hidden);
  if (path == "globals()" || path == "locals()" || path == "vars()") {
    out = lookup(word);
    out.labels |= hidden;
    return true;
  }
  if (path.ends_with(".__dict__")) {
    out = make_name(path.substr(0, path.size() - 8) + word, object.labels | hidden, key.step);
    return true;
  }
  if (path == "plumbum.local") return out = make_name(path + "." + word), true;
  if (path == "sys.modules") {
    out = module_called(word, true);
    if (out.kind == Kind::module) return true;
  }
  if (path == "sys.modules" || path == "__builtins__" || path == "builtins") {
    out = make_name(path == "sys.modules" ? word : "builtins." + word, hidden, key.step);
    return true;
  }
  if (path.ends_with(".__globals__")) {
    // os._wrap_close.__init__.__globals__["system"]
    const bool of_os = find_callable(word) == nullptr && find_callable("os." + word) != nullptr;
    out = make_name(of_os ? "os." + word : word, hidden | k_computed, key.step);
    return true;
  }
  return false;
}

Value Evaluator::item(const Value& object, const Value& key, NodeId at) {
  const Labels labels = object.labels & k_sticky;
  switch (object.kind) {
  case Kind::name: {
    Value out;
    if (named_item(object, key, at, out)) return out;
    if (raw(object).size() < k_max_path / 2 &&
        (raw(object).ends_with(')') || raw(object) == "sys.modules"))
      return make_name(raw(object) + "[]", labels, object.step);
    break;
  }
  case Kind::module:
    if (key.is_text() && !key.partial) return module_attribute(object, raw(key));
    break;
  case Kind::list: {
    const auto& list = lists_[object.ref];
    if (key.kind == Kind::integer) {
      const std::int64_t size = static_cast<std::int64_t>(list.size());
      const std::int64_t n = key.number < 0 ? key.number + size : key.number;
      if (n >= 0 && n < size) return list[static_cast<std::size_t>(n)];
    } else if (list.size() <= 64 && !list.empty()) {
      return choice(list, 1, at);
    }
    break;
  }
  case Kind::dict: {
    const auto& pairs = lists_[object.ref];
    if (key.is_constant()) {
      ticks_ += pairs.size() / 32;
      for (std::size_t i = pairs.size(); i >= 2; i -= 2)
        if (pairs[i - 2].is_constant() && text_of(pairs[i - 2]) == text_of(key))
          return pairs[i - 1];
    } else if (pairs.size() <= 128 && !pairs.empty()) {
      return choice(pairs, 2, at);
    }
    break;
  }
  case Kind::text:
  case Kind::bytes:
    if (key.kind == Kind::integer && !object.partial) {
      const auto size = static_cast<std::int64_t>(raw(object).size());
      const std::int64_t n = key.number < 0 ? key.number + size : key.number;
      if (n < 0 || n >= size) break;
      const char c = raw(object)[static_cast<std::size_t>(n)];
      if (object.kind == Kind::bytes) return make_integer(static_cast<unsigned char>(c));
      return make_text(std::string(1, c), labels | k_pieces, false);
    }
    break;
  case Kind::klass:
  case Kind::instance: {
    // obj[x] calls __getitem__, Class[x] __class_getitem__; obj.__dict__[x] is here, too.
    const bool klass = object.kind == Kind::klass;
    const Value method = class_attribute(object.ref, klass ? "__class_getitem__" : "__getitem__");
    if (method.kind == Kind::name || method.kind == Kind::function) {
      Arguments arguments;
      if (method.kind == Kind::function) arguments.positional.push_back(object);
      arguments.positional.push_back(key);
      return apply(method, arguments, at);
    }
    if (key.is_text() && !key.partial) return own_attribute(object, raw(key), at);
    break;
  }
  default:
    break;
  }
  return unknown(labels, at, object.step);
}

// Adds labels to what a node names, where that lives: a container that is filled.
void Evaluator::mark(NodeId node, const Value& object, Labels labels, std::uint32_t from) {
  if (labels == 0) return;
  const auto add = [&](Value& slot, const Value& start) {
    if (slot.kind == Kind::unknown && slot.labels == 0) slot = start;
    slot.labels |= labels;
    if (slot.step == 0) slot.step = from;
  };
  if (tree_[node].kind == NodeKind::name) {
    const std::string_view name = tree_.slice(node);
    for (std::uint32_t at = current_;; at = scopes_[at].parent) {
      const auto found = scopes_[at].names.find(name);
      if (found != scopes_[at].names.end()) return add(found->second, object);
      if (at == 0) break;
    }
    add(scope().names[name], object);
  } else if (tree_[node].kind == NodeKind::attribute) {
    const Value owner = evaluate(tree_.kid(node, 0));
    const std::string_view name = tree_.slice(tree_.kid(node, 1));
    if (owner.kind == Kind::instance || owner.kind == Kind::klass)
      add(classes_[owner.ref].attributes[name], object);
    else
      add(scope().names[tree_.slice(node)], object);
  }
}

Value Evaluator::element_of(const Value& iterable, NodeId at) {
  if (iterable.kind == Kind::list && !lists_[iterable.ref].empty()) {
    const auto& list = lists_[iterable.ref];
    const Value& front = list.front();
    const bool same = std::all_of(list.begin(), list.end(), [&](const Value& item) {
      return item.kind == front.kind && item.ref == front.ref && item.labels == front.labels;
    });
    // One of them stands for all, with what the others carry.
    if (same || front.kind == Kind::list || list.size() > 256) return front;
    return choice(list, 1, at);
  }
  if (iterable.kind == Kind::dict && lists_[iterable.ref].size() >= 2)
    return lists_[iterable.ref][0];
  if (iterable.kind == Kind::instance) {
    const Value iter = class_attribute(iterable.ref, "__iter__");
    Value source = iterable;
    if (iter.kind == Kind::function) {
      const Value made = invoke(iter.ref, &iterable, {});
      if (made.kind == Kind::list) return element_of(made, at);
      if (made.kind == Kind::instance) source = made;
    }
    for (const std::string_view name: {"__next__", "next", "__getitem__", "__anext__"}) {
      const Value next = class_attribute(source.ref, name);
      if (next.kind == Kind::function) return invoke(next.ref, &source, {});
    }
  }
  if ((iterable.labels & k_socket) != 0) // lines of socket.makefile()
    return unknown(k_net | k_remote, at, step(at, iterable.step));
  return unknown(iterable.labels & k_sticky, at, iterable.step);
}

// left + right where one of them is an object of the unit: its special method is called.
bool Evaluator::overloaded(std::string_view name, const Value& left, const Value& right, NodeId at,
                           Value& out) {
  const auto call_on = [&](const Value& object, const std::string& method, const Value& other) {
    std::uint32_t klass = object.ref;
    if (object.kind == Kind::klass) klass = classes_[object.ref].metaclass;
    if ((object.kind != Kind::instance && object.kind != Kind::klass) || klass == k_nowhere)
      return false;
    const Value found = class_attribute(klass, method);
    if (found.kind != Kind::function && found.kind != Kind::name && found.kind != Kind::partial)
      return false;
    Arguments arguments;
    arguments.positional.push_back(other);
    out = found.kind == Kind::function ? invoke(found.ref, &object, arguments)
                                       : apply(found, arguments, at);
    return true;
  };
  const std::string plain = "__" + std::string(name) + "__";
  return call_on(left, plain, right) || call_on(right, "__r" + std::string(name) + "__", left);
}

// case NAME, case Class(field=name), case [a, *b], case {"k": v}, case A | B, case P as name
void Evaluator::bind_pattern(NodeId pattern, const Value& subject) {
  if (pattern == k_no_node || !tick() || depth_ > k_max_depth) return;
  ++depth_;
  const auto kids = tree_.kids(pattern);
  switch (tree_[pattern].kind) {
  case NodeKind::name:
    if (tree_.slice(pattern) != "_") assign(pattern, subject);
    break;
  case NodeKind::tuple:
  case NodeKind::list: {
    const bool fits = subject.kind == Kind::list && lists_[subject.ref].size() == kids.size();
    for (std::size_t i = 0; i < kids.size(); ++i)
      bind_pattern(kids[i], fits ? lists_[subject.ref][i]
                                 : unknown(subject.labels & k_sticky, pattern, subject.step));
    break;
  }
  case NodeKind::call:
    for (std::size_t i = 1; i < kids.size(); ++i) {
      if (tree_[kids[i]].kind == NodeKind::keyword)
        bind_pattern(tree_.kid(kids[i], 1),
                     attribute(subject, tree_.slice(tree_.kid(kids[i], 0)), pattern));
      else if (kids.size() == 2 && subject.kind != Kind::instance)
        bind_pattern(kids[i], subject); // str(x)
      else
        bind_pattern(kids[i], unknown(subject.labels & k_sticky, pattern, subject.step));
    }
    break;
  case NodeKind::dict:
    for (std::size_t i = 1; i < kids.size(); i += 2)
      bind_pattern(kids[i], kids[i - 1] == k_no_node
                                ? subject
                                : item(subject, evaluate(kids[i - 1]), pattern));
    break;
  case NodeKind::binary: // alternatives
    for (const NodeId kid: kids)
      bind_pattern(kid, subject);
    break;
  case NodeKind::star:
    bind_pattern(tree_.kid(pattern, 0), unknown(subject.labels & k_sticky, pattern, subject.step));
    break;
  case NodeKind::walrus: // pattern as name
    bind_pattern(tree_.kid(pattern, 1), subject);
    assign(tree_.kid(pattern, 0), subject);
    break;
  case NodeKind::boolean: // pattern if condition
    bind_pattern(tree_.kid(pattern, 0), subject);
    evaluate(tree_.kid(pattern, 1));
    break;
  default:
    break;
  }
  --depth_;
}

} // namespace hubgate::python

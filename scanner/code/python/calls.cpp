#include "scanner/code/python/evaluator.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

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
    Value result;
    if (method(object, method_name, object_node, given, id, result)) return result;
    return apply(attribute(object, method_name, callee_node), given, id);
  }
  const Value callee = evaluate(callee_node);
  return apply(callee, arguments(argument_nodes), id);
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
  case Kind::klass:
    return construct(callee.ref, arguments);
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
  default:
    break;
  }
  Labels labels = callee.labels;
  std::uint32_t from = callee.step;
  for (const Value& value: arguments.positional) {
    labels |= value.labels;
    if (from == 0) from = value.step;
  }
  call_callbacks(arguments, at);
  return unknown(labels & k_handed_on, at, from);
}

Value Evaluator::construct(std::uint32_t klass, const Arguments& arguments) {
  Value self{.kind = Kind::instance};
  self.ref = klass;
  const Value init = class_attribute(klass, "__init__");
  if (init.kind == Kind::function) invoke(init.ref, &self, arguments);
  return self;
}

// Functions that are handed to something else will be called by it.
void Evaluator::call_callbacks(const Arguments& arguments, NodeId at) {
  const auto one = [&](const Value& value) {
    if (value.kind != Kind::function && value.kind != Kind::method) return;
    if (functions_[value.ref].called) return;
    Arguments none;
    none.open = true;
    apply(value, none, at);
  };
  for (const Value& value: arguments.positional)
    one(value);
  for (const auto& [name, value]: arguments.named)
    one(value);
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
  note_name(path, tree_[at].begin);
  if (Value known_here; call_about_modules(path, arguments, known_here)) return known_here;
  const Callable* known = find_callable(path);
  if (known != nullptr) return call_known(*known, path, callee, arguments, at);
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
  call_callbacks(arguments, at);
  Labels labels = callee.labels;
  std::uint32_t from = callee.step;
  for (const Value& value: arguments.positional) {
    labels |= value.labels;
    if (from == 0) from = value.step;
  }
  for (const auto& [name, value]: arguments.named) {
    labels |= value.labels;
    if (from == 0) from = value.step;
  }
  labels &= k_handed_on;
  if (path.size() + 2 > k_max_path || path.ends_with("()()")) return unknown(labels, at, from);
  return make_name(path + "()", labels, from);
}

Value Evaluator::import_call(const Arguments& arguments, NodeId at, std::string_view callee) {
  const Value name = arguments.get(0, "name");
  if (!name.is_text() || name.partial) return unknown(name.labels & k_handed_on, at, name.step);
  const bool whole = !callee.ends_with("__import__") || arguments.find("fromlist") != nullptr;
  if (const Value own = module_called(raw(name), whole); own.kind == Kind::module) return own;
  Value out = make_name(raw(name), name.labels & (k_decoded | k_computed | k_pieces), name.step);
  return out;
}

Value Evaluator::environment(const Arguments& arguments, NodeId at) {
  const Value key = arguments.get(0, "key");
  if (!key.is_text() || key.partial) return unknown(0, at);
  const Labels labels = is_secret_variable(raw(key)) ? Labels{k_secret_env} : Labels{0};
  const std::string& word = raw(key);
  const bool home = word == "HOME" || word == "USERPROFILE";
  Value out = make_text(home ? "~" : "$" + word, labels, true);
  if (labels != 0) out.step = step(at, 0);
  return out;
}

Value Evaluator::open_file(const Arguments& arguments, NodeId at) {
  const Value path = arguments.get(0, "file");
  const Value mode = arguments.get(1, "mode");
  Value out{.kind = Kind::handle};
  pool_.push_back(text_of(path));
  out.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  const bool writes = mode.is_text() && raw(mode).find_first_of("wax+") != std::string::npos;
  out.number = writes ? 1 : 0;
  out.labels = path.labels & (k_walk | k_hub);
  out.step = path.step;
  if (writes) {
    judge_write(path, {}, at);
    return out;
  }
  out.labels |= k_file;
  if (path.kind == Kind::name && raw(path) == "__file__") out.labels |= k_own_source;
  if (path.is_text() && is_sensitive_path(raw(path))) {
    out.labels |= k_sensitive;
    out.step = step(at, path.step);
  }
  for (const auto& [file, labels]: dropped_)
    if (file == raw(out)) out.labels |= labels;
  return out;
}

Value Evaluator::call_known(const Callable& known, const std::string& path, const Value& callee,
                            const Arguments& arguments, NodeId at) {
  const Value first = arguments.get(0);
  judge_hidden_name(callee, path, known.op, at);
  const auto sourced = [&](Labels labels, std::uint32_t parent) {
    return make_name(path + "()", labels, step(at, parent));
  };
  switch (known.op) {
  case Op::source:
    call_callbacks(arguments, at);
    return sourced(known.labels | (first.labels & k_hub), first.step);
  case Op::pass: {
    Value out = first;
    out.labels |= known.labels;
    for (const Value& value: arguments.positional)
      out.labels |= value.labels & (k_net | k_decoded | k_environ | k_sensitive | k_host);
    for (const auto& [name, value]: arguments.named)
      out.labels |=
          value.labels & (k_net | k_decoded | k_environ | k_sensitive | k_host | k_screen);
    return out;
  }
  case Op::sanitize:
    if (path == "int" && first.is_constant() && first.is_text()) {
      const Value base = arguments.get(1, "base");
      errno = 0;
      char* end = nullptr;
      const long long n = std::strtoll(
          raw(first).c_str(), &end,
          base.kind == Kind::integer && base.number <= 36 ? static_cast<int>(base.number) : 10);
      if (end != raw(first).c_str()) return make_integer(n);
    }
    if (path == "int" && first.kind == Kind::integer) return first;
    if (path == "len" && first.is_constant() && first.is_text())
      return make_integer(static_cast<std::int64_t>(raw(first).size()));
    if (path == "len" && first.kind == Kind::list)
      return make_integer(static_cast<std::int64_t>(lists_[first.ref].size()));
    return unknown(0, at);
  case Op::run_code:
    note(f_run, tree_[at].begin);
    judge_code(first.kind == Kind::unknown && first.labels == 0 ? arguments.get(0, "stmt") : first,
               at, path);
    return unknown(first.labels & k_handed_on, at, first.step);
  case Op::run_command: {
    note(f_run, tree_[at].begin);
    Value command = first;
    if (arguments.positional.empty()) command = arguments.get(0, "args");
    if (path == "asyncio.create_subprocess_exec" || path == "pexpect.spawn")
      command = make_list(arguments.positional, command.labels);
    judge_command(command, arguments, at, path);
    return sourced(known.labels, 0);
  }
  case Op::run_program: {
    note(f_run, tree_[at].begin);
    const Value program = arguments.get(known.detail);
    if (path.starts_with("os.exec") || path.starts_with("os.spawn")) {
      // (program, argv…) or (program, [argv])
      std::vector<Value> words;
      for (std::size_t i = known.detail; i < arguments.positional.size(); ++i)
        words.push_back(arguments.positional[i]);
      if (words.size() == 2 && words[1].kind == Kind::list) {
        words = lists_[words[1].ref];
        if (words.empty()) words.push_back(program);
      } else if (words.size() > 1) {
        words.erase(words.begin());
      }
      judge_command(make_list(std::move(words), program.labels), {}, at, path);
    } else {
      judge_program(program, at, path);
    }
    return unknown(program.labels & k_handed_on, at, program.step);
  }
  case Op::decode:
    return decode(known, arguments, at);
  case Op::load_code: {
    judge_load(first, at, path);
    // Programs that cache bytecode load it from their own files.
    const bool own =
        first.is_text() || (first.labels & (k_decoded | k_net | k_computed | k_weights)) != 0;
    Labels labels = known.labels;
    if (!own && (labels & k_decoded) != 0) labels = k_unpacked | k_code;
    return unknown((first.labels & k_handed_on) | labels, at,
                   labels != 0 ? step(at, first.step) : first.step);
  }
  case Op::open:
    return open_file(arguments, at);
  case Op::import:
    return import_call(arguments, at, path);
  case Op::get: {
    note(f_net_in, tree_[at].begin);
    judge_send(arguments, at, path);
    return sourced(k_net | (first.labels & k_own_source), first.step);
  }
  case Op::send:
    judge_send(arguments, at, path);
    return unknown(0, at);
  case Op::fetch: {
    note(f_net_in, tree_[at].begin);
    judge_send({.positional = {first}}, at, path);
    Value target = arguments.get(known.detail, "filename");
    if (target.kind == Kind::unknown) target = arguments.get(known.detail, "out");
    const bool published = first.is_text() && is_published_url(raw(first));
    Value data = unknown(k_net | (published ? Labels{k_hub} : Labels{0}), at, step(at, 0));
    if (target.kind == Kind::unknown || target.kind == Kind::none) {
      // Returns (name, headers), or the name.
      Value out = unknown(k_net, at, data.step);
      dropped_.emplace_back(text_of(out), k_net);
      return out;
    }
    judge_write(target, data, at);
    target.labels |= k_net;
    target.step = data.step;
    return target;
  }
  case Op::copy: {
    const Value target = arguments.get(1, "dst");
    Value data = unknown(k_file | (first.labels & k_handed_on), at, first.step);
    const std::string from = text_of(first);
    for (const auto& [file, labels]: dropped_)
      if (file == from) data.labels |= labels;
    judge_write(target, data, at);
    return target;
  }
  case Op::pipe: {
    const Value target = arguments.get(1, "fdst");
    if (target.kind == Kind::handle) {
      Value file = make_text(raw(target), target.labels, false);
      judge_write(file, first, at);
    }
    return unknown(0, at);
  }
  case Op::remove:
    judge_remove(first, at);
    return unknown(0, at);
  case Op::duplicate:
    judge_duplicate(arguments, at);
    return unknown(first.labels, at, first.step);
  case Op::hub_write:
    judge_hub_write(arguments, at);
    return unknown(0, at);
  case Op::crypt: {
    Value out =
        unknown((first.labels & k_handed_on) |
                    ((first.labels & (k_file | k_walk)) != 0 ? Labels{k_encrypted} : Labels{0}),
                at, step(at, first.step));
    if (path == "pyAesCrypt.encryptFile" && (first.labels & k_walk) != 0)
      report(R::destruction, at, &first, "encrypts the files that it finds");
    return out;
  }
  case Op::walk:
    return sourced(known.labels | (first.labels & k_handed_on), first.step);
  case Op::defer:
    return call_deferred(arguments, known.detail, at);
  case Op::chr:
    if (first.kind == Kind::integer && first.number >= 0 && first.number < 0x110000) {
      std::string text;
      const auto c = static_cast<std::uint32_t>(first.number);
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else if (c < 0x800) {
        text += static_cast<char>(0xc0 | (c >> 6));
        text += static_cast<char>(0x80 | (c & 0x3f));
      } else {
        text = "?";
      }
      return make_text(std::move(text), first.labels | k_computed, false);
    }
    return unknown((first.labels & k_handed_on) | k_computed, at, first.step);
  case Op::ord:
    if (first.is_text() && !first.partial && raw(first).size() == 1) {
      Value out = make_integer(static_cast<unsigned char>(raw(first)[0]));
      out.labels = first.labels;
      return out;
    }
    return unknown(first.labels & k_handed_on, at, first.step);
  case Op::text: {
    std::string bytes;
    if (first.kind == Kind::list && path != "str" && list_bytes(first, bytes))
      return make_text(std::move(bytes), first.labels | k_computed, false, Kind::bytes);
    if (first.is_text()) {
      Value out = first;
      out.kind = path == "str" ? Kind::text : Kind::bytes;
      return out;
    }
    if (first.kind == Kind::integer && path == "str")
      return make_text(std::to_string(first.number), first.labels, false);
    Value out = first;
    if (first.kind == Kind::name) out = unknown(first.labels & k_handed_on, at, first.step);
    return out;
  }
  case Op::reversed: {
    if (first.is_text() && charge(raw(first).size())) {
      std::string text = raw(first);
      std::reverse(text.begin(), text.end());
      return make_text(std::move(text), first.labels | k_computed, first.partial, first.kind);
    }
    if (first.kind == Kind::list) {
      std::vector<Value> list = lists_[first.ref];
      std::reverse(list.begin(), list.end());
      return make_list(std::move(list), first.labels);
    }
    return first;
  }
  case Op::map: {
    const Value iterable = arguments.get(1);
    std::vector<Value> list;
    std::vector<Value> out;
    if (!reads_as_list(iterable, list) || list.size() > 4096)
      list.assign(1, element_of(iterable, at));
    Labels labels = iterable.labels & k_handed_on;
    for (const Value& item: list) {
      Arguments one;
      one.positional.push_back(item);
      out.push_back(apply(first, one, at));
      labels |= out.back().labels & k_handed_on;
      if (over_budget_) break;
    }
    if (path == "functools.reduce" || path == "filter") return unknown(labels, at, iterable.step);
    Value result = make_list(std::move(out), labels);
    result.step = iterable.step;
    return result;
  }
  case Op::partial: {
    Value out = make_list(arguments.positional, 0);
    if (arguments.positional.empty()) return unknown(0, at);
    out.kind = Kind::partial;
    return out;
  }
  case Op::getattr: {
    const Value key = arguments.get(1);
    if (!key.is_text() || key.partial)
      return unknown((first.labels | key.labels) & k_handed_on, at, key.step);
    Value out = attribute(first, raw(key), at);
    out.labels |= key.labels & (k_decoded | k_computed | k_pieces);
    if (out.step == 0) out.step = key.step;
    return out;
  }
  case Op::environ_get:
    return environment(arguments, at);
  case Op::join_path: {
    std::string text;
    Labels labels = 0;
    bool partial = false;
    std::uint32_t from = 0;
    for (const Value& value: arguments.positional) {
      if (!text.empty() && !text.ends_with('/')) text += '/';
      if (value.is_text() && raw(value).starts_with('/')) text.clear();
      text += text_of(value);
      labels |= value.labels & k_handed_on;
      if (from == 0) from = value.step;
      partial = partial || !value.is_constant();
    }
    Value out = make_text(std::move(text), labels, partial);
    out.step = from;
    return out;
  }
  case Op::registry: {
    std::string words;
    for (const Value& value: arguments.positional)
      words += text_of(value) + " ";
    if (words.find("CurrentVersion\\Run") != std::string::npos)
      report(R::persistence, at, nullptr, "writes the registry's list of programs to start");
    return unknown(0, at);
  }
  case Op::tunnel:
    return sourced(known.labels, 0);
  case Op::none:
    break;
  }
  return unknown(0, at);
}

} // namespace hubgate::python

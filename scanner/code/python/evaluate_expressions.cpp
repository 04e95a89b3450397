#include "scanner/code/python/evaluator.hpp"
#include "scanner/code/python/identifier.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr std::size_t k_max_path = 200;

/// Labels that a value hands on to what is made of it.
constexpr Labels k_sticky = ~(k_process | k_code);

} // namespace

bool Evaluator::tick() {
  if (over_budget_) return false;
  ++ticks_;
  if (ticks_ > max_ticks_ || fold_budget_ == 0 ||
      ((ticks_ & 0x3fff) == 0 && !session_.budget().time_left())) {
    over_budget_ = true;
    return false;
  }
  return true;
}

std::uint32_t Evaluator::step(NodeId at, std::uint32_t parent) {
  if (steps_.size() >= 200'000) return parent;
  if (parent != 0 && steps_[parent].offset == tree_[at].begin) return parent;
  steps_.push_back({tree_[at].begin, parent});
  return static_cast<std::uint32_t>(steps_.size() - 1);
}

Value Evaluator::unknown(Labels labels, NodeId at, std::uint32_t from) const {
  Value out;
  out.labels = labels;
  out.origin = at;
  out.step = from;
  return out;
}

Value Evaluator::evaluate(NodeId id) {
  if (id == k_no_node) return {};
  if (!tick() || depth_ > 2 * k_max_depth) return unknown(0, id);
  ++depth_;
  Value out = evaluate_kind(id);
  --depth_;
  if (out.kind == Kind::unknown && out.origin == 0) out.origin = id;
  return out;
}

Value Evaluator::evaluate_kind(NodeId id) {
  const Node node = tree_[id];
  const auto kid = [&](std::size_t i) { return tree_.kid(id, i); };
  switch (node.kind) {
  case NodeKind::name:
    return name(id);
  case NodeKind::number:
    return number(id);
  case NodeKind::string:
    return literal(id);
  case NodeKind::fstring:
    return joined_string(id);
  case NodeKind::tuple:
  case NodeKind::list:
  case NodeKind::set:
    return items(id, Kind::list);
  case NodeKind::dict:
    return items(id, Kind::dict);
  case NodeKind::call:
    return call(id);
  case NodeKind::star:
  case NodeKind::await:
    return evaluate(kid(0));
  case NodeKind::attribute:
    if (const auto at = scope().names.find(tree_.slice(id)); at != scope().names.end())
      return at->second;
    return attribute(evaluate(kid(0)), tree_.slice(kid(1)), id);
  case NodeKind::subscript:
    return subscript(id);
  case NodeKind::slice:
    for (std::size_t i = 0; i < 3; ++i)
      evaluate(kid(i));
    return {};
  case NodeKind::binary:
    return binary(id);
  case NodeKind::unary: {
    Value value = evaluate(kid(0));
    if (value.kind == Kind::integer && node.op == '-')
      value.number = static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(value.number));
    else if (value.kind == Kind::integer && node.op == '~')
      value.number = ~value.number;
    else if (node.op == 'n')
      return {};
    return value;
  }
  case NodeKind::boolean: {
    // What "a or b" gives: one of them.
    Value out = evaluate(kid(0));
    const bool open = out.kind == Kind::unknown || (out.is_text() && raw(out).empty());
    for (std::size_t i = 1; i < node.count; ++i)
      out = merge(out, evaluate(kid(i)));
    if (open && out.is_text()) out.origin = id;
    return out;
  }
  case NodeKind::compare: {
    for (std::size_t i = 0; i < node.count; ++i) {
      const Value value = evaluate(kid(i));
      if (value.kind == Kind::name && raw(value).find("hexdigest") != std::string::npos)
        note(f_hash_check, node.begin);
    }
    return {};
  }
  case NodeKind::conditional: {
    evaluate(kid(1));
    const Value first = evaluate(kid(0));
    return merge(evaluate(kid(2)), first);
  }
  case NodeKind::lambda: {
    functions_.push_back({.node = id, .scope = current_, .klass = k_nowhere});
    Value value{.kind = Kind::function};
    value.ref = static_cast<std::uint32_t>(functions_.size() - 1);
    return value;
  }
  case NodeKind::comprehension:
    return comprehension(id);
  case NodeKind::walrus: {
    const Value value = evaluate(kid(1));
    assign(kid(0), value);
    return value;
  }
  default:
    return {};
  }
}

Value Evaluator::name(NodeId id) {
  std::string_view text = tree_.slice(id);
  if (!is_ascii(text)) {
    // Python folds such letters: 𝐞𝐱𝐞𝐜 is exec.
    const std::string plain = normalised(text);
    if (plain != text && is_ascii(plain)) {
      const Callable* known = find_callable(plain);
      const bool reserved = plain.starts_with("__") ||
                            (known != nullptr && runs_something(known->op)) || known != nullptr;
      if (reserved) report(R::hidden_source, id, nullptr, "a name that Python reads as " + plain);
      pool_.push_back(plain);
      text = pool_.back();
    }
  }
  return lookup(text);
}

Value Evaluator::lookup(std::string_view text) {
  if (text == "None") return {.kind = Kind::none};
  if (text == "True") return make_integer(1);
  if (text == "False") return make_integer(0);
  for (std::uint32_t at = current_;;) {
    const Scope& scope = scopes_[at];
    if (const auto found = scope.names.find(text); found != scope.names.end()) return found->second;
    if (at == 0) break;
    at = scope.parent;
  }
  const std::uint32_t own = own_module_scope();
  for (const auto& [scope, module]: star_modules_) {
    if (scope != own) continue;
    const std::string path = module + "." + std::string(text);
    if (find_callable(canonical(path)) != nullptr) return make_name(path);
  }
  return make_name(std::string(text));
}

Value Evaluator::class_attribute(std::uint32_t klass, std::string_view name, unsigned depth) {
  const auto found = classes_[klass].attributes.find(name);
  if (found != classes_[klass].attributes.end()) return found->second;
  if (depth < 8)
    for (const Value& base: classes_[klass].bases)
      if (base.kind == Kind::klass && base.ref != klass) {
        const Value value = class_attribute(base.ref, name, depth + 1);
        if (value.kind != Kind::unknown || value.labels != 0) return value;
      }
  return {};
}

Value Evaluator::attribute(const Value& object, std::string_view name, NodeId at) {
  switch (object.kind) {
  case Kind::name: {
    if (raw(object).size() + name.size() > k_max_path) break;
    Value out = make_name(raw(object) + "." + std::string(name), object.labels, object.step);
    if (name == "environ" && canonical(raw(out)) == "os.environ") {
      out.labels |= k_environ;
      out.step = step(at, object.step);
    }
    return out;
  }
  case Kind::instance:
  case Kind::klass: {
    Value value = class_attribute(object.ref, name);
    if (value.kind == Kind::function && object.kind == Kind::instance) {
      value.kind = Kind::method;
      value.number = object.ref;
    }
    if (value.kind != Kind::unknown || value.labels != 0) return value;
    // A base class from elsewhere: self.run_cell is Base().run_cell.
    for (const Value& base: classes_[object.ref].bases)
      if (base.kind == Kind::name && raw(base).size() + name.size() < k_max_path)
        return make_name(raw(base) + "()." + std::string(name), object.labels, object.step);
    return unknown(object.labels, at, object.step);
  }
  case Kind::module:
    return module_attribute(object, name);
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
  if (object.labels & k_process && name == "stdin") return unknown(k_process, at, object.step);
  return unknown(object.labels & k_sticky, at, object.step);
}

Value Evaluator::items(NodeId id, Kind kind) {
  std::vector<Value> out;
  Labels labels = 0;
  std::uint32_t from = 0;
  bool whole = true;
  for (const NodeId kid: tree_.kids(id)) {
    const Value value = evaluate(kid);
    labels |= value.labels;
    if (from == 0) from = value.step;
    if (kind == Kind::list && tree_[kid].kind == NodeKind::star && value.kind == Kind::list &&
        out.size() + lists_[value.ref].size() < k_max_items) {
      out.insert(out.end(), lists_[value.ref].begin(), lists_[value.ref].end());
      continue;
    }
    if (out.size() < 4 * k_max_items)
      out.push_back(value);
    else
      whole = false;
  }
  if (!whole || !charge(out.size() * 8)) return unknown(labels, id, from);
  Value list = make_list(std::move(out), labels);
  list.kind = kind;
  list.step = from;
  return list;
}

Value Evaluator::subscript(NodeId id) {
  const NodeId index_node = tree_.kid(id, 1);
  const Value object = evaluate(tree_.kid(id, 0));
  const Labels labels = object.labels & k_sticky;
  if (tree_[index_node].kind == NodeKind::slice) {
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
      return make_text(from < upto ? text.substr(from, upto - from) : "", labels, object.partial,
                       object.kind);
    }
    if (object.kind == Kind::list && backwards && charge(lists_[object.ref].size() * 8)) {
      std::vector<Value> list = lists_[object.ref];
      std::reverse(list.begin(), list.end());
      return make_list(std::move(list), labels);
    }
    return object.kind == Kind::list ? object : unknown(labels, id, object.step);
  }
  const Value key = evaluate(index_node);
  switch (object.kind) {
  case Kind::name: {
    std::string path = raw(object);
    if (key.is_text() && !key.partial) {
      const std::string& word = raw(key);
      const Labels hidden = key.labels & (k_decoded | k_computed | k_pieces);
      if (path == "globals()" || path == "locals()" || path == "vars()") {
        Value value = lookup(word);
        value.labels |= hidden;
        return value;
      }
      if (path.ends_with(".__dict__"))
        return make_name(path.substr(0, path.size() - 8) + word, object.labels | hidden, key.step);
      if (path == "sys.modules")
        if (const Value own = module_called(word, true); own.kind == Kind::module) return own;
      if (path == "sys.modules" || path == "__builtins__" || path == "builtins")
        return make_name(path == "sys.modules" ? word : "builtins." + word, hidden, key.step);
      if (path.ends_with(".__globals__")) return make_name(word, hidden, key.step);
      if (canonical(path) == "os.environ") {
        Arguments arguments;
        arguments.positional.push_back(key);
        return environment(arguments, id);
      }
    }
    if (canonical(path) == "os.environ") return unknown(0, id);
    break;
  }
  case Kind::module:
    if (key.is_text() && !key.partial) return module_attribute(object, raw(key));
    break;
  case Kind::list:
    if (key.kind == Kind::integer) {
      const auto& list = lists_[object.ref];
      const std::int64_t size = static_cast<std::int64_t>(list.size());
      const std::int64_t n = key.number < 0 ? key.number + size : key.number;
      if (n >= 0 && n < size) return list[static_cast<std::size_t>(n)];
    }
    break;
  case Kind::dict:
    if (key.is_constant()) {
      const auto& pairs = lists_[object.ref];
      for (std::size_t i = pairs.size(); i >= 2; i -= 2)
        if (pairs[i - 2].is_constant() && text_of(pairs[i - 2]) == text_of(key))
          return pairs[i - 1];
    }
    break;
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
    // obj[x] calls __getitem__, Class[x] __class_getitem__.
    const Value method = class_attribute(
        object.ref, object.kind == Kind::klass ? "__class_getitem__" : "__getitem__");
    if (method.kind == Kind::name || method.kind == Kind::function) {
      Arguments arguments;
      if (method.kind == Kind::function) arguments.positional.push_back(object);
      arguments.positional.push_back(key);
      return apply(method, arguments, id);
    }
    break;
  }
  default:
    break;
  }
  return unknown(labels, id, object.step);
}

Value Evaluator::binary(NodeId id) {
  const Node node = tree_[id];
  Value out = evaluate(tree_.kid(id, 0));
  bool pieces = node.op == '+' && out.is_text() && !out.partial && raw(out).size() < 12;
  for (std::size_t i = 1; i < node.count; ++i) {
    const Value right = evaluate(tree_.kid(id, i));
    pieces = pieces && right.is_text() && !right.partial && raw(right).size() < 12 && out.is_text();
    out = arithmetic(node.op, out, right, id);
  }
  if (pieces) out.labels |= k_pieces;
  return out;
}

Value Evaluator::arithmetic(char op, const Value& left, const Value& right, NodeId at) {
  const Labels labels = (left.labels | right.labels) & k_sticky;
  const std::uint32_t from = left.step != 0 ? left.step : right.step;
  if (left.kind == Kind::integer && right.kind == Kind::integer) {
    const auto a = static_cast<std::uint64_t>(left.number);
    const auto b = static_cast<std::uint64_t>(right.number);
    std::uint64_t n = 0;
    switch (op) {
    case '+':
      n = a + b;
      break;
    case '-':
      n = a - b;
      break;
    case '*':
      n = a * b;
      break;
    case '^':
      n = a ^ b;
      break;
    case '&':
      n = a & b;
      break;
    case '|':
      n = a | b;
      break;
    case 'l':
      n = b < 64 ? a << b : 0;
      break;
    case 'r':
      n = b < 64 ? a >> b : 0;
      break;
    case '%':
    case 'd':
      if (right.number <= 0 || left.number < 0) return {};
      n = op == '%' ? a % b : a / b;
      break;
    default:
      return unknown(labels, at, from);
    }
    Value out = make_integer(static_cast<std::int64_t>(n));
    out.labels = labels | (op == '^' ? Labels{k_computed} : Labels{0});
    return out;
  }
  if (op == '+' || op == '/') {
    // Paths are joined with "/".
    const bool path = op == '/';
    if (left.kind == Kind::list && right.kind == Kind::list && !path &&
        lists_[left.ref].size() + lists_[right.ref].size() < k_max_items &&
        charge((lists_[left.ref].size() + lists_[right.ref].size()) * 8)) {
      std::vector<Value> all = lists_[left.ref];
      all.insert(all.end(), lists_[right.ref].begin(), lists_[right.ref].end());
      Value out = make_list(std::move(all), labels);
      out.step = from;
      return out;
    }
    if (left.is_text() || (right.is_text() && (!path || left.kind != Kind::integer))) {
      std::string text = text_of(left);
      const std::string tail = text_of(right);
      if (path && !text.ends_with('/')) text += '/';
      if (!charge(text.size() + tail.size())) return unknown(labels, at, from);
      Value out = make_text(text + tail, labels, !left.is_constant() || !right.is_constant(),
                            left.kind == Kind::bytes ? Kind::bytes : Kind::text);
      out.step = from;
      return out;
    }
  }
  if (op == '%' && left.is_text()) {
    Value out = percent(raw(left), right, labels);
    out.step = from;
    return out;
  }
  if (op == '*' && left.is_text() && right.kind == Kind::integer && right.number >= 0 &&
      right.number < 4096 && charge(raw(left).size() * static_cast<std::size_t>(right.number))) {
    std::string text;
    for (std::int64_t i = 0; i < right.number; ++i)
      text += raw(left);
    return make_text(std::move(text), labels, left.partial, left.kind);
  }
  return unknown(labels, at, from);
}

Value Evaluator::joined_string(NodeId id) {
  std::string text;
  Labels labels = 0;
  std::uint32_t from = 0;
  bool partial = false;
  bool bytes = false;
  for (const NodeId kid: tree_.kids(id)) {
    const Value value = evaluate(kid);
    labels |= value.labels & k_sticky;
    if (from == 0) from = value.step;
    partial = partial || !value.is_constant();
    bytes = bytes || value.kind == Kind::bytes;
    text += text_of(value);
  }
  if (!charge(text.size())) return unknown(labels, id, from);
  Value out = make_text(std::move(text), labels, partial, bytes ? Kind::bytes : Kind::text);
  out.step = from;
  return out;
}

Value Evaluator::element_of(const Value& iterable, NodeId at) {
  if (iterable.kind == Kind::list && !lists_[iterable.ref].empty()) {
    // The first one stands for all, with what the others carry.
    Value out = lists_[iterable.ref].front();
    for (const Value& item: lists_[iterable.ref])
      if (item.kind != out.kind || item.ref != out.ref) {
        Labels labels = iterable.labels;
        return out.kind == Kind::list || out.kind == Kind::function || out.kind == Kind::name ||
                       out.is_text()
                   ? out
                   : unknown(labels, at, iterable.step);
      }
    return out;
  }
  if (iterable.kind == Kind::dict && lists_[iterable.ref].size() >= 2)
    return lists_[iterable.ref][0];
  return unknown(iterable.labels & k_sticky, at, iterable.step);
}

Value Evaluator::comprehension(NodeId id) {
  const bool dict = tree_[id].op == ':';
  const std::size_t scopes = scopes_.size();
  const std::size_t functions = functions_.size();
  scopes_.push_back({.parent = current_, .klass = k_nowhere});
  const std::uint32_t outer = std::exchange(current_, static_cast<std::uint32_t>(scopes));
  std::vector<Value> out;
  Labels labels = 0;
  clauses(id, dict ? 2 : 1, out, labels);
  current_ = outer;
  if (functions_.size() == functions) scopes_.resize(scopes);
  if (out.size() > k_max_items || !charge(out.size() * 8)) return unknown(labels, id);
  std::uint32_t from = 0;
  for (const Value& value: out)
    if (value.step != 0) from = value.step;
  Value list = make_list(std::move(out), labels);
  if (dict) list.kind = Kind::dict;
  list.step = from;
  return list;
}

void Evaluator::clauses(NodeId id, std::size_t clause, std::vector<Value>& out, Labels& labels) {
  if (clause >= tree_[id].count) {
    const std::size_t values = tree_[id].op == ':' ? 2 : 1;
    for (std::size_t i = 0; i < values; ++i) {
      out.push_back(evaluate(tree_.kid(id, i)));
      labels |= out.back().labels & k_sticky;
    }
    return;
  }
  const NodeId part = tree_.kid(id, clause);
  const Value iterable = evaluate(tree_.kid(part, 1));
  std::vector<Value> list;
  const bool concrete =
      reads_as_list(iterable, list) && list.size() <= k_max_items &&
      concrete_ + list.size() < 200'000 &&
      std::all_of(list.begin(), list.end(), [](const Value& v) { return v.is_constant(); });
  labels |= iterable.labels & k_sticky;
  if (!concrete) {
    list.assign(1, element_of(iterable, part));
  } else {
    concrete_ += static_cast<std::uint32_t>(list.size());
  }
  for (const Value& item: list) {
    assign(tree_.kid(part, 0), item);
    for (std::size_t i = 2; i < tree_[part].count; ++i)
      evaluate(tree_.kid(part, i));
    clauses(id, clause + 1, out, labels);
    if (over_budget_) return;
  }
  // A filter leaves out what is not known here.
  if (tree_[part].count > 2 && concrete && !out.empty()) out.push_back(unknown(labels, part));
}

Arguments Evaluator::arguments(std::span<const NodeId> nodes) {
  Arguments out;
  for (const NodeId node: nodes) {
    if (tree_[node].kind == NodeKind::keyword) {
      out.named.emplace_back(tree_.slice(tree_.kid(node, 0)), evaluate(tree_.kid(node, 1)));
      continue;
    }
    const Value value = evaluate(node);
    if (tree_[node].kind != NodeKind::star) {
      out.positional.push_back(value);
    } else if (value.kind == Kind::list && lists_[value.ref].size() < 64) {
      out.positional.insert(out.positional.end(), lists_[value.ref].begin(),
                            lists_[value.ref].end());
    } else if (value.kind == Kind::dict) {
      const auto& pairs = lists_[value.ref];
      for (std::size_t i = 0; i + 1 < pairs.size() && i < 64; i += 2)
        if (pairs[i].is_text()) out.named.emplace_back(raw(pairs[i]), pairs[i + 1]);
    } else {
      out.positional.push_back(value);
      out.open = true;
    }
  }
  return out;
}

} // namespace hubgate::python

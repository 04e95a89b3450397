#include "scanner/code/python/evaluator.hpp"
#include "scanner/code/python/identifier.hpp"

#include <algorithm>
#include <array>

namespace hubgate::python {
namespace {

/// What a generator yields is kept item by item up to here.
constexpr std::size_t k_max_yields = 64;

using Names = std::array<std::string_view, 2>;
constexpr Names k_equal{"eq", "eq"};
constexpr Names k_unequal{"ne", "eq"};
constexpr Names k_less{"lt", "le"};
constexpr Names k_greater{"gt", "ge"};

/// __add__ without its underscores, for an operator of the tree.
std::string_view special_name(char op) {
  switch (op) {
  case '+':
    return "add";
  case '-':
    return "sub";
  case '*':
    return "mul";
  case '/':
    return "truediv";
  case 'd':
    return "floordiv";
  case '%':
    return "mod";
  case 'p':
    return "pow";
  case '@':
    return "matmul";
  case '|':
    return "or";
  case '&':
    return "and";
  case '^':
    return "xor";
  case 'l':
    return "lshift";
  default:
    return "rshift";
  }
}

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
    return evaluate(kid(0));
  case NodeKind::await: {
    const Value value = evaluate(kid(0));
    if (node.op == 0 || yields_.empty()) return value;
    auto& yielded = yields_.back();
    const bool all = node.op == 'f' && value.kind == Kind::list;
    if (all)
      for (const Value& one: lists_[value.ref])
        if (yielded.size() < k_max_yields) yielded.push_back(one);
    if (!all && yielded.size() < k_max_yields) yielded.push_back(value);
    return node.op == 'f' ? value : sent_;
  }
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
    Value out;
    if (value.kind == Kind::instance && overloaded(node.op == '~'   ? "invert"
                                                   : node.op == '-' ? "neg"
                                                                    : "pos",
                                                   value, {}, id, out))
      return out;
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
    Value left;
    for (std::size_t i = 0; i < node.count; ++i) {
      const Value value = evaluate(kid(i));
      if (value.kind == Kind::name && raw(value).find("hexdigest") != std::string::npos)
        note(f_hash_check, node.begin);
      Value out;
      if (i > 0 && (left.kind == Kind::instance || value.kind == Kind::instance)) {
        if (node.op == 'i')
          overloaded("contains", value, left, id, out);
        else
          for (const std::string_view name: node.op == '='   ? k_equal
                                            : node.op == '<' ? k_less
                                            : node.op == '>' ? k_greater
                                                             : k_unequal)
            overloaded(name, left, value, id, out);
      }
      left = value;
    }
    return {};
  }
  case NodeKind::conditional: {
    evaluate(kid(1));
    const Value first = evaluate(kid(0));
    return merge(evaluate(kid(2)), first);
  }
  case NodeKind::lambda: {
    functions_.push_back({.node = id, .scope = current_, .klass = scope().klass});
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
  if (text == "__doc__" && modules_ == nullptr) return documentation(tree_.root, 0);
  const std::uint32_t own = own_module_scope();
  for (const auto& [scope, module]: star_modules_) {
    if (scope != own) continue;
    const std::string path = module + "." + std::string(text);
    if (find_callable(canonical(path)) != nullptr) return make_name(path);
  }
  return make_name(std::string(text));
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
    // {**x}: what is known of x, and nothing else, so that keys and values stay pairs.
    if (kind == Kind::dict && tree_[kid].kind == NodeKind::star) {
      if (value.kind == Kind::dict && out.size() + lists_[value.ref].size() < k_max_items) {
        const std::vector<Value> pairs = lists_[value.ref];
        out.insert(out.end(), pairs.begin(), pairs.end());
      }
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
  if (left.kind == Kind::instance || right.kind == Kind::instance || left.kind == Kind::klass ||
      right.kind == Kind::klass) {
    Value out;
    if (overloaded(special_name(op), left, right, at, out)) return out;
  }
  // Contents of files that a search finds, changed byte by byte.
  if (op == '^' && (labels & k_file) != 0 && (labels & k_walk) != 0)
    return unknown(labels | k_encrypted, at, from);
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
    if (out.is_constant() && out.is_text() && right.kind == Kind::list && raw(out).size() < 24)
      out.labels |= k_pieces;
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
  std::size_t fields = 0;
  for (const NodeId kid: tree_.kids(id)) {
    const Value value = evaluate(kid);
    fields += tree_[kid].kind != NodeKind::string ? 1 : 0;
    labels |= value.labels & k_sticky;
    if (from == 0) from = value.step;
    partial = partial || !value.is_constant();
    bytes = bytes || value.kind == Kind::bytes;
    text += text_of(value);
  }
  if (!charge(text.size())) return unknown(labels, id, from);
  if (fields > 1 && !partial && text.size() < 24) labels |= k_pieces;
  // how one logs in at the hub: wrappers around requests pass it on among all sorts of arguments
  if (unit_.kind != UnitKind::weights && text.starts_with("Bearer "))
    labels &= ~Labels{k_credential};
  Value out = make_text(std::move(text), labels, partial, bytes ? Kind::bytes : Kind::text);
  out.step = from;
  return out;
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
      std::all_of(list.begin(), list.end(), [this](const Value& v) { return is_plain(v); });
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

#include "scanner/code/python/evaluator.hpp"
#include "scanner/tree/libraries.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr std::uint32_t k_max_concrete = 200'000;
constexpr std::size_t k_named_imports = 24;    ///< of one statement, told one by one
constexpr std::uint32_t k_concrete_body = 400; ///< bytes of text
constexpr std::size_t k_max_raised = 16;

bool is_main_guard(const Tree& tree, NodeId test) {
  return tree[test].kind == NodeKind::compare &&
         tree.slice(test).find("__name__") != std::string_view::npos &&
         tree.slice(test).find("__main__") != std::string_view::npos;
}

} // namespace

bool is_builder(std::string_view base) {
  const std::string_view last = base.substr(base.rfind('.') + 1);
  for (const std::string_view name:
       {"DatasetBuilder", "GeneratorBasedBuilder", "ArrowBasedBuilder", "BeamBasedBuilder"})
    if (last == name)
      return base.starts_with("datasets") || base.starts_with("tfds") ||
             base.starts_with("tensorflow_datasets") || base == name;
  return false;
}

void Evaluator::block(NodeId id) {
  ++blocks_;
  for (const NodeId kid: tree_.kids(id)) {
    if (over_budget_) break;
    statement(kid);
  }
  --blocks_;
}

void Evaluator::statement(NodeId id) {
  if (!tick()) return;
  const auto kid = [&](std::size_t i) { return tree_.kid(id, i); };
  const Node node = tree_[id];
  here_ = node.begin;
  switch (node.kind) {
  case NodeKind::expression:
    // Texts that stand alone are documentation.
    if (tree_[kid(0)].kind != NodeKind::string) evaluate(kid(0));
    break;
  case NodeKind::assign: {
    const Value value = evaluate(kid(node.count - 1));
    for (std::size_t i = 0; i + 1 < node.count; ++i)
      assign(kid(i), value);
    break;
  }
  case NodeKind::aug_assign: {
    const Value old = evaluate(kid(0));
    const Value value = evaluate(kid(1));
    assign(kid(0), arithmetic(node.op, old, value, id));
    break;
  }
  case NodeKind::ann_assign:
    evaluate(kid(1));
    if (kid(2) != k_no_node) assign(kid(0), evaluate(kid(2)));
    if (scope().klass != k_nowhere && tree_[kid(0)].kind == NodeKind::name)
      classes_[scope().klass].fields.push_back(tree_.slice(kid(0)));
    break;
  case NodeKind::return_: {
    const Value value = evaluate(kid(0));
    if (!returns_.empty()) returns_.back() = merge(returns_.back(), value);
    break;
  }
  case NodeKind::raise:
    for (std::size_t i = 0; i < node.count; ++i) {
      const Value value = evaluate(kid(i));
      if ((value.kind == Kind::instance || value.labels != 0) && raised_.size() < k_max_raised)
        raised_.push_back(value);
    }
    break;
  case NodeKind::global:
    for (std::size_t i = 0; i < node.count; ++i)
      if (current_ != own_module_scope()) scope().outer.push_back(tree_.slice(kid(i)));
    break;
  case NodeKind::delete_:
  case NodeKind::assert_:
  case NodeKind::print:
    for (std::size_t i = 0; i < node.count; ++i)
      evaluate(kid(i));
    break;
  case NodeKind::exec:
    judge_code(evaluate(kid(0)), id, "exec");
    break;
  case NodeKind::import:
    import(id);
    break;
  case NodeKind::import_from:
    import_from(id);
    break;
  case NodeKind::if_: {
    ++branches_;
    for (std::size_t i = 0; i < node.count; i += 2) {
      if (i + 1 >= node.count) {
        block(kid(i));
        break;
      }
      evaluate(kid(i));
      const bool guard = current_ == own_module_scope() && is_main_guard(tree_, kid(i));
      const bool outer = std::exchange(main_guard_, main_guard_ || guard);
      block(kid(i + 1));
      main_guard_ = outer;
    }
    --branches_;
    break;
  }
  case NodeKind::while_:
  case NodeKind::for_:
    loop(id);
    break;
  case NodeKind::try_:
    for (std::size_t i = 0; i < node.count; ++i) {
      const NodeId part = kid(i);
      if (tree_[part].kind == NodeKind::block) {
        block(part);
      } else {
        ++branches_;
        const Value type = evaluate(tree_.kid(part, 0));
        if (const NodeId name = tree_.kid(part, 1); name != k_no_node && !raised_.empty()) {
          const auto fits = std::find_if(raised_.rbegin(), raised_.rend(), [&](const Value& v) {
            return v.kind == Kind::instance && type.kind == Kind::klass && v.ref == type.ref;
          });
          assign(name, fits != raised_.rend() ? *fits : raised_.back());
        }
        block(tree_.kid(part, 2));
        --branches_;
      }
    }
    break;
  case NodeKind::with: {
    std::vector<Value> managers;
    for (std::size_t i = 0; i + 1 < node.count; ++i) {
      const Value manager = evaluate(tree_.kid(kid(i), 0));
      const Value value = enter(manager, kid(i));
      if (tree_.kid(kid(i), 1) != k_no_node) assign(tree_.kid(kid(i), 1), value);
      if (manager.kind == Kind::instance) managers.push_back(manager);
    }
    if (node.count > 0) block(kid(node.count - 1));
    for (const Value& manager: managers)
      for (const std::string_view name: {"__exit__", "__aexit__"})
        if (const Value leave = class_attribute(manager.ref, name); leave.kind == Kind::function) {
          Arguments arguments;
          arguments.open = true;
          invoke(leave.ref, &manager, arguments);
        }
    break;
  }
  case NodeKind::match: {
    ++branches_;
    const Value subject = evaluate(kid(0));
    for (std::size_t i = 2; i < node.count; i += 2) {
      bind_pattern(kid(i - 1), subject);
      block(kid(i));
    }
    --branches_;
    break;
  }
  case NodeKind::function_def:
    define_function(id);
    break;
  case NodeKind::class_def:
    define_class(id);
    break;
  default:
    break;
  }
}

void Evaluator::loop(NodeId id) {
  const bool is_for = tree_[id].kind == NodeKind::for_;
  const NodeId body = tree_.kid(id, is_for ? 2 : 1);
  const NodeId otherwise = tree_.kid(id, is_for ? 3 : 2);
  if (is_for) {
    const Value iterable = evaluate(tree_.kid(id, 1));
    if (!concrete_loop(tree_.kid(id, 0), iterable, body)) {
      assign(tree_.kid(id, 0), element_of(iterable, id));
      // Twice at the outermost loop: what one round leaves behind, the next one finds.
      ++branches_;
      ++loops_;
      block(body);
      if (loops_ == 1) block(body);
      --loops_;
      --branches_;
    }
  } else {
    evaluate(tree_.kid(id, 0));
    ++branches_;
    ++loops_;
    block(body);
    if (loops_ == 1) block(body);
    --loops_;
    --branches_;
  }
  if (otherwise != k_no_node) block(otherwise);
}

// A loop over constants with a short body is run as it stands: that is how payloads are decoded.
bool Evaluator::concrete_loop(NodeId target, const Value& iterable, NodeId body) {
  if (tree_[body].end - tree_[body].begin > k_concrete_body) return false;
  std::vector<Value> list;
  if (!reads_as_list(iterable, list) || list.empty() || list.size() > k_max_items) return false;
  if (!std::all_of(list.begin(), list.end(), [this](const Value& v) { return is_plain(v); }))
    return false;
  if (concrete_ + list.size() > k_max_concrete || loops_ > 1) return false;
  concrete_ += static_cast<std::uint32_t>(list.size());
  ++loops_;
  const unsigned outer = std::exchange(branches_, 0);
  for (Value& item: list) {
    item.labels |= iterable.labels;
    assign(target, item);
    block(body);
    if (over_budget_ || fold_budget_ == 0) break;
  }
  branches_ = outer;
  --loops_;
  return true;
}

void Evaluator::assign(NodeId target, const Value& value) {
  switch (tree_[target].kind) {
  case NodeKind::name: {
    Value stored = value;
    if (stored.labels != 0) stored.step = step(target, value.step);
    assign_name(tree_.slice(target), stored);
    break;
  }
  case NodeKind::tuple:
  case NodeKind::list: {
    const auto kids = tree_.kids(target);
    const bool fits = value.kind == Kind::list && lists_[value.ref].size() == kids.size();
    for (std::size_t i = 0; i < kids.size(); ++i)
      assign(kids[i], fits ? lists_[value.ref][i] : unknown(value.labels, target, value.step));
    break;
  }
  case NodeKind::star:
    assign(tree_.kid(target, 0), unknown(value.labels, target, value.step));
    break;
  case NodeKind::attribute: {
    const std::string_view attribute = tree_.slice(tree_.kid(target, 1));
    const Value object = evaluate(tree_.kid(target, 0));
    set_attribute(object, attribute, value, tree_.slice(target), target);
    break;
  }
  case NodeKind::subscript: {
    const Value object = evaluate(tree_.kid(target, 0));
    const Value key = evaluate(tree_.kid(target, 1));
    if (object.kind == Kind::name && key.is_text() && !key.partial &&
        canonical(raw(object)) == "os.environ") {
      pool_.push_back("os.environ[" + raw(key));
      scopes_[own_module_scope()].names[pool_.back()] = value;
    }
    if (object.kind == Kind::dict && lists_[object.ref].size() < 512) {
      lists_[object.ref].push_back(key);
      lists_[object.ref].push_back(value);
    }
    if (key.is_text() && !key.partial) {
      const bool module = object.kind == Kind::name && raw(object) == "globals()";
      if (module) {
        Value& slot = scopes_[own_module_scope()].names[raw(key)];
        slot = merge(slot, value);
      } else if (object.kind == Kind::instance || object.kind == Kind::klass) {
        set_attribute(object, raw(key), value, {}, target);
      }
    }
    mark(tree_.kid(target, 0), object, value.labels, value.step);
    break;
  }
  default:
    break;
  }
}

void Evaluator::assign_name(std::string_view name, const Value& value) {
  std::uint32_t home = current_;
  if (const auto& outer = scope().outer;
      std::find(outer.begin(), outer.end(), name) != outer.end()) {
    do
      home = scopes_[home].parent;
    while (home != 0 && home != own_module_scope() && !scopes_[home].names.contains(name));
  }
  Value& slot = scopes_[home].names[name];
  slot = branches_ > 0 ? merge(slot, value) : value;
  if (scope().klass != k_nowhere) {
    classes_[scope().klass].attributes[name] = slot;
    if (name.starts_with("__") && value.kind == Kind::name)
      judge_hidden_name(value, canonical(raw(value)), Op::getattr, tree_.root);
  }
}

// What is known of a variable after one of several ways: the newer content, both origins.
Value Evaluator::merge(const Value& old, const Value& value) const {
  if (value.kind == Kind::none && old.kind != Kind::unknown) return old;
  Value out = value;
  if (value.kind == Kind::unknown && value.labels == 0 && old.kind != Kind::none &&
      old.kind != Kind::integer)
    out = old.kind == Kind::unknown && old.labels == 0 ? value : old;
  out.labels |= old.labels | value.labels;
  if (out.step == 0) out.step = old.step;
  return out;
}

void Evaluator::define_function(NodeId id) {
  for (const NodeId parameter: tree_.kids(tree_.kid(id, 1))) {
    evaluate(tree_.kid(parameter, 1));
    evaluate(tree_.kid(parameter, 2));
  }
  functions_.push_back({.node = id, .scope = current_, .klass = scope().klass});
  Value value{.kind = Kind::function};
  value.ref = static_cast<std::uint32_t>(functions_.size() - 1);
  for (std::size_t i = tree_[id].count; i-- > 3;) {
    const NodeId node = tree_.kid(id, i);
    decorate(value, evaluate(node), id);
    register_function(value, tree_[node].kind == NodeKind::call ? tree_.kid(node, 0) : node);
  }
  const unsigned outer = std::exchange(branches_, 0);
  assign_name(tree_.slice(tree_.kid(id, 0)), value);
  branches_ = outer;
}

// @handle.register(type), handle.register(type)(f): what handle() may run instead
void Evaluator::register_function(const Value& value, NodeId callee) {
  if (value.kind != Kind::function || tree_[callee].kind != NodeKind::attribute ||
      tree_.slice(tree_.kid(callee, 1)) != "register")
    return;
  const Value handle = evaluate(tree_.kid(callee, 0));
  if (handle.kind == Kind::function && handle.ref != value.ref &&
      functions_[handle.ref].also.size() < 64)
    functions_[handle.ref].also.push_back(value.ref);
}

// Functions that the library of a bot will call with what somebody sends.
void Evaluator::hand_to_bot(const Value& value, std::string_view path) {
  if (value.kind != Kind::function && value.kind != Kind::method) return;
  for (const std::string_view bot:
       {"telebot.", "discord.", "telegram.", "aiogram.", "pyrogram.", "telethon.", "slack_bolt.",
        "paho.mqtt.", "websocket.", "websockets.", "socketio.", "pika.", "nats.", "irc.", "redis.",
        "stomp.", "xmlrpc.server.", "nextcord.", "disnake."})
    if (path.starts_with(bot)) functions_[value.ref].asked = true;
}

void Evaluator::decorate(Value& value, const Value& decorator, NodeId at) {
  const std::string path = decorator.kind == Kind::name ? canonical(raw(decorator)) : "";
  const Callable* known = find_callable(path);
  if (value.kind == Kind::function) {
    Function& function = functions_[value.ref];
    if (path.ends_with("property")) function.property = true;
    hand_to_bot(value, path);
  }
  const bool runs = known != nullptr && runs_something(known->op);
  if (decorator.kind != Kind::function && decorator.kind != Kind::klass && !runs) return;
  Arguments arguments;
  arguments.positional.push_back(value);
  const Value out = apply(decorator, arguments, at);
  if (out.kind != Kind::unknown || out.labels != 0) value = out;
}

// "with x as y": what y is.
Value Evaluator::enter(const Value& manager, NodeId at) {
  if (manager.kind == Kind::instance)
    for (const std::string_view name: {"__enter__", "__aenter__"})
      if (const Value method = class_attribute(manager.ref, name); method.kind == Kind::function) {
        const Value out = invoke(method.ref, &manager, {});
        if (out.kind != Kind::unknown || out.labels != 0) return out;
      }
  // contextlib.contextmanager: what the generator yields
  return manager.kind == Kind::list ? element_of(manager, at) : manager;
}

void Evaluator::define_class(NodeId id) {
  Class klass;
  klass.node = id;
  for (const NodeId base: tree_.kids(tree_.kid(id, 1))) {
    const bool keyword = tree_[base].kind == NodeKind::keyword;
    klass.bases.push_back(evaluate(keyword ? tree_.kid(base, 1) : base));
    if (keyword && klass.bases.back().kind == Kind::klass) klass.metaclass = klass.bases.back().ref;
  }
  for (const Value& base: klass.bases)
    if (unit_.describe && base.kind == Kind::name && is_builder(raw(base)))
      session_.find(rule(R::entry_point), offset_of(id), 0,
                    "a dataset builder, run when the dataset is loaded: " +
                        line_at(tree_[id].begin),
                    {.condition = unit_.condition, .techniques = "DAT-001"});
  classes_.push_back(std::move(klass));
  Value value{.kind = Kind::klass};
  value.ref = static_cast<std::uint32_t>(classes_.size() - 1);
  scopes_.push_back({.parent = current_, .klass = value.ref});
  const std::uint32_t outer =
      std::exchange(current_, static_cast<std::uint32_t>(scopes_.size() - 1));
  const unsigned branches = std::exchange(branches_, 0);
  block(tree_.kid(id, 2));
  current_ = outer;
  // Protocols are handed what the network sends.
  for (const Value& base: classes_[value.ref].bases)
    if (const std::string path = base.kind == Kind::name ? canonical(raw(base)) : std::string();
        path.starts_with("asyncio.") || path.starts_with("twisted."))
      for (const std::string_view name: {"data_received", "datagram_received", "dataReceived",
                                         "datagramReceived", "lineReceived"})
        if (const auto method = classes_[value.ref].attributes.find(name);
            method != classes_[value.ref].attributes.end() && method->second.kind == Kind::function)
          functions_[method->second.ref].asked = true;
  for (std::size_t i = 3; i < tree_[id].count; ++i) {
    const Value decorator = evaluate(tree_.kid(id, i));
    Arguments arguments;
    arguments.positional.push_back(value);
    if (decorator.kind == Kind::function || decorator.kind == Kind::name)
      apply(decorator, arguments, id);
  }
  for (const Value& base: std::vector<Value>(classes_[value.ref].bases))
    if (base.kind == Kind::klass)
      if (const Value hook = class_attribute(base.ref, "__init_subclass__");
          hook.kind == Kind::function) {
        Arguments arguments;
        for (const NodeId kid: tree_.kids(tree_.kid(id, 1)))
          if (tree_[kid].kind == NodeKind::keyword)
            arguments.named.emplace_back(tree_.slice(tree_.kid(kid, 0)),
                                         evaluate(tree_.kid(kid, 1)));
        invoke(hook.ref, &value, arguments);
      }
  assign_name(tree_.slice(tree_.kid(id, 0)), value);
  branches_ = branches;
}

void Evaluator::import(NodeId id) {
  for (const NodeId alias: tree_.kids(id)) {
    const std::string_view module = tree_.slice(tree_.kid(alias, 0));
    const NodeId as = tree_.kid(alias, 1);
    if (unit_.describe) session_.refer("import", offset_of(alias), module, unit_.condition);
    if (!dropped_.empty()) judge_import(module, alias);
    // "import a.b" binds a, "import a.b as c" binds a.b.
    const std::string_view bound = as != k_no_node ? module : module.substr(0, module.find('.'));
    const std::string_view own = as != k_no_node ? tree_.slice(as) : bound;
    if (import_module(module, own, as != k_no_node)) continue;
    scope().names[own] = make_name(std::string(bound));
  }
}

void Evaluator::import_from(NodeId id) {
  const std::string_view module = tree_.slice(tree_.kid(id, 0));
  if (unit_.describe) {
    session_.refer("import", offset_of(id), module, unit_.condition);
    // What is imported from a package of the repository may be a module of it.
    if (module.starts_with('.') || !is_library(module.substr(0, module.find('.'))))
      for (std::size_t i = 1; i < tree_[id].count && i <= k_named_imports; ++i)
        session_.refer("import", offset_of(id),
                       std::string(module) + (module.ends_with('.') ? "" : ".") +
                           std::string(tree_.slice(tree_.kid(tree_.kid(id, i), 0))),
                       unit_.condition);
  }
  if (!dropped_.empty()) judge_import(module, id);
  if (import_module_from(id)) return;
  if (tree_[id].op == '*') {
    const std::uint32_t own = own_module_scope();
    const auto stars = std::count_if(star_modules_.begin(), star_modules_.end(),
                                     [own](const auto& star) { return star.first == own; });
    if (stars < 8) star_modules_.emplace_back(own, module);
    return;
  }
  for (std::size_t i = 1; i < tree_[id].count; ++i) {
    const NodeId alias = tree_.kid(id, i);
    const std::string_view name = tree_.slice(tree_.kid(alias, 0));
    const NodeId as = tree_.kid(alias, 1);
    const bool hub = module.starts_with("huggingface_hub");
    // What somebody asks of this server.
    const bool request = name == "request" && (module == "flask" || module == "bottle");
    scope().names[as != k_no_node ? tree_.slice(as) : name] =
        make_name((hub ? "huggingface_hub" : std::string(module)) + "." + std::string(name),
                  request ? Labels{k_request} : Labels{0});
  }
}

void Evaluator::uncalled_functions() {
  current_ = 0;
  uncalled_ = true;
  configure_builders();
  const auto run = [this](std::size_t i) {
    Value self{.kind = Kind::instance};
    const bool method = functions_[i].klass != k_nowhere;
    if (method) self.ref = functions_[i].klass;
    Arguments arguments;
    if (method) arguments = given_to_method(functions_[i], self.ref);
    arguments.open = true;
    here_ = tree_[functions_[i].node].begin;
    const Value given = invoke(static_cast<std::uint32_t>(i), method ? &self : nullptr, arguments);
    // (callable, arguments): what runs when such an object is unpickled
    if (!method || given.kind != Kind::list || lists_[given.ref].size() < 2 ||
        tree_[functions_[i].node].kind != NodeKind::function_def ||
        !tree_.slice(tree_.kid(functions_[i].node, 0)).starts_with("__reduce"))
      return;
    const std::vector<Value> parts = lists_[given.ref];
    if (parts[0].kind != Kind::name || parts[1].kind != Kind::list) return;
    const Callable* known = find_callable(canonical(raw(parts[0])));
    if (known == nullptr || !runs_something(known->op)) return;
    Arguments inner;
    inner.positional = lists_[parts[1].ref];
    apply(parts[0], inner, functions_[i].node);
  };
  // What _split_generators() hands over is known before _generate_examples() gets it.
  std::vector<std::size_t> generators;
  for (std::size_t i = 0; i < functions_.size() && !over_budget_; ++i) {
    if (functions_[i].called) continue;
    if (functions_[i].klass != k_nowhere && is_generator_method(functions_[i]))
      generators.push_back(i);
    else
      run(i);
  }
  for (const std::size_t i: generators)
    if (!functions_[i].called && !over_budget_) run(i);
  uncalled_ = false;
}

std::uint64_t Evaluator::fingerprint(const Value* self, const Arguments& arguments) const {
  std::uint64_t hash = self != nullptr ? self->ref + 17U : 1;
  const auto mix = [&](std::uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
    hash ^= hash >> 29;
  };
  const auto add = [&](const Value& value) {
    mix(static_cast<std::uint64_t>(value.kind));
    mix(value.labels);
    if (value.is_text() || value.kind == Kind::name || value.kind == Kind::handle)
      mix(std::hash<std::string_view>{}(std::string_view(raw(value)).substr(0, 256)));
    else if (value.kind == Kind::integer)
      mix(static_cast<std::uint64_t>(value.number));
    else if (value.kind == Kind::function || value.kind == Kind::instance ||
             value.kind == Kind::klass || value.kind == Kind::method || value.kind == Kind::module)
      mix(value.ref);
  };
  if (sent_.labels != 0 || sent_.is_text()) add(sent_);
  for (const Value& value: arguments.positional)
    add(value);
  for (const auto& [name, value]: arguments.named) {
    mix(std::hash<std::string_view>{}(name));
    add(value);
  }
  return hash;
}

void Evaluator::bind(const Function& function, const Value* self, const Arguments& arguments) {
  const NodeId parameters =
      tree_.kid(function.node, tree_[function.node].kind == NodeKind::lambda ? 0 : 1);
  std::size_t position = 0;
  bool first = true;
  const Labels asked = uncalled_ && function.asked ? Labels{k_net | k_remote} : Labels{0};
  for (const NodeId parameter: tree_.kids(parameters)) {
    const NodeId name_node = tree_.kid(parameter, 0);
    const std::string_view name = tree_.slice(name_node);
    Value value = unknown(asked, parameter);
    if (tree_[parameter].op == '*') {
      std::vector<Value> rest;
      Labels labels = 0;
      for (; position < arguments.positional.size(); ++position) {
        rest.push_back(arguments.positional[position]);
        labels |= rest.back().labels;
      }
      value = arguments.open ? unknown(labels, parameter) : make_list(std::move(rest), labels);
    } else if (tree_[parameter].op == 'd') {
      std::vector<Value> pairs;
      Labels labels = asked;
      std::uint32_t from = 0;
      for (const auto& [key, named]: arguments.named) {
        labels |= named.labels;
        if (from == 0) from = named.step;
        pairs.push_back(make_text(std::string(key), 0, false));
        pairs.push_back(named);
      }
      if (!pairs.empty() && !arguments.open) {
        value = make_list(std::move(pairs), labels);
        if (value.kind == Kind::list) value.kind = Kind::dict;
      }
      value.labels |= labels;
      value.step = from;
    } else if (first && self != nullptr) {
      value = *self;
    } else if (position < arguments.positional.size()) {
      value = arguments.positional[position++];
    } else if (const Value* named = arguments.find(name)) {
      value = *named;
    } else if (tree_.kid(parameter, 1) != k_no_node && !uncalled_) {
      value = evaluate(tree_.kid(parameter, 1));
    } else if (tree_.kid(parameter, 1) != k_no_node) {
      // Called from elsewhere, perhaps without it.
      value = evaluate(tree_.kid(parameter, 1));
      if (value.kind == Kind::none) value = unknown(0, parameter);
    }
    first = false;
    if (value.labels != 0) value.step = step(parameter, value.step);
    if (tree_[name_node].kind == NodeKind::name)
      scope().names[name] = value;
    else
      assign(name_node, value);
  }
}

Value Evaluator::invoke(std::uint32_t index, const Value* self, const Arguments& arguments) {
  Function& function = functions_[index];
  Labels labels = 0;
  std::uint32_t from = 0;
  bool matters = false;
  for (const Value& value: arguments.positional) {
    labels |= value.labels;
    if (from == 0) from = value.step;
    matters = matters || value.labels != 0 || value.is_text();
  }
  const std::uint64_t key = fingerprint(self, arguments);
  if (const auto known = function.results.find(key); known != function.results.end())
    return known->second;
  const bool tired = ticks_ > max_ticks_ / 2 && function.runs >= k_max_runs;
  if (function.running || tired || calls_ >= k_max_calls) {
    skipped_ = skipped_ || (tired && matters);
    // Among many files, what it gave to somebody else says nothing here.
    const bool guess = function.runs == 0 || modules_ != nullptr;
    Value out = guess ? unknown(0, function.node) : function.last;
    out.labels |= labels;
    if (out.step == 0) out.step = from;
    return out;
  }
  call_sites_.push_back(here_);
  const std::uint32_t module = module_;
  enter_module(module_of(function.node));
  function.called = true;
  function.running = true;
  ++function.runs;
  ++calls_;
  const std::size_t scopes = scopes_.size();
  const std::size_t functions = functions_.size();
  scopes_.push_back({.parent = function.scope, .klass = k_nowhere});
  const std::uint32_t outer = current_;
  const std::uint32_t klass = std::exchange(klass_, function.klass);
  const unsigned branches = std::exchange(branches_, 0);
  const unsigned loops = std::exchange(loops_, 1);
  current_ = static_cast<std::uint32_t>(scopes);
  bind(function, self, arguments);
  returns_.emplace_back();
  yields_.emplace_back();
  if (tree_[function.node].kind == NodeKind::lambda)
    returns_.back() = evaluate(tree_.kid(function.node, 1));
  else
    block(tree_.kid(function.node, 2));
  Value out = returns_.back();
  returns_.pop_back();
  if (!yields_.back().empty()) {
    Labels yielded = 0;
    for (const Value& value: yields_.back())
      yielded |= value.labels & ~(k_process | k_code);
    const std::uint32_t from_yield = yields_.back().front().step;
    out = make_list(std::move(yields_.back()), yielded);
    out.number = static_cast<std::int64_t>(index) + 1;
    out.step = from_yield;
  }
  yields_.pop_back();
  current_ = outer;
  klass_ = klass;
  branches_ = branches;
  loops_ = loops;
  --calls_;
  // Nothing that outlives the call can look into its scope.
  if (functions_.size() == functions) scopes_.resize(scopes);
  here_ = call_sites_.back();
  call_sites_.pop_back();
  enter_module(module);
  // The deque may have grown; the element stays where it is.
  function.running = false;
  for (const std::uint32_t other: function.also)
    invoke(other, self, arguments);
  function.results.emplace(key, out);
  function.last = out;
  return out;
}

} // namespace hubgate::python

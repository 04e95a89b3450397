// The evaluator over several files: imports between them, what state belongs to which file, and the
// order in which a repository runs.
#include "scanner/code/python/repository.hpp"

#include "scanner/code/python/evaluator.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr unsigned k_max_imports = 250; ///< inside of each other
constexpr unsigned k_max_blocks = 3000; ///< where an import is still followed: the stack is finite
constexpr std::size_t k_program = 100;  ///< files of a repository that is a program
constexpr std::uint64_t k_fold_base = std::uint64_t{24} << 20;

// Adds the nodes of a file's tree to those of the repository's.
NodeId append(Tree& all, const Tree& tree, std::uint32_t begin) {
  const auto shift = static_cast<std::uint32_t>(all.nodes.size() - 1);
  const auto kids = static_cast<std::uint32_t>(all.children.size());
  for (std::size_t i = 1; i < tree.nodes.size(); ++i) {
    Node node = tree.nodes[i];
    node.begin += begin;
    node.end += begin;
    node.first += kids;
    all.nodes.push_back(node);
  }
  for (const NodeId kid: tree.children)
    all.children.push_back(kid == k_no_node ? k_no_node : kid + shift);
  all.statements += tree.statements;
  all.errors += tree.errors;
  all.calls += tree.calls;
  all.too_deep = all.too_deep || tree.too_deep;
  all.too_large = all.too_large || tree.too_large;
  return tree.root == k_no_node ? k_no_node : tree.root + shift;
}

} // namespace

// "import a.b" binds a, `whole` ("as c") a.b.
bool Evaluator::import_module(std::string_view name, std::string_view bound, bool whole) {
  if (modules_ == nullptr) return false;
  const auto found = modules_->resolve(module_, name);
  if (!found) return false;
  run_module(*found);
  const auto first = whole ? found : modules_->resolve(module_, bound);
  if (!first) return false;
  Value value{.kind = Kind::module};
  value.ref = *first;
  scope().names[bound] = value;
  return true;
}

bool Evaluator::import_module_from(NodeId id) {
  if (modules_ == nullptr) return false;
  const auto found = modules_->resolve(module_, tree_.slice(tree_.kid(id, 0)));
  if (!found) return false;
  run_module(*found);
  if (tree_[id].op == '*') {
    // Copied: running other modules may change the map.
    const Map names = scopes_[*found + 1].names;
    ticks_ += names.size();
    if (&scope() == &scopes_[*found + 1]) return true;
    for (const auto& [name, value]: names)
      if (!name.starts_with('_')) scope().names[name] = value;
    const std::uint32_t own = own_module_scope();
    for (std::size_t i = 0, n = star_modules_.size(); i < n && n < 4096; ++i)
      if (star_modules_[i].first == *found + 1)
        star_modules_.emplace_back(own, std::string(star_modules_[i].second));
    return true;
  }
  Value module{.kind = Kind::module};
  module.ref = *found;
  for (std::size_t i = 1; i < tree_[id].count; ++i) {
    const NodeId alias = tree_.kid(id, i);
    const std::string_view name = tree_.slice(tree_.kid(alias, 0));
    const NodeId as = tree_.kid(alias, 1);
    Value value = module_attribute(module, name);
    if (value.labels != 0) value.step = step(alias, value.step);
    scope().names[as != k_no_node ? tree_.slice(as) : name] = value;
  }
  return true;
}

// importlib.import_module(), __import__(), sys.modules[…]; `whole`: the last part, not the first.
Value Evaluator::module_called(const std::string& name, bool whole) {
  if (modules_ == nullptr) return {};
  // What is unknown of a name is the package: __package__ + ".data".
  const std::size_t hole = name.rfind(k_hole);
  const std::size_t end = hole == std::string::npos ? 0 : name.find(';', hole);
  if (end == std::string::npos) return {};
  const std::string_view known =
      std::string_view(name).substr(end + (hole == std::string::npos ? 0 : 1));
  if (hole != std::string::npos && !known.starts_with('.')) return {};
  const auto found = modules_->resolve(module_, known);
  if (!found) return {};
  run_module(*found);
  const auto meant = whole ? found : modules_->resolve(module_, name.substr(0, name.find('.')));
  Value value{.kind = Kind::module};
  value.ref = meant.value_or(*found);
  return value;
}

Value Evaluator::module_attribute(const Value& module, std::string_view name) {
  const Map& names = scopes_[module.ref + 1].names;
  if (const auto own = names.find(name); own != names.end()) return own->second;
  // A loader or a specification stands for what it loads.
  if (name == "__dict__" || name == "loader" || name == "load_module") return module;
  if (const auto inner = modules_->child(module.ref, name)) {
    run_module(*inner);
    Value value{.kind = Kind::module};
    value.ref = *inner;
    return value;
  }
  for (std::size_t i = 0; i < star_modules_.size(); ++i) {
    if (star_modules_[i].first != module.ref + 1) continue;
    const std::string path = star_modules_[i].second + "." + std::string(name);
    if (find_callable(canonical(path)) != nullptr) return make_name(path);
  }
  return {};
}

// The first import runs a module, its packages first.
void Evaluator::run_module(std::uint32_t index) {
  Module& module = modules_->all()[index];
  if (module.state != Module::State::fresh || over_budget_) return;
  if (imports_ >= k_max_imports || blocks_ >= k_max_blocks) {
    skipped_ = skipped_ || module.when == When::at_load;
    return; // it runs when its turn comes
  }
  module.state = Module::State::running;
  for (const std::uint32_t parent: modules_->parents(index))
    run_module(parent);
  if (module.root != k_no_node) {
    const std::uint32_t scope = std::exchange(current_, index + 1);
    const std::uint32_t klass = std::exchange(klass_, k_nowhere);
    const unsigned branches = std::exchange(branches_, 0);
    const unsigned loops = std::exchange(loops_, 0);
    const unsigned depth = std::exchange(depth_, 0);
    const bool guard = std::exchange(main_guard_, false);
    const std::uint32_t here = here_;
    const std::uint32_t from = module_;
    enter_module(index);
    ++imports_;
    block(module.root);
    --imports_;
    enter_module(from);
    here_ = here;
    current_ = scope;
    klass_ = klass;
    branches_ = branches;
    loops_ = loops;
    depth_ = depth;
    main_guard_ = guard;
  }
  module.state = Module::State::done;
}

std::uint32_t Evaluator::module_of(NodeId id) const {
  return modules_ == nullptr ? 0 : modules_->at(tree_[id].begin);
}

// What a file's texts and names show counts for the file.
void Evaluator::enter_module(std::uint32_t module) {
  if (modules_ == nullptr) return;
  drop_modules_.resize(dropped_.size(), module_);
  if (module == module_) return;
  features_[module_] = seen_;
  seen_ = features_[module];
  module_ = module;
}

// … and for what it calls in others.
bool Evaluator::noted_by_callers(Feature feature) const {
  std::uint32_t last = module_;
  for (std::size_t i = call_sites_.size(); i-- > 0;) {
    const std::uint32_t module = modules_->at(call_sites_[i]);
    if (module != last && features_[module][feature] != k_nowhere) return true;
    last = module;
  }
  return false;
}

std::uint32_t Evaluator::own_module_scope() const {
  if (modules_ == nullptr) return 0;
  std::uint32_t at = current_;
  while (scopes_[at].parent != 0)
    at = scopes_[at].parent;
  return at;
}

// sys.path.insert(0, "lib"), vars(module), modules that are loaded by the path of their file.
bool Evaluator::call_about_modules(const std::string& path, const Arguments& arguments,
                                   Value& result) {
  if (modules_ == nullptr) return false;
  if (path.starts_with("sys.path.")) {
    const Value folder = arguments.get(path == "sys.path.insert" ? 1 : 0);
    if (folder.is_text()) modules_->add_search_path(module_, raw(folder));
    return false;
  }
  const Value first = arguments.get(0);
  if (first.kind == Kind::module && (path == "vars" || path.ends_with(".module_from_spec"))) {
    result = first;
    return true;
  }
  const bool by_path = path == "runpy.run_path";
  const bool by_name = path.ends_with(".spec_from_file_location") || path == "imp.load_source" ||
                       path.ends_with(".SourceFileLoader");
  const Value file = by_path ? first : by_name ? arguments.get(1, "location") : Value{};
  if (!file.is_text()) return false;
  const auto found = modules_->file(module_, raw(file));
  if (!found) return false;
  run_module(*found);
  result = {.kind = Kind::module};
  result.ref = *found;
  return true;
}

// In a repository, a name that another file wrote must be one, and stand alone in the command.
bool Evaluator::is_that_file(std::size_t drop, const std::string& command) const {
  if (modules_ == nullptr || drop >= drop_modules_.size() || drop_modules_[drop] == module_)
    return true;
  const std::string& file = dropped_[drop].first;
  if (file.size() < 5 || file.find_first_of("./") == std::string::npos ||
      file.find(k_hole) != std::string::npos)
    return false;
  const auto is_end = [](char c) {
    return c == ' ' || c == '\'' || c == '"' || c == ';' || c == '&' || c == '|' || c == '/' ||
           c == '\n' || c == '(' || c == ')';
  };
  for (std::size_t at = command.find(file); at != std::string::npos;
       at = command.find(file, at + 1)) {
    const std::size_t end = at + file.size();
    if ((at == 0 || is_end(command[at - 1])) && (end == command.size() || is_end(command[end])))
      return true;
  }
  return false;
}

// Whether the place is in a large program, in code that nobody runs by loading it: values that went
// through hundreds of functions are known less well there.
bool Evaluator::in_a_program(std::uint32_t offset) const {
  return modules_ != nullptr && modules_->files() > k_program &&
         modules_->all()[modules_->at(offset)].when == When::on_call;
}

// "util.py:3" in a repository, "line 3" in a file.
std::string Evaluator::place(std::uint32_t offset) const {
  if (modules_ == nullptr) return "line " + std::to_string(line_number(offset));
  const Module& module = modules_->all()[modules_->at(offset)];
  const std::uint32_t line = line_number(offset) - line_number(module.begin) + 1;
  return module.path + ":" + std::to_string(line);
}

// The calls from other files that lead to the sink, unless the value's own path shows them.
std::string Evaluator::callers(std::uint32_t from, std::uint32_t sink) const {
  if (modules_ == nullptr) return {};
  const std::uint32_t own = modules_->at(sink);
  for (std::uint32_t at = from; at != 0; at = steps_[at].parent)
    if (modules_->at(steps_[at].offset) != own) return {};
  std::string out;
  std::uint32_t last = own;
  for (std::size_t i = call_sites_.size(); i-- > 0;) {
    const std::uint32_t module = modules_->at(call_sites_[i]);
    if (module == last) continue;
    out = line_at(call_sites_[i]) + " -> " + out;
    last = module;
    if (out.size() > 600) break;
  }
  return out;
}

bool Evaluator::run_repository() {
  const auto run_all = [this](When when) {
    for (std::uint32_t i = 0; i < modules_->files(); ++i)
      if (modules_->all()[i].when == when) run_module(i);
  };
  unit_.title = "runs when the repository is loaded";
  loading_ = true;
  run_all(When::at_load);
  load_builders();
  const bool loaded = !over_budget_ && !skipped_;
  loading_ = false;
  unit_.title = "";
  run_all(When::on_call);
  uncalled_functions();
  return loaded && !over_budget_;
}

void analyse_repository(std::string_view bundle, std::span<const RepositoryFile> files,
                        Session& session) {
  Modules modules(files.first(std::min(files.size(), k_max_modules)));
  Tree all;
  all.text = bundle;
  bool whole = true;
  bool loads = false;
  for (std::size_t i = 0; i < modules.files(); ++i) {
    Module& module = modules.all()[i];
    loads = loads || module.when == When::at_load;
    const Tree tree = parse_python(bundle.substr(module.begin, module.end - module.begin));
    if (tree.gave_up || tree.root == k_no_node) continue;
    if (all.nodes.size() + tree.nodes.size() > k_max_nodes || !session.budget().time_left()) {
      whole = false;
      break;
    }
    module.root = append(all, tree, module.begin);
  }
  std::uint64_t fold_budget = k_fold_base + 8 * std::uint64_t{bundle.size()};
  const Unit unit;
  Evaluator evaluator(std::move(all), unit, session, fold_budget, modules);
  if (!evaluator.run_repository()) whole = false;
  if (!whole && loads)
    session.gap(Reason::budget, Reach::load, 0,
                "the files of this repository do too much together to be followed");
}

} // namespace hubgate::python

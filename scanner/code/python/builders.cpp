// Dataset builders: what `datasets` and `tensorflow_datasets` call when somebody loads a data set,
// and what they hand from one method to the next (datasets/builder.py,
// tfds/core/dataset_builder.py).
#include "scanner/code/python/evaluator.hpp"

#include <algorithm>
#include <array>

namespace hubgate::python {
namespace {

constexpr unsigned k_deepest_base = 8;
constexpr std::size_t k_most_given = 64;

/// In the order in which they are called.
constexpr std::array<std::string_view, 8> k_builder_methods{
    "_create_builder_config", "_info",           "_download_and_prepare",
    "_split_generators",      "_prepare_split",  "_build_pcollection",
    "_generate_examples",     "_generate_tables"};

} // namespace

// Every class is asked once: bases of bases may be as many as there are ways through them.
bool Evaluator::is_builder_class(std::uint32_t klass, unsigned depth) {
  Class& own = classes_[klass];
  if (own.builder) return *own.builder;
  own.builder = false; // while its bases are asked, and for those that lie too deep
  for (std::size_t i = 0; i < own.bases.size(); ++i) {
    const Value& base = own.bases[i];
    const bool named = base.kind == Kind::name && is_builder(raw(base));
    if (named || (base.kind == Kind::klass && depth < k_deepest_base &&
                  is_builder_class(base.ref, depth + 1))) {
      own.builder = true;
      break;
    }
  }
  return *own.builder;
}

// SplitGenerator(name=…, gen_kwargs={"path": x}): _generate_examples(path=x)
void Evaluator::note_split(std::string_view path, const Arguments& arguments) {
  if (!path.ends_with("SplitGenerator") || klass_ == k_nowhere) return;
  const Value given = arguments.get(1, "gen_kwargs");
  if (given.kind != Kind::dict) return;
  Arguments& all = splits_[klass_];
  const auto& pairs = lists_[given.ref];
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (!pairs[i].is_text() || pairs[i].partial) continue;
    const std::string& name = raw(pairs[i]);
    auto known = all.named.begin();
    while (known != all.named.end() && known->first != name)
      ++known;
    if (known != all.named.end())
      known->second = merge(known->second, pairs[i + 1]);
    else if (all.named.size() < k_most_given)
      all.named.emplace_back(name, pairs[i + 1]);
  }
}

// What the class's own methods or those of a class above it hand to _generate_examples().
Arguments Evaluator::split_arguments(std::uint32_t klass) const {
  for (unsigned depth = 0; depth < k_deepest_base && !splits_.empty(); ++depth) {
    if (const auto own = splits_.find(klass); own != splits_.end()) return own->second;
    const auto& bases = classes_[klass].bases;
    const auto next = std::find_if(bases.begin(), bases.end(),
                                   [](const Value& base) { return base.kind == Kind::klass; });
    if (next == bases.end()) break;
    klass = next->ref;
  }
  return {};
}

bool Evaluator::is_generator_method(const Function& function) const {
  return tree_[function.node].kind == NodeKind::function_def &&
         tree_.slice(tree_.kid(function.node, 0)).starts_with("_generate_");
}

Arguments Evaluator::given_to_method(const Function& function, std::uint32_t klass) const {
  Arguments out;
  if (is_generator_method(function)) out = split_arguments(klass);
  out.open = true;
  return out;
}

// BUILDER_CONFIGS = [Config(…)] or BUILDER_CONFIG_CLASS = Config: what self.config is.
void Evaluator::give_configuration(std::uint32_t klass) {
  Value config;
  const Value all = class_attribute(klass, "BUILDER_CONFIGS");
  if (all.kind == Kind::list) config = element_of(all, classes_[klass].node);
  if (const Value made = class_attribute(klass, "BUILDER_CONFIG_CLASS");
      config.kind != Kind::instance && made.kind == Kind::klass) {
    Arguments unknowns;
    unknowns.open = true;
    config = construct(made.ref, unknowns);
  }
  if (config.kind == Kind::instance) classes_[klass].attributes.try_emplace("config", config);
}

void Evaluator::configure_builders() {
  for (std::uint32_t klass = 0; klass < classes_.size() && !over_budget_; ++klass) {
    if (!is_builder_class(klass)) continue;
    here_ = tree_[classes_[klass].node].begin;
    give_configuration(klass);
  }
}

// datasets makes the configuration and the builder, and calls its methods.
void Evaluator::load_builders() {
  current_ = 0;
  for (std::uint32_t klass = 0; klass < classes_.size() && !over_budget_; ++klass) {
    const NodeId node = classes_[klass].node;
    if (modules_->all()[module_of(node)].when != When::at_load || !is_builder_class(klass))
      continue;
    Value self{.kind = Kind::instance};
    self.ref = klass;
    Arguments unknowns;
    unknowns.open = true;
    enter_module(module_of(node));
    here_ = tree_[node].begin;
    give_configuration(klass);
    construct(klass, unknowns);
    for (const std::string_view name: k_builder_methods)
      if (const Value method = class_attribute(klass, name); method.kind == Kind::function)
        invoke(method.ref, &self, given_to_method(functions_[method.ref], klass));
  }
}

} // namespace hubgate::python

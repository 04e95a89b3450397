#include "scanner/formats/pickle/names.hpp"

#include <algorithm>
#include <array>

namespace hubgate::pickle {
namespace {

// Whether `word` is one of the blank-separated `words`.
bool contains_word(std::string_view words, std::string_view word) {
  if (word.empty()) return false;
  for (std::size_t at = words.find(word); at != std::string_view::npos;
       at = words.find(word, at + 1)) {
    const bool begins = at == 0 || words[at - 1] == ' ';
    const std::size_t end = at + word.size();
    if (begins && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

constexpr std::string_view k_introspection_words =
    "__dict__ __globals__ __builtins__ __subclasses__ __getattribute__ __reduce__ __reduce_ex__ "
    "__class__ __mro__ __bases__ __base__ __code__ __closure__ __func__ __self__ __import__ "
    "__loader__ __spec__ __getattr__ __setattr__ __call__ __get__ __init_subclass__ "
    "__class_getitem__ f_globals f_builtins gi_frame cr_frame tb_frame";

const Danger* find_danger(std::string_view module, std::string_view name) {
  const std::string_view first = name.substr(0, name.find('.'));
  for (const Danger& row: dangers()) {
    const bool below = module.size() > row.module.size() && module.starts_with(row.module) &&
                       module[row.module.size()] == '.';
    if (row.names == "*") {
      if (below || module == row.module) return &row;
    } else if (module == row.module &&
               (contains_word(row.names, first) || contains_word(row.names, name))) {
      return &row;
    }
  }
  return nullptr;
}

const Allowed* find_allowed(std::string_view module, std::string_view name) {
  for (const auto table:
       {allowed_python(), allowed_numpy(), allowed_torch(), allowed_sklearn(), allowed_pandas(),
        allowed_boosting(), allowed_transformers(), allowed_statsmodels(), allowed_text()}) {
    for (const Allowed& row: table)
      if (row.module == module && contains_word(row.names, name)) return &row;
  }
  return nullptr;
}

} // namespace

Verdict judge_name(std::string_view module, std::string_view name) {
  if (const Allowed* row = find_allowed(module, name); row != nullptr)
    return {.standing = Standing::allowed, .use = row->use, .effect = {}};
  if (const Danger* row = find_danger(module, name); row != nullptr)
    return {.standing = Standing::dangerous, .effect = row->effect};

  // Attribute traversal: every component may be a module, every tail a name in it.
  std::string prefix(module);
  std::string_view rest = name;
  constexpr std::size_t k_max_components = 32;
  for (std::size_t i = 0; i < k_max_components; ++i) {
    const std::size_t dot = rest.find('.');
    const std::string_view component = rest.substr(0, dot);
    if (contains_word(k_introspection_words, component))
      return {.standing = Standing::dangerous, .effect = "reaches into Python's internals"};
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
    prefix += '.';
    prefix += component;
    if (const Danger* row = find_danger(prefix, rest); row != nullptr)
      return {.standing = Standing::dangerous, .effect = row->effect};
    // Modules keep others under private names: collections._sys, random._os.
    const std::string_view alias =
        component.substr(std::min(component.find_first_not_of('_'), component.size()));
    for (const std::string_view reached: {component, alias})
      if (const Danger* row = find_danger(reached, rest); row != nullptr)
        return {.standing = Standing::dangerous, .effect = row->effect};
  }
  // TorchScript's classes stand in the archive's own code; no Python finds a module of this name.
  if (module == "__torch__" || module.starts_with("__torch__."))
    return {.standing = Standing::allowed, .use = Use::module_class, .effect = {}};
  return {.standing = is_usual_package(module) ? Standing::unknown_call : Standing::unknown_class,
          .effect = {}};
}

} // namespace hubgate::pickle

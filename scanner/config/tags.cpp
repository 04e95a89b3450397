#include "scanner/config/tags.hpp"

#include "scanner/config/names.hpp"
#include "scanner/config/paths.hpp"

#include <algorithm>
#include <string>

namespace hubgate::config {
namespace {

constexpr std::string_view k_core = "tag:yaml.org,2002:";
constexpr std::string_view k_python = "python/";

// YAML's own types, and Python tags that make nothing but data.
constexpr std::array<std::string_view, 14> k_core_types{
    "str", "int",  "float", "bool",   "null",      "map",   "seq",
    "set", "omap", "pairs", "binary", "timestamp", "merge", "value"};
constexpr std::array<std::string_view, 13> k_python_types{
    "none",  "bool",    "str",  "unicode", "bytes", "int",      "long",
    "float", "complex", "list", "tuple",   "dict",  "frozenset"};

// Functions that documentation generators name in their configuration: imported, never called by
// the loader.
constexpr std::array<std::string_view, 8> k_documentation{
    "material.extensions.emoji.", "pymdownx.", "materialx.emoji.",
    "zensical.extensions.",       "mermaid2.", "mdx_truly_sane_lists",
    "markdown.extensions.",       "mkdocs_"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string words(std::string_view tag, std::string_view value) {
  std::string out(tag.substr(0, 300));
  if (!value.empty()) out += " " + std::string(value.substr(0, 120));
  return out;
}

// python/name:, python/module:, python/object:, python/object/apply:, python/object/new:.
void check_python(Teller& teller, std::string_view tag, std::string_view what,
                  std::string_view value, std::uint64_t offset) {
  const std::size_t colon = what.find(':');
  const std::string_view kind = what.substr(0, std::min(colon, what.size()));
  if (colon == std::string_view::npos && among(k_python_types, kind)) {
    teller.find(k_python_data, offset, words(tag, value));
    return;
  }
  const std::string_view name = colon == std::string_view::npos ? "" : what.substr(colon + 1);
  const NameVerdict verdict = kind == "module" ? judge_module(name) : judge_target(name);
  const bool named_only = kind == "name" || kind == "module";
  if (verdict.standing == Standing::allowed) {
    teller.find(k_python_data, offset, words(tag, value));
    return;
  }
  if (kind == "name" &&
      std::any_of(k_documentation.begin(), k_documentation.end(),
                  [&](std::string_view prefix) { return name.starts_with(prefix); }) &&
      verdict.standing != Standing::dangerous) {
    teller.find(k_python_data, offset, words(tag, value));
    return;
  }
  if (!name.empty()) teller.session().refer("import", offset, name);
  // A reference imports a module; anything else calls.
  const bool mild = named_only && verdict.standing != Standing::dangerous;
  std::string evidence = words(tag, value);
  if (!verdict.effect.empty()) evidence += ": " + std::string(verdict.effect);
  teller.find(k_python_tag, offset, evidence, {},
              mild ? std::optional(Severity::suspicious) : std::nullopt);
}

// "!new:a.b.C", "!name:f", "!apply:f", "!applyref:f", "!module:m".
bool check_hyper(Teller& teller, std::string_view tag, std::string_view value,
                 std::uint64_t offset) {
  const std::size_t colon = tag.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view kind = tag.substr(0, colon);
  if (kind != "!new" && kind != "!name" && kind != "!apply" && kind != "!applyref" &&
      kind != "!module")
    return false;
  const std::string_view name = tag.substr(colon + 1);
  const NameVerdict verdict = kind == "!module" ? judge_module(name) : judge_target(name);
  if (verdict.standing == Standing::allowed) return true;
  if (verdict.standing == Standing::dangerous) {
    teller.find(k_hyper_danger, offset, words(tag, value) + ": " + std::string(verdict.effect));
    return true;
  }
  teller.find(k_hyper_unknown, offset, words(tag, value));
  teller.session().refer("import", offset, name);
  return true;
}

void check_include(Teller& teller, std::string_view tag, std::string_view value,
                   std::uint64_t offset) {
  const std::size_t colon = tag.find(':');
  const std::string_view path = colon == std::string_view::npos ? value : tag.substr(colon + 1);
  if (path.empty()) return;
  const PathFacts facts = judge_path(path);
  teller.session().refer("file", offset, path);
  if (facts.kind == PathKind::relative)
    teller.find(k_include, offset, words(tag, value));
  else
    teller.find(k_include_path, offset, words(tag, value));
}

} // namespace

void check_tag(Teller& teller, std::string_view tag, std::string_view value, std::uint64_t offset) {
  if (tag.empty() || tag == "!") return;
  // "!!python/x" is the core prefix; "!python/x" is what people write who mean it, and ruby's own.
  std::string_view name = tag;
  const bool core = name.starts_with(k_core);
  if (core) name.remove_prefix(k_core.size());
  if (core && among(k_core_types, name)) return;
  if (core && name.starts_with(k_python)) {
    check_python(teller, tag, name.substr(k_python.size()), value, offset);
    return;
  }
  if (tag.starts_with("!include")) {
    check_include(teller, tag, value, offset);
    return;
  }
  if (check_hyper(teller, tag, value, offset)) return;
  if (!core && name.starts_with('!')) name.remove_prefix(1);
  const bool ruby = name.starts_with("ruby/") && name != "ruby/sym" && name != "ruby/symbol";
  // SnakeYAML takes the class from the tag: "!!javax.script.ScriptEngineManager".
  const bool java = core && name.find('.') != std::string_view::npos && is_dotted_name(name);
  if (ruby || java || name.starts_with("js/function") || name.starts_with("perl/") ||
      name.starts_with("php/object"))
    teller.find(k_language_tag, offset, words(tag, value));
}

} // namespace hubgate::config

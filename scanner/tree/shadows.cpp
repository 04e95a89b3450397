// Modules in the root of a repository that Python takes for a library (CFG-022): the folder in
// which a script or an interpreter is started comes first in the search for modules.
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace hubgate::tree {
namespace {

/// A package with more modules than this is a copy of somebody's library, not one that was made to
/// stand in for it.
constexpr std::size_t k_large_package = 20;
/// So many libraries' names in one folder are a folder of libraries.
constexpr std::size_t k_many = 10;

struct Candidate {
  std::size_t entry = k_none; ///< the module, or the __init__ of the package
  std::size_t files = 1;      ///< Python files
};

// "os" of "os.py", "os.cpython-311-x86_64-linux-gnu.so", "os.pyd", "os.pyc".
std::string_view module_of(std::string_view name) {
  for (const std::string_view suffix: {".py", ".pyc", ".pyd"})
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  if (name.ends_with(".so")) return name.substr(0, name.find('.'));
  return {};
}

bool is_python(std::string_view path) {
  return path.ends_with(".py") || path.ends_with(".ipynb");
}

// What belongs to a library's own source or an installed one.
bool marks_library(std::string_view path) {
  const std::string_view first = path.substr(0, path.find('/'));
  return first.ends_with(".dist-info") || first.ends_with(".egg-info") || path == "PKG-INFO" ||
         path == "pyproject.toml" || path == "setup.py" || path == "setup.cfg" ||
         path == "__init__.py";
}

bool is_pickle(const TreeEntry& entry) {
  return entry.report != nullptr &&
         (entry.report->format == "pickle" || entry.report->format == "pytorch" ||
          entry.report->format == "joblib");
}

// A .pth is a checkpoint, or a list of folders for Python.
bool is_model(const TreeEntry& entry) {
  return is_model_file(entry.path) && (!entry.path.ends_with(".pth") || is_pickle(entry));
}

struct Root {
  std::map<std::string, Candidate, std::less<>> candidates; ///< by module
  std::size_t scripts = 0; ///< Python files and notebooks in the root
  bool library = false;
  bool models = false; ///< files that a loader opens, in the root
};

Root look_at_root(const Judge& judge) {
  Root out;
  for (std::size_t i = 0; i < judge.entries.size(); ++i) {
    const std::string_view path = judge.entries[i].path;
    const std::size_t slash = path.find('/');
    if (marks_library(path)) out.library = true;
    // Libraries have files like weights too, among their tests.
    if ((slash == std::string_view::npos && is_model(judge.entries[i])) || path == "config.json" ||
        path == "model_index.json")
      out.models = true;
    if (slash == std::string_view::npos) {
      if (is_python(path)) ++out.scripts;
      const std::string_view module = module_of(path);
      if (is_library(module)) out.candidates[std::string(module)].entry = i;
      continue;
    }
    const std::string_view package = path.substr(0, slash);
    if (!is_library(package)) continue;
    const std::string_view inner = path.substr(slash + 1);
    Candidate& candidate = out.candidates[std::string(package)];
    if (inner.find('/') == std::string_view::npos && module_of(inner) == "__init__")
      candidate.entry = i;
    else if (is_python(inner))
      ++candidate.files;
  }
  // A folder without __init__ comes behind every library of its name.
  std::erase_if(out.candidates, [](const auto& one) { return one.second.entry == k_none; });
  return out;
}

// Whatever unpickles imports by name, in the folder where it was started.
bool has_pickles(const Judge& judge) {
  return std::any_of(judge.entries.begin(), judge.entries.end(), is_pickle);
}

} // namespace

void judge_shadows(Judge& judge) {
  const Root root = look_at_root(judge);
  if (root.candidates.empty()) return;
  if ((root.library || root.candidates.size() >= k_many) && !root.models) return;
  const bool pickles = has_pickles(judge);
  for (const auto& [module, candidate]: root.candidates) {
    const TreeEntry& entry = judge.entries[candidate.entry];
    const auto importer = judge.imported.find(module);
    const bool imported = importer != judge.imported.end() && importer->second != candidate.entry;
    const std::size_t own = is_python(entry.path) && entry.path.find('/') == std::string::npos;
    const bool runs = root.scripts > own || pickles;
    std::string evidence = entry.path + " stands in for the library " + module;
    if (imported) evidence += ", which " + judge.entries[importer->second].path + " imports";
    Severity severity = Severity::malicious;
    if (!imported && !runs)
      severity = Severity::informational;
    else if (candidate.files > k_large_package)
      severity = Severity::suspicious;
    judge.add(rule(RuleId::shadow_module), entry.path, evidence, severity);
  }
}

} // namespace hubgate::tree
